"""Many records in one body: POST /v1/records:batch and POST /messages, by curl and by Python's clients."""

import email.mime.application
import email.mime.multipart
import gzip
import json
import signal
import threading
import time
import unittest

import client
import harness
import payloads

JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}


def elements(count, size=200):
    """Objects that differ, as texts with blanks that must come back as they are."""
    random = harness.seeded(f"elements{count}")
    return [json.dumps({"id": i + 1, "text": random.randbytes(size // 2).hex()}, indent=i % 2 or None)
            for i in range(count)]


class Batches(harness.DaybookTest):
    settings = {"ingest.body_bytes_max": "1MiB"}

    def post(self, body, headers, path="/v1/records:batch"):
        return client.request(self.port, "POST", path, body, headers)

    def payload(self, record_id):
        return client.request(self.port, "GET", f"/v1/records/{record_id}/payload").body.decode()

    def assert_stored(self, answer, texts):
        """Each element is a record with the element's bytes, in the order of the elements."""
        self.assertEqual(answer.status, 201, answer.describe())
        results = answer.json()["results"]
        self.assertEqual([one["index"] for one in results], list(range(len(texts))))
        self.assertEqual({one["status"] for one in results}, {201})
        ids = [one["receipt"]["id"] for one in results]
        self.assertEqual(ids, sorted(ids), "ids are in the order of the elements")
        for one, text in zip(results, texts):
            self.assertEqual(one["receipt"]["sha256"], payloads.sha256(text.encode()))
        self.assertEqual(self.payload(ids[0]), texts[0])
        self.assertEqual(self.payload(ids[-1]), texts[-1])
        return ids

    def test_curl_posts_an_array_and_each_element_becomes_a_record(self):
        texts = elements(300)
        path = self.area.write("array.json", ("[ " + " ,\n".join(texts) + "]").encode())
        answer = client.curl("--data-binary", f"@{path}", "-H", "Content-Type: application/json",
                             "-H", "ce-source: /tests/batch", f"{self.daybook.url}/messages")
        ids = self.assert_stored(answer, texts)
        row = self.wait_state(ids[7])
        self.assertEqual((row["source"], row["content_type"], row["context"]["door"]),
                         ("/tests/batch", "application/json", "messages"))

    def test_lines_are_records_and_a_bad_one_is_refused_alone(self):
        texts = [text.replace("\n", " ") for text in elements(5)]
        texts[2] = '{"id": 3, "text": oops}'
        answer = self.post("\n".join(texts).encode(), LINES)
        self.assertEqual(answer.status, 207, answer.describe())
        body = answer.json()
        self.assertEqual((body["stored"], body["failed"]), (4, 1))
        self.assertEqual([one["status"] for one in body["results"]], [201, 201, 400, 201, 201])
        self.assertIn("byte", body["results"][2]["error"]["detail"])
        self.assertEqual(self.payload(body["results"][3]["receipt"]["id"]), texts[3])

    def test_parts_say_themselves_what_they_are(self):
        batch = email.mime.multipart.MIMEMultipart("mixed")
        contents = [harness.seeded(f"part{i}").randbytes(50_000) for i in range(3)]
        for number, content in enumerate(contents):
            part = email.mime.application.MIMEApplication(content, "pdf", _encoder=lambda _: None)
            del part["MIME-Version"]
            part["Content-Transfer-Encoding"] = "binary"
            part["ce-source"], part["ce-id"] = "/parts", str(number)
            batch.attach(part)
        boundary = "=boundary=of=tests="
        body = b"".join(
            b"--" + boundary.encode() + b"\r\n"
            + b"".join(f"{name}: {value}\r\n".encode() for name, value in part.items())
            + b"\r\n" + content + b"\r\n"
            for part, content in zip(batch.get_payload(), contents))
        body += b"--" + boundary.encode() + b"--\r\n"
        headers = {"Content-Type": f'multipart/mixed; boundary="{boundary}"'}
        answer = self.post(body, headers)
        self.assertEqual(answer.status, 201, answer.describe())
        for one, content in zip(answer.json()["results"], contents):
            self.assertEqual(one["receipt"]["sha256"], payloads.sha256(content))
        row = self.wait_state(answer.json()["results"][1]["receipt"]["id"])
        self.assertEqual((row["source"], row["event_id"], row["content_type"]),
                         ("/parts", "1", "application/pdf"))
        again = self.post(body, headers)
        self.assertEqual(again.status, 200, again.describe())
        self.assertEqual([one["receipt"] for one in again.json()["results"]],
                         [one["receipt"] for one in answer.json()["results"]])

    def test_a_batch_sent_again_under_its_key_is_stored_once(self):
        texts = elements(20)
        headers = {**JSON, "Idempotency-Key": "batch-1"}
        half = self.post(f"[{','.join(texts[:10])}".encode(), headers)
        self.assertEqual(half.status, 207, half.describe())
        self.assertEqual(half.json()["stored"], 10)
        self.assertIn("byte", half.json()["error"]["detail"])
        whole = self.post(f"[{','.join(texts)}]".encode(), headers)
        self.assertEqual(whole.status, 201, whole.describe())
        self.assertEqual((whole.json()["stored"], whole.json()["repeated"]), (10, 10))
        self.assertEqual([one["receipt"] for one in whole.json()["results"]][:10],
                         [one["receipt"] for one in half.json()["results"]])

    def test_atomic_stores_all(self):
        texts = elements(50)
        body = f"[{','.join(texts)}]".encode()
        headers = {**JSON, "Idempotency-Key": "atomic-1",
                   "Content-Digest": client.content_digest(body)}
        first = self.post(body, headers, "/v1/records:batch?atomic=true")
        ids = self.assert_stored(first, texts)
        again = self.post(body, headers, "/messages?atomic=true")
        self.assertEqual(again.status, 200, again.describe())
        self.assertEqual([one["receipt"]["id"] for one in again.json()["results"]], ids)
        other = self.post(body[:-1] + b" ]", {**JSON, "Idempotency-Key": "atomic-1"},
                          "/v1/records:batch?atomic=true")
        self.assert_problem(other, 422, "another batch")
        for record_id in ids:
            self.wait_state(record_id)

    def test_atomic_stores_none_where_one_is_bad(self):
        before = self.accepted()
        texts = elements(5)
        for bad, words in ((texts[:2] + ["oops"] + texts[3:], "byte"),
                           (texts[:2] + ['"' + "x" * (1 << 20) + '"'], "atomic batch")):
            answer = self.post(f"[{','.join(bad)}]".encode(), JSON, "/v1/records:batch?atomic=true")
            self.assertIn(answer.status, (400, 413), answer.describe())
            self.assertIn(words, answer.json()["detail"])
        cut = self.post(b"[1,2", JSON, "/v1/records:batch?atomic=true")
        self.assert_problem(cut, 400, "byte 4")
        wrong = self.post(b"[1]", {**JSON, "Content-Digest": client.content_digest(b"[2]")},
                          "/v1/records:batch?atomic=true")
        self.assert_problem(wrong, 400, "Content-Digest")
        self.assertEqual(self.accepted(), before, "something of a refused atomic batch was stored")

    def accepted(self):
        text = client.request(self.port, "GET", "/metrics").body.decode()
        return next(line.split()[1] for line in text.splitlines()
                    if line.startswith("daybook_records_accepted_total "))

    def test_what_is_no_batch_is_refused_with_a_reason(self):
        for body, headers, status, words in (
                (b"[]", JSON, 400, "no record"), (b"", JSON, 400, "nothing"),
                (b"<a/>", {"Content-Type": "application/xml"}, 415, "multipart/mixed"),
                (b"x", {"Content-Type": "multipart/mixed"}, 400, "boundary"),
                (b'{"a":1}', JSON, 415, "array"),
                (b"[1]", {**JSON, "ce-id": "7", "ce-source": "/x"}, 400, "ce-id"),
                (b"[1]", {**JSON, "Content-Digest": client.content_digest(b"[1]")}, 400, "atomic")):
            answer = self.post(body, headers)
            self.assert_problem(answer, status, words)
        self.assert_problem(self.post(b"[1]", JSON, "/v1/records:batch?atomic=maybe"), 400, "atomic")
        self.assertEqual(client.request(self.port, "GET", "/v1/records:batch").status, 405)

    def test_a_batch_may_be_coded(self):
        texts = elements(100)
        body = f"[{','.join(texts)}]".encode()
        self.assert_stored(self.post(gzip.compress(body), {**JSON, "Content-Encoding": "gzip"}), texts)
        coded = gzip.compress(body)
        atomic = {**JSON, "Content-Encoding": "gzip", "Content-Digest": client.content_digest(coded)}
        self.assert_stored(self.post(coded, atomic, "/v1/records:batch?atomic=true"), texts)
        cut = self.post(coded[:-20], {**JSON, "Content-Encoding": "gzip"})
        self.assertIn("error", cut.json(), "a cut body is an error whatever stood before")
        self.assert_problem(self.post(b"[1]", {**JSON, "Content-Encoding": "br"}), 415, "gzip")

    def test_an_element_above_the_limit_is_refused_alone(self):
        answer = self.post(b'[1,"' + b"x" * (1 << 20) + b'",3]', JSON)
        self.assertEqual(answer.status, 207, answer.describe())
        self.assertEqual([one["status"] for one in answer.json()["results"]], [201, 413, 201])


class KilledInTheMiddle(harness.DaybookTest):
    def test_a_batch_whose_server_dies_is_completed_by_its_repetition(self):
        texts = elements(2000)
        body = f"[{','.join(texts)}]".encode()
        headers = {**JSON, "Idempotency-Key": "killed"}
        outcome = {}

        def send():
            try:
                outcome["answer"] = client.request(self.port, "POST", "/messages", body, headers)
            except OSError as error:
                outcome["error"] = error

        sender = threading.Thread(target=send)
        sender.start()
        harness.wait_until(lambda: int(self.redis.command(
            "HGET", "{daybook:0}:counters", "accepted").strip() or 0) > 50, "some elements to be stored")
        self.daybook.kill()
        sender.join()
        self.daybook.start()
        deadline = time.monotonic() + 60
        while True:
            answer = client.request(self.port, "POST", "/messages", body, headers)
            if answer.status in (200, 201) or time.monotonic() > deadline:
                break
            time.sleep(0.2)  # reservations of the dead process are void after its next run's first look
        self.assertIn(answer.status, (200, 201), answer.describe())
        ids = {one["receipt"]["id"] for one in answer.json()["results"]}
        self.assertEqual(len(ids), len(texts))

        def settled():
            status = client.request(self.port, "GET", "/v1/status").json()["records"]
            return status["accepted"] == status["released"]
        harness.wait_until(settled, "all records to be archived")
        status = client.request(self.port, "GET", "/v1/status").json()["records"]
        self.assertEqual((status["accepted"], status["unaccounted"]), (len(texts), 0))


class AtomicWhateverHappens(harness.DaybookTest):
    """An atomic batch is stored whole or not at all, also where somebody dies in the middle."""

    PARTITIONS, SIZE = 4, 40
    settings = {"buffer.partitions": str(PARTITIONS)}
    PATH = "/v1/records:batch?atomic=true"

    def accepted(self):
        """What Redis holds that it took, whoever was told."""
        return sum(int(self.redis.command("HGET", f"{{daybook:{n}}}:counters", "accepted").strip() or 0)
                   for n in range(self.PARTITIONS))

    def batch(self, name, size=200):
        random = harness.seeded(name)
        return json.dumps([{"batch": name, "n": n, "text": random.randbytes(size // 2).hex()}
                           for n in range(self.SIZE)]).encode()

    def send(self, name, body, port=None):
        headers = {**JSON, "ce-source": "/atomic"}
        if name:
            headers["Idempotency-Key"] = name
        return client.request(port or self.port, "POST", self.PATH, body, headers)

    def test_1_killed_under_load_no_batch_is_half_stored_and_all_are_completed(self):
        before = self.accepted()
        ended, sent = threading.Event(), []

        def load(worker):
            for number in range(10_000):
                name = f"{worker}-{number}"
                sent.append(name)
                try:
                    answer = self.send(name, self.batch(name))
                except (OSError, client.BrokenAnswer):
                    return
                if ended.is_set() or answer.status != 201:
                    return
        workers = [threading.Thread(target=load, args=(worker,)) for worker in range(4)]
        for worker in workers:
            worker.start()
        harness.wait_until(lambda: self.accepted() - before >= 5 * self.SIZE, "some batches are stored")
        self.daybook.kill()
        ended.set()
        for worker in workers:
            worker.join()
        self.assertEqual((self.accepted() - before) % self.SIZE, 0, "a batch is half stored")
        self.daybook.start()
        ids = set()
        for name in sent:
            def again():
                answer = self.send(name, self.batch(name))
                return answer if answer.status in (200, 201) else None
            # Reservations of the dead process are void after its next run's first look.
            answer = harness.wait_until(again, f"batch {name} is taken")
            ids |= {one["receipt"]["id"] for one in answer.json()["results"]}
        self.assertEqual(len(ids), self.SIZE * len(sent))
        self.assertEqual(self.accepted() - before, self.SIZE * len(sent))

    def test_2_killed_while_redis_takes_it_all_or_none_is_there(self):
        """Redis is stopped: a small batch lies whole in its socket, of a large one often a part."""
        for name, size in (("small", 200), ("large", 180_000)):
            for number in range(8):   # its connections to Redis are there
                self.assertEqual(self.send(None, self.batch(f"warm {number}")).status, 201)
            before = self.accepted()
            sender = threading.Thread(target=self.send_and_forget, args=(self.batch(name, size),))
            self.redis.process.signal(signal.SIGSTOP)
            try:
                sender.start()
                time.sleep(1)   # it is read, sealed and on its way; nothing shows how far it is
                self.daybook.kill()
            finally:
                self.redis.process.signal(signal.SIGCONT)
            sender.join()
            self.daybook.start()
            self.assertIn(self.accepted() - before, (0, self.SIZE), f"the {name} batch is half stored")

    def send_and_forget(self, body):
        try:
            self.send(None, body)
        except (OSError, client.BrokenAnswer):
            pass

    def test_3_without_redis_it_is_503_and_nothing_of_it_comes_later(self):
        before = self.accepted()
        self.redis.stop()
        self.daybook.wait_check("buffer", False)
        body = self.batch("away")
        answer = self.send("away", body)
        self.assert_problem(answer, 503)
        self.assertGreater(int(answer.header("retry-after")), 0)
        self.assertEqual(client.post(self.port, b"single").status, 201, "one record goes to the spool")
        self.redis.start()
        self.daybook.wait_ready()
        self.daybook.wait_spool_empty()
        self.assertEqual(self.accepted() - before, 1, "something of a refused batch was stored")
        again = self.send("away", body)
        self.assertEqual(again.status, 201, again.describe())
        self.assertEqual(self.accepted() - before, 1 + self.SIZE)


if __name__ == "__main__":
    harness.main()
