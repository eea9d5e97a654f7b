"""What the measuring programs of this folder share: a private Redis and daybook, load, figures of a
process, and result lines.

Everything runs on free loopback ports with its data below var/ of the checkout, on that disk, and
is ended by its process id. Servers run with the product's default settings but for what a
measurement is about. Times are seconds unless a name says otherwise; MB = 10^6 bytes of payload.
"""

import argparse
import atexit
import gc
import http.server
import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
os.environ.setdefault("DAYBOOK_SOURCE_DIR", ROOT)
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import client  # noqa: E402
import harness  # noqa: E402
import observe  # noqa: E402
from observe import Failed  # noqa: E402

_options = argparse.Namespace()


# --- command line ---------------------------------------------------------------------------

def parser(description):
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 measured, 1 something failed, 2 wrong use, 77 nothing can run here.")
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


def count(text):
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def size(text):
    """What bulk_load takes: 4M, 64k..4M."""
    if not re.fullmatch(r"[1-9]\d*[kM]?(\.\.[1-9]\d*[kM]?)?", text):
        raise ValueError(text)
    return text


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
            "daybook": _first_line(_options.daybook, "--version").split()[1],
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
        """Starts one with default settings and those given (server__listen for server.listen)."""
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


# --- idle connections -----------------------------------------------------------------------

def many_connections(count):
    """Settings under which so many connections of one address may stay idle for the whole run."""
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if open_files < count + 200:
        raise unittest.SkipTest(f"{count} connections need a hard limit of {count + 200} open "
                                f"files, not {open_files} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    return {"server__connections_max": count + 100, "server__idle_timeout": "1h",
            "server__connections_per_address_max": count + 100}


def hold_idle(daybook, count):
    """Connections that each had one answer and stay open."""
    held = []
    for _ in range(count):
        held.append(observe.Requests(daybook.port))
        held[-1].get("/livez")
    return held


# --- an object store that refuses -----------------------------------------------------------

class RefusingStore:
    """An S3 service whose bucket is there and which refuses every PUT for good (413)."""

    SECRETS = {"DAYBOOK_ARCHIVE_S3_ACCESS_KEY": "key", "DAYBOOK_ARCHIVE_S3_SECRET_KEY": "secret"}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(413, b"<Error><Code>EntityTooLarge</Code></Error>")

        def do_GET(self):
            if self.path.count("/") > 1:
                self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                self.answer(200, b"")

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def settings(self):
        return {"archive__kind": "s3", "archive__s3_bucket": "bench",
                "archive__s3_endpoint": f"http://127.0.0.1:{self.server.server_address[1]}"}
