"""The daybook command as a person and as a script use it, against a live server."""

import json
import os
import subprocess

import checker
import client
import harness
import payloads


class CommandLine(harness.DaybookTest):

    def run_cli(self, *words, stdin=None, status=0, url=True):
        run = subprocess.run(
            [harness.binary(), *words, *(["--url", self.daybook.url] if url else [])],
            input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True, timeout=120, env=self.daybook.environment())
        if status is not None:
            self.assertEqual(run.returncode, status, f"{words}: {run.stdout!r} {run.stderr!r}")
        return run

    def documents(self, run):
        """--json prints one document, or one a line."""
        text = run.stdout.decode().strip()
        try:
            whole = json.loads(text)
            return whole if isinstance(whole, list) else [whole]
        except ValueError:
            return [json.loads(line) for line in text.splitlines()]

    def test_post_a_file_and_get_it_back(self):
        payload = payloads.audit_lines(harness.seeded("cli"), 2_500_000)
        path = self.area.write("cli.ndjson", payload)
        receipt = self.documents(self.run_cli("post", path, "--json"))[0]
        self.assertEqual((receipt["sha256"], receipt["size"]),
                         (payloads.sha256(payload), len(payload)))
        row = self.documents(self.run_cli("get", receipt["id"], "--json"))[0]
        self.assertEqual(row["sha256"], receipt["sha256"])
        self.assertIn(receipt["id"], self.run_cli("get", receipt["id"]).stdout.decode())
        out = self.area.file("back.ndjson")
        self.run_cli("get", receipt["id"], "--payload", "-o", out)
        self.assertEqual(checker.file_sha256(out), receipt["sha256"])
        self.assertTrue(self.run_cli("get", receipt["id"], "--payload").stdout == payload)

    def test_posting_the_same_file_again_is_safe(self):
        path = self.area.write("twice.json", b'{"once":true}')
        first, second = (self.documents(self.run_cli("post", path, "--json"))[0] for _ in range(2))
        for receipt in (first, second):
            self.assertEqual(receipt["sha256"], payloads.sha256(b'{"once":true}'))

    def test_post_a_folder_and_stdin(self):
        wanted = set()
        for number in range(4):
            content = b'{"file":%d}' % number
            folder = self.area.file("folder", f"sub{number % 2}")
            os.makedirs(folder, exist_ok=True)
            self.area.write(os.path.join("folder", f"sub{number % 2}", f"{number}.json"), content)
            wanted.add(payloads.sha256(content))
        receipts = self.documents(self.run_cli("post", self.area.file("folder"), "--json"))
        self.assertEqual({receipt["sha256"] for receipt in receipts}, wanted)
        run = self.run_cli("post", "-", "--json", stdin=b"from standard input")
        self.assertEqual(self.documents(run)[0]["sha256"], payloads.sha256(b"from standard input"))

    def test_post_says_what_went_wrong(self):
        run = self.run_cli("post", self.area.file("no-such-file"), status=None)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(b"no-such-file", run.stderr + run.stdout)
        path = self.area.write("large", bytes((8 << 20) + 1))
        run = self.run_cli("post", path, status=None)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(b"413", run.stderr + run.stdout)
        run = subprocess.run([harness.binary(), "post", path, "--retries", "2", "--url",
                              f"http://127.0.0.1:{harness.free_port()}"], capture_output=True,
                             timeout=120, env=self.daybook.environment())
        self.assertNotEqual(run.returncode, 0)

    def test_ls_lists_and_filters(self):
        receipt = client.post(self.port, b"listed", {"ce-source": "/cli/ls", "ce-id": "1"}).json()
        self.wait_state(receipt["id"])
        found = self.documents(self.run_cli("ls", "--source", "/cli/ls", "--json"))
        records = found[0].get("records", found) if len(found) == 1 else found
        self.assertEqual([record["id"] for record in records], [receipt["id"]])
        self.assertIn(receipt["id"], self.run_cli("ls").stdout.decode())

    def test_status_doctor_and_parked_on_a_healthy_node(self):
        self.assertTrue(self.run_cli("status").stdout.strip())
        self.documents(self.run_cli("status", "--json"))
        self.run_cli("parked")
        self.assertEqual(
            client.request(self.port, "GET", "/v1/parked").json(), {"records": []})
        words = []
        for key in ("buffer.url", "node.data_dir", "server.listen", "node.disk_reserve"):
            words += ["--set", f"{key}={self.daybook.settings[key]}"]
        run = self.run_cli("doctor", *words, url=False)
        text = run.stdout.decode().lower()
        for subject in ("io_uring", "redis", "disk"):
            self.assertIn(subject, text)

    def test_doctor_names_what_is_wrong_with_redis(self):
        self.redis.configure("appendfsync", "everysec")
        try:
            run = self.run_cli("doctor", "--set", f"buffer.url={self.redis.url}", "--set",
                               f"node.data_dir={self.daybook.data_dir}", url=False, status=None)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn("appendfsync always", (run.stdout + run.stderr).decode().lower())
        finally:
            self.redis.configure("appendfsync", "always")
            self.daybook.wait_ready()

    def test_the_printed_defaults_are_a_configuration_file(self):
        run = self.run_cli("config", "--defaults", url=False)
        text = run.stdout.decode()
        self.assertIn("body_bytes_max", text)
        path = self.area.write("defaults.toml", text)
        again = self.run_cli("config", "--config", path, url=False)
        self.assertIn("body_bytes_max", again.stdout.decode())
        with open(path, "a") as out:
            out.write("\n[nonsense]\nx = 1\n")
        run = self.run_cli("config", "--config", path, url=False, status=None)
        self.assertNotEqual(run.returncode, 0)

    def test_secrets_are_never_printed(self):
        environment = {**self.daybook.environment(), "DAYBOOK_BUFFER_PASSWORD": "hunter2-secret"}
        run = subprocess.run([harness.binary(), "config"], capture_output=True, env=environment,
                             timeout=30)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn(b"hunter2", run.stdout + run.stderr)

    def test_help_and_version(self):
        for words in (["--help"], ["serve", "--help"], ["post", "--help"], ["get", "--help"],
                      ["ls", "--help"], ["parked", "--help"], ["status", "--help"],
                      ["doctor", "--help"], ["config", "--help"], ["--version"]):
            self.assertTrue(self.run_cli(*words, url=False).stdout.strip(), words)
        self.assertNotEqual(self.run_cli("frobnicate", url=False, status=None).returncode, 0)


class Parked(harness.DaybookTest):
    settings = {"pipeline.attempts_max": "2", "pipeline.retry_first": "20ms",
                "pipeline.parked_retry": "1h"}

    def test_parked_records_are_shown_and_replayed(self):
        archive, away = self.daybook.archive_dir, self.area.file("away")
        self.wait_state(client.post(self.port, b"before").json()["id"])
        os.rename(archive, away)
        self.area.write(os.path.relpath(archive, self.area.path), b"not a folder")
        try:
            ids = [client.post(self.port, b"parked %d" % n).json()["id"] for n in range(3)]
            for record_id in ids:
                row = self.wait_state(record_id, "parked")
                self.assertEqual(row["parked"]["stage"], "archive")
                self.assertGreater(len(row["parked"]["reason"]), 10)
            page = client.request(self.port, "GET", "/v1/parked").json()["records"]
            self.assertEqual({entry["id"] for entry in page}, set(ids))
            for entry in page:
                for member in ("stage", "reason", "retryable", "attempts", "parked_at",
                               "stored_size"):
                    self.assertIn(member, entry)
            run = subprocess.run([harness.binary(), "parked", "--url", self.daybook.url],
                                 capture_output=True, timeout=60,
                                 env=self.daybook.environment())
            for record_id in ids:
                self.assertIn(record_id.encode(), run.stdout)
        finally:
            os.remove(archive)
            os.rename(away, archive)
        self.daybook.wait_check("object_store", ok=True)
        answer = client.request(self.port, "POST", f"/v1/parked/replay?id={ids[0]}&id={ids[1]}")
        self.assertEqual((answer.status, answer.json()), (200, {"replayed": 2}))
        self.wait_state(ids[0])
        self.wait_state(ids[1])
        answer = client.request(self.port, "POST", "/v1/parked/replay?all=true")
        self.assertEqual(answer.json(), {"replayed": 1})
        self.wait_state(ids[2])
        self.assert_problem(client.request(self.port, "POST", "/v1/parked/replay"), 400)
        self.assert_problem(client.request(self.port, "POST", "/v1/parked/replay?id=x"), 400)
        checker.wait_drained(self.redis)


if __name__ == "__main__":
    harness.main()
