"""Redis that runs and must not be believed."""

import time

import harness
from fault import Fault


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
