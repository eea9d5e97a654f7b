"""What was tried and what came of it, on disk before and after: one JSON line each, fsynced.

Every payload is unique, so its SHA-256 names it everywhere: in the journal, in rows, in objects.
A Record gathers all attempts to send one payload.
"""

import json
import os
import threading

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"


class Record:
    def __init__(self, sha256, size, key, purpose):
        self.sha256, self.size, self.key, self.purpose = sha256, size, key, purpose
        self.ids = set()        # as acknowledged
        self.levels = set()     # the durabilities that receipts stated
        self.refusals = []      # statuses
        self.unknown = 0        # attempts without an answer, or with a 5xx
        self.pending = 0        # attempts that have not ended

    @property
    def acknowledged(self):
        return bool(self.ids)

    @property
    def may_be_stored(self):
        return self.acknowledged or self.unknown or self.pending


class Journal:
    """Safe to use from several threads."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="ascii")
        self._lock = threading.Lock()
        self.records = {}       # sha256 -> Record
        self.attempts = 0
        self.durabilities = {}  # as receipts state them -> count

    def _write(self, line):
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fdatasync(self._file.fileno())

    def begin(self, sha256, size, key, purpose):
        """Call before the first byte is sent; returns the number of the attempt."""
        with self._lock:
            self.attempts += 1
            number = self.attempts
            record = self.records.setdefault(sha256, Record(sha256, size, key, purpose))
            record.pending += 1
            self._write({"attempt": number, "sha256": sha256, "size": size, "key": key,
                         "purpose": purpose})
        return number

    def end(self, number, sha256, outcome, status=None, receipt=None):
        with self._lock:
            record = self.records[sha256]
            record.pending -= 1
            if outcome == ACKNOWLEDGED:
                record.ids.add(receipt["id"])
                level = receipt.get("durability", "?")
                record.levels.add(level)
                self.durabilities[level] = self.durabilities.get(level, 0) + 1
            elif outcome == REFUSED:
                record.refusals.append(status)
            else:
                record.unknown += 1
            self._write({"attempt": number, "outcome": outcome, "status": status,
                         "id": receipt["id"] if receipt else None})

    def acknowledged(self):
        return [record for record in self.records.values() if record.acknowledged]
