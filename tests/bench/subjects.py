"""What the benchmarks measure and compare with: processes, and the CPU that they use."""

import atexit
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
sys.dont_write_bytecode = True

from harness.ports import free_port  # noqa: E402
from harness.waiting import port_open, wait_until  # noqa: E402


def cpu_seconds(pids):
    """User and system time of the processes and of the children that they have waited for."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += sum(int(fields[i]) for i in (11, 12, 13, 14))
    return total / os.sysconf("SC_CLK_TCK")


def median(rounds, key):
    return statistics.median(r[key] for r in rounds)


def median_ratio(rounds, base, key):
    """Machines are noisy: the median of the ratios of rounds measured one after the other."""
    return statistics.median(r[key] / b[key] for r, b in zip(rounds, base) if b[key] > 0)


class Subject:
    """A process that listens. `port`, `pid`, `cpu()`. Ends with this process at the latest."""

    def __init__(self, name, argv, log, port, env=None):
        self.port = port
        self.process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        self.pid = self.process.pid
        atexit.register(self.close)
        wait_until(lambda: port_open(port) or self.process.poll() is not None, 20, name)
        if self.process.poll() is not None:
            with open(log.name, encoding="utf-8", errors="replace") as file:
                raise SystemExit(f"{name} did not start: {argv}\n{file.read()}")

    def cpu(self):
        return cpu_seconds([self.pid])

    def close(self):
        self.process.kill()
        self.process.wait()


class Haproxy(Subject):
    """Relays one to one in TCP mode: the yardstick. `bind` and `server`: further words of these lines, for TLS."""

    def __init__(self, folder, log, host, port, bind="", server=""):
        own = free_port()
        path = os.path.join(folder, f"haproxy-{own}.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"global\n  maxconn 8000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
                       f"  timeout server 1h\nlisten bench\n  bind 127.0.0.1:{own} {bind}\n  server s {host}:{port} {server}\n")
        super().__init__("HAProxy", ["haproxy", "-db", "-f", path], log, own)
