"""Peers with an S3 server behind or as the acknowledgement: radosgw alone, Node with radosgw."""

import hashlib
import hmac
import json
import os
import subprocess
import time
import urllib.parse

import machine
from peer import HERE, HttpOnRedis, Peer, find, first_version

SERVER = os.path.join(HERE, "..", "..", "ops", "servers", "radosgw")
BUCKET = "bench"
CEPH_PACKAGES = ("ceph-mon", "ceph-osd", "radosgw", "ceph-common", "curl", "openssl")


def ceph_missing():
    if subprocess.run([SERVER, "check"], capture_output=True, check=False).returncode == 0:
        return ""
    return "radosgw: apt-get install --no-install-recommends " + " ".join(CEPH_PACKAGES)


class Bucket:
    """radosgw as the tests start it, with one bucket."""

    def __init__(self, folder):
        self.folder = folder
        run = subprocess.run([SERVER, "start", "--data", folder, "--bucket", BUCKET],
                             capture_output=True, text=True, timeout=180, check=False)
        if run.returncode != 0:
            raise machine.Failed(run.stdout + run.stderr)
        values = dict(line.split("=", 1) for line in run.stdout.splitlines() if "=" in line)
        self.endpoint, self.region = values["ENDPOINT"], values["REGION"]
        self.access_key, self.secret_key = values["ACCESS_KEY"], values["SECRET_KEY"]
        self.port = int(self.endpoint.rsplit(":", 1)[1])

    def pids(self):
        found = []
        for service in ("mon", "osd", "radosgw"):
            with open(os.path.join(self.folder, f"{service}.pid"), encoding="ascii") as file:
                found.append(int(file.read()))
        return found

    def presigned_put(self, key, now):
        """Path and query of a PUT of any bytes that Signature Version 4 allows for an hour."""
        date, day = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
        scope = f"{day}/{self.region}/s3/aws4_request"
        path = f"/{BUCKET}/{key}"
        query = urllib.parse.urlencode({
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{self.access_key}/{scope}",
            "X-Amz-Date": date, "X-Amz-Expires": "3600", "X-Amz-SignedHeaders": "host"})
        request = f"PUT\n{path}\n{query}\nhost:127.0.0.1:{self.port}\n\nhost\nUNSIGNED-PAYLOAD"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        secret = b"AWS4" + self.secret_key.encode()
        for part in (day, self.region, "s3", "aws4_request", text):
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        return f"{path}?{query}&X-Amz-Signature={secret.hex()}"

    def stored(self):
        run = subprocess.run(["radosgw-admin", "-c", os.path.join(self.folder, "ceph.conf"), "bucket",
                              "stats", f"--bucket={BUCKET}"],
                             capture_output=True, text=True, timeout=60, check=False)
        if run.returncode != 0:
            raise machine.Failed(run.stderr)
        usage = json.loads(run.stdout)["usage"].get("rgw.main", {})
        return usage.get("num_objects", 0), usage.get("size", 0)

    def stop(self):
        subprocess.run([SERVER, "stop", "--data", self.folder], capture_output=True, check=False,
                       timeout=120)


class Radosgw(Peer):
    name = "radosgw"
    packages = CEPH_PACKAGES
    means = {**Peer.means, "fsynced": "yes", "validates": "size, signature", "digest": "MD5",
             "archived": "yes"}
    keys = 20_000  # more than a run can send
    bucket = None

    def missing(self):
        return ceph_missing()

    def versions(self):
        return {"radosgw": first_version(["radosgw", "--version"])}

    def start(self, folder):
        self.folder = folder
        self.bucket = Bucket(os.path.join(folder, "ceph"))
        self.extra_roots = self.bucket.pids()

    def load(self, seconds):
        targets = os.path.join(self.folder, "targets")
        now = time.gmtime()
        with open(targets, "w", encoding="ascii") as file:
            for number in range(self.keys):
                file.write(self.bucket.presigned_put(f"{self.loads}-{number}", now) + "\n")
        return self.bulk_load(self.bucket.port, seconds, "--raw", "PUT", "@" + targets)

    def stored(self):
        return self.bucket.stored()

    def stop(self):
        if self.bucket:
            self.bucket.stop()


class Node(HttpOnRedis):
    name = "node"
    packages = ("nodejs", "npm")
    programs = ("node", "redis-server")

    def absent_packages(self):
        """Not those of a Node that came from elsewhere: Debian's npm does not go with it."""
        return () if find("node") and find("npm") else self.packages

    def packages_folder(self):
        return os.path.join(self.setup.tools, "node")

    def missing(self):
        if not os.path.isdir(os.path.join(self.packages_folder(), "node_modules", "fastify")):
            return (f"fastify, ioredis: bench/peers/run --install, or npm install --prefix "
                    f"{os.path.relpath(self.packages_folder())} with bench/peers/package.json")
        return super().missing()

    def versions(self):
        with open(os.path.join(HERE, "package.json"), encoding="utf-8") as file:
            wanted = json.load(file)["dependencies"]
        return {"node": first_version(["node", "--version"]), **wanted}

    def environment(self):
        return {}

    def start_front(self):
        self.port = machine.free_port()
        self.spawn("node", ["node", os.path.join(HERE, "server.mjs")], self.port,
                   machine.clean_environment(PORT=str(self.port), REDIS_SOCKET=self.socket,
                                             PACKAGES=self.packages_folder(), **self.environment()))


class NodeS3(Node):
    """The same, and each record is PUT into a bucket after its acknowledgement."""
    name = "node-s3"
    packages = (*Node.packages, *CEPH_PACKAGES)
    means = {**Node.means, "archived": "later, not retried"}
    bucket = None

    def missing(self):
        return ceph_missing() or super().missing()

    def absent_packages(self):
        return (*super().absent_packages(), *CEPH_PACKAGES)

    def start(self, folder):
        self.bucket = Bucket(os.path.join(folder, "ceph"))
        super().start(folder)
        self.extra_roots = self.bucket.pids()

    def environment(self):
        return {"S3_ENDPOINT": self.bucket.endpoint, "S3_REGION": self.bucket.region,
                "S3_BUCKET": BUCKET, "S3_ACCESS_KEY": self.bucket.access_key,
                "S3_SECRET_KEY": self.bucket.secret_key}

    def settle(self):
        connection = self.redis()
        machine.wait_until(lambda: connection.ask("DBSIZE") == 0, "every record is in the bucket", 300)
        connection.close()

    def stored(self):
        return self.bucket.stored()

    def stop(self):
        super().stop()
        if self.bucket:
            self.bucket.stop()
