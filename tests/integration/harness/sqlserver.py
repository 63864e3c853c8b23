"""The stand-in SQL Server (tests/sqlserver) as a process of the test, with its control port."""

import json
import os
import socket

from .ports import free_port
from .process import Process
from .waiting import HarnessError, wait_until

PASSWORD = "YourStr0ngP@ssword1"
DATABASE = "tenant_db"


class SqlServer(Process):
    """`server.stats()` -> dict with connections_now, connections_peak, ...; `server.control("set ...")`.

    `encrypt` is the server's configuration: off (TLS offered), on, forced or none (no TLS at all).
    """

    def __init__(self, name, folder, binary, port=None, user="sa", password=PASSWORD, database=DATABASE,
                 encrypt="off", args=()):
        self.port = port or free_port()
        self.control_port = free_port()
        self.host = "127.0.0.1"
        self.user, self.password, self.database = user, password, database
        argv = [binary, "--port", self.port, "--control-port", self.control_port, "--login", f"{user}:{password}",
                "--database", database, "--encrypt", encrypt, "--data-dir", folder, *args]
        super().__init__(name, argv, os.path.join(folder, f"{name}.log"), cwd=folder)

    def start(self, wait=True):
        self.spawn()
        if wait:
            self.wait_ready(self.answers)
        return self

    def answers(self):
        try:
            return self.stats() is not None
        except (OSError, ValueError, HarnessError):
            return False

    def control(self, line, timeout=10.0):
        """Sends one line to the control port and returns the line it answers."""
        with socket.create_connection((self.host, self.control_port), timeout=timeout) as control:
            control.sendall(line.encode() + b"\n")
            answer = control.makefile("r", encoding="utf-8").readline()
        if not answer:
            raise HarnessError(f"{self.name}: no answer to {line!r}")
        return answer.rstrip("\n")

    def stats(self):
        return json.loads(self.control("stats"))

    def sessions(self):
        """[{spid, user, app_name, encryption: none|login|full|strict, ...}], one for each session logged in."""
        return json.loads(self.control("sessions"))

    def set(self, switch, value):
        """A switch to misbehave: max-connections, delay-login, login-error, refuse, ... (sqlserver-standin --help)."""
        answer = self.control(f"set {switch} {value}")
        if answer != "ok":
            raise HarnessError(f"{self.name}: {answer}")

    def kill_all(self):
        self.control("kill-all")

    def reset_peak(self):
        self.control("peak-reset")

    def connections(self):
        return self.stats()["connections_now"]

    def peak(self):
        """The most connections it ever had at one moment, counted by the server itself."""
        return self.stats()["connections_peak"]

    def wait_connections(self, count, timeout=10.0):
        wait_until(lambda: self.connections() == count, timeout, f"{count} connections at {self.name}")
