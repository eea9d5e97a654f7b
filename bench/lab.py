"""What the measuring programs of this folder share: a private Redis and daybook, load, figures of a
process, and result lines.

Everything runs on free loopback ports with its data below var/ of the checkout, on that disk, and is
ended by its process id. Servers run with the product's default settings; what a measurement changes
is in its result. Times are seconds unless a name says otherwise; MB = 10^6 bytes of payload.
"""

import argparse
import atexit
import gc
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
os.environ.setdefault("DAYBOOK_SOURCE_DIR", ROOT)
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import client  # noqa: E402
import harness  # noqa: E402

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_options = argparse.Namespace()


class Failed(Exception):
    """A measurement that cannot be trusted: an error of a client or a server, or no progress."""


# --- command line ---------------------------------------------------------------------------

def parser(description):
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 measured, 1 something failed, 2 wrong use, 77 nothing could run here.")
    made.add_argument("--build", default=os.path.join(ROOT, "build", "release"), metavar="FOLDER",
                      help="where api/daybook and bench/bulk_load are (default build/release)")
    made.add_argument("--daybook", metavar="FILE", help="the program from elsewhere")
    made.add_argument("--bulk-load", metavar="FILE", help="the program from elsewhere")
    made.add_argument("--data", default=os.path.join(ROOT, "var"), metavar="FOLDER",
                      help="where the servers' data goes meanwhile (default var)")
    made.add_argument("--json", metavar="FILE",
                      help="add one line for each measurement, e.g. to bench/results/NAME.jsonl")
    made.add_argument("--seed", type=int, default=1, help="the same seed sends the same bytes")
    made.add_argument("--generated", action="store_true",
                      help="generated audit JSON, the same on every machine (default: what "
                           "bulk_load finds)")
    return made


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def run(made, measure):
    """Parses, calls measure(options), ends every server; the exit status is the program's."""
    options = made.parse_args()
    for name in ("daybook", "bulk_load"):
        folder = {"daybook": "api", "bulk_load": "bench"}[name]
        path = getattr(options, name) or os.path.join(options.build, folder, name)
        if not os.access(path, os.X_OK):
            made.error(f"there is no program {path}. Build it: cmake --preset release && cmake "
                       "--build build/release")
        setattr(options, name, os.path.realpath(path))
    if options.json and not os.path.isdir(os.path.dirname(os.path.abspath(options.json))):
        made.error(f"--json {options.json}: there is no such folder")
    os.makedirs(options.data, exist_ok=True)
    tempfile.tempdir = os.path.realpath(options.data)
    vars(_options).update(vars(options))
    harness.options().binary = options.daybook
    atexit.register(harness._end_everything)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    gc.disable()  # a collection in the middle of a timed request would be charged to the server
    try:
        measure(options)
    except unittest.SkipTest as reason:
        print(f"skipped: {reason}")
        sys.exit(harness.SKIP_EXIT_STATUS)
    except (Failed, AssertionError, OSError, client.BrokenAnswer) as error:
        print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        sys.exit(1)


# --- results --------------------------------------------------------------------------------

def _first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.split("\n")[0].strip() if done.returncode == 0 else "unknown"


def machine():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        cpu = next((line.split(":", 1)[1].strip() for line in lines
                    if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_bytes": memory,
            "kernel": platform.release()}


def rounded(value):
    """Five significant digits: a figure has no more."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return value


def result(kind, **figures):
    """Adds a line to --json, if that was asked for; the line of `kind` that comes last counts."""
    line = {"kind": kind, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "commit": _first_line("git", "-C", ROOT, "describe", "--always", "--dirty"),
            "daybook": _first_line(_options.daybook, "--version").split()[-1],
            "machine": machine(), "seed": _options.seed,
            "load_average": round(os.getloadavg()[0], 2), **rounded(figures)}
    if _options.json:
        with open(_options.json, "a", encoding="ascii") as out:
            out.write(json.dumps(line) + "\n")
    return line


def say(text=""):
    print(text, flush=True)


# --- servers --------------------------------------------------------------------------------

class Bench:
    """A folder, a Redis that fsyncs every append, and the daybooks started on it."""

    def __init__(self, name):
        self.area = harness.Area(f"bench-{name}")
        # A Unix socket's path may have 107 characters; a deep checkout does not fit.
        self.socket_dir = tempfile.mkdtemp(prefix="daybook-bench-", dir="/tmp")
        self.redis = harness.Redis(self.area, unixsocket=os.path.join(self.socket_dir, "redis"))
        self.redis.start()
        self.daybooks = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def redis_socket(self):
        return os.path.join(self.socket_dir, "redis")

    def daybook(self, role=None, name="daybook", environment=None, wait_ready=True, **settings):
        """Starts one with the default settings and those given (server__listen for server.listen)."""
        made = harness.Daybook(self.area, None, role=role, name=name, environment=environment)
        made.settings = {
            "server.listen": f"127.0.0.1:{made.port}", "node.data_dir": made.data_dir,
            "buffer.url": f"unix:{self.redis_socket}",
            **{key.replace("__", "."): value for key, value in settings.items()}}
        self.daybooks.append(made)
        return made.start(wait_ready)

    def close(self):
        for made in self.daybooks:
            if made.process and made.process.running():
                made.kill()
        if self.redis.process.running():
            self.redis.kill()  # its data goes away anyway
        shutil.rmtree(self.socket_dir, ignore_errors=True)
        self.area.remove()


def settle(bench):
    """A short append-only file and a quiet disk, outside what is measured."""
    bench.redis.command("BGREWRITEAOF")
    time.sleep(0.3)
    harness.wait_until(lambda: bench.redis.info("aof_rewrite_in_progress") == "0" and
                       bench.redis.info("aof_rewrite_scheduled") == "0",
                       "Redis has rewritten its append-only file", 300)
    os.sync()


def load(daybook, allow_errors=False, **words):
    """Runs bulk_load with --word value for each; returns what it says as JSON."""
    command = [_options.bulk_load, "--url", daybook.url, "--json", "--seed", str(_options.seed)]
    if _options.generated:
        command.append("--generated")
    for name, value in words.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"bulk_load exit {done.returncode}: {done.stdout}{done.stderr}") from None
    if said["errors"] and not allow_errors:
        raise Failed(f"bulk_load had errors: {said['errors']}\n{daybook.tail(10)}")
    return said


# --- figures --------------------------------------------------------------------------------

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
    """(interpolated, upper end of its bucket) of the samples between two looks; None without any."""
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


# --- idle connections -----------------------------------------------------------------------

def many_connections(count):
    """Settings under which so many connections of one address may stay idle for the whole run."""
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if open_files < count + 200:
        raise unittest.SkipTest(f"{count} connections need a hard limit of {count + 200} open files, "
                                f"not {open_files} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    return {"server__connections_max": count + 100, "server__idle_timeout": "1h",
            "server__connections_per_address_max": count + 100}


def hold_idle(daybook, count):
    """Connections that each had one answer and stay open."""
    held = []
    for _ in range(count):
        held.append(Requests(daybook.port))
        held[-1].get("/livez")
    return held
