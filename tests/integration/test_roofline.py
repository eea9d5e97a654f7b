"""bench/roofline measures what it says, in every section, cleans up, and refuses wrong use. The
figures themselves are not judged: they belong to the machine.

Environment: ROOFLINE_BINARY, the roofline program."""

import json
import os
import shutil
import signal
import subprocess
import unittest

import harness

ROOFLINE = os.environ.get("ROOFLINE_BINARY", "")
SECTIONS = {"memory", "sha256", "zstd", "seal", "receive", "ceiling", "ceiling_servers", "disk",
            "redis"}
SERVERS = ("thread_per_connection", "thread_per_core", "product_parts")


@unittest.skipUnless(shutil.which(ROOFLINE), "no roofline program; set ROOFLINE_BINARY")
class Roofline(unittest.TestCase):

    def setUp(self):
        self.area = harness.Area("roofline")
        self.addCleanup(self.area.remove)

    def run_it(self, *words, path=None):
        environment = dict(os.environ)
        if path is not None:
            environment["PATH"] = path
        return subprocess.run(
            [shutil.which(ROOFLINE), "--dir", self.area.path, *words], env=environment,
            capture_output=True, text=True, timeout=4 * harness.PATIENCE_S)

    def measure(self, *words, path=None):
        done = self.run_it("--json", "--generated", "--size", "300k..1500k", "--seconds", "0.02",
                           *words, path=path)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_every_section_measures_something_and_leaves_nothing_behind(self):
        result = self.measure("--connections", "1,3")
        skipped = {skip["section"] for skip in result["skipped"]}
        self.assertEqual({name for name in SECTIONS if not result.get(name)} - skipped, set())
        for section in SECTIONS:
            for row in result[section]:
                self.assertGreater(row.get("mb_per_s", row.get("ceiling_mb_per_s")), 0, row)
        self.assertEqual(os.listdir(self.area.path), [])

    def test_the_ceiling_is_the_best_of_its_servers(self):
        result = self.measure("--ceiling-only", "--connections", "1,2,7")
        self.assertEqual([row["connections"] for row in result["ceiling"]], [1, 2, 7])
        for row in result["ceiling"]:
            values = {name: row[name] for name in SERVERS if name in row}
            self.assertEqual(row["ceiling_mb_per_s"], max(values.values()))
            self.assertEqual(values[row["best"]], row["ceiling_mb_per_s"])
        self.assertEqual(len(result["ceiling_servers"]), 3 * len(values))
        self.assertNotIn("memory", result)

    def test_the_content_ratio_is_that_of_the_bytes(self):
        audit = self.measure("--only", "zstd")["zstd"]
        random = self.measure("--only", "zstd", "--incompressible", "1")["zstd"]
        self.assertEqual({(row["level"], row["block_kib"]) for row in audit},
                         {(level, kib) for level in (-3, -1, 1, 2, 3)
                          for kib in (256, 512, 1024, 2048)})
        self.assertGreater(min(row["content_ratio"] for row in audit), 3)
        self.assertLessEqual(max(row["content_ratio"] for row in random), 1)

    def test_without_redis_server_its_section_is_a_visible_skip(self):
        result = self.measure("--only", "redis", path=self.area.path)
        self.assertEqual(result["redis"], [])
        self.assertEqual([skip["section"] for skip in result["skipped"]], ["redis"])

    def test_an_interrupted_run_leaves_no_redis_and_no_files(self):
        if not shutil.which("redis-server"):
            self.skipTest("no redis-server")
        run = subprocess.Popen(
            [shutil.which(ROOFLINE), "--dir", self.area.path, "--only", "redis", "--seconds", "60",
             "--generated", "--size", "300k"], stdout=subprocess.DEVNULL)
        self.addCleanup(run.kill)
        harness.wait_until(self.redis_processes, "its redis-server")
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(harness.PATIENCE_S), 128 + signal.SIGTERM)
        harness.wait_until(lambda: not self.redis_processes(), "the end of its redis-server")
        self.assertEqual(os.listdir(self.area.path), [])

    # Those that work below the folder of this test.
    def redis_processes(self):
        found = []
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{number}/cmdline", "rb") as line:
                    if b"redis-server" in line.read() and self.works_below_area(number):
                        found.append(number)
            except OSError:
                pass  # it ended meanwhile
        return found

    def works_below_area(self, number):
        return os.readlink(f"/proc/{number}/cwd").startswith(self.area.path)

    def test_wrong_use_is_named_and_ends_with_2(self):
        for words, named in ((["--only", "weather"], "--only"),
                             (["--connections", "0"], "--connections"),
                             (["--seconds", "0"], "--seconds"),
                             (["--size", "large"], "--size"),
                             (["--ceiling-only", "--only", "disk"], "--ceiling-only"),
                             (["--corpus", self.area.file("none")], "--corpus")):
            with self.subTest(words=words):
                done = self.run_it(*words)
                self.assertEqual(done.returncode, 2)
                self.assertIn(named, done.stderr)


if __name__ == "__main__":
    harness.main()
