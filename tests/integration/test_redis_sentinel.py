"""Redis behind sentinels, real ones: a master is killed under load and a replica takes its place.
At replicated:1 nothing that was acknowledged is lost; at fsync what the replica had not got is
named, record by record."""

import json
import signal
import subprocess

import checker
import client
import harness
import redis_servers
from load import Load


class SentinelTest(harness.DaybookTest):
    settings, role = {}, None

    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area("sentinel")
        cls.addClassCleanup(cls.area.remove)
        cls.redis = redis_servers.Sentinels(cls.area)
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.daybook = harness.Daybook(cls.area, cls.redis, cls.settings, role=cls.role)
        cls.addClassCleanup(cls.daybook.kill)
        cls.daybook.start()

    def run_command(self, name, *words):
        settings = [word for key in ("node.data_dir", "buffer.url")
                    for word in ("--set", f"{key}={self.daybook.settings[key]}")]
        return subprocess.run([harness.binary(), name, *words, *settings], capture_output=True,
                              text=True, timeout=harness.PATIENCE_S * 2,
                              env=harness.clean_environment())

    def kill_master(self):
        """kill -9, and wait until the sentinels have another."""
        old = self.redis.master()
        old.kill()
        harness.wait_until(lambda: self.redis.master() is not old, "a replica is the master")

    def metric(self, name):
        text = client.request(self.port, "GET", "/metrics").body.decode()
        return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                    if line.startswith(name + " "))


class Failover(SentinelTest):
    # Without other ways every acknowledgement speaks of Redis and its replica.
    settings = {"buffer.durability": "replicated:1", "ingest.reservation_lease": "1s",
                "pipeline.lease": "1s", "buffer.append_timeout": "5s",
                "spool.bytes_max": "0B", "spool.direct_archive": "false"}

    def test_a_killed_master_loses_no_acknowledged_record(self):
        first = self.redis.master()
        journal = checker.Journal()
        load = Load(self.port, journal, "failover").start()
        try:
            harness.wait_until(lambda: len(journal) >= 20, "load")
            self.kill_master()
            before = len(journal)
            harness.wait_until(lambda: len(journal) >= before + 20, "acknowledged by the new one")
        finally:
            load.stop()
        self.assertEqual(load.wrong, [])
        self.daybook.wait_ready()
        status = client.request(self.port, "GET", "/v1/status").json()
        master = self.redis.master()
        self.assertIsNot(master, first)
        self.assertEqual([server["address"] for server in status["buffer"]["servers"]],
                         [f"127.0.0.1:{master.port}"])
        self.assertEqual(status["buffer"]["replicas_confirm_with"], "WAIT")
        checker.wait_drained(self.redis)
        report = checker.check(journal, self.daybook.archive_dir, self.daybook.sqlite_file,
                               self.redis)
        print(report)
        for figure in ("lost", "corrupt", "unindexed", "partial", "residue", "unaccounted"):
            self.assertEqual(report.figures[figure], 0, report)
        fsck = self.run_command("fsck", "--deep")
        self.assertEqual(fsck.returncode, 0, fsck.stdout + fsck.stderr)
        doctor = self.run_command("doctor").stdout
        self.assertIn(f"the master of 'wal' is 127.0.0.1:{master.port}", doctor)
        # The old one comes back as a replica; nobody takes it for the master.
        first.start()
        harness.wait_until(lambda: first.info("role") == "slave", "the old master is a replica")
        self.assertEqual(client.post(self.port, b"after its return").status, 201)
        self.daybook.stop()


class Lost(SentinelTest):
    settings = {"spool.bytes_max": "0B", "spool.direct_archive": "false"}
    role = "ingest"   # nothing leaves the buffer

    def test_what_the_new_master_never_got_is_named(self):
        kept = [client.post(self.port, b"before %d" % n).json()["id"] for n in range(5)]
        master, replicas = self.redis.master(), self.redis.replicas()
        harness.wait_until(lambda: master.command("WAIT", 2, 100).strip() == "2", "replicated")
        for replica in replicas:   # cut off: what comes now reaches neither
            replica.process.signal(signal.SIGSTOP)
            self.addCleanup(replica.process.signal, signal.SIGCONT)
        master.command("CLIENT", "KILL", "TYPE", "replica")
        lost = [client.post(self.port, b"cut off %d" % n).json()["id"] for n in range(4)]
        master.kill()
        for replica in replicas:
            replica.process.signal(signal.SIGCONT)
        harness.wait_until(lambda: self.redis.master() is not master, "a replica is the master")
        harness.wait_until(lambda: self.metric("daybook_records_missing") == len(lost),
                           "the lost ones are counted")
        log = self.daybook.process.log().decode()
        for record in lost:
            self.assertIn(f"acknowledged record {record} is LOST", log)
        for record in kept:
            self.assertNotIn(f"record {record} is LOST", log)
        report = json.loads(self.run_command("fsck", "--json").stdout)
        missing = [found["subject"] for found in report["findings"] if found["kind"] == "missing"]
        self.assertEqual(sorted(missing), sorted(lost))
        self.daybook.wait_ready()
        self.assertEqual(client.post(self.port, b"goes on").status, 201)


class Wrong(harness.DaybookTest):
    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area("sentinel-wrong")
        cls.addClassCleanup(cls.area.remove)
        cls.redis = harness.Redis(cls.area).start()
        cls.addClassCleanup(cls.redis.kill)

    def doctor(self, url, environment=None):
        return subprocess.run(
            [harness.binary(), "doctor", "--set", f"buffer.url={url}", "--set",
             f"node.data_dir={self.area.path}"], capture_output=True, text=True,
            timeout=harness.PATIENCE_S,
            env={**harness.clean_environment(), **(environment or {})}).stdout

    def sentinel(self, *lines):
        port = harness.free_port()
        path = self.area.write(f"sentinel-{port}.conf", "\n".join([
            f"port {port}", "bind 127.0.0.1", f"dir {self.area.path}",
            f"sentinel monitor wal 127.0.0.1 {self.redis.port} 1", *lines, ""]))
        process = harness.Process(f"sentinel-{port}", [
            harness.need_program("redis-server"), path, "--sentinel"],
            self.area.file(f"sentinel-{port}.log"))
        process.start()
        self.addCleanup(process.kill)
        harness.wait_until(lambda: subprocess.run(
            ["redis-cli", "-p", str(port), "PING"], capture_output=True).stdout, "it answers")
        return port

    def test_each_slip_is_named(self):
        sentinel, port = self.sentinel(), self.redis.port
        self.assertIn("knows no master 'wall'",
                      self.doctor(f"redis+sentinel://127.0.0.1:{sentinel}/wall"))
        self.assertIn("is no sentinel", self.doctor(f"redis+sentinel://127.0.0.1:{port}/wal"))
        self.assertIn("not part of a cluster", self.doctor(f"redis+cluster://127.0.0.1:{port}"))
        # A dead sentinel among the living is no trouble.
        self.assertIn(f"is 127.0.0.1:{port}", self.doctor(
            f"redis+sentinel://127.0.0.1:{harness.free_port()},127.0.0.1:{sentinel}/wal"))

    def test_a_sentinel_has_a_password_of_its_own(self):
        url = f"redis+sentinel://127.0.0.1:{self.sentinel('requirepass opensesame')}/wal"
        self.assertIn("buffer.sentinel_password", self.doctor(url))
        self.assertIn(f"is 127.0.0.1:{self.redis.port}", self.doctor(
            url, {"DAYBOOK_BUFFER_SENTINEL_PASSWORD": "opensesame"}))


if __name__ == "__main__":
    harness.main()
