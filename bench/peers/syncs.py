"""Counts the fsyncs of a peer's processes during a load, with strace: evidence for what the table says
of its acknowledgement. A count near zero with thousands of records is no fsynced acknowledgement; one
sync may serve several records. The speed under strace means nothing."""

import re
import signal
import subprocess
import time

import machine

CALLS = "fsync,fdatasync,sync_file_range,msync"
ATTACH_S = 1.0


def count(peer, seconds, log_path):
    """(records acknowledged, {call: how often})."""
    command = ["strace", "-f", "-qq", "-c", "-e", f"trace={CALLS}", "-o", log_path]
    for pid in machine.descendants(peer.roots()):
        command += ["-p", str(pid)]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(ATTACH_S)
    if tracer.poll() is not None:
        raise machine.Failed(f"strace: {tracer.stderr.read()}")
    try:
        records = peer.load(seconds)["records"]
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
    calls = {}
    with open(log_path, encoding="ascii", errors="replace") as file:
        for line in file:
            found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)\s*$", line)
            if found and found.group(2) in CALLS.split(","):
                calls[found.group(2)] = int(found.group(1))
    return records, calls
