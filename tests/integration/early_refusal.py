"""Counts how many clients can read an early refusal although they send a body of 6 MB to its end
before they look for an answer, as most HTTP libraries do. The share must be at least 99.9%.

    early_refusal.py --tries 10000          starts its own servers; prints a line per kind of refusal
"""

import concurrent.futures
import socket
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


def measure(port, kind, tries, workers):
    """(tries, failures, seconds) of one kind of refusal."""
    status, content = KINDS[kind]
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(lambda _: one_try(port, content, status), range(tries)))
    failures = [outcome for outcome in outcomes if outcome]
    return tries, failures, time.monotonic() - begun


class FullServer:
    """A server whose memory is held by silent uploads, so that it refuses what comes behind."""

    def __init__(self, area, redis, client_memory, name):
        self.daybook = harness.Daybook(area, redis, {
            "ingest.memory_max": "16MiB", "ingest.client_memory_max": client_memory,
            "ingest.admission_wait": "0ms", "server.body_idle_timeout": "10m",
            "server.body_timeout": "1h", "server.body_rate_min": "0B"}, name=name)
        self.holder = None

    def start(self):
        self.daybook.start()
        self.holder = client.Connection(self.daybook.port)
        self.holder.send_head("POST", "/v1/records", "Content-Length: 8000000",
                              "Expect: 100-continue")
        assert self.holder.read_answer(interim=True).status == 100
        return self

    def stop(self):
        self.holder.close()
        self.daybook.stop()


def run(tries, workers=8, report=print):
    """Tries each kind; returns all failures and the number of tries."""
    area = harness.Area("refusal")
    redis = harness.Redis(area).start()
    plain = harness.Daybook(area, redis, name="plain").start()
    crowded = FullServer(area, redis, "16MiB", "crowded").start()
    greedy = FullServer(area, redis, "1B", "greedy").start()
    ports = {"no memory": crowded.daybook.port, "client over its share": greedy.daybook.port}
    all_failures, total = [], 0
    each = -(-tries // len(KINDS))
    for kind in KINDS:
        count, failures, seconds = measure(ports.get(kind, plain.port), kind, each, workers)
        report(f"{kind} ({KINDS[kind][0]}): {count - len(failures)} of {count} read the whole answer "
               f"({seconds:.1f} s){' e.g. ' + failures[0] if failures else ''}")
        all_failures += failures
        total += count
    report(f"all: {total - len(all_failures)} of {total} = "
           f"{100 * (total - len(all_failures)) / total:.3f}%")
    for server in (crowded, greedy, plain):
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
