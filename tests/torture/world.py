"""The processes of one torture run: Redis, daybook, their data; started, struck, restored, drained."""

import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))

import client   # noqa: E402
import harness  # noqa: E402

SETTINGS = {
    "ingest.reservation_lease": "1s", "pipeline.lease": "1s", "buffer.append_timeout": "2s",
    "pipeline.retry_first": "50ms", "pipeline.retry_max": "500ms", "pipeline.parked_retry": "1s",
    "ingest.memory_max": "256MiB",
}
DRAIN_S = 60


class World:
    tears_spool = forgets_keys = False
    last_status = None
    listed = frozenset()    # ids that daybook fsck calls missing, where a fault makes records go missing

    def __init__(self, settings=None, environment=None, redis_settings=None, prefix=()):
        self.area = harness.Area("torture")
        self.redis = harness.Redis(self.area, **(redis_settings or {}))
        self.redis.start()
        self.daybook = harness.Daybook(self.area, self.redis, {**SETTINGS, **(settings or {})},
                                       environment=environment or {}, prefix=prefix)
        self.aborts = []
        self.daybook.start()
        self.descriptors = self.count_descriptors()

    port = property(lambda self: self.daybook.port)
    data_dir = property(lambda self: self.daybook.data_dir)
    archive_dir = property(lambda self: self.daybook.archive_dir)
    sqlite_file = property(lambda self: self.daybook.sqlite_file)

    def count_descriptors(self):
        return len(os.listdir(f"/proc/{self.daybook.process.pid}/fd"))

    def restart_daybook(self, environment=None):
        """After it was killed or died as planned. With an environment that plans its death, that may
        come before it is ready: what was left over is worked on at once."""
        self.daybook.extra_environment = environment or {}
        self.daybook.start(wait_ready=not environment)

    def died_as_planned(self, within_s):
        """Whether daybook has ended by SIGKILL, as a crash point ends it."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if not self.daybook.process.running():
                status = self.daybook.process.wait()
                if status != -9:
                    self.aborts.append(f"exit status {status}")
                return True
            time.sleep(0.01)
        return False

    def look(self):
        """Notices a daybook that ended by itself, and starts it again so that the run goes on."""
        if self.daybook.process.running():
            return
        self.aborts.append(f"daybook ended with {self.daybook.process.wait()} by itself")
        self.restart_daybook()

    def drained(self):
        """Seconds until nothing is on its way any more, or None when that took too long."""
        began = time.monotonic()
        while time.monotonic() - began < DRAIN_S:
            self.look()
            try:
                status = client.request(self.port, "GET", "/v1/status", timeout_s=10).json()
                figures = status["records"]
                self.last_status = {name: status[name]
                                    for name in ("ready", "records", "spool", "checks")}
                if status["ready"] and not (figures["pending"] or figures["parked"] or
                                            status["spool"]["records"]):
                    left = sum(int(self.redis.command("XLEN", f"{{daybook:{n}}}:wal").strip() or 0)
                               for n in range(4))
                    if left == 0:
                        return time.monotonic() - began
            except (OSError, client.BrokenAnswer, AssertionError):
                pass
            time.sleep(0.2)
        return None

    def close(self):
        for end in (self.daybook.stop, self.redis.stop):
            try:
                end()
            except AssertionError as error:
                self.aborts.append(str(error)[:300])
        self.area.remove()
