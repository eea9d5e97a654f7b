"""Crowds at the door: connections that are slow on purpose, and clients that hear too late that they
are refused. Both count what good clients keep."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import harness
import test_early_refusal
from fault import Fault, Skip

HERE = os.path.dirname(os.path.realpath(__file__))


class SlowHeaders(Fault):
    """connections that dribble header bytes; good clients must keep their throughput"""
    name, clients, at_once = "slow-headers", 0, True
    part = "headers"
    windows_s = 2.5
    good_clients, size = 4, 256 << 10
    least_share = 0.5           # asserted up to so many connections; beyond, it is measured
    asserted_to = 1000
    generator = None
    share = thrown_out = held = 0

    def strike(self, world, rng):
        before = self.good(world, rng)
        crowd = self.crowd(world)
        try:
            time.sleep(2)
            during = self.good(world, rng) + self.good(world, rng)
        finally:
            moment = time.monotonic()
            self.end(crowd)
        time.sleep(1)
        after = self.good(world, rng)
        self.share = during / max(1, before + after)
        # Others may have had the machine in one of the windows: the worse one is what was possible.
        possible = min(before, after)
        if self.count <= self.asserted_to and during / 2 < self.least_share * possible:
            raise AssertionError(f"good clients kept {self.share:.2f} of their throughput: "
                                 f"{before}, {after} without and {during} with slow clients")
        return moment

    def good(self, world, rng):
        """Records that good clients got through in one window."""
        until = time.monotonic() + self.windows_s
        noise = rng.randbytes(self.size)
        counts = []

        def send(number):
            done = 0
            while time.monotonic() < until:
                name = hashlib.sha256(f"{number} {done} {until}".encode()).hexdigest()
                outcome, _ = self.generator.once(name.encode() + noise, name, "keyed",
                                                 random.Random(name))
                done += outcome == "acknowledged"
            counts.append(done)
        senders = [threading.Thread(target=send, args=(number,))
                   for number in range(self.good_clients)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        return sum(counts)

    def crowd(self, world):
        child = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "slow_clients.py"), str(world.port),
             str(self.count), self.part], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if child.stdout.readline().strip() != "ready":
            child.kill()
            raise AssertionError("the slow clients did not connect")
        return child

    def end(self, child):
        said, _ = child.communicate("\n", timeout=60)
        self.held, self.thrown_out = map(int, said.split())
        if self.held < min(self.count // 2, 2000):      # of 10,000 the server ends many at once
            raise AssertionError(f"only {self.held} of {self.count} slow connections were held: "
                                 "this run proves nothing")

    def figures(self):
        return {"slow_connections": self.held, "thrown_out": self.thrown_out,
                "good_traffic_share": round(self.share, 3)}


class SlowBodies(SlowHeaders):
    """connections that dribble the bytes of a body of 100 kB"""
    name, part = "slow-bodies", "bodies"


class SlowHttpTest(SlowHeaders):
    """slow headers, made by slowhttptest"""
    name = "slowhttptest"
    # Its connections come from one address, which is that of the good clients.
    settings = {"server.connections_per_address_max": "20000"}

    def prepare(self, world):
        if not shutil.which("slowhttptest"):
            raise Skip("slowhttptest is not installed")

    def crowd(self, world):
        url = f"http://127.0.0.1:{world.port}/v1/records"
        return subprocess.Popen(
            ["slowhttptest", "-H", "-c", str(self.count), "-r", str(self.count), "-i", "5", "-l", "60",
             "-p", "5", "-u", url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def end(self, crowd):
        if crowd.poll() is not None:
            raise AssertionError(f"slowhttptest ended early with {crowd.returncode}: "
                                 f"{crowd.stdout.read()[-300:]}")
        crowd.send_signal(signal.SIGINT)
        crowd.communicate(timeout=30)
        self.held = self.count


class EarlyRefusals(Fault):
    """clients that send 6 MB to their end before they read: they must be able to read the refusal"""
    name, clients, at_once = "early-refusals", 1, True
    least_share = 0.999
    tries = failures = 0

    def strike(self, world, rng):
        failures, self.tries = test_early_refusal.run(self.count, workers=4, report=lambda _: None)
        self.failures = len(failures)
        if self.failures > self.tries * (1 - self.least_share):
            raise AssertionError(f"{self.failures} of {self.tries} clients could not read that they "
                                 f"were refused: {failures[:5]}")
        return time.monotonic()

    def figures(self):
        return {"refusals": self.tries,
                "readable_share": round(1 - self.failures / max(1, self.tries), 5)}
