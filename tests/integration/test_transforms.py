"""Transforms: object, row and answers have the transformed attributes, the payload its own bytes; what
cannot be transformed is parked with its reason, and nobody else is held up."""

import hashlib
import hmac
import http.server
import json
import os
import subprocess
import threading
import time

import checker
import client
import harness
from source import Source, toml

POST = "/v1/records"


class Transformer:
    """An HTTP service: attributes in, what `answer` makes of them out: (status, document)."""

    def __init__(self, answer):
        self.answer, self.calls = answer, []
        transformer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                transformer.calls.append((dict(self.headers), body))
                status, document = transformer.answer(body)
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/transform"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Transforms(harness.DaybookTest):
    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.area = harness.Area("transforms")
        self.addCleanup(self.area.remove)
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.journal = checker.Journal()
        self.salt = self.area.write("salt", "0123456789abcdef\n")
        os.chmod(self.salt, 0o600)

    def serve(self, *tables, settings=None):
        file = self.area.write("daybook.toml", "\n".join(tables))
        self.daybook = harness.Daybook(
            self.area, self.redis, {"pipeline.lease": "1s", "pipeline.parked_retry": "1s",
                                    **(settings or {})},
            environment={"DAYBOOK_CONFIG": file})
        self.addCleanup(self.daybook.stop)
        self.daybook.start()

    def transformer(self, answer):
        transformer = Transformer(answer)
        self.addCleanup(transformer.close)
        return transformer

    @staticmethod
    def transform(name, *steps, **when):
        return toml("transform", name=name, **({"when": when} if when else {})) + "".join(
            toml("transform.steps", **step) for step in steps)

    def post(self, payload, **attributes):
        answer = client.post(self.port, payload, {f"ce-{name}": text
                                                  for name, text in attributes.items()})
        self.assertIn(answer.status, (200, 201), answer.describe())
        self.journal.acknowledge(answer.json())
        return answer.json()["id"]

    def facts(self, record):
        return client.request(self.port, "GET", f"{POST}/{record}").json()

    def wait_parked(self, record):
        self.wait_state(record, "parked")
        return client.request(self.port, "GET", f"/v1/parked/{record}").json()

    def assert_clean(self):
        checker.wait_drained(self.redis)
        report = checker.check(self.journal, self.daybook.archive_dir, self.daybook.sqlite_file,
                               self.redis)
        self.assertTrue(report.clean(), str(report))
        fsck = subprocess.run([harness.binary(), "fsck", "--deep",
                               *(word for name, value in self.daybook.settings.items()
                                 for word in ("--set", f"{name}={value}"))],
                              capture_output=True, text=True, env=self.daybook.environment())
        self.assertEqual(fsck.returncode, 0, fsck.stdout + fsck.stderr)

    def archive_bytes(self):
        found = b""
        for folder, _, names in os.walk(self.daybook.archive_dir):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found += file.read()
        return found


class Steps(Transforms):
    def test_every_step_in_order_and_the_payload_stays(self):
        table = self.area.write("teams.csv", 'user,team,site\nada,"red, or so",b\n')
        self.serve(
            self.transform("shop", {"add": "env", "value": "prod"},
                           {"rename": "till", "to": "desk"}, {"drop": "private*"},
                           {"lookup": table, "key": "user"},
                           {"hash": "user", "salt_file": self.salt},
                           {"copy": "/sale/total", "to": "total"}, type="sale.*"),
            self.transform("last", {"add": "type", "value": "renamed"}, type="sale.*"))
        payload = b'{ "sale": {"total" : 12.50} }' + b" " * 3_000_000
        sold = self.post(payload, type="sale.done", source="/till/3", id="1", user="ada", till="3",
                         privatephone="SESAME", privatemail="SESAME")
        other = self.post(b"x", type="other", user="ada")
        row = self.wait_state(sold)
        self.assertEqual(row["attributes"], {
            "env": "prod", "desk": "3", "team": "red, or so", "site": "b", "total": "12.50",
            "user": hmac.new(b"0123456789abcdef", b"ada", hashlib.sha256).hexdigest()})
        self.assertEqual((row["type"], row["source"]), ("renamed", "/till/3"))
        answer = client.request(self.port, "GET", f"{POST}/{sold}/payload")
        self.assertEqual(answer.body, payload)
        self.assertEqual(self.wait_state(other)["attributes"], {"user": "ada"})
        listed = client.request(self.port, "GET", f"{POST}?type=renamed").json()["records"]
        self.assertEqual([one["id"] for one in listed], [sold])
        self.assertNotIn(b"SESAME", self.archive_bytes())
        self.assert_clean()
        # The objects alone make the same index.
        self.daybook.stop()
        os.remove(self.daybook.sqlite_file)
        subprocess.run([harness.binary(), "rebuild-index",
                        *(word for name, value in self.daybook.settings.items()
                          for word in ("--set", f"{name}={value}"))], check=True,
                       capture_output=True, env=self.daybook.environment())
        self.daybook.start()
        again = self.facts(sold)
        self.assertEqual((again["attributes"], again["type"]), (row["attributes"], row["type"]))

    def test_a_lookup_file_is_read_again_and_a_broken_one_is_not_used(self):
        table = self.area.write("hosts.json", '{"web1": {"site": "a"}}')
        self.serve(self.transform("hosts", {"lookup": table, "key": "host"}))
        self.assertEqual(self.wait_state(self.post(b"1", host="web1"))["attributes"]["site"], "a")

        def site_is(text):
            return self.wait_state(self.post(b"2", host="web1"))["attributes"].get("site") == text
        self.area.write("hosts.json", '{"web1": {"site": "b"}}')
        harness.wait_until(lambda: site_is("b"), "the new file is used")
        self.area.write("hosts.json", '{"web1": {"site": ')
        harness.wait_until(lambda: b"used on" in self.daybook.process.log() or not site_is("b"),
                           "the log says that it is broken")
        self.assertTrue(site_is("b"))

    def test_attributes_that_a_poller_brings_are_transformed_too(self):
        source = Source()
        self.addCleanup(source.close)
        source.add(5)
        self.serve(toml("poller", name="items", url=source.url + "/items", interval="100ms",
                        elements="/items", id="/id", attribute_paths={"text": "/text"}),
                   self.transform("items", {"drop": "text"}, {"add": "via", "value": "poll"},
                                  poller="items"))

        def all_there():
            found = client.request(self.port, "GET", POST).json()["records"]
            return found if len(found) == 5 else None
        for record in harness.wait_until(all_there, "five records"):
            self.assertEqual(self.wait_state(record["id"])["attributes"], {"via": "poll"})


class Parked(Transforms):
    def test_a_transformer_that_fails_parks_its_records_alone_and_they_go_on_when_it_is_back(self):
        state = {"status": 500}
        transformer = self.transformer(
            lambda body: (state["status"], {**body, "seen": "yes", "user": None}
                          if state["status"] == 200 else {}))
        self.serve(self.transform("out", {"http": transformer.url, "allow_private": True},
                                  type="sale"))
        sold = self.post(b"sold", type="sale", user="ada")
        other = self.post(b"other", type="other")
        self.wait_state(other)
        parked = self.wait_parked(sold)
        self.assertEqual(parked["parked"]["stage"], "transform")
        self.assertIn("transform out, step 1: the transformer: it answered 500",
                      parked["parked"]["reason"])
        self.assertGreaterEqual(len(transformer.calls), 3)
        headers, body = transformer.calls[0]
        self.assertEqual((body, headers["Daybook-Record-Id"]),
                         ({"type": "sale", "user": "ada"}, sold))
        state["status"] = 200
        row = self.wait_state(sold)
        self.assertEqual(row["attributes"], {"seen": "yes"})
        state["status"] = 422
        refused = self.post(b"refused", type="sale")
        self.assertIn("answered 422", self.wait_parked(refused)["parked"]["reason"])
        calls = len(transformer.calls)
        time.sleep(1.5)
        self.assertEqual(len(transformer.calls), calls, "it is not asked again by itself")
        state["status"] = 200
        client.request(self.port, "POST", f"/v1/parked/replay?id={refused}")
        self.wait_state(refused)
        self.assert_clean()

    def test_a_transformer_that_is_down_does_not_hold_up_records_that_do_without(self):
        service = self.transformer(lambda body: (500, {}))
        self.serve(self.transform("ask", {"http": service.url, "allow_private": True}, type="sale"),
                   settings={"pipeline.parked_retry": "1h", "pipeline.records_in_flight": 16})
        wanted = [self.post(b"sale %d" % i, type="sale") for i in range(60)]
        others = [self.post(b"other %d" % i) for i in range(20)]
        for record in others:
            self.wait_state(record, "indexed")
        for record in wanted:
            self.wait_state(record, "parked")
        # Without a rest it would be asked 180 times.
        self.assertLess(len(service.calls), 90)

    def test_invalid_attributes_are_parked_with_their_reason_and_others_go_on(self):
        answers = {"1": {"bad name": "x"}, "2": {"a": "x" * 2000}, "3": {"a": 1}, "4": ["a"],
                   "5": {f"a{i}": "x" for i in range(65)}}
        transformer = self.transformer(lambda body: (200, answers.get(body["kind"], body)))
        self.serve(self.transform("out", {"http": transformer.url, "allow_private": True}))
        words = {"1": "a name has 1 to 64", "2": "at most 1KiB", "3": "is no text",
                 "4": "no JSON object", "5": "more than 64"}
        records = {kind: self.post(kind.encode(), kind=kind) for kind in [*words, "good"]}
        self.wait_state(records["good"])
        for kind, reason in words.items():
            self.assertIn(reason, self.wait_parked(records[kind])["parked"]["reason"])

    def test_private_addresses_are_refused_unless_they_are_allowed(self):
        transformer = self.transformer(lambda body: (200, body))
        self.serve(self.transform("out", {"http": transformer.url}))
        reason = self.wait_parked(self.post(b"x"))["parked"]["reason"]
        self.assertIn("the transformer: ", reason)
        self.assertEqual(transformer.calls, [])

    def test_transforms_that_cannot_work_are_refused_with_their_line(self):
        for step, words in (
                ({"drop": "a", "add": "b"}, "step: it has exactly one of add, rename"),
                ({"hash": "a"}, "step.salt_file: a file with a salt"),
                ({"copy": "a", "to": "b"}, "step.copy: 'a' is no JSON Pointer"),
                ({"copy": "/a", "to": "b c"}, "step.to: \"b c\" cannot be set"),
                ({"rename": "a", "to": "a"}, "step.to: it is the name it has already"),
                ({"lookup": "f.csv", "key": "a", "take": ["a"]}, "must not be looked up by itself"),
                ({"lookup": "f.xls", "key": "a"}, "ends in none of .csv"),
                ({"drop": "a", "key": "b"}, "step.key: it means nothing with drop"),
                ({"drop": "context.*"}, "step.drop: * stands for any free attribute"),
                ({"http": "file:///etc/passwd"}, "step.http: ")):
            file = self.area.write("bad.toml", self.transform("t", step))
            run = subprocess.run([harness.binary(), "config", "--check", "--config", file],
                                 capture_output=True, text=True, env=harness.clean_environment())
            self.assertEqual(run.returncode, 1, step)
            self.assertIn(words, run.stderr)
            self.assertRegex(run.stderr, r"bad\.toml:\d+: ")
        missing = self.area.write("bad.toml", self.transform(
            "t", {"lookup": self.area.file("none.csv"), "key": "a"}))
        run = subprocess.run([harness.binary(), "serve", "--config", missing, "--set",
                              f"node.data_dir={self.area.file('x')}", "--set",
                              f"buffer.url={self.redis.url}"],
                             capture_output=True, text=True, timeout=60,
                             env=harness.clean_environment())
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertRegex(run.stdout + run.stderr, r"bad\.toml:4: step\.lookup: .*none\.csv")


class Crash(Transforms):
    def test_killed_in_the_middle_nothing_is_lost_and_object_and_row_agree(self):
        number = iter(range(10**9))
        transformer = self.transformer(lambda body: (200, {**body, "call": str(next(number))}))
        self.serve(self.transform("out", {"http": transformer.url, "allow_private": True}))
        for part in range(3):
            for i in range(40):
                self.post(b"payload %d %d" % (part, i), kind=str(part))
            self.daybook.kill()
            self.daybook.start()
        self.assert_clean()

    def test_what_goes_straight_to_the_archive_is_transformed_too(self):
        self.serve(self.transform("hide", {"drop": "phone"}, {"copy": "/n", "to": "n"}),
                   settings={"spool.bytes_max": "0", "buffer.append_timeout": "1s"})
        self.redis.kill()
        record = self.post(b'{"n": 3}', phone="SESAME")
        self.assertEqual(self.facts(record)["attributes"], {"n": "3"})
        self.assertNotIn(b"SESAME", self.archive_bytes())
        self.redis.start()
        self.daybook.wait_ready()
        self.assert_clean()


if __name__ == "__main__":
    harness.main()
