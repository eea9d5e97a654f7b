"""Limits of the process, and a wall clock that steps."""

import os
import random
import socket
import threading
import time

import harness
import preload
from fault import Fault, Skip, sanitized


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


class LittleMemory(Fault):
    """a process that may have 288 MiB, and uploads of seven times its room for payloads at once"""
    name = "memory-limit"
    limit = 288 << 20
    settings = {"node.memory_max": "288MiB", "ingest.memory_max": "40MiB",
                "ingest.admission_wait": "200ms", "server.connections_max": "512",
                "pipeline.fresh_memory_max": "8MiB", "feed.memory_max": "40MiB",
                "server.worker_threads": "2", "pipeline.archive_concurrency": "2"}
    crowd, size = 48, 6_000_000
    generator = None
    peak = 0

    def __init__(self):
        self.group = None
        if sanitized():
            return      # which needs more memory itself: only the refusals are looked at
        self.group = self.make_group()
        if self.group:
            self.prefix = ("sh", "-c", f'echo $$ > {self.group}/cgroup.procs && exec "$@"', "sh")
        else:
            self.prefix = ("prlimit", f"--as={4 * self.limit}")

    def make_group(self):
        """A control group with the limit, or None where that is not allowed."""
        for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                            ("/sys/fs/cgroup", "memory.max")):
            group = os.path.join(root, f"daybook-torture-{os.getpid()}-{time.monotonic_ns()}")
            try:
                os.mkdir(group)
                with open(os.path.join(group, limit), "w", encoding="ascii") as out:
                    out.write(str(self.limit))
                return group
            except OSError:
                if os.path.isdir(group):
                    os.rmdir(group)
        return None

    def strike(self, world, rng):
        noise = rng.randbytes(self.size)

        def send(number):
            own = random.Random(f"{noise[:8].hex()} {number}")
            key = f"crowd-{own.getrandbits(64):x}"
            for _ in range(400):
                if self.generator.once(key.encode() + noise, key, "keyed", own)[0] == "acknowledged":
                    return
                time.sleep(0.05 + own.random() * 0.2)
            self.generator.hangs.append("one of a crowd was not acknowledged in 400 tries")
        senders = [threading.Thread(target=send, args=(number,)) for number in range(self.crowd)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        with open(f"/proc/{world.daybook.process.pid}/status", encoding="ascii") as lines:
            self.peak = max(self.peak, *(int(line.split()[1]) << 10 for line in lines
                                         if line.startswith("VmHWM:")))
        if self.peak > self.limit and not sanitized():
            raise AssertionError(f"the resident set was {self.peak >> 20} MiB")
        return time.monotonic()

    def figures(self):
        return {"peak_mib": self.peak >> 20, "turned_away": self.generator.turned_away}

    def clean_up(self):
        if self.group:
            harness.wait_until(lambda: self.gone(), "the control group is empty", 10)

    def gone(self):
        try:
            os.rmdir(self.group)
            return True
        except OSError:
            return not os.path.isdir(self.group)


class Clock(Fault):
    """wall clock steps of an hour and a day (the record ids must stay in order)"""
    name = "clock-steps"
    file = None

    def prepare(self, world):
        if reason := preload.unusable():
            raise Skip(reason)
        self.file = world.area.write("clock", "+0\n")
        world.daybook.kill()
        world.daybook.extra_environment = self.clock(world)
        world.daybook.start()
        world.descriptors = world.count_descriptors()

    def clock(self, world):
        """libfaketime's, or ours where a sanitizer does not suffer that or it is not installed."""
        library = next((path for path in (
            "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
            "/usr/lib/faketime/libfaketime.so.1") if os.path.exists(path)), None)
        if library is None or sanitized():
            return {"LD_PRELOAD": preload.build(world.area), "TORTURE_CLOCK": self.file}
        return {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": self.file,
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def strike(self, world, rng):
        with open(self.file, "w", encoding="ascii") as out:
            out.write(rng.choice(["+3600", "-3600", "+86400", "-86400", "+0"]) + "\n")
        return time.monotonic()
