"""Rows for the metadata file, made by SQLite itself: millions in a minute, each of them valid.

The id of row n is a function of n, so that a reader can ask for any of them without a list. Rows
lie evenly in the 30 days before `end_ms`, and carry what a 4 MiB record's row carries.
"""

import sqlite3

DAY_MS = 86_400_000
SPAN_MS = 30 * DAY_MS
MULTIPLIER = 2_654_435_761  # spreads n over 32 bits
PER_BATCH = 500_000


def record_id(number, of, end_ms):
    """A UUIDv7 whose time is row n's, with its partition in the bits where Daybook writes it."""
    ms = end_ms - SPAN_MS + SPAN_MS * number // of
    spread = number * MULTIPLIER % (1 << 32)
    return (f"{ms >> 16:08x}-{ms & 0xffff:04x}-{0x7000 | number & 0xfff:04x}-"
            f"{0x8000 | (number & 3) << 4:04x}-{number >> 12 & 0xffff:04x}{spread:08x}")


# The same in SQL; number, ms and spread come from the inner query.
_INSERT = """
WITH RECURSIVE
  count(number) AS (SELECT :first UNION ALL SELECT number + 1 FROM count WHERE number + 1 < :past),
  row AS (SELECT number, :begin_ms + :span_ms * number / :of AS ms,
                 number * 2654435761 % 4294967296 AS spread FROM count),
  named AS (SELECT *, printf('%08x-%04x-%04x-%04x-%04x%08x', ms >> 16, ms & 65535,
                 28672 | (number & 4095), 32768 | ((number & 3) << 4), (number >> 12) & 65535,
                 spread) AS id,
                 strftime('%Y-%m-%dT%H:%M:%S', ms / 1000, 'unixepoch') ||
                 printf('.%03d000Z', ms % 1000) AS at FROM row)
INSERT INTO records (id, tenant, source, event_id, type, subject, event_time, received_at,
  content_type, size, stored_size, sha256, stored_sha256, data_offset, frames, object_key,
  object_location, object_version, partition, position, state, attempts, durability,
  idempotency_key, attributes, indexed_at)
SELECT id, 'default', '/cluster-' || (spread % 20), '', 'bench.rows',
  'subject-' || (spread % 1000), NULL, at, 'application/x-ndjson', 4194304, 440000,
  printf('%08x%056x', spread, number), printf('%08x%056x', spread, number + 1), 362,
  '[110000,110000,110000,110000]', 'default/2026/01/01/00/' || id || '.ndjson.zst',
  'file:/nowhere/default/2026/01/01/00/' || id || '.ndjson.zst', '', number & 3,
  ms || '-0', 'indexed', 1, 'fsync', '', '{}', at
FROM named
"""


def make(sqlite_file, rows, end_ms):
    """Gives a file that a daybook has made and left `rows` rows, in the order of their ids."""
    with sqlite3.connect(sqlite_file, isolation_level=None) as base:
        base.execute("PRAGMA synchronous = OFF")
        base.execute("PRAGMA cache_size = -500000")
        indexes = base.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND "
                               "sql IS NOT NULL").fetchall()
        base.execute("DELETE FROM records")
        base.execute("DELETE FROM feed")
        for name, _ in indexes:
            base.execute(f"DROP INDEX {name}")
        for first in range(0, rows, PER_BATCH):
            base.execute(_INSERT, {"first": first, "past": min(first + PER_BATCH, rows), "of": rows,
                                   "begin_ms": end_ms - SPAN_MS, "span_ms": SPAN_MS})
        for _, sql in indexes:
            base.execute(sql)
        base.execute("INSERT INTO feed SELECT row_number() OVER (ORDER BY id), id, received_at "
                     "FROM records")
        base.execute("UPDATE feed_head SET last = (SELECT count(*) FROM feed), published_at = "
                     "(SELECT coalesce(max(published_at), '') FROM feed)")
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        made = base.execute("SELECT count(*) FROM records").fetchone()[0]
    base.close()
    if made != rows:
        raise AssertionError(f"{made} rows made, not {rows}")
