"""What a client sends to be let in is not what it sends to be kept: no credential of a request, and
no attribute that is named like one, reaches anything that others see."""

import base64
import json
import os
import subprocess

import client
import feed
import harness
import webhooks

STEPS = ["started", "archived", "indexed", "final"]


def message(transaction, payload="1", payload_first=False, **members):
    about = {"messageType": "order", "sourceSystemID": "till-7", "sourceTransactionID": transaction,
             "dateTime": "2026-11-21 04:05:06.123456", **members}
    parts = [f'"messageMetaData": {json.dumps(about)}', f'"messagePayload": {payload}']
    return ("{" + ", ".join(reversed(parts) if payload_first else parts) + "}").encode()


class Everywhere(harness.DaybookTest):
    """One post with credentials in its head, looked for wherever the record is told of; a header that
    is kept on purpose shows that each of these places would have shown them."""

    settings = {"ingest.context_headers": "X-Kept", "pipeline.attempts_max": "2",
                "pipeline.parked_retry": "1h"}

    @classmethod
    def setUpClass(cls):
        cls.receiver = webhooks.Receiver().start()
        cls.addClassCleanup(cls.receiver.stop)
        super().setUpClass()

    @classmethod
    def secrets(cls):
        _, signing = webhooks.make_secret(cls.area, "signing")

        def subscriber(name, **table):
            return {"name": name, "url": cls.receiver.url("/" + name),
                    "secret_files": {"current": signing}, **table}
        return {"DAYBOOK_CONFIG": webhooks.configuration(cls.area, [
            subscriber("steps", events=STEPS, payload_max="1KiB"),
            subscriber("structured", events=STEPS, format="cloudevents-structured"),
            subscriber("binary", events=STEPS, format="cloudevents-binary"),
            subscriber("operator", events=["parked"])])}

    def send(self, body):
        answer = client.request(self.port, "POST", "/ingestMessage", body, {
            "Content-Type": "application/json", "X-Api-Key": self.secret, "X-Kept": self.kept,
            "Authorization": f"Bearer {self.secret}", "Cookie": f"session={self.secret}"})
        self.assertEqual(answer.status, 200, answer.describe())
        self.assertNotIn(self.secret, str(answer.headers))
        return answer.json()["messageID"]

    def assert_told(self, where, text):
        self.assertIn(self.kept, text, f"{where} does not show what is kept")
        self.assertNotIn(self.secret, text, where)

    def assert_notices(self, name, count):
        path = self.receiver.path("/" + name)
        harness.wait_until(lambda: len(path.notices) >= count, f"{count} notices to {name}")
        for notice in path.notices:
            said = json.dumps(notice.headers) + notice.body.decode()
            self.assertNotIn(self.secret, said, f"a notice to {name}")
        self.assert_told(f"the last notice to {name}", path.notices[-1].body.decode())

    def test_no_credential_of_a_request_is_kept_or_told(self):
        random = harness.seeded("credentials")
        type(self).secret, type(self).kept = (word + random.randbytes(12).hex() for word in ("s", "k"))
        stream = feed.Curl(f"{self.daybook.url}/v1/feed?after=0")
        self.addCleanup(stream.stop)
        done = self.send(message("told"))
        self.assert_told("the row", json.dumps(self.wait_state(done)))
        archive = self.daybook.archive_dir
        os.rename(archive, archive + ".away")
        with open(archive, "w") as blocker:
            blocker.write("no folder")
        parked = self.send(message("parked"))
        self.assert_told("a parked row", json.dumps(self.wait_state(parked, "parked")))
        for name, count in (("steps", 4), ("structured", 4), ("binary", 4), ("operator", 1)):
            self.assert_notices(name, count)
        self.assertEqual({notice.record() for notice in self.receiver.path("/operator").notices}, {parked})
        os.remove(archive)
        os.rename(archive + ".away", archive)
        self.assert_told("an event of the stream", json.dumps(stream.take(1)))
        for path in ("/v1/feed?after=0", "/v1/records"):
            self.assert_told(path, client.request(self.port, "GET", path).body.decode())
        page = client.request(self.port, "GET", "/messages?timestamp=0")
        self.assertEqual(page.json(), [1], "the messages as they were posted")
        self.assertNotIn(self.secret, str(page.headers))
        objects = [os.path.join(folder, name) for folder, _, names in os.walk(archive) for name in names
                   if name.endswith(".zst")]
        self.assertEqual(len(objects), 1)
        for path in objects:
            plain = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
            self.assertEqual(plain, b"1")
            with open(path, "rb") as stored:
                self.assertNotIn(self.secret.encode(), plain + stored.read())
        found = subprocess.run(["grep", "-rl", self.secret, self.area.path], capture_output=True, text=True)
        self.assertEqual(found.stdout, "", "in a file of the index, Redis, the log or the trail")
        self.assertNotEqual(subprocess.run(["grep", "-rlq", self.kept, self.area.path]).returncode, 1)


class Named(harness.DaybookTest):
    """Attributes whose names say that they are secrets are refused at every door."""

    def assert_refused(self, answer, *words):
        self.assert_problem(answer, 400, "secret", *words)
        self.assertNotIn("hunter2", answer.describe())

    def test_the_doors_of_records_and_batches_refuse_them(self):
        for name in ("ce-apikey", "CE-Password", "ce-access-token"):
            self.assert_refused(client.post(self.port, b"x", {name: "hunter2"}), name)
            for path in ("/v1/records:batch", "/messages", "/messages?atomic=true"):
                answer = client.request(self.port, "POST", path, b"[1, 2]", {
                    "Content-Type": "application/json", name: "hunter2"})
                self.assert_refused(answer, name)
        parts = (b"--b\r\nce-type: a\r\n\r\none\r\n--b\r\nce-apikey: hunter2\r\n\r\ntwo\r\n--b--\r\n")
        headers = {"Content-Type": "multipart/mixed; boundary=b"}
        answer = client.request(self.port, "POST", "/v1/records:batch", parts, headers)
        self.assertEqual([one["status"] for one in answer.json()["results"]], [201, 400])
        self.assertIn("ce-apikey", answer.json()["results"][1]["error"]["detail"])
        self.assertNotIn("hunter2", answer.describe())
        answer = client.request(self.port, "POST", "/v1/records:batch?atomic=true", parts, headers)
        self.assert_refused(answer, "ce-apikey", "nothing was stored")

    def test_a_refused_message_with_a_secret_in_its_metadata_is_not_kept(self):
        folder = os.path.join(self.daybook.data_dir, "salvage", "refused")
        image = '"' + base64.b64encode(harness.seeded("rest").randbytes(2_000_000)).decode() + '"'
        bad = image[:1000] + "!" + image[1001:]
        cases = [
            ("by its name alone", {}, "1", False), ("a bad date", {"dateTime": "soon"}, "1", True),
            ("bad base64", {"payloadEncoding": "base64"}, bad, False),
            ("bad base64 before it", {"payloadEncoding": "base64"}, bad, True),
            ("no string", {"channel": 7}, image, False), ("no JSON", {}, "[1,]", True)]
        for name, members, payload, first in cases:
            for secret in ({"password": "hunter2"}, {"note": "hunter2"}):
                body = message(name, payload, first, **members, **secret)
                answer = client.request(self.port, "POST", "/ingestMessage", body,
                                        {"Content-Type": "application/json"})
                if name == "by its name alone" and "note" in secret:
                    self.assertEqual(answer.status, 200, answer.describe())
                    continue
                self.assert_problem(answer, 400)
                self.assertEqual("salvage" in answer.json(), "note" in secret, f"{name}: {answer.describe()}")
        self.assertGreater(len(os.listdir(folder)), 3)
        for file in os.listdir(folder):
            kept = subprocess.run(["zstd", "-dc", os.path.join(folder, file)], capture_output=True,
                                  check=True).stdout
            self.assertNotIn(b'"password"', kept)


if __name__ == "__main__":
    harness.main()
