"""/metrics as promtool and a real Prometheus read it, the conservation law through a run, and the
health pages."""

import json
import os
import re
import subprocess
import time
import urllib.parse

import checker
import client
import harness
import payloads

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)")


def samples(port):
    """name -> {labels text -> value} of one scrape."""
    found = {}
    for line in client.request(port, "GET", "/metrics").body.decode().splitlines():
        match = SAMPLE.match(line)
        if match:
            found.setdefault(match[1], {})[match[2] or ""] = float(match[3])
    return found


def total(found, name):
    return sum(found.get(name, {}).values())


class Metrics(harness.DaybookTest):

    def load(self, count, name):
        for number in range(count):
            client.post(self.port, payloads.any_payload(harness.seeded(f"{name}{number}"), 1, 1 << 20))

    def test_promtool_finds_nothing_to_say(self):
        promtool = harness.need_program("promtool")
        self.load(3, "promtool")
        client.post(self.port, b"")
        answer = client.request(self.port, "GET", "/metrics")
        self.assertTrue(answer.header("content-type").startswith("text/plain; version=0.0.4"))
        run = subprocess.run([promtool, "check", "metrics"], input=answer.body, capture_output=True)
        self.assertEqual((run.returncode, run.stdout + run.stderr), (0, b""))

    def test_openmetrics_where_it_is_asked_for(self):
        answer = client.request(self.port, "GET", "/metrics", headers={
            "Accept": "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"})
        self.assertTrue(answer.header("content-type").startswith("application/openmetrics-text"))
        self.assertTrue(answer.body.endswith(b"# EOF\n"), answer.body[-200:])
        self.assertNotRegex(answer.body.decode(), r"(?m)^# TYPE \S+_total counter")
        for line in answer.body.decode().splitlines():
            self.assertTrue(line.startswith("# ") or SAMPLE.match(line), line)

    def test_every_metric_of_the_table_is_there(self):
        self.assertGreater(len(self.table_names()), 20)
        self.load(2, "table")
        checker.wait_drained(self.redis)
        self.assertEqual(client.post(self.port, b"").status, 400)
        text = client.request(self.port, "GET", "/metrics").body.decode()
        names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        absent = {name for name in self.table_names() - names
                  if not re.match("daybook_(poller|subscriber|segment)", name)}
        self.assertEqual(absent, set(), "declared, not shown; what is not configured has no labels")
        self.assertEqual({name for name in names if name.startswith("daybook_")} -
                         self.table_names(), set(), "shown, not declared")

    def table_names(self):
        with open(os.path.join(harness.SOURCE_DIR, "core", "metrics.def")) as table:
            return set(re.findall(r"^[A-Z]+\(.*?\b(daybook_\w+)", table.read(), re.MULTILINE))

    def test_accepted_is_released_and_pending_and_parked_all_the_way(self):
        before = samples(self.port)
        for turn in range(6):
            self.load(10, f"law{turn}")
            found = samples(self.port)
            self.assertEqual(total(found, "daybook_records_unaccounted"), 0, found)
            self.assertEqual(
                total(found, "daybook_records_accepted_total"),
                total(found, "daybook_records_released_total") +
                total(found, "daybook_records_pending") + total(found, "daybook_records_parked") +
                total(found, "daybook_records_dropped_total"))
        checker.wait_drained(self.redis)

        def settled():
            found = samples(self.port)
            return total(found, "daybook_records_pending") == 0 and found
        after = harness.wait_until(settled, "pending is 0", 20)

        def grown(name):
            return total(after, name) - total(before, name)
        self.assertEqual(grown("daybook_records_accepted_total"), 60)
        self.assertEqual(grown("daybook_records_released_total"), 60)
        for stage in ("archive", "index", "release"):
            label = f'{{stage="{stage}"}}'
            for name in ("received", "done"):
                metric = f"daybook_stage_{name}_total"
                self.assertEqual(after[metric][label] - before[metric].get(label, 0), 60, metric)
        self.assertEqual(total(after, "daybook_buffer_entries"), 0)
        self.assertGreater(grown("daybook_ingest_bytes_total"), 60)
        self.assertEqual(total(after, "daybook_ingest_in_flight_bytes"), 0)
        for step in ("receive", "hash", "compress", "buffer", "total", "last_byte_to_ack"):
            self.assertGreaterEqual(
                after["daybook_ingest_seconds_count"].get(f'{{step="{step}"}}', 0), 60, step)
        requests = after["daybook_http_requests_total"]
        self.assertTrue(any('status="201"' in labels and value >= 60
                            for labels, value in requests.items()), requests)

    def test_a_real_prometheus_scrapes_and_answers_queries(self):
        program = harness.need_program("prometheus")
        port = harness.free_port()
        config = self.area.write("prometheus.yml", f"""
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
scrape_configs:
  - job_name: daybook
    static_configs: [{{targets: ['127.0.0.1:{self.port}']}}]
""")
        prometheus = harness.Process("prometheus", [
            program, f"--config.file={config}", f"--storage.tsdb.path={self.area.file('tsdb')}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
            self.area.file("prometheus.log"))
        self.addCleanup(prometheus.kill)
        prometheus.start()

        def query(expression):
            try:
                answer = client.request(port, "GET", "/api/v1/query?" + urllib.parse.urlencode(
                    {"query": expression}))
                return json.loads(answer.body)["data"]["result"]
            except (OSError, client.BrokenAnswer, ValueError, KeyError):
                return []

        def value(expression):
            result = query(expression)
            return float(result[0]["value"][1]) if result else None
        harness.wait_until(lambda: value('up{job="daybook"}') == 1, "up == 1", 30)
        self.load(5, "prometheus")
        harness.wait_until(lambda: (value("daybook_records_accepted_total") or 0) >= 5,
                           "Prometheus sees the records", 30)
        self.assertEqual(value("daybook_records_unaccounted"), 0)
        self.assertEqual(value("daybook_ready"), 1)
        self.assertGreater(value('histogram_quantile(0.5, sum by (le) '
                                 '(daybook_ingest_seconds_bucket{step="total"}))'), 0)
        runtime = query("daybook_runtime_info")[0]["metric"]["backend"]
        self.assertIn(runtime, ("io_uring", "epoll"))

    def test_health_pages(self):
        live = client.request(self.port, "GET", "/livez")
        self.assertEqual((live.status, live.body.strip()), (200, b"ok"))
        status, document = self.daybook.readiness()
        self.assertEqual((status, document["ready"]), (200, True))
        self.assertEqual({check["name"] for check in document["checks"]},
                         {"buffer", "trail", "spool", "disk", "object_store", "metadata"})
        for check in document["checks"]:
            self.assertTrue(check["ok"], check)
            self.assertIn(check["required"], (True, False))
        page = client.request(self.port, "GET", "/v1/status")
        self.assertEqual(page.status, 200)
        self.assertTrue(page.header("content-type").startswith("application/json"))
        self.assertIsInstance(page.json(), dict)

    def test_readiness_gauges_follow_an_outage(self):
        self.redis.stop()
        try:
            def red():
                found = samples(self.port)
                return found["daybook_dependency_up"].get('{dependency="buffer"}') == 0
            harness.wait_until(red, "the buffer is shown as down", 20)
            self.assertEqual(total(samples(self.port), "daybook_ready"), 1, "the spool stands in")
        finally:
            self.redis.start()
        self.daybook.wait_ready()
        harness.wait_until(lambda: total(samples(self.port), "daybook_ready") == 1, "ready", 20)
        time.sleep(0.1)


if __name__ == "__main__":
    harness.main()
