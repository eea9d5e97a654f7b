"""The checker must be able to fail: damage is planted in stores made by hand, and each figure counts
its own kind. Needs redis-server and zstd, not Daybook."""

import os
import sqlite3
import subprocess
import sys
import unittest

import checker
import client
import harness
import payloads


class Checker(unittest.TestCase):

    def setUp(self):
        self.area = harness.Area("checker")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.index = self.area.file("metadata.sqlite")
        with sqlite3.connect(self.index) as database:
            database.execute("CREATE TABLE records (id, tenant, sha256, size, stored_sha256, "
                             "stored_size, object_key, state, idempotency_key)")
        self.journal = checker.Journal()
        self.archive = self.area.file("archive")
        for number in range(3):
            self.add(f"id{number}", b"payload %d" % number, f"key{number}")

    def store(self, name, payload):
        path = os.path.join(self.archive, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subprocess.run(["zstd", "-q", "-o", path], input=payload, check=True)
        return path

    def row(self, record_id, payload, key, path, state="indexed"):
        with sqlite3.connect(self.index) as database:
            database.execute("INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?)", (
                record_id, "default", payloads.sha256(payload), len(payload),
                checker.file_sha256(path), os.stat(path).st_size,
                os.path.relpath(path, self.archive), state, key))

    def add(self, record_id, payload, key):
        self.journal.acknowledge({"id": record_id, "sha256": payloads.sha256(payload),
                                  "size": len(payload)}, key)
        self.row(record_id, payload, key, self.store(f"a/{record_id}.bin.zst", payload))

    def expect(self, **figures):
        report = checker.check(self.journal, self.archive, self.index, self.redis)
        self.assertEqual({name: number for name, number in report.figures.items() if number},
                         figures, str(report))
        self.assertEqual(report.clean(), not figures)

    def sql(self, text):
        with sqlite3.connect(self.index) as database:
            database.execute(text)

    def test_all_is_well(self):
        self.expect()

    def test_a_missing_object_is_lost_and_one_in_the_buffer_is_residue(self):
        os.remove(os.path.join(self.archive, "a", "id1.bin.zst"))
        self.expect(lost=1)
        self.redis.command("SET", "{daybook:2}:record:id1", "bytes")
        self.expect(residue=1)

    def test_other_bytes_are_corrupt(self):
        path = os.path.join(self.archive, "a", "id1.bin.zst")
        os.remove(path)
        self.store("a/id1.bin.zst", b"PAYLOAD 1")
        self.expect(corrupt=2)   # the object, and the row that describes the true one

    def test_a_cut_object_is_partial(self):
        path = os.path.join(self.archive, "a", "id1.bin.zst")
        with open(path, "r+b") as content:
            content.truncate(os.stat(path).st_size - 3)
        self.expect(partial=1, corrupt=1)

    def test_a_stray_file_is_partial_unless_it_is_in_tmp(self):
        self.area.write("archive/a/id9.bin.zst.part", b"x")
        self.expect(partial=1)
        os.remove(os.path.join(self.archive, "a", "id9.bin.zst.part"))
        os.mkdir(os.path.join(self.archive, ".tmp"))
        self.area.write("archive/.tmp/id9", b"x")
        self.expect()

    def test_a_missing_or_unfinished_row_is_unindexed(self):
        self.sql("DELETE FROM records WHERE id = 'id0'")
        self.sql("UPDATE records SET state = 'archived' WHERE id = 'id1'")
        self.expect(unindexed=2)

    def test_second_rows_and_objects_are_duplicates(self):
        self.store("b/id1.bin.zst", b"payload 1")
        self.expect(duplicate_objects=1)
        self.row("id1", b"payload 1", "key1", os.path.join(self.archive, "a", "id1.bin.zst"))
        self.expect(duplicate_objects=1, duplicate_rows=1)

    def test_a_record_nobody_was_promised_is_a_duplicate(self):
        path = self.store("a/id7.bin.zst", b"payload 1")
        self.row("id7", b"payload 1", "key1", path)
        self.expect(duplicate_objects=1, duplicate_rows=1)

    def test_residue_and_the_conservation_gap(self):
        self.redis.command("XADD", "{daybook:1}:wal", "*", "id", "x")
        self.redis.command("HSET", "{daybook:1}:pending", "x", "1-1")
        self.redis.command("HSET", "{daybook:1}:counters", "accepted", 5, "released", 3)
        self.expect(residue=2, unaccounted=1)


class Processes(unittest.TestCase):

    def test_children_end_with_the_interpreter_that_started_them(self):
        area = harness.Area("orphan")
        self.addCleanup(area.remove)
        script = ("import sys, harness, os, time\n"
                  f"p = harness.Process('sleep', ['sleep', '300'], {area.file('log')!r}).start()\n"
                  "print(p.pid, flush=True)\nos.kill(os.getpid(), 9)\n")
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                             cwd=os.path.dirname(os.path.realpath(__file__)))
        status = f"/proc/{int(run.stdout)}/stat"

        def gone():
            try:
                with open(status) as text:
                    return text.read().rsplit(")", 1)[1].split()[0] == "Z"
            except FileNotFoundError:
                return True
        harness.wait_until(gone, "the child is gone", 10)


class RawClient(unittest.TestCase):

    def test_chunks_are_cut_as_asked(self):
        self.assertEqual(client.chunked(b"abcdef", [1, 4]),
                         b"1\r\na\r\n4\r\nbcde\r\n1\r\nf\r\n0\r\n\r\n")

    def test_generated_payloads_repeat_with_their_seed(self):
        first, second = (payloads.audit_lines(harness.seeded("same"), 100_001) for _ in range(2))
        self.assertEqual((len(first), first), (100_001, second))


if __name__ == "__main__":
    harness.main()
