"""What a peer is, and the peers that keep their records in Redis.

A peer is started fresh for each run, with its data in a folder of its own, and ended after it. After
the load it must show that it holds as many records and bytes as it has acknowledged.
"""

import csv
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys

import machine
import wire

HERE = os.path.dirname(os.path.realpath(__file__))
# What an acknowledgement of a peer can mean, in the order of the table.
MEANINGS = ("fsynced", "gives an id", "validates", "digest", "deduplicates", "archived")


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def first_version(command):
    """The first thing that looks like a version in what a command prints."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = re.search(r"\d+\.\d+(\.\d+)?", run.stdout + run.stderr)
    return found.group() if found else "unknown"


def package_version(package):
    run = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                         capture_output=True, text=True, check=False)
    return re.sub(r"^\d+:|[-+].*$", "", run.stdout) or "unknown"


class Peer:
    name = ""
    packages = ()   # of Debian
    programs = ()
    # For each of MEANINGS what the acknowledgement gives.
    means = dict.fromkeys(MEANINGS, "no")

    def __init__(self, setup):
        self.setup = setup      # what run was asked for: programs, bodies, connections
        self.folder = ""
        self.children = []      # started here, in order
        self.extra_roots = []   # process ids that daemons wrote down
        self.logs = []
        self.loads = 0
        self.acknowledged = [0, 0]  # records, bytes

    def missing(self):
        """Why this peer cannot run here and what would change that; empty when it can."""
        absent = [program for program in self.programs if not find(program)]
        if not absent:
            return ""
        return f"{', '.join(absent)}: apt-get install --no-install-recommends {' '.join(self.packages)}"

    def absent_packages(self):
        return self.packages

    def versions(self):
        return {package: package_version(package) for package in self.packages}

    def start(self, folder):
        raise NotImplementedError

    def load(self, seconds):
        """One run of the load client; its report as bulk_load --json gives it."""
        raise NotImplementedError

    def settle(self):
        """Waits for what the peer does after the acknowledgement, where it does something."""

    def stored(self):
        """(records, payload bytes) that the peer holds; None for what it cannot tell."""
        raise NotImplementedError

    def check(self):
        records, size = self.stored()
        if records != self.acknowledged[0]:
            raise machine.Failed(f"{self.name} acknowledged {self.acknowledged[0]} records and holds "
                                 f"{records}")
        if size is not None and size != self.acknowledged[1]:
            raise machine.Failed(f"{self.name} acknowledged {self.acknowledged[1]} bytes and holds {size}")

    def stop(self):
        for child in reversed(self.children):
            machine.stop(child)
        self.children = []

    # Helpers for the classes below.

    def roots(self):
        return [child.pid for child in self.children] + self.extra_roots

    def render(self, name, **values):
        """Copies a configuration of this folder beside the data, @NAMES@ filled in."""
        with open(os.path.join(HERE, name), encoding="utf-8") as file:
            text = file.read()
        values = {"DIR": self.folder, "CORES": os.cpu_count(), **values}
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        left = re.search(r"@[A-Z_]+@", text)
        if left:
            raise machine.Failed(f"{name} needs {left.group()}")
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def spawn(self, name, command, address, environment=None):
        """Starts a server and waits until it accepts connections."""
        log = os.path.join(self.folder, f"{name}.out")
        self.logs.append(log)
        child = machine.start(command, log, environment, self.folder)
        self.children.append(child)

        def ready():
            if child.poll() is not None:
                raise machine.Failed(f"{command[0]} ended with {child.returncode}\n" + self.last_words())
            return machine.listens(address)
        machine.wait_until(ready, f"{name} listens on {address}")

    def last_words(self):
        return "\n".join(f"{path}:\n{machine.log_tail(path)}" for path in self.logs)

    def run_client(self, command):
        """Runs a load client; its report, with the processor time that the client used."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run(command, capture_output=True, text=True, check=False,
                             env=machine.clean_environment(**self.setup.corpus_environment))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            report = json.loads(run.stdout)
        except ValueError:
            raise machine.Failed(f"{command[0]}: exit status {run.returncode}: {run.stderr.strip()}"
                                 ) from None
        if run.returncode != 0 or report["errors"] or not report["records"]:
            raise machine.Failed(f"{os.path.basename(command[0])} had errors: {report['errors']} "
                                 f"{report.get('first_error', '')}{run.stderr}\n" + self.last_words())
        report["client_cpu_s"] = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
        self.acknowledged[0] += report["records"]
        self.acknowledged[1] += report["bytes"]
        self.loads += 1
        return report

    def bulk_load(self, port, seconds, *words):
        return self.run_client([
            self.setup.bulk_load, "--url", f"http://127.0.0.1:{port}", "--duration", str(seconds),
            "--connections", str(self.setup.connections), *self.setup.payload_words, *words, "--json"])

    def socket_load(self, protocol, address, seconds):
        return self.run_client([
            sys.executable, os.path.join(HERE, "socket_load"), protocol, str(address),
            "--bodies", self.setup.bodies, "--connections", str(self.setup.connections),
            "--duration", str(seconds), "--name", f"load{self.loads}"])


class OnRedis(Peer):
    """Starts the Redis of redis.conf before the peer itself."""

    def start(self, folder):
        self.folder = folder
        self.redis_port = machine.free_port()
        self.socket = os.path.join(folder, "redis.sock")
        if len(self.socket) > 100:
            raise machine.Failed(f"{self.socket} is too long for a Unix socket; choose a shorter --var")
        config = self.render("redis.conf", PORT=self.redis_port, MAXMEMORY=machine.memory_bytes() // 2)
        self.spawn("redis", [find("redis-server"), config], self.socket)
        found = self.redis().ask("CONFIG", "GET", "appendfsync")
        if found != [b"appendfsync", b"always"]:
            raise machine.Failed(f"Redis does not sync each write: {found}")
        self.start_front()

    def start_front(self):
        pass

    def versions(self):
        return {**super().versions(), "redis": first_version(["redis-server", "--version"])}

    def redis(self):
        return wire.Redis(self.socket, "check")

    def stored(self):
        return self.redis().stored()


class RedisBenchmark(OnRedis):
    name = "redis-benchmark"
    packages = ("redis-server", "redis-tools")
    programs = ("redis-server", "redis-benchmark")
    means = {**Peer.means, "fsynced": "yes"}
    sets = 40  # of the first run, which tells how many a run of so many seconds needs

    def versions(self):
        return {"redis": first_version(["redis-server", "--version"])}

    def load(self, seconds):
        size = self.setup.mean_size
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run(
            ["redis-benchmark", "-s", self.socket, "-t", "set", "-d", str(size), "-n", str(self.sets),
             "-c", str(self.setup.connections), "--csv"], capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = [row for row in csv.DictReader(io.StringIO(run.stdout)) if row.get("test") == "SET"]
        if run.returncode != 0 or len(rows) != 1:
            raise machine.Failed(f"redis-benchmark: {run.stdout}{run.stderr}")
        rate = float(rows[0]["rps"])
        report = {"mb_per_s": rate * size / 1e6, "records_per_s": rate,
                  "ack_ms": {quantile: float(rows[0][f"{quantile}_latency_ms"])
                             for quantile in ("p50", "p99", "max")},
                  "records": self.sets, "bytes": self.sets * size, "seconds": self.sets / rate,
                  "client_cpu_s": (after.ru_utime + after.ru_stime) -
                                  (before.ru_utime + before.ru_stime)}
        self.sets = max(self.sets, int(rate * self.setup.duration))
        return report

    def check(self):
        """It writes one key over and over; all that can be checked is that the bytes are there."""
        size = self.redis().ask("STRLEN", "key:__rand_int__")
        if size != self.setup.mean_size:
            raise machine.Failed(f"redis-benchmark left a value of {size} bytes")


class RedisSet(OnRedis):
    """The same through our own client: the real bodies, each under a key of its own."""
    name = "redis-set"
    packages = ("redis-server",)
    programs = ("redis-server",)
    means = RedisBenchmark.means

    def versions(self):
        return {"redis": first_version(["redis-server", "--version"])}

    def load(self, seconds):
        return self.socket_load("redis", self.socket, seconds)


class HttpOnRedis(OnRedis):
    """A front end that takes POST /v1/records and answers 2xx after Redis has answered."""
    means = {**Peer.means, "fsynced": "yes", "gives an id": "yes", "validates": "size"}

    def load(self, seconds):
        return self.bulk_load(self.port, seconds, "--raw", "POST", "/v1/records")


class NginxLua(HttpOnRedis):
    name = "nginx-lua"
    packages = ("nginx", "libnginx-mod-http-lua", "lua-nginx-redis", "lua-resty-core")
    programs = ("nginx", "redis-server")
    config = "nginx.conf"
    module = "/usr/lib/nginx/modules/ngx_http_lua_module.so"

    def missing(self):
        if find("nginx") and not os.path.exists(self.module):
            return f"{self.module}: apt-get install --no-install-recommends {' '.join(self.packages)}"
        return super().missing()

    def start_front(self):
        self.port = machine.free_port()
        config = self.render(self.config, PORT=self.redis_port, HTTP_PORT=self.port)
        self.logs.append(os.path.join(self.folder, "nginx.log"))
        self.spawn("nginx", [find("nginx"), "-p", self.folder, "-c", config], self.port)


class Nchan(NginxLua):
    name = "nchan"
    packages = ("nginx", "libnginx-mod-nchan")
    config = "nchan.conf"
    module = "/usr/lib/nginx/modules/ngx_nchan_module.so"

    def stored(self):
        return self.redis().stored("*:msg:*", "data")


class Webdis(HttpOnRedis):
    name = "webdis"
    packages = ("webdis",)
    programs = ("webdis", "redis-server")
    means = {**HttpOnRedis.means, "gives an id": "no"}
    keys = 50_000  # more than a run can send; the client names the keys

    def start_front(self):
        self.port = machine.free_port()
        self.logs.append(os.path.join(self.folder, "webdis.log"))
        self.spawn("webdis", [find("webdis"), self.render("webdis.json", HTTP_PORT=self.port)], self.port)

    def load(self, seconds):
        targets = os.path.join(self.folder, "targets")
        with open(targets, "w", encoding="ascii") as file:
            for number in range(self.keys):
                file.write(f"/SET/record:{self.loads}-{number}\n")
        return self.bulk_load(self.port, seconds, "--raw", "PUT", "@" + targets)


class FastApi(HttpOnRedis):
    name = "fastapi"
    packages = ("uvicorn", "python3-fastapi", "python3-redis", "python3-hiredis", "python3-uvloop",
                "python3-httptools")
    programs = ("redis-server",)
    _python = None

    @classmethod
    def python(cls):
        """The interpreter for which Debian packages its modules need not be the one of PATH."""
        if cls._python is None:
            modules = "import fastapi, uvicorn, redis.asyncio, uvloop, httptools"
            works = [python for python in ("/usr/bin/python3", sys.executable) if subprocess.run(
                [python, "-c", modules], capture_output=True, check=False).returncode == 0]
            cls._python = works[0] if works else ""
        return cls._python

    def missing(self):
        if not self.python():
            return f"FastAPI: apt-get install --no-install-recommends {' '.join(self.packages)}"
        return super().missing()

    def start_front(self):
        self.port = machine.free_port()
        self.spawn("uvicorn", [
            self.python(), "-m", "uvicorn", "server:app", "--app-dir", HERE, "--host", "127.0.0.1",
            "--port", str(self.port), "--workers", str(os.cpu_count()), "--loop", "uvloop",
            "--http", "httptools", "--no-access-log", "--log-level", "warning"],
            self.port, machine.clean_environment(REDIS_SOCKET=self.socket, PYTHONDONTWRITEBYTECODE="1"))
