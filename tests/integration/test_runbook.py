"""Every script of ops/runbook explains itself and works against a live server."""

import os
import subprocess

import checker
import client
import harness
import payloads

RUNBOOK = os.path.join(harness.SOURCE_DIR, "ops", "runbook")


def scripts():
    if not os.path.isdir(RUNBOOK):
        return []
    return sorted(name for name in os.listdir(RUNBOOK)
                  if os.access(os.path.join(RUNBOOK, name), os.X_OK)
                  and os.path.isfile(os.path.join(RUNBOOK, name)))


class Runbook(harness.DaybookTest):

    def run_script(self, name, *words, status=0):
        run = subprocess.run(
            [os.path.join(RUNBOOK, name), *words], capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL, env={**self.daybook.environment(),
                                           "PATH": os.path.dirname(harness.binary()) + ":" +
                                           os.environ["PATH"]})
        self.assertEqual(run.returncode, status, f"{name} {words}\n{run.stdout}\n{run.stderr}")
        return run.stdout

    def test_every_script_has_help(self):
        if not scripts():
            self.skipTest("ops/runbook has no scripts")
        for name in scripts():
            with self.subTest(name):
                text = self.run_script(name, "--help")
                self.assertIn("usage", text.lower())
                self.assertGreater(len(text), 80)


if __name__ == "__main__":
    harness.main()
