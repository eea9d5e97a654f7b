"""Compares what clients were promised with what is in the archive, the index and the buffer.

The journal holds the acknowledgements. The checker reads the stores with their own tools (files and
`zstd -dc`, SQLite, redis-cli), never through Daybook, and reports figures that must all be 0:

  lost         acknowledged, and neither archived nor in the buffer
  corrupt      archived or indexed with other bytes, size or digest than acknowledged
  unindexed    acknowledged, no row in state indexed
  duplicate_rows, duplicate_objects
               a second row or object for one record, or for one idempotency key
  partial      a visible file that zstd cannot open, or a stray file outside .tmp
  residue      entries that a drained buffer still holds
  unaccounted  accepted - released - pending - parked - dropped of the buffer's own counters
"""

import collections
import hashlib
import os
import sqlite3
import subprocess
import threading
import time

import harness

FIGURES = ("lost", "corrupt", "unindexed", "duplicate_rows", "duplicate_objects", "partial",
           "residue", "unaccounted")


class Journal:
    """Receipts as clients saw them; safe to use from several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self.records = {}       # id -> (sha256, size)
        self.contradictions = []  # one id acknowledged with two digests
        self.by_key = {}        # idempotency key -> id

    def acknowledge(self, receipt, key=None):
        value = (receipt["sha256"], receipt["size"])
        with self._lock:
            if self.records.setdefault(receipt["id"], value) != value:
                self.contradictions.append(receipt["id"])
            if key and self.by_key.setdefault(key, receipt["id"]) != receipt["id"]:
                self.contradictions.append(receipt["id"])

    def __len__(self):
        return len(self.records)


def buffer_figures(redis, partitions=4, prefix="daybook"):
    """Sums over the partitions: stream length, pending, parked, accepted, released, dropped."""
    total = collections.Counter()
    for number in range(partitions):
        tag = f"{{{prefix}:{number}}}"
        total["stream"] += int(redis.command("XLEN", f"{tag}:wal").strip() or 0)
        total["pending"] += int(redis.command("HLEN", f"{tag}:pending").strip() or 0)
        total["parked"] += int(redis.command("HLEN", f"{tag}:parked").strip() or 0)
        for field in ("accepted", "released", "dropped"):
            total[field] += int(redis.command("HGET", f"{tag}:counters", field).strip() or 0)
    return total


def record_keys(redis, prefix="daybook"):
    pattern = f"{{{prefix}:*}}:record:*"
    return redis.command("--scan", "--pattern", pattern).split()


def wait_drained(redis, partitions=4, timeout_s=None, prefix="daybook"):
    """Waits until every accepted record has left the buffer."""
    def empty():
        figures = buffer_figures(redis, partitions, prefix)
        return figures["stream"] + figures["pending"] + figures["parked"] == 0
    harness.wait_until(empty, "the pipeline has drained the buffer", timeout_s or 180, 0.2)


def archived_objects(folder):
    """(objects, stray): id -> [(path, payload sha256 or None when it does not open, size)]."""
    zstd = harness.need_program("zstd")
    objects, stray = collections.defaultdict(list), []
    for where, folders, files in os.walk(folder):
        if ".tmp" in folders:
            folders.remove(".tmp")
        for name in files:
            path = os.path.join(where, name)
            if not name.endswith(".zst"):
                stray.append(path)
                continue
            digest, size = hashlib.sha256(), 0
            run = subprocess.Popen([zstd, "-dcq", path], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
            while piece := run.stdout.read(1 << 20):
                digest.update(piece)
                size += len(piece)
            opened = run.wait() == 0
            objects[name.split(".")[0]].append(
                (path, digest.hexdigest() if opened else None, size))
    return objects, stray


def rows(sqlite_file):
    connection = sqlite3.connect(f"file:{sqlite_file}?mode=ro", uri=True, timeout=30)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT * FROM records")]
    finally:
        connection.close()


class Report:
    def __init__(self):
        self.figures = dict.fromkeys(FIGURES, 0)
        self.examples = collections.defaultdict(list)
        self.seconds = 0.0

    def count(self, figure, example):
        self.figures[figure] += 1
        if len(self.examples[figure]) < 5:
            self.examples[figure].append(example)

    def clean(self):
        return not any(self.figures.values())

    def __str__(self):
        text = ", ".join(f"{name} {number}" for name, number in self.figures.items())
        for figure, examples in self.examples.items():
            text += f"\n  {figure}: " + "; ".join(map(str, examples))
        return text


def check(journal, archive_dir, sqlite_file, redis, partitions=4):
    """The whole comparison, to be made after wait_drained. Every key of the journal must have been
    sent until it was acknowledged, so that any further object or row is a duplicate."""
    report, begun = Report(), time.monotonic()
    objects, stray = archived_objects(archive_dir)
    for path in stray:
        report.count("partial", f"stray file {path}")
    for record_id in journal.contradictions:
        report.count("corrupt", f"{record_id} acknowledged twice, differently")
    _check_objects(report, journal, objects, set(record_keys(redis)))
    _check_rows(report, journal, objects, rows(sqlite_file))
    figures = buffer_figures(redis, partitions)
    for name in ("stream", "pending", "parked"):
        for _ in range(figures[name]):
            report.count("residue", name)
    for key in record_keys(redis):
        report.count("residue", key)
    gap = (figures["accepted"] - figures["released"] - figures["pending"] - figures["parked"] -
           figures["dropped"])
    if gap:
        report.figures["unaccounted"] = gap
        report.examples["unaccounted"].append(dict(figures))
    report.seconds = time.monotonic() - begun
    return report


def _check_objects(report, journal, objects, buffered_keys):
    buffered = {key.rsplit(":", 1)[1] for key in buffered_keys}
    for record_id, (sha256, size) in journal.records.items():
        if record_id not in objects:
            if record_id not in buffered:
                report.count("lost", record_id)
    for record_id, found in objects.items():
        promised = journal.records.get(record_id)
        if promised is None or len(found) > 1:
            report.count("duplicate_objects", [path for path, _, _ in found])
        for path, digest, length in found:
            if digest is None:
                report.count("partial", path)
            elif promised and (digest, length) != promised:
                report.count("corrupt", path)


def _check_rows(report, journal, objects, table):
    seen, keys = set(), {}
    for row in table:
        record_id, key = row["id"], row["idempotency_key"]
        other = keys.setdefault((row["tenant"], key), record_id) if key else record_id
        if record_id in seen or other != record_id or record_id not in journal.records:
            report.count("duplicate_rows", record_id)
        seen.add(record_id)
        promised = journal.records.get(record_id)
        if promised and (row["sha256"], row["size"]) != promised:
            report.count("corrupt", f"row {record_id}: {row['sha256']} {row['size']}")
        for path, _, _ in objects.get(record_id, []):
            stored_sha256 = file_sha256(path)
            if (row["stored_sha256"], row["stored_size"]) != (stored_sha256, os.stat(path).st_size):
                report.count("corrupt", f"row {record_id} does not describe {path}")
        found = [path for path, _, _ in objects.get(record_id, [])]
        if found and not any(path.endswith("/" + row["object_key"]) for path in found):
            report.count("corrupt", f"row {record_id} names {row['object_key']}, not {found}")
    indexed = {row["id"] for row in table if row["state"] == "indexed"}
    for record_id in journal.records:
        if record_id not in indexed:
            report.count("unindexed", record_id)


def file_sha256(path):
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
