"""Clients that send records of every kind while faults strike, and write down what they were told."""

import hashlib
import random
import threading
import time

import client
from journal import ACKNOWLEDGED, REFUSED, UNKNOWN

PATIENCE_S = 90     # a record that is not settled by then counts as a hang
ANSWER_S = 40       # so does a request without an answer
WORDS = [b'{"verb":"get","user":"alice","code":200}\n', b'{"verb":"delete","user":"bob","code":403}\n',
         b"<Event><Id>4624</Id><Level>0</Level></Event>\n"]


def payload(rng, label, largest=6 << 20):
    """Unique bytes: text that compresses, noise that does not, or both; 30 bytes to 6 MiB."""
    size = rng.choice((rng.randint(30, 4096), rng.randint(4096, 1 << 20), rng.randint(30, 1 << 18),
                       rng.randint(1 << 20, largest) if largest > 1 << 20 else 1000))
    head = f"{label} {rng.getrandbits(64):016x} ".encode()
    kind = rng.random()
    if kind < 0.3:
        body = rng.randbytes(size)
    else:
        line = rng.choice(WORDS) * 40
        body = line * (size // len(line) + 1)
        if kind > 0.8:
            body = rng.randbytes(size // 2) + body
    return (head + body)[:max(size, len(head))]


class Generator:
    def __init__(self, world, journal, seed, threads=4, largest=6 << 20):
        self.world, self.journal, self.seed, self.largest = world, journal, seed, largest
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.hangs, self.unexpected, self.acknowledgements = [], [], []
        self.bytes = self.turned_away = 0
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(threads)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE_S + 30)
            if thread.is_alive():
                self.hangs.append("a client is still waiting")

    def first_acknowledgement_after(self, moment):
        with self.lock:
            later = [when for when in self.acknowledgements if when > moment]
        return min(later) - moment if later else None

    def _run(self, number):
        rng = random.Random(f"{self.seed}/client/{number}")
        turn = 0
        while not self.stopping.is_set():
            turn += 1
            label = f"{self.seed}.{number}.{turn}"
            choice = rng.random()
            if choice < 0.72:
                self.deliver(rng, label, key=f"key-{label}")
            elif choice < 0.86:
                self.once(payload(rng, label, self.largest), None, "plain", rng)
            elif choice < 0.93:
                self.wrong_digest(rng, label)
            else:
                self.conflict(rng, label)

    def deliver(self, rng, label, key):
        """Sends again, with the same key, until the answer is final."""
        content = payload(rng, label, self.largest)
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            outcome, status = self.once(content, key, "keyed", rng)
            if outcome == ACKNOWLEDGED:
                return content
            if outcome == REFUSED and status not in (409, 429):
                self.unexpected.append(f"{label}: {status} for a good record")
                return None
            time.sleep(0.05 + rng.random() * 0.1)
        self.hangs.append(f"{label}: not acknowledged in {PATIENCE_S} s")
        return None

    def conflict(self, rng, label):
        if self.deliver(rng, label, f"key-{label}") is None:
            return
        other = payload(rng, label + " other", 1 << 18)
        for _ in range(100):
            outcome, status = self.once(other, f"key-{label}", "conflict", rng)
            if outcome != UNKNOWN and status not in (409, 429):
                break
            time.sleep(0.1)

    def wrong_digest(self, rng, label):
        content = payload(rng, label, 1 << 18)
        self.once(content, None, "wrong digest", rng,
                  {"Content-Digest": client.content_digest(content + b"x")})

    def once(self, content, key, purpose, rng, headers=None):
        """One attempt, in the journal. Returns (outcome, status)."""
        digest = hashlib.sha256(content).hexdigest()
        fields = dict(headers or {})
        if key:
            fields["Idempotency-Key"] = key
        number = self.journal.begin(digest, len(content), key, purpose)
        status, receipt, outcome = None, None, UNKNOWN
        try:
            answer = client.post(self.world.port, content, fields, timeout_s=ANSWER_S)
            status = answer.status
            if status in (200, 201):
                outcome, receipt = ACKNOWLEDGED, answer.json()
                if purpose == "keyed" and (receipt["sha256"], receipt["size"]) != (
                        digest, len(content)):
                    self.unexpected.append(f"a receipt of other bytes: {answer.describe()}")
                with self.lock:
                    self.acknowledgements.append(time.monotonic())
                    self.bytes += len(content)
            elif 400 <= status < 500:
                outcome = REFUSED
            if status in (429, 503, 507):
                with self.lock:
                    self.turned_away += 1
                if not answer.header("retry-after"):
                    self.unexpected.append(f"no Retry-After: {answer.describe()}")
        except TimeoutError:
            self.hangs.append(f"no answer in {ANSWER_S} s ({purpose})")
        except (OSError, client.BrokenAnswer, AssertionError) as error:
            if "timed out" in str(error):
                self.hangs.append(f"no answer in {ANSWER_S} s ({purpose})")
        self.journal.end(number, digest, outcome, status, receipt)
        if outcome == UNKNOWN:
            time.sleep(0.02)
        return outcome, status
