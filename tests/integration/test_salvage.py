"""Salvaged payloads, by command: listed, shown, posted again as they came, dropped with a reason. They
go only when the server has acknowledged them, or when somebody said why."""

import hashlib
import json
import os
import pty
import subprocess

import client
import harness

POST = "/v1/records"
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


class Salvage(harness.DaybookTest):

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.area = harness.Area("salvage")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.daybook = harness.Daybook(self.area, self.redis, {
            "buffer.append_timeout": "1s", "spool.bytes_max": "0B", "spool.direct_timeout": "1s"})
        self.addCleanup(self.daybook.stop)
        self.daybook.start()
        self.folder = os.path.join(self.daybook.data_dir, "salvage")

    def salvaged(self, payload, fields=None):
        """Posts while nothing takes a record; the id of what was salvaged."""
        answer = client.post(self.port, payload, fields or {})
        self.assert_problem(answer, 503, "salvage/")
        return answer.json()["detail"].split("salvage/")[1].split(".zst")[0]

    def outage(self, payloads):
        """(payload, fields) each, salvaged in a time without Redis and archive; then all is well."""
        archive = self.daybook.archive_dir
        os.rename(archive, archive + ".away")
        with open(archive, "w", encoding="ascii"):
            pass
        self.redis.kill()
        try:
            return [self.salvaged(*one) for one in payloads]
        finally:
            os.remove(archive)
            os.rename(archive + ".away", archive)
            self.redis.start()
            self.daybook.wait_ready()

    def run_cli(self, *words, says=None, url=None):
        command = [harness.binary(), "salvage", *words, "--set",
                   f"node.data_dir={self.daybook.data_dir}", "--url", url or self.daybook.url]
        environment = harness.clean_environment()
        if says is None:
            return subprocess.run(command, capture_output=True, text=True, timeout=60,
                                  env=environment, stdin=subprocess.DEVNULL)
        ours, its = pty.openpty()
        try:
            os.write(ours, says.encode() + b"\n")
            return subprocess.run(command, capture_output=True, text=True, timeout=60,
                                  env=environment, stdin=its)
        finally:
            os.close(ours)
            os.close(its)

    def files(self):
        return sorted(name for name in os.listdir(self.folder) if name.endswith(".zst"))

    def account(self):
        with open(os.path.join(self.folder, "log.jsonl"), encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def test_they_are_posted_as_they_came_and_go_after_the_acknowledgement(self):
        random = harness.seeded("salvage")
        first, second, third = (random.randbytes(size) for size in (10, 1_500_000, 2 << 20))
        fields = {"Idempotency-Key": "key-1", "Content-Type": "text/x-audit",
                  "ce-type": "org.example.login", "ce-source": "/a", "ce-subject": "50%25 Zürich",
                  "ce-colour": "blue", "ce-time": "2026-11-21T04:05:06Z"}
        event = {"ce-source": "/b", "ce-id": "7"}
        ids = self.outage([(first, {name: text.encode().decode("latin-1")
                                    for name, text in fields.items()}),
                           (second, event), (third, {})])
        run = self.run_cli("list", "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        listed = [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual([one["id"] for one in listed], ids)
        self.assertEqual([one["size"] for one in listed], [len(first), len(second), len(third)])
        shown = json.loads(self.run_cli("show", ids[0], "--json").stdout)
        for name, value in {"idempotency_key": "key-1", "content_type": "text/x-audit",
                            "type": "org.example.login", "source": "/a", "subject": "50% Zürich",
                            "attributes": {"colour": "blue"},
                            "sha256": hashlib.sha256(first).hexdigest()}.items():
            self.assertEqual(shown[name], value, shown)

        nobody = self.run_cli("post", ids[0], url=f"http://127.0.0.1:{harness.free_port()}")
        self.assertEqual(nobody.returncode, 1, nobody.stdout)
        self.assertEqual(len(self.files()), 3, "it stays without an acknowledgement")

        run = self.run_cli("post", ids[0], "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        receipt = json.loads(run.stdout)
        self.assertEqual(receipt["salvaged"], ids[0])
        self.wait_state(receipt["id"])
        row = client.request(self.port, "GET", f"{POST}/{receipt['id']}").json()
        for name in ("content_type", "type", "source", "subject", "idempotency_key", "sha256",
                     "attributes"):
            self.assertEqual(row[name], shown[name], name)
        self.assertEqual(row["event_time"], shown["event_time"])
        self.assertEqual(self.files(), [ids[1] + ".zst", ids[2] + ".zst"])

        # The sender of the second did repeat it: no second record comes of it.
        repeated = client.post(self.port, second, event).json()
        run = self.run_cli("post", "--all")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(f"known   {ids[1]} as {repeated['id']}", run.stdout)
        self.assertIn(f"stored  {ids[2]} as ", run.stdout)
        self.assertEqual(self.files(), [])
        self.assertEqual([(line["action"], line["id"]) for line in self.account()],
                         [("posted", one) for one in ids])
        self.assertEqual(self.account()[1]["record"], repeated["id"])
        record = self.account()[2]["record"]
        self.wait_state(record)
        self.assertEqual(client.request(self.port, "GET", f"{POST}/{record}/payload").body, third)
        self.assertIn("Nothing is salvaged", self.run_cli().stderr)

    def test_one_without_a_key_that_is_posted_twice_is_stored_once(self):
        (one,) = self.outage([(b"twice", {})])
        path = os.path.join(self.folder, one + ".zst")
        with open(path, "rb") as file:
            content = file.read()
        first = json.loads(self.run_cli("post", one, "--json").stdout)
        with open(path, "wb") as file:  # as if the removal had not become durable
            file.write(content)
        again = json.loads(self.run_cli("post", one, "--json").stdout)
        self.assertEqual(again["id"], first["id"])
        self.assertEqual(self.files(), [])

    def test_a_drop_needs_a_reason_and_a_yes_and_keeps_the_account(self):
        one, other = self.outage([(b"one", {}), (b"other", {})])
        self.assertEqual(self.run_cli("drop", one).returncode, 2)
        self.assertEqual(self.run_cli("drop", one, "--reason", " ", "--yes").returncode, 2)
        run = self.run_cli("drop", one, "--reason", "x")
        self.assertEqual((run.returncode, "--yes" in run.stderr), (1, True), run.stderr)
        self.assertEqual(self.run_cli("drop", one, "--reason", "x", says="n").returncode, 1)
        self.assertEqual(len(self.files()), 2)
        run = self.run_cli("drop", one, "--reason", "a test by Ada", says="y")
        self.assertEqual(run.returncode, 0, run.stderr)
        run = self.run_cli("drop", other, "--reason", "in a script", "--yes", "--json")
        self.assertEqual(json.loads(run.stdout), {"dropped": other})
        self.assertEqual(self.files(), [])
        lines = self.account()
        self.assertEqual([(line["action"], line["id"], line["reason"]) for line in lines],
                         [("dropped", one, "a test by Ada"), ("dropped", other, "in a script")])
        self.assertEqual(lines[0]["sha256"], hashlib.sha256(b"one").hexdigest())
        for name in ("at", "who"):
            self.assertTrue(lines[0][name])

    def test_a_damaged_one_is_named_and_not_posted(self):
        (one,) = self.outage([(harness.seeded("damage").randbytes(100_000), {})])
        path = os.path.join(self.folder, one + ".zst")
        with open(path, "r+b") as file:
            file.seek(50_000)
            byte = file.read(1)
            file.seek(50_000)
            file.write(bytes([byte[0] ^ 1]))
        self.assertIn("damaged", self.run_cli("list").stdout)
        run = self.run_cli("show", one)
        self.assertEqual((run.returncode, "damaged" in run.stdout), (1, True), run.stdout)
        run = self.run_cli("post", one)
        self.assertEqual((run.returncode, "damaged" in run.stderr), (1, True), run.stderr)
        self.assertEqual(self.files(), [one + ".zst"])
        self.assertEqual(self.run_cli("drop", one, "--reason", "damaged", "--yes").returncode, 0)

    def test_wrong_use_is_named(self):
        for words in (("show",), ("show", "x"), ("post",), ("post", UNKNOWN, "--all"),
                      ("post", "../x"), ("drop", "x", "--reason", "y")):
            self.assertEqual(self.run_cli(*words).returncode, 2, words)
        for words in (("show", UNKNOWN), ("post", UNKNOWN), ("drop", UNKNOWN, "--reason", "x",
                                                             "--yes")):
            run = self.run_cli(*words)
            self.assertEqual(run.returncode, 1, words)
            self.assertIn(UNKNOWN, run.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "log.jsonl")))


if __name__ == "__main__":
    harness.main()
