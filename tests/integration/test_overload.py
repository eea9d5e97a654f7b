"""More than the server has room for: it refuses from the head alone, says when to come back, keeps
its memory below the sum it prints, and slow clients do not take good clients' room."""

import base64
import re
import signal
import socket
import threading
import time

import client
import harness

POST = "/v1/records"


def resident_peak(pid):
    """VmHWM of a process, in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


def refused_total(port):
    """daybook_refused_total by reason."""
    text = client.request(port, "GET", "/metrics").body.decode()
    return {reason: float(count) for reason, count in
            re.findall(r'daybook_refused_total\{reason="(\w+)"\} (\S+)', text)}


class Waiting:
    """Uploads that hold their share: a head that was answered with 100 and no body."""

    def __init__(self, port):
        self.port, self.held = port, []

    def hold(self, size):
        raw = client.Connection(self.port)
        raw.send_head("POST", POST, f"Content-Length: {size}", "Expect: 100-continue")
        answer = raw.read_answer(interim=True)
        assert answer.status == 100, answer.describe()
        self.held.append(raw)
        return raw

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for raw in self.held:
            raw.close()


class Overload(harness.DaybookTest):

    def first_answer(self, size, *fields):
        """The first answer to a head that promises so many bytes and waits for 100."""
        with client.Connection(self.port) as raw:
            raw.send_head("POST", POST, f"Content-Length: {size}", "Expect: 100-continue", *fields)
            return raw.read_answer(interim=True)

    def assert_come_back(self, answer):
        seconds = int(answer.header("retry-after"))
        self.assertTrue(1 <= seconds <= 60, seconds)
        return seconds


class ClientShare(Overload):
    # Below what one largest request may hold (32 MiB), so that is the share; two uploads take 24.
    settings = {"ingest.memory_max": "64MiB", "ingest.client_memory_max": "16MiB",
                "ingest.admission_wait": "300ms", "server.body_idle_timeout": "60s"}

    def test_a_client_over_its_share_gets_429_before_its_body_is_asked_for(self):
        with Waiting(self.port) as waiting:
            waiting.hold(8_000_000)
            waiting.hold(8_000_000)
            answer = self.first_answer(6_000_000)
            self.assert_problem(answer, 429, "client_memory_max")
            self.assert_come_back(answer)
            self.assertGreaterEqual(refused_total(self.port).get("client_memory", 0), 1)
        self.assertEqual(client.post(self.port, b"later").status, 201)

    def test_100_comes_after_admission_and_not_before(self):
        with Waiting(self.port) as waiting:
            waiting.hold(8_000_000)
            held = waiting.hold(8_000_000)
            with client.Connection(self.port) as raw:
                raw.send_head("POST", POST, "Content-Length: 6000000", "Expect: 100-continue")
                self.assertFalse(raw.readable(within_s=0.15), "answered while nothing is free")
                held.close()
                self.assertEqual(raw.read_answer(interim=True).status, 100)
                raw.send(bytes(6_000_000))
                self.assertEqual(raw.read_answer().status, 201)

    def test_a_chunked_body_is_charged_block_by_block(self):
        with Waiting(self.port) as waiting:
            waiting.hold(8_000_000)
            waiting.hold(8_000_000)
            with client.Connection(self.port) as raw:
                raw.send_head("POST", POST, "Transfer-Encoding: chunked")
                raw.send(b"%x\r\n" % 500_000 + bytes(500_000) + b"\r\n0\r\n\r\n")
                self.assertEqual(raw.read_answer().status, 201, "a small one fits")
            with client.Connection(self.port) as raw:
                raw.send_head("POST", POST, "Transfer-Encoding: chunked")
                try:
                    for _ in range(6):
                        raw.send(b"%x\r\n" % 1_000_000 + bytes(1_000_000) + b"\r\n")
                except OSError:
                    pass
                self.assert_problem(raw.read_answer(), 429, "while the body arrived")


class Stores(Overload):
    # Without the ladder, which takes what Redis cannot.
    no_other_way = {"spool.bytes_max": "0B", "spool.direct_archive": "false"}
    settings = {"buffer.memory_reserve": "16MiB", "server.body_idle_timeout": "60s",
                **no_other_way}

    def test_redis_memory_is_counted_before_the_body_is_read(self):
        self.redis.configure("maxmemory", 40 << 20)
        try:
            time.sleep(1)  # several checks
            with Waiting(self.port) as waiting:
                for _ in range(3):
                    waiting.hold(8_000_000)
                answer = self.first_answer(8_000_000)
                problem = self.assert_problem(answer, 503, "memory_reserve")
                self.assertEqual(problem["code"], "out_of_space")
                self.assert_come_back(answer)
                self.assertEqual(self.daybook.readiness()[0], 200, "small records still fit")
                self.assertEqual(client.post(self.port, b"small").status, 201)
            self.assertGreaterEqual(refused_total(self.port).get("buffer_memory", 0), 1)
        finally:
            self.redis.configure("maxmemory", 0)

    def test_a_disk_below_its_reserve_is_507_before_the_body_is_read(self):
        full = harness.Daybook(self.area, self.redis, {"node.disk_reserve": "900000GiB"},
                               name="full")
        full.start(wait_ready=False)
        try:
            full.wait_check("disk", False)
            with client.Connection(full.port) as raw:
                raw.send_head("POST", POST, "Content-Length: 6000000", "Expect: 100-continue")
                answer = raw.read_answer(interim=True)
            self.assert_problem(answer, 507, "node.disk_reserve")
            self.assert_come_back(answer)
        finally:
            full.stop()

    def test_retry_after_grows_while_redis_is_down(self):
        own = harness.Redis(self.area, "own").start()
        daybook = harness.Daybook(self.area, own, self.no_other_way, name="orphan").start()
        try:
            own.kill()
            daybook.wait_check("buffer", False)
            first = self.assert_come_back(client.post(daybook.port, b"x"))
            time.sleep(8)
            later = self.assert_come_back(client.post(daybook.port, b"x"))
            self.assertLessEqual(first, 2)
            self.assertGreaterEqual(later, first + 2)
        finally:
            own.start()
            daybook.wait_ready()
            self.assertEqual(client.post(daybook.port, b"x").status, 201)
            daybook.stop()
            own.stop()


class SlowOnes(Overload):
    settings = {"server.body_rate_min": "100KiB", "server.write_timeout": "1s",
                "server.connections_per_address_max": "40", "server.header_timeout": "30s"}

    def test_a_body_below_the_least_rate_is_408(self):
        begun = time.monotonic()
        with client.Connection(self.port) as raw:
            raw.send_head("POST", POST, "Content-Length: 6000000")
            while not raw.readable(within_s=0.1):
                self.assertLess(time.monotonic() - begun, 25, "the server goes on reading")
                raw.send(bytes(1000))
            self.assert_problem(raw.read_answer(), 408, "slowly")
            self.assertTrue(raw.ended())
        self.assertGreater(time.monotonic() - begun, 9, "the grace is 10 s")

    def test_a_client_that_does_not_read_its_answer_is_let_go(self):
        payload = harness.seeded("slow read").randbytes(8_000_000)
        record = client.post(self.port, payload).json()["id"]
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.settimeout(20)
            link.connect(("127.0.0.1", self.port))
            link.sendall(f"GET {POST}/{record}/payload HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            time.sleep(4)
            received = 0
            try:
                while part := link.recv(1 << 16):
                    received += len(part)
            except ConnectionResetError:
                pass
            self.assertLess(received, len(payload))

    def test_too_many_connections_of_an_address_are_told_so(self):
        held = []
        try:
            for _ in range(40):
                raw = client.Connection(self.port)
                raw.send_head("POST", POST, "Content-Length: 100", "Expect: 100-continue")
                self.assertEqual(raw.read_answer(interim=True).status, 100)
                held.append(raw)
            with client.Connection(self.port) as one_more:
                answer = one_more.read_answer()
                self.assert_problem(answer, 429, "connections_per_address_max")
                self.assertTrue(one_more.ended())
        finally:
            for raw in held:
                raw.close()
        harness.wait_until(lambda: client.post(self.port, b"x").status == 201, "room again")


class Memory(Overload):
    settings = {"ingest.memory_max": "64MiB", "ingest.client_memory_max": "64MiB",
                "server.connections_max": "256", "ingest.admission_wait": "20s",
                "buffer.append_timeout": "20s", "pipeline.archive_concurrency": "4"}

    def printed_sum(self):
        printed = re.search(rb"memory at most: .* = (\d+) MiB", self.daybook.process.log())
        limit = int(printed.group(1)) << 20
        with open(harness.binary(), "rb") as program:
            if b"__asan_init" in program.read():
                limit *= 3  # shadow and quarantine of the sanitizer
        return limit

    def test_resident_memory_stays_below_the_printed_sum(self):
        limit = self.printed_sum()
        payload = harness.seeded("memory").randbytes(6_000_000)
        statuses = []

        def upload(number):
            for turn in range(2):
                body = payload[number:] + b"%d %d" % (number, turn)
                try:
                    statuses.append(client.post(self.port, body, timeout_s=90).status)
                except (client.BrokenAnswer, OSError) as error:
                    statuses.append(repr(error))
        threads = [threading.Thread(target=upload, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for _ in range(3):  # Redis is slow: what was received waits in memory
            time.sleep(0.5)
            self.redis.process.signal(signal.SIGSTOP)
            time.sleep(1.5)
            self.redis.process.signal(signal.SIGCONT)
        for thread in threads:
            thread.join(120)
        peak = resident_peak(self.daybook.process.pid)
        print(f"\npeak {peak >> 20} MiB of at most {limit >> 20} MiB; "
              f"{statuses.count(201)} of {len(statuses)} stored", flush=True)
        self.assertLessEqual(peak, limit)
        self.assertFalse([status for status in statuses if status not in (201, 503, 429)])
        self.assertGreater(statuses.count(201), 64)
        self.assertEqual(client.post(self.port, b"after").status, 201)

    def test_base64_before_its_metadata_stays_below_it_too(self):
        """Such a payload is sealed twice, as its text and as the bytes that it stands for."""
        limit = self.printed_sum()
        payload = harness.seeded("messages").randbytes(6_000_000)
        statuses = []

        def send(number):
            content = payload[number:] + b"%d" % number
            body = b'{"messagePayload": "' + base64.b64encode(content) + (
                b'", "messageMetaData": {"messageType": "imageB64", "sourceSystemID": "memory",'
                b' "sourceTransactionID": "%d", "dateTime": "2026-11-21T04:05:06Z"}}' % number)
            sent = iter([body]) if number % 2 else body   # chunked, or with its length
            try:
                answer = client.request(self.port, "POST", "/ingestMessage", sent, timeout_s=90)
                statuses.append(answer.status)
            except (client.BrokenAnswer, OSError) as error:
                statuses.append(repr(error))
        threads = [threading.Thread(target=send, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(0.5)
            self.redis.process.signal(signal.SIGSTOP)
            time.sleep(1)
            self.redis.process.signal(signal.SIGCONT)
        for thread in threads:
            thread.join(120)
        peak = resident_peak(self.daybook.process.pid)
        print(f"\npeak {peak >> 20} MiB of at most {limit >> 20} MiB; "
              f"{statuses.count(200)} of {len(statuses)} stored", flush=True)
        self.assertLessEqual(peak, limit)
        self.assertFalse([status for status in statuses if status not in (200, 503, 429)])
        self.assertGreater(statuses.count(200), 8)

    def test_a_sum_above_the_bound_is_refused_at_start(self):
        tight = harness.Daybook(self.area, self.redis, {
            "ingest.memory_max": "512MiB", "node.memory_max": "256MiB"}, name="tight")
        tight.start(wait_ready=False)
        self.assertEqual(tight.process.wait(), 1)
        self.assertIn(b"Lower ingest.memory_max first", tight.process.log())


if __name__ == "__main__":
    harness.main()
