"""Every script of ops/runbook explains itself and works against a live server."""

import os
import signal
import subprocess

import client
import harness
import payloads

RUNBOOK = os.path.join(harness.SOURCE_DIR, "ops", "runbook")


def scripts():
    if not os.path.isdir(RUNBOOK):
        return []
    return sorted(name for name in os.listdir(RUNBOOK)
                  if os.access(os.path.join(RUNBOOK, name), os.X_OK)
                  and os.path.isfile(os.path.join(RUNBOOK, name)))


class RunbookTest(harness.DaybookTest):
    # The check of Redis wants a limit; a failing stage gives up at once and waits for a person.
    redis_settings = {"maxmemory": "1gb"}
    settings = {"pipeline.attempts_max": "1", "pipeline.parked_retry": "1h"}

    def run_script(self, name, *words, status=0):
        run = subprocess.run(
            [os.path.join(RUNBOOK, name), *words], capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL, env={**self.daybook.environment(),
                                           "PATH": os.path.dirname(harness.binary()) + ":" +
                                           os.environ["PATH"]})
        self.assertEqual(run.returncode, status, f"{name} {words}\n{run.stdout}\n{run.stderr}")
        return run.stdout


class Runbook(RunbookTest):

    def ask(self, name, *words, status=0):
        return self.run_script(name, *words, "--url", self.daybook.url, status=status)

    def test_every_script_has_help(self):
        self.assertTrue(scripts(), "ops/runbook has no scripts")
        for name in scripts():
            with self.subTest(name):
                text = self.run_script(name, "--help")
                for word in ("usage:", "purpose:", "exit codes:", "example:"):
                    self.assertIn(word, text.lower())

    def test_wrong_use_is_2_and_nobody_there_is_3(self):
        nobody = f"http://127.0.0.1:{harness.free_port()}"
        for name in scripts():
            with self.subTest(name):
                self.run_script(name, "--no-such-word", status=2)
                if name not in ("drain-and-restart", "aof-repair"):  # these ask others first
                    self.run_script(name, "--url", nobody, status=3)

    def test_status_of_a_healthy_server(self):
        text = self.ask("status")
        self.assertIn("is ready", text)
        self.assertIn("every accepted record is released, pending, parked or dropped", text)

    def test_status_of_one_that_refuses(self):
        self.redis.configure("appendfsync", "everysec")
        try:
            self.daybook.wait_check("buffer", ok=False)
            self.assertIn("NOT READY", self.ask("status", status=1))
        finally:
            self.redis.configure("appendfsync", "always")
            self.daybook.wait_ready()

    def test_check_names_the_setting_and_the_mend(self):
        redis = ("--redis", self.redis.url)
        self.assertNotIn("LOOK", self.ask("check-disk-and-redis", *redis))
        self.redis.configure("maxmemory-policy", "allkeys-lru")
        try:
            text = self.ask("check-disk-and-redis", *redis, status=1)
        finally:
            self.redis.configure("maxmemory-policy", "noeviction")
            self.daybook.wait_ready()
        self.assertIn("redis-cli config set maxmemory-policy noeviction", text)
        socket = ("--redis", "unix:" + self.redis.unix_socket)
        self.ask("check-disk-and-redis", *socket)

    def test_backlog_and_parked_records(self):
        self.ask("backlog", "--watch", "0")
        self.assertIn("nothing is parked", self.ask("parked"))
        archive = self.daybook.archive_dir
        os.rename(archive, archive + ".away")
        with open(archive, "w", encoding="ascii"):
            pass  # a file where the folder was: every archive attempt fails
        try:
            posted = client.post(self.port, payloads.audit_lines(harness.seeded("parked"), 300_000))
            self.assertEqual(posted.status, 201, posted.describe())
            record = posted.json()["id"]
            self.wait_state(record, "parked")
            self.assertIn(record, self.ask("parked", status=1))
            text = self.ask("backlog", "--watch", "0", "--max-bytes", "1", status=1)
            self.assertIn("above 1", text)
        finally:
            os.remove(archive)
            os.rename(archive + ".away", archive)
        self.ask("parked", "replay", status=2)
        self.assertIn("nothing is parked any more", self.ask("parked", "replay", "--all"))
        self.wait_state(record, "indexed")
        self.ask("backlog", "--watch", "0", "--max-bytes", "1")


class Restart(RunbookTest):

    def test_drain_and_restart_keeps_the_books(self):
        random = harness.seeded("restart")
        before = [client.post(self.port, payloads.audit_lines(random, 200_000)).json()["id"]
                  for _ in range(8)]
        pid_file = self.area.write("daybook.pid", str(self.daybook.process.pid))
        words = ("--pid-file", pid_file, "--url", self.daybook.url)
        text = self.run_script("drain-and-restart", *words)
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        self.addCleanup(os.kill, pid, signal.SIGTERM)
        self.assertNotEqual(pid, self.daybook.process.pid)
        self.assertEqual(self.daybook.process.wait(), 0)  # the first one ended in good order
        self.assertIn("ready again", text)
        for record in before:
            self.wait_state(record)

    def test_another_process_is_left_alone(self):
        words = ("--pid", str(self.redis.process.pid), "--url", self.daybook.url)
        self.run_script("drain-and-restart", *words, status=2)
        self.assertTrue(self.redis.process.running())


if __name__ == "__main__":
    harness.main()
