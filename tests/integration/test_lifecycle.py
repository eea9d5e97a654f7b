"""Start, stop and roles: SIGTERM with uploads in flight, split roles, leases of the dead, refusals at
start that name their cause, and which system calls carry a request."""

import os
import re
import subprocess
import threading
import time
import unittest

import checker
import client
import harness
import payloads

POST = "/v1/records"


class OwnServers(unittest.TestCase):
    """Cases that start their own processes; all are stopped, and must stop well."""

    settings = {}

    def setUp(self):
        self.area = harness.Area("life")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.journal = checker.Journal()

    def daybook(self, name="daybook", settings=None, **options):
        made = harness.Daybook(self.area, self.redis, settings, name=name, **options)
        self.addCleanup(made.stop)
        return made

    def refused_start(self, settings, *words, listens=False):
        """`serve` must end with an error that contains the words."""
        made = self.daybook("refused", settings)
        made.start(wait_ready=False)
        status = made.process.wait(30)
        text = made.process.log().decode("utf-8", "replace")
        self.assertNotEqual(status, 0, text)
        self.assertGreater(status, 0, "ended by a signal\n" + text)
        for word in words:
            self.assertIn(word.lower(), text.lower())
        made.assert_no_alarm()
        os.remove(made.log_path)
        return text


class Shutdown(OwnServers):

    def slow_upload(self, port, number, pieces, outcome):
        payload = payloads.incompressible(harness.seeded(f"upload{number}"), 2_000_000)
        try:
            with client.Connection(port) as raw:
                raw.send_head("POST", POST, f"Content-Length: {len(payload)}")
                step = len(payload) // pieces + 1
                for at in range(0, len(payload), step):
                    raw.send(payload[at:at + step])
                    time.sleep(0.1)
                answer = raw.read_answer()
            if answer.status == 201:
                self.journal.acknowledge(answer.json())
            outcome.append((answer.status, answer.body))
        except (OSError, client.BrokenAnswer) as error:
            outcome.append((0, repr(error)))

    def test_SIGTERM_lets_uploads_in_flight_finish(self):
        daybook = self.daybook().start()
        outcome = []
        threads = [threading.Thread(target=self.slow_upload, args=(daybook.port, n, 20, outcome))
                   for n in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        begun = time.monotonic()
        daybook.stop()
        took = time.monotonic() - begun
        for thread in threads:
            thread.join()
        self.assertEqual([status for status, _ in outcome], [201] * 6, outcome)
        self.assertGreater(took, 0.5, "it ended before the uploads could")
        self.assertLess(took, 15)
        daybook.start()
        checker.wait_drained(self.redis)
        report = checker.check(self.journal, daybook.archive_dir, daybook.sqlite_file, self.redis)
        self.assertTrue(report.clean(), str(report))

    def test_new_connections_are_refused_while_it_drains(self):
        daybook = self.daybook().start()
        outcome = []
        upload = threading.Thread(target=self.slow_upload, args=(daybook.port, 1, 25, outcome))
        upload.start()
        time.sleep(0.5)
        daybook.process.signal(15)
        time.sleep(0.5)
        with self.assertRaises((OSError, client.BrokenAnswer)):
            client.request(daybook.port, "GET", "/livez", timeout_s=5)
        upload.join()
        self.assertEqual(outcome[0][0], 201, outcome)
        self.assertEqual(daybook.process.wait(), 0)

    def test_the_drain_ends_at_its_timeout_and_loses_nothing(self):
        daybook = self.daybook(settings={"server.drain_timeout": "1s"}).start()
        for number in range(20):
            answer = client.post(daybook.port, payloads.any_payload(harness.seeded(f"d{number}")))
            self.journal.acknowledge(answer.json())
        with client.Connection(daybook.port) as raw:
            raw.send_head("POST", POST, "Content-Length: 1000000")
            raw.send(bytes(1000))
            begun = time.monotonic()
            daybook.stop(20)
            self.assertLess(time.monotonic() - begun, 10)
        daybook.start()
        checker.wait_drained(self.redis)
        report = checker.check(self.journal, daybook.archive_dir, daybook.sqlite_file, self.redis)
        self.assertTrue(report.clean(), str(report))

    def test_idle_connections_do_not_hold_the_end_up(self):
        daybook = self.daybook().start()
        with client.Connection(daybook.port) as raw:
            raw.send_head("GET", "/livez")
            raw.read_answer()
            begun = time.monotonic()
            daybook.stop(20)
            self.assertLess(time.monotonic() - begun, 8)


class Roles(OwnServers):

    def pair(self, settings=None):
        shared = {"archive.file_dir": self.area.file("archive"),
                  "metadata.sqlite_file": self.area.file("metadata.sqlite"), **(settings or {})}
        return (lambda role, name: self.daybook(name, shared, role=role))

    def load(self, port, count, name, size_max=1 << 20):
        for number in range(count):
            answer = client.post(port, payloads.any_payload(
                harness.seeded(f"{name}{number}"), 1, size_max))
            self.assertEqual(answer.status, 201, answer.describe())
            self.journal.acknowledge(answer.json())

    def check(self, daybook):
        checker.wait_drained(self.redis)
        report = checker.check(self.journal, daybook.archive_dir, daybook.sqlite_file, self.redis)
        self.assertTrue(report.clean(), str(report))

    def test_ingest_and_pipeline_in_two_processes(self):
        make = self.pair()
        ingest = make("ingest", "ingest").start()
        self.load(ingest.port, 20, "alone")
        figures = checker.buffer_figures(self.redis)
        self.assertEqual((figures["pending"], figures["released"]), (20, 0))
        for record_id, (digest, _) in self.journal.records.items():
            got = client.request(ingest.port, "GET", f"{POST}/{record_id}/payload")
            self.assertEqual(payloads.sha256(got.body), digest)
        pipeline = make("pipeline", "pipeline").start()
        self.load(ingest.port, 20, "together")
        self.assertIn(client.post(pipeline.port, b"not here").status, (404, 405, 503))
        self.check(ingest)

    def test_entries_of_a_killed_pipeline_are_taken_over_after_the_lease(self):
        make = self.pair({"pipeline.lease": "1s"})
        ingest = make("ingest", "ingest").start()
        first = make("pipeline", "first").start()
        for strike in range(4):
            self.load(ingest.port, 15, f"strike{strike}", 3 << 20)
            first.kill()
            self.load(ingest.port, 3, f"between{strike}")
            if strike == 0:
                second = make("pipeline", "second").start()
            elif strike < 3:
                first.start()
        self.check(ingest)
        self.assertTrue(second.process.running())

    def test_two_whole_nodes_share_the_work(self):
        make = self.pair()
        one, two = make("all", "one").start(), make("all", "two").start()
        threads = [threading.Thread(target=self.load, args=(node.port, 25, node.name))
                   for node in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.check(one)


class Refusals(OwnServers):

    def test_an_address_that_is_not_loopback(self):
        self.refused_start({"server.listen": f"0.0.0.0:{harness.free_port()}"},
                           "loopback", "authentication")

    def test_an_unknown_setting_names_the_nearest(self):
        self.refused_start({"ingest.body_byte_max": "1MiB"}, "ingest.body_bytes_max")
        self.refused_start({"pipline.lease": "5s"}, "pipeline")

    def test_values_out_of_bounds(self):
        self.refused_start({"ingest.body_bytes_max": "65MiB"}, "ingest.body_bytes_max", "64")
        self.refused_start({"pipeline.lease": "soon"}, "pipeline.lease", "soon")
        self.refused_start({"archive.kind": "tape"}, "archive.kind", "tape")

    def test_a_port_that_is_taken(self):
        taken = self.daybook().start()
        self.refused_start({"server.listen": f"127.0.0.1:{taken.port}"}, str(taken.port))

    def test_one_data_folder_is_not_shared_by_two_processes(self):
        first = self.daybook().start()
        self.refused_start({"node.data_dir": first.data_dir}, first.data_dir)

    def test_an_unknown_key_in_a_file_or_the_environment(self):
        path = self.area.write("bad.toml", "[server]\nlisen = '127.0.0.1:7081'\n")
        run = subprocess.run([harness.binary(), "serve", "--config", path], capture_output=True,
                             timeout=30, env=harness.clean_environment())
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(b"server.listen", run.stderr + run.stdout)
        run = subprocess.run([harness.binary(), "serve"], capture_output=True, timeout=30,
                             env={**harness.clean_environment(),
                                  "DAYBOOK_SERVER_LISEN": "127.0.0.1:7081"})
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(b"LISTEN", (run.stderr + run.stdout).upper())

    def test_it_starts_without_redis_and_is_ready_when_redis_is(self):
        self.redis.stop()
        no_other_way = {"spool.bytes_max": "0B", "spool.direct_archive": "false"}
        daybook = self.daybook(settings=no_other_way).start(wait_ready=False)
        harness.wait_until(lambda: daybook.readiness()[0] == 503, "/readyz answers 503")
        answer = client.post(daybook.port, b"x")
        harness.DaybookTest.assert_problem(self, answer, 503)
        self.redis.start()
        daybook.wait_ready()
        self.assertEqual(client.post(daybook.port, b"x").status, 201)

    def test_configuration_by_file_environment_and_flag_in_rising_order(self):
        port = harness.free_port()
        path = self.area.write("daybook.toml", f"""
[server]
listen = "127.0.0.1:{port}"
[node]
data_dir = "{self.area.file('configured')}"
[ingest]
tenant = "from-file"
body_bytes_max = "3MiB"
[buffer]
url = "unix:{self.redis.unix_socket}"
""")
        process = harness.Process(
            "configured", [harness.binary(), "serve", "--config", path, "--set",
                           "ingest.body_bytes_max=1MiB"], self.area.file("configured.log"),
            {**harness.clean_environment(), "DAYBOOK_INGEST_TENANT": "from-environment",
             "DAYBOOK_INGEST_BODY_BYTES_MAX": "2MiB"})
        process.start()
        try:
            def ready():
                try:
                    return client.request(port, "GET", "/readyz").status == 200
                except OSError:
                    self.assertTrue(process.running(), process.log_tail())
            harness.wait_until(ready, "ready")
            receipt = client.post(port, b"x").json()
            self.assertEqual(receipt["tenant"], "from-environment")
            self.assertEqual(client.post(port, bytes(1 << 20)).status, 201)
            self.assertEqual(client.post(port, bytes((1 << 20) + 1)).status, 413)
        finally:
            self.assertEqual(process.terminate(), 0, process.log_tail())


class SystemCalls(OwnServers):

    def test_a_POST_goes_through_io_uring_and_never_through_epoll(self):
        strace = harness.need_program("strace")
        trace = self.area.file("trace")
        sanitizers = {"ASAN_OPTIONS": "detect_leaks=0", "LSAN_OPTIONS": "detect_leaks=0"}
        daybook = self.daybook(
            prefix=[strace, "-f", "-o", trace, "-e",
                    "trace=io_uring_enter,epoll_wait,epoll_pwait,epoll_pwait2,epoll_ctl,poll,ppoll,"
                    "select,pselect6"],
            environment=sanitizers).start(wait_ready=False)
        try:
            daybook.wait_ready(60)
        except AssertionError as error:
            if "ptrace" in str(error):
                self.skipTest("strace is not allowed here")
            raise
        status = client.request(daybook.port, "GET", "/v1/status").json()
        runtime = status.get("runtime")
        backend = runtime.get("backend") if isinstance(runtime, dict) else runtime
        self.assertIn(backend, ("io_uring", "epoll"), status)
        if backend == "epoll":
            self._stop_traced(daybook)
            self.skipTest("this build uses epoll")
        before = os.path.getsize(trace)
        for number in range(5):
            payload = payloads.audit_lines(harness.seeded(f"trace{number}"), 3_000_000)
            self.assertEqual(client.post(daybook.port, payload).status, 201)
        self._stop_traced(daybook)
        with open(trace, "rb") as lines:
            lines.seek(before)
            calls = re.findall(rb"^\d+ +(?:<\.\.\. )?(\w+)", lines.read(), re.MULTILINE)
        self.assertGreater(calls.count(b"io_uring_enter"), 20)
        self.assertEqual([call for call in calls if call.startswith(b"epoll")], [])

    def _stop_traced(self, daybook):
        """SIGTERM goes to the traced server, not to strace."""
        tracer = daybook.process.pid
        with open(f"/proc/{tracer}/task/{tracer}/children") as children:
            for child in children.read().split():
                os.kill(int(child), 15)
        self.assertEqual(daybook.process.wait(), 0, daybook.tail())
        daybook.assert_no_alarm()


if __name__ == "__main__":
    harness.main()
