"""Limits of the process, and a wall clock that steps."""

import os
import socket
import time

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
        self.file = world.area.file("clock")
        self.set("+0")
        world.daybook.kill()
        world.daybook.extra_environment = {
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        world.daybook.start()
        world.descriptors = world.count_descriptors()

    def set(self, offset):
        with open(self.file, "w", encoding="ascii") as out:
            out.write(offset + "\n")

    def strike(self, world, rng):
        self.set(rng.choice(["+1h", "-1h", "+1d", "-1d", "+0"]))
        return time.monotonic()
