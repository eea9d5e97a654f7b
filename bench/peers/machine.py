"""Starts servers, measures what they use, and ends them by their process ids.

Every process gets SIGTERM from the kernel when the script dies. Nothing here looks for processes by
name: what is measured and ended is what was started, its descendants, and the pid files that a
server of several daemons names.
"""

import ctypes
import os
import platform
import random
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
TICKS = os.sysconf("SC_CLK_TCK")
STOP_PATIENCE_S = 20

_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A server or a client did not do its part; the text says what and where its log is."""


def free_port():
    """Below the range from which the kernel takes the ports of outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(10_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_until(condition, what, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)


def listens(address):
    """Whether somebody accepts connections on a port of loopback or on a Unix socket."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.connect(address if isinstance(address, str) else ("127.0.0.1", address))
            return True
        except OSError:
            return False


def clean_environment(**extra):
    """Ours without DAYBOOK_*, which the daybook program would take for settings."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("DAYBOOK_")}
    return {**kept, **extra}


def start(command, log_path, environment=None, folder=None):
    """A child that the kernel ends with us; its output goes to log_path."""
    with open(log_path, "ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
            env=environment or clean_environment(), start_new_session=True,
            preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))


def stop(child):
    """SIGTERM, then after a while SIGKILL, to the child and whatever it started and left behind."""
    family = descendants([child.pid])
    child.terminate()
    try:
        child.wait(STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for pid, began in family.items():
        fields = stat_fields(pid)
        if fields and fields[19] == began:  # the same process, not a new one with its number
            os.kill(pid, signal.SIGKILL)


def log_tail(path, lines=15):
    try:
        with open(path, "rb") as log:
            return b"\n".join(log.read().splitlines()[-lines:]).decode("utf-8", "replace")
    except OSError:
        return f"(no log at {path})"


def stat_fields(pid):
    """The fields of /proc/PID/stat after the name: state is 0, ppid 1, utime 11, starttime 19."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def descendants(roots):
    """{pid: start time} of the roots and all their descendants that live."""
    children, began = {}, {}
    for name in os.listdir("/proc"):
        fields = stat_fields(name) if name.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(name))
            began[int(name)] = fields[19]
    found, waiting = {}, list(roots)
    while waiting:
        pid = waiting.pop()
        if pid in began and pid not in found:
            found[pid] = began[pid]
            waiting.extend(children.get(pid, []))
    return found


def cpu_seconds(roots):
    """User and system time of these process trees, with the children they have waited for."""
    ticks = 0
    for pid in descendants(roots):
        fields = stat_fields(pid)
        if fields:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


def peak_memory(roots):
    """{program name: peak resident MB}, the sum over its processes (shared pages count in each)."""
    peaks = {}
    for pid in descendants(roots):
        name, peak = "", 0
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                for line in file:
                    if line.startswith("Name:"):
                        name = line.split()[1]
                    elif line.startswith("VmHWM:"):
                        peak = int(line.split()[1]) * 1024
        except OSError:
            continue
        peaks[name] = peaks.get(name, 0) + peak / 1e6
    return peaks


def busy_seconds():
    """Processor time that the whole machine has spent on anything, the hypervisor's theft too."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = (
            int(field) for field in file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def memory_bytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def describe():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"kernel": platform.release(), "cpu": model, "cores": os.cpu_count(),
            "memory_gb": round(memory_bytes() / 1e9, 1)}
