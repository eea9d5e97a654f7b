"""Receivers of notices: a small HTTP server whose paths answer as the test says, and checks of
signatures that share no code with the sender."""

import base64
import fcntl
import hashlib
import hmac
import http.server
import json
import os
import secrets
import shutil
import ssl
import subprocess
import threading
import time
import unittest

import harness


class Notice:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.at = time.monotonic()

    @property
    def id(self):
        return self.headers["webhook-id"]

    def document(self):
        return json.loads(self.body)

    def data(self):
        """What is said of the record, in any of the formats."""
        document = self.document()
        return document if "ce-id" in self.headers else document["data"]

    def record(self):
        return self.data()["id"]

    def state(self):
        return self.data()["state"]


class Path:
    """What came to one path, in order. `answer(notice)` gives a status, or (status, headers)."""

    def __init__(self):
        self.notices, self.refused, self.answer = [], [], lambda notice: 204
        self.options = None    # headers that answer an OPTIONS request
        self.asked = []

    def records(self):
        return [notice.record() for notice in self.notices]

    def ids(self):
        return [notice.id for notice in self.notices]


class Receiver:
    """start() and stop() may be repeated: its port stays the same, and so does what came."""

    def __init__(self, certificate=None):
        self.port, self.certificate, self.paths, self.server = harness.free_port(), certificate, {}, None

    def path(self, name):
        return self.paths.setdefault(name, Path())

    def url(self, name):
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://127.0.0.1:{self.port}{name}"

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def reply(self, status, headers=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def notice(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                return Notice(self.command, self.path, headers, body)

            def do_POST(self):
                notice, path = self.notice(), receiver.path(self.path)
                answer = path.answer(notice)
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                (path.notices if 200 <= status < 300 else path.refused).append(notice)
                self.reply(status, headers)

            def do_OPTIONS(self):
                path = receiver.path(self.path)
                path.asked.append(self.notice())
                self.reply(405 if path.options is None else 200, path.options)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address = True, True

            def handle_error(self, *_):  # a client that left
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


def make_secret(area, name):
    """(text, path): a secret as Standard Webhooks write it, in a file that only its owner reads."""
    text = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    path = area.write(name, text + "\n")
    os.chmod(path, 0o600)
    return text, path


def signatures(notice, secret):
    """What webhook-signature must hold for this secret."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join([notice.id.encode(), notice.headers["webhook-timestamp"].encode(), notice.body])
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def configuration(area, subscribers, name="daybook.toml"):
    """A file of [[subscriber]] tables; waits are short, so that a test's outages pass quickly."""
    text = ""
    for one in subscribers:
        table = {"allow_private": True, "retry_first": "100ms", "retry_max": "500ms",
                 "timeout": "5s", **one}
        text += "[[subscriber]]\n" + "".join(
            f"{key} = {toml(value)}\n" for key, value in table.items()) + "\n"
    return area.write(name, text)


def verify_by_others(notices):
    """[(notice, secret)] through the npm packages standardwebhooks and cloudevents: what each says."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")
    folder = os.path.join(harness.SOURCE_DIR, "var", "webhook-verifiers")
    packages = ["standardwebhooks@1.1.1", "cloudevents@10.0.0"]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:   # one installation at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = os.path.join(folder, "done-1")
        if not os.path.exists(done):
            run = subprocess.run(
                ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--fetch-retries=1",
                 "--fetch-timeout=20000", "--loglevel=error", *packages],
                capture_output=True, text=True, timeout=150)
            if run.returncode != 0:
                raise unittest.SkipTest(f"npm could not install {packages}: {run.stderr[-300:]}")
            open(done, "w").close()
    lines = "".join(json.dumps({"headers": notice.headers, "body": notice.body.decode(),
                                "secret": secret}) + "\n" for notice, secret in notices)
    script = os.path.join(os.path.dirname(__file__), "verify_webhooks.cjs")
    run = subprocess.run(["node", script], input=lines, capture_output=True, text=True, timeout=60,
                         env={**os.environ, "NODE_PATH": os.path.join(folder, "node_modules")})
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]
