"""HTTP for tests: whole requests with http.client, and raw connections for everything it forbids.

Nothing here repairs an answer: an early close, a short body or a reset is BrokenAnswer.
"""

import base64
import hashlib
import http.client
import json
import os
import select
import socket
import subprocess
import tempfile


class BrokenAnswer(Exception):
    """The connection ended, or went silent, where an answer was due."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise AssertionError(f"not JSON ({error}): {self.describe()}") from None

    def describe(self):
        return f"{self.status} {dict(self.headers)} {self.body[:600]!r}"


def request(port, method, path, body=None, headers=None, timeout_s=60):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())
    except (http.client.HTTPException, TimeoutError) as error:
        raise BrokenAnswer(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()


def post(port, payload, headers=None, timeout_s=60):
    return request(port, "POST", "/v1/records", payload,
                   {"Content-Type": "application/octet-stream", **(headers or {})}, timeout_s)


def content_digest(payload):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(payload).digest()).decode() + ":"


def curl(*words, timeout_s=120):
    """Runs curl as a user would; returns the final answer."""
    with tempfile.TemporaryDirectory(prefix="daybook-curl-") as folder:
        head, body = os.path.join(folder, "head"), os.path.join(folder, "body")
        open(body, "wb").close()
        run = subprocess.run(["curl", "-sS", "-D", head, "-o", body, *words],
                             capture_output=True, timeout=timeout_s)
        if run.returncode != 0:
            raise BrokenAnswer(f"curl exit {run.returncode}: {run.stderr.decode().strip()}")
        with open(head, "rb") as lines, open(body, "rb") as content:
            sections = lines.read().decode("latin-1").strip().split("\r\n\r\n")
            last = sections[-1].split("\r\n")
            headers = [tuple(part.strip() for part in line.split(":", 1)) for line in last[1:]]
            return Answer(int(last[0].split()[1]), headers, content.read())


class Connection:
    """A raw socket that can send anything and reads answers one at a time."""

    def __init__(self, port, timeout_s=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, content):
        self.socket.sendall(content if isinstance(content, bytes) else content.encode("latin-1"))

    def send_head(self, method, target, *fields):
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields]
        self.send("\r\n".join(lines) + "\r\n\r\n")

    def _more(self):
        try:
            piece = self.socket.recv(1 << 16)
        except TimeoutError:
            raise BrokenAnswer("the server went silent") from None
        except ConnectionError as error:
            raise BrokenAnswer(f"connection broke: {error}") from error
        if not piece:
            raise BrokenAnswer(f"closed by the server after {self.unread[:200]!r}")
        self.unread += piece

    def _take(self, count):
        while len(self.unread) < count:
            self._more()
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def _line(self):
        while b"\r\n" not in self.unread:
            self._more()
        line, self.unread = self.unread.split(b"\r\n", 1)
        return line.decode("latin-1")

    def read_answer(self, to_method="GET", interim=False):
        """The next final answer; with interim=True also 1xx answers are returned."""
        while True:
            status = int(self._line().split()[1])
            headers = []
            while line := self._line():
                key, value = line.split(":", 1)
                headers.append((key, value.strip()))
            answer = Answer(status, headers, b"")
            if 100 <= status < 200:
                if interim:
                    return answer
                continue
            if to_method == "HEAD" or status in (204, 304):
                return answer
            if answer.header("transfer-encoding", "").lower() == "chunked":
                answer.body = self._chunked()
            else:
                answer.body = self._take(int(answer.header("content-length", "0")))
            return answer

    def _chunked(self):
        body = b""
        while size := int(self._line().split(";")[0], 16):
            body += self._take(size)
            self._line()
        while self._line():
            pass
        return body

    def readable(self, within_s=0.0):
        """Something has arrived: an answer, or the end of the connection."""
        return bool(self.unread or select.select([self.socket], [], [], within_s)[0])

    def ended(self):
        """True when the server has closed: nothing more will come."""
        try:
            self._more()
        except BrokenAnswer as error:
            return "silent" not in str(error)
        return False


def chunked(payload, sizes):
    """payload in chunked coding, cut by the repeating list of sizes."""
    out, position, turn = [], 0, 0
    while position < len(payload):
        size = sizes[turn % len(sizes)]
        piece = payload[position:position + size]
        out.append(b"%x\r\n%s\r\n" % (len(piece), piece))
        position, turn = position + size, turn + 1
    return b"".join(out) + b"0\r\n\r\n"
