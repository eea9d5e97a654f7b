"""A source for pollers: items with sequential ids behind GET, in pages, with faults on demand."""

import http.server
import json
import ssl
import threading
import urllib.parse


class Source:
    """GET /items?after=N -> {"items": [...], "next": ...}. faults: called before each answer; what it
    returns spoils that answer: ("status", code, headers), ("cut",), ("reset",), ("body", bytes, type)
    or None."""

    def __init__(self, page=50, tls=None):
        self.page, self.lock = page, threading.Lock()
        self.items, self.requests, self.faults = [], [], None
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                source._answer(self)

            do_POST = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, count):
        with self.lock:
            first = len(self.items) + 1
            for number in range(first, first + count):
                # Spaces and escapes that no serializer would write again.
                self.items.append(f'{{"id" :{number},  "text":"caf\\u00e9 \\/ {number}"}}')

    def _answer(self, request):
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        self.requests.append((request.path, dict(request.headers), body))
        fault = self.faults(request.path) if self.faults else None
        if fault and fault[0] == "reset":
            request.close_connection = True
            request.connection.close()
            return
        if fault and fault[0] == "status":
            return self._send(request, b"", "text/plain", fault[1], fault[2])
        if fault and fault[0] == "body":
            return self._send(request, fault[1], fault[2])
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        after = int(query.get("after", ["0"])[0])
        with self.lock:
            items = self.items[after:after + self.page]
        content = ('{ "items": [' + ",\n ".join(items) + '] }').encode()
        if fault and fault[0] == "cut":
            content = content[:len(content) // 2]
        self._send(request, content, "application/json")

    @staticmethod
    def _send(request, content, kind, status=200, headers=()):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        for name, value in headers:
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    def asked(self, part=""):
        return sum(part in path for path, _, _ in self.requests)


def toml(kind, **fields):
    """One table of a configuration file."""
    return f"[[{kind}]]\n" + "".join(
        f"{name} = {json.dumps(value) if not isinstance(value, dict) else inline(value)}\n"
        for name, value in fields.items())


def inline(table):
    return "{ " + ", ".join(f"{json.dumps(name)} = {json.dumps(value)}"
                            for name, value in table.items()) + " }"
