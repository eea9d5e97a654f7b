"""Compares the journal with what the stores hold, when everything is restored and drained.

Reads with other clients than Daybook: files and the zstd command, the sqlite3 command, redis-cli. It
shares no code with the server. Every counter must be 0:

  lost               acknowledged, and its bytes are nowhere
  unindexed          archived, and no row says so
  corrupt            an object, or a row, of other bytes than were sent
  partial_visible    a file under its final name that zstd cannot open
  duplicate_visible  a second row, object or acknowledged id for one payload
  unexpected         a row or object of bytes that nobody sent; an answer that no good record deserves
  resurrected        refused with 4xx, and stored all the same
  conflict_overwritten  another payload under a settled key was acknowledged or stored
  residue            entries, payload keys, temporary files or descriptors that are left
  hang               an answer or the end of the drain did not come
  abort              a process ended by itself, or a sanitizer spoke

Two counters are reported and do not fail the run, because they are what the README promises:

  contested          a payload stored twice, or a second payload under one key, where the later one was
                     acknowledged while Redis was away (durability spool or archived) by a process
                     that could not know the key, or after Redis had forgotten its keys
  listed             acknowledged into a Redis that lost it, and named by `daybook fsck` as missing; an
                     id that is gone and not named is lost, one that is named and not gone unexpected
"""

import collections
import hashlib
import json
import os
import subprocess

COUNTERS = ("lost", "unindexed", "corrupt", "partial_visible", "duplicate_visible", "unexpected",
            "resurrected", "conflict_overwritten", "residue", "hang", "abort")
BEYOND_REDIS = {"spool", "archived"}


class Report:
    def __init__(self):
        self.counters = {name: 0 for name in COUNTERS}
        self.contested = self.listed = 0
        self.examples = []

    def count(self, name, example):
        self.counters[name] += 1
        if len(self.examples) < 20:
            self.examples.append(f"{name}: {example}")

    def clean(self):
        return not any(self.counters.values())

    def __str__(self):
        figures = " ".join(f"{name}={count}" for name, count in self.counters.items())
        return "\n    ".join([figures, *self.examples])


def rows(sqlite_file):
    run = subprocess.run(["sqlite3", "-json", f"file:{sqlite_file}?mode=ro",
                          "SELECT id, sha256, size, stored_size, object_key, state FROM records"],
                         capture_output=True, check=True)
    return json.loads(run.stdout or b"[]")


def objects(archive):
    """Final names below the archive -> path; and stray files."""
    found, stray = {}, []
    for folder, names, files in os.walk(archive):
        for name in files:
            path = os.path.join(folder, name)
            if f"{os.sep}.tmp{os.sep}" in path:
                stray.append(path)
            else:
                found[os.path.relpath(path, archive)] = path
        names.sort()
    return found, stray


def content_of(path):
    """(sha256, size) of what zstd makes of the file, or None."""
    digest, size = hashlib.sha256(), 0
    with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as run:
        while piece := run.stdout.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return (digest.hexdigest(), size) if run.returncode == 0 and size > 0 else None


def check(journal, world, archive, report=None):
    report = report or Report()
    by_id, by_sha = {}, collections.defaultdict(list)
    for row in rows(world.sqlite_file):
        by_id[row["id"]] = row
        by_sha[row["sha256"]].append(row)
    archived, stray = objects(archive)
    object_shas = _check_objects(report, journal, archived, by_id)
    _check_rows(report, journal, by_sha, archived, world.forgets_keys)
    for record in journal.records.values():
        _check_record(report, record, by_id, by_sha, object_shas, world)
    for record_id in world.listed & set(by_id):
        report.count("unexpected", f"fsck says that {record_id} is missing, and it is there")
    for path in stray:
        report.count("residue", f"temporary file {path}")
    _check_leftovers(report, world)
    return report


def _check_objects(report, journal, archived, by_id):
    shas, ids = collections.defaultdict(list), collections.Counter()
    for key, path in archived.items():
        record_id = os.path.basename(key).split(".")[0]
        ids[record_id] += 1
        content = content_of(path)
        if content is None:
            report.count("partial_visible", key)
            continue
        shas[content[0]].append(record_id)
        if content[0] not in journal.records:
            row = by_id.get(record_id)
            kind = "corrupt" if row and row["sha256"] in journal.records else "unexpected"
            report.count(kind, f"object {key} holds bytes that nobody sent")
        if record_id not in by_id:
            report.count("unindexed", f"object {key} has no row")
        elif (by_id[record_id]["sha256"], by_id[record_id]["size"]) != content:
            report.count("corrupt", f"row and object of {record_id} differ")
    for record_id, count in ids.items():
        if count > 1:
            report.count("duplicate_visible", f"{count} objects of {record_id}")
    return shas


def _check_rows(report, journal, by_sha, archived, forgets_keys):
    for sha256, found in by_sha.items():
        record = journal.records.get(sha256)
        if record is None:
            report.count("unexpected", f"row {found[0]['id']} of bytes that nobody sent")
        elif found[0]["size"] != record.size:
            report.count("corrupt", f"row {found[0]['id']} has another size")
        if len(found) > 1 and record and record.key and (
                forgets_keys or record.levels & BEYOND_REDIS):
            report.contested += 1
        elif len(found) > 1:
            report.count("duplicate_visible", f"{len(found)} rows of {sha256}: " + (
                f"{record.purpose}, acknowledged as {record.ids} at {record.levels}, refused with "
                f"{record.refusals}, {record.unknown} times unknown; rows {[r['id'] for r in found]}"
                if record else "nobody sent it"))
        for row in found:
            if row["object_key"] not in archived:
                report.count("lost", f"row {row['id']} names an object that is not there")


def _check_record(report, record, by_id, by_sha, object_shas, world):
    stored = record.sha256 in by_sha or record.sha256 in object_shas
    if record.purpose == "conflict":
        if record.levels & BEYOND_REDIS or (world.forgets_keys and record.acknowledged):
            report.contested += 1
        elif record.acknowledged or (stored and not record.unknown):
            report.count("conflict_overwritten", f"{record.key} took {record.sha256}")
        return
    if len(record.ids) > 1:
        report.count("duplicate_visible", f"{record.sha256} acknowledged as {record.ids}")
    for record_id in record.ids:
        if record_id in world.listed and record.sha256 not in object_shas:
            report.listed += 1
        elif record_id not in by_id:
            kind = "unindexed" if record.sha256 in object_shas else "lost"
            report.count(kind, f"{record_id} ({record.purpose}, {record.size} bytes)")
        elif by_id[record_id]["sha256"] != record.sha256:
            report.count("corrupt", f"the row of {record_id} names other bytes")
    if stored and not record.may_be_stored:
        report.count("resurrected", f"{record.sha256} was refused with {record.refusals}")


def _check_leftovers(report, world):
    for number in range(4):
        tag = f"{{daybook:{number}}}"
        for what, command in (("entries", "XLEN"), ("pending", "HLEN"), ("parked", "HLEN")):
            name = "wal" if what == "entries" else what
            left = int(world.redis.command(command, f"{tag}:{name}").strip() or 0)
            if left:
                report.count("residue", f"{left} {what} in {tag}")
    for key in world.redis.command("--scan", "--pattern", "{daybook:*}:record:*").split():
        report.count("residue", f"payload key {key}")
    spool = os.path.join(world.data_dir, "spool")
    for name in os.listdir(spool) if os.path.isdir(spool) else []:
        if name.endswith(".segment"):
            report.count("residue", f"spool segment {name}")
    # A kill tears the record that was being spooled; whatever else lands here was acknowledged.
    for name in os.listdir(os.path.join(spool, "quarantine")) if os.path.isdir(spool) else []:
        if not world.tears_spool:
            report.count("corrupt", f"spool quarantine {name}")
