"""One case for each wrong thing a client can send: an honest status, problem+json that says what to
do, and nothing stored. Outages of what Daybook depends on are in test_outages.py."""

import time

import checker
import client
import harness
import payloads

POST = "/v1/records"


class BadRequests(harness.DaybookTest):

    def setUp(self):
        self.accepted_before = self.accepted()

    def accepted(self):
        return checker.buffer_figures(self.redis)["accepted"]

    def tearDown(self):
        self.assertEqual(self.accepted(), self.accepted_before, "something was stored")
        self.assertEqual(client.request(self.port, "GET", "/livez").status, 200)

    def refused(self, content, status, *words, closes=False):
        """Sends raw bytes; the first final answer must be this problem."""
        with client.Connection(self.port) as raw:
            raw.send(content)
            answer = raw.read_answer()
            self.assert_problem(answer, status, *words)
            if closes:
                self.assertEqual((answer.header("connection") or "").lower(), "close")
                self.assertTrue(raw.ended(), "the connection must not be used again")
        return answer

    def test_no_body_at_all(self):
        self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\n\r\n", 400)

    def test_an_empty_body(self):
        self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 400)
        self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"0\r\n\r\n", 400)
        self.assert_problem(client.curl("-d", "", self.daybook.url + POST), 400)

    def test_a_length_over_the_limit(self):
        self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
                     413)

    def test_lengths_that_are_no_numbers(self):
        for text in (b"-1", b"+5", b"0x10", b"5 5", b"5, 6", b"1e3", b""):
            self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nContent-Length: " + text +
                         b"\r\n\r\nhello", 400, closes=True)

    def test_a_body_shorter_than_promised(self):
        for promised, sent in ((10, 4), (3_000_000, 2_000_000), (6_000_000, 1)):
            with client.Connection(self.port) as raw:
                raw.send_head("POST", POST, f"Content-Length: {promised}")
                raw.send(bytes(sent))
        with client.Connection(self.port) as raw:
            raw.send_head("POST", POST, "Transfer-Encoding: chunked")
            raw.send(b"5\r\nhello\r\n")
        time.sleep(0.5)

    def test_both_content_length_and_transfer_encoding(self):
        for first, second in (("Content-Length: 5", "Transfer-Encoding: chunked"),
                              ("Transfer-Encoding: chunked", "Content-Length: 5")):
            self.refused(f"POST /v1/records HTTP/1.1\r\nHost: a\r\n{first}\r\n{second}\r\n\r\n"
                         "5\r\nhello\r\n0\r\n\r\n".encode(), 400, closes=True)

    def test_two_different_content_lengths(self):
        self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                     b"Content-Length: 6\r\n\r\nhello!", 400, closes=True)

    def test_transfer_encodings_we_do_not_speak(self):
        for coding in (b"gzip, chunked", b"identity", b"chunked, chunked", b"xchunked"):
            with client.Connection(self.port) as raw:
                raw.send(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + coding +
                         b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
                answer = raw.read_answer()
                self.assertIn(answer.status, (400, 501), coding)
                self.assert_problem(answer, answer.status)
                self.assertTrue(raw.ended())

    def test_bad_chunks(self):
        for body in (b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"-5\r\nhello\r\n",
                     b"5 \r\nhello\r\n0\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\n", b"\r\n0\r\n\r\n",
                     b"5\nhello\n0\n\n"):
            self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"
                         b"\r\n\r\n" + body, 400, closes=True)

    def test_bad_digest_headers(self):
        for text in ("sha-256=:bm90IDMyIGJ5dGVz:", "sha-256=:%%%%:", "sha-256", "sha-256=5",
                     "=:", "sha-256=:" + "A" * 43 + "=", ","):
            self.assert_problem(client.post(self.port, b"hello", {"Content-Digest": text}), 400,
                                "digest")

    def test_a_head_over_16_KiB(self):
        self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nX-Big: " + b"x" * (17 << 10) +
                     b"\r\nContent-Length: 5\r\n\r\nhello", 431, closes=True)
        many = b"".join(b"X-%d: 1\r\n" % number for number in range(200))
        self.refused(b"GET /livez HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n", 431)
        with client.Connection(self.port) as raw:
            raw.send(b"GET /" + b"a" * (20 << 10) + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(raw.read_answer().status, (414, 431))

    def test_attributes_that_are_too_large(self):
        self.assert_problem(client.post(self.port, b"x", {"ce-subject": "s" * 5000}), 400, "ce-subject")
        answer = client.post(self.port, b"x", {"Idempotency-Key": "k" * 2000})
        self.assertIn(answer.status, (400, 431))
        self.assert_problem(answer, answer.status)

    def test_attributes_that_are_wrong(self):
        for name, text in (("ce-time", "yesterday"), ("ce-subject", "100%"), ("ce-subject", "%zz"),
                           ("ce-subject", "%ff%fe")):
            self.assert_problem(client.post(self.port, b"x", {name: text}), 400, name)

    def test_malformed_heads(self):
        for head in (b"NONSENSE\r\n\r\n", b"GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n",
                     b"GET /livez HTTP/1.1\r\nHost : a\r\n\r\n",
                     b"GET /livez HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
                     b"GET /livez HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
                     b"GET /livez HTTP/1.1\r\n\r\n",
                     b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                     b"GET livez HTTP/1.1\r\nHost: a\r\n\r\n"):
            self.refused(head, 400, closes=True)
        with client.Connection(self.port) as raw:
            raw.send(b"GET /livez HTTP/2.0\r\nHost: a\r\n\r\n")
            self.assertIn(raw.read_answer().status, (400, 505))

    def test_unknown_routes(self):
        for target in ("/", "/v1", "/v1/record", "/v1/records/", "/v2/records", "/v1/records/a/b",
                       "/v1/records/0190f3a0-0000-7000-8000-000000000000/bytes"):
            self.assert_problem(client.request(self.port, "GET", target), 404)
        self.assert_problem(client.request(self.port, "POST", "/v1/records/?a=b", b"x"), 404)

    def test_wrong_methods(self):
        for method, target, allowed in (
                ("PUT", POST, "POST"), ("DELETE", POST, "GET"), ("POST", "/livez", "GET"),
                ("DELETE", "/v1/records/0190f3a0-0000-7000-8000-000000000000", "GET"),
                ("GET", "/v1/parked/replay", "POST"), ("BREW", POST, "POST")):
            answer = client.request(self.port, method, target)
            self.assert_problem(answer, 405)
            self.assertIn(allowed, [word.strip() for word in answer.header("allow").split(",")])

    def test_ids_that_are_no_uuid(self):
        for text in ("1", "not-a-uuid", "0190f3a0-0000-7000-8000-00000000000g",
                     "0190f3a000007000800000000000000", "%30"):
            for rest in ("", "/payload"):
                self.assert_problem(client.request(self.port, "GET", f"{POST}/{text}{rest}"), 400)

    def test_ids_nobody_has(self):
        for rest in ("", "/payload"):
            self.assert_problem(client.request(
                self.port, "GET", f"{POST}/0190f3a0-0000-7000-8000-000000000000{rest}"), 404)

    def test_an_expectation_we_do_not_know(self):
        self.refused(b"POST /v1/records HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                     b"Expect: a-miracle\r\n\r\nhello", 417)

    def test_random_bytes_never_hurt(self):
        random = harness.seeded("noise")
        whole = b"POST /v1/records HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        for _ in range(200):
            noise = bytearray(whole)
            for _ in range(random.randrange(1, 6)):
                noise[random.randrange(len(noise))] = random.randrange(256)
            with client.Connection(self.port, timeout_s=5) as raw:
                raw.send(bytes(noise[:random.randrange(1, len(noise) + 1)]))


class SlowClients(harness.DaybookTest):
    settings = {"server.header_timeout": "400ms", "server.body_idle_timeout": "400ms",
                "server.body_timeout": "1500ms", "server.idle_timeout": "600ms"}

    def ends(self, raw, within_s):
        """The server answers 408 or just closes, in time. Returns the status, or None."""
        begun = time.monotonic()
        try:
            answer = raw.read_answer()
            self.assert_problem(answer, 408)
            self.assertTrue(raw.ended())
            status = answer.status
        except client.BrokenAnswer as error:
            self.assertIn("close", str(error))
            status = None
        self.assertLess(time.monotonic() - begun, within_s)
        return status

    def trickle(self, raw, piece):
        """Sends a byte every 100 ms until the server has had enough."""
        begun = time.monotonic()
        while not raw.readable(within_s=0.1):
            self.assertLess(time.monotonic() - begun, 10, "the server goes on reading")
            raw.send(piece)
        self.assertEqual(self.ends(raw, 5), 408)

    def test_a_head_that_never_ends(self):
        with client.Connection(self.port) as raw:
            raw.send(b"POST /v1/records HTTP/1.1\r\nHost: a\r\n")
            self.ends(raw, 5)

    def test_a_head_that_trickles(self):
        with client.Connection(self.port) as raw:
            self.trickle(raw, b"X")

    def test_a_silent_connection(self):
        with client.Connection(self.port) as raw:
            self.assertIsNone(self.ends(raw, 5))

    def test_a_body_that_stops(self):
        before = checker.buffer_figures(self.redis)["accepted"]
        with client.Connection(self.port) as raw:
            raw.send_head("POST", POST, "Content-Length: 1000")
            raw.send(b"x" * 999)
            self.assertEqual(self.ends(raw, 5), 408)
        self.assertEqual(checker.buffer_figures(self.redis)["accepted"], before)

    def test_a_body_that_trickles_past_its_time(self):
        with client.Connection(self.port) as raw:
            raw.send_head("POST", POST, "Content-Length: 1000")
            self.trickle(raw, b"x")
        self.assertEqual(client.post(self.port, b"next").status, 201)


class Memory(harness.DaybookTest):
    settings = {"ingest.memory_max": "16MiB", "ingest.client_memory_max": "16MiB",
                "ingest.admission_wait": "300ms"}

    def test_a_request_that_gets_no_share_of_memory_is_503_and_the_others_go_on(self):
        held = []
        statuses = []
        for _ in range(4):
            raw = client.Connection(self.port)
            raw.send_head("POST", POST, "Content-Length: 6000000")
            raw.send(bytes(1 << 16))     # a body that has begun gets its memory
            held.append(raw)
        time.sleep(1)
        answer = client.post(self.port, payloads.audit_lines(harness.seeded("memory"), 6_000_000))
        statuses.append(answer.status)
        self.assert_problem(answer, 503)
        self.assertTrue(answer.header("retry-after"))
        for raw in held:
            try:
                raw.send(bytes(6_000_000 - (1 << 16)))
                statuses.append(raw.read_answer().status)
            except (client.BrokenAnswer, ConnectionError) as error:
                self.fail(f"unreadable: {error}")
            raw.close()
        self.assertIn(201, statuses)
        self.assertEqual(client.post(self.port, b"after").status, 201)


if __name__ == "__main__":
    harness.main()
