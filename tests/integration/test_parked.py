"""Parked records: a poison that kills the process is set aside and nobody with it; parked records are
shown, replayed and dropped, over HTTP and by command, and the books balance.

The object store is a small S3 of this test: it knows a payload by the SHA-256 in its metadata, and
can refuse it, or kill the daybook process at the very moment of its PUT.
"""

import hashlib
import http.server
import json
import os
import pty
import signal
import subprocess
import threading

import checker
import client
import harness

RECORDS = "/v1/records"
SECRETS = {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": "key", "DAYBOOK_ARCHIVE_S3_SECRET_KEY": "secret"}


class SmallS3:
    """PUT, GET and HEAD of one bucket in memory. on_put(sha256) returns a status to refuse with."""

    def __init__(self):
        self.objects, self.on_put = {}, lambda sha256: None
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.endswith("/daybook-probe-write"):  # honours nothing special
                    return self.answer(501, b"<Error><Code>NotImplemented</Code></Error>")
                refusal = store.on_put(self.headers["x-amz-meta-daybook-sha256"])
                if refusal:
                    return self.answer(refusal, b"<Error><Code>InternalError</Code></Error>")
                store.objects[self.path] = body
                return self.answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

            def do_GET(self):
                body = store.objects.get(self.path)
                if body is None and self.path.count("/") > 1:
                    return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                return self.answer(200, body or b"")

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # a killed client
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self):
        return {"archive.kind": "s3", "archive.s3_bucket": "b",
                "archive.s3_endpoint": f"http://127.0.0.1:{self.server.server_address[1]}"}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ParkedTest(harness.DaybookTest):

    @classmethod
    def setUpClass(cls):
        cls.store = SmallS3()
        cls.addClassCleanup(cls.store.close)
        super().setUpClass()

    @classmethod
    def class_settings(cls):
        return {**cls.settings, **cls.store.settings()}

    @classmethod
    def secrets(cls):
        return SECRETS

    def figures(self):
        return checker.buffer_figures(self.redis)

    def assert_balanced(self):
        f = self.figures()
        self.assertEqual(f["accepted"], f["released"] + f["pending"] + f["parked"] + f["dropped"], f)
        status = client.request(self.port, "GET", "/v1/status").json()["records"]
        self.assertEqual(status["unaccounted"], 0, status)
        self.assertEqual(status["dropped"], f["dropped"])
        return f

    def residue(self, name):
        return [key for key in self.redis.command("--scan", "--pattern", f"*:{name}").split()]


class Poison(ParkedTest):
    settings = {"pipeline.parked_retry": "1h"}

    def test_a_record_that_kills_the_process_is_parked_and_nobody_with_it(self):
        poison = b"a payload that crashes whoever archives it"
        payloads = [b"innocent %d" % n * 100 for n in range(30)]
        self.daybook.stop()
        self.daybook.role = "ingest"
        self.daybook.start()
        ids = [client.post(self.port, body).json()["id"] for body in payloads[:15]]
        bad = client.post(self.port, poison).json()["id"]
        ids += [client.post(self.port, body).json()["id"] for body in payloads[15:]]
        self.daybook.stop()
        self.daybook.role = None

        deaths, alive = [], threading.Event()

        def kill_on_poison(sha256):
            if sha256 != hashlib.sha256(poison).hexdigest():
                return None
            if alive.is_set():
                alive.clear()
                deaths.append(len(self.store.objects))
                os.kill(self.daybook.process.pid, signal.SIGKILL)
            return 500
        self.store.on_put = kill_on_poison

        def settled():
            f = self.figures()
            return f["pending"] == 0 and f["parked"] == 1
        for _ in range(10):
            alive.set()
            self.daybook.start(wait_ready=False)
            harness.wait_until(lambda: settled() or not self.daybook.process.running(),
                               "it died, or all is settled")
            if self.daybook.process.running():
                break
            self.daybook.process.wait()
            fresh = b"arrived between two lives %d" % len(deaths)
            self.daybook.role = "ingest"
            self.daybook.start()
            ids.append(client.post(self.port, fresh).json()["id"])
            payloads.append(fresh)
            self.daybook.stop()
            self.daybook.role = None
        self.assertEqual(len(deaths), 5, deaths)
        self.daybook.wait_ready()
        for record_id in ids:
            self.wait_state(record_id)
        self.assertEqual(len(self.store.objects), len(ids))
        self.assertGreaterEqual(deaths[2], 30, "at the third death the innocents have passed")

        shown = client.request(self.port, "GET", f"/v1/parked/{bad}").json()
        self.assertEqual(shown["state"], "parked")
        self.assertEqual(shown["parked"]["starts"], 5)
        self.assertFalse(shown["parked"]["retryable"])
        self.assertIn("process dying", shown["parked"]["reason"])
        answer = client.request(self.port, "GET", f"{RECORDS}/{bad}/payload")
        self.assertEqual(answer.body, poison)
        self.assertEqual(self.residue("starts"), [])
        self.assert_balanced()

        self.store.on_put = lambda sha256: None   # mended
        client.request(self.port, "POST", f"/v1/parked/replay?id={bad}")
        self.wait_state(bad)
        self.assert_balanced()

    def test_stops_by_sigterm_do_not_count(self):
        self.store.on_put = lambda sha256: 500
        receipt = client.post(self.port, b"unfinished at every stop").json()
        for _ in range(7):
            harness.wait_until(lambda: client.request(
                self.port, "GET", "/v1/status").json()["pipeline"]["in_flight"]["archive"] == 1,
                "it is in hand")
            self.daybook.stop()
            starts = self.redis.command(
                "HGET", f"{{daybook:{receipt['partition']}}}:starts", receipt["id"]).strip()
            self.assertEqual(starts, "0", "the start was taken back")
            self.daybook.start()
        self.assertNotIn(b"when a process died", self.daybook.process.log().split(
            b"unfinished at every stop")[-1][-2000:])
        self.store.on_put = lambda sha256: None
        self.wait_state(receipt["id"])
        self.assertEqual(self.residue("starts"), [])


class Drop(ParkedTest):
    settings = {"pipeline.parked_retry": "1h", "pipeline.attempts_max": "1"}

    def park(self, payload, **headers):
        self.store.on_put = lambda sha256: 500
        receipt = client.post(self.port, payload, headers).json()
        self.wait_state(receipt["id"], "parked")
        self.store.on_put = lambda sha256: None
        return receipt

    def drop(self, record_id, reason="a test"):
        return client.request(self.port, "POST", f"/v1/parked/drop?id={record_id}&reason={reason}"
                              .replace(" ", "%20"))

    def run_cli(self, *words, terminal_says=None):
        command = [harness.binary(), "parked", *words, "--url", self.daybook.url]
        if terminal_says is None:
            return subprocess.run(command, capture_output=True, text=True, timeout=60,
                                  env=harness.clean_environment(), stdin=subprocess.DEVNULL)
        ours, its = pty.openpty()
        try:
            os.write(ours, terminal_says.encode() + b"\n")
            return subprocess.run(command, capture_output=True, text=True, timeout=60,
                                  env=harness.clean_environment(), stdin=its)
        finally:
            os.close(ours)
            os.close(its)

    def test_one_is_shown_with_all_that_is_known(self):
        receipt = self.park(b"show me", **{"ce-type": "org.example.login", "Idempotency-Key": "k1"})
        shown = client.request(self.port, "GET", f"/v1/parked/{receipt['id']}").json()
        for name, value in {"id": receipt["id"], "type": "org.example.login", "size": 7,
                            "sha256": receipt["sha256"], "idempotency_key": "k1"}.items():
            self.assertEqual(shown[name], value, shown)
        for name in ("stage", "reason", "attempts", "starts", "retryable", "parked_at"):
            self.assertIn(name, shown["parked"])
        self.assert_problem(client.request(self.port, "GET", "/v1/parked/x"), 400)
        unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
        self.assert_problem(client.request(self.port, "GET", f"/v1/parked/{unknown}"), 404)
        indexed = client.post(self.port, b"indexed").json()["id"]
        self.wait_state(indexed)
        self.assert_problem(client.request(self.port, "GET", f"/v1/parked/{indexed}"), 404, "indexed")

    def test_a_drop_destroys_the_bytes_and_keeps_the_account(self):
        receipt = self.park(b"to be dropped" * 1000)
        record_id, tag = receipt["id"], f"{{daybook:{receipt['partition']}}}"
        before = self.assert_balanced()
        answer = self.drop(record_id, "asked for by Ada")
        self.assertEqual(answer.status, 200, answer.describe())
        after = self.assert_balanced()
        self.assertEqual(after["dropped"] - before["dropped"], 1)
        self.assertEqual(before["parked"] - after["parked"], 1)
        self.assertEqual(self.redis.command("EXISTS", f"{tag}:record:{record_id}").strip(), "0")

        account = json.loads(self.redis.command("HGET", f"{tag}:dropped", record_id))
        self.assertEqual(account["dropped_reason"], "asked for by Ada")
        self.assertEqual(account["sha256"], receipt["sha256"])
        self.assertEqual(account["who"], "127.0.0.1")
        row = client.request(self.port, "GET", f"{RECORDS}/{record_id}").json()
        self.assertEqual((row["state"], row["size"], row["sha256"], row["stored_size"]),
                         ("dropped", 13000, receipt["sha256"], receipt["stored_size"]))
        self.assertEqual(row["dropped"]["reason"], "asked for by Ada")
        self.assertEqual(row["parked"]["stage"], "archive")
        self.assert_problem(client.request(self.port, "GET", f"{RECORDS}/{record_id}/payload"), 410)
        self.assert_problem(self.drop(record_id), 409, "dropped")
        self.assertEqual(client.request(
            self.port, "POST", f"/v1/parked/replay?id={record_id}").json(), {"replayed": 0})
        self.assertIn(b"was dropped by 127.0.0.1:", self.daybook.process.log())

        self.daybook.stop()
        self.redis.stop()
        self.redis.start()
        self.daybook.start()
        row = client.request(self.port, "GET", f"{RECORDS}/{record_id}").json()
        self.assertEqual(row["state"], "dropped")
        self.assert_balanced()
        page = client.request(self.port, "GET", "/metrics").body.decode()
        self.assertRegex(page, r"(?m)^daybook_records_dropped_total %d$" % after["dropped"])

    def test_only_a_parked_record_is_dropped_and_only_for_a_reason(self):
        receipt = self.park(b"stays")
        for query in (f"id={receipt['id']}", f"id={receipt['id']}&reason=", "reason=x",
                      f"id={receipt['id']}&reason=%20", "id=x&reason=y",
                      f"id={receipt['id']}&id={receipt['id']}&reason=x"):
            self.assert_problem(client.request(self.port, "POST", f"/v1/parked/drop?{query}"), 400)
        self.assert_problem(self.drop("01890a5d-ac96-774b-bcce-b302099a8057"), 404)
        indexed = client.post(self.port, b"done").json()["id"]
        self.wait_state(indexed)
        self.assert_problem(self.drop(indexed), 409, "indexed")
        answer = client.request(self.port, "GET", "/v1/parked/drop")
        self.assertEqual((answer.status, answer.header("allow")), (405, "POST"))
        self.assertEqual(client.request(
            self.port, "GET", f"{RECORDS}/{receipt['id']}").json()["state"], "parked")
        self.assert_balanced()

    def test_a_record_with_damaged_bytes_can_be_shown_and_dropped(self):
        self.store.on_put = lambda sha256: 500
        receipt = self.park(b"damaged" * 100)
        where = f"{{daybook:{receipt['partition']}}}:record:{receipt['id']}"
        self.redis.command("SETRANGE", where, 0, "XXXXXXXXXXXX")
        shown = client.request(self.port, "GET", f"/v1/parked/{receipt['id']}")
        self.assertEqual((shown.status, shown.json()["state"]), (200, "parked"))
        self.assertEqual(self.drop(receipt["id"]).status, 200)
        row = client.request(self.port, "GET", f"{RECORDS}/{receipt['id']}").json()
        self.assertEqual((row["state"], row["sha256"]), ("dropped", None))
        self.assert_balanced()

    def test_the_command_asks_first(self):
        record_id = self.park(b"by command")["id"]
        self.assertEqual(self.run_cli("drop", record_id).returncode, 2, "no reason")
        run = self.run_cli("drop", record_id, "--reason", "x")
        self.assertEqual(run.returncode, 1, "nobody to ask")
        self.assertIn("--yes", run.stderr)
        run = self.run_cli("drop", record_id, "--reason", "x", terminal_says="n")
        self.assertEqual(run.returncode, 1, run.stderr)
        shown = self.run_cli("show", record_id)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("starts", shown.stdout)
        run = self.run_cli("drop", record_id, "--reason", "really", terminal_says="y")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.run_cli("show", record_id).returncode, 1)
        other = self.park(b"another")["id"]
        run = self.run_cli("drop", other, "--reason", "in a script", "--yes", "--json")
        self.assertEqual(json.loads(run.stdout)["dropped"]["reason"], "in a script")
        self.assert_balanced()

    def test_the_age_of_the_oldest_is_told(self):
        record_id = self.park(b"ages")["id"]

        def age():
            page = client.request(self.port, "GET", "/metrics").body.decode()
            return float([line for line in page.splitlines()
                          if line.startswith("daybook_parked_oldest_seconds ")][0].split()[1])
        harness.wait_until(lambda: age() > 0.5, "the gauge grows")
        for record in client.request(self.port, "GET", "/v1/parked").json()["records"]:
            self.drop(record["id"])
        self.assertEqual(age(), 0)
        self.assertEqual(client.request(
            self.port, "GET", f"{RECORDS}/{record_id}").json()["state"], "dropped")


if __name__ == "__main__":
    harness.main()
