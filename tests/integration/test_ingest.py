"""POST a record, get the receipt, find it archived and indexed, read it back: by curl and by hand."""

import concurrent.futures
import json
import sqlite3
import threading
import time

import checker
import client
import harness
import payloads

LIMIT = 8 << 20


class Context(harness.DaybookTest):
    """How a record came is kept with it; what would let somebody act as its sender is not."""

    settings = {"ingest.principal_header": "X-User", "ingest.context_headers": "X-Request-Id"}

    def test_the_record_says_how_it_came_and_keeps_no_secret(self):
        secret = "hunter2-" + harness.seeded("secret").randbytes(8).hex()
        answer = client.post(self.port, b"x", {
            "User-Agent": "a test/1", "X-User": "ada", "X-Request-Id": "r-7",
            "Authorization": secret, "Cookie": secret, "X-Api-Key": secret})
        self.assertEqual(answer.status, 201, answer.describe())
        shown = client.request(self.port, "GET", f"/v1/records/{answer.json()['id']}")
        self.assertEqual(shown.json()["context"], {
            "door": "records", "peer": "127.0.0.1", "user_agent": "a test/1", "principal": "ada",
            "header.x-request-id": "r-7"})
        self.assertNotIn(secret, shown.body.decode())


class Receipt(harness.DaybookTest):
    """The main path, with curl as the client."""

    def test_curl_posts_4_MB_and_finds_it_archived_and_indexed(self):
        payload = payloads.audit_lines(harness.seeded("4MB"), 4 << 20)
        path = self.area.write("four.ndjson", payload)
        answer = client.curl(
            "--data-binary", f"@{path}", "-H", "Content-Type: application/x-ndjson",
            "-H", "ce-source: /tests/curl", "-H", "ce-id: first", "-H", "ce-type: audit.batch",
            f"{self.daybook.url}/v1/records")
        self.assertEqual(answer.status, 201, answer.describe())
        receipt = answer.json()
        self.assertEqual(answer.header("location"), f"/v1/records/{receipt['id']}")
        self.assertEqual(receipt["sha256"], payloads.sha256(payload))
        self.assertEqual(receipt["size"], len(payload))
        self.assertEqual(receipt["durability"], "fsync")
        self.assertEqual(receipt["state"], "buffered")
        self.assertEqual(receipt["tenant"], "default")
        self.assertRegex(receipt["id"], r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]")
        self.assertRegex(receipt["position"], r"^\d+-\d+$")
        self.assertRegex(receipt["received_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertIn(receipt["partition"], range(4))
        self.assertLess(receipt["stored_size"], len(payload) // 2)

        row = self.wait_state(receipt["id"])
        for name in ("id", "tenant", "sha256", "size", "stored_size", "received_at", "partition",
                     "position", "durability"):
            self.assertEqual(row[name], receipt[name], name)
        self.assertEqual((row["source"], row["event_id"], row["type"], row["content_type"]),
                         ("/tests/curl", "first", "audit.batch", "application/x-ndjson"))
        self.assertIn(receipt["id"], row["object"]["key"])
        self.assertTrue(row["indexed_at"])
        back = client.curl(f"{self.daybook.url}/v1/records/{receipt['id']}/payload")
        self.assertEqual(payloads.sha256(back.body), receipt["sha256"])
        objects, stray = checker.archived_objects(self.daybook.archive_dir)
        self.assertEqual(stray, [])
        self.assertEqual([digest for _, digest, _ in objects[receipt["id"]]], [receipt["sha256"]])
        with sqlite3.connect(f"file:{self.daybook.sqlite_file}?mode=ro", uri=True) as index:
            self.assertEqual(index.execute(
                "SELECT count(*), min(state) FROM records WHERE id = ?",
                (receipt["id"],)).fetchone(), (1, "indexed"))

    def test_the_payload_can_be_read_at_once_from_the_buffer_or_the_archive(self):
        for size in (1, 100, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_333_333):
            payload = payloads.any_payload(harness.seeded(f"now{size}"), size, size)
            receipt = client.post(self.port, payload).json()
            row = client.request(self.port, "GET", f"/v1/records/{receipt['id']}").json()
            self.assertIn(row["state"], ("buffered", "archived", "indexed"))
            self.assertEqual((row["size"], row["sha256"]), (len(payload), receipt["sha256"]))
            answer = client.request(self.port, "GET", f"/v1/records/{receipt['id']}/payload")
            self.assertEqual(answer.status, 200, answer.describe())
            self.assertEqual(payloads.sha256(answer.body), payloads.sha256(payload))

    def test_payload_headers_state_type_digest_and_ranges(self):
        payload = b'{"hello":"world"}'
        receipt = client.post(self.port, payload, {"Content-Type": "application/json; v=1"}).json()
        for method in ("GET", "HEAD"):
            answer = client.request(self.port, method, f"/v1/records/{receipt['id']}/payload")
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.header("content-type"), "application/json; v=1")
            self.assertEqual(answer.header("content-length"), str(len(payload)))
            self.assertEqual(answer.header("etag"), f'"{receipt["sha256"]}"')
            self.assertEqual(answer.header("accept-ranges"), "bytes")
            self.assertEqual(answer.header("repr-digest"), client.content_digest(payload))
            self.assertEqual(answer.header("content-digest"), client.content_digest(payload))
            self.assertEqual(answer.body, payload if method == "GET" else b"")

    def test_the_largest_body_is_taken(self):
        payload = payloads.incompressible(harness.seeded("8MiB"), LIMIT)
        answer = client.post(self.port, payload)
        self.assertEqual(answer.status, 201, answer.describe())
        self.assertEqual(answer.json()["sha256"], payloads.sha256(payload))
        self.wait_state(answer.json()["id"])

    def test_the_smallest_body_is_taken(self):
        receipt = client.post(self.port, b"x").json()
        self.assertEqual((receipt["size"], receipt["sha256"]), (1, payloads.sha256(b"x")))
        self.assertEqual(client.request(
            self.port, "GET", f"/v1/records/{receipt['id']}/payload").body, b"x")

    def test_content_digest_is_verified(self):
        payload = payloads.audit_lines(harness.seeded("digest"), 1_500_000)
        good = client.post(self.port, payload, {"Content-Digest": client.content_digest(payload)})
        self.assertEqual(good.status, 201, good.describe())
        before = checker.buffer_figures(self.redis)["accepted"]
        for wrong in (payload + b"x", b"something else"):
            answer = client.post(self.port, payload,
                                 {"Content-Digest": client.content_digest(wrong)})
            self.assert_problem(answer, 400, "digest")
        self.assertEqual(checker.buffer_figures(self.redis)["accepted"], before)

    def test_chunked_upload_in_odd_pieces(self):
        payload = payloads.audit_lines(harness.seeded("chunked"), 2_500_001)
        with client.Connection(self.port) as raw:
            raw.send_head("POST", "/v1/records", "Transfer-Encoding: chunked")
            raw.send(client.chunked(payload, [1, 65_537, 7, 300_000, 4096]))
            answer = raw.read_answer()
        self.assertEqual(answer.status, 201, answer.describe())
        self.assertEqual(answer.json()["sha256"], payloads.sha256(payload))
        path = self.area.write("chunked", payload)
        answer = client.curl("-H", "Transfer-Encoding: chunked", "--data-binary", f"@{path}",
                             f"{self.daybook.url}/v1/records")
        self.assertEqual(answer.json()["sha256"], payloads.sha256(payload))

    def test_expect_100_continue_is_answered_before_the_body(self):
        payload = payloads.audit_lines(harness.seeded("expect"), 300_000)
        with client.Connection(self.port) as raw:
            raw.send_head("POST", "/v1/records", f"Content-Length: {len(payload)}",
                          "Expect: 100-continue")
            self.assertEqual(raw.read_answer(interim=True).status, 100)
            raw.send(payload)
            self.assertEqual(raw.read_answer().json()["sha256"], payloads.sha256(payload))
        path = self.area.write("expect", payload)
        answer = client.curl("-H", "Expect: 100-continue", "--data-binary", f"@{path}",
                             f"{self.daybook.url}/v1/records")
        self.assertEqual(answer.status, 201)

    def test_attributes_come_back_decoded(self):
        given = {
            "ce-specversion": "1.0", "ce-id": "7 of 9", "ce-source": "/caf%C3%A9",
            "ce-type": "com.example.audit", "ce-subject": "Gr%C3%BC%C3%9Fe%20%22from%22%20K%C3%B6ln",
            "ce-time": "2025-03-04T05:06:07.5+02:00", "ce-region": "eu%2Dwest", "ce-shift": "night"}
        receipt = client.post(self.port, b"attributes", given).json()
        for state in ("now", "indexed"):
            row = client.request(self.port, "GET", f"/v1/records/{receipt['id']}").json() \
                if state == "now" else self.wait_state(receipt["id"])
            self.assertEqual(row["source"], "/caf\u00e9")
            self.assertEqual(row["event_id"], "7 of 9")
            self.assertEqual(row["subject"], 'Gr\u00fc\u00dfe "from" K\u00f6ln')
            self.assertEqual(row["type"], "com.example.audit")
            self.assertTrue(row["event_time"].startswith("2025-03-04T03:06:07.5"), row)
            self.assertEqual(row["attributes"].get("region"), "eu-west")
            self.assertEqual(row["attributes"].get("shift"), "night")

    def test_32_clients_at_a_time(self):
        def run(number):
            random = harness.seeded(f"client{number}")
            out = []
            for _ in range(3):
                payload = payloads.any_payload(random, 1000, 2 << 20)
                answer = client.post(self.port, payload, timeout_s=120)
                out.append((answer.status, answer.json(), payloads.sha256(payload)))
            return out
        journal = checker.Journal()
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            for outcome in pool.map(run, range(32)):
                for status, receipt, digest in outcome:
                    self.assertEqual((status, receipt.get("sha256")), (201, digest), receipt)
                    journal.acknowledge(receipt)
        self.assertEqual(len(journal), 96)
        checker.wait_drained(self.redis)
        for record_id in journal.records:
            self.wait_state(record_id)


class Ranges(harness.DaybookTest):

    def test_any_range_is_exactly_those_bytes(self):
        random = harness.seeded("ranges")
        payload = payloads.audit_lines(random, 3_700_001)
        receipt = client.post(self.port, payload).json()
        self.wait_state(receipt["id"])
        target = f"/v1/records/{receipt['id']}/payload"
        size = len(payload)
        edges = [(0, 0), (0, size - 1), (size - 1, size - 1), ((1 << 20) - 1, 1 << 20),
                 (1 << 20, (2 << 20) - 1), (3 << 20, size + 1000)]
        some = [tuple(sorted((random.randrange(size), random.randrange(size)))) for _ in range(60)]
        small = [(first, first + random.randrange(200)) for _, first in some]
        for first, last in edges + some + small:
            answer = client.request(self.port, "GET", target,
                                    headers={"Range": f"bytes={first}-{last}"})
            last = min(last, size - 1)
            self.assertEqual(answer.status, 206, (first, last, answer.status))
            self.assertEqual(answer.header("content-range"), f"bytes {first}-{last}/{size}")
            self.assertTrue(answer.body == payload[first:last + 1], f"range {first}-{last}")
            self.assertEqual(answer.header("repr-digest"), client.content_digest(payload))
        for text, expected in ((f"bytes={size - 5}-", payload[-5:]), ("bytes=-17", payload[-17:]),
                               (f"bytes=-{size + 9}", payload)):
            answer = client.request(self.port, "GET", target, headers={"Range": text})
            self.assertEqual(answer.status, 206, text)
            self.assertTrue(answer.body == expected, text)
        answer = client.curl("-r", "1000000-2000000", f"{self.daybook.url}{target}")
        self.assertTrue(answer.body == payload[1_000_000:2_000_001])

    def test_a_range_past_the_end_is_416_with_the_size(self):
        receipt = client.post(self.port, b"0123456789").json()
        target = f"/v1/records/{receipt['id']}/payload"
        for text in ("bytes=10-", "bytes=500-600", "bytes=-0"):
            answer = client.request(self.port, "GET", target, headers={"Range": text})
            self.assertEqual(answer.status, 416, (text, answer.describe()))
            self.assertEqual(answer.header("content-range"), "bytes */10")
        for text in ("lines=1-2", "bytes=5-2", "bytes=a-b"):
            answer = client.request(self.port, "GET", target, headers={"Range": text})
            self.assertEqual((answer.status, answer.body), (200, b"0123456789"), text)


class Limits(harness.DaybookTest):

    def test_one_byte_over_the_limit_is_413_before_the_body_is_read(self):
        for fields in ((), ("Expect: 100-continue",)):
            with client.Connection(self.port) as raw:
                raw.send_head("POST", "/v1/records", f"Content-Length: {LIMIT + 1}", *fields)
                self.assert_problem(raw.read_answer(interim=True), 413, "8")

    def test_a_client_that_sends_everything_first_can_read_the_413(self):
        payload = bytes(LIMIT + 1)
        for _ in range(10):
            with client.Connection(self.port) as raw:
                raw.send_head("POST", "/v1/records", f"Content-Length: {len(payload)}")
                raw.send(payload)
                self.assert_problem(raw.read_answer(), 413)

    def test_chunks_beyond_the_limit_are_413(self):
        with client.Connection(self.port) as raw:
            raw.send_head("POST", "/v1/records", "Transfer-Encoding: chunked")
            raw.send(client.chunked(bytes(LIMIT + 1), [1 << 20]))
            self.assert_problem(raw.read_answer(), 413)

    def test_curl_reads_the_413(self):
        path = self.area.write("big", bytes(LIMIT + 1))
        for expect in ("Expect:", "Expect: 100-continue"):
            answer = client.curl("-H", expect, "--data-binary", f"@{path}",
                                 f"{self.daybook.url}/v1/records")
            self.assert_problem(answer, 413)


class KeepAlive(harness.DaybookTest):

    def test_many_requests_on_one_connection(self):
        with client.Connection(self.port) as raw:
            for number in range(30):
                body = b"n%d" % number
                raw.send_head("POST", "/v1/records", f"Content-Length: {len(body)}")
                raw.send(body)
                self.assertEqual(raw.read_answer().json()["sha256"], payloads.sha256(body))

    def test_pipelined_requests_are_answered_in_order(self):
        first, second = b"first", payloads.audit_lines(harness.seeded("pipelined"), 1_200_000)
        post = "POST /v1/records HTTP/1.1\r\nHost: a\r\n"
        content = (
            b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
            + f"{post}Content-Length: {len(first)}\r\n\r\n".encode() + first
            + f"{post}Transfer-Encoding: chunked\r\n\r\n".encode()
            + client.chunked(second, [500_000])
            + b"GET /v1/records/not-a-uuid HTTP/1.1\r\nHost: a\r\n\r\n"
            + b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with client.Connection(self.port) as raw:
            sender = threading.Thread(target=raw.send, args=(content,))
            sender.start()
            answers = [raw.read_answer() for _ in range(5)]
            sender.join()
            self.assertTrue(raw.ended())
        self.assertEqual([answer.status for answer in answers], [200, 201, 201, 400, 200])
        self.assertEqual(answers[1].json()["sha256"], payloads.sha256(first))
        self.assertEqual(answers[2].json()["sha256"], payloads.sha256(second))

    def test_http_1_0_closes_after_the_answer(self):
        with client.Connection(self.port) as raw:
            raw.send(b"GET /livez HTTP/1.0\r\n\r\n")
            self.assertEqual(raw.read_answer().status, 200)
            self.assertTrue(raw.ended())


class Idempotency(harness.DaybookTest):
    settings = {"ingest.reservation_lease": "2s"}

    def repeat(self, headers, payload, first):
        again = client.post(self.port, payload, headers)
        self.assertEqual(again.status, 200, again.describe())
        self.assertEqual(again.body, first.body, "the receipt must be the first one, byte for byte")
        self.assertEqual(again.header("location"), first.header("location"))

    def test_the_same_key_and_bytes_give_the_first_receipt(self):
        for headers in ({"Idempotency-Key": "k-1"}, {"ce-source": "/idem", "ce-id": "e-1"}):
            payload = payloads.audit_lines(harness.seeded("idem"), 700_000)
            first = client.post(self.port, payload, headers)
            self.assertEqual(first.status, 201, first.describe())
            self.repeat(headers, payload, first)
            self.wait_state(first.json()["id"])
            self.repeat(headers, payload, first)

    def test_the_same_key_with_other_bytes_is_422(self):
        for headers in ({"Idempotency-Key": "k-2"}, {"ce-source": "/idem", "ce-id": "e-2"}):
            self.assertEqual(client.post(self.port, b"one", headers).status, 201)
            self.assert_problem(client.post(self.port, b"two", headers), 422, "key")

    def test_a_key_whose_first_request_is_still_sending_is_409(self):
        payload = payloads.audit_lines(harness.seeded("flight"), 1_500_000)
        headers = {"Idempotency-Key": "k-3"}
        with client.Connection(self.port) as raw:
            raw.send_head("POST", "/v1/records", f"Content-Length: {len(payload)}",
                          "Idempotency-Key: k-3")
            raw.send(payload[:1_000_000])
            time.sleep(0.3)
            answer = client.post(self.port, payload, headers)
            self.assert_problem(answer, 409)
            self.assertTrue(answer.header("retry-after"))
            raw.send(payload[1_000_000:])
            first = raw.read_answer()
        self.assertEqual(first.status, 201, first.describe())
        self.repeat(headers, payload, first)

    def test_a_key_is_free_again_after_its_upload_broke(self):
        headers = {"Idempotency-Key": "k-4"}
        with client.Connection(self.port) as raw:
            raw.send_head("POST", "/v1/records", "Content-Length: 1000000", "Idempotency-Key: k-4")
            raw.send(bytes(500_000))
            time.sleep(0.2)
        harness.wait_until(lambda: client.post(self.port, b"later", headers).status == 201,
                           "the key can be used", 20, 0.2)

    def test_receipts_survive_a_restart_of_daybook_and_of_redis(self):
        sent = []
        for number in range(5):
            headers, payload = {"Idempotency-Key": f"r-{number}"}, b"restart %d" % number
            sent.append((headers, payload, client.post(self.port, payload, headers)))
        self.daybook.stop()
        self.daybook.start()
        for headers, payload, first in sent:
            self.repeat(headers, payload, first)
        self.redis.stop()
        self.redis.start()
        self.daybook.wait_ready()
        for headers, payload, first in sent:
            self.repeat(headers, payload, first)
        self.redis.kill()
        self.redis.start()
        self.daybook.wait_ready()
        for headers, payload, first in sent:
            self.repeat(headers, payload, first)


class Listing(harness.DaybookTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.receipts = []
        for number in range(25):
            answer = client.post(cls.daybook.port, b"listed %d" % number, {
                "ce-source": f"/list/{number % 2}", "ce-id": str(number),
                "ce-type": f"type.{number % 3}", "ce-subject": f"subject {number % 5}".replace(
                    " ", "%20")})
            cls.receipts.append(answer.json())
            time.sleep(0.005)
        checker.wait_drained(cls.redis)

    def list(self, query):
        answer = client.request(self.port, "GET", f"/v1/records?{query}")
        self.assertEqual(answer.status, 200, answer.describe())
        return answer.json()

    def expect(self, query, wanted):
        found = [record["id"] for record in self.list(query)["records"]]
        self.assertEqual(found, [receipt["id"] for receipt in reversed(wanted)], query)

    def test_newest_first_page_by_page(self):
        found, cursor, pages = [], "", 0
        while True:
            page = self.list(f"limit=10&cursor={cursor}" if cursor else "limit=10")
            found += [record["id"] for record in page["records"]]
            pages += 1
            cursor = page["next_cursor"]
            if not cursor:
                break
            self.assertLess(pages, 10)
        self.assertEqual(found, [receipt["id"] for receipt in reversed(self.receipts)])
        self.assertEqual(pages, 3)

    def test_filters(self):
        every = self.receipts
        self.expect("source=/list/1", every[1::2])
        self.expect("source=%2Flist%2F0&type=type.0", every[0::6])
        self.expect("type=type.2", every[2::3])
        self.expect("subject=subject%203", every[3::5])
        self.expect("subject=subject+3", every[3::5])
        self.expect("state=indexed", every)
        self.expect("tenant=default", every)
        self.expect("tenant=nobody", [])
        self.expect("source=/list/", [])

    def test_since_is_inclusive_and_until_exclusive(self):
        since, until = self.receipts[5]["received_at"], self.receipts[15]["received_at"]
        self.expect(f"since={since}&until={until}", self.receipts[5:15])

    def test_wrong_parameters_are_400(self):
        for query in ("limit=0", "limit=many", "limit=1000000", "since=yesterday",
                      "cursor=%00broken", "state=happy", "unknown=1"):
            self.assert_problem(client.request(self.port, "GET", f"/v1/records?{query}"), 400)

    def test_pages_are_json_that_other_tools_read(self):
        answer = client.curl(f"{self.daybook.url}/v1/records?limit=3")
        self.assertTrue(answer.header("content-type").startswith("application/json"))
        self.assertEqual(len(json.loads(answer.body)["records"]), 3)


if __name__ == "__main__":
    harness.main()
