"""HAProxy in TCP mode in front of proxies, as deployments/haproxy does it: leastconn, GET /health/accepting."""

import os
import socket

from .ports import free_port
from .process import Process
from .waiting import port_open, wait_until

_CONFIG = """global
    maxconn 8192
    stats socket ipv4@127.0.0.1:{stats} level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout check 2s
frontend tds
    bind 127.0.0.1:{port}
    default_backend proxies
backend proxies
    balance {balance}
    option httpchk GET /health/accepting
{servers}"""


class HAProxy(Process):
    """`haproxy.port`, `haproxy.states()` -> {"proxy-1": "UP", ...}, `haproxy.wait_state("proxy-2", "DOWN")`."""

    def __init__(self, name, folder, proxies, balance="leastconn", check=True):
        self.host, self.port = "127.0.0.1", free_port()
        self.stats_port = free_port()
        config_path = os.path.join(folder, f"{name}.cfg")
        servers = "".join(
            f"    server {p.name} 127.0.0.1:{p.port}"
            + (f" check port {p.health_port} inter 200ms fall 2 rise 1" if check else "") + "\n" for p in proxies)
        with open(config_path, "w", encoding="utf-8") as file:
            file.write(_CONFIG.format(stats=self.stats_port, port=self.port, balance=balance, servers=servers))
        # On SIGTERM haproxy's status is 143 (128 + 15) in foreground mode without a master.
        super().__init__(name, ["haproxy", "-db", "-f", config_path], os.path.join(folder, f"{name}.log"),
                         exit_ok=(0, 143, -15))

    def start(self, wait=True):
        self.spawn()
        if wait:
            self.wait_ready(lambda: port_open(self.port))
        return self

    def ask(self, command):
        """One command of the stats socket."""
        with socket.create_connection(("127.0.0.1", self.stats_port), timeout=5) as stats:
            stats.sendall(command.encode() + b"\n")
            return stats.makefile("r", encoding="utf-8").read()

    def states(self):
        lines = self.ask("show stat").lstrip("# ").splitlines()
        head = lines[0].split(",")
        rows = [dict(zip(head, line.split(","))) for line in lines[1:] if line]
        return {row["svname"]: row["status"] for row in rows
                if row["pxname"] == "proxies" and row["svname"] not in ("BACKEND", "FRONTEND")}

    def wait_state(self, server, state, timeout=10.0):
        wait_until(lambda: self.states()[server].startswith(state), timeout, f"{server} {state} in {self.name}")
