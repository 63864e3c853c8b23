"""Scenario `mix`: many applications of one real driver at once over few server connections, every answer checked.

What each connection asks, and what it must be answered, is tests/clients/mix.py. Afterwards the server itself is asked whether
it holds exactly the rows that the model of all connections together holds.
"""

import json
import os
import sys

from harness import *
from harness.clients import CLIENTS, command

sys.path.insert(0, CLIENTS)
import mix

MODE = os.environ.get("TDSBOUNCER_MIX_MODE", "transaction")  # pool_mode
CONNECTIONS = 10  # server connections in transaction mode; in session mode every client needs its own
DRIVERS = [name for name, entry in capabilities().items() if "not_run" not in entry]
MIX_SEED = os.path.join(CLIENTS, "mix.sql")
SEED = 1
STARTUP_DRIVERS = [name for name in DRIVERS if name not in ("bsqldb", "mssql-python")]  # those two: as tsql, as pyodbc
STARTED = 3
PIN_REASONS = "proxy_connections_pinned"


def mix_proxy(t, server, clients, **bucket):
    limit = CONNECTIONS if MODE == "transaction" else clients
    entry = t.bucket("b1", server, max_connections=limit, health_probe="off", **bucket)
    return limit, t.proxy([entry], proxy={"pool_mode": MODE, "queue_timeout": "60s", "log_level": "info"})


def play(t, driver, target, clients, operations, timeout, **options):
    """What the program reports."""
    run = t.driver(driver, target, "mix", plainest(driver), timeout=timeout, clients=clients, operations=operations,
                   seed=SEED, **options)
    assert run.out.strip(), run
    report = json.loads(run.out.strip().splitlines()[-1])
    assert run.rc == (3 if report["errors"] or report["wrong"] else 0), run
    return report


def rows_of(t, server):
    with t.client(server) as client:
        return [tuple(row) for row in client.query("SELECT owner, k, v, name FROM dbo.mix ORDER BY owner, k").rows]


def assert_right(t, server, driver, report, clients, operations):
    """No error, no wrong answer, all was done, and the server has what all connections together left."""
    assert (report["errors"], report["wrong"], report["connections"]) == (0, 0, clients), report
    made = mix.clients_of(driver, clients, operations, SEED)
    assert {kind: report["operations"].get(kind, 0) for kind in mix.KINDS} == mix.operations_of(made), report
    left = [(one.owner, k, *one.rows[k]) for one in made for k in sorted(one.rows)]
    assert rows_of(t, server) == left
    with t.client(server) as client:
        objects = client.query("SELECT name FROM sys.tables WHERE name LIKE 'mix[_]own[_]%'").rows
    assert objects == [], objects


def pins(proxy):
    """{reason: how often} so far."""
    found = proxy.metrics().matching("proxy_pinning_duration_seconds_count", bucket_id="b1")
    return {labels["pin_reason"]: int(number) for labels, number in found if number}


def tell_pins(driver, report, counted):
    parts = [f"{reason} {number} ({100 * number / report['requests']:.1f} %)" for reason, number in sorted(counted.items())]
    print(f"    {driver}: {report['requests']} requests, {report['checks']} checks; pins: {', '.join(parts) or 'none'}")


def through_the_proxy(t, driver, clients, operations, timeout):
    server = t.seed(t.sqlserver(), MIX_SEED)
    limit, proxy = mix_proxy(t, server, clients)
    report = play(t, driver, proxy, clients, operations, timeout)
    tell_pins(driver, report, pins(proxy))
    peak = server.peak()
    assert peak <= limit + 1, f"{peak} server connections of {limit}"  # and one that ends while the next begins
    assert_right(t, server, driver, report, clients, operations)


@timeout(120)
@cases(driver=DRIVERS)
def test_mix(t, driver):
    through_the_proxy(t, driver, 25, 20, 110)


@full
@timeout(600)
@cases(driver=DRIVERS)
def test_mix_of_200_clients(t, driver):
    through_the_proxy(t, driver, 200, 50, 580)


@timeout(120)
@cases(driver=DRIVERS)
def test_mix_notices_what_is_wrong(t, driver):
    """Direct: first all is right; then a procedure that answers wrongly, and one that stores what it should not."""
    server = t.seed(t.sqlserver(), MIX_SEED)
    report = play(t, driver, server, 3, 20, 50)
    assert_right(t, server, driver, report, 3, 20)
    with open(MIX_SEED, encoding="utf-8") as file:
        text = file.read()
    with t.client(server) as client:
        for batch in text.split("\nGO\n"):
            if "PROCEDURE" in batch:
                client.query(batch.replace("@total = v ", "@total = v + 1 ").replace("(@owner, @k, @v,", "(@owner, @k, @v + 1,"))
    report = play(t, driver, server, 3, 20, 50)
    assert report["wrong"] > 0 and report["errors"] == 0, report
    assert report["first"], report


# ---------------------------------------------------------------------------------------------------- idle after login


def start_up(t, driver, proxy, **options):
    """Sessions of a driver that have run SELECT 1 and are idle."""
    keys = {"user": "sa", "password": PASSWORD, "database": DATABASE}
    argv = command(driver, "127.0.0.1", proxy.port, "startup", plainest(driver), count=STARTED, hold=600_000, **keys, **options)
    process = t.process(argv, name=f"startup-{driver}", env={"TDSBOUNCER_BUILD": t.build}, exit_ok=None)
    wait_until(lambda: process.log_text().count("resultado=1") == STARTED or not process.running, 60, "sessions idle")
    assert process.running, process.log_tail()
    return process


def held(proxy):
    """Server connections in use, and pins that hold now."""
    metrics = proxy.metrics()
    now = {labels["pin_reason"]: number for labels, number in metrics.matching(PIN_REASONS, bucket_id="b1") if number}
    return metrics.get("proxy_connections_active", 0, bucket_id="b1"), now


def assert_idle_sessions_hold(t, proxy, process, pinned):
    """`pinned`: {reason: how many}. In session mode each session holds its connection, whatever it does."""
    wanted = (sum(pinned.values()), pinned) if MODE == "transaction" else (STARTED, {})
    try:
        wait_until(lambda: proxy.metrics().sum("proxy_client_connections") == STARTED, 10, "sessions counted")
        wait_until(lambda: held(proxy) == wanted, 10, f"idle sessions hold {wanted}")
        holds_for(lambda: held(proxy) == wanted, 1, f"idle sessions hold {wanted}")
    finally:
        process.terminate()


@timeout(120)
@cases(driver=STARTUP_DRIVERS)
def test_startup_does_not_pin(t, driver):
    """What a driver sends by itself at login leaves nothing that holds a server connection."""
    _, proxy = mix_proxy(t, t.sqlserver(), STARTED)
    assert_idle_sessions_hold(t, proxy, start_up(t, driver, proxy, autocommit="on"), {})
    assert MODE != "transaction" or pins(proxy) == {}, pins(proxy)


@timeout(120)
@cases(driver=["pymssql", "python-tds", "pyodbc", "mssql-python"])
def test_startup_without_autocommit(t, driver):
    """The default of Python's drivers: each has begun a transaction before SELECT 1, so it is open from then on."""
    _, proxy = mix_proxy(t, t.sqlserver(), STARTED)
    assert_idle_sessions_hold(t, proxy, start_up(t, driver, proxy, autocommit="off"), {"transaction": STARTED})
