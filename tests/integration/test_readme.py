"""README: each command of the table of ways in and out does what the row says, and the tables load."""

import base64
import json
import os
import re
import subprocess

import client
import feed
import harness


def section():
    """The table's rows, as {way: [command, …]}, and the configuration behind it."""
    with open(os.path.join(harness.SOURCE_DIR, "README.md"), encoding="utf-8") as file:
        text = file.read()
    table, toml = re.search(r"\| way \|.*?\n\| --- .*?\n(.*?)\n\n```toml\n(.*?)```", text, re.DOTALL).groups()
    rows = dict(re.fullmatch(r"\| (.*?) \| (.*) \|", line).groups() for line in table.splitlines())
    return {way: re.findall(r"`((?:curl|daybook) [^`]*)`", cell) for way, cell in rows.items()}, toml


class Readme(harness.DaybookTest):
    settings = {"feed.poll_interval": "50ms"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ways, cls.toml = section()
        for name, content in (("FILE", b'{"a": 1}'), ("lines.ndjson", b'{"a": 1}\n{"a": 2}\n'),
                              ("audit.json", b"{}"), ("image.png", b"\x89PNG\r\n")):
            cls.area.write(name, content)
        programs = cls.area.file("programs")
        os.mkdir(programs)
        os.symlink(os.path.realpath(harness.binary()), os.path.join(programs, "daybook"))
        cls.environment = {**harness.clean_environment(), "URL": cls.daybook.url, "DAYBOOK_URL": cls.daybook.url,
                           "ENDPOINT": cls.daybook.url + "/messages",
                           "PATH": programs + ":" + os.environ["PATH"]}

    def run_line(self, line):
        line = re.sub(r"^curl ", "curl -sS --fail-with-body ", line)
        return subprocess.run(["bash", "-c", line], cwd=self.area.path, env=self.environment, capture_output=True,
                              text=True, timeout=harness.PATIENCE_S)

    def output(self, way, number=0, status=0):
        run = self.run_line(self.ways[way][number])
        self.assertEqual(run.returncode, status, f"{way}: {run.stdout} {run.stderr}")
        return run.stdout

    def stored(self, way):
        answer = json.loads(self.output(way))
        self.assertEqual([one["status"] for one in answer["results"]], [201, 201], way)
        return [client.request(self.port, "GET", f"/v1/records/{one['receipt']['id']}").json()["content_type"]
                for one in answer["results"]]

    def test_each_way_in_and_out(self):
        self.output("pushed in, one record")
        self.assertEqual(json.loads(self.output("pushed in, one record", 1))["size"], 8)
        json_type = "application/json"
        self.assertEqual(self.stored("many, a JSON array"), [json_type] * 2)
        self.stored("many, a line each")
        self.assertEqual(self.stored("many, of any kind"), [json_type, "image/png"])
        self.output("a message with metadata")
        feed.wait_for(self.port, 9)
        for way in ("pulled in", "pushed out"):
            self.output(way)
        self.assertEqual(len(json.loads(self.output("pulled out, by number"))["entries"]), 9)
        events = self.ways["pulled out, by number"][1].replace("curl", "curl --max-time 3", 1)
        self.assertEqual(self.run_line(events).stdout.count("event: record"), 9)
        answer = self.output("pulled out, by time")
        self.assertIn("rel=\"monitor\"", answer)
        self.assertEqual(len(json.loads(answer[answer.index("\n["):])), 9)
        report = json.loads(self.output("partners that push and pull", status=124).splitlines()[-1])
        self.assertEqual((report["distinct"], report["missing"]), (100, 0))

    def test_the_tables_load(self):
        secret = self.area.write("billing.secret", "whsec_" + base64.b64encode(b"s" * 32).decode())
        os.chmod(secret, 0o600)
        file = self.area.write("readme.toml", self.toml.replace("/etc/daybook/billing.secret", secret))
        run = subprocess.run([harness.binary(), "config", "--check", "--config", file], capture_output=True, text=True,
                             env=harness.clean_environment(), timeout=harness.PATIENCE_S)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    harness.main()
