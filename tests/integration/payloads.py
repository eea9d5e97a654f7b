"""Payloads for tests: audit-like NDJSON and incompressible bytes from a seeded generator, and the
real logs of the shared corpus where it is present (DAYBOOK_SHARED)."""

import csv
import hashlib
import json
import os
import subprocess
import unittest

import harness

_ACTIONS = ("user.login", "user.logout", "role.grant", "role.revoke", "object.read", "object.write",
            "key.rotate", "policy.update", "session.open", "session.close")
_HOSTS = tuple(f"node-{number:02d}.example.net" for number in range(24))


def audit_lines(random, size):
    """Exactly `size` bytes of JSON lines; the last line is cut where the size ends."""
    lines, length = [], 0
    pool = [_audit_line(random, number) for number in range(200)]
    number = 0
    while length < size:
        line = pool[random.randrange(len(pool))]
        number += 1
        line = b'{"sequence":%d,' % number + line[1:]
        lines.append(line)
        length += len(line)
    return b"".join(lines)[:size]


def _audit_line(random, number):
    return (json.dumps({
        "time": f"2025-03-{random.randrange(1, 29):02d}T{random.randrange(24):02d}:"
                f"{random.randrange(60):02d}:{random.randrange(60):02d}Z",
        "action": random.choice(_ACTIONS), "host": random.choice(_HOSTS),
        "actor": f"user{random.randrange(5000)}", "address": f"10.0.{random.randrange(256)}.7",
        "request": f"{random.getrandbits(128):032x}", "outcome": random.choice(("ok", "denied")),
        "note": f"event {number} of the nightly review"}) + "\n").encode()


def incompressible(random, size):
    return random.randbytes(size)


def any_payload(random, size_min=1, size_max=6 << 20):
    """Sizes spread evenly over the orders of magnitude; one payload in four cannot be compressed."""
    size = int(size_min * (size_max / size_min) ** random.random())
    return (incompressible if random.random() < 0.25 else audit_lines)(random, size)


def sha256(payload):
    return hashlib.sha256(payload).hexdigest()


def corpus():
    """Yields (name, payload, sha256) of the 48 slices that payloads.tsv lists."""
    folder = os.path.join(harness.SHARED_DIR, "corpus")
    index = os.path.join(folder, "payloads.tsv")
    if not os.path.exists(index):
        raise unittest.SkipTest(f"no corpus at {folder} (set DAYBOOK_SHARED)")
    zstd = harness.need_program("zstd")
    with open(index, newline="") as text:
        rows = list(csv.DictReader(text, delimiter="\t"))
    opened, content = None, b""
    for row in sorted(rows, key=lambda row: row["file(decompressed)"]):
        if row["file(decompressed)"] != opened:
            opened = row["file(decompressed)"]
            content = subprocess.run([zstd, "-dc", os.path.join(folder, opened)],
                                     check=True, capture_output=True).stdout
        payload = content[int(row["begin"]):int(row["end"])]
        if sha256(payload) != row["sha256"]:
            raise AssertionError(f"the corpus itself is damaged: {row['id']}")
        yield row["id"], payload, row["sha256"]
