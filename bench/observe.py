"""Figures of a running daybook: its metrics, its processor time and memory, and timed requests.

lab.py puts the tests' folder on the path, where client comes from: import lab first.
"""

import os
import re
import socket
import time

import client

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")


class Failed(Exception):
    """A measurement that cannot be trusted: an error of a client or a server, or no progress."""


def scrape(daybook):
    """(name, labels) -> value of one look at /metrics."""
    page = client.request(daybook.port, "GET", "/metrics").body.decode()
    return {(found[1], found[2] or ""): float(found[3])
            for found in map(SAMPLE.match, page.splitlines()) if found}


def total(found, name):
    return sum(value for (key, _), value in found.items() if key == name)


def buckets(found, name, label):
    """Upper end of each bucket of a histogram -> samples up to it."""
    ends = {}
    for (key, labels), value in found.items():
        if key == name + "_bucket" and label in labels:
            ends[float(re.search(r'le="([^"]+)"', labels)[1])] = value
    return ends


def quantile(before, after, share):
    """(interpolated, upper end of its bucket) of the samples between two looks, if any."""
    counts = sorted((end, after[end] - before.get(end, 0)) for end in after)
    if not counts or counts[-1][1] <= 0:
        return None, None
    wanted, low, below = share * counts[-1][1], 0.0, 0.0
    for end, count in counts:
        if count >= wanted:
            inside = (wanted - below) / (count - below) if count > below else 1.0
            return (low + (end - low) * inside if end != float("inf") else low), end
        low, below = end, count
    return low, low


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def in_ms(values):
    """p50 and p99 of seconds, as milliseconds."""
    return {"p50_ms": percentile(values, 0.50) * 1e3, "p99_ms": percentile(values, 0.99) * 1e3}


def cpu_seconds(pid):
    """User and system time of a process and its threads, the kernel's I/O workers included."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid, field):
    """VmRSS, VmHWM … of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise Failed(f"/proc/{pid}/status has no {field}")


class Counted:
    """Wall and CPU time of a daybook and its Redis from here to done()."""

    def __init__(self, bench, *daybooks):
        self.pids = {"redis": [bench.redis.process.pid],
                     "daybook": [made.process.pid for made in daybooks]}
        self.before = self._now()
        self.began = time.monotonic()

    def _now(self):
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self.pids.items()}

    def done(self):
        now = self._now()
        return {"seconds": time.monotonic() - self.began,
                **{f"{name}_cpu": now[name] - self.before[name] for name in now}}


class Requests:
    """One kept-alive connection; timed requests with as little work of our own as possible."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.socket.close()

    def get(self, target, status=200):
        """(seconds, body); any other status ends the measurement."""
        words = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        began = time.perf_counter()
        self.socket.sendall(words)
        answer = self.socket.recv(1 << 18)
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._more()
        length = re.search(rb"\r\ncontent-length: *(\d+)", answer[:end].lower())
        if length is None:
            raise Failed(f"GET {target}: no Content-Length in {answer[:end]!r}")
        while len(answer) < end + 4 + int(length[1]):
            answer += self._more()
        seconds = time.perf_counter() - began
        if int(answer[9:12]) != status:
            raise Failed(f"GET {target}: {answer[:500]!r}")
        return seconds, answer[end + 4:]

    def _more(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise Failed("the server closed a connection that was in use")
        return piece

    def times(self, targets, status=200):
        return [self.get(target, status)[0] for target in targets]


def wait_released(daybook, wanted, timeout_s, each=None):
    """Waits until `wanted` records were ever released; each(figures) sees every look."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = scrape(daybook)
        if each:
            each(found)
        if total(found, "daybook_records_released_total") >= wanted:
            return found
        if time.monotonic() > deadline:
            raise Failed(f"not released within {timeout_s:.0f} s: "
                         f"{total(found, 'daybook_records_pending'):.0f} pending, "
                         f"{total(found, 'daybook_records_parked'):.0f} parked\n{daybook.tail(10)}")
        time.sleep(0.05)
