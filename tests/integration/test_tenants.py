"""A database for each tenant and one login for all: their clients share server connections, moved by a USE of the proxy's own.

Each database holds its own name, so that a request that runs in another one is noticed.
"""

import re
import statistics
import time

from harness import *
from pooled import pins_so_far, wait_free

TENANTS = 100
CONNECTIONS = 10
DRIVERS = ["go-mssqldb", "tedious", "mssql-jdbc", "pymssql", "dblib"]
STEP = re.compile(r"server connection is made ready.* step=(\w+)")


def tenant(n):
    return f"tenant_{n % TENANTS:03}"


def server_of_tenants(t):
    server = t.sqlserver(args=[word for n in range(TENANTS) for word in ("--database", tenant(n))])
    for n in range(TENANTS):
        with TdsClient(server.port, server.user, server.password, tenant(n)) as client:
            client.query("CREATE TABLE dbo.tenant (name varchar(20)); CREATE TABLE dbo.visits (owner int, n int);"
                         f"INSERT INTO dbo.tenant VALUES ('{tenant(n)}')")
    server.wait_connections(0)
    server.reset_peak()
    return server


def tenant_plan(owner, rounds):
    name = tenant(owner)
    plan = Plan(owner, name)
    plan.rows("SELECT DB_NAME() AS db", (name,))
    plan.prepare("s", "SELECT name, @p1 AS n FROM dbo.tenant", "i")
    for n in range(rounds):
        plan.put("operation", "simple")  # thinks before
        plan.rows("SELECT name FROM dbo.tenant", (name,))
        plan.run("s", (n,), (name, n))
        if n % 5 == 1:
            plan.writes("INSERT INTO dbo.visits (owner, n) VALUES (@p1, @p2)", (owner, n), 1)
        if n % 10 == 2:
            plan.put("begin")
            plan.writes("INSERT INTO dbo.visits (owner, n) VALUES (@p1, @p2)", (owner, -1), 1)
            plan.rows("SELECT DB_NAME() AS db, COUNT(*) AS n FROM dbo.visits WHERE n < 0 AND owner = " + str(owner), (name, 1))
            plan.put("rollback")
    plan.rows(f"SELECT name, (SELECT COUNT(*) FROM dbo.visits WHERE owner = {owner}) AS n FROM dbo.tenant",
              (name, len(range(1, rounds, 5))))
    plan.put("unprepare", "s")
    return plan


def steps_of(proxy):
    """What the proxy did on server connections for requests: {"serve": every request that was given one, "prepare": ...}"""
    found = STEP.findall(proxy.log_text())
    return {step: found.count(step) for step in ("serve", "prepare", "keep")}


def tenants_share(t, drivers, clients, rounds, think, seconds):
    server = server_of_tenants(t)
    bucket = t.bucket("b1", server, CONNECTIONS, health_probe="off")
    proxy = t.proxy([bucket], proxy={"pool_mode": "transaction", "queue_timeout": "120s", "login_timeout": "120s",
                                     "max_queue_size": 0})
    each = clients // len(drivers)
    plays = [Play(t, driver, proxy, [tenant_plan(each * i + n, rounds) for n in range(each)], think=think, login_timeout=120,
                  timeout=120) for i, driver in enumerate(drivers)]
    began = time.monotonic()
    checks = sum(play.report(seconds)["checks"] for play in plays)
    took = time.monotonic() - began
    wait_free(proxy, "in the end")
    steps = steps_of(proxy)
    stats = server.stats()
    assert stats["connections_peak"] <= CONNECTIONS, stats
    assert steps["prepare"] > TENANTS, "each of them had to be moved"
    assert set(pins_so_far(proxy)) <= {"transaction"}, pins_so_far(proxy)
    print(f"    | {', '.join(drivers)} | {each * len(drivers)} | {think} | {checks} | {steps['serve']} | "
          f"{100 * steps['prepare'] / steps['serve']:.1f} | {100 * steps['keep'] / steps['serve']:.1f} | "
          f"{stats['logins_total'] - TENANTS} | {took:.1f} |", flush=True)


def tell_head():
    print("    | drivers | clients | think ms | answers checked | requests given a connection | % replayed | % last values read | "
          "logins at the server | seconds |\n    | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)


@timeout(120)
def test_100_tenants_share_few_connections(t):
    tell_head()
    tenants_share(t, ["go-mssqldb"], 500, 4, 0, 100)


@full
@timeout(1200)
@cases(drivers=[["go-mssqldb"], ["pymssql"], DRIVERS], think=[0, 1000])
def test_100_tenants_share_few_connections_for_long(t, drivers, think):
    tell_head()
    tenants_share(t, drivers, 500, 30, think, 1100)


# ------------------------------------------------------------------------------------------------ what a replay adds


def latencies(clients, rounds):
    """Seconds that each request of the clients in turns took, sorted."""
    took = []
    for n in range(rounds):
        client = clients[n % len(clients)]
        began = time.perf_counter()
        rows = client.query("SELECT name FROM dbo.tenant").rows
        took.append(time.perf_counter() - began)
        assert rows == [[client.session.database]], rows
    return sorted(took[rounds // 10:])


def replay_latency(t, rounds):
    """One server connection: of one tenant's clients none needs a replay, of two tenants' each does."""
    server = server_of_tenants(t)
    proxy = t.proxy([t.bucket("b1", server, 1, health_probe="off")], proxy={"pool_mode": "transaction", "log_level": "info"})
    pairs = {"direct": [t.client(server, database=tenant(0))],
             "through the proxy, in place": [t.client(proxy, database=tenant(0)) for _ in range(2)],
             "through the proxy, replayed": [t.client(proxy, database=tenant(n)) for n in (1, 2)]}
    before = server.stats()["batches_total"]
    found = {what: latencies(clients, rounds) for what, clients in pairs.items()}
    ours = server.stats()["batches_total"] - before - 3 * rounds
    assert rounds - 2 <= ours <= rounds + 3, f"{ours} batches of the proxy's own: one for each replay, none else"
    print("\n    | request | p50 µs | p99 µs |\n    | --- | --- | --- |", flush=True)
    for what, took in found.items():
        print(f"    | {what} | {statistics.median(took) * 1e6:.0f} | {took[len(took) * 99 // 100] * 1e6:.0f} |", flush=True)


@timeout(60)
def test_what_a_replay_adds(t):
    replay_latency(t, 1000)


@full
@timeout(300)
def test_what_a_replay_adds_in_many(t):
    replay_latency(t, 30_000)
