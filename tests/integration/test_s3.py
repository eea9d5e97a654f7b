"""The s3 object store against a real radosgw: posted, archived, read back by Daybook and by another
client; the store away and back; wrong credentials. Skipped where radosgw is not installed."""

import hashlib
import json
import os
import signal
import subprocess
import unittest

import checker
import client
import harness
import payloads

BUCKET = "daybook-test"


class ObjectStore:
    """radosgw as ops/servers/radosgw starts it."""

    def __init__(self, area):
        self.script = os.path.join(harness.SOURCE_DIR, "ops", "servers", "radosgw")
        if not os.path.exists(self.script):
            raise unittest.SkipTest("ops/servers/radosgw is not there")
        harness.need_program("radosgw")
        self.folder = area.file("radosgw")
        self.values = {}

    def run(self, *words):
        run = subprocess.run([self.script, *words], capture_output=True, text=True, timeout=180)
        if run.returncode == harness.SKIP_EXIT_STATUS:
            raise unittest.SkipTest(run.stdout + run.stderr)
        if run.returncode != 0:
            raise AssertionError(f"{words}: {run.stdout}{run.stderr}")
        return run.stdout

    def start(self):
        for line in self.run("start", "--data", self.folder).splitlines():
            if "=" in line:
                name, value = line.split("=", 1)
                self.values[name.strip()] = value.strip()
        self.endpoint = self.values["ENDPOINT"]
        self.access_key, self.secret_key = self.values["ACCESS_KEY"], self.values["SECRET_KEY"]
        return self

    def stop(self):
        self.run("stop", "--data", self.folder)

    def kill_front(self):
        """The S3 service dies; its data stays. Returns what brings it back."""
        pid_file = os.path.join(self.folder, "radosgw.pid")
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            command = file.read().rstrip("\0").split("\0")
        os.kill(pid, signal.SIGKILL)

        def back():
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return back

    def curl(self, method, path, body=b""):
        """A signed request by curl."""
        head = ["-X", method] if method != "GET" else []
        return client.curl(
            *head, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
            f"{self.access_key}:{self.secret_key}", "-H",
            "x-amz-content-sha256: " + hashlib.sha256(body).hexdigest(), f"{self.endpoint}{path}")


class S3(harness.DaybookTest):

    @classmethod
    def setUpClass(cls):
        cls.store_area = harness.Area("store")
        cls.addClassCleanup(cls.store_area.remove)
        cls.store = ObjectStore(cls.store_area)
        cls.addClassCleanup(cls.store.stop)
        cls.store.start()
        created = cls.store.curl("PUT", f"/{BUCKET}")
        assert created.status == 200, created.describe()
        super().setUpClass()

    @classmethod
    def class_settings(cls):
        return {"archive.kind": "s3", "archive.s3_endpoint": cls.store.endpoint,
                "archive.s3_bucket": BUCKET, "archive.prefix": "records",
                "pipeline.archive_timeout": "5s"}

    @classmethod
    def secrets(cls, **changed):
        return {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": cls.store.access_key,
                "DAYBOOK_ARCHIVE_S3_SECRET_KEY": cls.store.secret_key, **changed}

    def stored(self, row):
        """The object as another client gets it, and its payload by `zstd -dc`."""
        answer = self.store.curl("GET", f"/{BUCKET}/{row['object']['key']}")
        self.assertEqual(answer.status, 200, answer.describe())
        self.assertEqual(len(answer.body), row["stored_size"])
        self.assertEqual(hashlib.sha256(answer.body).hexdigest(), row["stored_sha256"])
        opened = subprocess.run([harness.need_program("zstd"), "-dcq"], input=answer.body,
                                capture_output=True, check=True)
        return opened.stdout

    def test_a_record_is_archived_and_other_clients_read_it(self):
        for size in (1, 100_000, 4_000_000, 8 << 20):
            payload = payloads.any_payload(harness.seeded(f"s3/{size}"), size, size)
            receipt = client.post(self.port, payload).json()
            row = self.wait_state(receipt["id"])
            self.assertTrue(row["object"]["location"].startswith("s3://"), row["object"])
            self.assertTrue(row["object"]["key"].startswith("records/default/"), row["object"])
            self.assertTrue(self.stored(row) == payload)
            back = client.request(self.port, "GET", f"/v1/records/{receipt['id']}/payload")
            self.assertTrue(back.body == payload)
            middle = client.request(self.port, "GET", f"/v1/records/{receipt['id']}/payload",
                                    headers={"Range": f"bytes={size // 3}-{size // 2}"})
            self.assertEqual(middle.status, 206)
            self.assertTrue(middle.body == payload[size // 3:size // 2 + 1])

    def test_the_feed_gives_a_link_that_opens_the_object_without_keys(self):
        payload = payloads.any_payload(harness.seeded("link"), 3_000_000, 3_000_000)
        receipt = client.post(self.port, payload, {"ce-type": "link"}).json()
        self.wait_state(receipt["id"])
        page = client.request(self.port, "GET", "/v1/feed?type=link&payload=link").json()
        link = page["entries"][0]["payload"]["link"]
        self.assertEqual(link["content_encoding"], "zstd")
        self.assertNotIn(self.store.secret_key, json.dumps(page))
        opened = subprocess.run(f"curl -sSf '{link['url']}' | zstd -dcq", shell=True,
                                capture_output=True, check=True)
        self.assertTrue(opened.stdout == payload)
        refused = client.curl(link["url"].replace("X-Amz-Expires=900", "X-Amz-Expires=9000"))
        self.assertEqual(refused.status, 403, refused.describe())

    def test_a_link_to_one_of_several_records_in_an_object_opens_no_other(self):
        area = harness.Area("links")
        self.addCleanup(area.remove)
        redis = harness.Redis(area)
        self.addCleanup(redis.stop)
        redis.start()
        daybook = harness.Daybook(area, redis, {
            **self.class_settings(), "archive.prefix": "links",  # fsck of the other sees its own
            "archive.layout": "segment", "archive.segment_age": "200ms"},
            environment=self.secrets())
        self.addCleanup(daybook.stop)
        daybook.start()
        sent = {client.post(daybook.port, b"line %d\n" % number).json()["id"]: b"line %d\n" % number
                for number in range(6)}
        checker.wait_drained(redis)
        entries = client.request(daybook.port, "GET", "/v1/feed?payload=link").json()["entries"]
        self.assertLess(len({entry["record"]["object"]["key"] for entry in entries}), 6)
        for entry in entries:
            link = entry["payload"]["link"]
            given = link.get("headers", {}).get("Range")
            if given is None:  # it came alone
                continue
            self.assertEqual(client.curl(link["url"]).status, 403)
            first = int(given.split("=")[1].split("-")[0])
            self.assertEqual(client.curl(link["url"], "-H", f"Range: bytes=0-{first}").status, 403)
            answer = client.curl(link["url"], "-H", f"Range: {given}")
            self.assertEqual(answer.status, 206, answer.describe())
            opened = subprocess.run(["zstd", "-dcq"], input=answer.body, capture_output=True, check=True)
            self.assertEqual(opened.stdout, sent[entry["record"]["id"]])

    def offline(self, name, *words):
        settings = [f"--set={key}={value}" for key, value in {
            **self.class_settings(), "node.data_dir": self.daybook.data_dir,
            "buffer.url": self.redis.url}.items()]
        return subprocess.run([harness.binary(), name, "--json", *words, *settings],
                              capture_output=True, text=True, timeout=harness.PATIENCE_S,
                              env=self.daybook.environment())

    def test_fsck_and_rebuild_index_see_what_is_in_the_bucket(self):
        receipts = [client.post(self.port, payloads.any_payload(
            harness.seeded(f"fsck{number}"), 1, 1 << 20)).json() for number in range(4)]
        rows = [self.wait_state(receipt["id"]) for receipt in receipts]
        checker.wait_drained(self.redis)
        run = self.offline("fsck", "--deep")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(json.loads(run.stdout)["looked_at"]["objects"],
                         len(checker.rows(self.daybook.sqlite_file)))
        fresh = self.area.file("fresh.sqlite")
        run = self.offline("rebuild-index", "--set", f"metadata.sqlite_file={fresh}")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        old = {row["id"]: row for row in checker.rows(self.daybook.sqlite_file)}
        for row in checker.rows(fresh):
            for column in ("sha256", "stored_sha256", "object_key", "object_location", "frames"):
                self.assertEqual(row[column], old[row["id"]][column], column)
        self.assertEqual(len(checker.rows(fresh)), len(old))
        key = rows[1]["object"]["key"]
        kept = self.store.curl("GET", f"/{BUCKET}/{key}").body
        self.store.curl("DELETE", f"/{BUCKET}/{key}")
        run = self.offline("fsck")
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        findings = json.loads(run.stdout)["findings"]
        self.assertEqual([(found["kind"], found["subject"]) for found in findings],
                         [("row_without_object", receipts[1]["id"])])
        self.assertGreater(len(kept), 0)

    def test_boto3_reads_the_same_object(self):
        try:
            import boto3
        except ImportError:
            self.skipTest("boto3 is not installed")
        payload = payloads.audit_lines(harness.seeded("boto3"), 1_000_000)
        row = self.wait_state(client.post(self.port, payload, {
            "Content-Type": "application/x-ndjson", "ce-source": "/s3"}).json()["id"])
        os.environ.pop("AWS_CA_BUNDLE", None)
        s3 = boto3.client("s3", endpoint_url=self.store.endpoint, region_name="us-east-1",
                          aws_access_key_id=self.store.access_key,
                          aws_secret_access_key=self.store.secret_key)
        answer = s3.get_object(Bucket=BUCKET, Key=row["object"]["key"])
        body = answer["Body"].read()
        self.assertEqual(hashlib.sha256(body).hexdigest(), row["stored_sha256"])
        self.assertIn(row["sha256"], answer["Metadata"].values())

    def test_the_store_away_and_back_loses_nothing(self):
        bring_back = self.store.kill_front()
        receipts = []
        try:
            for number in range(6):
                answer = client.post(self.port, payloads.any_payload(
                    harness.seeded(f"away{number}"), 1, 1 << 20))
                self.assertEqual(answer.status, 201, answer.describe())
                receipts.append(answer.json())
            check = self.daybook.wait_check("object_store", ok=False)
            self.assertTrue(check["detail"])
        finally:
            bring_back()
        for receipt in receipts:
            row = self.wait_state(receipt["id"], timeout_s=90)
            self.assertEqual(hashlib.sha256(self.stored(row)).hexdigest(), receipt["sha256"])
        checker.wait_drained(self.redis)

    def test_wrong_credentials_and_buckets_are_named(self):
        for name, settings, secrets in (
                ("secret", {}, self.secrets(DAYBOOK_ARCHIVE_S3_SECRET_KEY="wrong")),
                ("key", {}, self.secrets(DAYBOOK_ARCHIVE_S3_ACCESS_KEY="nobody")),
                ("bucket", {"archive.s3_bucket": "no-such-bucket"}, self.secrets())):
            area = harness.Area(name)
            self.addCleanup(area.remove)
            redis = harness.Redis(area)
            self.addCleanup(redis.stop)
            redis.start()
            wrong = harness.Daybook(area, redis, {**self.class_settings(), **settings},
                                    environment=secrets)
            self.addCleanup(wrong.stop)
            wrong.start(wait_ready=False)
            check = wrong.wait_check("object_store", ok=False)
            self.assertRegex(check["detail"].lower(), "bucket" if name == "bucket" else
                             "denied|credential|key|signature|403")
            # It waits in the buffer for the mend: test_s3_credentials.py.
            receipt = client.post(wrong.port, b"kept").json()
            self.wait_state(receipt["id"], "buffered", port=wrong.port)


if __name__ == "__main__":
    harness.main()
