"""Sessions that have nothing to do hold no server connection, whatever their driver has left open in them.

Each connection sets something, prepares a statement, runs it, writes in a transaction, and is idle; with autocommit off the driver has
begun the next transaction by then. Then others work over the few server connections; then each goes on where it was.
"""

from harness import *
from pooled import held, pins_so_far
from test_mix import MIX_SEED, assert_right, play

ALL = [name for name, entry in capabilities().items() if "not_run" not in entry]
CONNECTIONS = 5
WORKERS = 50
WITHOUT_AUTOCOMMIT = ("pymssql", "python-tds", "pyodbc", "mssql-python", "jtds")
IN_TRANSACTION = ("pymssql", "python-tds", "pyodbc", "mssql-python")  # of them: those that begin the next one at once
IDLE = ["pymssql", "python-tds", "mssql-jdbc", "tedious", "go-mssqldb", "sqlcmd"]
LONG = {"login_timeout": 300, "timeout": 300}


def idle_plan(driver, owner):
    """What one session does before it is idle and after."""
    plan = Plan(owner)
    first = 1 + owner % 7
    plan.do(f"SET DATEFIRST {first}")
    plan.prepare("s", f"SELECT @p1 + {owner} AS v", "i")
    for n in range(4):  # mssql-jdbc prepares at the second
        plan.run("s", (n,), (n + owner,))
    plan.put("begin")
    plan.writes("INSERT INTO dbo.idle (owner, v) VALUES (@p1, @p2)", (owner, 1), 1)
    plan.put("commit")
    plan.put("wait", "idle")
    plan.rows("SELECT @@TRANCOUNT AS n", (int(driver in IN_TRANSACTION),))
    plan.run("s", (1000,), (1000 + owner,))
    plan.rows("SELECT @@DATEFIRST AS n", (first,))
    plan.put("begin")
    plan.writes("INSERT INTO dbo.idle (owner, v) VALUES (@p1, @p2)", (owner, 2), 1)
    plan.put("rollback")
    plan.run("s", (-1,), (owner - 1,))
    plan.rows(f"SELECT COUNT(*) AS n, SUM(v) AS total FROM dbo.idle WHERE owner = {owner}", (1, 1))
    plan.put("unprepare", "s")
    return plan


def sessions(proxy):
    return int(proxy.metrics().sum("proxy_client_connections"))


def tell(proxy, server, what):
    active, pins = held(proxy)
    idle = int(proxy.metric("proxy_connections_idle", bucket_id="b1"))
    print(f"    {what}: {sessions(proxy)} client sessions; server connections: {active} in use, {idle} idle, "
          f"{sum(pins.values())} pinned; {server.connections()} at the server, at most {server.peak()} so far; "
          f"proxy {proc_rss_kib(proxy.pid) // 1024} MiB", flush=True)


def within_limit(proxy, server):
    """No more server connections at any moment than are allowed, but for those that the proxy says it did not see end."""
    excess = int(proxy.metrics().sum("proxy_slots_excess_total", bucket_id="b1"))
    assert server.peak() <= CONNECTIONS + excess, (server.peak(), excess)


def idle_scene(t, drivers, count, seconds):
    """A proxy, and so many sessions of each driver that are idle."""
    server = t.seed(t.sqlserver(), MIX_SEED)
    with t.client(server) as client:
        client.query("CREATE TABLE dbo.idle (owner int, v int)")
    server.wait_connections(0)
    server.reset_peak()
    bucket = t.bucket("b1", server, CONNECTIONS, health_probe="off")
    proxy = t.proxy([bucket], proxy={"pool_mode": "transaction", "queue_timeout": "300s", "max_queue_size": 0,
                                     "login_timeout": "300s", "log_level": "info"})
    plays = [Play(t, driver, proxy, [idle_plan(driver, 10_000 * i + n) for n in range(1, count + 1)],
                  autocommit="off" if driver in WITHOUT_AUTOCOMMIT else "on", **LONG) for i, driver in enumerate(drivers)]
    for one in plays:
        one.wait_all("idle", seconds)
    return server, proxy, plays


def idle_among_workers(t, drivers, count, operations, seconds):
    server, proxy, plays = idle_scene(t, drivers, count, seconds)
    nothing = lambda: held(proxy) == (0, {})
    wait_until(nothing, 10, lambda: f"idle sessions hold nothing, but it is {held(proxy)}")
    holds_for(lambda: nothing() and server.connections() <= CONNECTIONS, 0.5, "idle sessions hold nothing")
    assert sessions(proxy) == count * len(drivers)
    tell(proxy, server, "idle")
    within_limit(proxy, server)
    report = play(t, "go-mssqldb", proxy, WORKERS, operations, seconds)
    within_limit(proxy, server)
    assert_right(t, server, "go-mssqldb", report, WORKERS, operations)
    print(f"    {WORKERS} others meanwhile: {report['requests']} requests, all right", flush=True)
    wait_until(nothing, 10, lambda: f"nothing is held, but it is {held(proxy)}")
    wait_until(lambda: sessions(proxy) == count * len(drivers), 10, "the others are gone, the idle are all there")
    wait_until(lambda: server.connections() <= CONNECTIONS, 10, "assert_right's own connection is gone")
    server.reset_peak()
    tell(proxy, server, "idle still")
    for one in plays:
        one.go("idle")
    for one in plays:
        found = one.report(seconds)
        print(f"    {one.driver}: {found['requests']} requests, {found['checks']} checks, all right", flush=True)
    within_limit(proxy, server)
    assert set(pins_so_far(proxy)) <= {"transaction", "temp_table"}, pins_so_far(proxy)
    print(f"    pins: {pins_so_far(proxy)}", flush=True)


@timeout(240)
def test_idle_sessions_hold_nothing(t):
    idle_among_workers(t, ALL, 8, 5, 110)


@full
@timeout(1800)
def test_idle_sessions_hold_nothing_6000(t):
    idle_among_workers(t, IDLE, 1000, 100, 900)
