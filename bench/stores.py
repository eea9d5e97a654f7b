"""Stores that some measuring programs run beside Redis."""

import os
import subprocess
import unittest

import lab

BUCKET = "bench"


class RadosGateway:
    """radosgw as ops/servers/radosgw starts it; SkipTest where it cannot."""

    def __init__(self, area):
        self.script = os.path.join(lab.ROOT, "ops", "servers", "radosgw")
        self.folder = area.file("radosgw")
        if subprocess.run([self.script, "check"], capture_output=True).returncode != 0:
            raise unittest.SkipTest("radosgw is not installed")
        done = subprocess.run([self.script, "start", "--data", self.folder, "--bucket", BUCKET],
                              capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            self.stop()
            raise unittest.SkipTest(f"radosgw does not start: {done.stdout}{done.stderr}")
        self.values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    def stop(self):
        subprocess.run([self.script, "stop", "--data", self.folder], capture_output=True,
                       timeout=60)

    def settings(self):
        return {"archive__kind": "s3", "archive__s3_bucket": BUCKET,
                "archive__s3_endpoint": self.values["ENDPOINT"]}

    def secrets(self):
        return {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": self.values["ACCESS_KEY"],
                "DAYBOOK_ARCHIVE_S3_SECRET_KEY": self.values["SECRET_KEY"]}
