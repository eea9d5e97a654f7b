"""The archive and the spool's disk: away, full, lying."""

import glob
import json
import os
import subprocess
import time

import client
import harness
import s3_fake
from fault import Fault, Skip


class ArchiveAway(Fault):
    """the archive's folder cannot be written for up to 2 s"""
    name = "archive-away"
    restarts = True     # a temporary file that was away cannot be deleted before

    def strike(self, world, rng):
        away = world.archive_dir + ".away"
        os.rename(world.archive_dir, away)
        with open(world.archive_dir, "wb"):
            time.sleep(rng.uniform(0.2, 2))
        os.remove(world.archive_dir)
        os.rename(away, world.archive_dir)
        return time.monotonic()


class EverythingAway(Fault):
    """Redis, then the spool's turn: killed Redis and a stopped archive together"""
    name, tears_spool, restarts = "redis-and-archive-away", True, True

    def strike(self, world, rng):
        world.redis.kill()
        ArchiveAway().strike(world, rng)
        if rng.random() < 0.5:
            world.daybook.kill()
            world.restart_daybook()
        moment = time.monotonic()
        world.redis.start()
        return moment


class SmallDisk(Fault):
    """node.data_dir on a disk of 48 MB that fills while Redis is away"""
    name = "small-disk"
    settings = {"node.disk_reserve": "8MiB", "spool.direct_archive": "false"}
    mounted = None

    def prepare(self, world):
        world.daybook.stop()
        spool = os.path.join(world.data_dir, "spool")
        os.makedirs(spool, exist_ok=True)
        run = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", spool],
                             capture_output=True)
        if run.returncode != 0:
            raise Skip("mounting a tmpfs is not permitted here")
        self.mounted = spool
        world.daybook.start()
        world.descriptors = world.count_descriptors()

    def strike(self, world, rng):
        world.redis.kill()
        time.sleep(rng.uniform(1.5, 3))
        world.redis.start()
        return time.monotonic()

    def clean_up(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.mounted], capture_output=True)


class ObjectStore(Fault):
    """an S3 service that fails in 16 ways of our own and as the published canned answers do"""
    name = "object-store"
    pause_s = (0.0, 0.1)
    turn = 0
    store = folder = None

    def __init__(self):
        try:
            import boto3  # noqa: F401
        except ImportError:
            raise Skip("boto3 is not installed") from None
        self.store = s3_fake.Store()
        self.orders = list(s3_fake.KINDS) + self.canned()
        self.settings = {
            "archive.kind": "s3", "archive.s3_bucket": "torture",
            "archive.s3_endpoint": f"http://127.0.0.1:{self.store.port}",
            "pipeline.archive_timeout": "3s"}
        self.environment = {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": "key",
                            "DAYBOOK_ARCHIVE_S3_SECRET_KEY": "secret"}

    def canned(self):
        folder = os.path.join(harness.SHARED_DIR, "suites", "s3-client-faults", "tests",
                              "mock_s3_server")
        found = []
        for path in sorted(glob.glob(folder + "/*/*.json")):
            with open(path, encoding="utf-8") as file:
                said = json.load(file)
            fields = {name: value for name, value in (said.get("headers") or {}).items()
                      if name.lower() not in ("content-length", "transfer-encoding", "connection")}
            found.append(s3_fake.Canned(os.path.basename(path), said["status"], fields,
                                        "\n".join(said.get("body") or []).encode(),
                                        said.get("delay", 0)))
        return found

    def strike(self, world, rng):
        order = self.orders[self.turn % len(self.orders)]
        self.turn += 1
        with self.store.lock:
            self.store.plan.extend([order] * rng.choice((1, 1, 2)))
        deadline = time.monotonic() + 20
        while self.store.peek() is not None:
            if time.monotonic() > deadline:
                raise AssertionError(f"no PUT came in 20 s for {getattr(order, 'name', order)}")
            time.sleep(0.01)
        return time.monotonic()

    def heal(self, world):
        # 4xx answers are for a person to mend: such records are parked for good until then.
        time.sleep(5)
        client.request(world.port, "POST", "/v1/parked/replay?all=true")

    def archive(self, world):
        """What boto3 reads back, as files."""
        import boto3
        from botocore.config import Config
        s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.store.port}",
                          aws_access_key_id="key", aws_secret_access_key="secret",
                          region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
        folder = world.area.file("from-s3")
        for item in s3.list_objects_v2(Bucket="torture").get("Contents", []):
            path = os.path.join(folder, item["Key"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(s3.get_object(Bucket="torture", Key=item["Key"])["Body"].read())
        return folder

    def clean_up(self):
        self.store.close()
