"""buffer.durability = replicated:1 against two real Redis servers: the level is claimed only where the
replica has confirmed the record, and a repetition is answered only when it has caught up."""

import signal
import threading

import checker
import client
import harness

RECORDS = "/v1/records"


class Valkey(harness.Redis):
    """Has WAITAOF, which Debian's Redis has not."""

    program = "valkey-server"


class Pair(harness.DaybookTest):
    """Daybook with a master and its replica."""
    server = harness.Redis
    confirmed_with = "WAIT"
    replica_timeout = "10s"

    @classmethod
    def setUpClass(cls):
        # Without the further rungs of the ladder: their receipts would say spool or archived.
        cls.settings = {"buffer.durability": "replicated:1",
                        "buffer.replica_timeout": cls.replica_timeout,
                        "spool.bytes_max": "0B", "spool.direct_archive": "false"}
        cls.area = harness.Area("replicated")
        cls.addClassCleanup(cls.area.remove)
        cls.redis = cls.server(cls.area, "master", **{"repl-diskless-sync-delay": "0"})
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.replica = cls.server(cls.area, "replica", replicaof=f"127.0.0.1 {cls.redis.port}")
        cls.addClassCleanup(cls.replica.stop)
        cls.replica.start()
        cls.addClassCleanup(cls.replica.process.signal, signal.SIGCONT)
        cls.daybook = harness.Daybook(cls.area, cls.redis, cls.settings)
        cls.addClassCleanup(cls.daybook.stop)
        cls.daybook.start()

    def setUp(self):
        self.replica.process.signal(signal.SIGCONT)
        self.addCleanup(self.replica.process.signal, signal.SIGCONT)

    def caught_up(self):
        return self.redis.command("WAIT", 1, 100).strip() == "1"

    def objects(self):
        return checker.archived_objects(self.daybook.archive_dir)[0]


class InTime(Pair):
    def test_a_record_that_the_replica_has_is_acknowledged_as_such(self):
        answer = client.post(self.port, b"on two machines")
        self.assertEqual(answer.status, 201, answer.describe())
        self.assertEqual(answer.json()["durability"], "replicated:1")
        position = answer.json()["position"]
        found = client.request(self.port, "GET", f"{RECORDS}/{answer.json()['id']}").json()
        self.assertEqual((found["durability"], found["position"]), ("replicated:1", position))
        # The replica knew of it when the answer came: its counters are the master's.
        tag = f"{{daybook:{answer.json()['partition']}}}"
        self.assertGreaterEqual(
            int(self.replica.command("HGET", f"{tag}:counters", "accepted")), 1)

    def test_status_says_how_replicas_confirm(self):
        status = client.request(self.port, "GET", "/v1/status").json()
        self.assertEqual(status["buffer"]["replicas_confirm_with"], self.confirmed_with)

    def test_a_limit_that_would_disconnect_replicas_is_named(self):
        before = self.redis.command("CONFIG", "GET", "client-output-buffer-limit").split("\n")[1]
        self.redis.configure("client-output-buffer-limit", "replica 4mb 4mb 10")
        self.addCleanup(harness.wait_until, lambda: self.daybook.readiness()[0] == 200, "ready")
        self.addCleanup(self.redis.configure, "client-output-buffer-limit", before)
        self.assertIn("client-output-buffer-limit",
                      self.daybook.wait_check("buffer", ok=False)["detail"])

    def test_a_late_replica_within_the_timeout_is_in_time(self):
        self.replica.process.signal(signal.SIGSTOP)
        timer = threading.Timer(0.5, self.replica.process.signal, [signal.SIGCONT])
        timer.start()
        self.addCleanup(timer.join)
        self.assertEqual(client.post(self.port, b"just in time").status, 201)

    def test_without_a_replica_the_server_says_what_to_do(self):
        self.replica.command("REPLICAOF", "NO", "ONE")
        self.addCleanup(harness.wait_until, lambda: self.daybook.readiness()[0] == 200, "ready")
        self.addCleanup(self.replica.command, "REPLICAOF", "127.0.0.1", self.redis.port)
        check = self.daybook.wait_check("buffer", ok=False)
        for words in ("replicated:1", "0 replicas online", "REPLICAOF"):
            self.assertIn(words, check["detail"])
        self.assert_problem(client.post(self.port, b"refused"), 503, "replicas online")

    def test_weaker_fsync_is_refused_here_too(self):
        self.redis.configure("appendfsync", "everysec")
        self.addCleanup(harness.wait_until, lambda: self.daybook.readiness()[0] == 200, "ready")
        self.addCleanup(self.redis.configure, "appendfsync", "always")
        check = self.daybook.wait_check("buffer", ok=False)
        self.assertIn("appendfsync", check["detail"])


class TooLate(Pair):
    replica_timeout = "400ms"

    def test_a_level_that_was_not_reached_is_not_claimed(self):
        key = {"Idempotency-Key": "sleeping replica"}
        before = len(self.objects())
        self.replica.process.signal(signal.SIGSTOP)
        for _ in range(3):   # the first try and two repetitions
            self.assert_problem(client.post(self.port, b"once only", key), 503,
                                "replicated:1", "0 of 1 replicas")
        self.assertEqual(self.daybook.readiness()[0], 200, "the server itself goes on")
        self.replica.process.signal(signal.SIGCONT)
        harness.wait_until(self.caught_up, "the replica has caught up")
        answers = []

        def reached():  # each try has 400 ms, which a busy disk may need for itself
            answers.append(client.post(self.port, b"once only", key))
            return answers[-1].status != 503

        harness.wait_until(reached, "the level is reached")
        first = answers[-1]
        self.assertEqual(first.status, 200, first.describe())
        self.assertEqual(first.json()["durability"], "replicated:1")
        again = client.post(self.port, b"once only", key)
        self.assertEqual((again.status, again.body), (200, first.body))
        self.wait_state(first.json()["id"])
        self.assertEqual(len(self.objects()) - before, 1)
        self.assert_problem(client.post(self.port, b"another payload", key), 422)

    def test_a_record_without_the_level_is_still_archived(self):
        before = set(self.objects())
        self.replica.process.signal(signal.SIGSTOP)
        self.assert_problem(client.post(self.port, b"kept although refused"), 503, "fsynced")
        # The pipeline works with the master alone.
        harness.wait_until(lambda: len(set(self.objects()) - before) == 1, "it is archived")
        checker.wait_drained(self.redis)


class FsyncInTime(InTime):
    """The same where the server can wait for its replicas' fsync."""
    server = Valkey
    confirmed_with = "WAITAOF"


class FsyncTooLate(TooLate):
    server = Valkey

    def test_a_replica_without_a_file_is_named(self):
        self.replica.configure("appendonly", "no")
        self.addCleanup(harness.wait_until, lambda: self.daybook.readiness()[0] == 200, "ready")
        self.addCleanup(self.replica.configure, "appendonly", "yes")
        # Replicas are looked at when Daybook starts, or when the master has others.
        self.assert_problem(client.post(self.port, b"no file there"), 503, "0 of 1 replicas")
        self.daybook.stop()
        self.daybook.start(wait_ready=False)
        harness.wait_until(lambda: f"appendonly no: 127.0.0.1:{self.replica.port}" in
                           self.daybook.wait_check("buffer", ok=False)["detail"], "it is named")


if __name__ == "__main__":
    harness.main()
