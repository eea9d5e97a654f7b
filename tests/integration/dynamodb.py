"""A DynamoDB service for tests: dynalite as ops/servers/dynamodb starts it, and a proxy in front of it
that checks keys and signatures, which dynalite does not, and refuses what a busy service refuses."""

import collections
import hashlib
import hmac
import http.client
import http.server
import json
import os
import random
import signal
import subprocess
import threading
import time
import unittest
import zlib

import harness

ACCESS_KEY, SECRET_KEY, REGION = "AKIDTEST", "secret/of+the test", "eu-test-1"
TYPES = "com.amazonaws.dynamodb.v20120810#"
COMMON_TYPES = "com.amazon.coral.service#"


class Dynalite:
    """Its tables survive a kill."""

    def __init__(self, area, name="dynalite"):
        self.script = os.path.join(harness.SOURCE_DIR, "ops", "servers", "dynamodb")
        self.folder = area.file(name)
        self.port = harness.free_port()
        self.pid = None
        check = subprocess.run([self.script, "check", "dynalite"], capture_output=True, text=True,
                               timeout=180)
        if check.returncode != 0:
            raise unittest.SkipTest(check.stderr.strip() or "dynalite is not to be had")

    def start(self):
        run = subprocess.run(
            [self.script, "start", "dynalite", "--data", self.folder, "--port", str(self.port),
             "--persist"], capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stdout + run.stderr
        self.pid = int(run.stdout.split("PID=")[1])
        return self

    def stop(self):
        subprocess.run([self.script, "stop", "--data", self.folder], timeout=60, check=False)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        harness.wait_until(lambda: not self.listens(), "dynalite is dead")

    def listens(self):
        try:
            self.call("ListTables", {})
            return True
        except OSError:
            return False

    def call(self, operation, request):
        """(status, answer) of a request signed with anything: dynalite wants only the form."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/", json.dumps(request), {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Date": "20260101T000000Z",
            "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/dynamodb/aws4_request, "
                             "SignedHeaders=host, Signature=0"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, body

    def items(self, table, bucket_prefix="0"):
        """Every item whose bucket begins so: records by default."""
        found, start = [], {}
        while True:
            status, page = self.call("Scan", {"TableName": table, **start})
            assert status == 200, page
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return [item for item in found if item["bucket"]["S"].startswith(bucket_prefix)]
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature_fault(headers, path, body, keys, region, now=None):
    """What is wrong with a request's Signature V4: (exception, words), or None. Written from the AWS
    General Reference, sharing nothing with the signer."""
    words = headers.get("Authorization", "")
    if not words.startswith("AWS4-HMAC-SHA256 "):
        return "MissingAuthenticationTokenException", "Request is missing Authentication Token"
    parts = dict(part.strip().split("=", 1) for part in words.split(" ", 1)[1].split(","))
    access_key, date, signed_region, service, end = parts["Credential"].split("/")
    if access_key not in keys:
        return "UnrecognizedClientException", "The security token included in the request is invalid."
    if (signed_region, service, end) != (region, "dynamodb", "aws4_request"):
        return ("InvalidSignatureException",
                f"Credential should be scoped to a valid region, not '{signed_region}'.")
    stamp = headers["X-Amz-Date"]
    age = (now or time.time()) - time.mktime(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) + time.timezone
    if stamp[:8] != date or abs(age) > 300:
        return "InvalidSignatureException", f"Signature expired: {stamp} is now earlier than allowed"
    names = parts["SignedHeaders"].split(";")
    if "host" not in names or "x-amz-target" not in names:
        return "InvalidSignatureException", "'Host' must be a 'SignedHeader'"
    canonical = "\n".join(
        ["POST", path, "", *(f"{name}:{headers[name].strip()}" for name in names), "",
         ";".join(names), hashlib.sha256(body).hexdigest()])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, f"{date}/{region}/dynamodb/aws4_request",
                         hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + keys[access_key]).encode()
    for word in (date, region, "dynamodb", "aws4_request"):
        key = _hmac(key, word)
    if not hmac.compare_digest(_hmac(key, to_sign).hex(), parts["Signature"]):
        return ("InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.")
    return None


class Proxy:
    """Forwards what is signed rightly. share: how many of the requests are refused instead, with one
    of the answers of a service that is too busy or stumbles; half of those that it stumbles over have
    been done all the same."""

    def __init__(self, target_port, seed=0, share=0.0):
        self.keys = {ACCESS_KEY: SECRET_KEY}
        self.region = REGION
        self.share = share
        self.counts = collections.Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers.get("X-Amz-Target", ".").split(".")[1]
                status, answer, more = proxy.answer(operation, self.headers, self.path, body,
                                                    target_port)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, operation, headers, path, body, port):
        fault = signature_fault(headers, path, body, self.keys, self.region)
        with self._lock:
            self.counts[operation] += 1
            refused = not fault and self._random.random() < self.share
            dice = self._random.random()
        if fault:
            self.counts["denied"] += 1
            return self.refusal(400, COMMON_TYPES + fault[0], fault[1])
        if refused and dice < 0.6:
            self.counts["refused"] += 1
            name = ("ProvisionedThroughputExceededException" if dice < 0.3 else
                    "ThrottlingException" if dice < 0.5 else "RequestLimitExceeded")
            return self.refusal(400, TYPES + name, "Rate exceeded")
        if refused and dice < 0.8:
            self.counts["refused"] += 1
            return self.refusal(500, TYPES + "InternalServerError", "The service failed.")
        try:
            target = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            target.request("POST", path, body, {
                name: value for name, value in headers.items()
                if name.lower() not in ("connection", "host")})
            got = target.getresponse()
            answer = got.read()
            target.close()
        except OSError:
            self.counts["nobody there"] += 1
            return self.refusal(503, COMMON_TYPES + "ServiceUnavailableException", "nobody there")
        if refused:  # it was done, and the answer says that it was not
            self.counts["refused"] += 1
            self.counts["done and denied"] += 1
            return self.refusal(500, TYPES + "InternalServerError", "The service failed.")
        return got.status, answer, {"Content-Type": "application/x-amz-json-1.0",
                                    "x-amz-crc32": got.getheader("x-amz-crc32")}

    @staticmethod
    def refusal(status, name, message):
        answer = json.dumps({"__type": name, "message": message}).encode()
        return status, answer, {"x-amz-crc32": str(zlib.crc32(answer))}
