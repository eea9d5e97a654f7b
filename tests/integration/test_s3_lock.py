"""An archive in a bucket with Object Lock on a real radosgw: every object is locked, held and written
once; a bucket that cannot lock is refused. What is there is read back by boto3. Skipped where radosgw
or boto3 is not installed."""

import datetime
import json
import subprocess
import unittest

import checker
import client
import harness
import payloads
from test_s3 import ObjectStore

LOCKED, PLAIN = "audit-locked", "audit-plain"


def boto3_client(store):
    """Debian's boto3 answers as it is; newer ones send checksums that radosgw 16 cannot take."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise unittest.SkipTest("boto3 is not installed") from None
    return boto3.client(
        "s3", endpoint_url=store.endpoint, region_name="us-east-1", verify=False,
        aws_access_key_id=store.access_key, aws_secret_access_key=store.secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}))


class LockedArchive(harness.DaybookTest):

    @classmethod
    def setUpClass(cls):
        cls.store_area = harness.Area("store")
        cls.addClassCleanup(cls.store_area.remove)
        cls.store = ObjectStore(cls.store_area)
        cls.addClassCleanup(cls.store.stop)
        cls.store.start()
        cls.s3 = boto3_client(cls.store)
        cls.s3.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
        cls.s3.create_bucket(Bucket=PLAIN)
        super().setUpClass()

    @classmethod
    def class_settings(cls):
        return {"archive.kind": "s3", "archive.s3_endpoint": cls.store.endpoint,
                "archive.s3_bucket": LOCKED, "archive.prefix": "records",
                "archive.lock_mode": "governance", "archive.lock_days": "3",
                "archive.lock_days_by_tenant": "lab=0", "archive.s3_tags": "project=daybook test",
                "archive.s3_tag_tenant": "true", "archive.s3_metadata": "origin=test"}

    @classmethod
    def secrets(cls):
        return {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": cls.store.access_key,
                "DAYBOOK_ARCHIVE_S3_SECRET_KEY": cls.store.secret_key}

    def post(self, name, size=20_000):
        payload = payloads.any_payload(harness.seeded(name), size, size)
        return self.wait_state(client.post(self.port, payload).json()["id"])

    def command(self, *words):
        return subprocess.run([harness.binary(), *words], capture_output=True, text=True,
                              timeout=harness.PATIENCE_S, env=self.daybook.environment())

    def other(self, name, settings):
        """A second Daybook on a Redis of its own, not started."""
        area = harness.Area(name)
        self.addCleanup(area.remove)
        redis = harness.Redis(area)
        self.addCleanup(redis.stop)
        redis.start()
        daybook = harness.Daybook(area, redis, {**self.class_settings(), **settings},
                                  environment=self.secrets())
        self.addCleanup(daybook.kill)
        return daybook

    def test_every_object_is_locked_tagged_and_cannot_be_deleted(self):
        from botocore.exceptions import ClientError
        row = self.post("locked")
        where = {"Bucket": LOCKED, "Key": row["object"]["key"]}
        retention = self.s3.get_object_retention(**where)["Retention"]
        self.assertEqual(retention["Mode"], "GOVERNANCE")
        received = datetime.datetime.fromisoformat(row["received_at"].replace("Z", "+00:00"))
        late = retention["RetainUntilDate"] - received - datetime.timedelta(days=3)
        self.assertTrue(datetime.timedelta(0) <= late <= datetime.timedelta(seconds=1), late)
        tags = {tag["Key"]: tag["Value"] for tag in self.s3.get_object_tagging(**where)["TagSet"]}
        self.assertEqual(tags, {"project": "daybook test", "tenant": "default"})
        self.assertEqual(self.s3.head_object(**where)["Metadata"]["origin"], "test")
        with self.assertRaises(ClientError) as refused:
            self.s3.delete_object(**where, VersionId=row["object"]["version"])
        self.assertEqual(refused.exception.response["Error"]["Code"], "AccessDenied")

    def test_a_crash_repeats_no_object(self):
        receipts = []
        for number in range(30):
            payload = payloads.any_payload(harness.seeded(f"crash{number}"), 1, 200_000)
            receipts.append(client.post(self.port, payload).json())
            if number in (9, 19):
                self.daybook.kill()
                self.daybook.start()
        rows = [self.wait_state(receipt["id"]) for receipt in receipts]
        checker.wait_drained(self.redis)
        for row in rows:
            listed = self.s3.list_object_versions(Bucket=LOCKED, Prefix=row["object"]["key"])
            self.assertEqual(len(listed["Versions"]), 1, row["object"])
            self.assertEqual(listed["Versions"][0]["VersionId"], row["object"]["version"])

    def test_a_legal_hold_is_set_shown_and_released_by_command(self):
        row = self.post("held")
        where = {"Bucket": LOCKED, "Key": row["object"]["key"]}
        url = ["--url", self.daybook.url]
        for words, status in ((["set", row["id"], "--reason", "case 4711"], "ON"),
                              (["set", row["id"]], "ON"),
                              (["release", row["id"], "--reason", "settled"], "OFF")):
            run = self.command("hold", *words, *url)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            self.assertEqual(self.s3.get_object_legal_hold(**where)["LegalHold"]["Status"], status)
            shown = json.loads(self.command("hold", "show", row["id"], "--json", *url).stdout)
            self.assertEqual(shown["legal_hold"], status == "ON")
            self.assertEqual(shown["retention"]["mode"], "governance")
        self.assertIn(b"case 4711", self.daybook.process.log())
        self.assertEqual(self.command("hold", "release", row["id"], *url).returncode, 2)
        unknown = self.command("hold", "set", "0190f3a0-0000-7000-8000-000000000000", *url)
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("404", unknown.stderr)
        for target in ("", "?status=maybe", "?status=off"):
            answer = client.request(self.port, "POST", f"/v1/records/{row['id']}/hold{target}")
            self.assert_problem(answer, 400)

    def test_a_hold_in_a_segment_holds_all_of_it_and_says_so(self):
        daybook = self.other("segments", {
            "archive.layout": "segment", "archive.segment_age": "500ms",
            "archive.prefix": "segments"}).start()
        ids = [client.post(daybook.port, b'{"n": %d}' % n, {"Content-Type": "application/json"})
               .json()["id"] for n in range(5)]
        rows = [self.wait_state(record_id, port=daybook.port) for record_id in ids]
        row = max(rows, key=lambda each: each["object"]["offset"])
        where = {"Bucket": LOCKED, "Key": row["object"]["key"]}
        self.assertEqual(self.s3.get_object_retention(**where)["Retention"]["Mode"], "GOVERNANCE")
        first = row["object"]["offset"]
        stored = self.s3.get_object(
            **where, Range=f"bytes={first}-{first + row['object']['length'] - 1}")["Body"].read()
        self.assertEqual(payloads.sha256(stored), row["stored_sha256"])
        url = ["--url", daybook.url]
        shown = self.command("hold", "set", row["id"], *url)
        self.assertIn("on its whole segment", shown.stdout)
        refused = self.command("hold", "release", row["id"], "--reason", "settled", *url)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("--segment", refused.stderr)
        self.assertEqual(self.s3.get_object_legal_hold(**where)["LegalHold"]["Status"], "ON")
        done = self.command("hold", "release", row["id"], "--segment", "--reason", "settled", *url)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.s3.get_object_legal_hold(**where)["LegalHold"]["Status"], "OFF")
        daybook.stop()

    def test_status_and_doctor_say_what_the_store_honours(self):
        self.post("status")
        honours = client.request(self.port, "GET", "/v1/status").json()["stores"]["archive_honours"]
        self.assertEqual(honours["object_lock"]["finding"], "yes")
        self.assertIn("governance", honours["object_lock"]["detail"])
        self.assertEqual(honours["conditional_put"]["finding"], "no")  # among versions, radosgw 16
        settings = [f"--set={key}={value}" for key, value in {
            **self.class_settings(), "node.data_dir": self.daybook.data_dir,
            "buffer.url": self.redis.url}.items()]
        run = self.command("doctor", "--json", *settings)
        found = {finding["subject"]: finding for finding in json.loads(run.stdout)}
        self.assertEqual(found["archive (s3)"]["verdict"], "ok", run.stdout)
        self.assertIn("governance", found["s3 object lock"]["detail"])

    def probes(self):
        listed = self.s3.list_object_versions(Bucket=LOCKED, Prefix="records/daybook-probe")
        return sorted((one["Key"], one["VersionId"]) for one in listed["Versions"])

    def test_a_start_adds_no_probe_object(self):
        self.post("probes")
        before = self.probes()  # a process that was killed while it asked may have left some
        self.assertEqual([key for key, _ in before].count("records/daybook-probe"), 1)
        for number in range(2):
            self.daybook.stop()
            self.daybook.start()
            self.post(f"probes{number}")
        self.assertEqual(self.probes(), before)

    def test_a_bucket_that_cannot_lock_is_refused(self):
        refused = self.other("refused", {"archive.s3_bucket": PLAIN})
        refused.start(wait_ready=False)
        self.assertNotEqual(refused.process.wait(), 0)
        self.assertIn(b"--object-lock-enabled-for-bucket", refused.process.log())
        allowed = self.other("allowed", {"archive.s3_bucket": PLAIN,
                                         "archive.lock_required": "false"})
        allowed.start()
        receipt = client.post(allowed.port, b"not locked").json()
        row = self.wait_state(receipt["id"], port=allowed.port)
        honours = client.request(allowed.port, "GET", "/v1/status").json()["stores"]["archive_honours"]
        self.assertFalse(honours["object_lock"]["good"])
        self.assertNotIn("ObjectLockMode", self.s3.head_object(
            Bucket=PLAIN, Key=row["object"]["key"]))

    def test_a_store_that_was_away_at_start_is_judged_when_it_is_back(self):
        late = self.other("late", {"archive.s3_bucket": PLAIN, "archive.prefix": "late"})
        bring_back = self.store.kill_front()
        try:
            late.start(wait_ready=False)
            harness.wait_until(lambda: late.readiness()[0] != 0, "it serves all the same")
            self.assertFalse(late.wait_check("object_store", ok=False)["required"])
        finally:
            bring_back()
        harness.wait_until(
            lambda: late.wait_check("object_store", ok=False)["required"], "the verdict is there")
        self.assertEqual(late.readiness()[0], 503)
        receipt = client.post(late.port, b"waits").json()
        self.assertEqual(receipt["state"], "buffered")
        self.assertEqual(self.s3.list_objects_v2(Bucket=PLAIN, Prefix="late/default")
                         ["KeyCount"], 0)


if __name__ == "__main__":
    harness.main()
