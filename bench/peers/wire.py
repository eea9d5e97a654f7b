"""Redis, NATS and AMQP 0-9-1 as a producer and a checker need them, on plain blocking sockets.

A connection has prepare(body), done before the measurement, which returns all that can be made of a
body in advance, and send(prepared, number), which sends one record and returns when the server has
acknowledged it. stored() asks the server how many records and payload bytes it holds.
"""

import json
import socket
import struct

TIMEOUT_S = 60


class Refused(Exception):
    """The server answered something other than an acknowledgement."""


class Stream:
    def __init__(self, address):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(address if isinstance(address, str) else ("127.0.0.1", address))
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb", buffering=65536)

    def send(self, *parts):
        """Parts go out as they are, without a copy into one."""
        parts = [memoryview(part) for part in parts]
        while parts:
            sent = self.socket.sendmsg(parts)
            while parts and sent >= len(parts[0]):
                sent -= len(parts.pop(0))
            if parts and sent:
                parts[0] = parts[0][sent:]

    def line(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise Refused("the server closed the connection")
        return line[:-2]

    def exactly(self, count):
        data = self.reader.read(count)
        if len(data) != count:
            raise Refused("the server closed the connection")
        return data

    def close(self):
        self.reader.close()
        self.socket.close()


class Redis:
    """One record is one key, SET."""

    def __init__(self, address, name):
        self.stream = Stream(address)
        self.name = name

    def prepare(self, body):
        return b"$%d\r\n" % len(body), body

    def send(self, prepared, number):
        key = f"record:{self.name}-{number}".encode()
        length, body = prepared
        self.stream.send(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n%s" % (len(key), key, length), body, b"\r\n")
        answer = self.stream.line()
        if answer != b"+OK":
            raise Refused(answer.decode("utf-8", "replace"))

    def ask(self, *words):
        words = [word.encode() if isinstance(word, str) else word for word in words]
        self.stream.send(b"*%d\r\n" % len(words) +
                         b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.answer()

    def answer(self):
        line = self.stream.line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise Refused(rest.decode("utf-8", "replace"))
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if int(rest) < 0:
                return None
            return self.stream.exactly(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        raise Refused(f"no answer of Redis: {line[:80]!r}")

    def stored(self, pattern="record:*", field=None):
        """Keys of this pattern and the bytes of their values (of one field, where they are hashes)."""
        cursor, records, size = b"0", 0, 0
        while True:
            cursor, keys = self.ask("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
            for key in keys:
                records += 1
                size += self.ask("HSTRLEN", key, field) if field else self.ask("STRLEN", key)
            if cursor == b"0":
                return records, size

    def close(self):
        self.stream.close()


class Nats:
    """One record is one message of a JetStream stream, with a message id for deduplication."""

    STREAM, SUBJECT = "RECORDS", "records"

    def __init__(self, address, name):
        self.stream = Stream(address)
        self.name = name
        self.version = json.loads(self.stream.line().split(b" ", 1)[1])["version"]
        self.inbox = f"_INBOX.{name}"
        options = {"verbose": False, "pedantic": False, "headers": True, "lang": "raw", "version": "1"}
        self.stream.send(b"CONNECT %s\r\nSUB %s 1\r\n" %
                         (json.dumps(options).encode(), self.inbox.encode()))

    def reply(self):
        while True:
            words = self.stream.line().split()
            if words[0] == b"PING":
                self.stream.send(b"PONG\r\n")
            elif words[0] == b"MSG":
                return json.loads(self.stream.exactly(int(words[-1]) + 2))
            elif words[0] == b"HMSG":
                raise Refused(self.stream.exactly(int(words[-1]) + 2).decode("utf-8", "replace"))
            elif words[0] == b"-ERR":
                raise Refused(b" ".join(words).decode("utf-8", "replace"))

    def ask(self, subject, document=None):
        text = json.dumps(document).encode() if document else b""
        self.stream.send(b"PUB %s %s %d\r\n%s\r\n" %
                         (subject.encode(), self.inbox.encode(), len(text), text))
        answer = self.reply()
        if "error" in answer:
            raise Refused(str(answer["error"]))
        return answer

    def make_stream(self):
        self.ask(f"$JS.API.STREAM.CREATE.{self.STREAM}",
                 {"name": self.STREAM, "subjects": [self.SUBJECT], "storage": "file",
                  "retention": "limits", "num_replicas": 1, "duplicate_window": 120_000_000_000})

    def prepare(self, body):
        return body

    def send(self, prepared, number):
        headers = f"NATS/1.0\r\nNats-Msg-Id: {self.name}-{number}\r\n\r\n".encode()
        self.stream.send(b"HPUB %s %s %d %d\r\n%s" %
                         (self.SUBJECT.encode(), self.inbox.encode(), len(headers),
                          len(headers) + len(prepared), headers), prepared, b"\r\n")
        answer = self.reply()
        if "error" in answer or answer.get("duplicate"):
            raise Refused(str(answer))

    def stored(self):
        state = self.ask(f"$JS.API.STREAM.INFO.{self.STREAM}")["state"]
        return state["messages"], state["bytes"]  # the bytes count subjects and headers, too

    def close(self):
        self.stream.close()


class Amqp:
    """One record is one persistent message of a quorum queue, with publisher confirms."""

    QUEUE = b"records"
    METHOD, HEADER, BODY, HEARTBEAT, END = 1, 2, 3, 8, b"\xce"
    BASIC = 60

    def __init__(self, address, name):
        self.stream = Stream(address)
        self.name = name
        self.stream.send(b"AMQP\0\0\x09\x01")
        self.expect(10, 10)
        self.method(0, 10, 11, struct.pack(">I", 0) + self.short(b"PLAIN") +
                    self.long(b"\0guest\0guest") + self.short(b"en_US"))
        tune = self.expect(10, 30)
        channels, self.frame_max, _heartbeat = struct.unpack(">HIH", tune[:8])
        self.method(0, 10, 31, struct.pack(">HIH", channels, self.frame_max, 0))
        self.method(0, 10, 40, self.short(b"/") + self.short(b"") + b"\0")
        self.expect(10, 41)
        self.method(1, 20, 10, self.short(b""))
        self.expect(20, 11)
        self.method(1, 85, 10, b"\0")  # confirm.select
        self.expect(85, 11)

    @staticmethod
    def short(text):
        return struct.pack(">B", len(text)) + text

    @staticmethod
    def long(text):
        return struct.pack(">I", len(text)) + text

    def frame(self, kind, channel, payload):
        return struct.pack(">BHI", kind, channel, len(payload)) + payload + self.END

    def method(self, channel, group, number, arguments):
        self.stream.send(self.frame(self.METHOD, channel,
                                    struct.pack(">HH", group, number) + arguments))

    def expect(self, group, number):
        while True:
            kind, _channel, size = struct.unpack(">BHI", self.stream.exactly(7))
            payload = self.stream.exactly(size)
            if self.stream.exactly(1) != self.END:
                raise Refused("a frame of RabbitMQ has no end")
            if kind != self.METHOD:
                continue
            found = struct.unpack(">HH", payload[:4])
            if found == (group, number):
                return payload[4:]
            raise Refused(f"RabbitMQ sent method {found}: {payload[4:200]!r}")

    def make_queue(self):
        table = self.short(b"x-queue-type") + b"S" + self.long(b"quorum")
        self.method(1, 50, 10, struct.pack(">H", 0) + self.short(self.QUEUE) + b"\x02" +
                    self.long(table))
        self.expect(50, 11)

    def prepare(self, body):
        publish = struct.pack(">HHH", self.BASIC, 40, 0) + self.short(b"") + self.short(self.QUEUE) + b"\0"
        # Property flags: delivery mode only; 2 is persistent.
        header = struct.pack(">HHQHB", self.BASIC, 0, len(body), 0x1000, 2)
        parts = [self.frame(self.METHOD, 1, publish) + self.frame(self.HEADER, 1, header)]
        piece_max = (self.frame_max or 1 << 30) - 8
        for at in range(0, len(body), piece_max):
            piece = memoryview(body)[at:at + piece_max]
            parts[-1] += struct.pack(">BHI", self.BODY, 1, len(piece))
            parts += [piece, self.END]
        return parts

    def send(self, prepared, number):
        self.stream.send(*prepared)
        self.expect(self.BASIC, 80)  # basic.ack; a nack or a closed channel is refused

    def stored(self):
        """Messages only: the queue does not tell their bytes."""
        self.method(1, 50, 10, struct.pack(">H", 0) + self.short(self.QUEUE) + b"\x01" + self.long(b""))
        answer = self.expect(50, 11)
        return struct.unpack(">I", answer[1 + answer[0]:5 + answer[0]])[0], None

    def close(self):
        self.stream.close()


PROTOCOLS = {"redis": Redis, "nats": Nats, "amqp": Amqp}
