"""Webhooks: each subscriber is told of every record at least once and in order, whatever it answers,
and whatever happens to it or to us."""

import base64
import hmac
import json
import os
import subprocess
import time
import unittest

import client
import harness
import redis_servers
import webhooks
from test_metrics import samples
from test_parked import SECRETS, SmallS3

RECORDS = 24


class Subscribed(unittest.TestCase):
    """Helpers for a test with a daybook, its subscribers and a receiver."""

    def status(self, name, port=None):
        return client.request(port or self.daybook.port, "GET", f"/v1/subscribers/{name}").json()

    def wait_status(self, name, port=None, **members):
        def reached():
            status = self.status(name, port)
            return status if all(status[key] == value for key, value in members.items()) else None
        try:
            return harness.wait_until(reached, f"{name} is {members}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.status(name, port)}\n" + self.daybook.tail()) from None

    def act(self, name, action, **query):
        words = "&".join(f"{key}={value}" for key, value in query.items())
        return client.request(self.daybook.port, "POST", f"/v1/subscribers/{name}/{action}?{words}")

    def command(self, *words, check=True):
        run = subprocess.run([harness.binary(), "subscribers", *words, "--url", self.daybook.url],
                             capture_output=True, text=True, timeout=harness.PATIENCE_S,
                             env=harness.clean_environment())
        if check:
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout + run.stderr

    def post(self, count, port=None, **headers):
        """Record ids in the order of their acknowledgement."""
        ids = []
        for number in range(count):
            answer = client.post(port or self.daybook.port, b'{"n": %d}' % number,
                                 {"Content-Type": "application/json", **headers})
            self.assertEqual(answer.status, 201, answer.describe())
            ids.append(answer.json()["id"])
        return ids

    def wait_notices(self, path, count):
        harness.wait_until(lambda: len(path.notices) >= count,
                           f"{count} notices, {len(path.notices)} came")


class Subscribers(Subscribed):

    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area("subscribers")
        cls.addClassCleanup(cls.area.remove)
        cls.receiver = webhooks.Receiver().start()
        cls.addClassCleanup(cls.receiver.stop)
        cls.absent = webhooks.Receiver()
        cls.addClassCleanup(cls.absent.stop)
        cls.secret, secret_file = webhooks.make_secret(cls.area, "secret")
        cls.old_secret, old_file = webhooks.make_secret(cls.area, "old-secret")
        token = cls.area.write("token", "Bearer s3cr3t-token")
        os.chmod(token, 0o600)
        cls.names = []

        def one(name, receiver=cls.receiver, **table):
            cls.names.append(name)
            return {"name": name, "url": receiver.url("/" + name),
                    "secret_files": {"current": secret_file}, **table}
        config = webhooks.configuration(cls.area, [
            one("steps", events=["started", "archived", "indexed", "final"], payload_max="1KiB",
                secret_files={"a-new": secret_file, "b-old": old_file},
                header_files={"Authorization": token}),
            one("away", receiver=cls.absent),
            one("picky", attempts_max=2),
            one("gone"),
            one("throttled"),
            one("stuck", timeout="1s"),
            one("filtered", filter={"type": "audit.*", "attribute.zone": "eu"}, parallel=4),
            one("structured", format="cloudevents-structured"),
            one("binary", format="cloudevents-binary"),
            one("private", allow_private=False),
            one("asked", origin="daybook.example.com"),
            one("later", **{"from": "now"}),
            one("unwilling", attempts_max=1, pause_after=3),
        ])
        cls.secrets_shown = [cls.secret, cls.old_secret, "s3cr3t-token"]
        cls.redis = harness.Redis(cls.area)
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.daybook = harness.Daybook(cls.area, cls.redis, {"pipeline.lease": "2s"},
                                      environment={"DAYBOOK_CONFIG": config})
        cls.addClassCleanup(cls.daybook.stop)
        cls.prepare_answers()
        cls.daybook.start()
        headers = {"ce-type": "audit.login", "ce-source": "/till/7"}
        cls.ids = []
        for number in range(RECORDS):
            zone = {"ce-zone": "eu" if number % 3 == 0 else "us"}
            answer = client.post(cls.daybook.port, b'{"n": %d}' % number, {
                **headers, **zone, "Content-Type": "application/json"})
            assert answer.status == 201, answer.describe()
            cls.ids.append(answer.json()["id"])
        # The feed's order is the order in which rows were committed.
        path = cls.receiver.path("/structured")
        harness.wait_until(lambda: len(path.notices) >= RECORDS, "the records are in the feed")
        cls.feed = path.records()

    @classmethod
    def prepare_answers(cls):
        bad = []   # the record that is refused: the third that comes

        def picky(notice):
            if len(set(cls.receiver.path("/picky").records())) == 2 and not bad:
                bad.append(notice.record())
            return 500 if bad and notice.record() == bad[0] and not cls.mended else 204
        cls.mended, cls.bad = False, bad
        cls.receiver.path("/picky").answer = picky
        cls.back = False
        cls.receiver.path("/gone").answer = \
            lambda notice: 204 if cls.back or len(cls.receiver.path("/gone").notices) < 5 else 410
        throttle = cls.receiver.path("/throttled")
        throttle.answer = lambda notice: (429, {"Retry-After": "2"}) if not throttle.refused else 204

        def stuck(notice):
            while not cls.freed:
                time.sleep(0.05)
            return 204
        cls.freed = False
        cls.receiver.path("/stuck").answer = stuck
        cls.receiver.path("/unwilling").answer = lambda notice: 422

    def assert_all_once_in_order(self, path):
        self.wait_notices(path, RECORDS)
        self.assertEqual(path.records(), self.feed)
        self.assertEqual(len(set(path.ids())), RECORDS)
        numbers = [notice.data()["sequence"] for notice in path.notices]
        self.assertEqual(numbers, sorted(numbers))

    def test_the_notices_of_each_record_come_in_order_and_are_signed(self):
        path = self.receiver.path("/steps")
        self.wait_notices(path, 4 * RECORDS)
        self.assertEqual([(notice.record(), notice.state()) for notice in path.notices],
                         [(record, state) for record in self.feed
                          for state in ("started", "archived", "indexed", "indexed")])
        types = [notice.document()["type"] for notice in path.notices[:4]]
        self.assertEqual(types, [f"daybook.record.{word}"
                                 for word in ("started", "archived", "indexed", "final")])
        self.assertEqual(len(set(path.ids())), 4 * RECORDS)
        for notice in path.notices:
            self.assertEqual(notice.headers["authorization"], "Bearer s3cr3t-token")
            signed = notice.headers["webhook-signature"].split(" ")
            self.assertEqual(signed, [webhooks.signatures(notice, self.secret),
                                      webhooks.signatures(notice, self.old_secret)])
        self.assert_documented_check(path.notices[0])
        started, archived, indexed, final = (notice.data() for notice in path.notices[:4])
        self.assertEqual([one["position"] for one in (started, archived, indexed)], [final["position"]] * 3)
        self.assertRegex(final["position"], r"^\d+-\d+$")
        self.assertEqual([list(one["persisted"].items()) for one in (started, archived, indexed, final)],
                         [[("buffer", True), ("archive", archive), ("index", index)] for archive, index in
                          ((False, False), (True, False), (True, True), (True, True))])
        self.assertEqual([one.get("row") for one in (started, archived)], [None, None])
        for one in (indexed, final):
            self.assertEqual(one["row"], {"store": "sqlite", "key": self.feed[0]})
        self.assertEqual(started["started_at"] <= archived["archived_at"] <= final["indexed_at"], True)
        row = client.request(self.daybook.port, "GET", f"/v1/records/{self.feed[0]}").json()
        self.assertEqual({**row, **final}, final)   # the whole row, and what is added
        self.assertEqual(final["payload"]["encoding"], "utf-8")
        self.assertIn("n", json.loads(final["payload"]["content"]))

    def assert_documented_check(self, notice):
        """The three lines that ops/subscribers.md gives to receivers."""
        with open(os.path.join(harness.SOURCE_DIR, "ops", "subscribers.md")) as page:
            lines = page.read().split("```python\n")[1].split("```")[0]

        class Request:
            headers = notice.headers
            get_data = staticmethod(lambda: notice.body)
        for secret, expected in ((self.secret, True), (self.old_secret, True), ("whsec_AAAA", False)):
            words = {"request": Request, "SECRET": secret, "base64": base64, "hmac": hmac, "time": time}
            exec(lines, words)   # a page of our own
            self.assertEqual(words["good"], expected)

    def test_verifiers_of_others_accept_every_format(self):
        notices = []
        for name in ("steps", "structured", "binary"):
            self.wait_notices(self.receiver.path("/" + name), RECORDS)
            notices += [(notice, secret) for notice in self.receiver.path("/" + name).notices[:8]
                        for secret in [self.secret]]
        notices.append((self.receiver.path("/steps").notices[0], self.old_secret))
        _, other = webhooks.make_secret(self.area, "other")
        with open(other) as text:
            notices.append((notices[0][0], text.read().strip()))
        said = webhooks.verify_by_others(notices)
        self.assertEqual([one["signature"] for one in said[:-1]], ["good"] * (len(said) - 1))
        self.assertIn("No matching signature", said[-1]["signature"])
        for (notice, _), one in zip(notices[8:24], said[8:24]):
            event = one["event"]
            self.assertIsInstance(event, dict, event)
            self.assertEqual(event["specversion"], "1.0")
            self.assertEqual(event["id"], notice.id)
            self.assertEqual(event["type"], "daybook.record.final")
            self.assertEqual(event["source"], "/daybook/default")
            self.assertEqual(event["subject"], notice.record())
            self.assertEqual(event["data"]["id"], notice.record())

    def test_one_that_is_away_for_the_whole_run_gets_everything_once_in_order(self):
        status = self.wait_status("away", state="waiting", lag=RECORDS)
        self.assertIn("cannot connect", status["last_error"]["detail"])
        self.absent.start()
        self.assert_all_once_in_order(self.absent.path("/away"))
        self.wait_status("away", state="delivering", lag=0)

    def by_partition(self, records):
        lanes = {}
        for record in records:
            row = client.request(self.daybook.port, "GET", f"/v1/records/{record}").json()
            lanes.setdefault(row["partition"], []).append(record)
        return lanes

    def test_one_record_that_is_refused_is_parked_alone_and_redriven(self):
        path = self.receiver.path("/picky")
        self.wait_notices(path, RECORDS - 1)
        status = self.wait_status("picky", parked=1, lag=0)
        parked = status["parked_deliveries"][0]
        self.assertEqual((parked["id"], parked["due"], parked["attempts"]), (self.bad[0], ["final"], 2))
        self.assertIn("500", parked["reason"])
        # While it is tried again, only those of its partition wait behind it.
        self.assertEqual(self.by_partition([one for one in self.feed if one != self.bad[0]]),
                         self.by_partition(path.records()))
        self.assertIn(self.bad[0], self.command("show", "picky"))
        self.assertIn("say which", self.command("redrive", "picky", check=False))
        type(self).mended = True
        self.command("redrive", "picky", "--all")
        self.wait_notices(path, RECORDS)
        self.assertEqual(path.records()[-1], self.bad[0])
        self.wait_status("picky", parked=0)
        self.assertEqual({notice.id for notice in path.refused}, {path.notices[-1].id})

    def test_gone_pauses_until_it_is_resumed(self):
        status = self.wait_status("gone", state="paused")
        self.assertIn("410", status["paused"]["reason"])
        path = self.receiver.path("/gone")
        self.assertEqual((len(path.notices), len(path.refused)), (5, 1))
        type(self).back = True
        self.assertIn("goes on", self.command("resume", "gone"))
        self.assert_all_once_in_order(path)

    def test_a_retry_after_is_waited_for(self):
        path = self.receiver.path("/throttled")
        self.assert_all_once_in_order(path)
        self.assertEqual(len(path.refused), 1)
        self.assertGreaterEqual(path.notices[0].at - path.refused[0].at, 2)

    def test_one_that_never_answers_holds_up_nobody(self):
        self.assert_all_once_in_order(self.receiver.path("/structured"))
        status = self.wait_status("stuck", state="waiting", lag=RECORDS)
        self.assertIn("deadline", status["last_error"]["detail"])
        type(self).freed = True
        path = self.receiver.path("/stuck")
        self.wait_status("stuck", lag=0)
        # Late answers to what had been given up: the same notices, under the same ids.
        self.assertEqual(list(dict.fromkeys(path.records())), self.feed)
        self.assertEqual(len(set(path.ids())), RECORDS)

    def test_a_filter_tells_of_some_records_only(self):
        path = self.receiver.path("/filtered")
        self.wait_status("filtered", lag=0)
        wanted = set(self.ids[::3])
        self.assertEqual(set(path.records()), wanted)
        self.assertEqual(len(path.records()), len(wanted))
        # With several lanes, order is kept in each partition.
        for partition in {notice.data()["partition"] for notice in path.notices}:
            numbers = [notice.data()["sequence"] for notice in path.notices
                       if notice.data()["partition"] == partition]
            self.assertEqual(numbers, sorted(numbers))

    def test_a_private_address_is_refused_unless_it_is_allowed(self):
        status = self.wait_status("private", state="waiting", lag=RECORDS)
        self.assertIn("127.0.0.1 is not an address of the public Internet", status["last_error"]["detail"])
        self.assertEqual(self.receiver.path("/private").notices, [])
        run = subprocess.run(
            [harness.binary(), "doctor", "--json", *(f"--set={key}={value}" for key, value
                                           in self.daybook.settings.items())],
            capture_output=True, text=True, timeout=harness.PATIENCE_S, env=self.daybook.environment())
        found = {one["subject"].removeprefix("subscriber "): one for one in json.loads(run.stdout)
                 if one["subject"].startswith("subscriber ")}
        self.assertEqual(set(found), set(self.names), run.stdout)
        self.assertEqual(found["private"]["verdict"], "fail", run.stdout)
        self.assertIn("allow_private = true", found["private"]["mend"])
        self.assertEqual(found["steps"]["verdict"], "ok", run.stdout)
        for secret in self.secrets_shown:
            self.assertNotIn(secret, run.stdout + run.stderr)

    def test_nothing_is_sent_before_permission_is_given(self):
        path = self.receiver.path("/asked")
        status = self.wait_status("asked", state="waiting", lag=RECORDS)
        self.assertIn("did not permit daybook.example.com", status["last_error"]["detail"])
        self.assertEqual(path.notices, [])
        self.assertEqual(path.asked[0].headers["webhook-request-origin"], "daybook.example.com")
        path.options = {"WebHook-Allowed-Origin": "daybook.example.com", "WebHook-Allowed-Rate": "1200"}
        self.assert_all_once_in_order(path)
        self.assertEqual(path.notices[0].headers["webhook-request-origin"], "daybook.example.com")
        took = path.notices[-1].at - path.notices[0].at
        self.assertGreater(took, 0.9 * (RECORDS - 1) * 60 / 1200)

    def test_one_that_refuses_everything_is_paused_and_nothing_is_lost(self):
        status = self.wait_status("unwilling", state="paused")
        self.assertEqual(status["parked"], 3)
        self.assertIn("in a row", status["paused"]["reason"])
        self.receiver.path("/unwilling").answer = lambda notice: 204
        self.assertEqual(self.act("unwilling", "resume").status, 200)
        self.assertEqual(self.act("unwilling", "redrive", all="true").json()["redriven"], 3)
        path = self.receiver.path("/unwilling")
        self.wait_notices(path, RECORDS)
        self.assertEqual(set(path.records()), set(self.feed))
        self.wait_status("unwilling", parked=0, lag=0, state="delivering")

    def test_status_metrics_and_commands_show_each(self):
        self.wait_status("structured", lag=0)
        all_of_them = client.request(self.daybook.port, "GET", "/v1/status").json()["subscribers"]
        self.assertEqual([one["name"] for one in all_of_them], self.names)
        found = samples(self.daybook.port)
        self.assertGreaterEqual(
            found["daybook_subscriber_delivered_total"]['{subscriber="structured"}'], RECORDS)
        self.assertEqual(found["daybook_subscriber_lag_records"]['{subscriber="structured"}'], 0)
        self.assertEqual(found["daybook_subscriber_paused"]['{subscriber="structured"}'], 0)
        self.assertGreaterEqual(found["daybook_subscriber_failed_total"][
            '{reason="status_5xx",subscriber="picky"}'], 2)
        table = self.command()
        for name in self.names:
            self.assertIn(name, table)
        self.assertIn("acknowledged", self.command("test", "structured"))
        tests = [notice for notice in self.receiver.path("/structured").notices
                 if notice.document()["type"] == "daybook.test"]
        self.assertEqual(len(tests), 1)
        self.receiver.path("/structured").notices.remove(tests[0])
        self.assertIn("public Internet", self.command("test", "private", check=False))
        for answer, status in ((self.act("nobody", "pause"), 404), (self.act("steps", "redrive"), 400),
                               (self.act("steps", "drop"), 400)):
            self.assertEqual(answer.status, status, answer.describe())
        shown = json.dumps(all_of_them) + table + self.daybook.process.log().decode()
        for secret in self.secrets_shown:
            self.assertNotIn(secret, shown)

    def test_a_pause_by_command_holds_over_a_restart_of_nobody_but_this_one(self):
        self.wait_status("later", lag=0)
        self.command("pause", "later", "--reason", "their move")
        self.assertEqual(self.wait_status("later", state="paused")["paused"]["reason"], "their move")
        self.assertEqual(self.act("later", "resume").status, 200)
        self.wait_status("later", state="delivering")


class Crashes(Subscribed):
    """daybook dies in the middle of a run, alone or as one of two nodes."""

    partitions = 4

    def setUp(self):
        self.area = harness.Area("crashes")
        self.addCleanup(self.area.remove)
        self.receiver = webhooks.Receiver().start()
        self.addCleanup(self.receiver.stop)
        _, secret_file = webhooks.make_secret(self.area, "secret")
        self.config = webhooks.configuration(self.area, [
            {"name": "hook", "url": self.receiver.url("/hook"), "parallel": 2,
             "events": ["archived", "final"], "secret_files": {"one": secret_file}}])
        self.path = self.receiver.path("/hook")
        self.path.answer = lambda notice: time.sleep(0.01) or 204
        self.redis = harness.Redis(self.area)
        self.addCleanup(self.redis.stop)
        self.redis.start()

    def node(self, name, **settings):
        node = harness.Daybook(self.area, self.redis, {"pipeline.lease": "2s", **settings}, name=name,
                               environment={"DAYBOOK_CONFIG": self.config})
        self.addCleanup(node.kill)
        self.daybook = node
        return node.start()

    def assert_nothing_is_missing(self, ids):
        """Each notice of each record, under one id; in order where it came first."""
        harness.wait_until(lambda: len(set(self.path.ids())) >= 2 * len(ids), "every notice has come")
        states = {record: [] for record in ids}
        numbers = {}
        seen = set()
        for notice in self.path.notices:
            data = notice.data()
            if notice.id in seen:
                continue
            seen.add(notice.id)
            states[data["id"]].append(notice.document()["type"])
            numbers.setdefault(data["partition"], []).append(data["sequence"])
        self.assertEqual(set(map(tuple, states.values())),
                         {("daybook.record.archived", "daybook.record.final")})
        for partition, order in numbers.items():
            self.assertEqual(order, sorted(order), partition)
        return len(self.path.notices) - len(seen)

    def test_a_kill_costs_repetitions_at_the_cut_and_nothing_else(self):
        node = self.node("one")
        ids = self.post(40)
        self.wait_notices(self.path, 30)
        for _ in range(2):
            node.kill()
            cut = len(self.path.notices)
            node.start()
            ids += self.post(10)
            self.wait_notices(self.path, cut + 10)
        repeated = self.assert_nothing_is_missing(ids)
        print(f"\n{len(self.path.notices)} notices of {len(ids)} records over 2 kills, {repeated} of "
              "them repetitions", flush=True)
        self.assertLessEqual(repeated, 60)
        node.stop()
        # An orderly restart repeats nothing.
        before = len(self.path.notices)
        node.start()
        self.wait_status("hook", state="delivering", lag=0)
        self.assertEqual(len(self.path.notices), before)

    def test_another_node_takes_over(self):
        shared = {"metadata.sqlite_file": self.area.file("index.sqlite"),
                  "archive.file_dir": self.area.file("archive")}
        one, two = self.node("one", **shared), self.node("two", **shared)
        holder = self.wait_status("hook", port=one.port)["node"]
        self.wait_status("hook", port=two.port, node=holder)
        ids = self.post(30, port=one.port) + self.post(10, port=two.port)
        self.wait_notices(self.path, 20)
        holds = [node for node in (one, two)
                 if b"hook: this node delivers" in node.process.log()]
        self.assertEqual(len(holds), 1)
        other = two if holds[0] is one else one
        holds[0].kill()
        ids += self.post(10, port=other.port)
        repeated = self.assert_nothing_is_missing(ids)
        print(f"\n{len(ids)} records, {repeated} notices repeated by the node that took over", flush=True)
        self.daybook = other
        self.assertNotEqual(self.wait_status("hook", port=other.port, lag=0)["node"], holder)
        other.stop()


SLOW_NAMES = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **list) {
  static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (!real) real = dlsym(RTLD_NEXT, "getaddrinfo");
  while (node && strcmp(node, "silent.example.com") == 0) sleep(1);
  return real(node, service, hints, list);
}
"""


class SilentNames(Subscribed):
    """The name servers of one subscriber never answer."""

    def test_a_name_that_is_never_found_holds_up_nobody(self):
        compiler = harness.need_program("clang-19")
        self.area = harness.Area("names")
        self.addCleanup(self.area.remove)
        library = self.area.file("names.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library,
                        self.area.write("names.c", SLOW_NAMES), "-ldl"], check=True, timeout=60)
        receiver = webhooks.Receiver().start()
        self.addCleanup(receiver.stop)
        _, secret_file = webhooks.make_secret(self.area, "secret")
        named = receiver.url("/named").replace("127.0.0.1", "localhost")
        config = webhooks.configuration(self.area, [
            {"name": "silent", "url": "http://silent.example.com/", "timeout": "1s",
             "secret_files": {"one": secret_file}},
            {"name": "named", "url": named, "secret_files": {"one": secret_file}}])
        redis = harness.Redis(self.area)
        self.addCleanup(redis.stop)
        redis.start()
        self.daybook = harness.Daybook(self.area, redis, environment={
            "DAYBOOK_CONFIG": config, "LD_PRELOAD": library,
            "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")})
        self.addCleanup(self.daybook.kill)
        self.daybook.start()
        self.post(1)
        status = self.wait_status("silent", state="waiting")
        self.assertIn("gave no answer in time", status["last_error"]["detail"])
        receiver.stop()   # its connection goes, and the next has to be looked up
        receiver.start()
        self.post(3)
        self.wait_notices(receiver.path("/named"), 4)
        self.wait_status("silent", state="waiting", lag=4)


class OperatorsAndSettings(Subscribed):
    """Parked records, TLS, and what is wrong in a configuration."""

    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area("operators")
        cls.addClassCleanup(cls.area.remove)
        folder = redis_servers.certificates(cls.area)
        cls.secure = webhooks.Receiver((f"{folder}/localhost.crt", f"{folder}/localhost.key")).start()
        cls.addClassCleanup(cls.secure.stop)
        _, cls.secret_file = webhooks.make_secret(cls.area, "secret")
        common = {"secret_files": {"one": cls.secret_file}}
        config = webhooks.configuration(cls.area, [
            {"name": "trusted", "url": cls.secure.url("/trusted"), "ca_file": f"{folder}/ca.crt", **common},
            {"name": "untrusted", "url": cls.secure.url("/untrusted"), **common},
            {"name": "ops", "url": cls.secure.url("/ops"), "ca_file": f"{folder}/ca.crt",
             "events": ["parked"], **common}])
        cls.store = SmallS3()
        cls.addClassCleanup(cls.store.close)
        cls.redis = harness.Redis(cls.area)
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.daybook = harness.Daybook(
            cls.area, cls.redis,
            {"pipeline.lease": "2s", "pipeline.attempts_max": "2", "pipeline.parked_retry": "1h",
             **cls.store.settings()},
            environment={"DAYBOOK_CONFIG": config, **SECRETS})
        cls.addClassCleanup(cls.daybook.stop)
        cls.daybook.start()

    def test_a_certificate_is_verified(self):
        ids = self.post(3)
        path = self.secure.path("/trusted")
        self.wait_notices(path, 3)
        self.assertEqual(set(path.records()) & set(ids), set(ids))
        status = self.wait_status("untrusted", state="waiting")
        self.assertIn("certificate is not accepted", status["last_error"]["detail"])
        self.assertEqual(self.secure.path("/untrusted").notices, [])

    def test_operators_hear_of_each_parking_once_and_others_never(self):
        self.store.on_put = lambda sha256: 400   # about this record, as the store says
        self.addCleanup(setattr, self.store, "on_put", lambda sha256: None)
        poison = self.post(2)
        ops = self.secure.path("/ops")
        self.wait_notices(ops, 2)
        self.assertEqual(set(ops.records()), set(poison))
        data = ops.notices[0].data()
        self.assertEqual((data["state"], data["parked"]["stage"]), ("parked", "archive"))
        self.assertEqual(ops.notices[0].document()["type"], "daybook.record.parked")
        self.daybook.stop()
        self.daybook.start()
        self.store.on_put = lambda sha256: None
        # Told once, also by the process that follows; an archived record is told to the others.
        client.request(self.daybook.port, "POST", f"/v1/parked/replay?id={poison[0]}")
        harness.wait_until(lambda: poison[0] in self.secure.path("/trusted").records(), "it is final")
        self.wait_status("ops", lag=0)
        self.assertEqual(len(ops.notices), 2)
        self.assertNotIn(poison[1], self.secure.path("/trusted").records())

    def test_what_is_wrong_in_a_row_is_named_with_its_place(self):
        open_secret = self.area.write("open", "whsec_" + "A" * 43 + "=")
        os.chmod(open_secret, 0o644)
        not_one = self.area.write("not-one", "hunter2")
        os.chmod(not_one, 0o600)
        good = {"name": "a", "url": "https://hooks.example.com/x", "secret_files": {"one": self.secret_file}}
        cases = [
            ({"secret_files": {}}, "secret_files: standard-webhooks are signed"),
            ({"secret_files": {"one": not_one}}, "does not begin with whsec_"),
            ({"secret_files": {"one": open_secret}}, "chmod o-rwx"),
            ({"url": "ftp://x"}, "http://"),
            ({"events": ["final", "parked"]}, "a subscriber of its own"),
            ({"events": ["finals"]}, "Did you mean final?"),
            ({"filter": {"tenants": "a"}}, "Did you mean tenant?"),
            ({"format": "cloudevents"}, "cloudevents-structured"),
            ({"headers": {"webhook-id": "x"}}, "is written by Daybook"),
            ({"headers": {"X Y": "x"}}, "no name of a header"),
            ({"origin": "https://me"}, "no DNS name"),
            ({"payload_max": "2MiB"}, "1MiB"),
            ({"parallel": 0}, "between 1 and 64"),
            ({"retries": 3}, "there is no setting subscriber.retries"),
        ]
        for change, words in cases:
            config = webhooks.configuration(self.area, [good, {**good, "name": "b", **change}], "bad.toml")
            run = subprocess.run([harness.binary(), "config", "--check", "--config", config],
                                 capture_output=True, text=True, timeout=harness.PATIENCE_S,
                                 env=harness.clean_environment())
            said = run.stdout + run.stderr
            self.assertNotEqual(run.returncode, 0, (change, said))
            self.assertIn(words, said, change)
            self.assertRegex(said, r"bad\.toml:\d+: ", change)
            self.assertNotIn("hunter2", said)


if __name__ == "__main__":
    harness.main()
