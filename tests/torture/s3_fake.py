"""An S3 service in memory that can be told to fail, for the tests of tests/torture only.

It keeps whole objects, answers PUT, GET, HEAD and listings (path style, any credentials), and takes
its orders from `plan`: each PUT pops one entry and fails in that way. Orders that say "stored" keep
the bytes although the client hears otherwise; all others keep nothing.
"""

import base64
import hashlib
import http.server
import socket
import struct
import threading
import time
import urllib.parse

INTERNAL = b"<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>again</Message></Error>"


def error(code):
    return f"<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>m</Message></Error>".encode()


class Canned:
    """An answer as a file of canned answers describes it."""

    def __init__(self, name, status, fields, body, delay_s=0):
        self.name, self.status, self.fields = name, status, fields
        self.body, self.delay_s = body, delay_s


# Twelve kinds of our own; those with "stored" keep the object although the client is not told.
KINDS = ("500", "503", "slow_down", "timeout", "cut_in_body", "cut_before_answer_stored",
         "200_with_error", "wrong_checksum_stored", "no_checksum_stored", "rotten_stored",
         "nonsense_answer_stored", "cut_in_answer_stored", "403_skewed", "404_bucket",
         "slow_stored", "refused_connection")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def store(self):
        return self.server.store

    def key(self):
        path = urllib.parse.urlsplit(self.path).path
        return urllib.parse.unquote(path).lstrip("/").partition("/")[2]

    def answer(self, status, body=b"", fields=()):
        self.send_response(status)
        for name, value in dict(fields).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self):
        key = self.key()
        if not key:
            return self.answer(200, self.listing(), {"Content-Type": "application/xml"})
        with self.store.lock:
            found = self.store.objects.get(key)
        if found is None:
            return self.answer(404, error("NoSuchKey"))
        fields = {"ETag": f'"{hashlib.md5(found).hexdigest()}"'}
        wanted = self.headers.get("Range")
        if wanted and wanted.startswith("bytes=") and self.command == "GET":
            first, _, last = wanted[6:].partition("-")
            first, last = int(first), min(int(last or len(found) - 1), len(found) - 1)
            fields["Content-Range"] = f"bytes {first}-{last}/{len(found)}"
            return self.answer(206, found[first:last + 1], fields)
        return self.answer(200, found, fields)

    do_HEAD = do_GET

    def listing(self):
        with self.store.lock:
            items = "".join(f"<Contents><Key>{key}</Key><Size>{len(body)}</Size></Contents>"
                            for key, body in sorted(self.store.objects.items()))
        return (f"<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><IsTruncated>false"
                f"</IsTruncated>{items}</ListBucketResult>").encode()

    def do_PUT(self):
        length = int(self.headers.get("Content-Length", 0))
        if self.key().endswith("daybook-probe-write"):  # it honours nothing special
            self.rfile.read(length)
            return self.answer(501, error("NotImplemented"))
        order = self.store.next_order()
        if order == "refused_connection":
            return self.reset()
        if order == "cut_in_body":
            self.rfile.read(length // 2)
            return self.reset()
        if self.headers.get("Expect", "").lower() == "100-continue" and order == "503":
            self.close_connection = True
            return self.answer(503, error("ServiceUnavailable"))  # before the body
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        return self.finish(order, body)

    def handle_expect_100(self):
        if self.store.peek() != "503":
            self.send_response_only(http.HTTPStatus.CONTINUE)
            self.end_headers()
        return True

    def keep(self, body):
        with self.store.lock:
            self.store.objects[self.key()] = body
            self.store.puts += 1

    def finish(self, order, body):
        good = {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        if isinstance(order, Canned):
            time.sleep(min(order.delay_s, 4))
            if 200 <= order.status < 300 and b"<Error>" not in order.body:
                self.keep(body)
            return self.answer(order.status, order.body, order.fields)
        if order and order.endswith("_stored"):
            rotten = order == "rotten_stored"
            self.keep(body[:-9] + bytes([body[-9] ^ 1]) + body[-8:] if rotten else body)
        if order in ("500", "503", "slow_down", "403_skewed", "404_bucket"):
            status, code = {"500": (500, "InternalError"), "503": (503, "ServiceUnavailable"),
                            "slow_down": (503, "SlowDown"), "403_skewed": (403, "RequestTimeTooSkewed"),
                            "404_bucket": (404, "NoSuchBucket")}[order]
            return self.answer(status, error(code))
        if order == "timeout":
            time.sleep(4)
            return self.reset()
        if order == "cut_before_answer_stored":
            return self.reset()
        if order == "200_with_error":
            return self.answer(200, INTERNAL, {"Content-Type": "application/xml"})
        if order == "wrong_checksum_stored":
            wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
            return self.answer(200, fields={"ETag": '"' + "0" * 32 + '"',
                                            "x-amz-checksum-sha256": wrong})
        if order in ("no_checksum_stored", "rotten_stored"):
            return self.answer(200)
        if order == "nonsense_answer_stored":
            self.wfile.write(b"\x00\x01 what?\r\n\r\n")
            self.close_connection = True
            return None
        if order == "cut_in_answer_stored":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nETag: \"")
            return self.reset()
        if order == "slow_stored":
            time.sleep(1.5)
        else:
            self.keep(body)
        return self.answer(200, fields=good)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # clients that give up are what this is about


class Store:
    def __init__(self):
        self.lock, self.objects, self.plan = threading.Lock(), {}, []
        self.puts, self.failed = 0, 0
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.store = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def peek(self):
        with self.lock:
            return self.plan[0] if self.plan else None

    def next_order(self):
        with self.lock:
            if not self.plan:
                return None
            self.failed += 1
            return self.plan.pop(0)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
