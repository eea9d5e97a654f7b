"""A PostgreSQL server of a test's own, and a proxy in front of it that can lose an answer."""

import os
import socket
import subprocess
import threading
import unittest

import harness


class Postgresql:
    """The server as ops/servers/postgresql makes it. start/stop/kill may be repeated; it dies with
    this interpreter."""

    def __init__(self, area, *settings, name="postgresql"):
        self.script = os.path.join(harness.SOURCE_DIR, "ops", "servers", "postgresql")
        if subprocess.run([self.script, "check"], capture_output=True).returncode != 0:
            raise unittest.SkipTest("PostgreSQL is not installed; see ops/servers/postgresql --help")
        self.folder = area.file(name)
        self.port = harness.free_port()
        words = [word for setting in settings for word in ("--set", setting)]
        made = self.run("start", "--tls", "--port", str(self.port), *words)
        self.values = dict(line.split("=", 1) for line in made.splitlines() if "=" in line)
        self.run("stop")  # from here on it runs in our hands
        self.process = harness.Process(name, [self.script, "run", "--data", self.folder],
                                       area.file(f"{name}.log"))

    def run(self, command, *words):
        run = subprocess.run([self.script, command, "--data", self.folder, *words],
                             capture_output=True, text=True, timeout=180)
        if run.returncode != 0:
            raise AssertionError(f"postgresql {command}: {run.stdout}{run.stderr}")
        return run.stdout

    def start(self):
        def answers():
            if not self.process.running():  # one that was killed leaves shared memory for a moment
                self.process.start()
            return self.psql("SELECT 1", check=False).strip() == "1"
        harness.wait_until(answers, "PostgreSQL answers", every_s=0.2)
        return self

    def stop(self):
        self.process.signal(2)  # SIGINT: the fast way, without waiting for clients
        if self.process.child:
            self.process.wait()

    def kill(self):
        self.process.kill()

    @property
    def password(self):
        return self.values["PASSWORD"]

    def url(self, schema="public", user="daybook", host="127.0.0.1", port=None,
            database="daybook", options=""):
        """Each case has a schema of its own in one database: that costs less than a database."""
        return (f"postgresql://{user}@{host}:{port or self.port}/{database}"
                f"?options=-csearch_path%3D{schema}{options}")

    def psql(self, sql, schema="public", check=True):
        run = subprocess.run(
            [os.path.join(self.values["BIN"], "psql"), "-X", "-q", "-A", "-t", "-v",
             "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "daybook", "-d",
             "daybook", "-c", sql], capture_output=True, text=True, timeout=harness.PATIENCE_S,
            env={**os.environ, "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "5",
                 "PGOPTIONS": f"-csearch_path={schema}"})
        if check and run.returncode != 0:
            raise AssertionError(f"psql {sql}: {run.stderr}")
        return run.stdout

    def rows(self, columns, schema):
        """{id: [column, …]} of every row."""
        text = self.psql(f"SELECT id, {columns} FROM daybook_records", schema)
        return {line.split("|")[0]: line.split("|")[1:] for line in text.splitlines()}


class Proxy:
    """Passes bytes on. Once `lose_commit` is set, the next transaction is committed by the server,
    and its client never hears of it. `target` None: every connection is closed at once."""

    def __init__(self, target):
        self.target, self.lose_commit, self.lost, self.connections = target, False, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.target is None:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            for way in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _pump(self, source, sink, answers):
        seen = b""
        try:
            while piece := source.recv(65536):
                seen = seen[-16:] + piece
                # 'C', the length, and the tag: CommandComplete.
                if answers and self.lose_commit and b"COMMIT\0" in seen:
                    self.lose_commit = False
                    self.lost += 1
                    break
                sink.sendall(piece)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
