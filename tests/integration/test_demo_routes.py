"""ops/demo-routes: nothing is missing or out of order on any of the four routes though the server is killed, and what
judges that finds what is wrong."""

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import unittest

import harness

SCRIPT = os.path.join(harness.SOURCE_DIR, "ops", "demo", "routes.py")


def load():
    spec = importlib.util.spec_from_file_location("routes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class DemoRoutes(unittest.TestCase):
    def test_four_routes_through_a_kill(self):
        harness.need_program("redis-server")
        area = harness.Area("demo")
        self.addCleanup(area.remove)
        run = subprocess.run([sys.executable, SCRIPT, "--binary", harness.binary(), "--var", area.file("var"),
                              "--messages", "100"], capture_output=True, text=True, timeout=200)
        said = run.stdout + run.stderr
        self.assertEqual(run.returncode, 0, said)
        self.assertIn("daybook killed (SIGKILL) and started again", said)
        rows = re.findall(r"^  (pu\w+ in, pu\w+ out) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$", said, re.MULTILINE)
        self.assertEqual([row[0] for row in rows], ["push in, push out", "push in, pull out", "pull in, push out",
                                                    "pull in, pull out"])
        for _, sent, received, missing, duplicated, disorder in rows:
            self.assertEqual((sent, missing, disorder), ("100", "0", "0"), said)
            self.assertEqual(int(received), 100 + int(duplicated), said)
        with open(area.file("var", "daybook.log"), "rb") as log:
            self.assertIsNone(harness.ALARMS.search(log.read()))

    def judge(self, sent, came, places):
        """What it says of one source's two targets, which got the same."""
        routes = load()
        demo = routes.Demo.__new__(routes.Demo)
        demo.options, demo.ports = type("Options", (), {"messages": 3}), dict.fromkeys(demo.routes(), 1)
        demo.sent, demo.places = (lambda source: set(sent)), (lambda source: places)
        routes.report = lambda port: {"received": len(came), "duplicated": 0, "order": came}
        with contextlib.redirect_stdout(io.StringIO()):
            return demo.judge(dict.fromkeys(demo.routes(), 1))

    def test_its_judge_finds_what_is_wrong(self):
        places = {1: (0, 1), 2: (1, 2), 3: (0, 3)}
        self.assertTrue(self.judge([1, 2, 3], [1, 2, 3], places))
        self.assertTrue(self.judge([1, 2, 3], [2, 1, 3], places), "between partitions there is no order")
        self.assertFalse(self.judge([1, 2, 3], [3, 2, 1], places), "out of order")
        self.assertFalse(self.judge([1, 2, 3], [1, 2], places), "one is missing")
        self.assertFalse(self.judge([1, 2, 3], [1, 2, 4], {**places, 4: (0, 4)}), "as many, but another")
        self.assertFalse(self.judge([1, 2], [1, 2], places), "one was never sent")


if __name__ == "__main__":
    harness.main()
