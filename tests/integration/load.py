"""Clients that send records until they are stopped, and each record, with its idempotency key, until it
is acknowledged."""

import threading
import time

import client
import harness
import payloads

CLIENTS = 4
GIVE_UP_S = 2 * harness.PATIENCE_S


class Load:
    repeated = (409, 503)   # statuses after which a client tries again
    pause_s = 0             # between two records of a client

    def __init__(self, port, journal, name):
        self.port, self.journal = port, journal
        self.stopping = threading.Event()
        self.wrong = []   # what no client should ever see
        self.threads = [threading.Thread(target=self.run, args=(f"{name}/{number}",))
                        for number in range(CLIENTS)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(2 * GIVE_UP_S)

    def run(self, name):
        random, number = harness.seeded(name), 0
        while not self.stopping.is_set():
            number += 1
            self.deliver(f"{name}/{number}", payloads.any_payload(random, 1, 200_000))
            time.sleep(self.pause_s)

    def deliver(self, key, payload):
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up:
            try:
                answer = client.post(self.port, payload, {"Idempotency-Key": key}, timeout_s=30)
            except (OSError, client.BrokenAnswer):
                time.sleep(0.05)
                continue
            if answer.status in (200, 201):
                receipt = answer.json()
                if (receipt["sha256"], receipt["size"]) != (payloads.sha256(payload), len(payload)):
                    self.wrong.append(f"a receipt of other bytes: {answer.describe()}")
                self.journal.acknowledge(receipt, key)
                return
            if answer.status not in self.repeated:
                self.wrong.append(f"{key}: {answer.describe()}")
                return
            time.sleep(0.1)
        self.wrong.append(f"{key}: never acknowledged")
