"""Where the keys for the S3 store come from, against a real radosgw: each of the AWS tools' places;
keys that expire under load; a clock that is wrong; and what the store refuses to everybody, which
holds the records instead of parking them. Metadata service, container endpoint and token service are
played by aws_stand_in.py and hand out keys of the real store."""

import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time

import aws_stand_in
import client
import harness
import payloads
from test_s3 import BUCKET, ObjectStore

sys.path.insert(0, os.path.join(harness.SOURCE_DIR, "tests", "torture"))
import preload  # noqa: E402  pylint: disable=wrong-import-position

CLOUD = re.compile("^AWS_")


class CannedStore:
    """Answers every request alike; over TLS where it has a certificate."""

    def __init__(self, status, body, certificate=None):
        self.requests = 0
        canned = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                canned.requests += 1
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body.encode())

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
            self.url = f"https://localhost:{port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Certificates:
    """An authority of the test, and what it signs."""

    def __init__(self, area):
        self.area = area
        self.authority, self.key = area.file("ca.pem"), area.file("ca.key")
        self.openssl("req", "-x509", *self.new_key(self.key), "-days", "2", "-out", self.authority,
                     "-subj", "/CN=Daybook test authority")

    @staticmethod
    def openssl(*words):
        subprocess.run([harness.need_program("openssl"), *words], check=True, capture_output=True,
                       timeout=60)

    @staticmethod
    def new_key(path):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)

    def make(self, name, names="DNS:localhost", days=2):
        key, request, made = (self.area.file(f"{name}.{kind}") for kind in ("key", "csr", "pem"))
        extensions = self.area.write(f"{name}.ext", f"subjectAltName={names}\n")
        self.openssl("req", *self.new_key(key), "-out", request, "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.key,
                     "-days", str(days), "-set_serial", "1", "-extfile", extensions, "-out", made)
        return made, key


class Credentials(harness.DaybookTest):
    """Each case starts its own Daybook; Redis and store are the class's."""

    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area("credentials")
        cls.addClassCleanup(cls.area.remove)
        cls.store = ObjectStore(cls.area)
        cls.addClassCleanup(cls.store.stop)
        cls.store.start()
        assert cls.store.curl("PUT", f"/{BUCKET}").status == 200
        cls.redis = harness.Redis(cls.area)
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.keys = 0

    def setUp(self):
        self.running = []
        self.addCleanup(lambda: [daybook.stop() for daybook in self.running])

    @property
    def port(self):
        return self.running[-1].port

    @classmethod
    def admin(cls, *words):
        return subprocess.run(
            [harness.need_program("radosgw-admin"), "-c", os.path.join(cls.store.folder, "ceph.conf"),
             *words], check=True, capture_output=True, timeout=60, text=True).stdout

    @classmethod
    def new_keys(cls, access_key=None, secret_key=None):
        cls.keys += 1
        pair = access_key or f"key-{cls.keys}", secret_key or f"secret-{cls.keys}-{os.getpid()}"
        cls.admin("key", "create", "--uid=daybook", "--key-type=s3", f"--access-key={pair[0]}",
                  f"--secret-key={pair[1]}")
        return pair

    @classmethod
    def settings_of(cls, **settings):
        return {"archive.kind": "s3", "archive.s3_endpoint": cls.store.endpoint,
                "archive.s3_bucket": BUCKET, "pipeline.archive_timeout": "5s",
                **{name.replace("__", "."): value for name, value in settings.items()}}

    def environment(self, **variables):
        """Nothing of this machine's own AWS set-up, and no metadata service but the stand-in's."""
        clean = {name: "" for name in os.environ if CLOUD.match(name)}
        return {**clean, "HOME": self.area.path, "AWS_EC2_METADATA_DISABLED": "true", **variables}

    def start(self, name, variables=None, settings=None, wait_ready=True):
        daybook = harness.Daybook(self.area, self.redis, self.settings_of(**(settings or {})),
                                  name=f"{name}-{self.id().rsplit('.', 1)[-1][:20]}",
                                  environment=self.environment(**(variables or {})))
        self.running.append(daybook)
        return daybook.start(wait_ready)

    def doctor(self, variables=None, settings=None):
        words = [f"--set={key}={value}" for key, value in {
            **self.settings_of(**(settings or {})), "buffer.url": self.redis.url,
            "node.data_dir": self.area.file("doctor")}.items()]
        began = time.monotonic()
        run = subprocess.run([harness.binary(), "doctor", "--json", *words], capture_output=True,
                             text=True, timeout=harness.PATIENCE_S,
                             env={**harness.clean_environment(), **self.environment(**variables or {})})
        self.assertLess(time.monotonic() - began, 30)
        return {finding["subject"]: finding for finding in json.loads(run.stdout)}, run.stdout

    def metric(self, name):
        """The sum of a metric's series."""
        text = client.request(self.port, "GET", "/metrics").body.decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith((name + " ", name + "{")))

    def post(self, size=20_000):
        self.posted = getattr(self, "posted", 0) + 1
        answer = client.post(self.port, payloads.any_payload(
            harness.seeded(f"{self.id()}{self.posted}"), size, size))
        self.assertEqual(answer.status, 201, answer.describe())
        return answer.json()["id"]

    def stand_in(self, pairs, lifetimes_s=(3600,)):
        stand_in = aws_stand_in.StandIn(pairs, lifetimes_s)
        self.addCleanup(stand_in.close)
        return stand_in

    def credentials_file(self, name, pair, section="default", more=""):
        return self.area.write(name, f"[{section}]\naws_access_key_id = {pair[0]}\n"
                                     f"aws_secret_access_key = {pair[1]}\n{more}")

    def test_keys_from_each_place_archive_a_record(self):
        pair = (self.store.access_key, self.store.secret_key)
        services = self.stand_in([pair])
        services.container_token = "pod-token-7"
        services.web_token = "web.token.value"
        web_token = self.area.write("web-token", services.web_token + "\n")
        places = {
            "environment": {"AWS_ACCESS_KEY_ID": pair[0], "AWS_SECRET_ACCESS_KEY": pair[1]},
            "profile audit": {
                "AWS_PROFILE": "audit",
                "AWS_SHARED_CREDENTIALS_FILE": self.credentials_file("credentials", pair, "audit")},
            "profile default": {"AWS_CONFIG_FILE": self.credentials_file(
                "config", pair, more="region = us-east-1\n")},
            "web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": web_token,
                             "AWS_ROLE_ARN": aws_stand_in.ROLE,
                             "AWS_ENDPOINT_URL_STS": services.url},
            "container": {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": services.url + "/container/credentials?id=7",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": self.area.write(
                    "pod-token", services.container_token)},
            "instance metadata": {"AWS_EC2_METADATA_DISABLED": "false",
                                  "AWS_EC2_METADATA_SERVICE_ENDPOINT": services.url},
        }
        for number, (place, variables) in enumerate(places.items()):
            with self.subTest(place):
                findings, text = self.doctor(variables)
                self.assertEqual(findings["s3 credentials"]["verdict"], "ok", text)
                self.assertIn(f"from {place}", findings["s3 credentials"]["detail"])
                self.assertEqual(findings["archive (s3)"]["verdict"], "ok", text)
                daybook = self.start(f"place{number}", variables)
                self.wait_state(self.post())
                daybook.stop()
                log = daybook.process.log().decode()
                self.assertIn(f"credentials from {place}", log)
                for secret in (pair[1], services.web_token, services.container_token,
                               "a-session-token"):
                    self.assertNotIn(secret, log + text)

    def test_no_keys_are_named_place_by_place_and_nothing_is_lost(self):
        findings, text = self.doctor()
        self.assertEqual(findings["archive (s3)"]["verdict"], "fail", text)
        for words in ("AWS_ACCESS_KEY_ID is not set", "AWS_WEB_IDENTITY_TOKEN_FILE is not set",
                      "has no such profile", "AWS_EC2_METADATA_DISABLED"):
            self.assertIn(words, findings["archive (s3)"]["detail"])
        path = self.area.file("later")
        daybook = self.start("none", {"AWS_SHARED_CREDENTIALS_FILE": path})
        self.assertIn("no AWS credentials", daybook.wait_check("object_store", ok=False)["detail"])
        record = self.post()
        time.sleep(2)
        self.assertEqual(self.metric("daybook_stage_parked_total"), 0)
        self.credentials_file("later", (self.store.access_key, self.store.secret_key))
        self.wait_state(record)

    def test_keys_that_expire_under_load_fail_no_put(self):
        pairs = [self.new_keys() for _ in range(3)]
        services = self.stand_in(pairs, lifetimes_s=[5, 5, 3600])
        stopping = threading.Event()

        def retire():
            """A pair that has expired is deleted, as AWS would refuse it."""
            for number in range(2):
                while len(services.times) <= number or (
                        time.monotonic() < services.times[number] + 5):
                    if stopping.wait(0.05):
                        return
                self.admin("key", "rm", "--uid=daybook", "--key-type=s3",
                           f"--access-key={pairs[number][0]}")

        thread = threading.Thread(target=retire)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stopping.set)
        self.start("expiring", {"AWS_EC2_METADATA_DISABLED": "false",
                                "AWS_EC2_METADATA_SERVICE_ENDPOINT": services.url})
        records = []
        deadline = time.monotonic() + harness.PATIENCE_S
        while thread.is_alive():
            self.assertLess(time.monotonic(), deadline, services.handed_out)
            records.append(self.post(50_000))
            time.sleep(0.03)
        records.append(self.post())
        for record in records:
            self.wait_state(record)
        self.assertEqual(services.handed_out, 3)
        self.assertEqual(self.metric("daybook_stage_failed_total"), 0, self.running[-1].tail())
        self.assertGreater(len(records), 30)

    def test_a_rotated_credentials_file_is_taken_up(self):
        first, second = self.new_keys(), self.new_keys()
        path = self.credentials_file("rotated", first)
        self.start("rotated", {"AWS_SHARED_CREDENTIALS_FILE": path})
        self.wait_state(self.post())
        self.credentials_file("rotated", second)
        self.admin("key", "rm", "--uid=daybook", "--key-type=s3", f"--access-key={first[0]}")
        self.wait_state(self.post())
        self.assertEqual(self.metric("daybook_stage_parked_total"), 0)

    def test_a_clock_that_is_wrong_is_corrected_and_named(self):
        if reason := preload.unusable():
            self.skipTest(reason)
        clock = self.area.write("clock", "+0\n")
        pair = (self.store.access_key, self.store.secret_key)
        variables = {"AWS_ACCESS_KEY_ID": pair[0], "AWS_SECRET_ACCESS_KEY": pair[1],
                     "LD_PRELOAD": preload.build(self.area), "TORTURE_CLOCK": clock}
        daybook = self.start("skewed", variables)
        self.wait_state(self.post())
        for seconds in (7200, -7200):
            self.area.write("clock", f"{seconds:+d}\n")
            for _ in range(5):
                self.wait_state(self.post())
            harness.wait_until(
                lambda: abs(self.metric("daybook_aws_clock_offset_seconds") + seconds) < 60,
                "the offset is shown")
        self.assertEqual(self.metric("daybook_stage_failed_total"), 0, daybook.tail())
        self.assertEqual(daybook.process.log().count(b"the store's clock is"), 2)
        findings, text = self.doctor(variables)
        self.assertIn("7200 s ahead of", findings["s3 clock"]["detail"].replace("7199", "7200"), text)
        self.assertIn("timedatectl", findings["s3 clock"]["mend"])

    def test_what_the_store_refuses_to_all_holds_the_records_until_it_is_mended(self):
        pair = (self.store.access_key, self.store.secret_key)
        cases = {
            "key": ({"AWS_ACCESS_KEY_ID": "unknown-key", "AWS_SECRET_ACCESS_KEY": "later-secret"}, {},
                    "InvalidAccessKeyId",
                    lambda: self.new_keys("unknown-key", "later-secret")),
            "bucket": ({"AWS_ACCESS_KEY_ID": pair[0], "AWS_SECRET_ACCESS_KEY": pair[1]},
                       {"archive__s3_bucket": "made-later"}, "NoSuchBucket",
                       lambda: self.store.curl("PUT", "/made-later")),
        }
        for name, (variables, settings, code, mend) in cases.items():
            with self.subTest(name):
                daybook = self.start(f"refused-{name}", variables, settings)
                began = time.monotonic()
                records = [self.post() for _ in range(20)]
                self.assertIn(code, daybook.wait_check("object_store", ok=False)["detail"])
                harness.wait_until(lambda: self.metric("daybook_stage_refused") == 1, "it is told")
                time.sleep(2)
                tries = self.metric("daybook_stage_failed_total")
                # Those that were under way together, then one a second.
                self.assertLessEqual(tries, 8 + 1 + time.monotonic() - began)
                self.assertEqual(self.metric("daybook_stage_parked_total"), 0)
                mend()
                for record in records:
                    self.wait_state(record)
                self.assertEqual(self.metric("daybook_stage_refused"), 0)
                self.assertEqual(self.metric("daybook_stage_parked_total"), 0)
                daybook.stop()

    def test_doctor_names_each_mistake_with_its_mend(self):
        good = {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": self.store.access_key,
                "DAYBOOK_ARCHIVE_S3_SECRET_KEY": self.store.secret_key}
        cases = (
            ("wrong key", {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": "nobody"}, {}, "InvalidAccessKeyId",
             "access key is unknown"),
            ("wrong secret", {"DAYBOOK_ARCHIVE_S3_SECRET_KEY": "SECRETWORD"}, {},
             "SignatureDoesNotMatch", "secret key does not belong"),
            ("missing bucket", {}, {"archive__s3_bucket": "no-such-bucket"}, "NoSuchBucket",
             "Create the bucket"),
            ("nobody there", {}, {"archive__s3_endpoint": "http://127.0.0.1:1"}, "cannot connect",
             "the store runs"),
        )
        for name, variables, settings, detail, mend in cases:
            self.expect_named(name, {**good, **variables}, settings, detail, mend)

    def expect_named(self, name, variables, settings, detail, mend):
        with self.subTest(name):
            findings, text = self.doctor(variables, settings)
            self.assertEqual(findings["archive (s3)"]["verdict"], "fail", text)
            self.assertIn(detail, findings["archive (s3)"]["detail"])
            self.assertIn(mend, findings["archive (s3)"]["mend"])
            self.assertNotIn("SECRETWORD", text)

    def test_doctor_names_what_only_other_stores_say(self):
        """radosgw takes any region and knows no session tokens; these are AWS's answers."""
        keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "SECRETWORD"}
        for status, code, more, mend in (
                (400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>",
                 "archive.s3_region to the region that the store names"),
                (301, "PermanentRedirect", "<Region>eu-central-1</Region>", "archive.s3_region"),
                (400, "ExpiredToken", "", "session token has expired"),
                (403, "InvalidToken", "", "set all three anew"),
                (403, "AccessDenied", "", "policy allow")):
            store = CannedStore(status, f"<Error><Code>{code}</Code>{more}</Error>")
            self.addCleanup(store.close)
            self.expect_named(code, keys, {"archive__s3_endpoint": store.url}, code, mend)
            # HEAD, GET, and one more of each with keys that were asked for anew: no hot loop.
            self.assertLessEqual(store.requests, 4)

    def test_doctor_names_what_is_wrong_with_a_certificate(self):
        keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
        certificates = Certificates(self.area)
        right = {"archive__s3_ca_file": certificates.authority}
        for name, files, settings, detail, mend in (
                ("another name", certificates.make("other", "DNS:other.example"), right,
                 "is not for the name localhost", "certificate with this name"),
                ("unknown authority", certificates.make("unknown"), {}, "authority is not in",
                 "archive.s3_ca_file"),
                ("expired", certificates.make("expired", days=-1), right, "has expired",
                 "Renew the store's certificate"),
                # The handshake is done: what is wrong then is the store's answer.
                ("none", certificates.make("good"), right, "AccessDenied", "policy allow")):
            store = CannedStore(403, "<Error><Code>AccessDenied</Code></Error>", files)
            self.addCleanup(store.close)
            self.expect_named(name, keys, {**settings, "archive__s3_endpoint": store.url}, detail,
                              mend)


if __name__ == "__main__":
    harness.main()
