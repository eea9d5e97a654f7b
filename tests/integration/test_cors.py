"""Pages of other origins at /ingestMessage: which of them may read the answers, also the refusals."""

import client
import harness

PATH = "/ingestMessage"
MESSAGE = (b'{"messageMetaData": {"messageType": "a", "sourceSystemID": "page", "sourceTransactionID": '
           b'"1", "dateTime": "2026-11-21T04:05:06Z"}, "messagePayload": 1}')
OURS = "https://a.example"


class Pages(harness.DaybookTest):

    def send(self, origin, body=MESSAGE, method="POST", **headers):
        fields = {"Content-Type": "application/json", **headers}
        if origin is not None:
            fields["Origin"] = origin
        return client.request(self.port, method, PATH, body, fields)

    def preflight(self, origin):
        return self.send(origin, b"", "OPTIONS", **{
            "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"})

    def assert_open_to(self, origin, answer):
        self.assertEqual(answer.header("access-control-allow-origin"), origin, answer.describe())
        exposed = {name.strip() for name in answer.header("access-control-expose-headers").split(",")}
        self.assertEqual(exposed, {"Location", "Retry-After"})
        self.assertIsNone(answer.header("access-control-allow-credentials"))
        self.assertEqual(answer.header("vary"), None if origin == "*" else "Origin")

    def assert_closed(self, answer, vary="Origin"):
        for name in ("access-control-allow-origin", "access-control-expose-headers"):
            self.assertIsNone(answer.header(name), answer.describe())
        self.assertEqual(answer.header("vary"), vary)


class Listed(Pages):
    settings = {"ingest.message_origins": f"{OURS}, http://b.example:8080"}

    def test_a_listed_origin_gets_its_own_name_and_others_nothing(self):
        for origin in (OURS, "http://b.example:8080"):
            answer = self.send(origin)
            self.assertEqual(answer.status, 200, answer.describe())
            self.assert_open_to(origin, answer)
            asked = self.preflight(origin)
            self.assertEqual(asked.status, 204)
            self.assert_open_to(origin, asked)
            self.assertIn("POST", asked.header("access-control-allow-methods"))
            self.assertIn("x-api-key", asked.header("access-control-allow-headers").lower())
        for origin in ("https://c.example", "http://a.example", f"{OURS}:8443", f"{OURS}.evil.example",
                       "http://b.example", "null", "*", "", None):
            self.assert_closed(self.send(origin))
            self.assert_closed(self.preflight(origin))
        self.assert_open_to(OURS, self.send(OURS, b"{}"))
        self.assert_open_to(OURS, self.send(OURS, None, "GET"))


class Nobody(Pages):
    settings = {"ingest.message_origins": ""}

    def test_without_origins_no_page_may_read_an_answer(self):
        answer = self.send(OURS)
        self.assertEqual(answer.status, 200, answer.describe())
        self.assert_closed(answer, vary=None)
        self.assert_closed(self.preflight(OURS), vary=None)


class Refused(Pages):
    """A page must be able to read why, and when to come again."""

    settings = {"ingest.message_origins": OURS, "ingest.memory_max": "64MiB",
                "ingest.client_memory_max": "16MiB", "ingest.admission_wait": "300ms",
                "server.body_idle_timeout": "60s", "spool.bytes_max": "0B",
                "spool.direct_archive": "false"}

    def assert_readable(self, answer, status):
        self.assert_problem(answer, status)
        self.assert_open_to(OURS, answer)

    def test_1_too_large(self):
        with client.Connection(self.port) as raw:
            raw.send_head("POST", PATH, "Content-Length: 99000000", f"Origin: {OURS}",
                          "Expect: 100-continue")
            self.assert_readable(raw.read_answer(), 413)
        body = MESSAGE[:-2] + b'"' + b"x" * (9 << 20) + b'"}'
        self.assert_readable(self.send(OURS, body), 413)

    def test_2_too_much_at_a_time(self):
        held = []
        try:
            for _ in range(2):
                raw = client.Connection(self.port)
                held.append(raw)
                raw.send_head("POST", "/v1/records", "Content-Length: 8000000", "Expect: 100-continue")
                self.assertEqual(raw.read_answer(interim=True).status, 100)
            body = MESSAGE[:-2] + b'"' + b"x" * 7_000_000 + b'"}'
            with client.Connection(self.port) as raw:
                raw.send_head("POST", PATH, f"Content-Length: {len(body)}", f"Origin: {OURS}")
                raw.send(body[:1 << 17])
                answer = raw.read_answer()
            self.assert_readable(answer, 429)
            self.assertGreater(int(answer.header("retry-after")), 0)
        finally:
            for raw in held:
                raw.close()

    def test_3_not_now(self):
        self.redis.stop()
        self.daybook.wait_check("buffer", False)
        answer = self.send(OURS)
        self.assert_readable(answer, 503)
        self.assertGreater(int(answer.header("retry-after")), 0)


if __name__ == "__main__":
    harness.main()
