"""archive.layout = segment: many small records in one object, read back by Daybook, by zstd, jq and
DuckDB, and by a reader of the format that shares no code; through kill -9, damage, a rebuilt index."""

import collections
import concurrent.futures
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import time

import checker
import client
import harness
import payloads
import segment_reader

NDJSON, JSON = "application/x-ndjson", "application/json"
SEGMENTS = {"archive.layout": "segment", "archive.segment_age": "700ms"}
# What an index made anew cannot know.
FORGOTTEN = ("position", "attempts", "indexed_at", "started_at", "archived_at")


def ndjson(random, ends):
    return payloads.audit_lines(random, random.randrange(200, 3000)).rstrip(b"\n") + (
        b"\n" if ends else b"")


class SegmentTest(harness.DaybookTest):
    settings = SEGMENTS

    def setUp(self):
        self.random = harness.seeded(self.id())

    def post_all(self, bodies):
        """bodies: (payload, content type). Returns id -> (payload, type)."""
        def post(body):
            answer = client.post(self.port, body[0], {"Content-Type": body[1]})
            self.assertEqual(answer.status, 201, answer.describe())
            return answer.json()["id"], body
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return dict(pool.map(post, bodies))

    def command(self, name, *words):
        settings = []
        for key in ("node.data_dir", "buffer.url"):
            settings += ["--set", f"{key}={self.daybook.settings[key]}"]
        return subprocess.run([harness.binary(), name, "--json", *words, *settings],
                              capture_output=True, text=True, timeout=harness.PATIENCE_S * 2,
                              env=harness.clean_environment())

    def fsck(self, *words, status=0):
        run = self.command("fsck", "--deep", *words)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return json.loads(run.stdout)

    def rows(self):
        return {row["id"]: row for row in checker.rows(self.daybook.sqlite_file)}

    def segments(self):
        return [segment_reader.Segment(path)
                for path in segment_reader.paths(self.daybook.archive_dir)[0]]

    def check_archive(self, posted):
        """Each record's row names the bytes that were posted; returns rows by id."""
        rows = self.rows()
        self.assertEqual(set(rows), set(posted))
        opened, slices = {}, {}
        for record_id, row in rows.items():
            path = os.path.join(self.daybook.archive_dir, row["object_key"])
            if path not in opened:
                with open(path, "rb") as file:
                    opened[path] = file.read()
            frames = json.loads(row["frames"])
            head = row["stored_size"] - sum(frames) - (8 + 8 * (len(frames) + 1) + 9)
            begin = row["data_offset"] - head
            stored = opened[path][begin:begin + row["stored_size"]]
            self.assertEqual(hashlib.sha256(stored).hexdigest(), row["stored_sha256"])
            slices[record_id] = stored
        payloads_found = segment_reader.payloads_of(list(slices.values()))
        for record_id, payload in zip(slices, payloads_found):
            self.assertEqual(payload, posted[record_id][0])
        alone = next(iter(slices))
        self.assertEqual(segment_reader.decompressed(slices[alone]), posted[alone][0])
        return rows


class ManySmall(SegmentTest):

    def test_small_records_share_objects_and_each_can_be_read_alone(self):
        bodies = [(ndjson(self.random, number % 2), NDJSON) for number in range(240)]
        bodies += [(json.dumps({"n": number, "lines": [1, 2]}, indent=1).encode(), JSON)
                   for number in range(40)]
        bodies += [(payloads.incompressible(self.random, 500), "application/octet-stream")
                   for _ in range(20)]
        posted = self.post_all(bodies)
        checker.wait_drained(self.redis)
        self.check_archive(posted)
        segments, objects = segment_reader.paths(self.daybook.archive_dir)
        self.assertEqual(objects, [])
        self.assertLess(len(segments), len(posted) / 10)
        for segment in self.segments():
            segment.check()
        self.lines_of_all_segments(posted)
        self.ranges(posted)
        self.clean(len(posted))
        self.rebuilt()

    def lines_of_all_segments(self, posted):
        text, values = b"", []
        for segment in self.segments():
            if segment.path.endswith(".ndjson.zst"):
                text += segment.text()
            if segment.path.endswith(".json.zst"):
                run = subprocess.run([harness.need_program("jq"), "-c", "."], input=segment.text(),
                                     capture_output=True, timeout=harness.PATIENCE_S, check=True)
                values += run.stdout.splitlines()
        sent = b"\n".join(body.rstrip(b"\n") for body, kind in posted.values() if kind == NDJSON)
        self.assertEqual(sorted(text.splitlines()), sorted(sent.splitlines()))
        numbers = [json.loads(value)["n"] for value in values]
        self.assertEqual(sorted(numbers), list(range(40)))

    def ranges(self, posted):
        for record_id in self.random.sample(sorted(posted), 20):
            body = posted[record_id][0]
            row = client.request(self.port, "GET", f"/v1/records/{record_id}").json()
            path = os.path.join(self.daybook.archive_dir, row["object"]["key"])
            with open(path, "rb") as file:
                file.seek(row["object"]["offset"])
                stored = file.read(row["object"]["length"])
            self.assertEqual(hashlib.sha256(stored).hexdigest(), row["stored_sha256"])
            whole = client.request(self.port, "GET", f"/v1/records/{record_id}/payload")
            self.assertEqual((whole.status, whole.body), (200, body))
            first, last = len(body) // 3, len(body) // 2
            part = client.request(self.port, "GET", f"/v1/records/{record_id}/payload",
                                  headers={"Range": f"bytes={first}-{last}"})
            self.assertEqual((part.status, part.body), (206, body[first:last + 1]))

    def clean(self, records):
        report = self.fsck()
        self.assertEqual(sum(report["counts"].values()), 0, report)
        self.assertEqual(report["looked_at"]["rows"], records)
        self.assertTrue(any(f"of {records} records" in note for note in report["notes"]), report)

    def rebuilt(self):
        before = self.rows()
        self.daybook.stop()
        for end in ("", "-wal", "-shm"):
            if os.path.exists(self.daybook.sqlite_file + end):
                os.remove(self.daybook.sqlite_file + end)
        run = self.command("rebuild-index")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(json.loads(run.stdout)["inserted"], len(before))
        after = self.rows()
        for rows in (before, after):
            for row in rows.values():
                for name in FORGOTTEN:
                    row.pop(name, None)
        self.assertEqual(after, before)
        again = json.loads(self.command("rebuild-index").stdout)
        self.assertEqual((again["inserted"], again["present"]), (0, len(before)))
        self.daybook.start()


class DuckDb(SegmentTest):

    def test_reads_segments_of_lines_and_of_json(self):
        ask = segment_reader.duckdb()
        posted = self.post_all(
            [(b'{"n": %d}\n{"n": %d}' % (2 * n, 2 * n + 1), NDJSON) for n in range(50)] +
            [(json.dumps({"n": n}, indent=1).encode(), JSON) for n in range(100, 150)])
        checker.wait_drained(self.redis)
        self.assertEqual(len(posted), 100)
        for end, first, last in (("ndjson", 0, 99), ("json", 100, 149)):
            found = ask("SELECT count(*), min(n), max(n) FROM "
                        f"'{self.daybook.archive_dir}/**/*.{end}.zst'")
            self.assertEqual(found, [last - first + 1, first, last])


class Mixed(SegmentTest):
    settings = {**SEGMENTS, "archive.segment_bytes": "1MiB", "archive.segment_records": "50"}

    def test_cut_by_records_a_large_record_alone_and_both_layouts_are_read(self):
        large = payloads.incompressible(self.random, 200_000)
        posted = self.post_all([(large, NDJSON)] +
                               [(ndjson(self.random, False), NDJSON) for _ in range(120)])
        checker.wait_drained(self.redis)
        segments, objects = segment_reader.paths(self.daybook.archive_dir)
        self.assertEqual(len(objects), 1, objects)
        sizes = collections.Counter(len(segment.entries) for segment in self.segments())
        self.assertEqual(max(sizes), 50)
        self.daybook.stop()
        self.daybook.settings["archive.layout"] = "object"
        self.daybook.start()
        posted |= self.post_all([(ndjson(self.random, False), NDJSON) for _ in range(5)])
        checker.wait_drained(self.redis)
        self.assertEqual(len(segment_reader.paths(self.daybook.archive_dir)[1]), 6)
        self.check_archive(posted)
        for record_id in posted:
            whole = client.request(self.port, "GET", f"/v1/records/{record_id}/payload")
            self.assertEqual(whole.body, posted[record_id][0])
        self.assertEqual(sum(self.fsck()["counts"].values()), 0)


class Stop(SegmentTest):
    settings = {**SEGMENTS, "archive.segment_age": "10m", "ingest.wait_max": "1h"}

    def test_stopping_cuts_at_once(self):
        posted = self.post_all([(ndjson(self.random, False), NDJSON) for _ in range(30)])
        harness.wait_until(lambda: self.daybook_in_archive() == 30, "all wait for their segment")
        begun = time.monotonic()
        self.daybook.stop()
        self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual([len(segment.entries) for segment in self.segments()], [30])
        self.check_archive(posted)
        self.daybook.start()

    def daybook_in_archive(self):
        status = client.request(self.port, "GET", "/v1/status").json()
        return status["pipeline"]["in_flight"]["archive"]


class Killed(SegmentTest):
    settings = {**SEGMENTS, "archive.segment_age": "300ms", "pipeline.lease": "1s"}

    def test_nothing_is_lost_and_copies_of_a_crash_are_no_finding(self):
        posted, keys = {}, {}

        def post_until_acknowledged(number):
            body = ndjson(harness.seeded(f"{self.id()}/{number}"), number % 2)
            while True:
                try:
                    answer = client.post(self.port, body, {
                        "Content-Type": NDJSON, "Idempotency-Key": f"key-{number}"}, timeout_s=20)
                    if answer.status in (200, 201):
                        posted[answer.json()["id"]] = (body, NDJSON)
                        keys[number] = answer.json()["id"]
                        return
                except (OSError, client.BrokenAnswer):
                    pass
                time.sleep(0.05)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(post_until_acknowledged, number) for number in range(600)]
            for at in (150, 300, 450):
                harness.wait_until(lambda at=at: len(keys) >= at, f"{at} acknowledged")
                self.daybook.kill()
                self.daybook.start()
            for each in waiting:
                each.result()
        checker.wait_drained(self.redis)
        self.assertEqual(len(posted), 600)
        self.check_archive(posted)
        self.daybook.assert_no_alarm()
        for segment in self.segments():
            segment.check()
        report = self.fsck()
        self.assertEqual(sum(report["counts"].values()), 0, report)
        figures = checker.buffer_figures(self.redis)
        self.assertEqual(figures["accepted"], figures["released"])


class Damage(SegmentTest):

    def setUp(self):
        super().setUp()  # each case with an archive and an index of its own
        if self.rows():
            shutil.rmtree(self.daybook.archive_dir)
            self.forget_rows()
            self.daybook.stop()
            shutil.rmtree(os.path.join(self.daybook.data_dir, "trail"))
            self.daybook.start()

    def test_a_copy_that_a_crash_left_is_a_note_and_rebuild_chooses_one(self):
        posted = self.post_all([(ndjson(self.random, False), NDJSON) for _ in range(10)])
        checker.wait_drained(self.redis)
        for segment in self.segments():
            # The same records under the key that another run would have given it.
            end = segment.path.index(".ndjson")
            with open(f"{segment.path[:end - 16]}{'0' * 16}{segment.path[end:]}", "wb") as copy:
                copy.write(segment.content)
        report = self.fsck()
        self.assertEqual(sum(report["counts"].values()), 0, report)
        self.assertTrue(any("10 records are in one more segment" in note
                            for note in report["notes"]), report)
        self.forget_rows()
        run = json.loads(self.command("rebuild-index").stdout)
        self.assertEqual((run["inserted"], run["present"], run["damaged"]), (10, 10, []), run)
        for row in self.check_archive(posted).values():
            self.assertIn("-" + "0" * 16 + ".", row["object_key"])
        for path in segment_reader.paths(self.daybook.archive_dir)[0]:
            if "-" + "0" * 16 + "." in path:
                os.remove(path)
        report = self.fsck(status=1)
        self.assertEqual(report["counts"]["row_without_object"], 10, report)
        self.forget_rows()
        self.command("rebuild-index")
        self.check_archive(posted)

    def forget_rows(self):
        with sqlite3.connect(self.daybook.sqlite_file, timeout=30) as connection:
            connection.execute("DELETE FROM records")
        connection.close()

    def test_a_damaged_slice_or_index_is_named_and_the_others_are_read(self):
        posted = self.post_all([(ndjson(self.random, False), NDJSON) for _ in range(20)])
        checker.wait_drained(self.redis)
        segment = max(self.segments(), key=lambda each: len(each.entries))
        victim = segment.entries[len(segment.entries) // 2]
        self.flip(segment.path, victim[1] + victim[2] - 80)
        report = self.fsck(status=1)
        self.assertEqual([(found["kind"], found["subject"]) for found in report["findings"]],
                         [("damaged", victim[0])], report)
        for record_id, (body, _) in posted.items():
            answer = client.request(self.port, "GET", f"/v1/records/{record_id}/payload")
            if record_id != victim[0]:
                self.assertEqual(answer.body, body)
            else:
                self.assertNotEqual(answer.status, 200)
        self.flip(segment.path, victim[1] + victim[2] - 80)
        index = len(segment.content) - (17 + 8 * len(segment.frames)) - 100
        self.flip(segment.path, index)
        report = self.fsck(status=1)
        self.assertEqual([(found["kind"], found["subject"]) for found in report["findings"]],
                         [("damaged", os.path.relpath(segment.path, self.daybook.archive_dir))])
        self.forget_rows()
        run = json.loads(self.command("rebuild-index").stdout)
        self.assertEqual((run["inserted"], len(run["damaged"])), (20, 1), run)
        self.check_archive(posted)

    def flip(self, path, at):
        os.chmod(path, 0o640)
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))


if __name__ == "__main__":
    harness.main()
