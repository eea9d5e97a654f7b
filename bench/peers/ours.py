"""Daybook itself, with the same Redis, and the archive in a folder or in the same S3 server."""

import os
import urllib.request

import machine
from peer import OnRedis, first_version
from s3 import BUCKET, CEPH_PACKAGES, Bucket, ceph_missing


class Daybook(OnRedis):
    name = "daybook"
    packages = ("redis-server",)
    programs = ("redis-server",)
    means = {"fsynced": "yes", "gives an id": "yes", "validates": "size, digest, attributes",
             "digest": "SHA-256", "deduplicates": "by key", "archived": "later, verified"}

    def settings(self):
        return {}, {}

    def versions(self):
        return {"daybook": first_version([self.setup.daybook, "--version"]),
                "redis": first_version(["redis-server", "--version"])}

    def start_front(self):
        self.port = machine.free_port()
        settings, secrets = self.settings()
        settings = {"server.listen": f"127.0.0.1:{self.port}", "buffer.url": f"unix:{self.socket}",
                    "node.data_dir": os.path.join(self.folder, "data"), **settings}
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        self.spawn("daybook", [self.setup.daybook, "serve", *words], self.port,
                   machine.clean_environment(**secrets))
        machine.wait_until(self.ready, "daybook is ready")

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def load(self, seconds):
        """Until everything is archived, indexed and released; that work counts."""
        report = self.bulk_load(self.port, seconds, "--end-to-end")
        if report["end_to_end"]["parked"] or not report["end_to_end"]["complete"]:
            raise machine.Failed(f"daybook did not archive everything: {report['end_to_end']}")
        return report

    def check(self):
        """The client has checked each receipt, and that the pipeline finished with nothing parked."""


class DaybookS3(Daybook):
    name = "daybook-s3"
    packages = ("redis-server", *CEPH_PACKAGES)
    bucket = None

    def missing(self):
        return ceph_missing() or super().missing()

    def start(self, folder):
        self.bucket = Bucket(os.path.join(folder, "ceph"))
        super().start(folder)
        self.extra_roots = self.bucket.pids()

    def settings(self):
        return ({"archive.kind": "s3", "archive.s3_endpoint": self.bucket.endpoint,
                 "archive.s3_bucket": BUCKET, "archive.s3_region": self.bucket.region},
                {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": self.bucket.access_key,
                 "DAYBOOK_ARCHIVE_S3_SECRET_KEY": self.bucket.secret_key})

    def check(self):
        objects, _size = self.bucket.stored()
        if objects < self.acknowledged[0]:
            raise machine.Failed(f"daybook acknowledged {self.acknowledged[0]} records and the bucket "
                                 f"holds {objects} objects")

    def stop(self):
        super().stop()
        if self.bucket:
            self.bucket.stop()
