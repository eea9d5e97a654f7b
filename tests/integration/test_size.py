"""`daybook size` against what really happens: records wait in Redis while the object store is away,
and in the spool while Redis is; the plan must be within a quarter of it."""

import concurrent.futures
import json
import os
import subprocess

import client
import harness
import payloads

TOLERANCE = 0.25


class Size(harness.DaybookTest):
    # Nobody listens there, so records wait, parked after one attempt each.
    settings = {"archive.kind": "s3", "archive.s3_bucket": "away",
                "archive.s3_endpoint": f"http://127.0.0.1:{harness.free_port()}",
                "pipeline.attempts_max": "1", "pipeline.retry_max": "100ms",
                "pipeline.parked_retry": "1h", "server.drain_timeout": "1s"}

    @classmethod
    def secrets(cls):
        return {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": "key", "DAYBOOK_ARCHIVE_S3_SECRET_KEY": "secret"}

    def plan(self, *words, status=0):
        run = subprocess.run([harness.binary(), "size", *words], capture_output=True, timeout=60,
                             stdin=subprocess.DEVNULL, env=harness.clean_environment())
        self.assertEqual(run.returncode, status, f"{words}: {run.stdout!r} {run.stderr!r}")
        return run

    def plan_for(self, count, sample):
        """A busy minute, an outage of one, and one until records are tried again: `count` wait."""
        return json.loads(self.plan(
            "--records-per-second", str(count / 120), "--outage", "1m", "--redis-outage", "2m",
            "--idempotency-window", "2m", "--sample", *sample, "--json").stdout)

    def samples(self, name, count, size):
        """Files of half text, half noise: texts alone compress so well that little is measured."""
        random = harness.seeded(name)
        paths = []
        for number in range(count):
            length = random.randrange(size * 3 // 4, size * 5 // 4)
            paths.append(self.area.write(
                f"{name}-{number}", payloads.audit_lines(random, length // 2) +
                payloads.incompressible(random, length - length // 2)))
        return paths

    def post_all(self, paths, times):
        def post(item):
            number, path = item
            with open(path, "rb") as file:
                answer = client.post(self.port, file.read(), {
                    "ce-type": "org.example.audit.login", "ce-source": "/clusters/eu-1/nodes/42",
                    "ce-subject": "users/4711", "Idempotency-Key": f"{path}-{number}"})
            self.assertEqual(answer.status, 201, answer.describe())
            return answer.json()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(post, enumerate(paths * times)))

    def assert_near(self, planned, found, what):
        self.assertLess(abs(planned / found - 1), TOLERANCE,
                        f"{what}: planned {planned:.0f}, found {found:.0f}")
        print(f"{what}: planned {planned:.0f}, found {found:.0f} ({planned / found - 1:+.1%})")

    def aof_bytes(self):
        folder = os.path.join(self.redis.data, "appendonlydir")
        return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))

    def compare(self, name, files, times, size):
        sample = self.samples(name, files, size)
        plan = self.plan_for(files * times, sample)
        parked = self.parked_total()
        memory, aof = int(self.redis.info("used_memory")), self.aof_bytes()
        receipts = self.post_all(sample, times)
        self.assertEqual({receipt["durability"] for receipt in receipts}, {"fsync"})
        harness.wait_until(lambda: self.parked_total() == parked + len(receipts),
                           "every record waits parked")
        stored = sum(receipt["stored_size"] for receipt in receipts)
        self.assert_near(plan["record"]["stored_bytes"] * len(receipts), stored, f"{name}: stored")
        self.assert_near(plan["redis"]["backlog_bytes"] + plan["redis"]["keys_bytes"],
                         int(self.redis.info("used_memory")) - memory, f"{name}: Redis memory")
        self.assert_near(plan["redis"]["aof_backlog_bytes"], self.aof_bytes() - aof,
                         f"{name}: append-only file")

    def parked_total(self):
        return sum(int(self.redis.command("HLEN", f"{{daybook:{number}}}:parked"))
                   for number in range(4))

    def test_large_records_wait_in_redis_as_planned(self):
        self.compare("large", 20, 5, 400_000)

    def test_small_records_wait_in_redis_as_planned(self):
        self.compare("small", 20, 30, 6_000)

    def test_records_wait_in_the_spool_as_planned(self):
        sample = self.samples("spooled", 20, 60_000)
        plan = self.plan_for(40, sample)
        self.assertEqual(round(plan["node"]["spool_records"]), 40)
        self.redis.kill()
        try:
            self.assertEqual(client.post(self.port, b"first").json()["durability"], "spool")
            before = self.daybook.spool()["bytes"]
            self.post_all(sample, 2)
            self.assert_near(plan["node"]["spool_bytes"], self.daybook.spool()["bytes"] - before,
                             "spool")
        finally:
            self.redis.start()
        self.daybook.wait_ready()
        self.daybook.wait_spool_empty()

    def test_wrong_flags_are_answered_with_a_sentence(self):
        good = ["--records-per-second", "5", "--size", "4MiB", "--compression", "9.4"]
        self.plan(*good)
        for words in ([], ["--size", "4MiB"], good + ["--outage", "soon"], good + ["--nodes", "0"],
                      good + ["--archive", "tape"], good + ["--sample", self.area.path],
                      good + ["--no-such-flag"]):
            run = self.plan(*words, status=2)
            self.assertGreater(len(run.stderr), 20, words)
            self.assertEqual(run.stdout, b"", words)

    def test_the_settings_are_a_configuration(self):
        text = self.plan("--records-per-second", "120", "--size", "4MiB", "--compression", "9.4",
                         "--replicas", "1").stdout.decode()
        self.assertRegex(text, r"(?m)^First limit: .* full at [\d.]+ records/s")
        toml = text.split("daybook.toml\n")[1].split("redis.conf\n")[0]
        redis = text.split("redis.conf\n")[1]
        path = self.area.write("sized.toml", toml)
        run = subprocess.run([harness.binary(), "config", "--check", "--config", path],
                             capture_output=True, timeout=60, env=harness.clean_environment())
        self.assertEqual(run.returncode, 0, run.stderr)
        lines = [line.split() for line in redis.splitlines() if line.strip()]
        self.assertGreater(len(lines), 8)
        own = harness.Redis(self.area, name="sized")
        config = self.area.write("sized.conf", "".join(
            f"{line}\n" for line in [*map(" ".join, lines), f"port {own.port}", "bind 127.0.0.1",
                                     f"dir {own.data}"]))
        own.process.command = [harness.need_program("redis-server"), config]
        own.start()
        try:
            self.assertEqual(own.command("CONFIG", "GET", "appendfsync").split()[1], "always")
            self.assertGreater(int(own.info("maxmemory")), 1 << 30)
        finally:
            own.stop()


if __name__ == "__main__":
    harness.main()
