"""Content-Encoding: gzip and zstd bodies of the tools that make them, and those that attack."""

import gzip
import hashlib
import subprocess
import zlib

import client
import harness
import payloads


def zstd(payload, *words):
    return subprocess.run(["zstd", "-q", "-c", *words], input=payload, capture_output=True,
                          check=True).stdout


def gzip_of(payload):
    return gzip.compress(payload, 1, mtime=0)


CODERS = {"gzip": gzip_of, "zstd": zstd}


class Codings(harness.DaybookTest):
    """A coded body is the record that its sender coded."""

    def post(self, payload, coding, **headers):
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return client.post(self.port, payload, {"Content-Encoding": coding, **named})

    def assert_taken(self, answer, payload):
        self.assertEqual(answer.status, 201, answer.describe())
        receipt = answer.json()
        self.assertEqual((receipt["size"], receipt["sha256"]),
                         (len(payload), payloads.sha256(payload)))
        back = client.request(self.port, "GET", f"/v1/records/{receipt['id']}/payload")
        self.assertEqual(payloads.sha256(back.body), receipt["sha256"])
        return receipt

    def test_what_gzip_and_zstd_make_is_taken(self):
        for coding, code in CODERS.items():
            for size in (1, 1000, 3_333_333, 8 << 20):
                payload = payloads.audit_lines(harness.seeded(f"{coding}{size}"), size)[:size]
                receipt = self.assert_taken(self.post(code(payload), coding), payload)
                row = client.request(self.port, "GET", f"/v1/records/{receipt['id']}").json()
                self.assertEqual(row["context"]["content_encoding"], coding)

    def test_curl_sends_chunked_what_does_not_compress(self):
        payload = harness.seeded("random").randbytes(8 << 20)
        for coding, code in CODERS.items():
            path = self.area.write(f"random.{coding}", code(payload))
            answer = client.curl("-T", path, "-X", "POST", "-H", f"Content-Encoding: {coding}",
                                 "-H", "Transfer-Encoding: chunked", f"{self.daybook.url}/v1/records")
            self.assert_taken(answer, payload)

    def test_members_one_behind_another_are_one_body(self):
        payload = payloads.audit_lines(harness.seeded("members"), 3 << 20)
        half = len(payload) // 2
        for coding, code in CODERS.items():
            self.assert_taken(self.post(code(payload[:half]) + code(payload[half:]), coding), payload)

    def test_digests_are_of_the_bytes_as_they_are_sent(self):
        payload = payloads.audit_lines(harness.seeded("digest"), 300_000)
        for coding, code in CODERS.items():
            sent = code(payload)
            right, of_payload = client.content_digest(sent), client.content_digest(payload)
            for name in ("Content_Digest", "Repr_Digest"):
                self.assert_taken(self.post(sent, coding, **{name: right}), payload)
                answer = self.post(sent, coding, **{name: of_payload})
                self.assert_problem(answer, 400, "digest", hashlib.sha256(sent).hexdigest())
            self.assert_problem(
                self.post(sent, coding, Content_Digest=right, Repr_Digest=of_payload), 400, "differ")

    def test_the_key_is_of_the_payload_however_it_is_coded(self):
        payload = payloads.audit_lines(harness.seeded("key"), 200_000)
        first = client.post(self.port, payload, {"Idempotency-Key": "coded"})
        for coding, code in CODERS.items():
            again = self.post(code(payload), coding, Idempotency_Key="coded")
            self.assertEqual((again.status, again.json()), (200, first.json()), again.describe())
            other = self.post(code(payload + b"!"), coding, Idempotency_Key="coded")
            self.assert_problem(other, 422)

    def test_other_codings_and_several_are_415_that_says_what_is_taken(self):
        for coding in ("br", "deflate", "gzip, zstd", "aws-chunked"):
            answer = self.post(b"payload", coding)
            self.assert_problem(answer, 415, "gzip", "zstd")
            self.assertEqual(answer.header("accept-encoding"), "gzip, zstd")

    def test_what_is_cut_or_damaged_is_400_that_says_where(self):
        payload = payloads.audit_lines(harness.seeded("cut"), 2 << 20)
        for coding, code in CODERS.items():
            sent = code(payload)
            self.assert_problem(self.post(sent[:-9], coding), 400, f"after byte {len(sent) - 9}")
            self.assert_problem(self.post(sent + b"junk", coding), 400, "byte", str(len(sent))[:-2])
            flipped = bytearray(sent)
            flipped[len(sent) // 2] ^= 0x40
            self.assert_problem(self.post(bytes(flipped), coding), 400, "byte")
            self.assert_problem(self.post(payload, coding), 400, "byte")
            self.assert_problem(self.post(code(b""), coding), 400, "empty")


class Bombs(harness.DaybookTest):
    """What grows beyond every bound when it is decoded is 413, and takes no memory to speak of."""

    settings = {"ingest.coding_ratio_max": 100_000}

    def resident(self):
        pid = self.daybook.process.child.pid
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

    @staticmethod
    def bombs():
        """256 MiB of zeros each, and a window of as much."""
        deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
        zeros = bytes(1 << 20)
        gzip_bomb = b"".join(deflate.compress(zeros) for _ in range(256)) + deflate.flush()
        huge = bytes(256 << 20)
        return (("gzip", gzip_bomb), ("zstd", zstd(huge)), ("zstd", zstd(huge, "--long=27")))

    def test_the_decoded_size_is_bounded_and_so_is_memory(self):
        client.post(self.port, bytes(8 << 20))
        before = self.resident()
        for coding, bomb in self.bombs():
            for body in (bomb, iter([bomb])):  # the latter is sent in chunks
                answer = client.post(self.port, body, {"Content-Encoding": coding})
                self.assert_problem(answer, 413)
        # One payload, its blocks and a window; an instrumented build keeps what was freed.
        self.assertLess(self.resident() - before, 160 << 20)

    def test_coded_bytes_that_give_nothing_are_bounded_too(self):
        skipped = b"\x50\x2a\x4d\x18" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20)
        empty = gzip_of(b"") * 50_000
        for coding, piece in (("zstd", skipped), ("gzip", empty)):
            answer = client.post(self.port, iter([piece] * 12), {"Content-Encoding": coding})
            self.assert_problem(answer, 413, "coded body")


class Ratio(harness.DaybookTest):
    """A body that grows more than is allowed is refused long before it is as large as it may be."""

    def test_a_small_body_may_be_all_repetition_and_a_large_one_not(self):
        for coding, code in CODERS.items():
            for size, status in ((1 << 20, 201), (6 << 20, 413)):
                answer = client.post(self.port, code(bytes(size)), {"Content-Encoding": coding})
                self.assertEqual(answer.status, status, answer.describe())
            self.assert_problem(answer, 413, "ingest.coding_ratio_max")


if __name__ == "__main__":
    harness.main()
