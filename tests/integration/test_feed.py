"""The feed for readers who pull: pages, long poll, event streams and the original's /messages. No record
is missed or given twice by number, whatever is posted, killed or too large meanwhile."""

import base64
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
import unittest
import urllib.parse

import checker
import client
import feed
import harness

QUICK = {"feed.poll_interval": "50ms", "feed.heartbeat": "250ms", "feed.overlap": "2s",
         "server.write_timeout": "2s"}


def post(port, payload, **fields):
    headers = {"Content-Type": "application/json", "ce-type": "test", **{
        f"ce-{name}": text for name, text in fields.items()}}
    answer = client.post(port, payload, headers)
    assert answer.status == 201, answer.describe()
    return answer.json()


class Pages(harness.DaybookTest):
    settings = {**QUICK, "feed.readers_max": "4", "feed.wait_max": "20s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.began = time.time()
        cls.receipts = [post(cls.daybook.port, json.dumps({"number": number}).encode(),
                             subject=f"s{number % 3}", id=f"e{number}", source="/pages")
                        for number in range(30)]
        feed.wait_for(cls.daybook.port, 30)

    def test_every_record_is_there_once_and_whole(self):
        found = feed.entries(self.port, "/v1/feed?limit=7")
        self.assertEqual([entry["sequence"] for entry in found][:30], list(range(1, 31)))
        ids = {entry["record"]["id"]: entry for entry in found}
        for receipt in self.receipts:
            entry = ids[receipt["id"]]
            row = feed.get(self.port, f"/v1/records/{receipt['id']}").json()
            self.assertEqual(entry["record"], row)
            self.assertGreaterEqual(entry["published_at"], row["received_at"])
            payload = feed.get(self.port, entry["payload"]["href"])
            self.assertEqual(hashlib.sha256(payload.body).hexdigest(), receipt["sha256"])
        times = [entry["published_at"] for entry in found]
        self.assertEqual(times, sorted(times))

    def test_filters_leave_what_fits_and_their_next_goes_on(self):
        for query, subjects in (("subject=s1", {"s1"}), ("subject=s1&subject=s2", {"s1", "s2"})):
            found = feed.entries(self.port, f"/v1/feed?limit=3&type=test&source=/pages&{query}")
            self.assertEqual({entry["record"]["subject"] for entry in found}, subjects)
            self.assertEqual(len(found), 10 * len(subjects))
        self.assertEqual(feed.entries(self.port, "/v1/feed?tenant=nobody"), [])

    def test_what_means_nothing_is_refused_by_name(self):
        for query, word in (("since=yesterday", "since"), ("after=x", "after"), ("colour=red", "colour"),
                            ("typ=a", "type"), ("limit=0", "limit"), ("wait=1d", "feed.wait_max"),
                            ("payload=all", "payload"), ("inline_max=1GiB", "feed.inline_max")):
            self.assert_problem(feed.get(self.port, f"/v1/feed?{query}"), 400, word)
        self.assert_problem(feed.get(self.port, "/messages?timestamp=soon"), 400, "timestamp")
        self.assert_problem(feed.get(self.port, "/v1/feed", {
            "Accept": "text/event-stream", "Last-Event-ID": "nonsense"}), 400, "Last-Event-ID")
        self.assertEqual(client.request(self.port, "DELETE", "/v1/feed").status, 405)

    def test_a_cursor_of_another_store_is_refused(self):
        for query in ("after=3&feed=00000000-0000-4000-8000-000000000000", "after=1000000",
                      "after=18446744073709551615"):
            problem = self.assert_problem(feed.get(self.port, f"/v1/feed?{query}"), 409,
                                          "another store")
            self.assertEqual(problem["code"], "foreign_cursor")
        answer = feed.get(self.port, "/v1/feed", {"Accept": "text/event-stream",
                                                  "Last-Event-ID": "other:3"})
        self.assert_problem(answer, 409, "another store")

    def test_a_time_gives_all_that_came_then_or_later(self):
        at = self.began
        utc = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
        for text in (str(int(at)), f"{at:.3f}", str(int(at * 1000)), utc + "Z",
                     urllib.parse.quote(utc + "+00:00"), utc + "+00:00"):
            found = feed.entries(self.port, f"/v1/feed?since={text}")
            self.assertEqual(feed.missing([entry["sequence"] for entry in found], 1, 30), [], text)
        middle = feed.entries(self.port, "/v1/feed")[14]
        found = feed.entries(self.port, f"/v1/feed?since={middle['published_at']}")
        self.assertEqual(feed.missing([entry["sequence"] for entry in found], 15, 30), [])
        later = int(time.time()) + 3600
        self.assertEqual(feed.entries(self.port, f"/v1/feed?since={later}"), [])

    def test_messages_are_an_array_of_what_was_posted(self):
        answer = feed.get(self.port, f"/messages?timestamp={self.began - 1:.3f}&source=/pages")
        self.assertEqual(answer.header("Content-Type"), "application/json")
        order = [int(entry["record"]["event_id"][1:])
                 for entry in feed.entries(self.port, "/v1/feed?source=/pages&type=test")]
        self.assertEqual(answer.json(), [{"number": number} for number in order])
        self.assertIsNone(feed.link(answer, "next"), "that was all")
        later = feed.link(answer, "monitor")
        self.assertEqual(feed.get(self.port, later).json(), [])
        self.assertEqual(feed.link(feed.get(self.port, later), "monitor"), later)
        by_pages = [message for page in feed.message_pages(self.port, "/messages?source=/pages&limit=7")
                    for message in page]
        self.assertEqual(by_pages, answer.json())
        receipt = post(self.port, b'"later"', source="/pages")
        feed.wait_for(self.port, feed.last(self.port))
        harness.wait_until(lambda: feed.get(self.port, later).json() == ["later"], "it is behind")
        found = feed.get(self.port, later.replace("limit=1000", "payload=reference")).json()
        self.assertEqual(found, [{"id": receipt["id"], "timestamp": receipt["received_at"],
                                  "contentType": "application/json", "size": 7,
                                  "href": f"/v1/records/{receipt['id']}/payload"}])
        self.assertEqual(feed.get(self.port, found[0]["href"]).body, b'"later"')
        for query, status in (("timestamp=soon", 400), ("after=1000000", 409), ("after=1&feed=other", 409)):
            self.assertEqual(feed.get(self.port, f"/messages?{query}").status, status, query)

    def test_a_long_poll_is_answered_when_something_comes_and_else_at_its_end(self):
        at = feed.last(self.port)
        began = time.monotonic()
        page = feed.get(self.port, f"/v1/feed?after={at}&wait=300ms&type=nothing").json()
        self.assertEqual(page["entries"], [])
        self.assertGreaterEqual(time.monotonic() - began, 0.25)
        answers = []
        waits = threading.Thread(target=lambda: answers.append(
            feed.get(self.port, f"/v1/feed?after={at}&wait=20s&type=poll")))
        waits.start()
        harness.wait_until(lambda: self.readers("poll") == 1, "it waits")
        post(self.port, b'"not asked for"')
        receipt = client.post(self.port, b'"asked for"', {"ce-type": "poll"}).json()
        waits.join(harness.PATIENCE_S)
        found = answers[0].json()["entries"]
        self.assertEqual([entry["record"]["id"] for entry in found], [receipt["id"]])
        self.assertEqual(self.readers("poll"), 0)

    def readers(self, kind):
        text = client.request(self.port, "GET", "/metrics", headers={
            "Accept": "application/openmetrics-text"}).body.decode()
        self.assertRegex(text, r"(?m)^daybook_feed_last_sequence \d+")
        return int(re.search(r'(?m)^daybook_feed_readers\{kind="%s"\} (\d+)' % kind, text)[1])

    def test_readers_that_wait_are_bounded_and_do_not_keep_records_out(self):
        harness.wait_until(lambda: self.readers("stream") == 0, "those of other cases are gone")
        streams = [feed.Curl(f"{self.daybook.url}/v1/feed?after=last") for _ in range(4)]
        try:
            harness.wait_until(lambda: self.readers("stream") == 4, "four read")
            refused = feed.get(self.port, "/v1/feed?after=last", {"Accept": "text/event-stream"})
            self.assert_problem(refused, 503, "feed.readers_max")
            self.assert_problem(feed.get(self.port, "/v1/feed?after=last&wait=5s"), 503)
            self.assertEqual(feed.get(self.port, "/v1/feed?limit=1").status, 200)
            receipt = post(self.port, b'"meanwhile"')
            for stream in streams:
                self.assertEqual(stream.take(1)[0]["record"]["id"], receipt["id"])
        finally:
            for stream in streams:
                stream.stop()
        harness.wait_until(lambda: self.readers("stream") == 0, "their places are free")

    def test_an_event_stream_beats_while_nothing_comes_and_goes_on_behind_an_id(self):
        stream = feed.Curl(f"{self.daybook.url}/v1/feed?limit=4")
        self.addCleanup(stream.stop)
        got = stream.take(30)
        self.assertEqual([entry["sequence"] for entry in got], list(range(1, 31)))
        self.assertIn("Content-Type: text/event-stream", stream.head)
        self.assertIn("Transfer-Encoding: chunked", stream.head)
        harness.wait_until(lambda: stream.comments >= 2, "it beats")
        name, number = stream.last_id.rsplit(":", 1)
        self.assertGreaterEqual(int(number), 30)
        again = feed.Curl(f"{self.daybook.url}/v1/feed?since=0", last_id=f"{name}:27")
        self.addCleanup(again.stop)
        self.assertEqual([entry["sequence"] for entry in again.take(3)], [28, 29, 30])
        # What a filter leaves out moves the id all the same.
        filtered = feed.Curl(f"{self.daybook.url}/v1/feed?type=nothing")
        self.addCleanup(filtered.stop)
        harness.wait_until(lambda: filtered.last_id.endswith(":%d" % feed.last(self.port)),
                           "the id follows the feed")
        for one in (stream, again, filtered):
            one.stop()
        harness.wait_until(lambda: self.readers("stream") == 0, "their places are free")
        old = client.Connection(self.port)
        with old:
            old.send("GET /v1/feed HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")
            harness.wait_until(lambda: old.readable() and (old._more() or b"record" in old.unread),
                               "HTTP/1.0 gets events, too")
            self.assertNotIn(b"chunked", old.unread)

    def test_a_client_of_somebody_else_hears_every_event(self):
        modules = feed.eventsource()
        script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "read_events.cjs")

        def hear(query, count):
            return subprocess.run(["node", script, f"{self.daybook.url}/v1/feed?{query}", str(count)],
                                  capture_output=True, text=True, timeout=harness.PATIENCE_S,
                                  env={**os.environ, "NODE_PATH": modules})
        run = hear("", 30)
        self.assertEqual(run.returncode, 0, run.stderr)
        heard = [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual([event["data"]["sequence"] for event in heard], list(range(1, 31)))
        self.assertEqual([event["id"].rsplit(":", 1)[1] for event in heard],
                         [str(number) for number in range(1, 31)])
        self.assertEqual(hear("after=99999", 1).returncode, 2, "it does not come again after a 409")


class Payloads(harness.DaybookTest):
    # One page holds no more than one of the largest.
    settings = {**QUICK, "feed.page_bytes_max": "256KiB"}

    def test_payloads_come_inline_up_to_a_size_and_the_largest_never_stick(self):
        generator = harness.seeded("inline")
        sent = [b'{"text": "gr\xc3\xbc\xc3\x9fe", "lines": "a\\nb\x7f"}', b"caf\xe9", b"\x00", b"\x01" * 5000,
                generator.randbytes(8 << 20), b'{"line": "%s"}\n' % (b"x" * ((8 << 20) - 20)),
                b"{}", generator.randbytes(300_000),
                b'"%s"' % (b"\\u00e9" * 100_000), b"z"]
        before = feed.last(self.port)
        expected = list(range(before + 1, before + len(sent) + 1))
        receipts = [post(self.port, payload) for payload in sent]
        feed.wait_for(self.port, expected[-1])
        bytes_of = {receipt["id"]: payload for receipt, payload in zip(receipts, sent)}
        for query, inline_max in (("payload=inline", 8 << 20), ("payload=inline&inline_max=100KiB", 102400)):
            seen = {}
            for page in feed.pages(self.port, f"/v1/feed?after={before}&{query}",
                                   most=len(sent) + 1):
                for entry in page["entries"]:
                    self.assertNotIn(entry["sequence"], seen)
                    seen[entry["sequence"]] = entry
            self.assertEqual(sorted(seen), expected)
            for entry in seen.values():
                payload = bytes_of[entry["record"]["id"]]
                if len(payload) > inline_max:
                    self.assertIn("inline_max", entry["payload"]["omitted"])
                elif "text" in entry["payload"]:
                    self.assertEqual(entry["payload"]["text"].encode(), payload)
                else:
                    self.assertEqual(base64.b64decode(entry["payload"]["base64"]), payload)
        stream = feed.Curl(f"{self.daybook.url}/v1/feed?after={before}&payload=inline")
        self.addCleanup(stream.stop)
        self.assertEqual([entry["sequence"] for entry in stream.take(len(sent))], expected)
        # A folder has no URLs: by reference then.
        entry = feed.get(self.port, "/v1/feed?payload=link&limit=1").json()["entries"][0]
        self.assertEqual(list(entry["payload"]), ["href"])

    def test_a_reader_of_the_original_gets_every_message_whatever_lies_between(self):
        """node, JSON.parse(text).forEach, and the Link field."""
        node = harness.need_program("node")
        generator = harness.seeded("messages")
        before = feed.last(self.port)

        def small(number):
            return b'{"id": %d, "timestamp": 1511273848, "message": "gr\xc3\xbc\xc3\x9fe"}' % number
        large = b'{"line":"%s"}' % (b"x" * ((8 << 20) - 11))
        self.assertEqual(len(large), 8 << 20)
        sent = [(small(0), "application/json"), (large, "application/json"),
                (small(1), "application/cloudevents+json; charset=utf-8"),
                (generator.randbytes(8 << 20), "application/octet-stream"), (b"17", "application/json"),
                (b'{"id": 2,', "application/json"), (b'{"a":"\xff"}', "application/json"),
                (b"plain", "text/plain"), (b"[1, 2]", "text/json"), (large, "application/json"),
                (small(3), "application/json")]
        posted = {}
        for payload, content_type in sent:
            answer = client.post(self.port, payload, {"Content-Type": content_type})
            self.assertEqual(answer.status, 201, answer.describe())
            posted[answer.json()["id"]] = payload, content_type, answer.json()
        answer = client.request(self.port, "POST", "/messages", b"[%s, %s]" % (small(4), small(5)),
                                {"Content-Type": "application/json"})
        for number, result in zip((4, 5), answer.json()["results"]):
            posted[result["receipt"]["id"]] = small(number), "application/json", result["receipt"]
        feed.wait_for(self.port, before + len(posted))
        order = [entry["record"]["id"] for entry in feed.entries(self.port, f"/v1/feed?after={before}")]
        script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "read_messages.cjs")
        run = subprocess.run([node, script, f"{self.daybook.url}/messages?after={before}"],
                             capture_output=True, text=True, timeout=harness.PATIENCE_S)
        self.assertEqual(run.returncode, 0, run.stderr)
        pages = [json.loads(line) for line in run.stdout.splitlines()]
        found = [message for page in pages for message in page["messages"]]
        self.assertEqual(len(found), len(posted))
        for (payload, content_type, receipt), message in zip((posted[one] for one in order), found):
            if "json" not in content_type or payload in (b'{"id": 2,', b'{"a":"\xff"}'):
                self.assertEqual(message["id"], receipt["id"])
                self.assertEqual(message["href"], f"/v1/records/{receipt['id']}/payload")
                self.assertEqual(message["timestamp"], receipt["received_at"])
                self.assertIn("JSON", message["omitted"])
            elif payload is large:
                self.assertEqual(message, {"sha256": receipt["sha256"]})
            else:
                self.assertEqual(message, json.loads(payload))
        self.assertEqual([page["more"] for page in pages], [True] * (len(pages) - 1) + [False])
        self.assertGreater(len(pages), 3, "pages end at feed.page_bytes_max")
        bounded = feed.get(self.port, f"/messages?after={before}&inline_max=1KiB").json()
        self.assertEqual([message["size"] for message in bounded if "inline_max" in str(message)], [8 << 20] * 2)

    def test_a_payload_that_is_lost_does_not_stop_the_readers_behind_it(self):
        before = feed.last(self.port)
        receipts = [post(self.port, b"payload %d" % number) for number in range(3)]
        feed.wait_for(self.port, before + 3)
        row = feed.get(self.port, f"/v1/records/{receipts[1]['id']}").json()
        os.unlink(row["object"]["location"].removeprefix("file:"))
        found = feed.entries(self.port, f"/v1/feed?after={before}&payload=inline&limit=2")
        self.assertEqual(len(found), 3)
        lost = next(entry for entry in found if entry["record"]["id"] == receipts[1]["id"])
        self.assertIn("omitted", lost["payload"])
        found = feed.get(self.port, f"/messages?after={before}").json()
        self.assertEqual({message["id"] for message in found}, {receipt["id"] for receipt in receipts})
        why = {message["id"]: message["omitted"] for message in found}[receipts[1]["id"]]
        self.assertIn("There is no object", why)

    def test_a_reader_that_does_not_take_its_events_is_ended(self):
        before = feed.last(self.port)
        slow = client.Connection(self.port)
        with slow:
            slow.send("GET /v1/feed?payload=inline&after=last HTTP/1.1\r\nHost: t\r\n"
                      "Accept: text/event-stream\r\n\r\n")
            harness.wait_until(lambda: slow.readable(), "the stream begins")
            generator = harness.seeded("slow")
            for _ in range(2):
                post(self.port, generator.randbytes(8 << 20))
            feed.wait_for(self.port, before + 2)
            harness.wait_until(lambda: 'daybook_feed_readers{kind="stream"} 0' in client.request(
                self.port, "GET", "/metrics").body.decode(), "it is ended")
        self.assertEqual(len(feed.entries(self.port, f"/v1/feed?after={before}")), 2)


class Troubles(unittest.TestCase):
    """Each with a daybook of its own: they are killed, stopped, and their index is changed by hand."""

    def setUp(self):
        self.area = harness.Area("feed")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.daybook = harness.Daybook(self.area, self.redis, QUICK)
        self.addCleanup(self.daybook.stop)
        self.daybook.start()

    def test_a_reader_slower_than_retention_is_told_where_to_go_on(self):
        port = self.daybook.port
        for number in range(8):
            post(port, b"%d" % number)
        feed.wait_for(port, 8)
        base = sqlite3.connect(self.daybook.sqlite_file, isolation_level=None)
        base.execute("DELETE FROM feed WHERE sequence <= 3")
        base.close()
        for headers in ({}, {"Accept": "text/event-stream"}):
            answer = feed.get(port, "/v1/feed?after=2", headers)
            self.assertEqual(answer.status, 410, answer.describe())
            self.assertEqual(answer.json()["first"], 4)
        for path in ("/v1/feed?after=3", "/v1/feed", "/v1/feed?since=0"):
            self.assertEqual([entry["sequence"] for entry in feed.entries(port, path)],
                             [4, 5, 6, 7, 8], path)

    def test_payloads_of_records_that_share_an_object_come_inline(self):
        self.daybook.stop()
        self.daybook.settings.update({"archive.layout": "segment", "archive.segment_age": "200ms"})
        self.daybook.start()
        port = self.daybook.port
        sent = {post(port, b"line %d\n" % number)["id"]: f"line {number}\n" for number in range(9)}
        feed.wait_for(port, 9)
        found = feed.entries(port, "/v1/feed?payload=inline")
        self.assertLess(len({entry["record"]["object"]["key"] for entry in found}), 9)
        self.assertEqual({entry["record"]["id"]: entry["payload"]["text"] for entry in found}, sent)

    def test_streams_and_polls_end_when_daybook_is_stopped(self):
        stream = feed.Curl(f"{self.daybook.url}/v1/feed")
        self.addCleanup(stream.stop)
        post(self.daybook.port, b"one")
        stream.take(1)
        answers = []
        waits = threading.Thread(target=lambda: answers.append(
            feed.get(self.daybook.port, "/v1/feed?after=1&wait=60s")))
        waits.start()
        harness.wait_until(lambda: 'daybook_feed_readers{kind="poll"} 1' in client.request(
            self.daybook.port, "GET", "/metrics").body.decode(), "it waits")
        began = time.monotonic()
        self.daybook.stop()
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(stream.ended(), 0, "the stream ended in order")
        waits.join(harness.PATIENCE_S)
        self.assertEqual(answers[0].json()["entries"], [])

    def test_nobody_misses_a_record_of_a_burst_through_kill_9(self):
        port, writers, each = self.daybook.port, 4, 60
        acknowledged, stopped = [], threading.Event()

        def write(writer):
            for number in range(each):
                key = {"Idempotency-Key": f"{writer}-{number}"}
                while True:
                    try:
                        answer = client.post(port, b"%d %d" % (writer, number), key)
                        if answer.status in (200, 201):
                            acknowledged.append(answer.json()["id"])
                            break
                    except (OSError, client.BrokenAnswer):
                        pass
                    time.sleep(0.02)

        def by_number(found):
            path = "/v1/feed?limit=9&wait=500ms"
            while not stopped.is_set():
                try:
                    page = feed.get(port, path).json()
                except (OSError, client.BrokenAnswer):
                    time.sleep(0.05)
                    continue
                found += [entry["sequence"] for entry in page["entries"]]
                path = page["next"]

        def by_time(found):
            """Each time what came since the time before, by its own clock, and only first pages."""
            since = time.time()
            while not stopped.is_set():
                now = time.time()
                try:
                    messages = feed.get(port, f"/messages?timestamp={since:.6f}").json()
                    found += [message["id"] for message in messages]
                    since = now
                except (OSError, client.BrokenAnswer):
                    pass
                time.sleep(0.2)

        def by_stream(found):
            last_id = None
            while not stopped.is_set():
                stream = feed.Curl(f"{self.daybook.url}/v1/feed", last_id=last_id)
                while not stopped.is_set() and (stream.child.poll() is None or
                                                not stream.events.empty()):
                    if not stream.events.empty():
                        last_id, entry = stream.events.get()
                        found.append(entry["sequence"])
                    else:
                        time.sleep(0.01)
                stream.stop()

        found = {reader: [] for reader in (by_number, by_time, by_stream)}
        readers = [threading.Thread(target=reader, args=(found[reader],)) for reader in found]
        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
        for thread in (*readers, *threads):
            thread.start()
        try:
            for part in (3, 2):
                harness.wait_until(lambda: len(acknowledged) >= writers * each // part,
                                   "part of the records are acknowledged")
                self.daybook.kill()
                self.daybook.start()
            for thread in threads:
                thread.join(harness.PATIENCE_S)
            checker.wait_drained(self.redis)
            end = feed.last(port)
            expected = dict.fromkeys((by_number, by_stream), set(range(1, end + 1)))
            expected[by_time] = set(acknowledged)
            for reader, seen in found.items():
                harness.wait_until(lambda reader=reader, seen=seen: expected[reader] <= set(seen),
                                   f"{reader.__name__} has all")
        finally:
            stopped.set()
            for thread in readers:
                thread.join(harness.PATIENCE_S)
        self.assertEqual(found[by_number], list(range(1, end + 1)), "each once, in order")
        self.assertEqual(found[by_stream], list(range(1, end + 1)), "each once, in order")
        records = [entry["record"]["id"] for entry in feed.entries(port, "/v1/feed?limit=1000")]
        self.assertEqual(len(records), len(set(records)))
        self.assertEqual(set(acknowledged) - set(records), set())
        print(f"    {end} records, by time {len(found[by_time])} given")


if __name__ == "__main__":
    harness.main()
