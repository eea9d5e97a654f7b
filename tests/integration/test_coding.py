"""Content-Encoding: gzip and zstd bodies of the tools that make them, and those that attack."""

import gzip
import hashlib
import itertools
import json
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


def resident(daybook):
    """The most memory it had, in bytes."""
    with open(f"/proc/{daybook.process.child.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


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
        before = resident(self.daybook)
        for coding, bomb in self.bombs():
            for body in (bomb, iter([bomb])):  # the latter is sent in chunks
                answer = client.post(self.port, body, {"Content-Encoding": coding})
                self.assert_problem(answer, 413)
        # One payload, its blocks and a window; an instrumented build keeps what was freed.
        self.assertLess(resident(self.daybook) - before, 160 << 20)

    def test_coded_bytes_that_give_nothing_are_bounded_too(self):
        skipped = b"\x50\x2a\x4d\x18" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20)
        empty = gzip_of(b"") * 50_000
        for coding, piece in (("zstd", skipped), ("gzip", empty)):
            answer = client.post(self.port, iter([piece] * 12), {"Content-Encoding": coding})
            self.assert_problem(answer, 413, "coded body")


class Doors(harness.DaybookTest):
    """The doors of batches and of messages take codings as the one of records does, within the same bounds."""

    DOORS = ("/v1/records:batch", "/messages", "/v1/records:batch?atomic=true", "/ingestMessage")

    @staticmethod
    def body_for(door, text, number):
        """A body with this JSON text as the one payload."""
        if door != "/ingestMessage":
            return f"[{text}]".encode()
        return ('{"messageMetaData": {"messageType": "a", "sourceSystemID": "coded", "dateTime": '
                f'"2026-11-21T04:05:06Z", "sourceTransactionID": "{number}"}}, '
                f'"messagePayload": {text}}}').encode()

    def send(self, door, body, coding):
        return client.request(self.port, "POST", door, body, {
            "Content-Type": "application/json", "Content-Encoding": coding})

    def records(self):
        return client.request(self.port, "GET", "/v1/status").json()["records"]["accepted"]

    def test_what_gzip_and_zstd_make_is_taken(self):
        text = json.dumps([harness.seeded("doors").randbytes(400_000).hex()])
        for number, (door, (coding, code)) in enumerate(itertools.product(self.DOORS, CODERS.items())):
            answer = self.send(door, code(self.body_for(door, text, number)), coding)
            self.assertIn(answer.status, (200, 201), answer.describe())
            said = answer.json()
            record = said.get("messageID") or said["results"][0]["receipt"]["id"]
            back = client.request(self.port, "GET", f"/v1/records/{record}/payload")
            self.assertTrue(back.body == text.encode(), f"{door} {coding}")

    def test_what_grows_too_much_or_wants_too_large_a_window_is_413_and_nothing_is_stored(self):
        small = json.dumps("a small text")
        before = self.records()
        for number, door in enumerate(self.DOORS):
            repeated = self.body_for(door, '"' + "A" * (6 << 20) + '"', number)
            for coding, code in CODERS.items():
                answer = self.send(door, code(repeated), coding)
                self.assert_problem(answer, 413, "ingest.coding_ratio_max")
            wide = zstd(self.body_for(door, small, number), "--long=27")
            self.assertLess(len(wide), 1000)
            self.assert_problem(self.send(door, wide, "zstd"), 413, "window", "RFC 9659")
        self.assert_problem(client.post(self.port, zstd(b"small", "--long=27"),
                                        {"Content-Encoding": "zstd"}), 413, "window")
        self.assertEqual(self.records(), before)

    def test_a_bomb_is_413_with_bounded_memory(self):
        for door in self.DOORS:   # warm
            self.send(door, gzip_of(self.body_for(door, '"' + "x" * 100_000 + '"', door)), "gzip")
        before, peak = self.records(), resident(self.daybook)
        for number, door in enumerate(self.DOORS):
            head, tail = self.body_for(door, '"@"', number).split(b"@")
            deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
            bomb = deflate.compress(head)
            bomb += b"".join(deflate.compress(b"A" * (1 << 20)) for _ in range(256))
            bomb += deflate.compress(tail) + deflate.flush()
            self.assert_problem(self.send(door, bomb, "gzip"), 413)
            many = zstd(head + b"A" * (256 << 20) + tail)
            self.assert_problem(self.send(door, many, "zstd"), 413)
        self.assertEqual(self.records(), before)
        self.assertLess(resident(self.daybook) - peak, 160 << 20)


class DoorsWithoutRatio(Doors):
    """Where any ratio is allowed, size is what bounds a body."""

    settings = {"ingest.coding_ratio_max": 100_000}
    test_what_gzip_and_zstd_make_is_taken = None
    test_what_grows_too_much_or_wants_too_large_a_window_is_413_and_nothing_is_stored = None

    DOORS = ("/v1/records:batch?atomic=true", "/ingestMessage")

    def test_elements_of_a_bomb_are_refused_alone(self):
        peak = resident(self.daybook)
        bomb = zstd(b'[1,"' + b"A" * (64 << 20) + b'",3]')
        for door in ("/v1/records:batch", "/messages"):
            answer = self.send(door, bomb, "zstd")
            self.assertEqual(answer.status, 207, answer.describe())
            self.assertEqual([one["status"] for one in answer.json()["results"]], [201, 413, 201])
        self.assertLess(resident(self.daybook) - peak, 160 << 20)


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
