"""Readers of the feed that share no code with the server: pages, event streams by curl and by the npm
package eventsource."""

import fcntl
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import unittest

import client
import harness


def get(port, path, headers=None):
    return client.request(port, "GET", path, headers=headers)


def pages(port, path, most=1000):
    """Follows `next` until a page is empty and at the end; yields each page."""
    for _ in range(most):
        answer = get(port, path)
        assert answer.status == 200, answer.describe()
        page = answer.json()
        yield page
        path = page["next"]
        if not page["entries"] and f"after={page['last']}&" in path:
            return
    raise AssertionError(f"no end after {most} pages: {path}")


def link(answer, relation):
    """The reference of the Link field with that relation, or None."""
    found = re.fullmatch(r'<([^>]*)>; rel="(\w+)"', answer.header("Link", ""))
    return found[1] if found and found[2] == relation else None


def message_pages(port, path, most=1000):
    """Follows rel=next of /messages while there is one; yields each page."""
    for _ in range(most):
        answer = get(port, path)
        assert answer.status == 200, answer.describe()
        yield answer.json()
        path = link(answer, "next")
        if path is None:
            return
    raise AssertionError(f"no end after {most} pages: {path}")


def entries(port, path, most=1000):
    return [entry for page in pages(port, path, most) for entry in page["entries"]]


def last(port):
    return get(port, "/v1/feed?after=last&limit=1").json()["last"]


def wait_for(port, number):
    harness.wait_until(lambda: last(port) >= number, f"the feed comes to {number}")


def missing(sequences, first, end):
    """What a reader should have got and has not."""
    return sorted(set(range(first, end + 1)) - set(sequences))


class Curl:
    """curl -N on an event stream: parsed by the rules of the WHATWG, on a thread of its own."""

    def __init__(self, url, *words, last_id=None):
        fields = ["-H", "Accept: text/event-stream"]
        if last_id:
            fields += ["-H", f"Last-Event-ID: {last_id}"]
        self.child = subprocess.Popen(["curl", "-sSN", "-i", *fields, *words, url],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.head, self.comments, self.last_id = [], 0, ""
        self.events = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.child.stdout:
            if line == b"\r\n":
                break
            self.head.append(line.decode().strip())
        data = []
        for line in self.child.stdout:
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif line.startswith("id: "):
                self.last_id = line[4:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif line == "" and data:
                self.events.put((self.last_id, json.loads("\n".join(data))))
                data = []

    def take(self, count):
        return [self.events.get(timeout=harness.PATIENCE_S)[1] for _ in range(count)]

    def ended(self):
        """curl's exit status: 18 where the stream broke off."""
        return self.child.wait(harness.PATIENCE_S)

    def stop(self):
        self.child.kill()
        self.child.wait()
        self.thread.join()
        self.child.stdout.close()
        self.child.stderr.close()


def eventsource():
    """Where node finds the package; installed once."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")
    folder = os.path.join(harness.SOURCE_DIR, "var", "eventsource")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:   # one installation at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, "node_modules", "eventsource")):
            run = subprocess.run(
                ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund",
                 "--fetch-retries=1", "--fetch-timeout=20000", "--loglevel=error",
                 "eventsource@4.1.1"], capture_output=True, text=True, timeout=150)
            if run.returncode != 0:
                raise unittest.SkipTest(f"npm could not install eventsource: {run.stderr[-300:]}")
    return os.path.join(folder, "node_modules")
