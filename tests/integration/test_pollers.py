"""Sources that are polled: every element once, with exactly its bytes, whatever breaks in between;
what is wrong with a source or an element is said where an operator looks."""

import os
import re
import sqlite3
import subprocess
import time

import checker
import client
import harness
import redis_servers
import source as sources
from source import toml


def metric(port, name, **labels):
    """The sum of the samples with these labels."""
    text = client.request(port, "GET", "/metrics").body.decode()
    total = None
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name:
            given = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            if all(given.get(key) == value for key, value in labels.items()):
                total = (total or 0) + float(found[3])
    return total


class Pollers(harness.DaybookTest):
    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.area = harness.Area("pollers")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()

    def source(self, **options):
        source = sources.Source(**options)
        self.addCleanup(source.close)
        return source

    def serve(self, *tables, name="daybook", settings=None, start=True):
        file = self.area.write(f"{name}.toml", "\n".join(tables))
        daybook = harness.Daybook(self.area, self.redis, {"pipeline.lease": "1s", **(settings or {})},
                                  name=name, environment={"DAYBOOK_CONFIG": file})
        self.addCleanup(daybook.stop)
        self.daybook = daybook
        return daybook.start() if start else daybook

    def poller(self, source, **fields):
        return toml("poller", **{
            "name": "items", "url": source.url + "/items", "interval": "50ms", "jitter": "10ms",
            "backoff_max": "200ms", "elements": "/items", "id": "/id", "cursor": "last",
            "cursor_path": "/id", "cursor_parameter": "after", "next": "cursor", **fields})

    def status(self, name="items", port=None):
        for one in client.request(port or self.port, "GET", "/v1/pollers").json()["pollers"]:
            if one["name"] == name:
                return one
        raise AssertionError(f"no poller {name}")

    def wait_status(self, what, timeout_s=None, **members):
        def reached():
            status = self.status()
            return status if all(word in str(status.get(key)) for key, word in members.items()) \
                else None
        return harness.wait_until(reached, what, timeout_s)

    def rows(self, *daybooks):
        found = []
        for daybook in daybooks or [self.daybook]:
            with sqlite3.connect(f"file:{daybook.sqlite_file}?mode=ro", uri=True) as base:
                found += base.execute("SELECT id, event_id, idempotency_key FROM records").fetchall()
        return found

    def wait_rows(self, count, *daybooks):
        harness.wait_until(lambda: len(self.rows(*daybooks)) >= count, f"{count} rows",
                           timeout_s=120)
        checker.wait_drained(self.redis)
        return self.rows(*daybooks)


class Continuity(Pollers):
    def test_every_item_comes_once_though_the_source_fails_and_the_node_is_killed(self):
        random = harness.seeded("pollers")
        source = self.source(page=40)
        source.add(200)
        spoiled = [("status", 500, ()), ("cut",), ("reset",), ("status", 429, [("Retry-After", "0")]),
                   ("body", b"<html>busy</html>", "text/html")]
        source.faults = lambda path: random.choice(spoiled) if random.random() < 0.3 else None
        self.serve(self.poller(source))
        for part in (1, 2, 3):
            harness.wait_until(lambda: source.asked(f"after={part * 80}") > 0, "some pages came")
            self.daybook.kill()
            source.add(200)
            self.daybook.start()
        rows = self.wait_rows(800)
        self.assertEqual(sorted(int(row[1]) for row in rows), list(range(1, 801)), "each once")
        for record, number, key in random.sample(rows, 20):
            self.assertEqual(key, f"poller:items:id:{number}")
            answer = client.request(self.port, "GET", f"/v1/records/{record}/payload")
            self.assertEqual(answer.body.decode(), source.items[int(number) - 1], "its own bytes")
        facts = client.request(self.port, "GET", f"/v1/records/{rows[0][0]}").json()
        self.assertEqual(facts["source"], source.url + "/items")
        source.faults = None
        self.wait_status("the source is in order", state="ok", cursor="800")
        self.assertGreater(metric(self.port, "daybook_poller_polls_total", poller="items",
                                  outcome="ok"), 0)
        self.assertEqual(metric(self.port, "daybook_poller_holder", poller="items"), 1)
        self.assertLess(metric(self.port, "daybook_poller_lag_seconds", poller="items"), 60)
        self.assertLess(abs(metric(self.port, "daybook_poller_last_success_seconds",
                                   poller="items") - time.time()), 120)

    def test_of_two_nodes_one_polls_and_the_other_takes_over(self):
        source = self.source(page=20)
        source.add(100)
        store = {"archive.file_dir": self.area.file("archive")}
        nodes = [self.serve(self.poller(source), name=name, settings=store) for name in ("a", "b")]
        holder = lambda: [node for node in nodes if node.process.running() and
                          metric(node.port, "daybook_poller_holder", poller="items") == 1]
        harness.wait_until(lambda: len(holder()) == 1, "one of them polls")
        other = next(node for node in nodes if node not in holder())
        self.assertTrue(self.status(port=other.port)["polled_by"])
        harness.wait_until(lambda: source.asked("after=60"), "some pages came")
        first = holder()[0]
        first.kill()
        source.add(100)
        self.wait_rows(1, other)
        harness.wait_until(lambda: source.asked("after=200"), "the other one goes on", timeout_s=60)
        first.start()
        rows = self.wait_rows(200, *nodes)
        # Each has an index of its own here, and what the dead one had in hand may be in both.
        self.assertEqual(sorted({int(row[1]) for row in rows}), list(range(1, 201)))
        accepted = client.request(other.port, "GET", "/v1/status").json()["records"]["accepted"]
        self.assertEqual(accepted, 200, "an element became two records")

    def test_a_place_can_be_reset(self):
        source = self.source()
        source.add(10)
        self.serve(self.poller(source))
        self.wait_status("it has all", cursor="10", state="ok")
        command = [harness.binary(), "pollers", "--url", self.daybook.url]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.assertRegex(text, r"items +ok")
        subprocess.run([*command, "reset", "items", "--cursor", "4"], check=True,
                       capture_output=True)
        before = source.asked("after=4")
        harness.wait_until(lambda: source.asked("after=4") > before, "it goes on from there")
        wrong = subprocess.run([*command, "reset", "none"], capture_output=True, text=True)
        self.assertEqual((wrong.returncode, "no poller 'none'" in wrong.stderr), (1, True))
        self.wait_status("it has all", cursor="10")
        self.assertEqual(len(self.wait_rows(10)), 10, "known by their keys")


class WhatIsWrong(Pollers):
    def test_a_bad_element_is_salvaged_with_its_reason_and_the_others_go_on(self):
        source = self.source()
        source.items = ['{"id":1}', '{"id":null,"n":2}', '{"id":3,"big":"' + "x" * 3000 + '"}',
                        '{"id":4}']
        self.serve(self.poller(source, cursor="none", next="none", cursor_path="",
                               cursor_parameter=""),
                   settings={"ingest.body_bytes_max": "2KiB"})
        rows = self.wait_rows(2)
        harness.wait_until(lambda: source.asked() > 4, "it was met more than once")
        self.assertEqual(sorted(row[1] for row in self.rows()), ["1", "4"], rows)
        folder = os.path.join(self.daybook.data_dir, "salvage")
        self.assertEqual(len([name for name in os.listdir(folder) if name.endswith(".zst")]), 2)
        listed = subprocess.run([harness.binary(), "salvage", "list", "--json", "--set",
                                 f"node.data_dir={self.daybook.data_dir}"],
                                capture_output=True, text=True, check=True,
                                env=harness.clean_environment()).stdout
        self.assertIn("its id: it is null", listed)
        self.assertIn("larger than 2KiB", listed)
        self.assertEqual(metric(self.port, "daybook_poller_records_total", outcome="set_aside"), 2)
        self.assertEqual(self.status()["state"], "ok")

    def test_a_path_that_finds_nothing_is_an_error_in_status_metrics_and_log(self):
        source = self.source()
        source.add(3)
        self.serve(self.poller(source, elements="/itmes"))
        detail = "nothing is at /itmes: the document has no member 'itmes'"
        self.wait_status("it says so", outcome="bad_answer", detail=detail, state="failing")
        self.assertGreater(metric(self.port, "daybook_poller_polls_total", outcome="bad_answer"), 0)
        self.assertEqual(metric(self.port, "daybook_poller_records_total", outcome="new"), 0)
        self.assertIn(detail, self.daybook.process.log().decode())
        everything = client.request(self.port, "GET", "/v1/status").json()
        self.assertEqual(everything["pollers"][0]["detail"], detail)
        text = subprocess.run([harness.binary(), "pollers", "--url", self.daybook.url],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn("failing", text)

    def test_while_redis_is_away_nothing_is_passed_over(self):
        source = self.source()
        source.add(20)
        self.serve(self.poller(source))
        self.wait_status("it has all", cursor="20")
        self.redis.kill()
        source.add(20)
        time.sleep(0.5)
        self.redis.start()
        rows = self.wait_rows(40)
        self.assertEqual(sorted(int(row[1]) for row in rows), list(range(1, 41)))

    def test_tables_that_cannot_work_are_refused_at_start(self):
        source = self.source()
        for fields, words in (
                ({"cursor_parameter": ""}, "poller.cursor: cursor_parameter is missing"),
                ({"elements": "items"}, "poller.elements: 'items' is no JSON Pointer"),
                ({"headers": {"Authorization": "Bearer SESAME"}}, "put its value into a file"),
                ({"attributes": {"apiKey": "SESAME"}}, "poller.attributes: \"apiKey\" may carry a secret"),
                ({"attribute_paths": {"token": "/token"}}, "poller.attribute_paths: \"token\" may carry"),
                ({"intervall": "5s"}, "Did you mean poller.interval?"),
                ({"url": "https://user:SESAME@h/"}, "credentials do not belong here")):
            file = self.area.write("bad.toml", self.poller(source, **fields))
            run = subprocess.run([harness.binary(), "config", "--check", "--config", file],
                                 capture_output=True, text=True, env=harness.clean_environment())
            self.assertEqual(run.returncode, 1, fields)
            self.assertIn(words, run.stderr)
            self.assertRegex(run.stderr, r"bad\.toml:\d+: ")
            self.assertNotIn("SESAME", run.stderr)


class Requests(Pollers):
    def test_headers_from_files_are_read_again_and_never_shown(self):
        source = self.source()
        source.add(1)
        token = self.area.write("token", "Bearer first-SESAME\n")
        os.chmod(token, 0o600)
        self.serve(self.poller(source, header_files={"Authorization": token},
                               headers={"X-Site": "a b"}))
        harness.wait_until(lambda: source.requests, "it was asked")
        headers = source.requests[0][1]
        self.assertEqual((headers["Authorization"], headers["X-Site"]),
                         ("Bearer first-SESAME", "a b"))
        with open(token, "w", encoding="ascii") as file:
            file.write("Bearer second-SESAME")
        harness.wait_until(lambda: source.requests[-1][1]["Authorization"] == "Bearer second-SESAME",
                           "the new one is sent")
        os.chmod(token, 0o644)
        self.wait_status("it says what to do", outcome="refused", detail="chmod o-rwx")
        shown = self.daybook.process.log() + client.request(self.port, "GET", "/v1/status").body \
            + client.request(self.port, "GET", "/metrics").body
        self.assertNotIn(b"SESAME", shown)

    def test_a_post_with_a_body_over_tls_is_a_poll_too(self):
        folder = redis_servers.certificates(self.area)
        redis_servers.certificates(self.area, name="else", ca="other")
        source = self.source(tls=(f"{folder}/localhost.crt", f"{folder}/localhost.key"))
        source.add(3)
        self.serve(self.poller(source, method="POST", body='{"q": "all"}', ca_file=f"{folder}/ca.crt"))
        self.wait_rows(3)
        self.assertEqual(source.requests[0][2], b'{"q": "all"}')
        self.assertEqual(source.requests[0][1]["Content-Type"], "application/json")
        self.serve(self.poller(source, name="other", ca_file=f"{folder}/other.crt"), name="strict")
        harness.wait_until(lambda: "certificate" in str(self.status("other").get("detail")),
                           "a certificate of somebody else is refused")

    def test_a_large_answer_and_a_slow_one_are_errors(self):
        source = self.source(page=1000)
        source.add(200)
        self.serve(self.poller(source, response_bytes_max="1KiB"))
        self.wait_status("it is too large", outcome="too_large")
        slow = self.source()
        slow.faults = lambda path: time.sleep(2)
        self.daybook.stop()
        self.serve(self.poller(slow, timeout="100ms"), name="impatient")
        self.wait_status("it is too slow", outcome="timeout")


if __name__ == "__main__":
    harness.main()
