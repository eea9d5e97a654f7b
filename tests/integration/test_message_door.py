"""POST /ingestMessage with curl and by hand: what is archived, what is refused and where, and the
known defects of pipelines of this kind, each as a case that must not happen here."""

import base64
import concurrent.futures
import gzip
import json
import os
import re
import socket
import sqlite3
import subprocess
import time
import zlib

import checker
import client
import harness
import payloads

METADATA = {"messageType": "order", "sourceSystemID": "till-7", "sourceTransactionID": "4711",
            "dateTime": "2026-11-21 04:05:06.123456"}


def metadata(transaction, **members):
    return {**METADATA, "sourceTransactionID": transaction, **members}


def document(transaction, payload, payload_first=False, **members):
    """A message around the JSON text of a payload, which stands in it as it is."""
    about = '"messageMetaData": ' + json.dumps(metadata(transaction, **members))
    parts = (f'"messagePayload": {payload}', about) if payload_first else (
        about, f'"messagePayload": {payload}')
    return ("{" + ", ".join(parts) + "}").encode()


def quoted(payload):
    return '"' + base64.b64encode(payload).decode() + '"'


class MessageTest(harness.DaybookTest):

    def send(self, body, headers=None, port=None):
        return client.request(port or self.port, "POST", "/ingestMessage", body,
                              {"Content-Type": "application/json", **(headers or {})})

    def record(self, message_id):
        return client.request(self.port, "GET", f"/v1/records/{message_id}").json()

    def payload(self, message_id):
        answer = client.request(self.port, "GET", f"/v1/records/{message_id}/payload")
        self.assertEqual(answer.status, 200, answer.describe())
        return answer.body

    def assert_taken(self, answer):
        self.assertEqual(answer.status, 200, answer.describe())
        self.assertEqual(list(answer.json()), ["messageID"])
        return answer.json()["messageID"]

    @property
    def refused_dir(self):
        return os.path.join(self.daybook.data_dir, "salvage", "refused")

    def refused(self):
        return sorted(os.listdir(self.refused_dir)) if os.path.isdir(self.refused_dir) else []

    def kept(self, answer):
        """The refused document as it is kept, by the tool that anybody has."""
        path = os.path.join(self.refused_dir, answer.json()["salvage"] + ".zst")
        return subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout


class Messages(MessageTest):
    """What is taken, and in which form it is archived."""

    def test_curl_posts_a_message_and_finds_it_archived_and_indexed(self):
        text = json.dumps({"total": 12.5, "lines": [{"n": n} for n in range(5000)]}, indent=1)
        path = self.area.write("message.json", document("curl", text))
        answer = client.curl("-H", "Content-Type: application/json", "-H", "X-Api-Key: s3cret",
                             "--data-binary", f"@{path}", f"{self.daybook.url}/ingestMessage")
        message_id = self.assert_taken(answer)
        self.assertEqual(answer.header("access-control-allow-origin"), "*")
        row = self.wait_state(message_id)
        self.assertEqual(
            [row[name] for name in ("type", "source", "event_id", "event_time", "content_type")],
            ["order", "till-7", "curl", "2026-11-21T04:05:06.123456Z", "application/json"])
        self.assertEqual(row["context"]["door"], "ingestMessage")
        self.assertRegex(row["context"]["user_agent"], "^curl/")
        self.assertEqual(self.payload(message_id), text.encode())
        objects, stray = checker.archived_objects(self.daybook.archive_dir)
        self.assertEqual(stray, [])
        self.assertEqual([digest for _, digest, _ in objects[message_id]],
                         [payloads.sha256(text.encode())])

    def test_any_json_value_is_archived_byte_for_byte(self):
        values = ['null', 'true', '-1.50E+3', '""', '" \\u00fc \\ud83d\\ude00 "', '[ ]', '{ "a" : [1 , 2] }',
                  '"aGVsbG8="', '"ü"', json.dumps("x" * 3_000_000), json.dumps([["y" * 99]] * 9999)]
        for number, value in enumerate(values):
            for first in (False, True):
                answer = self.send(document(f"value {number} {first}", value, first))
                message_id = self.assert_taken(answer)
                self.assertEqual(self.payload(message_id), value.encode())
                self.assertEqual(self.record(message_id)["content_type"], "application/json")

    def test_base64_that_is_declared_is_archived_as_the_bytes(self):
        random = harness.seeded("base64")
        for number, size in enumerate((1, 2, 3, 1000, 786_431, (1 << 20) + 1, 3_333_333, 8 << 20)):
            payload = random.randbytes(size)
            for first in (False, True):
                for text in {quoted(payload), quoted(payload).replace("/", "\\/").replace("+", "\\u002B")}:
                    answer = self.send(document(
                        f"base64 {number} {first} {len(text)}", text, first, payloadEncoding="base64",
                        contentType="image/png"))
                    message_id = self.assert_taken(answer)
                    row = self.record(message_id)
                    self.assertEqual((row["sha256"], row["size"], row["content_type"]),
                                     (payloads.sha256(payload), size, "image/png"))
                    self.assertEqual(row["context"]["payload_encoding"], "base64")
        self.assertEqual(self.payload(message_id), payload)

    def test_the_pipelines_own_client_and_message_work_as_they_are(self):
        """A message type whose payload is base64 by agreement, no payloadEncoding, an API key."""
        image = b"II*\0" + harness.seeded("image").randbytes(300_000)
        message = {"messageMetaData": {
            "messageType": "imageB64", "sourceSystemID": "IngestMessageTestClient",
            "sourceTransactionID": "a7f3c0de-1c5e-4a4b-9d0f-6f6e9f0b4c11",
            "dateTime": "2021-07-03 16:21:12.357246"},
            "messagePayload": base64.b64encode(image).decode()}
        try:
            import requests
        except ImportError:
            path = self.area.write("image.json", json.dumps(message))
            answer = client.curl("-H", "Content-Type: application/json", "-H", "x-api-key: k",
                                 "--data-binary", f"@{path}", f"{self.daybook.url}/ingestMessage")
        else:
            got = requests.post(f"{self.daybook.url}/ingestMessage", json=message,
                                headers={"x-api-key": "k"}, timeout=60)
            self.assertEqual(got.status_code, requests.codes.ok)
            answer = client.Answer(got.status_code, list(got.headers.items()), got.content)
        message_id = self.assert_taken(answer)
        row = self.wait_state(message_id)
        self.assertEqual((row["type"], row["content_type"], row["event_time"]),
                         ("imageB64", "application/octet-stream", "2021-07-03T16:21:12.357246Z"))
        self.assertTrue(self.payload(message_id) == image)
        objects, _ = checker.archived_objects(self.daybook.archive_dir)
        self.assertEqual([digest for _, digest, _ in objects[message_id]], [payloads.sha256(image)])

    def test_base64_by_agreement_is_of_listed_types_strings_and_no_other_word(self):
        image = harness.seeded("agreed").randbytes(1_500_001)
        cases = [("plain", quoted(image), {}, image), ("short", '"data"', {}, base64.b64decode("data")),
                 ("url", '"data:image/png;base64,' + quoted(image)[1:], {}, image),
                 ("json", quoted(image), {"payloadEncoding": "json"}, quoted(image).encode()),
                 ("object", '{"a": "AAAA"}', {}, b'{"a": "AAAA"}'),
                 ("other type", '"AAAA"', {"messageType": "order"}, b'"AAAA"')]
        for first in (False, True):
            for name, value, members, expected in cases:
                about = {"messageType": "imageB64", **members}
                body = document(f"agreed {name} {first}", value, first, **about)
                message_id = self.assert_taken(self.send(body))
                self.assertTrue(self.payload(message_id) == expected, f"{name} {first}")

    def test_a_data_url_says_by_itself_what_it_is(self):
        payload = harness.seeded("url").randbytes(100_000)
        text = '"data:image\\/png;base64,' + quoted(payload)[1:]
        for first in (False, True):
            message_id = self.assert_taken(self.send(document(f"url {first}", text, first)))
            row = self.record(message_id)
            self.assertEqual((row["sha256"], row["content_type"]),
                             (payloads.sha256(payload), "image/png"))
            self.assertEqual(row["context"]["payload_head"], "data:image\\/png;base64,")
        message_id = self.assert_taken(self.send(document("url json", text, payloadEncoding="json")))
        self.assertEqual(self.payload(message_id), text.encode())

    def test_a_repetition_gets_the_same_id_and_another_payload_422(self):
        for first in (False, True):
            body = document(f"again {first}", quoted(b"one"), first, payloadEncoding="base64")
            ids = {self.assert_taken(self.send(body)) for _ in range(3)}
            self.assertEqual(len(ids), 1)
            other = document(f"again {first}", quoted(b"two"), first, payloadEncoding="base64")
            self.assert_problem(self.send(other), 422)

    def test_pieces_of_any_size_and_codings_make_no_difference(self):
        random = harness.seeded("pieces")
        payload = random.randbytes(300_000)
        body = document("pieces", quoted(payload), payloadEncoding="base64")
        pieces, at = [], 0
        while at < len(body):
            size = random.choice((1, 2, 3, 7, 100, 5000, 60_000))
            pieces.append(body[at:at + size])
            at += size
        answers = [self.send(iter(pieces)), self.send(gzip.compress(body), {"Content-Encoding": "gzip"}),
                   self.send(body, {"Content-Digest": client.content_digest(body)})]
        self.assertEqual(len({self.assert_taken(answer) for answer in answers}), 1)
        self.assertEqual(self.payload(answers[0].json()["messageID"]), payload)
        wrong = self.send(body, {"Content-Digest": client.content_digest(payload)})
        self.assert_problem(wrong, 400, "digest")

    def test_further_metadata_is_kept_and_secrets_are_not(self):
        message_id = self.assert_taken(self.send(document("more", "1", branch="Zürich", till="7")))
        self.assertEqual(self.record(message_id)["attributes"], {"branch": "Zürich", "till": "7"})
        for name in ("apiKey", "Password", "access_token"):
            self.assert_problem(self.send(document("secret", "1", **{name: "x"})), 400, name)

    def test_a_page_may_ask_first(self):
        answer = client.request(self.port, "OPTIONS", "/ingestMessage", headers={
            "Origin": "https://example.com", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type"})
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(answer.header("access-control-allow-origin"), "*")
        self.assertIn("POST", answer.header("access-control-allow-methods"))
        self.assertIn("Content-Type", answer.header("access-control-allow-headers"))
        refused = self.send(b"{}", {"Origin": "https://example.com"})
        self.assertEqual(refused.header("access-control-allow-origin"), "*")
        for method in ("GET", "PUT"):
            answer = client.request(self.port, method, "/ingestMessage")
            self.assert_problem(answer, 405)
            self.assertEqual(answer.header("allow"), "POST, OPTIONS")

    def test_the_command_line_is_a_client(self):
        image = self.area.write("image.png", harness.seeded("cli").randbytes(50_000))
        order = self.area.write("order.json", '{"total": 1}')
        words = [harness.binary(), "post", "--format", "message", "--url", self.daybook.url,
                 "--type", "order", "--source", "cli", "--attribute", "branch=zurich"]
        run = subprocess.run([*words, image, order], capture_output=True, text=True,
                             env=harness.clean_environment())
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stdout.count("HTTP/1.1 200 OK\n"), 2, run.stdout)
        self.assertIn("Access-Control-Allow-Origin: *\n", run.stdout)
        ids = re.findall(r'\{"messageID":"([^"]+)"\}', run.stdout)
        for message_id, path, content_type in zip(ids, (image, order), ("image/png", "application/json")):
            row = self.record(message_id)
            self.assertEqual((row["content_type"], row["attributes"]),
                             (content_type, {"branch": "zurich"}))
            with open(path, "rb") as file:
                self.assertEqual(self.payload(message_id), file.read())
        run = subprocess.run([*words, "--time", "yesterday", order], capture_output=True, text=True,
                             env=harness.clean_environment())
        self.assertEqual(run.returncode, 2, run.stderr)


class Refusals(MessageTest):
    """A refusal names the byte or the member, stores nothing, and keeps the document."""

    settings = {"ingest.refused_keep_max": "16MiB"}

    def assert_refused(self, body, *words, status=400, port=None):
        answer = self.send(body, port=port)
        self.assert_problem(answer, status, "nothing was stored", *words)
        return answer

    def assert_kept(self, answer, body):
        self.assertTrue(self.kept(answer) == body, f"not as it came: {answer.describe()}")

    def test_a_message_of_6_MB_that_is_cut_or_wrong_in_the_middle_is_named_by_its_byte(self):
        text = json.dumps([["z" * 50]] * 100_000)
        good = document("six", text)
        middle = good.index(b"]", len(good) // 2)
        cases = [(good[:middle], f"byte {middle}: "),
                 (good[:middle] + b"}" + good[middle + 1:], f"byte {middle}: a comma or ]"),
                 (good[:middle - 1] + b"\xff" + good[middle:], f"byte {middle - 1}: "),
                 (good[:-1], f"byte {len(good) - 1}: "), (good + b"x", f"byte {len(good)}: ")]
        for body, where in cases:
            self.assert_kept(self.assert_refused(body, where), body)

    def test_what_is_missing_of_another_type_or_twice_is_named(self):
        good = document("named", "1").decode()
        for name in METADATA:
            about = metadata("named")
            del about[name]
            body = json.dumps({"messagePayload": 1, "messageMetaData": about}).encode()
            answer = self.assert_refused(body, f"messageMetaData.{name} is missing")
            self.assert_kept(answer, body)
            about[name] = 7
            self.assert_refused(json.dumps({"messageMetaData": about, "messagePayload": 1}).encode(),
                                f"messageMetaData.{name} must be a string", "byte ")
            self.assert_refused(good.replace(f'"{name}"', f'"{name}": "x", "{name}"').encode(),
                                f"messageMetaData.{name} stands twice"
                                if name != "dateTime" else "messageMetaData.dateTime")
        self.assert_refused(b'{"messageMetaData": ' + json.dumps(METADATA).encode() + b"}",
                            "messagePayload is missing")
        for body in (b"", b"[]", b"null", b'{"messagePayload": 1}', b"\xef\xbb\xbf{}", b"<a/>"):
            answer = self.send(body)
            self.assert_problem(answer, 400)

    def test_bad_dates_are_refused_and_nothing_poisonous_is_acknowledged(self):
        before = client.request(self.port, "GET", "/v1/records").json()
        for time in ("", "yesterday", "2026-02-30 00:00:00", "2026-11-21T04:05:06", "1763697906",
                     "2026-11-21 04:05:06.1234567"):
            body = document("date", "1", dateTime=time)
            self.assert_kept(self.assert_refused(body, "messageMetaData.dateTime"), body)
        self.assertEqual(client.request(self.port, "GET", "/v1/records").json(), before)
        self.assertEqual(client.request(self.port, "GET", "/v1/parked").json()["records"], [])

    def test_bad_base64_is_named_by_its_first_wrong_byte(self):
        payload = harness.seeded("bad64").randbytes(3_000_000)
        for first in (False, True):
            good = document("bad64", quoted(payload), first, payloadEncoding="base64").decode()
            begin = good.index('"', good.index("messagePayload") + 15) + 1
            end = good.index('"', begin)
            for at in (begin, begin + 1_234_567, begin + 3_999_997):
                for wrong in ("!", "-", "=", " ", "é"):
                    body = (good[:at] + wrong + good[at + 1:]).encode()
                    answer = self.assert_refused(body, f"byte {at}: " if wrong != "=" else "byte ")
                self.assert_kept(answer, body)
            body = (good[:end - 1] + good[end:]).encode()
            self.assert_kept(self.assert_refused(body, f"byte {end - 1}: ", "padding"), body)
            text = '"data:image\\/png;base64,' + quoted(payload)[1:-9] + '!AAAAAAA"'
            body = document("bad64", text, first)
            at = body.index(b"!")
            self.assert_kept(self.assert_refused(body, f"byte {at}: "), body)
            body = document("bad64", '{"a": "AAAA"}', first, payloadEncoding="base64")
            self.assert_kept(self.assert_refused(body, "must be a string"), body)

    def test_bad_base64_of_an_agreed_type_is_named_and_kept_as_it_came(self):
        image = harness.seeded("agreed bad").randbytes(2_000_000)
        for first in (False, True):
            good = document("agreed bad", quoted(image), first, messageType="imageB64").decode()
            begin = good.index('"', good.index("messagePayload") + 15) + 1
            for at in (begin, begin + 3, begin + 1_234_567):
                body = (good[:at] + "!" + good[at + 1:]).encode()
                answer = self.assert_refused(body, f"byte {at}: ", "payloadEncoding")
                self.assert_kept(answer, body)
        # A file name, as somebody might send who means a text.
        body = document("agreed text", '"picture.png"', messageType="imageB64")
        self.assert_kept(self.assert_refused(body, f"byte {body.index(b'.png')}: "), body)

    def test_the_same_document_is_kept_once_and_salvage_shows_it(self):
        body = document("once", "1", dateTime="soon")
        answers = [self.assert_refused(body) for _ in range(5)]
        self.assertEqual(len({answer.json()["salvage"] for answer in answers}), 1)
        words = [harness.binary(), "salvage", "--set", f"node.data_dir={self.daybook.data_dir}"]
        listed = subprocess.run([*words, "list", "--json"], capture_output=True, text=True, check=True,
                                env=harness.clean_environment())
        one = next(row for row in map(json.loads, listed.stdout.splitlines())
                   if row["id"] == answers[0].json()["salvage"])
        self.assertIn("dateTime", one["refused"])
        self.assertEqual((one["type"], one["size"]), ("order", len(body)))
        table = subprocess.run([*words, "list"], capture_output=True, text=True, check=True,
                               env=harness.clean_environment())
        self.assertRegex(table.stdout, one["id"] + r"\s+400")
        shown = subprocess.run([*words, "show", one["id"]], capture_output=True, text=True, check=True,
                               env=harness.clean_environment())
        self.assertIn(os.path.join("refused", one["id"]), shown.stdout)
        post = subprocess.run([*words, "post", one["id"], "--url", self.daybook.url],
                              capture_output=True, text=True, env=harness.clean_environment())
        self.assertEqual(post.returncode, 1)
        self.assertIn("refused again", post.stderr)
        subprocess.run([*words, "drop", one["id"], "--yes", "--reason", "seen"], check=True,
                       capture_output=True, env=harness.clean_environment())
        self.assertNotIn(one["id"] + ".zst", self.refused())

    def test_refused_documents_take_no_more_disk_than_allowed(self):
        random = harness.seeded("flood")
        last = None
        for number in range(12):
            last = self.assert_refused(document(f"flood {number}", quoted(random.randbytes(2 << 20)),
                                                dateTime="never"))
        total = sum(os.path.getsize(os.path.join(self.refused_dir, name)) for name in self.refused())
        self.assertLessEqual(total, 16 << 20)
        self.assertGreater(total, 8 << 20)
        self.assertIn(last.json()["salvage"] + ".zst", self.refused())

    def test_bombs_are_413_with_bounded_memory(self):
        def peak():
            with open(f"/proc/{self.daybook.process.child.pid}/status") as status:
                return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
        self.send(document("warm", quoted(bytes(6 << 20)), payloadEncoding="base64"))
        before, kept = peak(), self.refused()
        head, tail = document("bomb", "@").split(b"@")
        deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = deflate.compress(head + b'"')
        bomb += b"".join(deflate.compress(b"A" * (1 << 20)) for _ in range(64))
        bomb += deflate.compress(b'"' + tail) + deflate.flush()
        whole = head + b'"' + b"A" * (64 << 20) + b'"' + tail
        zstd = subprocess.run(["zstd", "-qc"], input=whole, capture_output=True, check=True).stdout
        del whole
        for coding, body in (("gzip", bomb), ("zstd", zstd)):
            answer = self.send(body, {"Content-Encoding": coding})
            self.assert_problem(answer, 413)
        self.assert_problem(self.send(b" " * 5_000_000), 413, "beside its payload")
        self.assert_problem(self.send(document("large", quoted(bytes((8 << 20) + 1)),
                                               payloadEncoding="base64")), 413)
        self.assertLess(peak() - before, 160 << 20)
        self.assertEqual(self.refused(), kept)


class Defects(MessageTest):
    """What went wrong in pipelines of this kind, tried on this one."""

    def test_no_secret_of_the_request_reaches_record_object_index_or_log(self):
        secret = "hunter2-" + harness.seeded("secret").randbytes(12).hex()
        answer = self.send(document("key", "1"), {
            "X-Api-Key": secret, "Authorization": f"Bearer {secret}", "Cookie": f"s={secret}"})
        message_id = self.assert_taken(answer)
        self.wait_state(message_id)
        refused = self.send(document("key 2", "1", dateTime="x"), {"X-Api-Key": secret})
        self.assert_problem(refused, 400)
        found = subprocess.run(["grep", "-rl", secret, self.area.path], capture_output=True, text=True)
        self.assertEqual(found.stdout, "")
        for name in ("key", "key 2"):
            self.assertNotIn(secret, json.dumps(self.record(message_id)), name)

    def test_the_objects_name_is_made_of_our_clock(self):
        message_id = self.assert_taken(self.send(document("past", "1", dateTime="1971-02-03T04:05:06Z")))
        row = self.wait_state(message_id)
        self.assertEqual(row["event_time"], "1971-02-03T04:05:06.000000Z")
        self.assertNotIn("1971", row["object"]["key"])
        self.assertIn(row["received_at"][:4] + "/" + row["received_at"][5:7], row["object"]["key"])

    def test_a_retry_makes_no_second_record(self):
        bodies = [document("storm", quoted(b"storm"), payloadEncoding="base64")] * 24
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(self.send, bodies))
        ids = {answer.json()["messageID"] for answer in answers if answer.status == 200}
        self.assertEqual({answer.status for answer in answers} - {409}, {200})
        self.assertEqual(len(ids), 1)
        self.wait_state(ids.pop())
        with sqlite3.connect(f"file:{self.daybook.sqlite_file}?mode=ro", uri=True) as index:
            self.assertEqual(index.execute(
                "SELECT count(*) FROM records WHERE event_id = 'storm'").fetchone(), (1,))

    def test_a_client_that_leaves_in_the_middle_leaves_nothing(self):
        body = document("leaver", quoted(bytes(3_000_000)), payloadEncoding="base64")
        head = (f"POST /ingestMessage HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with socket.create_connection(("127.0.0.1", self.port)) as raw:
            raw.sendall(head + body[:2_000_000])
        message_id = self.assert_taken(self.send(body))
        self.wait_state(message_id)
        self.assertEqual(self.record(message_id)["size"], 3_000_000)


class Kills(MessageTest):
    """kill -9, before and after the answer."""

    def test_killed_in_the_middle_nothing_is_stored_and_the_repetition_is_taken(self):
        payload = harness.seeded("mid").randbytes(3_000_000)
        body = document("mid", quoted(payload), payloadEncoding="base64")
        head = (f"POST /ingestMessage HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with socket.create_connection(("127.0.0.1", self.port)) as raw:
            raw.sendall(head + body[:len(body) - 1000])
            time.sleep(0.2)
            self.daybook.kill()
        self.daybook.start()
        self.assertEqual(client.request(self.port, "GET", "/v1/records?source=till-7").json()["records"], [])
        first = self.assert_taken(self.send(body))
        # After the answer: it is kept whatever happens, and a repetition finds it.
        self.daybook.kill()
        self.daybook.start()
        self.assertEqual(self.assert_taken(self.send(body)), first)
        self.wait_state(first)
        self.assertTrue(self.payload(first) == payload)


class Outages(MessageTest):
    """Failures after the payload had arrived: retried by the pipeline, or answered 5xx with the id."""

    settings = {"pipeline.retry_first": "100ms", "pipeline.retry_max": "200ms",
                "buffer.append_timeout": "2s", "spool.bytes_max": "0B", "spool.direct_archive": "false",
                "pipeline.attempts_max": "3", "pipeline.parked_retry": "1h"}

    def assert_stays(self, message_id, listed):
        """In Redis, only what remembers requests may expire."""
        at_once = ("local all = {} for i, key in ipairs(redis.call('KEYS', '*')) do "
                   "all[i] = key .. ' ' .. redis.call('PTTL', key) end return all")
        lives = {key: int(life) for key, life in (
            line.split() for line in self.redis.command("EVAL", at_once, 0).splitlines())}
        lasting = {key for key, life in lives.items() if life == -1}
        for data in (f":record:{message_id}$", ":wal$", listed, ":counters$"):
            self.assertTrue([key for key in lasting if re.search(data, key)], f"{data} of {lives}")
        for key in lives.keys() - lasting:
            self.assertRegex(key, r"^\{daybook:\d+\}:(key|appended):")

    def test_an_unarchived_record_does_not_expire_and_retries_are_real(self):
        archive = self.daybook.archive_dir
        os.makedirs(archive, exist_ok=True)
        os.rename(archive, archive + ".away")
        with open(archive, "w") as blocker:
            blocker.write("no folder")
        message_id = self.assert_taken(self.send(document("retry", '"kept"')))

        def parked():
            listed = client.request(self.port, "GET", "/v1/parked").json()["records"]
            return next((one for one in listed if one["id"] == message_id), None)

        self.assert_stays(message_id, ":(pending|parked)$")
        one = harness.wait_until(parked, "it is parked")
        self.assert_stays(message_id, ":parked$")
        self.assertEqual((one["stage"], one["attempts"]), ("archive", 3))
        self.assertEqual(self.payload(message_id), b'"kept"')
        os.remove(archive)
        os.rename(archive + ".away", archive)
        client.request(self.port, "POST", f"/v1/parked/replay?id={message_id}")
        self.wait_state(message_id)
        self.assertEqual(self.payload(message_id), b'"kept"')

    def test_a_failure_behind_the_payload_is_503_with_the_id_of_what_was_salvaged(self):
        payload = harness.seeded("fail").randbytes(100_000)
        body = document("fail", quoted(payload), payloadEncoding="base64", contentType="image/png")
        head = (f"POST /ingestMessage HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with client.Connection(self.port) as raw:
            raw.send(head + body[:-10])
            time.sleep(0.2)
            self.redis.stop()
            raw.send(body[-10:])
            answer = raw.read_answer()
        problem = self.assert_problem(answer, 503)
        self.assertRegex(problem["messageID"], r"^[0-9a-f-]{36}$")
        path = os.path.join(self.daybook.data_dir, "salvage", problem["messageID"] + ".zst")
        self.assertEqual(subprocess.run(["zstd", "-dc", path], capture_output=True,
                                        check=True).stdout, payload)
        self.redis.start()
        self.daybook.wait_ready()
        run = subprocess.run(
            [harness.binary(), "salvage", "post", problem["messageID"], "--json",
             "--set", f"node.data_dir={self.daybook.data_dir}", "--url", self.daybook.url],
            capture_output=True, text=True, env=harness.clean_environment())
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.assert_taken(self.send(body)), json.loads(run.stdout)["id"])


if __name__ == "__main__":
    harness.main()
