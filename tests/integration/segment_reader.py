"""Reads segments (core/segment.hpp) with nothing but their own bytes and `zstd`: the checker's view,
which shares no code with the server."""

import hashlib
import json
import os
import struct
import subprocess
import unittest
import uuid

import harness

ENTRY = struct.Struct("<16sQQ32s32s")
INDEX_MAGIC, TABLE_MAGIC, FOOTER_MAGIC = 0x184D2A52, 0x184D2A5E, 0x8F92EAB1


def decompressed(content):
    run = subprocess.run([harness.need_program("zstd"), "-dcq"], input=content,
                         capture_output=True, timeout=harness.PATIENCE_S)
    assert run.returncode == 0, run.stderr
    return run.stdout


def payloads_of(slices):
    """The payload of each stored form: the head's envelope says how long it is."""
    text, payloads = decompressed(b"".join(slices)), []
    for stored in slices:
        magic, length = struct.unpack("<II", stored[:8])
        assert magic == 0x184D2A50, hex(magic)
        size = json.loads(stored[8:8 + length])["size"]
        payloads.append(text[:size])
        text = text[size:]
    assert text == b"", len(text)
    return payloads


class Segment:
    """entries: (id, offset, length, payload sha256, slice sha256), as the index has them."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.content = file.read()
        frames, descriptor, magic = struct.unpack("<IBI", self.content[-9:])
        assert (descriptor, magic) == (0, FOOTER_MAGIC), (path, descriptor, magic)
        table = self.content[-(8 + 8 * frames + 9):]
        assert struct.unpack("<II", table[:8]) == (TABLE_MAGIC, len(table) - 8), path
        self.frames = [struct.unpack("<II", table[at:at + 8]) for at in range(8, 8 + 8 * frames, 8)]
        assert sum(stored for stored, _ in self.frames) == len(self.content) - len(table), path
        index = self.content[-len(table) - self.frames[-1][0]:-len(table)]
        count, version = struct.unpack("<II", index[-8:])
        assert struct.unpack("<II", index[:8]) == (INDEX_MAGIC, len(index) - 8), path
        assert version == 1 and len(index) == 8 + count * ENTRY.size + 40, path
        entries = index[8:8 + count * ENTRY.size]
        assert hashlib.sha256(entries).digest() == index[-40:-8], path
        self.entries = [(str(uuid.UUID(bytes=record)), offset, length, payload.hex(), stored.hex())
                        for record, offset, length, payload, stored in ENTRY.iter_unpack(entries)]

    def slice(self, entry):
        return self.content[entry[1]:entry[1] + entry[2]]

    def text(self):
        return decompressed(self.content)

    def check(self):
        """Every slice is what the index says, without what is around it, and all make up the text."""
        slices = [self.slice(entry) for entry in self.entries]
        text, payloads = b"", payloads_of(slices)
        for entry, stored, payload in zip(self.entries, slices, payloads):
            assert hashlib.sha256(stored).hexdigest() == entry[4], entry
            assert hashlib.sha256(payload).hexdigest() == entry[3], entry
            text += payload
            if ".json" in self.path or ".ndjson" in self.path:
                text += b"" if payload.endswith(b"\n") else b"\n"
        assert self.text() == text, self.path
        assert sum(size for _, size in self.frames) == len(text), self.path
        assert [entry[0] for entry in self.entries] == sorted(e[0] for e in self.entries)


DUCKDB = "1.5.6-r.1"
DUCKDB_QUERY = """
import { createRequire } from "node:module";
const { DuckDBInstance } = createRequire(process.argv[2] + "/")("@duckdb/node-api");
const connection = await (await DuckDBInstance.create()).connect();
const found = await connection.runAndReadAll(process.argv[3]);
console.log(JSON.stringify(found.getRowsJson()[0].map(Number)));
"""


def duckdb():
    """ask(sql) -> the numbers of the first row, by DuckDB as npm has it; below var/, once."""
    node, npm = harness.need_program("node"), harness.need_program("npm")
    folder = os.path.join(os.environ.get("QUICKSTART_VAR") or
                          os.path.join(harness.SOURCE_DIR, "var"), "duckdb")
    if not os.path.exists(os.path.join(folder, f"done-{DUCKDB}")):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "package.json"), "w", encoding="ascii") as package:
            package.write('{"private":true}')
        run = subprocess.run(
            [npm, "install", "--prefix", folder, "--no-audit", "--no-fund", "--fetch-retries=1",
             "--fetch-timeout=20000", "--loglevel=error", f"@duckdb/node-api@{DUCKDB}"],
            capture_output=True, text=True, timeout=180)
        if run.returncode != 0:
            raise unittest.SkipTest(f"npm could not install DuckDB {DUCKDB}: {run.stderr[-300:]}")
        open(os.path.join(folder, f"done-{DUCKDB}"), "w", encoding="ascii").close()
    script = os.path.join(folder, "ask.mjs")
    with open(script, "w", encoding="ascii") as out:
        out.write(DUCKDB_QUERY)

    def ask(sql):
        run = subprocess.run([node, script, folder, sql], capture_output=True, text=True,
                             timeout=harness.PATIENCE_S)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)
    return ask


def paths(folder):
    """(segments, other objects) below an archive folder."""
    segments, objects = [], []
    for where, folders, files in os.walk(folder):
        if ".tmp" in folders:
            folders.remove(".tmp")
        for name in files:
            (segments if name.startswith("segment-") else objects).append(os.path.join(where, name))
    return sorted(segments), sorted(objects)
