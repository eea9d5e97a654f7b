"""What can go wrong, each as a class: strike() makes it happen once, under load, and heals it.

A fault has a name, the settings its world needs, and a sentence for the report. `faults_build` says
that crash points must be compiled in. strike() returns the moment from which recovery counts.
"""

import glob
import json
import os
import random as random_module
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

import client
import harness
import s3_fake
from fault import Fault, Skip
from faults_disk import DiskErrors, PowerCut, PowerCutControl, SpoolDiskErrors

CRASH_POINTS = ("before_append", "after_append", "before_answer", "before_put", "after_put",
                "before_row", "after_row", "before_release", "after_release")
SPOOL_POINTS = ("before_spool", "after_spool", "before_replay", "after_replay")


def sanitized():
    import harness
    with open(harness.binary(), "rb") as program:
        return b"__asan_init" in program.read()


class KillDaybook(Fault):
    """kill -9 of daybook at a random moment"""
    name, tears_spool = "kill-daybook", True

    def strike(self, world, rng):
        world.daybook.kill()
        moment = time.monotonic()
        world.restart_daybook()
        return moment


class CrashPoint(Fault):
    """death at a named point between two steps"""
    name, faults_build, tears_spool = "crash-points", True, True
    points = CRASH_POINTS
    turn = 0

    def strike(self, world, rng):
        point = self.points[self.turn % len(self.points)]
        self.turn += 1
        world.daybook.kill()
        world.restart_daybook({"FAULTS_CRASH": f"{point}:{rng.randint(1, 12)}"})
        if not world.died_as_planned(20):
            raise AssertionError(f"crash point {point} was not met in 20 s of load")
        moment = time.monotonic()
        world.restart_daybook()
        return moment


class SpoolCrashPoint(CrashPoint):
    """death at a named point while Redis is away, or just back"""
    name, points = "crash-points-spool", SPOOL_POINTS

    def strike(self, world, rng):
        point = self.points[self.turn % len(self.points)]
        self.turn += 1
        world.redis.kill()
        replaying = point.endswith("replay")
        if replaying:
            time.sleep(2.0)     # so that there is something to replay
        world.daybook.kill()
        world.restart_daybook({"FAULTS_CRASH": f"{point}:{rng.randint(1, 2)}"})
        if replaying:
            world.redis.start()
        if not world.died_as_planned(20):
            raise AssertionError(f"crash point {point} was not met in 20 s of load")
        if not replaying:
            world.redis.start()
        moment = time.monotonic()
        world.restart_daybook()
        return moment


class KillRedis(Fault):
    """kill -9 of Redis, away for up to a second"""
    name = "kill-redis"

    def strike(self, world, rng):
        world.redis.kill()
        moment = time.monotonic()
        time.sleep(rng.random())
        world.redis.start()
        return moment


class KillBoth(Fault):
    """kill -9 of both at once"""
    name, tears_spool = "kill-both", True

    def strike(self, world, rng):
        for process in rng.sample([world.redis, world.daybook], 2):
            process.kill()
        moment = time.monotonic()
        if rng.random() < 0.5:
            world.redis.start()
            world.restart_daybook()
        else:
            world.restart_daybook()
            time.sleep(rng.random())
            world.redis.start()
        return moment


class Sigstop(Fault):
    """SIGSTOP of Redis or daybook for 1 to 4 s (30 in a campaign)"""
    name = "sigstop"
    longest_s = 4

    def strike(self, world, rng):
        target = rng.choice([world.redis.process, world.daybook.process])
        target.signal(signal.SIGSTOP)
        time.sleep(rng.uniform(1, self.longest_s))
        target.signal(signal.SIGCONT)
        return time.monotonic()


class Fenced(Fault):
    """a pipeline stopped beyond its lease while another one takes its records over"""
    name = "fenced-owner"
    other = None

    def prepare(self, world):
        import harness
        from world import SETTINGS
        self.other = harness.Daybook(
            world.area, world.redis,
            {**SETTINGS, "archive.file_dir": world.archive_dir,
             "metadata.sqlite_file": world.sqlite_file}, role="pipeline", name="second")
        self.other.start(wait_ready=False)
        world.area.second = self.other

    def strike(self, world, rng):
        target = rng.choice([world.daybook.process, self.other.process])
        target.signal(signal.SIGSTOP)
        time.sleep(rng.uniform(1.5, 3.5))   # the lease is 1 s
        target.signal(signal.SIGCONT)
        return time.monotonic()


class RedisTrouble(Fault):
    """Redis out of memory, without fsync, evicting, read-only; for a second each"""
    name = "redis-trouble"
    CASES = (("maxmemory", "1mb", "0"), ("appendfsync", "everysec", "always"),
             ("maxmemory-policy", "allkeys-lru", "noeviction"),
             ("min-replicas-to-write", "1", "0"))

    def strike(self, world, rng):
        name, wrong, right = rng.choice(self.CASES)
        world.redis.configure(name, wrong)
        time.sleep(rng.uniform(0.2, 1.5))
        world.redis.configure(name, right)
        return time.monotonic()


class RedisOdd(Fault):
    """Redis a replica of nobody, paused for writers, its clients hung up, its file switched off"""
    name = "redis-odd"
    turn = 0

    def strike(self, world, rng):
        redis, held = world.redis, rng.uniform(0.2, 1.5)
        kind, self.turn = ("replica", "pause", "kicked", "no_file")[self.turn % 4], self.turn + 1
        if kind == "replica":
            redis.command("REPLICAOF", "127.0.0.1", harness.free_port())
            time.sleep(held)
            redis.command("REPLICAOF", "NO", "ONE")
        elif kind == "pause":
            redis.command("CLIENT", "PAUSE", int(held * 1000), "WRITE")
            time.sleep(held)
        elif kind == "kicked":
            redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        else:
            redis.configure("appendonly", "no")
            time.sleep(held)
            redis.configure("appendonly", "yes")
            harness.wait_until(lambda: (redis.info("aof_rewrite_in_progress"), redis.info(
                "aof_rewrite_scheduled")) == ("0", "0"), "the append-only file is whole again")
        return time.monotonic()


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


class SqliteLocked(Fault):
    """another process holds the metadata store's lock, beyond the busy timeout"""
    name = "sqlite-locked"
    settings = {"metadata.sqlite_busy_timeout": "100ms"}

    def strike(self, world, rng):
        holder = sqlite3.connect(world.sqlite_file, isolation_level=None, timeout=30)
        holder.execute("BEGIN EXCLUSIVE")
        time.sleep(rng.uniform(0.2, 2))
        holder.execute("ROLLBACK")
        holder.close()
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


class FewDescriptors(Fault):
    """daybook with 64 file descriptors and 200 connections at its door"""
    name = "fd-limit"
    prefix = ("prlimit", "--nofile=64:64")

    def prepare(self, world):
        if sanitized():
            raise Skip("the sanitizer itself needs descriptors to tell good from bad")

    def strike(self, world, rng):
        crowd = []
        for _ in range(200):
            try:
                crowd.append(socket.create_connection(("127.0.0.1", world.port), timeout=2))
            except OSError:
                pass
        time.sleep(0.5)
        for connection in crowd:
            connection.close()
        return time.monotonic()


class RudeClients(Fault):
    """clients that reset, half-close, dribble, pipeline 64 requests, or never read"""
    name = "rude-clients"
    pause_s = (0.0, 0.05)

    def strike(self, world, rng):
        rng.choice([self.reset, self.half_close, self.dribble, self.pipeline, self.never_read])(
            world.port, rng)
        return time.monotonic()

    def connect(self, port):
        return socket.create_connection(("127.0.0.1", port), timeout=10)

    def head(self, length):
        return (f"POST /v1/records HTTP/1.1\r\nHost: torture\r\nContent-Length: {length}\r\n"
                "ce-type: rude\r\n\r\n").encode()

    def reset(self, port, rng):
        with self.connect(port) as rude:
            rude.sendall(self.head(1 << 20) + rng.randbytes(rng.randint(0, 1 << 19)))
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def half_close(self, port, rng):
        with self.connect(port) as rude:
            rude.sendall(self.head(1 << 20) + rng.randbytes(rng.randint(0, 1 << 18)))
            rude.shutdown(socket.SHUT_WR)
            rude.settimeout(10)
            while rude.recv(1 << 16):
                pass

    def dribble(self, port, rng):
        with self.connect(port) as rude:
            for byte in self.head(100)[:rng.randint(1, 60)]:
                rude.send(bytes([byte]))

    def pipeline(self, port, rng):
        with self.connect(port) as rude:
            rude.sendall(b"GET /livez HTTP/1.1\r\nHost: torture\r\n\r\n" * 64)
            rude.settimeout(10)
            answers = b""
            while answers.count(b"HTTP/1.1 200") < 64:
                piece = rude.recv(1 << 16)
                if not piece:
                    raise AssertionError("64 pipelined requests got fewer answers")
                answers += piece

    def never_read(self, port, _rng):
        rude = self.connect(port)
        rude.sendall(b"GET /metrics HTTP/1.1\r\nHost: torture\r\n\r\n" * 8)
        threading.Timer(1.0, rude.close).start()


class Duplicates(Fault):
    """one key sent by 16 clients at once, again after a restart"""
    name, tears_spool = "duplicates", True
    turn = 0
    generator = None    # the run sets it

    def strike(self, world, rng):
        import generator as generator_module
        self.turn += 1
        content = generator_module.payload(rng, f"duplicate {self.turn} {rng.random()}", 1 << 20)
        key = f"duplicate-{self.turn}-{rng.getrandbits(32)}"
        outcomes, moment = [], time.monotonic()

        def send(number):
            own = random_module.Random(f"{key}/{number}")
            for _ in range(60):
                outcome, status = self.generator.once(content, key, "keyed", own)
                outcomes.append((outcome, status))
                if outcome == "acknowledged":
                    return
                time.sleep(0.1)
        senders = [threading.Thread(target=send, args=(number,)) for number in range(16)]
        for sender in senders:
            sender.start()
        if rng.random() < 0.2:
            world.daybook.kill()
            world.restart_daybook()
        for sender in senders:
            sender.join()
        if not any(outcome == "acknowledged" for outcome, _ in outcomes):
            raise AssertionError(f"none of 16 twins was acknowledged: {outcomes[:20]}")
        return moment


class Clock(Fault):
    """wall clock steps of an hour and a day (the record ids must stay in order)"""
    name = "clock-steps"
    file = None

    def prepare(self, world):
        library = next((path for path in (
            "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
            "/usr/lib/faketime/libfaketime.so.1") if os.path.exists(path)), None)
        if library is None:
            raise Skip("libfaketime is not installed")
        if sanitized():
            raise Skip("libfaketime and the address sanitizer do not go together")
        self.file = tempfile.NamedTemporaryFile("w", prefix="daybook-clock-", delete=False)
        self.set("+0")
        world.daybook.kill()
        world.daybook.extra_environment = {
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": self.file.name,
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        world.daybook.start()
        world.descriptors = world.count_descriptors()

    def set(self, offset):
        with open(self.file.name, "w", encoding="ascii") as out:
            out.write(offset + "\n")

    def strike(self, world, rng):
        self.set(rng.choice(["+1h", "-1h", "+1d", "-1d", "+0"]))
        return time.monotonic()


class Poison(Fault):
    """a record that kills the process that archives it, among good ones"""
    name, faults_build, tears_spool = "poison", True, True
    settings = {"pipeline.starts_max": "3"}
    turn = 0
    generator = None
    poisons = None

    def strike(self, world, rng):
        self.turn += 1
        subject = f"poison-{self.turn}-{rng.getrandbits(32)}"
        world.daybook.kill()
        world.restart_daybook({"FAULTS_POISON": subject})
        world.daybook.wait_ready()
        answer = client.post(world.port, b"poison " + rng.randbytes(64), {"ce-subject": subject})
        if answer.status != 201:
            raise AssertionError(f"the poison was refused: {answer.describe()}")
        record = answer.json()["id"]
        deaths, state, moment = 0, None, time.monotonic()
        while state != "parked":
            if world.died_as_planned(0.3):
                deaths += 1
                world.restart_daybook({"FAULTS_POISON": subject})
                moment = time.monotonic()
            try:
                state = client.request(world.port, "GET", f"/v1/records/{record}").json()["state"]
            except (OSError, client.BrokenAnswer):
                continue        # it is dying right now
            if deaths > 8 or time.monotonic() > moment + 30:
                raise AssertionError(f"after {deaths} deaths the poison is {state}")
        if deaths > 4:
            raise AssertionError(f"{deaths} deaths, three starts were allowed")
        dropped = client.request(
            world.port, "POST", f"/v1/parked/drop?id={record}&reason=poison%20of%20a%20test")
        if dropped.status != 200:
            raise AssertionError(f"the poison cannot be dropped: {dropped.describe()}")
        return moment


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
        import harness
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


FAULTS = {fault.name: fault for fault in (
    KillDaybook, CrashPoint, SpoolCrashPoint, KillRedis, KillBoth, Sigstop, Fenced, RedisTrouble,
    RedisOdd, ArchiveAway, SqliteLocked, EverythingAway, SmallDisk, FewDescriptors, RudeClients,
    Duplicates,
    Clock, Poison, ObjectStore, DiskErrors, SpoolDiskErrors, PowerCut, PowerCutControl)}
