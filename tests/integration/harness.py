"""Starts and stops the real processes of an integration test, and runs its cases.

Everything a test starts lives on free loopback ports with its data in one temporary folder, and is
ended by its process id: at exit, on failure, and by the kernel when this interpreter dies. The
harness shares no code with the server; it knows only its command line and its HTTP interface.

Environment:
  DAYBOOK_BINARY      the daybook program (or --binary)
  DAYBOOK_TEST_SEED   seed of everything random (or --seed); printed at the start of each run
  DAYBOOK_KEEP        when set, temporary folders are left behind
Exit status: 0 passed, 1 failed, 77 everything was skipped (ctest's SKIP_RETURN_CODE).
"""

import argparse
import atexit
import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import client

SOURCE_DIR = os.environ.get(
    "DAYBOOK_SOURCE_DIR", os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..")))
SHARED_DIR = os.environ.get("DAYBOOK_SHARED", os.path.join(SOURCE_DIR, "..", "shared"))
SKIP_EXIT_STATUS = 77
PR_SET_PDEATHSIG = 1
# Instrumented builds are several times slower; deadlines here catch a hang, not a slow machine.
PATIENCE_S = float(os.environ.get("DAYBOOK_TEST_PATIENCE", "60"))
# What a sanitizer or a failed CHECK writes; any of these in a log is a failure of the run.
ALARMS = re.compile(
    rb"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|CHECK failed|CHECK\(|"
    rb"terminate called|std::terminate")

_libc = ctypes.CDLL(None, use_errno=True)
_live = []      # started processes, newest last
_areas = []     # temporary folders of this run
_options = argparse.Namespace(binary=os.environ.get("DAYBOOK_BINARY", "daybook"), seed=0)


def binary():
    return _options.binary


def seed():
    return _options.seed


def seeded(name):
    """A generator of its own for each use, so that one case does not shift another's numbers."""
    return random.Random(f"{_options.seed}/{name}")


def environment_number(name, default):
    return type(default)(os.environ.get(name, default))


def clean_environment():
    """Ours without DAYBOOK_*, which the daybook program would take for settings."""
    return {key: text for key, text in os.environ.items() if not key.startswith("DAYBOOK_")}


def need_program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise unittest.SkipTest(f"{name} is not installed")
    return found


def wait_until(condition, what, timeout_s=None, every_s=0.05):
    """Polls until condition() is truthy and returns its value; fails with `what` otherwise."""
    deadline = time.monotonic() + (timeout_s or PATIENCE_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s or PATIENCE_S:.0f} s: {what}")
        time.sleep(every_s)


def free_port():
    """Below the range from which the kernel takes the ports of outgoing connections: a server that is
    restarted finds its port free."""
    while True:
        port = random.SystemRandom().randrange(10_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Area:
    """A temporary folder that goes away with the run."""

    def __init__(self, name="test"):
        self.path = tempfile.mkdtemp(prefix=f"daybook-{name}-")
        _areas.append(self)

    def file(self, *parts):
        return os.path.join(self.path, *parts)

    def write(self, name, content):
        path = self.file(name)
        with open(path, "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
        return path

    def remove(self):
        if not os.environ.get("DAYBOOK_KEEP"):
            shutil.rmtree(self.path, ignore_errors=True)
        if self in _areas:
            _areas.remove(self)


class Process:
    """A child that cannot outlive this interpreter, with its output in a file."""

    def __init__(self, name, command, log_path, environment=None):
        self.name, self.command, self.log_path = name, command, log_path
        self.environment = environment
        self.child = None

    def start(self):
        def dies_with_parent():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self.environment, preexec_fn=dies_with_parent, start_new_session=True)
        _live.append(self)
        return self

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        if self.running():
            os.kill(self.child.pid, number)

    def wait(self, timeout_s=None):
        status = self.child.wait(timeout_s or PATIENCE_S)
        if self in _live:
            _live.remove(self)
        return status

    def terminate(self, timeout_s=None):
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end after SIGTERM\n{self.log_tail()}")

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait() if self.child else None

    def log(self):
        try:
            with open(self.log_path, "rb") as log:
                return log.read()
        except FileNotFoundError:
            return b""

    def log_tail(self, lines=40):
        tail = self.log().decode("utf-8", "replace").splitlines()[-lines:]
        return f"--- {self.log_path} (last {len(tail)} lines)\n" + "\n".join(tail)


class Redis:
    """redis-server with the settings under which Daybook may promise fsync."""

    program = "redis-server"

    def __init__(self, area, name="redis", **settings):
        self.port = free_port()
        self.data = area.file(name)
        self.unix_socket = area.file(name, "redis.sock")
        os.makedirs(self.data, exist_ok=True)
        values = {
            "bind": "127.0.0.1", "port": self.port, "unixsocket": self.unix_socket,
            "dir": self.data, "appendonly": "yes", "appendfsync": "always",
            "maxmemory-policy": "noeviction", "auto-aof-rewrite-min-size": "8gb",
            "save": "", "daemonize": "no", **settings}
        command = [need_program(self.program)]
        for key, value in values.items():
            command += [f"--{key}", str(value)]
        self.process = Process(name, command, area.file(f"{name}.log"))

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.process.start()

        def answers():
            if not self.process.running():
                raise AssertionError("redis-server ended\n" + self.process.log_tail())
            return self.command("PING", check=False).strip() == "PONG"
        wait_until(answers, "redis-server answers PING")
        return self

    def stop(self):
        if self.process.running():
            self.process.terminate()

    def kill(self):
        self.process.kill()

    def command(self, *words, check=True):
        run = subprocess.run(
            [need_program("redis-cli"), "-h", "127.0.0.1", "-p", str(self.port), "--raw",
             *map(str, words)], capture_output=True, timeout=PATIENCE_S)
        text = run.stdout.decode("utf-8", "surrogateescape")
        if check and (run.returncode != 0 or text.startswith(("ERR ", "(error)"))):
            raise AssertionError(f"redis-cli {words}: {text} {run.stderr.decode()}")
        return text

    def configure(self, name, value):
        assert self.command("CONFIG", "SET", name, value).strip() == "OK", (name, value)

    def info(self, field):
        for line in self.command("INFO").splitlines():
            if line.startswith(field + ":"):
                return line.split(":", 1)[1].strip()
        raise AssertionError(f"INFO has no {field}")


# Short waits so that outages of a test pass quickly; a case overrides what it is about.
QUICK_SETTINGS = {
    "node.disk_reserve": "1MiB", "buffer.check_interval": "200ms", "buffer.append_timeout": "3s",
    "pipeline.retry_first": "100ms", "pipeline.retry_max": "1s", "pipeline.parked_retry": "1s",
    "server.drain_timeout": "20s",
}


class Daybook:
    """One `daybook serve`. start/stop/kill may be repeated; data, port and log stay the same."""

    def __init__(self, area, redis, settings=None, role=None, name="daybook", environment=None,
                 prefix=()):
        self.area, self.name = area, name
        self.port = free_port()
        self.data_dir = area.file(name)
        self.settings = {
            "server.listen": f"127.0.0.1:{self.port}", "node.data_dir": self.data_dir,
            **({"buffer.url": redis.url} if redis else {}), **QUICK_SETTINGS, **(settings or {})}
        self.role = role
        self.extra_environment = environment or {}
        self.prefix = list(prefix)
        self.process = None
        self.log_path = area.file(f"{name}.log")

    @property
    def archive_dir(self):
        return self.settings.get("archive.file_dir") or os.path.join(self.data_dir, "archive")

    @property
    def sqlite_file(self):
        return self.settings.get("metadata.sqlite_file") or os.path.join(
            self.data_dir, "metadata.sqlite")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def environment(self):
        return {**clean_environment(), **self.extra_environment}

    def command(self):
        words = [*self.prefix, binary(), "serve"]
        if self.role:
            words += ["--role", self.role]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        return words

    def start(self, wait_ready=True):
        self.process = Process(self.name, self.command(), self.log_path, self.environment())
        self.process.start()
        if wait_ready:
            self.wait_ready()
        return self

    def readiness(self):
        """(status, document) of /readyz; (0, {}) while nobody listens."""
        try:
            answer = client.request(self.port, "GET", "/readyz", timeout_s=10)
            return answer.status, answer.json()
        except (OSError, client.BrokenAnswer):
            return 0, {}

    def wait_ready(self, timeout_s=None):
        def ready():
            if not self.process.running():
                raise AssertionError(
                    f"daybook ended with {self.process.child.returncode}\n" + self.tail())
            return self.readiness()[0] == 200
        wait_until(ready, "daybook is ready", timeout_s)
        return self

    def spool(self):
        return client.request(self.port, "GET", "/v1/status").json()["spool"]

    def wait_spool_empty(self):
        wait_until(lambda: self.spool()["records"] == 0, "every spooled record is in Redis")

    def wait_check(self, name, ok, timeout_s=None):
        """Waits until the named check of /readyz is ok (or not), and returns it."""
        def found():
            for check in self.readiness()[1].get("checks", []):
                if check["name"] == name and check["ok"] == ok:
                    return check
            return None
        return wait_until(found, f"/readyz says {name} ok={ok}", timeout_s)

    def stop(self, timeout_s=None):
        """SIGTERM; the exit status must be 0 and the log without alarms."""
        if self.process is None or not self.process.running():
            return
        status = self.process.terminate(timeout_s)
        self.assert_no_alarm()
        assert status == 0, f"exit status {status} after SIGTERM\n" + self.tail()

    def kill(self):
        if self.process:
            self.process.kill()

    def assert_no_alarm(self):
        log = self.process.log() if self.process else b""
        alarm = ALARMS.search(log)
        if alarm:
            around = log[max(0, alarm.start() - 500):alarm.start() + 6000]
            raise AssertionError("alarm in the log:\n" + around.decode("utf-8", "replace"))

    def tail(self, lines=40):
        return self.process.log_tail(lines) if self.process else "(never started)"


class DaybookTest(unittest.TestCase):
    """One Redis and one Daybook for all cases of a class. `settings` are the class's own."""

    settings = {}
    redis_settings = {}

    @classmethod
    def setUpClass(cls):
        cls.area = Area(cls.__name__)
        cls.addClassCleanup(cls.area.remove)
        cls.redis = Redis(cls.area, **cls.redis_settings)
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.daybook = Daybook(cls.area, cls.redis, cls.class_settings(),
                              environment=cls.secrets())
        cls.addClassCleanup(cls.daybook.stop)
        cls.daybook.start()

    @classmethod
    def class_settings(cls):
        return cls.settings

    @classmethod
    def secrets(cls):
        return {}

    @property
    def port(self):
        return self.daybook.port

    def wait_state(self, record_id, state="indexed", timeout_s=None, port=None):
        def reached():
            row = client.request(port or self.port, "GET", f"/v1/records/{record_id}").json()
            return row if row.get("state") == state else None
        return wait_until(reached, f"{record_id} is {state}", timeout_s)

    def assert_problem(self, answer, status, *words):
        """RFC 9457: the right status, and a detail that a person can act on."""
        self.assertEqual(answer.status, status, answer.describe())
        self.assertEqual(answer.header("content-type", "").split(";")[0],
                         "application/problem+json", answer.describe())
        problem = answer.json()
        for member in ("type", "title", "status", "detail", "code"):
            self.assertIn(member, problem)
        self.assertEqual(problem["status"], status)
        self.assertGreater(len(problem["detail"]), 15, problem)
        for word in words:
            self.assertIn(word.lower(), problem["detail"].lower())
        return problem


def _end_everything():
    for process in reversed(list(_live)):
        try:
            process.kill()
        except Exception as error:  # the rest must still be ended
            print(f"could not end {process.name}: {error}", file=sys.stderr)
    for area in list(_areas):
        area.remove()


class _Result(unittest.TextTestResult):
    """Shows what each process said last, and how to run the failed case again."""

    def _explain(self, test):
        for process in _live:
            self.stream.writeln(process.log_tail())
        name = test.id().split(".", 1)[-1] if "." in test.id() else ""
        self.stream.writeln(
            f"replay: DAYBOOK_BINARY={binary()} python3 {os.path.realpath(sys.argv[0])} "
            f"--seed {seed()} {name}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._explain(test)

    def addError(self, test, err):
        super().addError(test, err)
        self._explain(test)


def main(add_options=None):
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--binary", default=_options.binary)
    parser.add_argument("--seed", type=int, default=int(
        os.environ.get("DAYBOOK_TEST_SEED", random.SystemRandom().randrange(1 << 31))))
    if add_options:
        add_options(parser)
    known, rest = parser.parse_known_args()
    vars(_options).update(vars(known))
    cases = [word for word in rest if not word.startswith("--")]
    if not shutil.which(_options.binary):
        print(f"skipped: no daybook program at {_options.binary!r}; set DAYBOOK_BINARY")
        sys.exit(SKIP_EXIT_STATUS)
    _options.binary = os.path.realpath(shutil.which(_options.binary))
    atexit.register(_end_everything)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"daybook {_options.binary}, seed {_options.seed}", flush=True)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=_Result)
    program = unittest.main(module="__main__", argv=[sys.argv[0], *cases], exit=False,
                            testRunner=runner)
    result = program.result
    for _, reason in result.skipped:
        print(f"skipped: {reason}")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIP_EXIT_STATUS if result.skipped and len(result.skipped) >= result.testsRun else 0)


def options():
    return _options
