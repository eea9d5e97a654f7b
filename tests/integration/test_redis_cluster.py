"""A real Redis Cluster of three masters and three replicas: records over all partitions, a master
killed under load, slots that move under load, and the commands of an operator."""

import json
import subprocess
import time

import checker
import client
import harness
import redis_servers
from load import Load

PARTITIONS = 6   # their slots lie on all three masters


class ClusterTest(harness.DaybookTest):
    settings = {"buffer.partitions": str(PARTITIONS), "ingest.reservation_lease": "1s",
                "pipeline.lease": "1s", "audit.interval": "0s"}

    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area("cluster")
        cls.addClassCleanup(cls.area.remove)
        cls.redis = redis_servers.Cluster(cls.area)
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.daybook = harness.Daybook(cls.area, cls.redis, cls.settings)
        cls.addClassCleanup(cls.daybook.kill)
        cls.daybook.start()
        cls.journal = checker.Journal()   # of all cases: the archive is one, too

    def status(self):
        return client.request(self.port, "GET", "/v1/status").json()

    def run_command(self, name, *words):
        settings = [word for key in ("node.data_dir", "buffer.url", "buffer.partitions")
                    for word in ("--set", f"{key}={self.daybook.settings[key]}")]
        return subprocess.run([harness.binary(), name, *words, *settings], capture_output=True,
                              text=True, timeout=harness.PATIENCE_S * 2,
                              env=harness.clean_environment())

    def post(self, payload, **headers):
        answer = client.post(self.port, payload, headers)
        self.assertEqual(answer.status, 201, answer.describe())
        self.journal.acknowledge(answer.json())
        return answer.json()

    def owner(self, partition):
        return self.redis.owner(self.redis.slot(f"{{daybook:{partition}}}:wal"))

    def assert_all_archived(self, may_be_missing=False):
        """Acknowledged == archived, or named as missing where that may be."""
        self.daybook.wait_ready()
        self.daybook.wait_spool_empty()
        checker.wait_drained(self.redis, PARTITIONS, harness.PATIENCE_S)
        archived = checker.archived_objects(self.daybook.archive_dir)[0]
        lost = sorted(set(self.journal.records) - set(archived))
        report = json.loads(self.run_command("fsck", "--json").stdout)
        missing = [found["subject"] for found in report["findings"] if found["kind"] == "missing"]
        self.assertEqual(sorted(missing), lost)
        if lost:
            print(f"{len(lost)} of {len(self.journal)} acknowledged records lost and named")
        self.assertTrue(may_be_missing or not lost, lost)
        checked = checker.check(self.journal, self.daybook.archive_dir, self.daybook.sqlite_file,
                                self.redis, PARTITIONS)
        for figure in ("corrupt", "partial", "residue"):
            self.assertEqual(checked.figures[figure], 0, checked)
        if not may_be_missing:
            self.assertTrue(checked.clean(), checked)

    # Cases run by name; the one that takes a master away comes last.

    def test_1_every_partition_takes_and_gives_back(self):
        receipts = [self.post(b"record %d" % number) for number in range(2 * PARTITIONS)]
        self.assertEqual({receipt["partition"] for receipt in receipts}, set(range(PARTITIONS)))
        self.assertEqual(len({self.owner(p).port for p in range(PARTITIONS)}), 3)
        for receipt in receipts:
            self.wait_state(receipt["id"])
        key = {"Idempotency-Key": "once"}
        first = client.post(self.port, b"once", key)
        self.assertEqual(client.post(self.port, b"once", key).body, first.body)
        self.journal.acknowledge(first.json(), "once")
        status = self.status()
        self.assertEqual(sorted(server["address"] for server in status["buffer"]["servers"]),
                         sorted(f"127.0.0.1:{node.port}" for node in self.redis.masters()))
        used = sum(int(node.info("used_memory")) for node in self.redis.masters())
        self.assertAlmostEqual(status["buffer"]["memory_bytes"] / used, 1, delta=0.5)
        harness.wait_until(lambda: self.status()["records"]["released"] == len(receipts) + 1,
                           "counters of all masters are summed")
        shown = subprocess.run([harness.binary(), "status", "--url", self.daybook.url],
                               capture_output=True, text=True, env=harness.clean_environment())
        self.assertIn("on 3 masters", shown.stdout)
        self.assertRegex(shown.stdout, "advice +redis min-replicas-to-write")
        doctor = self.run_command("doctor").stdout
        self.assertIn("3 masters serve the slots", doctor)
        self.assertNotIn("FAIL  redis", doctor)
        self.assert_all_archived()

    def test_2_a_setting_of_one_master_is_named(self):
        node = self.redis.masters()[1]
        node.configure("appendfsync", "everysec")
        try:
            detail = self.daybook.wait_check("buffer", ok=False)["detail"]
            self.assertIn(f"127.0.0.1:{node.port}", detail)
            self.assertIn("appendfsync", detail)
            self.assertIn(f"-p {node.port} CONFIG SET appendfsync always",
                          self.run_command("doctor").stdout)
        finally:
            node.configure("appendfsync", "always")
        self.daybook.wait_check("buffer", ok=True)

    def test_3_parked_records_are_found_on_every_master(self):
        ids = {}
        for partition in range(PARTITIONS):   # bytes that are not what was promised
            record = f"00000000-0000-7000-{0x8000 | partition << 4:04x}-{partition:012x}"
            tag = f"{{daybook:{partition}}}"
            ids[record] = tag
            self.redis.command("SET", f"{tag}:record:{record}", "damaged")
            self.redis.command("HINCRBY", f"{tag}:counters", "accepted", 1)
            # In one step: the pipeline is quick.
            self.redis.command(
                "EVAL", "redis.call('HSET', KEYS[2], ARGV[1], redis.call('XADD', KEYS[1], '*', "
                "'id', ARGV[1], 'size', 7, 'sha256', ARGV[2]))", 2, f"{tag}:wal", f"{tag}:pending",
                record, "0" * 64)
        url = ["--url", self.daybook.url]

        def parked():
            run = subprocess.run([harness.binary(), "parked", "list", "--json", *url],
                                 capture_output=True, text=True, check=True,
                                 env=harness.clean_environment())
            return {json.loads(line)["id"] for line in run.stdout.splitlines()}
        harness.wait_until(lambda: parked() == set(ids), "all are parked")
        for record in ids:
            subprocess.run([harness.binary(), "parked", "drop", record, "--reason", "test", "--yes", *url],
                           check=True, capture_output=True, env=harness.clean_environment())
        self.assertEqual(parked(), set())
        self.assertEqual(self.status()["records"]["dropped"], PARTITIONS)

    def test_3_atomic_batches_lie_whole_on_one_master(self):
        batches = {}
        for number in range(2 * PARTITIONS):
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"atomic {number}"}
            body = json.dumps([{"batch": number, "n": n} for n in range(20)]).encode()
            for status in (201, 200):
                answer = client.request(self.port, "POST", "/v1/records:batch?atomic=true", body, headers)
                self.assertEqual(answer.status, status, answer.describe())
                receipts = [one["receipt"] for one in answer.json()["results"]]
                self.assertEqual(batches.setdefault(number, receipts), receipts)
            self.assertEqual(len({receipt["partition"] for receipt in receipts}), 1)
            for receipt in receipts:
                self.journal.acknowledge(receipt)
        self.assertGreater(len({receipts[0]["partition"] for receipts in batches.values()}), 1)
        for receipts in batches.values():
            self.wait_state(receipts[-1]["id"])

    def test_4_a_slot_that_moves_under_load_loses_nothing(self):
        slot = self.redis.slot("{daybook:2}:wal")
        source = self.redis.owner(slot)
        target = next(node for node in self.redis.masters() if node is not source)
        load = Load(self.port, self.journal, "move").start()
        try:
            harness.wait_until(lambda: len(self.journal) >= 40, "load")
            _, target_id = self.redis.begin_move(slot, target)
            for _ in range(20):   # half here and half there, for a while
                self.redis.move_keys(slot, source, target, 1)
                time.sleep(0.05)
            self.redis.end_move(slot, source, target, target_id)
            before = len(self.journal)
            harness.wait_until(lambda: len(self.journal) >= before + 20, "load goes on")
        finally:
            load.stop()
        self.assertEqual(load.wrong, [])
        self.assertIs(self.redis.owner(slot), target)
        self.assert_all_archived()

    def test_5_the_load_goes_on_after_a_master_was_killed(self):
        victim = self.owner(1)
        load = Load(self.port, self.journal, "failover").start()
        try:
            before = len(self.journal)
            harness.wait_until(lambda: len(self.journal) >= before + 20, "load")
            victim.kill()
            self.redis.wait_ok()
            self.daybook.wait_check("buffer", ok=True)
            before = len(self.journal)
            harness.wait_until(lambda: len(self.journal) >= before + 20, "load goes on")
        finally:
            load.stop()
        self.assertEqual(load.wrong, [])
        harness.wait_until(lambda: self.post(b"after")["partition"] == 1 and
                           self.post(b"after")["durability"] == "fsync", "its partition, too")
        self.assert_all_archived(may_be_missing=True)
        self.daybook.stop()


class Wrong(harness.DaybookTest):
    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area("cluster-wrong")
        cls.addClassCleanup(cls.area.remove)

    def test_a_node_is_not_taken_for_the_whole(self):
        node = redis_servers.Cluster(self.area, masters=1, replicas=0).nodes[0]
        self.addCleanup(node.kill)
        node.start()

        def doctor(url):
            return subprocess.run(
                [harness.binary(), "doctor", "--set", f"buffer.url={url}", "--set",
                 f"node.data_dir={self.area.path}"], capture_output=True, text=True,
                timeout=harness.PATIENCE_S, env=harness.clean_environment()).stdout
        self.assertIn("the cluster is down", doctor(f"redis+cluster://127.0.0.1:{node.port}"))
        node.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        harness.wait_until(lambda: "cluster_state:ok" in node.command("CLUSTER", "INFO"), "it is up")
        self.assertIn("redis+cluster://", doctor(f"redis://127.0.0.1:{node.port}"))
        self.assertIn("1 masters serve", doctor(f"redis+cluster://127.0.0.1:{node.port}"))


if __name__ == "__main__":
    harness.main()
