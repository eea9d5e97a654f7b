"""One torture run: load, strikes, restoration, drain, check; and the table that says how many."""

import argparse
import json
import os
import random
import subprocess
import sys
import time

import world as world_module    # first: it finds the harness
import judge
import faults
import generator
import harness
import journal as journal_module

# name -> strikes in ops/test (middle) and one round of a campaign
TABLE = {
    "kill-daybook": (20, 40), "crash-points": (18, 36), "crash-points-spool": (8, 12),
    "kill-redis": (12, 30), "kill-both": (5, 10), "sigstop": (5, 8), "sigstop-long": (1, 6),
    "fenced-owner": (4, 8), "redis-trouble": (10, 15), "redis-odd": (8, 16),
    "redis-loses-records": (6, 12), "redis-wrong-at-start": (5, 10), "archive-away": (6, 12),
    "sqlite-locked": (6, 12), "sqlite-full": (3, 8), "sqlite-read-only": (6, 12),
    "redis-and-archive-away": (5, 10), "small-disk": (3, 5), "fd-limit": (3, 5),
    "memory-limit": (3, 10), "rude-clients": (200, 1000), "slow-headers": (1000, 10000),
    "slow-bodies": (1000, 10000),
    "slowhttptest": (1000, 10000), "early-refusals": (200, 10000), "duplicates": (13, 40),
    "clock-steps": (5, 20), "poison": (5, 5), "object-store": (54, 108), "disk-errors": (14, 40),
    "spool-disk-errors": (10, 30), "aof-power-cut": (10, 15), "aof-power-cut-control": (3, 5),
}


def replay_command(name, count, seed):
    return f"tests/torture/run --fault {name} --count {count} --seed {seed}"


def torture(name, count, seed, quiet=False):
    """Returns a dictionary of figures; raises faults.Skip where the machine cannot."""
    fault = faults.FAULTS[name]()
    fault.count = count
    if fault.faults_build and not faults_compiled_in():
        raise faults.Skip("this build has no crash points (cmake --preset torture)")
    rng = random.Random(f"{seed}/strikes")
    began = time.monotonic()
    world = world_module.World(fault.settings, fault.environment, fault.redis_settings,
                               fault.prefix)
    world.tears_spool, world.forgets_keys = fault.tears_spool, fault.forgets_keys
    report, recoveries = judge.Report(), []
    log = journal_module.Journal(world.area.file("journal"))
    try:
        fault.prepare(world)
        load = generator.Generator(world, log, seed, fault.clients, fault_largest(fault))
        fault.generator = load
        load.start()
        moments = []
        try:
            for _ in range(1 if fault.at_once else count):
                time.sleep(rng.uniform(*fault.pause_s))
                moments.append(fault.strike(world, rng))
                world.look()
        except Exception as error:     # whatever it was: a strike that failed is a finding
            report.count("unexpected", f"{type(error).__name__}: {error}"[:400])
        finally:
            time.sleep(0.5)
            load.stop()
        recoveries = [pause for pause in map(load.first_acknowledgement_after, moments)
                      if pause is not None]
        fault.heal(world)
        drained = world.drained()
        if drained is None:
            report.count("hang", f"not drained in {world_module.DRAIN_S} s: {world.last_status}")
        else:
            try:
                world.listed = fault.listed(world)
            except AssertionError as error:
                report.count("unexpected", str(error)[:400])
            left = world.count_descriptors() - world.descriptors
            if fault.restarts:
                world.daybook.stop()
                world.restart_daybook()
            judge.check(log, world, fault.archive(world), report)
            if left > 40:       # pools of connections to Redis and worker files
                report.count("residue", f"{left} more descriptors than at the start")
        for text in load.hangs:
            report.count("hang", text)
        for text in load.unexpected:
            report.count("unexpected", text)
    finally:
        if not report.clean() and os.environ.get("DAYBOOK_KEEP"):
            print("kept:", world.area.path)
        world.close()
        getattr(fault, "clean_up", lambda: None)()
    for text in getattr(fault, "lost", ()):
        report.count("lost", text)
    for text in world.aborts:
        report.count("abort", text)
    if harness.ALARMS.search(world.daybook.process.log()):
        report.count("abort", "an alarm in the log")
    result = {
        "fault": name, "strikes": count, "seed": seed, "replay": replay_command(name, count, seed),
        "seconds": round(time.monotonic() - began, 1), "attempts": log.attempts,
        "acknowledged": len(log.acknowledged()), "bytes": load.bytes,
        "durabilities": log.durabilities, "counters": report.counters,
        "contested": report.contested, "listed": report.listed, "figures": fault.figures(),
        "examples": report.examples, "recovery_s": recoveries, "drained_s": drained,
        "clean": report.clean()}
    if not quiet:
        show(result, report)
    return result


def fault_largest(fault):
    if isinstance(fault, (faults.SmallDisk, faults.Poison)):
        return 1 << 20
    return getattr(fault, "largest", 6 << 20)


def show(result, report):
    verdict = "ok  " if result["clean"] else "FAIL"
    levels = " ".join(f"{name}:{count}" for name, count in result["durabilities"].items())
    print(f"{verdict} {result['fault']:24} {result['strikes']:5} strikes {result['seconds']:6.0f} s "
          f"{result['acknowledged']:6} acknowledged ({levels}) {result['contested']} contested  "
          f"{'%d listed  ' % result['listed'] if result.get('listed') else ''}"
          f"{''.join(f'{name} {number}  ' for name, number in result['figures'].items())}"
          f"{result['replay']}", flush=True)
    if not result["clean"]:
        print(f"    {report}", flush=True)


def faults_compiled_in():
    with open(harness.binary(), "rb") as program:
        return b"FAULTS_CRASH" in program.read()


def use_build(build):
    source = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
    for candidate in ([os.path.join(build, "api", "daybook")] if build else
                      [os.environ.get("DAYBOOK_BINARY", ""),
                       os.path.join(source, "build", "torture", "api", "daybook")]):
        if candidate and os.access(candidate, os.X_OK):
            harness._options.binary = candidate
            return
    sys.exit("There is no daybook to torture: cmake --preset torture && cmake --build build/torture "
             "--target daybook")


def parser(about):
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--build", help="build folder (default: $DAYBOOK_BINARY or build/torture)")
    made.add_argument("--seed", type=int, default=int(os.environ.get("DAYBOOK_TEST_SEED", "0")) or
                      random.SystemRandom().randrange(1 << 32))
    return made


def versions():
    def line(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True,
                                  check=False).stdout.strip().splitlines()[0]
        except (OSError, IndexError):
            return "?"
    return {"daybook": line(harness.binary(), "--version"), "redis": line("redis-server", "-v"),
            "kernel": line("uname", "-r"), "sqlite": line("sqlite3", "--version"),
            "commit": line("git", "-C", os.path.dirname(__file__), "rev-parse", "--short", "HEAD"),
            "cores": os.cpu_count()}


def broken_run(name, count, seed, error):
    report = judge.Report()
    report.count("unexpected", f"{type(error).__name__}: {error}"[:1000])
    result = {"fault": name, "strikes": 0, "seed": seed, "replay": replay_command(name, count, seed),
              "seconds": 0, "attempts": 0, "acknowledged": 0, "bytes": 0, "durabilities": {},
              "counters": report.counters, "contested": 0, "examples": report.examples,
              "recovery_s": [], "drained_s": None, "clean": False}
    show(result, report)
    return result


def run_many(plan, seed):
    """plan: (name, strikes). Returns results and prints skips."""
    results, skipped = [], []
    for number, (name, count) in enumerate(plan):
        try:
            results.append(torture(name, count, (seed + number) % (1 << 32)))
        except faults.Skip as reason:
            skipped.append((name, str(reason)))
            print(f"skip {name}: {reason}", flush=True)
        except Exception as error:     # the world did not even begin, or end: a finding as well
            results.append(broken_run(name, count, (seed + number) % (1 << 32), error))
    return results, skipped


def dump(path, document):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out, indent=1)
        out.write("\n")
