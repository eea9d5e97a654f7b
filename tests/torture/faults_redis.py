"""Redis that runs and must not be believed."""

import json
import os
import shutil
import signal
import subprocess
import time

import client
import harness
from fault import Fault


def whole_again(redis):
    """After appendonly was switched on."""
    harness.wait_until(lambda: (redis.info("aof_rewrite_in_progress"), redis.info(
        "aof_rewrite_scheduled")) == ("0", "0"), "the append-only file is whole again")


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
            whole_again(redis)
        return time.monotonic()


class RedisLosesRecords(Fault):
    """FLUSHALL; an older copy of the append-only file; a start without the append-only file"""
    name, restarts, forgets_keys = "redis-loses-records", True, True
    kinds = ("flushall", "older_copy", "no_file")
    turn = 0

    def strike(self, world, rng):
        kind, self.turn = self.kinds[self.turn % len(self.kinds)], self.turn + 1
        # The archive is away, so that there is something to lose.
        away = world.archive_dir + ".away"
        os.rename(world.archive_dir, away)
        with open(world.archive_dir, "wb"):
            time.sleep(rng.uniform(0.1, 0.5))
            getattr(self, kind)(world, rng)
            moment = time.monotonic()
            time.sleep(rng.uniform(0, 0.5))
        os.remove(world.archive_dir)
        os.rename(away, world.archive_dir)
        return moment

    def flushall(self, world, _rng):
        world.redis.command("FLUSHALL")

    def older_copy(self, world, rng):
        folder = os.path.join(world.redis.data, "appendonlydir")
        world.redis.process.signal(signal.SIGSTOP)
        shutil.copytree(folder, folder + ".copy")
        world.redis.process.signal(signal.SIGCONT)
        time.sleep(rng.uniform(0.3, 1))
        world.redis.kill()
        shutil.rmtree(folder)
        os.rename(folder + ".copy", folder)
        world.redis.start()

    def no_file(self, world, rng):
        command = world.redis.process.command
        world.redis.kill()
        world.redis.process.command = [*command, "--appendonly", "no"]
        world.redis.start()
        world.redis.process.command = command
        time.sleep(rng.uniform(0.2, 0.8))
        world.redis.configure("appendonly", "yes")
        whole_again(world.redis)

    def listed(self, world):
        """What fsck calls missing; a daybook that runs on must say the same by itself."""
        run = subprocess.run(
            [harness.binary(), "fsck", "--json", "--set", f"node.data_dir={world.data_dir}", "--set",
             f"buffer.url={world.redis.url}"], capture_output=True, timeout=120, check=False,
            env=harness.clean_environment())
        if run.returncode not in (0, 1):
            raise AssertionError(f"daybook fsck: {run.returncode} {run.stderr[-300:]}")
        said = json.loads(run.stdout)
        ids = frozenset(finding["subject"] for finding in said["findings"]
                        if finding["kind"] == "missing")
        if len(ids) != said["counts"]["missing"]:
            raise AssertionError(f"fsck counts {said['counts']} and names {len(ids)}")
        if not ids and self.turn >= len(self.kinds):
            world.aborts.append("Redis lost nothing: this run proves nothing")
        harness.wait_until(lambda: self.metric(world) == len(ids),
                           f"daybook_records_missing is {len(ids)}", 90)
        return ids

    def metric(self, world):
        text = client.request(world.port, "GET", "/metrics").body.decode()
        return next(float(line.split()[1]) for line in text.splitlines()
                    if line.startswith("daybook_records_missing "))


class RedisWrongAtStart(Fault):
    """daybook starts while Redis is no place for records: it spools, says why, and recovers"""
    name, tears_spool = "redis-wrong-at-start", True
    generator = None
    turn = 0
    SETTINGS = (("appendonly", "no", "yes"), ("maxmemory-policy", "allkeys-lru", "noeviction"),
                ("appendfsync", "everysec", "always"))

    def strike(self, world, rng):
        turn, self.turn = self.turn % (len(self.SETTINGS) + 1), self.turn + 1
        world.daybook.kill()
        if turn == len(self.SETTINGS):
            word = "replica"
            world.redis.command("REPLICAOF", "127.0.0.1", harness.free_port())
        else:
            word, wrong, right = self.SETTINGS[turn]
            world.redis.configure(word, wrong)
        before = self.generator.journal.durabilities.get("spool", 0)
        world.daybook.start(wait_ready=False)
        # At first it says that it has not looked yet.
        harness.wait_until(
            lambda: word in world.daybook.wait_check("buffer", False, 30)["detail"],
            f"/readyz names {word}, which is wrong", 30)
        harness.wait_until(
            lambda: self.generator.journal.durabilities.get("spool", 0) > before + 3,
            f"records go to the spool while {word} is wrong", 30)
        time.sleep(rng.random())
        if word == "replica":
            world.redis.command("REPLICAOF", "NO", "ONE")
        else:
            world.redis.configure(word, right)
        moment = time.monotonic()
        if word == "appendonly":
            whole_again(world.redis)
        world.daybook.wait_ready()
        return moment
