"""daybook sim: each partner by flags and by environment, whoever starts first, against daybook and
against servers that behave as the original's."""

import base64
import json
import os
import sqlite3
import subprocess
import unittest

import client
import feed
import harness
from source import toml

HERE = os.path.dirname(os.path.realpath(__file__))
NAMES = ("ENDPOINT", "METHOD", "PORT", "BATCH_SIZE", "FREQUENCY", "LOG_LEVEL")


def clean_environment():
    return {name: text for name, text in harness.clean_environment().items() if name not in NAMES}


class Sims(unittest.TestCase):
    def setUp(self):
        self.area = harness.Area("sim")
        self.addCleanup(self.area.remove)

    def start(self, name, command, environment=None):
        process = harness.Process(name, command, self.area.file(f"{name}.log"),
                                  {**clean_environment(), **(environment or {})})
        self.addCleanup(process.kill)
        return process.start()

    def sim(self, kind, *words, port=None, **environment):
        """Its port answers from then on."""
        port = port or harness.free_port()
        if "PORT" not in environment:
            words = (*words, "--port", str(port))
        process = self.start(f"{kind}-{port}", [harness.binary(), "sim", kind, *words], environment)
        harness.wait_until(lambda: self.answers(port, "/"), f"{kind} answers")
        process.port = port
        return process

    def answers(self, port, path):
        try:
            answer = client.request(port, "GET", path, timeout_s=10)
        except (OSError, client.BrokenAnswer):
            return None
        self.assertEqual(answer.status, 200, answer.describe())
        return answer.body.decode().strip()

    def report(self, process):
        return json.loads(self.answers(process.port, "/report") or "{}")

    def wait_received(self, process, count):
        harness.wait_until(lambda: self.report(process).get("distinct", 0) >= count,
                           f"{count} messages at {process.name}")
        report = self.report(process)
        self.assertEqual(report["missing"], 0, report)
        return report

    def final(self, process, status=0):
        """What it prints at its end."""
        self.assertEqual(process.wait(), status, process.log_tail())
        return json.loads(process.log().splitlines()[-1])

    def serve(self, *tables, port=None):
        redis = harness.Redis(self.area)
        self.addCleanup(redis.stop)
        redis.start()
        file = self.area.write("daybook.toml", "\n".join(tables))
        daybook = harness.Daybook(self.area, redis, {"feed.poll_interval": "50ms"},
                                  environment={"DAYBOOK_CONFIG": file})
        if port:
            daybook.port = port
            daybook.settings["server.listen"] = f"127.0.0.1:{port}"
        self.addCleanup(daybook.stop)
        return daybook.start()

    def subscriber(self, url, **fields):
        secret = self.area.write("secret", "whsec_" + base64.b64encode(os.urandom(32)).decode())
        os.chmod(secret, 0o600)
        return toml("subscriber", name="sim", url=url, secret_files={"current": secret},
                    payload_max="64KiB", allow_private=True, retry_first="100ms", retry_max="500ms", **fields)


class Routes(Sims):
    def test_partners_by_flags_may_all_start_before_daybook(self):
        port = harness.free_port()
        messages = f"http://127.0.0.1:{port}/messages"
        target = self.sim("target-endpoint", "--log-level", "verbose")
        puller = self.sim("target-process", "--endpoint", messages, "--frequency", "100", "--method", "get",
                          "--log-level", "silly", "--source", "/pushed")
        pusher = self.sim("source-process", "--endpoint", messages, "--frequency", "20", "--batch-size", "7",
                          "--count", "40", "--method", "POST", "--log-level", "warn", "--source", "/pushed")
        harness.wait_until(lambda: b"messages 1 to 7" in pusher.log(), "it has tried")
        self.serve(self.subscriber(f"http://127.0.0.1:{target.port}/messages"), port=port)
        self.assertEqual(self.final(pusher), {"sent": 40, "lowest": 1, "highest": 40})
        for process in (target, puller):
            report = self.wait_received(process, 40)
            self.assertEqual((report["lowest"], report["highest"]), (1, 40))
        self.assertEqual(self.report(puller)["duplicated"], 0)
        found = [message for page in feed.message_pages(port, "/messages?limit=9") for message in page]
        self.assertEqual(sorted(message["id"] for message in found), list(range(1, 41)))
        self.assertEqual({tuple(message) for message in found}, {("id", "timestamp", "message")})
        puller.signal(15)
        self.assertEqual(self.final(puller)["distinct"], 40)

    def test_partners_by_environment_may_start_behind_daybook(self):
        source_port, target_port, pull_port = (harness.free_port() for _ in range(3))
        daybook = self.serve(
            toml("poller", name="sim", url=f"http://127.0.0.1:{source_port}/messages", interval="50ms", jitter="0ms",
                 backoff_max="200ms", source="/polled", id="/id", cursor="last", cursor_path="/id",
                 cursor_parameter="after"),
            self.subscriber(f"http://127.0.0.1:{target_port}/messages", filter={"source": "/polled"}))
        messages = daybook.url + "/messages"
        puller = self.sim("target-process", port=pull_port, ENDPOINT=messages + "?source=%2Fpolled", FREQUENCY="50",
                          METHOD="GET", PORT=str(pull_port), LOG_LEVEL="verbose")
        source = self.sim("source-endpoint", "--count", "30", port=source_port, PORT=str(source_port), BATCH_SIZE="4",
                          FREQUENCY="20ms", LOG_LEVEL="debug")
        # Of the environment it takes what is its own.
        target = self.sim("target-endpoint", port=target_port, PORT=str(target_port), LOG_LEVEL="info",
                          FREQUENCY="never", METHOD="none")
        pusher = self.start("pusher", [harness.binary(), "sim", "source-process", "--count", "20"], {
            "ENDPOINT": messages, "METHOD": "POST", "BATCH_SIZE": "20", "FREQUENCY": "10", "LOG_LEVEL": "http"})
        self.assertEqual(self.final(pusher)["sent"], 20)
        for process in (target, puller):
            report = self.wait_received(process, 30)
            self.assertEqual(report["highest"], 30, "what the other source sent is left out")
        self.assertEqual(self.report(puller)["duplicated"], 0)
        self.assertEqual(self.report(source)["sent"], 30)

    def test_what_a_source_endpoint_offers_is_the_same_whenever_it_is_asked(self):
        source = self.sim("source-endpoint", "--count", "25", "--batch-size", "10", "--frequency", "1")
        harness.wait_until(lambda: len(json.loads(self.answers(source.port, "/messages?after=20"))) == 5,
                           "all have come into being")
        first = self.answers(source.port, "/messages")
        self.assertEqual([message["id"] for message in json.loads(first)], list(range(1, 11)))
        self.assertEqual(self.answers(source.port, "/messages?after=0"), first)
        self.assertEqual(json.loads(self.answers(source.port, "/messages?after=25")), [])
        self.assertEqual(client.request(source.port, "GET", "/messages?after=x").status, 400)

    def test_what_is_wrong_is_refused_with_what_it_may_be(self):
        for kind, words, environment, said in (
                ("source-process", ["--log-level", "loud"], {}, "error, warn, info, http, verbose, debug, silly"),
                ("target-endpoint", [], {"LOG_LEVEL": "5"}, "LOG_LEVEL"),
                ("source-process", ["--method", "GET"], {}, "POST or PUT"),
                ("target-process", [], {"METHOD": "FETCH"}, "GET, POST, PUT or DELETE"),
                ("target-process", ["--frequency", "0"], {}, "milliseconds"),
                ("source-endpoint", [], {"FREQUENCY": "soon"}, "FREQUENCY"),
                ("source-endpoint", ["--batch-size", "0"], {}, "BATCH_SIZE"),
                ("target-endpoint", [], {"PORT": "70000"}, "PORT"),
                ("source-process", ["--endpoint", "nowhere"], {}, "nowhere")):
            run = subprocess.run([harness.binary(), "sim", kind, *words], capture_output=True, text=True,
                                 env={**clean_environment(), **environment}, timeout=harness.PATIENCE_S)
            self.assertNotEqual(run.returncode, 0, kind)
            self.assertIn(said, run.stderr)


class Foreign(Sims):
    """Partners that nobody here may change."""

    def setUp(self):
        super().setUp()
        self.node = harness.need_program("node")

    def script(self, name, **environment):
        port = harness.free_port()
        process = self.start(name, [self.node, os.path.join(HERE, f"{name}.cjs")], {"PORT": str(port), **environment})
        harness.wait_until(lambda: self.answers(port, "/"), f"{name} answers")
        process.port = port
        return process

    def test_a_source_that_keeps_nothing_and_counts_from_0(self):
        source = self.script("source_endpoint", BATCH_SIZE="3")
        daybook = self.serve(toml("poller", name="foreign", url=f"http://127.0.0.1:{source.port}/messages",
                                  interval="50ms", jitter="0ms", id="/id"))
        puller = self.sim("target-process", "--endpoint", daybook.url + "/messages", "--frequency", "50")
        report = self.wait_received(puller, 30)
        self.assertEqual((report["lowest"], report["duplicated"]), (0, 0))

    def test_an_endpoint_without_links_is_asked_by_time(self):
        endpoint = self.script("messages_endpoint", COUNT="60")
        puller = self.sim("target-process", "--endpoint", f"http://127.0.0.1:{endpoint.port}/messages",
                          "--frequency", "100")
        self.assertEqual(self.wait_received(puller, 60)["lowest"], 0)
        asked = [line.split("timestamp=")[1] for line in endpoint.log().decode().splitlines() if "timestamp=" in line]
        self.assertEqual(asked[0], "0")
        times = [float(text) for text in asked[1:]]
        self.assertEqual(times, sorted(times))
        self.assertGreater(times[0], 1e9)

    def test_a_reader_whose_place_is_gone_or_foreign_begins_again_by_time(self):
        daybook = self.serve()
        puller = self.sim("target-process", "--endpoint", daybook.url + "/messages", "--frequency", "50")

        def push(first, last):
            batch = [{"id": number, "timestamp": 0, "message": ""} for number in range(first, last + 1)]
            answer = client.request(daybook.port, "POST", "/messages", json.dumps(batch).encode(),
                                    {"Content-Type": "application/json"})
            self.assertEqual(answer.status, 201, answer.describe())
        push(1, 10)
        self.wait_received(puller, 10)
        base = sqlite3.connect(daybook.sqlite_file, isolation_level=None)
        base.execute("UPDATE feed_head SET feed = '00000000-0000-4000-8000-000000000000'")
        base.close()
        push(11, 20)
        report = self.wait_received(puller, 20)
        self.assertGreaterEqual(report["duplicated"], 10)
        self.assertIn(b"begins again, by time", puller.log())


if __name__ == "__main__":
    harness.main()
