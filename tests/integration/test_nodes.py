"""Two Daybook nodes behind HAProxy on what a company has: a Redis Cluster of three masters and three
replicas, an S3 service (radosgw) and PostgreSQL. Under load a node, a master, the S3 service and the
database are killed in turn. In the end acknowledged == archived == indexed. Skipped where one of
these servers is not installed."""

import os
import subprocess
import time
import unittest

import checker
import client
import harness
import postgresql
import redis_servers
from load import Load
from test_s3 import ObjectStore

PARTITIONS = 6
BUCKET = "daybook-nodes"
# Well within what an operator would call seconds, and far from what a busy machine needs.
TAKEN_OVER_S = 30

PROXY = """
global
  maxconn 1000
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend records
  bind 127.0.0.1:{port}
  default_backend nodes
backend nodes
  balance roundrobin
  option redispatch
  option httpchk GET /readyz
  default-server check inter 200ms fall 1 rise 1
"""


def s3_client(store):
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise unittest.SkipTest("boto3 is not installed") from None
    return boto3.client("s3", endpoint_url=store.endpoint, region_name="us-east-1", verify=False,
                        aws_access_key_id=store.access_key, aws_secret_access_key=store.secret_key,
                        config=Config(s3={"addressing_style": "path"}))


class ProxiedLoad(Load):
    repeated = (*Load.repeated, 502)   # a node died with the request
    pause_s = 0.2                      # every object is fetched and opened in the end


class Nodes(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        haproxy = harness.need_program("haproxy")
        cls.area = harness.Area("nodes")
        cls.addClassCleanup(cls.area.remove)
        cls.database = postgresql.Postgresql(cls.area)
        cls.addClassCleanup(cls.database.stop)
        cls.database.start()
        cls.store = ObjectStore(cls.area)
        cls.addClassCleanup(cls.store.stop)
        cls.store.start()
        cls.s3 = s3_client(cls.store)
        cls.s3.create_bucket(Bucket=BUCKET)
        cls.redis = redis_servers.Cluster(cls.area)
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.nodes = [cls.node(name) for name in ("one", "two")]
        made = cls.nodes[0].run("metadata", "migrate")
        assert made.returncode == 0, made.stdout + made.stderr
        for node in cls.nodes:
            cls.addClassCleanup(node.kill)
            node.start()
        cls.port = harness.free_port()
        servers = "".join(f"  server {node.name} 127.0.0.1:{node.port}\n" for node in cls.nodes)
        config = cls.area.write("haproxy.cfg", PROXY.format(port=cls.port) + servers)
        cls.proxy = harness.Process("haproxy", [haproxy, "-db", "-f", config],
                                    cls.area.file("haproxy.log"))
        cls.addClassCleanup(cls.proxy.kill)
        cls.proxy.start()

        def answers():
            try:
                return client.request(cls.port, "GET", "/readyz").status == 200
            except (OSError, client.BrokenAnswer):
                return False
        harness.wait_until(answers, "the proxy has a node")

    @classmethod
    def node(cls, name):
        return Node(cls.area, cls.redis, {
            "buffer.partitions": str(PARTITIONS), "buffer.durability": "replicated:1",
            "ingest.reservation_lease": "2s", "pipeline.lease": "3s", "audit.interval": "0s",
            "archive.kind": "s3", "archive.s3_endpoint": cls.store.endpoint,
            "archive.s3_bucket": BUCKET, "metadata.kind": "postgresql",
            "metadata.postgresql_url": cls.database.url()}, name=name, environment={
                "DAYBOOK_ARCHIVE_S3_ACCESS_KEY": cls.store.access_key,
                "DAYBOOK_ARCHIVE_S3_SECRET_KEY": cls.store.secret_key,
                "DAYBOOK_METADATA_POSTGRESQL_PASSWORD": cls.database.password})

    def archived(self):
        """id -> (sha256, size) of every object, fetched by boto3 and opened by zstd."""
        folder = self.area.file("fetched")
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for entry in page.get("Contents", []):
                if "daybook-probe" in entry["Key"]:
                    continue
                path = os.path.join(folder, entry["Key"])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                self.s3.download_file(BUCKET, entry["Key"], path)
        objects, stray = checker.archived_objects(folder)
        self.assertEqual(stray, [])
        self.assertEqual([found for found in objects.values() if len(found) > 1], [])
        return {name: found[0][1:] for name, found in objects.items()}

    def indexed(self):
        return {name: (sha256, int(size)) for name, (sha256, size)
                in self.database.rows("sha256, size", "public").items()}

    def take_over(self):
        """One node dies with records in hand, which the S3 service did not take for a moment. How
        long the other node takes until all that was acknowledged is indexed."""
        back = self.store.kill_front()
        self.more(20)
        self.nodes[0].kill()
        back()
        dead, promised = time.monotonic(), set(self.journal.records)
        harness.wait_until(lambda: promised <= set(self.indexed()), "the other node has taken over",
                           TAKEN_OVER_S, 0.3)
        print(f"\n{len(promised)} records acknowledged when a node died, the last of them indexed "
              f"{time.monotonic() - dead:.1f} s later", flush=True)
        self.nodes[0].start()

    def lose_master(self):
        master = self.redis.masters()[0]
        master.kill()
        harness.wait_until(lambda: len(self.redis.masters(self.redis.living()[0])) == 3,
                           "a replica has taken the master's place")
        master.start()   # as a replica; without it replicated:1 cannot be kept there
        self.redis.wait_ok()

    def lose_store(self):
        back = self.store.kill_front()
        time.sleep(2)
        back()

    def lose_database(self):
        self.database.kill()
        time.sleep(2)
        self.database.start()

    def more(self, records):
        """The load goes on."""
        enough = len(self.journal) + records
        harness.wait_until(lambda: len(self.journal) >= enough, f"{records} more are acknowledged")

    def test_everything_dies_once_and_every_record_is_archived_and_indexed(self):
        self.journal = checker.Journal()
        load = ProxiedLoad(self.port, self.journal, "nodes").start()
        try:
            self.more(40)
            for fault in (self.take_over, self.lose_master, self.lose_store, self.lose_database):
                fault()
                self.more(20)
        finally:
            load.stop()
        self.assertEqual(load.wrong, [])
        for node in self.nodes:
            node.wait_ready()
            node.wait_spool_empty()
        checker.wait_drained(self.redis, PARTITIONS)
        self.assertEqual(self.journal.contradictions, [])
        self.assertEqual(self.archived(), self.journal.records)
        self.assertEqual(self.indexed(), self.journal.records)
        work = [node.archived_total() for node in self.nodes]
        print(f"{len(self.journal)} records, archived by each node since its last start: {work}",
              flush=True)
        self.assertGreater(min(work), 0, "one node has done everything")
        for node in self.nodes:
            node.stop()


class Node(harness.Daybook):
    def run(self, *words):
        """A command on this node's stores."""
        given = [f"--set={key}={value}" for key, value in self.settings.items()]
        return subprocess.run([harness.binary(), *words, *given], capture_output=True, text=True,
                              timeout=harness.PATIENCE_S, env=self.environment())

    def archived_total(self):
        text = client.request(self.port, "GET", "/metrics").body.decode()
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                       if line.startswith("daybook_stage_done_total") and 'stage="archive"' in line))


if __name__ == "__main__":
    harness.main()
