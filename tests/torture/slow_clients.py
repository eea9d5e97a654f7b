"""slow_clients.py PORT COUNT headers|bodies: keeps COUNT connections open that send one byte every five
seconds inside the header section or inside a body, and opens those anew that the server ends.

Says "ready" when they are connected; when its standard input ends, or has a line, it says how many
connections are open and how many the server has ended.
"""

import errno
import resource
import select
import socket
import sys
import time

EVERY_S = 5.0
SLICES = 50         # each has its turn once in EVERY_S
ADDRESSES = 16      # 127.0.1.1 and on: the good clients have another one
FIRST = {"headers": b"POST /v1/records HTTP/1.1\r\nHost: slow\r\nX-Slow: ",
         "bodies": b"POST /v1/records HTTP/1.1\r\nHost: slow\r\nContent-Length: 100000\r\n\r\n"}


class Slow:
    ended = 0

    def __init__(self, port, number, first):
        self.port, self.number, self.first = port, number, first
        self.socket = None
        self.open()

    def open(self):
        self.begun = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_IP, 24, 1)     # IP_BIND_ADDRESS_NO_PORT
        self.socket.bind((f"127.0.1.{1 + self.number % ADDRESSES}", 0))
        if self.socket.connect_ex(("127.0.0.1", self.port)) not in (0, errno.EINPROGRESS):
            self.shut()

    def shut(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def turn(self):
        if self.socket is None:
            return self.open()
        try:
            if self.begun and self.over():
                Slow.ended += 1
                self.shut()
                return self.open()
            self.socket.send(b"x" if self.begun else self.first)
            self.begun = True
        except BlockingIOError:
            pass            # not connected yet
        except OSError:
            Slow.ended += 1
            self.shut()
        return None

    def over(self):
        try:
            return self.socket.recv(4096) is not None   # an answer or the end: it threw us out
        except BlockingIOError:
            return False


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    everyone = []
    for number in range(count):
        everyone.append(Slow(port, number, FIRST[sys.argv[3]]))
        if number % 200 == 199:
            time.sleep(0.05)
    time.sleep(0.2)
    for slow in everyone:
        slow.turn()
    print("ready", flush=True)
    piece = 0
    while not select.select([sys.stdin], [], [], EVERY_S / SLICES)[0]:
        piece = (piece + 1) % SLICES
        for slow in everyone[piece::SLICES]:
            slow.turn()
    print(sum(slow.socket is not None and slow.begun for slow in everyone), Slow.ended, flush=True)


if __name__ == "__main__":
    main()
