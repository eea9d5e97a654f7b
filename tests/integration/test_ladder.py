"""The failure ladder: buffer, spool, archive, 503 with salvage; and the levels a client may wait for.
Whatever was acknowledged on any rung is archived and indexed once, byte for byte, in the end."""

import concurrent.futures
import glob
import json
import os
import signal
import subprocess

import checker
import client
import harness
import payloads

POST = "/v1/records"


class Ladder(harness.DaybookTest):
    settings = {"buffer.append_timeout": "1s", "pipeline.lease": "1s"}

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.area = harness.Area("ladder")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.journal = checker.Journal()

    def serve(self, **settings):
        chosen = {**self.settings, **{key.replace("__", "."): text
                                      for key, text in settings.items()}}
        self.daybook = harness.Daybook(self.area, self.redis, chosen)
        self.addCleanup(self.daybook.stop)
        self.daybook.start()

    def post(self, payload, key=None, **headers):
        fields = {name.replace("_", "-"): text for name, text in headers.items()}
        if key:
            fields["Idempotency-Key"] = key
        answer = client.post(self.port, payload, fields)
        if answer.status in (200, 201):
            self.journal.acknowledge(answer.json(), key)
        return answer

    def spooled(self, payload, key=None):
        answer = self.post(payload, key)
        self.assertEqual(answer.status, 201, answer.describe())
        receipt = answer.json()
        self.assertEqual((receipt["durability"], receipt["state"]), ("spool", "spooled"))
        return receipt

    def settle_and_check(self):
        self.daybook.wait_ready()
        self.daybook.wait_spool_empty()
        checker.wait_drained(self.redis)
        report = checker.check(self.journal, self.daybook.archive_dir, self.daybook.sqlite_file,
                               self.redis)
        self.assertTrue(report.clean(), str(report))
        self.daybook.assert_no_alarm()

    def segments(self):
        return sorted(glob.glob(os.path.join(self.daybook.data_dir, "spool", "*.segment")))

    def quarantine(self):
        return os.listdir(os.path.join(self.daybook.data_dir, "spool", "quarantine"))


class Spool(Ladder):
    def test_a_redis_that_is_down_means_the_spool_and_nothing_is_lost(self):
        self.serve()
        random = harness.seeded("spool")
        self.redis.kill()
        sent = {}
        for number in range(12):
            payload = payloads.any_payload(random)
            receipt = self.spooled(payload, f"key-{number}" if number % 2 else None)
            sent[receipt["id"]] = payload
        # Read back while Redis is away: facts, bytes, a range.
        some, payload = next(iter(sent.items()))
        facts = client.request(self.port, "GET", f"{POST}/{some}").json()
        self.assertEqual((facts["state"], facts["size"]), ("spooled", len(payload)))
        self.assertEqual(client.request(self.port, "GET", f"{POST}/{some}/payload").body, payload)
        self.assertTrue(self.daybook.readiness()[0] == 200, "it takes records")
        self.assertEqual(self.daybook.spool()["records"], 12)
        self.redis.start()
        self.settle_and_check()
        self.assertEqual(self.segments(), [], "empty segments are deleted")
        for record, payload in sent.items():
            self.wait_state(record)
            got = client.request(self.port, "GET", f"{POST}/{record}/payload").body
            self.assertEqual(payloads.sha256(got), payloads.sha256(payload))

    def test_keys_hold_on_the_spool_and_after_it(self):
        self.serve()
        self.redis.kill()
        first = self.spooled(b"one", "k")
        again = self.post(b"one", "k")
        self.assertEqual((again.status, again.json()), (200, first))
        self.assert_problem(self.post(b"two", "k"), 422)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: client.post(
                self.port, b"same" * 100_000, {"Idempotency-Key": "burst"}), range(16)))
        ids = {answer.json()["id"] for answer in answers if answer.status in (200, 201)}
        self.assertEqual(len(ids), 1, [answer.status for answer in answers])
        self.assertTrue(all(answer.status in (200, 201, 409) for answer in answers))
        self.journal.acknowledge(next(a for a in answers if a.status in (200, 201)).json(), "burst")
        self.daybook.kill()
        self.daybook.start()
        self.assertEqual(self.post(b"one", "k").json(), first, "after a restart without Redis")
        self.redis.start()
        self.settle_and_check()
        after = self.post(b"one", "k")
        self.assertEqual((after.status, after.json()), (200, first), "and from Redis")

    def test_a_key_settled_in_redis_holds_while_redis_is_away(self):
        self.serve()
        first = self.post(b"before", "settled").json()
        self.redis.kill()
        again = self.post(b"before", "settled")
        self.assertEqual((again.status, again.json()), (200, first))
        self.assert_problem(self.post(b"other bytes", "settled"), 422)
        self.redis.start()
        self.settle_and_check()

    def test_kills_while_spooling_lose_nothing_and_a_torn_tail_is_cut(self):
        self.serve()
        random = harness.seeded("torn")
        self.redis.kill()
        for _ in range(4):
            for _ in range(3):
                self.spooled(payloads.any_payload(random, 1, 2 << 20))
            self.daybook.kill()
            with open(self.segments()[-1], "ab") as segment:
                segment.write(random.choice([b"\0" * 9000, b"DBSPOOL1" + b"\1" * 5000, b"x"]))
            self.daybook.start()
        self.assertEqual(self.daybook.spool()["records"], 12)
        self.assertEqual(len(self.quarantine()), 4, "each torn tail is kept")
        self.redis.start()
        self.settle_and_check()

    def test_a_damaged_record_is_quarantined_by_name_and_the_others_go_on(self):
        self.serve()
        self.redis.kill()
        random = harness.seeded("damaged")
        receipts = [self.spooled(payloads.incompressible(random, 200_000)) for _ in range(3)]
        self.daybook.kill()
        with open(self.segments()[0], "r+b") as segment:
            segment.seek(4096 + 2 * 4096 + 200_000)  # inside the second record's bytes
            byte = segment.read(1)
            segment.seek(-1, 1)
            segment.write(bytes([byte[0] ^ 1]))
        self.daybook.start()
        self.redis.start()
        self.daybook.wait_ready()
        self.daybook.wait_spool_empty()
        for receipt in (receipts[0], receipts[2]):
            self.wait_state(receipt["id"])
        self.assertEqual(len(self.quarantine()), 1)
        self.assertIn(receipts[1]["id"].encode(), self.daybook.process.log())
        self.assertEqual(client.request(self.port, "GET", f"{POST}/{receipts[1]['id']}").status, 404)
        metrics = client.request(self.port, "GET", "/metrics").body.decode()
        self.assertIn("daybook_spool_quarantined 1", metrics)

    def test_wrong_settings_and_full_memory_mean_the_spool(self):
        self.serve()
        for setting, wrong, right in (("appendfsync", "everysec", "always"),
                                      ("maxmemory", "500000", "0")):
            self.redis.configure(setting, wrong)
            try:
                def on_the_spool():
                    answer = self.post(payloads.incompressible(harness.seeded(setting), 1 << 20))
                    self.assertEqual(answer.status, 201, answer.describe())
                    return answer.json()["durability"] == "spool"
                harness.wait_until(on_the_spool, f"{setting} {wrong}: the spool takes records", 20)
            finally:
                self.redis.configure(setting, right)
            self.settle_and_check()

    def test_a_redis_that_hangs_means_the_spool_after_the_deadline(self):
        self.serve()
        self.redis.process.signal(19)
        try:
            self.spooled(b"while Redis sleeps", "slow")
        finally:
            self.redis.process.signal(18)
        self.settle_and_check()


class Beyond(Ladder):
    def test_without_a_spool_the_record_is_archived_before_the_answer(self):
        self.serve(spool__bytes_max="0B")
        self.redis.kill()
        payload = payloads.any_payload(harness.seeded("direct"), 1 << 20, 2 << 20)
        receipt = self.post(payload, "direct").json()
        self.assertEqual((receipt["durability"], receipt["state"]), ("archived", "indexed"))
        facts = client.request(self.port, "GET", f"{POST}/{receipt['id']}").json()
        self.assertEqual(facts["state"], "indexed")
        self.assertEqual(payloads.sha256(
            client.request(self.port, "GET", f"{POST}/{receipt['id']}/payload").body),
            payloads.sha256(payload))
        self.redis.start()
        self.settle_and_check()

    def test_when_nothing_takes_it_the_503_names_the_salvaged_bytes(self):
        self.serve(spool__bytes_max="0B", spool__direct_archive="true",
                   spool__direct_timeout="1s")
        archive = self.daybook.archive_dir
        os.rename(archive, archive + ".away")
        with open(archive, "w", encoding="ascii"):
            pass  # a file where the folder was: nothing can be archived
        self.redis.kill()
        payload = payloads.any_payload(harness.seeded("salvage"), 1 << 20, 2 << 20)
        try:
            answer = client.post(self.port, payload)
            self.assert_problem(answer, 503, "salvage/")
            name = answer.json()["detail"].split("salvage/")[1].split(".zst")[0]
            saved = os.path.join(self.daybook.data_dir, "salvage", name + ".zst")
            bytes_back = subprocess.run([harness.need_program("zstd"), "-dc", saved],
                                        capture_output=True, check=True).stdout
            self.assertEqual(payloads.sha256(bytes_back), payloads.sha256(payload))
        finally:
            os.remove(archive)
            os.rename(archive + ".away", archive)
            self.redis.start()
        self.settle_and_check()

    def test_a_repetition_after_an_unknown_outcome_becomes_the_same_record(self):
        self.serve(spool__bytes_max="0B", spool__direct_archive="false")
        payload = payloads.any_payload(harness.seeded("unknown"), 1 << 20, 2 << 20)
        with client.Connection(self.port) as first:
            first.send_head("POST", POST, f"Content-Length: {len(payload)}", "ce-subject: first",
                            "Idempotency-Key: unknown", "Expect: 100-continue")
            self.assertEqual(first.read_answer(interim=True).status, 100)   # the key is reserved
            self.redis.process.signal(signal.SIGSTOP)      # it reads later what is written now
            try:
                first.send(payload)
                self.assert_problem(first.read_answer(), 503, "may have been stored")
            finally:
                self.redis.process.signal(signal.SIGCONT)
        self.daybook.wait_ready()
        other = client.post(self.port, b"other", {"Idempotency-Key": "unknown"})
        self.assert_problem(other, 422, "another payload")
        # Other attributes do not make it another request: the first ones count.
        again = self.post(payload, "unknown", ce_subject="second")
        self.assertIn(again.status, (200, 201), again.describe())
        third = self.post(payload, "unknown")
        self.assertEqual((third.status, third.json()), (200, again.json()))
        self.settle_and_check()
        rows = client.request(self.port, "GET", f"{POST}?limit=10").json()["records"]
        self.assertEqual([row["id"] for row in rows], [again.json()["id"]])


class Levels(Ladder):
    def test_prefer_archived_answers_when_it_is_archived(self):
        self.serve()
        for fields, query, level, state in (
                ({"Prefer": "durability=archived"}, "", "archived", ("archived", "indexed")),
                ({"Prefer": 'respond-async, durability="indexed"'}, "", "indexed", ("indexed",)),
                ({}, "?wait=archived", "archived", ("archived", "indexed"))):
            answer = client.request(self.port, "POST", POST + query, b"payload", fields)
            self.assertEqual(answer.status, 201, answer.describe())
            receipt = answer.json()
            self.journal.acknowledge(receipt)
            self.assertEqual(receipt["durability"], "archived")
            self.assertEqual(answer.header("preference-applied"), f"durability={level}")
            facts = client.request(self.port, "GET", f"{POST}/{receipt['id']}").json()
            self.assertIn(facts["state"], state)
        refused = client.request(self.port, "POST", POST + "?wait=sealed", b"payload")
        self.assert_problem(refused, 400, "wait")
        self.settle_and_check()

    def test_a_level_that_is_not_reached_is_not_claimed(self):
        self.serve(ingest__wait_max="500ms", pipeline__attempts_max="1000")
        archive = self.daybook.archive_dir
        os.rename(archive, archive + ".away")
        with open(archive, "w", encoding="ascii"):
            pass
        try:
            answer = client.request(self.port, "POST", POST, b"late",
                                    {"Prefer": "durability=archived", "Idempotency-Key": "late"})
            self.assert_problem(answer, 503, "not claimed")
            plain = self.post(b"late", "late")
            self.assertEqual((plain.status, plain.json()["durability"]), (200, "fsync"))
            record = plain.json()["id"]
            polled = client.request(self.port, "GET",
                                    f"{POST}/{record}?wait=indexed&timeout=200ms").json()
            self.assertEqual(polled["state"], "buffered")
        finally:
            os.remove(archive)
            os.rename(archive + ".away", archive)
        polled = client.request(self.port, "GET", f"{POST}/{record}?wait=indexed&timeout=30s")
        self.assertEqual(json.loads(polled.body)["state"], "indexed")
        self.settle_and_check()


if __name__ == "__main__":
    harness.main()
