"""All four routes at once, with daybook killed in the middle: called by ops/demo-routes.

  source-process  --POST /messages-->  daybook  --webhook-->                          target-endpoint
  source-endpoint <----poller--------  daybook  <--GET /messages?timestamp=--------  target-process

Each source has a target of either kind, which makes four routes. What is missing is what the source says that it sent, less
what came; out of order is what came, for the first time, behind a record that follows it in the feed and is of the same partition.
"""

import argparse
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

SOURCES = {"push in": "/sim/process", "pull in": "/sim/endpoint"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def report(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/report", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return {}


def environment():
    """Ours without what the programs would take for their settings."""
    names = ("ENDPOINT", "METHOD", "PORT", "BATCH_SIZE", "FREQUENCY", "LOG_LEVEL")
    return {name: text for name, text in os.environ.items() if name not in names and not name.startswith("DAYBOOK_")}


def out_of_order(came, places):
    """How many of these numbers came behind one that follows them in their partition."""
    newest, count = {}, 0
    for partition, place in (places[number] for number in came if number in places):
        count += place < newest.get(partition, 0)
        newest[partition] = max(place, newest.get(partition, 0))
    return count


class Demo:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(options.var)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = {}
        self.ports = {}
        self.listen = f"127.0.0.1:{free_port()}"

    def start(self, name, *command):
        with open(self.log(name), "ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True,
                                                    env=environment())

    def log(self, name):
        return self.folder / f"{name.replace(' ', '-').replace(',', '')}.log"

    def start_sim(self, name, kind, *words):
        self.ports.setdefault(name, free_port())
        self.start(name, self.options.binary, "sim", kind, "--port", str(self.ports[name]), *words)

    def start_redis(self):
        (self.folder / "redis").mkdir(exist_ok=True)
        self.start("redis", "redis-server", "--port", "0", "--unixsocket", str(self.folder / "redis.sock"),
                   "--dir", str(self.folder / "redis"), "--appendonly", "yes", "--appendfsync", "always",
                   "--save", "", "--maxmemory-policy", "noeviction", "--maxmemory", "512mb")

    def start_daybook(self):
        self.start("daybook", self.options.binary, "serve", "--config", str(self.folder / "daybook.toml"))

    def configure(self):
        secret = self.folder / "webhook.secret"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text("whsec_" + base64.b64encode(os.urandom(32)).decode() + "\n")
        subscribers = "".join(f"""
[[subscriber]]
name = "{name.replace(' ', '-')}"
url = "http://127.0.0.1:{self.ports[f'{name}, push out']}/hook"
secret_files = {{ current = "{secret}" }}
filter = {{ source = "{source}" }}
payload_max = "64KiB"
allow_private = true
retry_first = "100ms"
retry_max = "1s"
""" for name, source in SOURCES.items())
        (self.folder / "daybook.toml").write_text(f"""
[server]
listen = "{self.listen}"
[node]
data_dir = "{self.folder / 'node'}"
disk_reserve = "64MiB"
[buffer]
url = "unix:{self.folder / 'redis.sock'}"

[[poller]]
name = "endpoint"
url = "http://127.0.0.1:{self.ports['pull in']}/messages"
interval = "100ms"
jitter = "0ms"
backoff_max = "1s"
source = "{SOURCES['pull in']}"
id = "/id"
cursor = "last"
cursor_path = "/id"
cursor_parameter = "after"
{subscribers}""")

    def start_all(self):
        self.start_redis()
        # Six seconds of sending, however many, so that the kill comes in the middle.
        batch = max(1, self.options.messages // 30)
        sending = ("--count", str(self.options.messages), "--batch-size", str(batch), "--frequency", "200ms")
        messages = f"http://{self.listen}/messages"
        self.start_sim("pull in", "source-endpoint", *sending)
        for name, source in SOURCES.items():
            self.start_sim(f"{name}, push out", "target-endpoint")
            self.start_sim(f"{name}, pull out", "target-process", "--endpoint", messages, "--source", source,
                           "--frequency", "200ms", "--log-level", "error")
        self.configure()
        self.start_daybook()
        self.start_sim("push in", "source-process", "--endpoint", messages, "--source", SOURCES["push in"],
                       "--log-level", "error", *sending)

    def routes(self):
        return [f"{name}, {out}" for name in SOURCES for out in ("push out", "pull out")]

    def progress(self):
        return {route: report(self.ports[route]).get("distinct", 0) for route in self.routes()}

    def wait(self, reached, what):
        before, moved = None, time.monotonic()
        while True:
            progress = self.progress()
            if reached(progress):
                return progress
            if progress != before:
                before, moved = progress, time.monotonic()
            ended = [name for name, process in self.processes.items() if process.poll() is not None and name != "push in"]
            if ended or time.monotonic() - moved > 60:
                why = f"{' and '.join(ended)} ended" if ended else "nothing has moved for a minute"
                sys.exit(f"FAILED: {why} while waiting for {what}: {progress}; the logs are in {self.folder}")
            time.sleep(0.05)

    def run(self):
        self.start_all()
        count = self.options.messages
        print(f"  {count} messages from each of two sources to two targets each", flush=True)
        at_kill = self.wait(lambda progress: min(progress.values()) >= count // 5, "every route to begin")
        self.processes["daybook"].send_signal(signal.SIGKILL)
        self.processes["daybook"].wait()
        time.sleep(1)
        self.start_daybook()
        print("  daybook killed (SIGKILL) and started again while the routes had got to "
              + ", ".join(f"{done}" for done in at_kill.values()), flush=True)
        self.wait(lambda progress: min(progress.values()) >= count, "every message to arrive")
        time.sleep(1)  # repetitions may still come
        return self.judge(at_kill)

    def sent(self, source):
        """The numbers that the source says it has sent; one that has ended said so last."""
        said = report(self.ports[source])
        if not said:
            self.processes[source].wait(30)
            said = json.loads(self.log(source).read_text().splitlines()[-1])
        return set(range(said["lowest"], said["highest"] + 1)) if said["sent"] else set()

    def places(self, source):
        """Of each number its partition and its place in the feed."""
        found, path = {}, f"/v1/feed?payload=inline&source={SOURCES[source]}"
        while True:
            with urllib.request.urlopen(f"http://{self.listen}{path}", timeout=60) as answer:
                page = json.load(answer)
            if not page["entries"] and f"after={page['last']}&" in page["next"]:
                return found
            for entry in page["entries"]:
                number = json.loads(entry["payload"]["text"])["id"]
                found.setdefault(number, (entry["record"]["partition"], entry["sequence"]))
            path = page["next"]

    def judge(self, at_kill):
        print(f"\n  {'route':<20} {'sent':>6} {'received':>9} {'missing':>8} {'duplicated':>11} {'out of order':>13}")
        good = True
        for route in self.routes():
            source = route.split(",")[0]
            sent, target = self.sent(source), report(self.ports[route])
            came = target["order"]
            missing = len(sent.difference(came))
            disorder = out_of_order(came, self.places(source))
            print(f"  {route:<20} {len(sent):>6} {target['received']:>9} {missing:>8} {target['duplicated']:>11} "
                  f"{disorder:>13}")
            good = good and sent == set(came) and len(sent) == self.options.messages and disorder == 0
            good = good and at_kill[route] < self.options.messages
        print()
        return good

    def stop(self):
        for name in list(self.processes)[::-1]:
            process = self.processes[name]
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def main():
    parser = argparse.ArgumentParser(prog="ops/demo-routes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--var", required=True, help="folder for logs and data; it is emptied by the next run")
    parser.add_argument("--messages", type=int, default=1000, help="of each source, 50 to 10000 [default: 1000]")
    options = parser.parse_args()
    if not 50 <= options.messages <= 10_000:
        parser.error("--messages must be from 50 to 10000")
    demo = Demo(options)
    try:
        good = demo.run()
    finally:
        demo.stop()
    sys.exit(0 if good else "FAILED: messages are missing, out of order or were never sent, or a route had ended before the kill")


if __name__ == "__main__":
    main()
