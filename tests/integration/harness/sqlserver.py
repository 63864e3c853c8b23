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

    Counters in stats(): connections_now _peak _total _refused; prelogins_total; tls_full_total, tls_resumed_total,
    tls_1_2_total, tls_1_3_total (handshakes completed); logins_total (accepted), login_failures_total,
    logins_routed_total, sspi_rounds_total, fedauth_rounds_total, password_changes_total; sessions; requests_total =
    batches_total + rpcs_total + tran_requests_total; bulk_loads_total, attentions_total; resets_total (the bits 0x08
    and 0x10), resets_skip_tran_total (of them 0x10), resets_failed_total, reset_calls_total (sp_reset_connection).

    Each of sessions(): id, spid, user, authentication (sql, sspi, fedauth), login_database, database (now), language,
    app_name, host_name, server_name (of LOGIN7), library, address, tds_version ("0x74000004"), flags (the four option
    bytes as sent, "E0030010"), read_only_intent, features ({"0A": "01"}: asked for), packet_size_asked, packet_size,
    encryption (none, login, full, strict), tls_version, tls_resumed, sni, mars_asked, mars (granted), streams (of SMP),
    requests, resets, running.

    Switches for set(): max-connections, delay-login, delay-request, drop-after-prelogin, drop-at-login, drop-request,
    refuse, garbage, login-error (a number: every login fails with it), login-error-count (only the next so many),
    mars (granted to who asks), strict-framing, strict-descriptors, deadlocks (the next so many changes in transactions),
    silent-transactions, no-database-reset, no-table-variable-identity, inner-outlives, prepexec-wants-names,
    prepare-tells-columns, no-useroptions, reset-keeps-context, fail-reset, reuse-handles, route ("host:port" or
    "off"), route-read-only, feature-acks ("01,04,09,0A,0D" or "none"), encrypt-column, classify-column (a column's
    name or "off"), utf8-columns, honour-no-metadata, fedauth-token, fedauth-user, sspi-nonce: `sqlserver-standin
    --help`.
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
        """[{spid, user, app_name, encryption: none|login|full|strict, ...}], one for each session logged in. See above."""
        return json.loads(self.control("sessions"))

    def state(self, client):
        """Everything the session of a client carries from request to request: {"NOCOUNT": "OFF", "@@ROWCOUNT": "1", ...}.

        `client` is a TdsClient that is connected directly, or a session's SPID."""
        spid = client if isinstance(client, int) else client.session.spid
        return json.loads(self.control(f"state {spid}"))

    def set(self, switch, value):
        """A switch to misbehave: max-connections, delay-login, login-error, refuse, ... See above."""
        self._command(f"set {switch} {value}")

    def login(self, what, user, password=""):
        """SQL logins: what is add or password (with a password), lock, unlock, disable, enable, expire, must-change, drop.

        Sessions that are logged in stay; a reset of one fails when its login is dropped or disabled."""
        text = f"add {user}:{password}" if what == "add" else f"{what} {user} {password}".rstrip()
        self._command(f"login {text}")

    def _command(self, line):
        answer = self.control(line)
        if answer != "ok":
            raise HarnessError(f"{self.name}: {answer}")

    def kill_session(self, spid):
        """Closes the connection of one session, without a word."""
        self._command(f"kill {spid}")

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
