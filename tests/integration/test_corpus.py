"""The 48 real payloads of the shared corpus (1 to 6 MB), posted with curl: archived bytes equal, rows
complete, every state indexed, every stored object opens with plain `zstd -dc`."""

import time

import checker
import client
import harness
import payloads


class Corpus(harness.DaybookTest):

    def test_48_real_payloads_are_archived_byte_for_byte(self):
        journal, sent, total, seconds = checker.Journal(), {}, 0, 0.0
        for name, payload, digest in payloads.corpus():
            path = self.area.write("payload", payload)
            begun = time.monotonic()
            answer = client.curl(
                "--data-binary", f"@{path}", "-H", "Content-Type: application/x-ndjson",
                "-H", "ce-source: /corpus", "-H", f"ce-id: {name}", "-H", "ce-type: audit.batch",
                "-H", f"Content-Digest: {client.content_digest(payload)}",
                f"{self.daybook.url}/v1/records")
            seconds += time.monotonic() - begun
            self.assertEqual(answer.status, 201, f"{name}: {answer.describe()}")
            receipt = answer.json()
            self.assertEqual((receipt["sha256"], receipt["size"]), (digest, len(payload)), name)
            journal.acknowledge(receipt)
            sent[receipt["id"]] = (name, digest, len(payload))
            total += len(payload)
        self.assertEqual(len(journal), 48)
        checker.wait_drained(self.redis)
        report = checker.check(journal, self.daybook.archive_dir, self.daybook.sqlite_file,
                               self.redis)
        print(f"\n48 payloads, {total / 1e6:.0f} MB, {seconds:.1f} s in curl; {report}")
        self.assertTrue(report.clean(), str(report))
        table = {row["id"]: row for row in checker.rows(self.daybook.sqlite_file)}
        self.assertEqual(set(table), set(sent))
        for record_id, (name, digest, size) in sent.items():
            row = table[record_id]
            self.assertEqual(
                (row["source"], row["event_id"], row["type"], row["sha256"], row["size"],
                 row["state"], row["tenant"], row["content_type"], row["durability"]),
                ("/corpus", name, "audit.batch", digest, size, "indexed", "default",
                 "application/x-ndjson", "fsync"))
            for column in ("received_at", "stored_size", "stored_sha256", "object_key",
                           "object_location", "position", "indexed_at", "idempotency_key"):
                self.assertTrue(row[column], f"{name}: no {column}")
            back = client.request(self.port, "GET", f"/v1/records/{record_id}/payload")
            self.assertEqual(payloads.sha256(back.body), digest, name)


if __name__ == "__main__":
    harness.main()
