"""Processes that die, stand still, or are killed by what they work on."""

import signal
import time

import client
import harness
from fault import Fault

CRASH_POINTS = ("before_append", "after_append", "before_answer", "before_put", "after_put",
                "before_row", "after_row", "before_release", "after_release")
SPOOL_POINTS = ("before_spool", "after_spool", "before_replay", "after_replay")


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
    """SIGSTOP of Redis or daybook for 1 to 4 s"""
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
    stopped_s = (1.5, 3.5)      # the lease is 1 s
    other = None

    def prepare(self, world):
        from world import SETTINGS
        self.other = harness.Daybook(
            world.area, world.redis,
            {**SETTINGS, "archive.file_dir": world.archive_dir,
             "metadata.sqlite_file": world.sqlite_file}, role="pipeline", name="second")
        self.other.start(wait_ready=False)
        world.area.second = self.other

    def targets(self, world):
        return [world.daybook.process, self.other.process]

    def strike(self, world, rng):
        target = rng.choice(self.targets(world))
        target.signal(signal.SIGSTOP)
        time.sleep(rng.uniform(*self.stopped_s))
        target.signal(signal.SIGCONT)
        return time.monotonic()


class SigstopLong(Fenced):
    """SIGSTOP of Redis, daybook or a second pipeline for up to 30 s, each in its turn"""
    name, stopped_s = "sigstop-long", (10, 30)
    turn = 0

    def targets(self, world):
        self.turn += 1
        return [[world.redis.process, world.daybook.process, self.other.process][self.turn % 3]]


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
        content = b"poison " + rng.randbytes(64)
        fields = {"ce-subject": subject, "Idempotency-Key": subject}
        record, deaths, state, moment = None, 0, None, time.monotonic()
        while state != "parked":
            if world.died_as_planned(0.3 if record else 0.01):
                deaths += 1
                world.restart_daybook({"FAULTS_POISON": subject})
                moment = time.monotonic()
            try:
                # It may die of the poison before it has answered for it: then the key finds it.
                if not record:
                    answer = client.post(world.port, content, fields)
                    if answer.status not in (200, 201, 409):
                        raise AssertionError(f"the poison was refused: {answer.describe()}")
                    record = answer.json().get("id")
                    continue
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
