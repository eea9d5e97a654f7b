"""Who is slower than the feed is kept: a subscriber goes on with what is left and says how much it missed, and an
event stream ends where it was overtaken, for its client to be told."""

import re
import socket
import sqlite3

import client
import feed
import harness
import webhooks
from test_subscribers import Subscribed


def keep_only_behind(daybook, sequence):
    base = sqlite3.connect(daybook.sqlite_file, isolation_level=None, timeout=30)
    base.execute("DELETE FROM feed WHERE sequence <= ?", (sequence,))
    base.close()


class Retention(Subscribed):
    def setUp(self):
        self.area = harness.Area("retention")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()

    def serve(self, settings=None, **environment):
        self.daybook = harness.Daybook(self.area, self.redis, settings, environment=environment)
        self.addCleanup(self.daybook.stop)
        return self.daybook.start()

    def test_a_subscriber_says_how_many_it_missed_after_a_restart_too(self):
        receiver = webhooks.Receiver().start()
        self.addCleanup(receiver.stop)
        path = receiver.path("/hook")
        _, secret = webhooks.make_secret(self.area, "secret")
        self.serve({"pipeline.lease": "1s"}, DAYBOOK_CONFIG=webhooks.configuration(self.area, [
            {"name": "slow", "url": receiver.url("/hook"), "secret_files": {"one": secret}}]))
        self.post(3)
        self.wait_status("slow", lag=0, missed=0, cursor=3)
        self.assertNotIn("missed", self.command("show", "slow"))
        path.answer = lambda notice: 503
        ids = self.post(7)
        self.wait_status("slow", state="waiting", lag=7)
        self.daybook.stop()
        keep_only_behind(self.daybook, 8)
        told = len(path.records())
        path.answer = lambda notice: 204
        self.daybook.start()
        self.wait_status("slow", lag=0, missed=5, cursor=10)
        rows = feed.entries(self.daybook.port, "/v1/feed")
        self.assertEqual([entry["sequence"] for entry in rows], [9, 10])
        self.assertEqual(set(path.records()[told:]), {entry["record"]["id"] for entry in rows})
        self.assertLess({entry["record"]["id"] for entry in rows}, set(ids))
        self.assertIn("missed        5 records", self.command("show", "slow"))
        harness.wait_until(lambda: '"missed":5' in self.redis.command(
            "HGET", "{daybook:subscriber:slow}:state", "report"), "it is kept for whoever delivers next")
        self.daybook.stop()
        self.daybook.start()
        self.wait_status("slow", lag=0, missed=5, state="delivering")

    def test_an_event_stream_that_is_overtaken_ends_where_it_was(self):
        records, kept_behind = 24, 20
        port = self.serve({"server.write_timeout": "120s"}).port
        generator = harness.seeded("overtaken")
        for _ in range(records):
            self.assertEqual(client.post(port, generator.randbytes(1 << 20)).status, 201)
        feed.wait_for(port, records)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
            slow.settimeout(harness.PATIENCE_S)
            slow.connect(("127.0.0.1", port))
            slow.sendall(b"GET /v1/feed?payload=inline HTTP/1.1\r\nHost: t\r\nAccept: text/event-stream\r\n\r\n")
            # What the kernel holds for it is a few of them.
            harness.wait_until(lambda: re.search(r'daybook_feed_entries_total\{kind="stream"\} [1-9]', client.request(
                port, "GET", "/metrics").body.decode()), "its first is sent")
            keep_only_behind(self.daybook, kept_behind)
            stream = b""
            while not stream.endswith(b"\r\n0\r\n\r\n"):
                piece = slow.recv(1 << 20)
                self.assertTrue(piece, "it ends in order")
                stream += piece
        found = re.findall(rb"(?m)^id: (\S+):(\d+)$", stream)
        numbers = [int(number) for _, number in found]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "each once, in order, none left out")
        self.assertLess(len(numbers), kept_behind)
        last_id = b":".join(found[-1]).decode()
        answer = feed.get(port, "/v1/feed", {"Accept": "text/event-stream", "Last-Event-ID": last_id})
        self.assertEqual(answer.status, 410, answer.describe())
        self.assertEqual(answer.json()["first"], kept_behind + 1)
        again = feed.Curl(f"{self.daybook.url}/v1/feed", last_id=last_id.split(":")[0] + f":{kept_behind}")
        self.addCleanup(again.stop)
        self.assertEqual([entry["sequence"] for entry in again.take(4)], list(range(kept_behind + 1, records + 1)))


if __name__ == "__main__":
    harness.main()
