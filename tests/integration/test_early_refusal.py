"""Counts how many clients can read an early refusal although they send a body of 6 MB to its end
before they look for an answer, as most HTTP libraries do. The share must be at least 99.9%. A tenth as
many tries are made with curl, which reads while it sends.

    test_early_refusal.py --tries 10000     starts its own servers; prints a line per kind of refusal
"""

import concurrent.futures
import shutil
import socket
import subprocess
import sys
import time

import client
import harness

BODY_BYTES = 6_000_000
BODY = bytes(BODY_BYTES)


def head(*fields):
    return "\r\n".join(("POST /v1/records HTTP/1.1", "Host: localhost", *fields, "", "")).encode()


# Each kind of refusal: the status, and the head that earns it while the body is still being sent.
KINDS = {
    "too large": (413, head("Content-Length: 9000000")),
    "bad request": (400, head(f"Content-Length: {BODY_BYTES}", "ce-time: yesterday")),
    "bad framing": (400, head(f"Content-Length: {BODY_BYTES}", "Content-Length: 1")),
    "no memory": (503, head(f"Content-Length: {BODY_BYTES}")),
    "client over its share": (429, head(f"Content-Length: {BODY_BYTES}")),
    "no disk": (507, head(f"Content-Length: {BODY_BYTES}")),
}


def one_try(port, content, status):
    """None when the whole answer was read and has the status; otherwise what happened instead."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
            try:
                link.sendall(content)
                link.sendall(BODY)
            except OSError as error:
                sending = f"sending: {error!r}; "
            else:
                sending = ""
            raw = b""
            while part := link.recv(1 << 16):
                raw += part
    except OSError as error:
        return f"{sending}reading: {error!r}"
    if not raw.startswith(b"HTTP/1.1 %d " % status) or b"\r\n\r\n" not in raw:
        return f"{sending}answer {raw[:80]!r}"
    fields, body = raw.split(b"\r\n\r\n", 1)
    length = [line for line in fields.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if not length or int(length[0].split(b":")[1]) != len(body):
        return f"{sending}the answer's body has {len(body)} bytes"
    return None


def one_try_with_curl(port, content, status, body_file):
    """The same, by curl with the head's fields; it is not told to wait for 100."""
    fields = [field for field in content.decode().split("\r\n")[2:-2]
              if not field.startswith("Content-Length:")]
    sent = [part for field in fields + ["Expect:"] for part in ("-H", field)]
    run = subprocess.run(["curl", "-sS", "-m", "60", "-o", "-", "-w", "\n%{http_code}", *sent,
                          "--data-binary", f"@{body_file}", f"http://127.0.0.1:{port}/v1/records"],
                         capture_output=True, text=True)
    # It ends with 55 or 56 where it could not send on; the answer is what counts.
    if not run.stdout.endswith(f"\n{status}") or '"status"' not in run.stdout:
        return f"curl {run.returncode}: {run.stderr.strip()} {run.stdout[:80]!r}"
    return None


def measure(tries, workers, one):
    """(tries, failures, seconds) of one kind of refusal."""
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(lambda _: one(), range(tries)))
    failures = [outcome for outcome in outcomes if outcome]
    return tries, failures, time.monotonic() - begun


class FullServer:
    """A server whose memory is held by silent uploads, so that it refuses what comes behind."""

    def __init__(self, area, redis, memory, client_memory, name, uploads):
        self.daybook = harness.Daybook(area, redis, {
            "ingest.memory_max": memory, "ingest.client_memory_max": client_memory,
            "ingest.admission_wait": "0ms", "server.body_idle_timeout": "10m",
            "server.body_timeout": "1h", "server.body_rate_min": "0B"}, name=name)
        self.uploads = uploads
        self.holders = []

    def start(self):
        self.daybook.start()
        for size in self.uploads:
            holder = client.Connection(self.daybook.port)
            holder.send_head("POST", "/v1/records", f"Content-Length: {size}", "Expect: 100-continue")
            assert holder.read_answer(interim=True).status == 100
            self.holders.append(holder)
        return self

    def stop(self):
        for holder in self.holders:
            holder.close()
        self.daybook.stop()


def run(tries, workers=8, report=print):
    """Tries each kind; returns all failures and the number of tries."""
    area = harness.Area("refusal")
    redis = harness.Redis(area).start()
    plain = harness.Daybook(area, redis, name="plain").start()
    crowded = FullServer(area, redis, "16MiB", "16MiB", "crowded", [8_000_000]).start()
    # One address may always have what the largest coded upload takes, 32 MiB.
    greedy = FullServer(area, redis, "64MiB", "1B", "greedy", [8_000_000, 8_000_000]).start()
    full = harness.Daybook(area, redis, {"node.disk_reserve": "900000GiB"}, name="full")
    full.start(wait_ready=False)
    full.wait_check("disk", False)
    ports = {"no memory": crowded.daybook.port, "client over its share": greedy.daybook.port,
             "no disk": full.port}
    body_file = area.write("body", BODY)
    all_failures, total = [], 0
    each = -(-tries // len(KINDS))
    for kind in KINDS:
        status, content = KINDS[kind]
        port = ports.get(kind, plain.port)
        runs = [("", each, lambda: one_try(port, content, status))]
        # curl makes its own Content-Length, so it cannot earn these two.
        if shutil.which("curl") and kind not in ("too large", "bad framing"):
            runs.append((" by curl", -(-each // 10),
                         lambda: one_try_with_curl(port, content, status, body_file)))
        for by, tries_of_kind, one in runs:
            count, failures, seconds = measure(tries_of_kind, workers, one)
            report(f"{kind} ({status}){by}: {count - len(failures)} of {count} read the whole "
                   f"answer ({seconds:.1f} s){' e.g. ' + failures[0] if failures else ''}")
            all_failures += failures
            total += count
    report(f"all: {total - len(all_failures)} of {total} = "
           f"{100 * (total - len(all_failures)) / total:.3f}%")
    for server in (crowded, greedy, full, plain):
        server.stop()
    redis.stop()
    area.remove()
    return all_failures, total


class EarlyRefusal(harness.unittest.TestCase):

    def test_refusals_are_read_by_clients_that_send_on(self):
        failures, total = run(harness.options().tries)
        self.assertLessEqual(len(failures), total // 1000, failures[:5])


if __name__ == "__main__":
    harness.main(lambda parser: parser.add_argument("--tries", type=int, default=300))
