"""`daybook fsck` and `daybook rebuild-index` against damage made by hand in each store, with the
stores' own tools: files, sqlite3, redis-cli."""

import glob
import json
import os
import shutil
import sqlite3
import subprocess
import time
import uuid

import checker
import client
import harness
import payloads
from harness import wait_until


def id_of_age(seconds, partition=0):
    """A record id as if made so long ago: UUIDv7 with the partition in the 10 bits after the
    variant."""
    stamp = int((time.time() - seconds) * 1000)
    value = (stamp << 80) | (7 << 76) | (0b10 << 62) | (partition << 52) | 0x1234567
    return str(uuid.UUID(int=value))


class FsckTest(harness.DaybookTest):
    """Each case has stores of its own: damage of one must not be found by another."""

    role = None
    settings = {}
    environment = {}
    cases = 0

    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area(cls.__name__)
        cls.addClassCleanup(cls.area.remove)

    def setUp(self):
        self.random = harness.seeded(self.id())
        FsckTest.cases += 1  # short: a Unix socket's path has at most 107 bytes
        name = f"case-{FsckTest.cases}"
        self.redis = harness.Redis(self.area, name=name + "-redis").start()
        self.addCleanup(self.redis.stop)
        self.daybook = harness.Daybook(self.area, self.redis, self.settings, role=self.role,
                                       name=name, environment=self.environment).start()
        self.addCleanup(self.daybook.stop)

    def post(self, count=1):
        receipts = []
        for _ in range(count):
            payload = payloads.any_payload(self.random, 100, 3 << 20)
            answer = client.post(self.port, payload)
            self.assertEqual(answer.status, 201, answer.describe())
            receipts.append(answer.json())
        return receipts

    def post_archived(self, count=1):
        receipts = self.post(count)
        for receipt in receipts:
            self.wait_state(receipt["id"])
        checker.wait_drained(self.redis)
        time.sleep(0.3)  # the trail's remarks follow the answers
        return receipts

    def metric(self, name):
        text = client.request(self.port, "GET", "/metrics").body.decode()
        found = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name + " ")]
        return float(found[0]) if found else None

    def command(self, name, *words):
        settings = []
        for key in ("node.data_dir", "buffer.url"):
            settings += ["--set", f"{key}={self.daybook.settings[key]}"]
        return subprocess.run([harness.binary(), name, *words, *settings], capture_output=True,
                              text=True, timeout=harness.PATIENCE_S * 2,
                              env=harness.clean_environment())

    def fsck(self, *words, status=1):
        run = self.command("fsck", "--json", *words)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return json.loads(run.stdout)

    def assert_only(self, report, **counts):
        """Exactly these findings, each with the subjects that are given as a list."""
        expected = {kind: len(subjects) for kind, subjects in counts.items()}
        found = {kind: count for kind, count in report["counts"].items() if count}
        self.assertEqual(found, expected, json.dumps(report, indent=1))
        for kind, subjects in counts.items():
            self.assertEqual(sorted(f["subject"] for f in report["findings"] if f["kind"] == kind),
                             sorted(subjects))

    def row(self, record_id):
        rows = [row for row in checker.rows(self.daybook.sqlite_file) if row["id"] == record_id]
        return rows[0] if rows else None

    def object_path(self, record_id):
        found = glob.glob(f"{self.daybook.archive_dir}/**/{record_id}.*", recursive=True)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def sql(self, text, *values):
        with sqlite3.connect(self.daybook.sqlite_file, timeout=30) as connection:
            connection.execute(text, values)
        connection.close()


class Clean(FsckTest):
    def test_finds_nothing_where_nothing_is_wrong(self):
        self.post_archived(4)
        for words in ((), ("--deep",), ("--repair",)):
            report = self.fsck(*words, status=0)
            self.assert_only(report)
            self.assertEqual(report["looked_at"]["trail"], 4)
            self.assertEqual(report["looked_at"]["objects"], 4)
            self.assertEqual(report["looked_at"]["rows"], 4)
        self.daybook.stop()
        self.assert_only(self.fsck(status=0))

    def test_text_says_clean(self):
        self.post_archived(1)
        run = self.command("fsck")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertTrue(run.stdout.endswith("clean\n"), run.stdout)

    def test_finds_nothing_while_records_arrive(self):
        begun = time.monotonic()
        sent = 0
        runs = []
        while time.monotonic() - begun < 4 or len(runs) < 3:
            self.post(2)
            sent += 2
            if not runs or runs[-1].poll() is not None:
                runs.append(subprocess.Popen(
                    [harness.binary(), "fsck", "--json",
                     "--set", f"node.data_dir={self.daybook.data_dir}",
                     "--set", f"buffer.url={self.redis.url}"], stdout=subprocess.PIPE, text=True,
                    env=harness.clean_environment()))
        for run in runs:
            text, _ = run.communicate(timeout=harness.PATIENCE_S)
            self.assertEqual(run.returncode, 0, text)
        self.assertGreaterEqual(len(runs), 3)

    def test_wrong_use_and_unreachable_stores_have_codes_of_their_own(self):
        self.post_archived(1)
        self.assertEqual(self.command("fsck", "--no-such-flag").returncode, 2)
        os.rename(self.daybook.archive_dir, self.daybook.archive_dir + "-away")
        self.addCleanup(os.rename, self.daybook.archive_dir + "-away", self.daybook.archive_dir)
        run = self.command("fsck")
        self.assertEqual(run.returncode, 3, run.stdout + run.stderr)
        self.assertIn("could not look at the archive", run.stderr)

    def test_a_dead_redis_is_named(self):
        self.post_archived(1)
        self.redis.stop()
        run = self.command("fsck")
        self.assertEqual(run.returncode, 3, run.stdout + run.stderr)
        self.assertIn("could not look at the buffer", run.stderr)


class Damage(FsckTest):
    def test_a_deleted_row_is_found_and_inserted_again(self):
        receipts = self.post_archived(3)
        lost = receipts[1]["id"]
        before = self.row(lost)
        self.daybook.stop()     # a server that has just begun would insert it by itself
        self.sql("DELETE FROM records WHERE id = ?", lost)
        self.assert_only(self.fsck(), unindexed=[lost])
        self.assertIsNone(self.row(lost), "a run without --repair changed the index")
        self.assert_only(self.fsck("--repair"), unindexed=[lost])
        after = self.row(lost)
        for column in before:
            if column not in ("position", "started_at", "archived_at", "indexed_at"):
                self.assertEqual(after[column], before[column], column)
        self.assert_only(self.fsck("--deep", status=0))
        self.daybook.start()
        payload = client.request(self.port, "GET", f"/v1/records/{lost}/payload")
        self.assertEqual(payloads.sha256(payload.body), receipts[1]["sha256"])

    def test_a_deleted_object_is_found_and_its_row_stays(self):
        lost = self.post_archived(3)[0]["id"]
        os.remove(self.object_path(lost))
        self.assert_only(self.fsck("--repair"), row_without_object=[lost])
        self.assertIsNotNone(self.row(lost))

    def test_a_record_without_object_and_row_is_missing(self):
        lost = self.post_archived(3)[2]
        os.remove(self.object_path(lost["id"]))
        self.sql("DELETE FROM records WHERE id = ?", lost["id"])
        self.daybook.stop()
        report = self.fsck()
        self.assert_only(report, missing=[lost["id"]])
        self.assertIn(lost["sha256"], report["findings"][0]["detail"])

    def test_a_record_that_was_dropped_by_command_is_not_missing(self):
        dropped, lost = self.post_archived(2)
        for receipt in (dropped, lost):
            os.remove(self.object_path(receipt["id"]))
            self.sql("DELETE FROM records WHERE id = ?", receipt["id"])
        self.redis.command("HSET", f"{{daybook:{dropped['partition']}}}:dropped", dropped["id"],
                           "{}")
        report = self.fsck()
        self.assert_only(report, missing=[lost["id"]])
        self.assertIn("1 acknowledged records were dropped", " ".join(report["notes"]))

    def test_a_flipped_byte_anywhere_in_an_object_is_found(self):
        record = self.post_archived(2)[0]["id"]
        path = self.object_path(record)
        with open(path, "rb") as file:
            good = file.read()
        for place in (3, 40, len(good) // 2, len(good) - 40, len(good) - 2):
            bad = bytearray(good)
            bad[place] ^= 0x10
            with open(path, "wb") as file:
                file.write(bad)
            self.assert_only(self.fsck("--repair"), damaged=[record])
        with open(path, "wb") as file:
            file.write(good[:-1])
        self.assert_only(self.fsck(), damaged=[record])
        with open(path, "wb") as file:
            file.write(good)
        self.assert_only(self.fsck(status=0))

    def test_a_row_that_tells_other_things_is_found(self):
        record = self.post_archived(2)[0]["id"]
        self.sql("UPDATE records SET tenant = 'somebody else' WHERE id = ?", record)
        self.assert_only(self.fsck(), damaged=[record])

    def test_a_damaged_object_gets_no_row(self):
        record = self.post_archived(2)[0]["id"]
        path = self.object_path(record)
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) - 45)  # behind the envelope, which has no digest
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        self.sql("DELETE FROM records WHERE id = ?", record)
        self.assert_only(self.fsck("--repair"), damaged=[record], unindexed=[record])
        self.assertIsNone(self.row(record))

    def test_a_second_object_of_a_record_is_found(self):
        record = self.post_archived(2)[0]["id"]
        path = self.object_path(record)
        other = os.path.join(self.daybook.archive_dir, "elsewhere")
        os.makedirs(other)
        shutil.copy(path, other)
        report = self.fsck("--repair")
        self.assertGreaterEqual(report["counts"]["duplicate"], 1)
        self.assertEqual({f["subject"] for f in report["findings"]}, {record})
        self.assertTrue(os.path.exists(os.path.join(other, os.path.basename(path))))

    def test_stray_temporary_files_are_found_and_old_ones_deleted(self):
        self.post_archived(1)
        folder = os.path.join(self.daybook.archive_dir, ".tmp")
        young, old = os.path.join(folder, "put-young"), os.path.join(folder, "put-old")
        for path in (young, old):
            with open(path, "wb") as file:
                file.write(b"torn")
        os.utime(old, (time.time() - 7200, time.time() - 7200))
        self.assert_only(self.fsck(), residue=[young, old])
        self.assertTrue(os.path.exists(old))
        self.assert_only(self.fsck("--repair"), residue=[young, old])
        self.assertTrue(os.path.exists(young))
        self.assertFalse(os.path.exists(old))

    def test_a_torn_line_of_the_trail_is_told_and_no_finding(self):
        self.post_archived(2)
        self.daybook.stop()
        trail = glob.glob(os.path.join(self.daybook.data_dir, "trail", "*.trail"))
        with open(trail[0], "ab") as file:
            file.write(b"0190a5f0-0000-7000-8000-0000")
        report = self.fsck(status=0)
        self.assertIn("torn", " ".join(report["notes"]))

    def test_a_refused_record_is_not_missing(self):
        self.post_archived(1)
        self.daybook.stop()
        trail = glob.glob(os.path.join(self.daybook.data_dir, "trail", "*.trail"))[0]
        refused, cut_off, lost = (id_of_age(60), id_of_age(61), id_of_age(62))
        with open(trail, "a") as file:
            for record in (refused, cut_off, lost):
                file.write(f"{record} {'ab' * 32} 5 0\n")
            file.write(f"# failed {refused}\n# stored {lost}\n")
        report = self.fsck()
        self.assert_only(report, missing=[lost])
        self.assertIn("1 records of the trail are nowhere", " ".join(report["notes"]))


class Orphans(FsckTest):
    def key(self, record_id, partition=0):
        return f"{{daybook:{partition}}}:record:{record_id}"

    def test_bytes_without_an_entry_are_deleted_when_they_are_old(self):
        self.post_archived(1)
        young, old = id_of_age(60), id_of_age(3600)
        for record in (young, old):
            self.redis.command("SET", self.key(record), "no record")
        self.assert_only(self.fsck(), orphan=[young, old])
        self.assert_only(self.fsck("--repair"), orphan=[young, old])
        self.assertEqual(checker.record_keys(self.redis), [self.key(young)])

    def test_the_only_copy_of_a_record_gets_its_entry_back(self):
        receipt = self.post_archived(1)[0]
        record = receipt["id"]
        path = self.object_path(record)
        with open(path, "rb") as file:
            stored = file.read()
        os.remove(path)
        self.sql("DELETE FROM records WHERE id = ?", record)
        subprocess.run(["redis-cli", "-p", str(self.redis.port), "-x", "SET",
                        self.key(record, receipt["partition"])], input=stored, check=True,
                       capture_output=True)
        self.assert_only(self.fsck("--repair"), orphan=[record])
        self.wait_state(record)
        checker.wait_drained(self.redis)
        self.assert_only(self.fsck("--deep", status=0))


class Rebuild(FsckTest):
    def rebuild(self, status=0):
        run = self.command("rebuild-index", "--json")
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return json.loads(run.stdout)

    def test_the_index_comes_back_from_the_objects_alone(self):
        receipts = self.post_archived(12)
        before = {row["id"]: row for row in checker.rows(self.daybook.sqlite_file)}
        self.daybook.stop()
        for path in glob.glob(self.daybook.sqlite_file + "*"):
            os.remove(path)
        run = self.command("fsck")
        self.assertEqual(run.returncode, 3, run.stdout)
        self.assertIn("rebuild-index", run.stderr)
        summary = self.rebuild()
        self.assertEqual((summary["objects"], summary["inserted"]), (12, 12))
        after = {row["id"]: row for row in checker.rows(self.daybook.sqlite_file)}
        self.assertEqual(sorted(after), sorted(before))
        for record, row in before.items():
            for column in row:
                if column not in ("position", "started_at", "archived_at", "indexed_at"):
                    self.assertEqual(after[record][column], row[column], column)
        self.assertEqual(self.rebuild()["present"], 12)
        self.assert_only(self.fsck("--deep", status=0))
        self.daybook.start()
        for receipt in receipts:
            payload = client.request(self.port, "GET", f"/v1/records/{receipt['id']}/payload")
            self.assertEqual(payloads.sha256(payload.body), receipt["sha256"])

    def test_damaged_objects_are_named_and_get_no_row(self):
        receipts = self.post_archived(4)
        bad = receipts[2]["id"]
        self.daybook.stop()
        with open(self.object_path(bad), "r+b") as file:
            file.truncate(os.path.getsize(self.object_path(bad)) - 3)
        for path in glob.glob(self.daybook.sqlite_file + "*"):
            os.remove(path)
        summary = self.rebuild(status=1)
        self.assertEqual(summary["inserted"], 3)
        self.assertEqual([bad in item["key"] for item in summary["damaged"]], [True])
        self.assertIsNone(self.row(bad))


class LostBuffer(FsckTest):
    role = "ingest"  # nothing is archived, so every record is pending

    def test_records_that_flushall_took_are_missing(self):
        receipts = self.post(5)
        time.sleep(0.5)
        self.assert_only(self.fsck(status=0))
        self.redis.command("FLUSHALL")
        self.daybook.stop()
        self.assert_only(self.fsck(), missing=[receipt["id"] for receipt in receipts])

    def test_the_server_names_what_flushall_took(self):
        receipts = self.post(5)
        wait_until(lambda: self.metric("daybook_records_accepted_total") == 5, "5 are counted")
        self.assertEqual(self.metric("daybook_records_missing"), 0)
        self.redis.command("FLUSHALL")
        later = self.post(2)
        wait_until(lambda: self.metric("daybook_records_missing") == 5, "5 are missing")
        log = self.daybook.process.log().decode()
        for receipt in receipts:
            self.assertIn(f"acknowledged record {receipt['id']} is LOST", log)
        for receipt in later:
            self.assertNotIn(f"record {receipt['id']} is LOST", log)
        status = client.request(self.port, "GET", "/v1/status").json()
        self.assertEqual(status["records"]["missing"], 5)
        # The counters of the metrics go on: what they do not account for is what was lost.
        self.assertEqual(self.metric("daybook_records_accepted_total"), 7)
        self.assertEqual(self.metric("daybook_records_pending"), 2)
        self.assertEqual(self.metric("daybook_records_unaccounted"), 0)

    def test_a_redis_that_forgot_its_last_records_is_noticed(self):
        self.post(3)
        time.sleep(0.3)
        aof = glob.glob(os.path.join(self.redis.data, "appendonlydir", "*.incr.aof"))[0]
        kept = os.path.getsize(aof)
        lost = [receipt["id"] for receipt in self.post(2)]
        time.sleep(0.3)
        self.redis.kill()
        with open(aof, "r+b") as file:
            file.truncate(kept)
        self.redis.start()
        wait_until(lambda: self.metric("daybook_records_missing") == 2, "2 are missing")
        log = self.daybook.process.log().decode()
        for record in lost:
            self.assertIn(f"acknowledged record {record} is LOST", log)

    def test_a_redis_that_comes_back_whole_raises_no_alarm(self):
        self.post(3)
        self.redis.kill()
        self.redis.start()
        wait_until(lambda: b"comparing the trail" in self.daybook.process.log(), "it is noticed")
        time.sleep(6)  # both looks
        self.assertEqual(self.metric("daybook_records_missing"), 0)
        self.assertNotIn(b"LOST", self.daybook.process.log())

    def test_a_start_finds_what_was_lost_while_the_node_was_down(self):
        lost = self.post(2)
        self.daybook.stop()
        self.redis.command("FLUSHALL")
        self.daybook.start()
        wait_until(lambda: self.metric("daybook_records_missing") == len(lost), "2 are missing")


class FlushedPipeline(FsckTest):
    # Nobody listens there, so records stay with the pipeline, which tries them again and again.
    settings = {"archive.kind": "s3", "archive.s3_endpoint": "http://127.0.0.1:9",
                "archive.s3_bucket": "none"}
    environment = {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": "a", "DAYBOOK_ARCHIVE_S3_SECRET_KEY": "b"}

    def test_what_flushall_takes_out_of_the_pipelines_hands_is_missing(self):
        lost = self.post(4)
        self.assertEqual(self.metric("daybook_records_missing"), 0)
        self.redis.command("FLUSHALL")
        # Also while the archive cannot be asked whether it has them.
        wait_until(lambda: self.metric("daybook_records_missing") == 4, "4 are missing")
        kept = self.post(3)
        self.assertEqual(self.metric("daybook_records_unaccounted"), 0)
        for receipt in kept:
            found = client.request(self.port, "GET", f"/v1/records/{receipt['id']}")
            self.assertEqual(found.status, 200, found.describe())
        for receipt in lost:
            found = client.request(self.port, "GET", f"/v1/records/{receipt['id']}")
            self.assertEqual(found.status, 404, found.describe())


class Reconciled(FsckTest):
    def test_an_archived_record_without_row_and_entry_is_indexed_at_start(self):
        receipt = self.post_archived(2)[0]
        self.daybook.stop()
        self.sql("DELETE FROM records WHERE id = ?", receipt["id"])
        self.daybook.start()
        self.wait_state(receipt["id"])
        self.assertEqual(self.metric("daybook_records_missing"), 0)
        self.assert_only(self.fsck("--deep", status=0))

    def test_a_killed_node_raises_no_alarm_at_its_start(self):
        payload = payloads.audit_lines(self.random, 100_000)
        for _ in range(3):
            connections = [client.Connection(self.port) for _ in range(8)]
            for connection in connections:
                connection.send_head("POST", "/v1/records", f"Content-Length: {len(payload)}")
                connection.send(payload)
            self.daybook.kill()
            for connection in connections:
                connection.close()
            self.daybook.start()
        checker.wait_drained(self.redis)
        time.sleep(6)
        self.assertEqual(self.metric("daybook_records_missing"), 0)
        self.assert_only(self.fsck(status=0))


class AofRepair(FsckTest):
    role = "ingest"  # everything stays in the append-only file

    def setUp(self):
        super().setUp()
        self.receipts = []
        self.ends = []  # of the file, after each record
        for _ in range(4):
            answer = client.post(self.port, payloads.incompressible(self.random, 200_000))
            self.receipts.append(answer.json())
            time.sleep(0.15)
            self.ends.append(os.path.getsize(self.aof()))
        self.daybook.stop()
        self.redis.kill()

    def aof(self):
        return glob.glob(os.path.join(self.redis.data, "appendonlydir", "*.incr.aof"))[0]

    def contents(self):
        found = {}
        for path in glob.glob(os.path.join(self.redis.data, "appendonlydir", "*")):
            with open(path, "rb") as file:
                found[path] = file.read()
        return found

    def repair(self, status):
        before = self.contents()
        self.copy = self.area.file(f"copy-{FsckTest.cases}")
        run = subprocess.run(
            [os.path.join(harness.SOURCE_DIR, "ops", "runbook", "aof-repair"), "--copy", self.copy,
             "--set", f"node.data_dir={self.daybook.data_dir}",
             os.path.join(self.redis.data, "appendonlydir")],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
            env={**harness.clean_environment(), "PATH": os.path.dirname(harness.binary()) + ":" +
                 os.environ["PATH"]})
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        self.assertEqual(self.contents(), before, "the original was written to")
        return run.stdout

    def missing(self, text):
        return sorted(line.split()[1] for line in text.splitlines() if line.startswith("missing "))

    def test_a_whole_file_is_in_order(self):
        text = self.repair(0)
        self.assertIn("finds no damage", text)
        self.assertEqual(self.missing(text), [])

    def test_a_cut_tail_names_the_record_it_took(self):
        with open(self.aof(), "r+b") as file:
            file.truncate(self.ends[3] - 100)
        self.assertEqual(self.missing(self.repair(1)), [self.receipts[3]["id"]])

    def test_a_zero_tail_is_cut_off_and_nothing_is_missing(self):
        with open(self.aof(), "ab") as file:
            file.write(bytes(5000))
        text = self.repair(1)
        self.assertIn("cut off", text)
        self.assertEqual(self.missing(text), [])

    def test_a_zeroed_tail_names_the_records_it_took(self):
        with open(self.aof(), "r+b") as file:
            file.seek(self.ends[1])
            file.write(bytes(self.ends[3] - self.ends[1]))
        self.assertEqual(self.missing(self.repair(1)),
                         sorted(receipt["id"] for receipt in self.receipts[2:]))

    def test_a_flipped_bit_inside_a_value_is_damage_of_that_record(self):
        with open(self.aof(), "r+b") as file:
            file.seek(self.ends[1] + 100_000)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 4]))
        text = self.repair(1)
        self.assertIn("finds no damage", text)
        self.assertEqual(self.missing(text), [])
        self.assertIn(f"damaged  {self.receipts[2]['id']}", text)

    def test_a_flipped_bit_in_the_form_loses_all_behind_it(self):
        with open(self.aof(), "r+b") as file:
            file.seek(self.ends[2])  # the '*' of the next command
            file.write(b"j")
        self.assertEqual(self.missing(self.repair(1)), [self.receipts[3]["id"]])


class Audit(FsckTest):
    settings = {"audit.interval": "20ms"}

    def outcome(self, name):
        return self.metric(f'daybook_audit_objects_total{{outcome="{name}"}}')

    def test_reads_archived_objects_back(self):
        self.assertEqual(self.outcome("good"), 0)
        receipts = self.post_archived(4)
        wait_until(lambda: self.outcome("good") >= 40, "40 objects were audited")
        self.assertEqual((self.outcome("damaged"), self.outcome("missing")), (0, 0))
        bad, gone = receipts[0]["id"], receipts[3]["id"]
        with open(self.object_path(bad), "r+b") as file:
            file.seek(60)
            file.write(b"\0\0\0\0")
        os.remove(self.object_path(gone))
        wait_until(lambda: self.outcome("damaged") >= 1, "the damaged object is found")
        wait_until(lambda: self.outcome("missing") >= 1, "the missing object is found")
        log = self.daybook.process.log().decode()
        self.assertRegex(log, f"audit: the object .* of record {bad} is damaged")
        self.assertRegex(log, f"audit: the object .* of record {gone} is missing")


if __name__ == "__main__":
    harness.main()
