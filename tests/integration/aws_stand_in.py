"""Stands in for what hands out AWS credentials: an instance's metadata service (version 2), a
container's endpoint, and the token service. The keys it hands out are real ones of the test's store.
Strict where the real ones are: no metadata without its token, no credentials without the container's
token, no role without the web identity."""

import datetime
import http.server
import json
import threading
import time
import urllib.parse

ROLE = "arn:aws:iam::123456789012:role/audit"
METADATA_TOKEN = "imds-token"


class StandIn:
    def __init__(self, pairs, lifetimes_s=(3600,)):
        """pairs: (access key, secret key), handed out one after the other, the last for ever; each
        expires after its lifetime."""
        self.pairs, self.lifetimes_s = pairs, lifetimes_s
        self.handed_out = 0
        self.times = []       # of the answers with keys
        self.container_token = self.web_token = "none"
        self.lock = threading.Lock()
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                stand_in.get(self)

            def do_PUT(self):
                stand_in.put(self)

            def do_POST(self):
                stand_in.post(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def answer(request, status, body, kind="text/plain"):
        data = body.encode()
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def next_keys(self):
        with self.lock:
            access_key, secret_key = self.pairs[min(self.handed_out, len(self.pairs) - 1)]
            lifetime_s = self.lifetimes_s[min(self.handed_out, len(self.lifetimes_s) - 1)]
            self.handed_out += 1
            self.times.append(time.monotonic())
        expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
            seconds=lifetime_s)
        return access_key, secret_key, expires.strftime("%Y-%m-%dT%H:%M:%SZ")

    def json_keys(self):
        access_key, secret_key, expires = self.next_keys()
        return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": access_key,
                           "SecretAccessKey": secret_key, "Token": "a-session-token",
                           "Expiration": expires})

    def put(self, request):
        if request.path != "/latest/api/token" or not request.headers.get(
                "X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
            return self.answer(request, 400, "")
        return self.answer(request, 200, METADATA_TOKEN)

    def get(self, request):
        if request.path == "/container/credentials?id=7":
            if request.headers.get("Authorization") != self.container_token:
                return self.answer(request, 403, "{}")
            return self.answer(request, 200, self.json_keys(), "application/json")
        if request.headers.get("X-aws-ec2-metadata-token") != METADATA_TOKEN:
            return self.answer(request, 401, "")
        roles = "/latest/meta-data/iam/security-credentials/"
        if request.path == roles:
            return self.answer(request, 200, "audit-role")
        if request.path == roles + "audit-role":
            return self.answer(request, 200, self.json_keys(), "application/json")
        return self.answer(request, 404, "")

    def post(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in urllib.parse.parse_qs(body).items()}
        right = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": ROLE,
                 "WebIdentityToken": self.web_token}
        if not all(form.get(name) == value for name, value in right.items()) or not form.get(
                "RoleSessionName"):
            return self.answer(request, 400, "<ErrorResponse><Error><Code>InvalidIdentityToken"
                               "</Code></Error></ErrorResponse>", "text/xml")
        access_key, secret_key, expires = self.next_keys()
        return self.answer(request, 200, f"""<AssumeRoleWithWebIdentityResponse
            xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
            <Credentials><AccessKeyId>{access_key}</AccessKeyId>
            <SecretAccessKey>{secret_key}</SecretAccessKey>
            <SessionToken>a-session-token</SessionToken><Expiration>{expires}</Expiration>
            </Credentials></AssumeRoleWithWebIdentityResult>
            </AssumeRoleWithWebIdentityResponse>""", "text/xml")
