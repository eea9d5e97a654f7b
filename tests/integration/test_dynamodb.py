"""DynamoDB as metadata store, on dynalite: records are indexed while the service throttles, stumbles, is
killed and comes back; other clients read the rows; what is set up wrongly is named and mended."""

import json
import os
import subprocess
import threading
import time
import unittest

import checker
import client
import dynamodb
import harness
import payloads

TABLE = "daybook-test"


class DynamodbTest(harness.DaybookTest):
    share = 0.0
    make_table = True

    @classmethod
    def setUpClass(cls):
        cls.store_area = harness.Area("dynamodb")
        cls.addClassCleanup(cls.store_area.remove)
        cls.dynalite = dynamodb.Dynalite(cls.store_area)
        cls.addClassCleanup(cls.dynalite.stop)
        cls.dynalite.start()
        cls.proxy = dynamodb.Proxy(cls.dynalite.port, harness.seed())
        cls.addClassCleanup(cls.proxy.close)
        if cls.make_table:
            made = cls.command("metadata", "migrate")
            assert made.returncode == 0, made.stdout + made.stderr
        cls.proxy.share = cls.share
        super().setUpClass()

    @classmethod
    def class_settings(cls):
        return {"metadata.kind": "dynamodb", "metadata.dynamodb_endpoint": cls.proxy.endpoint,
                "metadata.dynamodb_region": dynamodb.REGION, "metadata.dynamodb_table": TABLE,
                "pipeline.index_timeout": "10s", **cls.settings}

    @classmethod
    def secrets(cls, **changed):
        return {"DAYBOOK_METADATA_DYNAMODB_ACCESS_KEY": dynamodb.ACCESS_KEY,
                "DAYBOOK_METADATA_DYNAMODB_SECRET_KEY": dynamodb.SECRET_KEY, **changed}

    @classmethod
    def command(cls, *words, settings=None, secrets=None):
        values = {"node.data_dir": cls.store_area.file("offline"), **cls.class_settings(),
                  **(settings or {})}
        return subprocess.run(
            [harness.binary(), *words, *(f"--set={key}={value}" for key, value in values.items())],
            capture_output=True, text=True, timeout=harness.PATIENCE_S,
            env={**harness.clean_environment(), **(secrets or cls.secrets())})

    def doctor(self, **changes):
        run = self.command("doctor", "--json", **changes)
        return next(found for found in json.loads(run.stdout)
                    if found["subject"] == "metadata (dynamodb)")

    def post_some(self, number, name):
        receipts = []
        for at in range(number):
            answer = client.post(self.port, payloads.any_payload(
                harness.seeded(f"{name}{at}"), 1, 200_000), {
                    "Content-Type": "application/octet-stream", "ce-id": f"{name}{at}",
                    "ce-source": f"/source/{at % 2}", "ce-type": "test"})
            self.assertEqual(answer.status, 201, answer.describe())
            receipts.append(answer.json())
        return receipts

    def assert_indexed(self, receipts):
        """Each acknowledged record has its row, read by another client, and no other is there."""
        items = {item["id"]["S"]: item for item in self.dynalite.items(TABLE)}
        for receipt in receipts:
            item = items[receipt["id"]]
            self.assertEqual(item["sha256"]["S"], receipt["sha256"])
            self.assertEqual(int(item["size"]["N"]), receipt["size"])
            self.assertEqual(item["bucket"]["S"], "{}-{}".format(
                receipt["id"][:5], int(receipt["id"][-1], 16) % 8))
        return items


class Indexing(DynamodbTest):
    # Of 10 requests 3 are refused, at random.
    share = 0.3

    def test_throttled_requests_are_repeated_until_all_rows_are_there(self):
        receipts = self.post_some(40, "throttled")
        for receipt in receipts:
            self.wait_state(receipt["id"])
        checker.wait_drained(self.redis)
        self.assert_indexed(receipts)
        self.assertGreater(self.proxy.counts["refused"], 10, self.proxy.counts)
        print("    requests:", dict(self.proxy.counts))

        listed, cursor = [], ""
        while True:
            page = client.request(self.port, "GET", "/v1/records?tenant=default&limit=7" +
                                  (f"&cursor={cursor}" if cursor else "")).json()
            listed += [row["id"] for row in page["records"]]
            cursor = page.get("next_cursor") or page.get("cursor")
            if not cursor:
                break
        ours = {receipt["id"] for receipt in receipts}
        self.assertEqual(listed, sorted(listed, reverse=True))
        self.assertEqual([found for found in listed if found in ours], sorted(ours, reverse=True))
        source = client.request(self.port, "GET", "/v1/records?source=/source/1&type=test").json()
        self.assertEqual(len([row for row in source["records"] if row["id"] in ours]), 20)

    def test_boto3_reads_the_rows_and_the_index(self):
        try:
            import boto3
        except ImportError:
            self.skipTest("boto3 is not installed")
        os.environ.pop("AWS_CA_BUNDLE", None)
        receipts = self.post_some(5, "boto3")
        for receipt in receipts:
            self.wait_state(receipt["id"])
        table = boto3.resource(
            "dynamodb", endpoint_url=f"http://127.0.0.1:{self.dynalite.port}",
            region_name=dynamodb.REGION, aws_access_key_id="a",
            aws_secret_access_key="b").Table(TABLE)
        for receipt in receipts:
            bucket = "{}-{}".format(receipt["id"][:5], int(receipt["id"][-1], 16) % 8)
            item = table.get_item(Key={"bucket": bucket, "id": receipt["id"]})["Item"]
            self.assertEqual(item["sha256"], receipt["sha256"])
            self.assertEqual(item["state"], "indexed")
            found = table.query(
                IndexName="by_tenant", ExpressionAttributeValues={":b": f"default#{bucket}"},
                KeyConditionExpression="tenant_bucket = :b")["Items"]
            self.assertIn(receipt["id"], [row["id"] for row in found])

    def test_the_service_killed_under_load_loses_nothing(self):
        receipts, failures = [], []

        def load():
            try:
                receipts.extend(self.post_some(60, "killed"))
            except Exception as error:
                failures.append(error)
        loader = threading.Thread(target=load)
        loader.start()
        harness.wait_until(lambda: len(self.dynalite.items(TABLE)) > 0, "rows arrive")
        self.dynalite.kill()
        harness.wait_until(lambda: self.proxy.counts["nobody there"] > 3, "rows do not arrive")
        receipts.append(client.post(self.port, b"while the index is away").json())
        self.dynalite.start()
        loader.join(harness.PATIENCE_S)
        self.assertFalse(loader.is_alive())
        self.assertEqual(failures, [])
        checker.wait_drained(self.redis)
        self.assert_indexed(receipts)


class SetUpWrongly(DynamodbTest):
    make_table = False

    def create(self, table, **changes):
        definition = {
            "TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"}
                                     for name in changes.pop("attributes")],
            "KeySchema": [{"AttributeName": "bucket", "KeyType": "HASH"},
                          {"AttributeName": "id", "KeyType": "RANGE"}], **changes}
        status, answer = self.dynalite.call("CreateTable", definition)
        self.assertEqual(status, 200, answer)
        harness.wait_until(lambda: self.dynalite.call("DescribeTable", {"TableName": table})[1][
            "Table"]["TableStatus"] == "ACTIVE", f"{table} is made")

    def test_keys_may_come_from_where_the_aws_tools_look(self):
        keys = {"AWS_ACCESS_KEY_ID": dynamodb.ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": dynamodb.SECRET_KEY}
        for secrets, sound in ((keys, True), ({**keys, "AWS_SECRET_ACCESS_KEY": "another"}, False),
                               ({"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}, False)):
            run = self.command("metadata", "status", secrets=secrets)
            self.assertEqual(run.returncode == 0, sound, run.stdout + run.stderr)
            self.assertNotIn(dynamodb.SECRET_KEY, run.stdout + run.stderr)

    def test_a_missing_table_does_not_stop_ingest_and_is_mended_by_the_command(self):
        receipts = self.post_some(3, "missing")
        check = self.daybook.wait_check("metadata", ok=False)
        self.assertIn("migrate", check["detail"])
        found = self.doctor()
        self.assertEqual(found["verdict"], "fail")
        self.assertIn(TABLE, found["detail"])
        self.assertIn("migrate", found["mend"])
        # One try a second, whatever waits; health's own look included.
        before, begun = sum(self.proxy.counts.values()), time.monotonic()
        time.sleep(3)
        tries = sum(self.proxy.counts.values()) - before
        self.assertLessEqual(tries, 2 * (time.monotonic() - begun) + 2, self.proxy.counts)

        self.assertIn("missing", self.command("metadata", "status").stdout)
        would = self.command("metadata", "migrate", "--dry-run")
        self.assertIn("make the table " + TABLE, would.stdout)
        self.assertIn("Nothing was done", would.stderr)
        self.assertIn("missing", self.command("metadata", "status").stdout)
        made = self.command("metadata", "migrate")
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        again = self.command("metadata", "migrate")
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertIn("nothing to do", again.stderr)
        self.assertIn("current, version 2 of 2", self.command("metadata", "status").stdout)
        self.assertEqual(self.doctor()["verdict"], "ok")
        for receipt in receipts:
            self.wait_state(receipt["id"])
        self.daybook.wait_check("metadata", ok=True)
        checker.wait_drained(self.redis)
        self.assert_indexed(receipts)

    def test_wrong_keys_and_regions_are_named(self):
        wrong_secret = self.secrets(DAYBOOK_METADATA_DYNAMODB_SECRET_KEY="wrong")
        for name, changes, words in (
                ("secret", {"secrets": wrong_secret}, ("InvalidSignature", "secret_key")),
                ("key", {"secrets": self.secrets(DAYBOOK_METADATA_DYNAMODB_ACCESS_KEY="nobody")},
                 ("UnrecognizedClient", "access_key")),
                ("region", {"settings": {"metadata.dynamodb_region": "us-east-9"}},
                 ("scoped to a valid region", "region")),
                ("endpoint", {"settings": {"metadata.dynamodb_endpoint": "http://127.0.0.1:9"}},
                 ("127.0.0.1:9", "dynamodb_endpoint")),
                ("no service", {"settings": {"metadata.dynamodb_endpoint": self.daybook.url}},
                 ("no answer of a DynamoDB service", "dynamodb_endpoint"))):
            with self.subTest(name):
                found = self.doctor(**changes)
                self.assertEqual(found["verdict"], "fail")
                for word in words:
                    self.assertIn(word, found["detail"] + found["mend"])
                self.assertNotIn(dynamodb.SECRET_KEY, json.dumps(found))

    def test_other_tables_are_not_touched(self):
        self.create("other-keys", attributes=["pk"],
                    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}])
        self.create("no-index", attributes=["bucket", "id"])
        settings = {"metadata.dynamodb_table": "other-keys"}
        found = self.doctor(settings=settings)
        self.assertEqual(found["verdict"], "fail")
        self.assertIn("other keys", found["detail"])
        refused = self.command("metadata", "migrate", settings=settings)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("other keys", refused.stderr)
        found = self.doctor(settings={"metadata.dynamodb_table": "no-index"})
        self.assertEqual(found["verdict"], "fail")
        self.assertIn("no index by_tenant", found["detail"])
        self.assertIn("migrate", found["mend"])

    def test_a_newer_schema_is_not_touched(self):
        settings = {"metadata.dynamodb_table": "newer"}
        self.assertEqual(self.command("metadata", "migrate", settings=settings).returncode, 0)
        self.dynalite.call("PutItem", {"TableName": "newer", "Item": {
            "bucket": {"S": "schema"}, "id": {"S": "version"}, "number": {"N": "3"}}})
        found = self.doctor(settings=settings)
        self.assertEqual(found["verdict"], "fail")
        self.assertIn("version 3", found["detail"])
        self.assertEqual(self.command("metadata", "migrate", settings=settings).returncode, 1)


if __name__ == "__main__":
    harness.main()
