"""What SqlClient does beyond the other drivers: its connection pool, System.Transactions, SqlBulkCopy, MARS, attention ...

Each is a scenario of its own (tests/clients/dotnet), whose output is to be the same wherever it runs: at the server itself and
through the proxy in session and in transaction mode. Mono's SqlClient (sqlclient) and .NET Core's (sqlclient-core) are the same
code, but for what is said here.
"""

import os
import signal

from harness import *
from harness.clients import CLIENTS, command
from pooled import pins_so_far
from test_clients import proxy_with_one_slot
from test_matrix import TlsTap
from test_standin import assert_basic

EXPECTED = os.path.join(CLIENTS, "dotnet", "expected")
CONNECTIONS = 8
# What each of them may hold a connection for in transaction mode.
PINS = {
    "pool": {"transaction", "temp_table", "session_state"},
    "scope": {"transaction"},
    "bulk": {"transaction", "bulk_load", "session_state"},  # the last: FMTONLY, left on behind a table that is not there
    "reading": {"session_state"},  # SchemaOnly of a procedure: SET FMTONLY ON is a request before it, OFF one behind it
    "cancel": {"transaction"},
    "errors": {"session_state"},  # a call of a procedure that is not there
    "keywords": set(),
    "schema": {"session_state"},
    "async": {"transaction", "bulk_load"},
}
# On Mono a CommandTimeout ends the connection, and a TransactionScope fails when it ends: not SqlClient's doing.
DRIVERS = {"scope": ["sqlclient-core"], "cancel": ["sqlclient-core"], "schema": ["sqlclient"]}


def expected(scenario):
    with open(os.path.join(EXPECTED, f"{scenario}.txt"), encoding="utf-8") as file:
        return file.read()


def sql_server(t, **keys):
    server = t.seed(t.sqlserver(args=["--mars"], **keys))
    return t.seed(server, os.path.join(CLIENTS, "mix.sql"))


def proxy_of(t, server, mode, **keys):
    bucket = t.bucket("b1", server, CONNECTIONS, health_probe="off")
    return t.proxy([bucket], proxy={"pool_mode": mode, "health_check_interval": "1h", "log_level": "info", **keys})


class Scenario:
    """One that runs. Whenever it waits for one of the words `cut`, its connections are cut before it goes on."""

    def __init__(self, t, driver, target, scenario, cut=(), **options):
        self.cutter, self.cut, self.driver = t.cutter(target), cut, driver
        name = f"{driver}-{scenario}-{len(t.processes)}"
        self.plan = os.path.join(t.folder, name)
        argv = command(driver, "127.0.0.1", self.cutter.port, scenario, "login", plan=self.plan, **t.credentials(), **options)
        self.process = t.process(argv, name=name, exit_ok=None)

    def output(self, seconds=100):
        """All of it, when it has ended well."""
        process = self.process
        for word in self.cut:
            wait_until(lambda: f"waiting {word}\n" in process.log_text() or not process.running, seconds, f"it waits for {word}")
            self.cutter.cut()
            with open(f"{self.plan}.{word}", "w", encoding="utf-8"):
                pass
        assert process.wait(seconds) == 0, process.log_tail(60)
        return process.log_text()


def play(*args, **options):
    return Scenario(*args, **options).output()


def differences(wanted, got):
    pairs = zip(wanted.splitlines() + [""] * len(got), got.splitlines() + [""] * len(wanted))
    return "\n".join(f"- {a}\n+ {b}" for a, b in pairs if a != b)


def assert_pins(scenario, proxy):
    wait_until(lambda: proxy.metrics().sum("proxy_connections_pinned") == 0, 10, "nothing is pinned")
    pins = pins_so_far(proxy)
    print(f"    {scenario}: pins so far {pins}", flush=True)
    assert set(pins) <= PINS[scenario], pins


def the_same_everywhere(t, driver, scenario, **options):
    """Each on a server of its own: nothing of the others is seen."""
    servers = {where: sql_server(t) for where in ("direct", "session", "transaction")}
    targets = {where: server if where == "direct" else proxy_of(t, server, where) for where, server in servers.items()}
    running = {where: Scenario(t, driver, target, scenario, **options) for where, target in targets.items()}
    for where, one in running.items():
        got = one.output()
        assert got == expected(scenario), f"{driver} {scenario} {where}:\n{differences(expected(scenario), got)}\n{got}"
    assert_pins(scenario, targets["transaction"])


@timeout(120)
@cases(scenario=["errors", "reading", "keywords", "bulk", "async", "schema", "scope", "cancel"])
def test_scenario(t, scenario):
    for driver in DRIVERS.get(scenario, ["sqlclient"]):
        the_same_everywhere(t, driver, scenario)


@timeout(120)
def test_pool(t):
    the_same_everywhere(t, "sqlclient", "pool", cut=["cut"])


@full
@timeout(600)
def test_scenarios_of_the_other_build(t):
    """The same scenarios with the one of the two that does not run them above, as far as it can."""
    for scenario in ("errors", "reading", "keywords", "bulk", "async"):
        the_same_everywhere(t, "sqlclient-core", scenario)
    the_same_everywhere(t, "sqlclient-core", "pool", cut=["cut"])


# ----------------------------------------------------------------------------------------------------------- MARS


@timeout(120)
@cases(where=["direct", "session", "transaction"])
def test_mars(t, where):
    """Granted, on a connection of its own: several readers, requests between their rows, from the driver's pool again."""
    server = sql_server(t)
    target = server if where == "direct" else proxy_of(t, server, where, mars="dedicate")
    assert play(t, "sqlclient", target, "streams", mars="on") == expected("streams")
    server.wait_connections(0)


@timeout(120)
@cases(where=["server", "session", "transaction"])
def test_mars_declined(t, where):
    """Unlike Microsoft's ODBC driver it goes on without: a second reader is refused by the driver itself."""
    server = t.seed(t.sqlserver()) if where == "server" else sql_server(t)
    target = server if where == "server" else proxy_of(t, server, where)
    assert play(t, "sqlclient", target, "streams") == expected("streams-declined")


# ------------------------------------------------------------------------------------------- lost connections, errors


@timeout(120)
@cases(mode=["session", "transaction"])
def test_recovery(t, mode):
    """Connection resiliency (ConnectRetryCount) is the server's to offer, and the proxy does not: a connection to it that is lost is
    lost, with an error for the next request. The one after that has a new one."""
    target = proxy_of(t, sql_server(t), mode)
    got = play(t, "sqlclient", target, "recovery", cut=["retries", "pooled", "none"])
    assert got == expected("recovery"), got


@timeout(120)
def test_a_lost_server_is_not_seen_by_who_is_idle(t):
    """In transaction mode there is nothing to recover: the connection that is lost is nobody's."""
    server = sql_server(t)
    proxy = proxy_of(t, server, "transaction")
    plan = os.path.join(t.folder, "plan")
    argv = command("sqlclient", "127.0.0.1", proxy.port, "recovery", "login", plan=plan, **t.credentials())
    process = t.process(argv, exit_ok=None)
    for word in ("retries", "pooled", "none"):
        wait_until(lambda: f"waiting {word}\n" in process.log_text() or not process.running, 60, f"it waits for {word}")
        wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 10, "it holds nothing")
        server.kill_all()
        with open(f"{plan}.{word}", "w", encoding="utf-8"):
            pass
    assert process.wait(60) == 0, process.log_tail()
    assert "opened again" not in process.log_text(), process.log_text()
    assert process.log_text().count("lost: 3 1234 master\n") == 3, process.log_text()


def refused(t, target, **options):
    """SqlException.Number of Open."""
    run = t.driver("sqlclient", target, "login", "login", **options)
    assert run.error, run
    return run.error[0]


@timeout(120)
def test_numbers_of_the_proxys_own_errors(t):
    """50004 and 50005: test_clients."""
    server, port = t.sqlserver(), free_port()
    keys = {"health_probe": "off", "queue_timeout": 0, "listen_port": port}
    proxy = t.proxy([t.bucket("b1", server, 1, **keys)], proxy={"default_bucket": "none", "mars": "dedicate", "pool_mode": "session",
                                                              "health_check_interval": "1h"})
    assert refused(t, proxy, database="", password="x") == 50002
    assert refused(t, port, mars="on") == 50007
    with t.client(port) as holder:
        holder.query("SELECT 1")
        assert refused(t, port, password="another") == 50001
    server.stop()
    assert refused(t, port, password="a third") == 50003


@timeout(120)
def test_a_proxy_that_shuts_down(t):
    """50008 for who waits."""
    server = t.sqlserver()
    proxy, holder = proxy_with_one_slot(t, server, queue_timeout="60s")
    argv = command("sqlclient", "127.0.0.1", proxy.port, "login", "login", **t.credentials())
    process = t.process(argv, exit_ok=None)
    proxy.wait_metric("proxy_queue_length", 1, timeout=30, bucket_id="b1")
    proxy.signal(signal.SIGTERM)
    assert process.wait(30) == 3 and "ERROR number=50008 " in process.log_text(), process.log_tail()
    holder.release()
    holder.wait_all()
    proxy.wait(20)


@timeout(120)
def test_connect_timeout_in_the_queue(t):
    """It gives up by itself, and its place in the queue is free."""
    server = t.sqlserver()
    proxy, holder = proxy_with_one_slot(t, server, queue_timeout="60s")
    run = t.driver("sqlclient", proxy, "login", "login", login_timeout=2)
    assert run.error and run.error[0] == 0, run
    proxy.wait_metric("proxy_queue_length", 0, bucket_id="b1")
    holder.release()
    holder.wait_all()
    assert t.driver("sqlclient", proxy, "login", "login").rc == 0


@timeout(120)
@cases(driver=["sqlclient", "sqlclient-core"], where=["server", "proxy"])
def test_without_tls_where_there_is_none(t, driver, where):
    """Encrypt=false says that it could: it goes without where the other side cannot."""
    server = t.seed(t.sqlserver(encrypt="none"))
    target = server if where == "server" else proxy_of(t, server, "transaction", client_tls="disable")
    tap = TlsTap(t, target)
    assert_basic(t.driver(driver, tap, "basic", "login"), f"{driver} {where}")
    assert tap.tls() is None
    assert t.driver(driver, target, "login", "full").rc == 3
