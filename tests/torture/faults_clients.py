"""Clients that misbehave, and clients that say the same twice."""

import random as random_module
import socket
import threading
import time

import generator
from fault import Fault


class RudeClients(Fault):
    """clients that reset, half-close, dribble, pipeline 64 requests, or never read"""
    name = "rude-clients"
    pause_s = (0.0, 0.05)

    def strike(self, world, rng):
        rng.choice([self.reset, self.half_close, self.dribble, self.pipeline, self.never_read])(
            world.port, rng)
        return time.monotonic()

    def connect(self, port):
        return socket.create_connection(("127.0.0.1", port), timeout=10)

    def head(self, length):
        return (f"POST /v1/records HTTP/1.1\r\nHost: torture\r\nContent-Length: {length}\r\n"
                "ce-type: rude\r\n\r\n").encode()

    def reset(self, port, rng):
        with self.connect(port) as rude:
            rude.sendall(self.head(1 << 20) + rng.randbytes(rng.randint(0, 1 << 19)))
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def half_close(self, port, rng):
        with self.connect(port) as rude:
            rude.sendall(self.head(1 << 20) + rng.randbytes(rng.randint(0, 1 << 18)))
            rude.shutdown(socket.SHUT_WR)
            rude.settimeout(10)
            while rude.recv(1 << 16):
                pass

    def dribble(self, port, rng):
        with self.connect(port) as rude:
            for byte in self.head(100)[:rng.randint(1, 60)]:
                rude.send(bytes([byte]))

    def pipeline(self, port, rng):
        with self.connect(port) as rude:
            rude.sendall(b"GET /livez HTTP/1.1\r\nHost: torture\r\n\r\n" * 64)
            rude.settimeout(10)
            answers = b""
            while answers.count(b"HTTP/1.1 200") < 64:
                piece = rude.recv(1 << 16)
                if not piece:
                    raise AssertionError("64 pipelined requests got fewer answers")
                answers += piece

    def never_read(self, port, _rng):
        rude = self.connect(port)
        rude.sendall(b"GET /metrics HTTP/1.1\r\nHost: torture\r\n\r\n" * 8)
        threading.Timer(1.0, rude.close).start()


class Duplicates(Fault):
    """one key sent by 16 clients at once, again after a restart"""
    name, tears_spool = "duplicates", True
    turn = 0
    generator = None    # the run sets it

    def strike(self, world, rng):
        self.turn += 1
        content = generator.payload(rng, f"duplicate {self.turn} {rng.random()}", 1 << 20)
        key = f"duplicate-{self.turn}-{rng.getrandbits(32)}"
        outcomes, moment = [], time.monotonic()

        def send(number):
            own = random_module.Random(f"{key}/{number}")
            for _ in range(60):
                outcome, status = self.generator.once(content, key, "keyed", own)
                outcomes.append((outcome, status))
                if outcome == "acknowledged":
                    return
                time.sleep(0.1)
        senders = [threading.Thread(target=send, args=(number,)) for number in range(16)]
        for sender in senders:
            sender.start()
        if rng.random() < 0.2:
            world.daybook.kill()
            world.restart_daybook()
        for sender in senders:
            sender.join()
        if not any(outcome == "acknowledged" for outcome, _ in outcomes):
            raise AssertionError(f"none of 16 twins was acknowledged: {outcomes[:20]}")
        return moment
