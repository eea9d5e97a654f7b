"""Disks that fail under daybook, and a power cut under Redis: what LD_PRELOAD can make of them."""

import hashlib
import os
import shutil
import signal
import subprocess
import time

import harness
import preload
from fault import Fault, Skip

PARTITIONS = 4


class DiskErrors(Fault):
    """every n-th write, sync or open below the data directory fails (EIO, ENOSPC, half written)"""
    name, tears_spool = "disk-errors", True
    settings = {"pipeline.attempts_max": "3"}
    kinds = ("sync", "write", "short", "space", "open")
    redis_too = False
    turn = 0

    def prepare(self, world):
        if reason := preload.unusable():
            raise Skip(reason)
        self.plan = world.area.write("plan", "")
        world.daybook.kill()
        world.daybook.extra_environment = {
            "LD_PRELOAD": preload.build(world.area), "TORTURE_PLAN": self.plan,
            "TORTURE_MATCH": world.data_dir + "/"}
        world.daybook.start()
        world.descriptors = world.count_descriptors()

    def order(self, text):
        with open(self.plan + ".new", "w", encoding="ascii") as out:
            out.write(text)
        os.rename(self.plan + ".new", self.plan)

    def strike(self, world, rng):
        kind, self.turn = self.kinds[self.turn % len(self.kinds)], self.turn + 1
        if self.redis_too:
            world.redis.kill()
            time.sleep(rng.uniform(0, 0.3))
        self.order(f"{kind} {rng.choice((1, 2, 3, 7, 20))}")
        time.sleep(rng.uniform(0.1, 0.8))
        self.order("")
        moment = time.monotonic()
        if self.redis_too:
            time.sleep(rng.uniform(0, 0.3))
            world.redis.start()
        return moment

    def heal(self, world):
        self.order("")
        log = world.daybook.process.log()
        told = log.count(b"Input/output error") + log.count(b"No space left")
        print(f"    {self.name}: {told} failures told in the log", flush=True)
        if not told:
            world.aborts.append("no failure of the disk was noticed: this run proves nothing")


class SpoolDiskErrors(DiskErrors):
    """the same while Redis is away, so that the spool meets them"""
    name, redis_too = "spool-disk-errors", True


class PowerCut(Fault):
    """the append-only file as the disk has it at its last completed fdatasync; torn and zero tails"""
    name, tears_spool = "aof-power-cut", True
    durability = "fsync"
    must_lose = False
    tails = ("nothing", "torn", "zeros")
    largest = 60_000
    turn = 0

    def prepare(self, world):
        """Redis logs its syncs; only ingest runs, so that whatever is promised is in Redis."""
        if reason := preload.unusable():
            raise Skip(reason)
        self.sync_log = world.area.write("syncs", "")
        self.lost, self.looked_for = [], 0
        world.daybook.kill()
        world.redis.stop()
        world.redis.process.environment = {
            **os.environ, "LD_PRELOAD": preload.build(world.area),
            "TORTURE_SYNC_LOG": self.sync_log, "TORTURE_MATCH": ".incr.aof"}
        world.redis.start()
        world.daybook.role = "ingest"
        world.daybook.start()
        world.descriptors = world.count_descriptors()

    def promised(self):
        """(id, sha256) of all that a receipt called safe in Redis."""
        journal = self.generator.journal
        with journal._lock:
            return [(record_id, record.sha256) for record in journal.records.values()
                    for record_id in record.ids if record.levels == {self.durability}]

    def strike(self, world, rng):
        # Redis stands still, so its file and the log of its syncs are those of one moment. Answers
        # that it gave before may still be on their way to a client; they count as promises.
        world.redis.process.signal(signal.SIGSTOP)
        time.sleep(0.1)
        promised = self.promised()
        copy = world.area.file(f"copy-{self.turn}")
        shutil.copytree(world.redis.data, copy, ignore=shutil.ignore_patterns("*.sock"))
        shutil.copy(self.sync_log, copy + ".syncs")
        world.redis.process.signal(signal.SIGCONT)
        moment = time.monotonic()
        self.cut(copy, self.tails[self.turn % len(self.tails)], rng)
        missing = self.missing(world, copy, promised, rng)
        self.turn, self.looked_for = self.turn + 1, self.looked_for + len(promised)
        self.lost += [f"{one} was promised and not on the disk" for one in missing]
        shutil.rmtree(copy)
        return moment

    def cut(self, copy, tail, rng):
        folder = os.path.join(copy, "appendonlydir")
        path = max((os.path.join(folder, name) for name in os.listdir(folder)
                    if name.endswith(".incr.aof")), key=os.path.getmtime)
        synced = 0
        with open(copy + ".syncs", encoding="utf-8") as lines:
            for line in lines:
                size, _, name = line.strip().partition(" ")
                if os.path.basename(name) == os.path.basename(path):
                    synced = int(size)
        size = os.path.getsize(path)
        kept = min(size, synced)
        if tail == "torn":
            kept += rng.randrange(size - kept + 1)
        os.truncate(path, kept)
        if tail == "zeros":
            os.truncate(path, max(size, kept + 4096))
            subprocess.run(["redis-check-aof", "--fix", path], input=b"y\n", capture_output=True,
                           timeout=60, check=False)

    def missing(self, world, copy, promised, rng):
        redis = harness.Redis(world.area, name=os.path.basename(copy),
                              **{"aof-load-truncated": "yes"})
        redis.start()
        try:
            harness.wait_until(lambda: redis.info("loading") == "0", "Redis has loaded the copy")
            held = {key.rsplit(":", 1)[1]: key for key in redis.command(
                "--scan", "--pattern", "{daybook:*}:record:*").split()}
            pending = set()
            for number in range(PARTITIONS):
                pending |= set(redis.command("HKEYS", f"{{daybook:{number}}}:pending").split())
            missing = [one for one, _ in promised if one not in held or one not in pending]
            there = [one for one in promised if one[0] in held]
            for record_id, sha256 in rng.sample(there, min(10, len(there))):
                stored = subprocess.run(
                    ["redis-cli", "-p", str(redis.port), "--raw", "GET", held[record_id]],
                    capture_output=True, timeout=30, check=True).stdout[:-1]
                opened = subprocess.run(["zstd", "-dcq"], input=stored, capture_output=True,
                                        check=False).stdout
                if hashlib.sha256(opened).hexdigest() != sha256:
                    missing.append(record_id)
            return missing
        finally:
            redis.kill()

    def heal(self, world):
        world.daybook.stop()
        world.daybook.role = None
        world.restart_daybook()
        print(f"    {self.name}: {self.looked_for} promises looked for in {self.turn} cut copies, "
              f"{len(self.lost)} not found", flush=True)
        if not self.looked_for:
            world.aborts.append("no record was promised: this run proves nothing")
        if self.must_lose:
            if not self.lost:
                world.aborts.append("the control run lost nothing: this check proves nothing")
            self.lost = []


class PowerCutControl(PowerCut):
    """the same with everysec and durability memory; it must lose records, or the check is worthless"""
    name, must_lose, durability = "aof-power-cut-control", True, "memory"
    settings = {"buffer.durability": "memory"}
    redis_settings = {"appendfsync": "everysec"}
    tails = ("nothing",)
