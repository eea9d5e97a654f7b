"""Published HTTP cases over real sockets: what must be refused is refused with a status >= 400 and
the connection is closed, whole and byte by byte; what must be accepted is accepted. In-process the
same cases run in tests/unit/core/http/published_cases_test.cpp. Beside them our own table of what
request smuggling is made of (own_cases)."""

import base64
import concurrent.futures
import json
import os
import re
import socket
import time
import unittest

import client
import framing_cases
import harness

# llhttp stops here for its user, who may take the connection over; a server just goes on.
PAUSED = (22, 23)
DATA_AFTER_CLOSE = 5
# Accepted by llhttp and refused here, each for the reason given in published_cases_test.cpp.
STRICTER = {"llhttp-080", "llhttp-087", "llhttp-088", "llhttp-089", "llhttp-115", "llhttp-143",
            "llhttp-144", "llhttp-162", "llhttp-164"}
REFUSALS = (400, 411, 413, 414, 417, 431, 501, 505)
WORKERS = 32
# A refusal does not wait for more bytes, so it comes at once; this is patience for a busy machine.
SILENCE_S = 20


def suite(name):
    path = os.path.join(harness.SHARED_DIR, "suites", name, "cases.jsonl")
    if not os.path.exists(path):
        raise unittest.SkipTest(f"no suite at {path}; set DAYBOOK_SHARED")
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Outcome:
    """What the server did with some bytes: its final answers, and whether it closed by itself."""

    def __init__(self, statuses, closed, raw):
        self.statuses, self.closed, self.raw = statuses, closed, raw

    def __repr__(self):
        return f"{self.statuses} closed={self.closed} {self.raw[-300:]!r}"


def final_statuses(raw, to_head=False):
    """The status of each complete final answer in raw; to_head: answers have no bodies."""
    statuses = []
    while b"\r\n\r\n" in raw:
        head, raw = raw.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        if status < 200:
            continue
        length = next((int(line.split(":")[1]) for line in lines
                       if line.lower().startswith("content-length:")), 0)
        if to_head:
            length = 0
        if len(raw) < length:
            break
        raw = raw[length:]
        statuses.append(status)
    return statuses


def exchange(port, content, piece=None, answers=None, silence_s=SILENCE_S, finish=False):
    """Sends content (in pieces of that size) and reads until the server closes, has given that many
    answers, or is silent. The sending side stays open unless finish: a server must not need its end
    to refuse."""
    raw, closed = b"", False
    to_head = content.startswith(b"HEAD ")
    with socket.create_connection(("127.0.0.1", port), timeout=silence_s) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if piece is None:
                link.sendall(content)
            else:
                for at in range(0, len(content), piece):
                    link.sendall(content[at:at + piece])
                    time.sleep(0.0003)
            if finish:
                link.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the end; the answer is still there
        deadline = time.monotonic() + silence_s
        try:
            while answers is None or len(final_statuses(raw, to_head)) < answers:
                link.settimeout(max(0.01, deadline - time.monotonic()))
                part = link.recv(1 << 16)
                if not part:
                    closed = True
                    break
                raw += part
        except TimeoutError:
            pass
        except ConnectionResetError:
            closed = True
    return Outcome(final_statuses(raw, to_head), closed, raw)


def with_host(content):
    """Cases are written for a parser that asks for no Host; a refusal must not be only for that."""
    head = content.split(b"\r\n\r\n", 1)[0].lower()
    if b"\nhost" in head:
        return content
    absolute = re.match(rb"[A-Z]+ https?://([^/? ]*)", content)
    host = absolute.group(1) if absolute else b"localhost"
    return content.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nHost: " + host + b"\r\n")


def to_records(content):
    """The same requests at the path that takes bodies, so that framing and not routing decides."""
    lines = content.split(b"\r\n", 1)
    words = lines[0].split(b" ")
    if len(words) != 3 or words[0] != b"POST":
        return content
    return b" ".join((words[0], b"/v1/records", words[2])) + b"\r\n" + lines[1]


def in_parallel(function, rows):
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(function, rows))


class Framing(harness.DaybookTest):
    settings = {"server.body_idle_timeout": "5s", "server.header_timeout": "5s"}

    def tearDown(self):
        self.assertEqual(client.request(self.port, "GET", "/livez").status, 200)

    def refused(self, name, content, answers_max=0):
        """An error answer (after at most so many good ones), then the end of the connection; the
        same whole and byte by byte. Returns the complaints."""
        complaints = []
        for piece in (None, 1):
            outcome = exchange(self.port, content, piece)
            good = [status for status in outcome.statuses if status < 400]
            bad = [status for status in outcome.statuses if status >= 400]
            if len(good) > answers_max or not bad or not outcome.closed:
                complaints.append(f"{name} piece={piece}: {outcome}")
        return complaints

    def assert_all_refused(self, cases):
        complaints = sum(in_parallel(lambda case: self.refused(*case), cases), [])
        print(f"\n{len(cases)} must-refuse cases, {len(complaints)} complaints", flush=True)
        self.assertFalse(complaints, "\n" + "\n".join(complaints))

    def test_llhttp_errors_are_refused(self):
        cases, checked = [], 0
        for case in suite("llhttp-md"):
            if case["mode"] != "request" or not case["error"]:
                continue
            checked += 1
            code = case["error"]["code"]
            raw = base64.b64decode(case["input_b64"])
            variants = {raw, with_host(raw), to_records(raw), to_records(with_host(raw))}
            if code in PAUSED or code == DATA_AFTER_CLOSE:
                variants = {raw}  # the paths of these do not exist: 404 or 405, then the end
            elif code == 2 and raw.endswith(b"HTTP/5.6"):
                variants = {raw}
            for number, content in enumerate(sorted(variants)):
                cases.append((f"{case['id']}.{number} {case['name']}", content, 0))
        self.assertEqual(checked, 65)
        self.assert_all_refused(cases)

    def test_llhttp_messages_are_accepted(self):
        rows = [case for case in suite("llhttp-md") if case["mode"] == "request" and
                not case["error"] and case["id"] not in STRICTER and
                "skipBody" not in case["meta"]]

        def complaint(case):
            content = with_host(base64.b64decode(case["input_b64"]))
            found = []
            for piece in (None, 1):
                outcome = exchange(self.port, content, piece, answers=case["messages_complete"],
                                   silence_s=SILENCE_S if case["messages_complete"] else 0.3)
                refusals = [status for status in outcome.statuses if status in REFUSALS]
                if refusals or len(outcome.statuses) < min(1, case["messages_complete"]):
                    found.append(f"{case['id']} {case['name']} piece={piece}: {outcome}")
            return found
        complaints = sum(in_parallel(complaint, rows), [])
        print(f"\n{len(rows)} must-accept cases, {len(complaints)} complaints", flush=True)
        self.assertGreater(len(rows), 40)
        self.assertFalse(complaints, "\n" + "\n".join(complaints))

    def test_nginx_cases_have_nginx_answers(self):
        rows = suite("nginx-derived")
        self.assertEqual(len(rows), 67)

        def complaint(case):
            expect = case["expect"]
            if "limit" in expect:
                return []  # needs a limit of 1 KiB; test_bodies_over_the_limit has them
            content = base64.b64decode(case["request_b64"]).replace(b"POST / ", b"POST /v1/records ")
            wanted = expect.get("statuses", [])
            count = len(wanted) if not expect.get("any") else 1
            found = []
            for piece in (None, 1):
                outcome = exchange(self.port, content, piece,
                                   answers=expect.get("responses") or None if not wanted else None,
                                   finish=any(word == "2xx" for word in wanted))
                statuses = [str(status) for status in outcome.statuses]
                if "responses" in expect:
                    good = len(statuses) == expect["responses"] and "400" not in statuses
                elif "not_status" in expect:
                    # An empty record is a 400 of ours, so only the interim answer is looked for.
                    good = (f"HTTP/1.1 {expect['not_status']} ".encode() not in outcome.raw if
                            expect["not_status"] == "100" else expect["not_status"] not in statuses)
                elif expect.get("any") and "100" in wanted:
                    good = len(statuses) == 1  # no body: no 100 needed; an empty record is refused
                elif expect.get("any"):
                    good = statuses[:1] and statuses[0] in wanted and outcome.closed
                elif wanted[0] == "2xx":
                    good = len(statuses) == count and all(word == "201" for word in statuses) and \
                        self.sizes(outcome.raw) == expect["bodies"]
                else:
                    good = statuses == wanted and outcome.closed
                if not good:
                    found.append(f"{case['id']} {case['what']} piece={piece}: {outcome} not {expect}")
            return found
        complaints = sum(in_parallel(complaint, rows), [])
        print(f"\n{len(rows)} nginx cases, {len(complaints)} complaints", flush=True)
        self.assertFalse(complaints, "\n" + "\n".join(complaints))

    @staticmethod
    def sizes(raw):
        found = []
        for part in raw.split(b"\r\n\r\n")[1:]:
            found.append(json.loads(part.split(b"\n")[0])["size"])
        return found

    def test_what_smuggling_is_made_of_is_refused(self):
        self.assert_all_refused([(name, content, 0) for name, content in framing_cases.refused()])

    def test_the_plain_forms_beside_it_are_accepted(self):
        for name, content, statuses in framing_cases.accepted():
            for piece in (None, 1):
                with self.subTest(name, piece=piece):
                    outcome = exchange(self.port, content, piece, answers=len(statuses))
                    self.assertEqual(outcome.statuses, statuses, outcome)


class SmallLimit(harness.DaybookTest):
    settings = {"ingest.body_bytes_max": "1KiB"}

    def test_bodies_over_the_limit(self):
        for case in suite("nginx-derived"):
            if "limit" not in case["expect"]:
                continue
            content = base64.b64decode(case["request_b64"]).replace(b"POST / ", b"POST /v1/records ")
            for piece in (None, 100):
                outcome = exchange(self.port, content, piece)
                self.assertEqual(outcome.statuses, [413], case["id"])
                self.assertTrue(outcome.closed)


if __name__ == "__main__":
    harness.main()
