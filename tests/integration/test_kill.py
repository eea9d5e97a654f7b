"""kill -9 of daybook and of Redis at random moments under load. Clients send each record again, with
its idempotency key, until it is acknowledged; when all is drained every figure of checker.py is 0.

--rounds N (DAYBOOK_KILL_ROUNDS, 30) kills daybook, --redis-rounds N (DAYBOOK_KILL_REDIS_ROUNDS, 10)
kills Redis, --both-rounds N (DAYBOOK_KILL_BOTH_ROUNDS, 3) kills the two at once.
"""

import threading
import time

import checker
import client
import harness
import payloads

CLIENTS = 4


class Load:
    """Clients that never give a record up."""

    def __init__(self, port, journal, name):
        self.port, self.journal = port, journal
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.sent_bytes = self.attempts = self.repeated = 0
        self.wrong = []
        self.threads = [threading.Thread(target=self.run, args=(f"{name}/{number}",))
                        for number in range(CLIENTS)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self, timeout_s=120):
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout_s)
        if any(thread.is_alive() for thread in self.threads):
            self.wrong.append("a client never got its acknowledgement")

    def run(self, name):
        random, number = harness.seeded(name), 0
        while not self.stopping.is_set():
            number += 1
            self.deliver(f"{name}/{number}", payloads.any_payload(random))

    def deliver(self, key, payload):
        digest, give_up = payloads.sha256(payload), time.monotonic() + 120
        attempts = 0
        while time.monotonic() < give_up:
            attempts += 1
            try:
                answer = client.post(self.port, payload, {"Idempotency-Key": key}, timeout_s=30)
            except (OSError, client.BrokenAnswer):
                time.sleep(0.05)
                continue
            if answer.status in (200, 201):
                receipt = answer.json()
                if (receipt["sha256"], receipt["size"]) != (digest, len(payload)):
                    self.wrong.append(f"receipt of other bytes: {answer.describe()}")
                self.journal.acknowledge(receipt, key)
                with self.lock:
                    self.sent_bytes += len(payload)
                    self.attempts += attempts
                    self.repeated += answer.status == 200
                return
            if answer.status not in (409, 503):
                self.wrong.append(f"{key}: {answer.describe()}")
                return
            time.sleep(0.1)
        self.wrong.append(f"{key}: not acknowledged in 120 s")


class Kill(harness.DaybookTest):
    settings = {"ingest.reservation_lease": "1s", "pipeline.lease": "1s",
                "buffer.append_timeout": "2s"}

    def rounds(self, name, count, strike):
        journal, random = checker.Journal(), harness.seeded(name)
        load = Load(self.port, journal, name).start()
        begun = time.monotonic()
        try:
            for _ in range(count):
                time.sleep(random.uniform(0.05, 1.2))
                strike(random)
        finally:
            load.stop()
        loaded = time.monotonic() - begun
        self.daybook.wait_ready()
        self.daybook.wait_spool_empty()
        checker.wait_drained(self.redis)
        report = checker.check(journal, self.daybook.archive_dir, self.daybook.sqlite_file,
                               self.redis)
        print(f"\n{name}: {count} kills in {loaded:.0f} s, {len(journal)} records acknowledged "
              f"({load.sent_bytes / 1e6:.0f} MB), {load.attempts - len(journal)} attempts failed, "
              f"{load.repeated} repeats answered with the first receipt\n  {report}", flush=True)
        self.assertEqual(load.wrong, [])
        self.assertGreaterEqual(len(journal), count)
        self.assertTrue(report.clean(), str(report))
        self.daybook.assert_no_alarm()

    def strike_daybook(self, _random):
        self.daybook.kill()
        self.daybook.start()

    def strike_redis(self, random):
        self.redis.kill()
        time.sleep(random.uniform(0, 0.5))
        self.redis.start()
        self.daybook.wait_ready()

    def strike_both(self, random):
        first, second = random.sample([self.redis, self.daybook], 2)
        first.kill()
        second.kill()
        self.redis.start()
        self.daybook.start()

    # Each case has stores of its own, so that its figures are its own.
    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.area = harness.Area("kill")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.daybook = harness.Daybook(self.area, self.redis, self.settings)
        self.addCleanup(self.daybook.stop)
        self.daybook.start()

    def test_daybook_killed_under_load_loses_nothing(self):
        self.rounds("kill-daybook", harness.options().rounds, self.strike_daybook)

    def test_redis_killed_under_load_loses_nothing(self):
        self.rounds("kill-redis", harness.options().redis_rounds, self.strike_redis)

    def test_both_killed_at_once_under_load_lose_nothing(self):
        self.rounds("kill-both", harness.options().both_rounds, self.strike_both)


def add_options(parser):
    for name, default in (("rounds", 30), ("redis_rounds", 10), ("both_rounds", 3)):
        parser.add_argument(
            "--" + name.replace("_", "-"), type=int,
            default=harness.environment_number("DAYBOOK_KILL_" + name.upper(), default))


if __name__ == "__main__":
    harness.main(add_options)
