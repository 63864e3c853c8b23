"""Isolation: no session ever sees a trace of another, whatever that one did and however it ended."""

import json
import os
import random
import sys
import threading

from harness import *
from harness.tds import TdsClient
from harness.waiting import port_open
from isolation.check import STEPS, Reference, difference
from isolation.kinds import DATABASES, PASSWORD, USERS, Kind
from isolation.moves import MOVES
from isolation.vanish import ENDS
from isolation.wire import Wire
from test_standin import DRIVERS, assert_basic

HERE = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = 20
SOME_DRIVERS = ["pymssql", "tsql", "dblib", "go-mssqldb", "tedious", "jtds", "mssql-jdbc", "sqlclient"]
WORKERS, THREADS = 3, 16  # 48 sessions at a time want 20 server connections


def prepared_server(t, **switches):
    server = t.sqlserver(args=[text for name in DATABASES for text in ("--database", name)])
    for user in USERS:
        server.login("add", user, PASSWORD)
    for n, name in enumerate(DATABASES):
        with TdsClient(server.port, server.user, server.password, name) as client:
            client.query(f"CREATE TABLE dbo.tenant (owner varchar(20)); INSERT INTO dbo.tenant VALUES ('{name}')")
            client.query("CREATE TABLE dbo.ids (id int IDENTITY, n int DEFAULT 0); INSERT INTO dbo.ids (n) VALUES (1)")
            client.query("EXEC sp_addapprole 'reports', 'pw'")
    for name, value in switches.items():
        server.set(name.replace("_", "-"), value)
    server.wait_connections(0)
    return server


def two_proxies(t, server):
    redis = t.redis()
    bucket = t.bucket("iso", server, CONNECTIONS, health_probe="off", max_idle_time="2s",
                      queue_timeout="60s")
    proxies = [t.proxy([bucket], redis=redis, proxy={"pool_mode": "session", "log_level": "info", "health_check_interval": "1s"}) for _ in "ab"]
    for proxy in proxies:
        proxy.wait_ready_to_serve()
    return redis, proxies


def play(t, server, proxies, sessions, kinds="modern", silent=False, meanwhile=()):
    """Plays them, and calls each of `meanwhile` in a thread. Returns the counts of what was done."""
    seed = int(os.environ.get("ISOLATION_SEED") or random.randrange(1 << 32))
    print(f"ISOLATION_SEED={seed}", flush=True)
    jobs = [{"seed": seed, "server": server.port, "ports": [p.port for p in proxies], "kinds": kinds, "first": w,
             "count": (sessions - w + WORKERS - 1) // WORKERS, "step": WORKERS, "threads": THREADS, "silent": silent,
             "result": os.path.join(t.folder, f"share-{w}.json")} for w in range(WORKERS)]
    workers = [t.process([sys.executable, os.path.join(HERE, "isolation", "worker.py"), json.dumps(job)], f"worker-{w}")
               for w, job in enumerate(jobs)]
    complaints = []
    helpers = [threading.Thread(target=call, args=(complaints,)) for call in meanwhile]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join()
    for worker in workers:
        assert worker.wait(600) == 0, worker.log_tail()
    results = []
    for job in jobs:
        with open(job["result"], encoding="utf-8") as file:
            results.append(json.load(file))
    complaints += [failure for result in results for failure in result["failures"]]
    assert not complaints, f"seed {seed}: {len(complaints)} complaints\n" + "\n".join(complaints[:10])
    assert sum(result["sessions"] for result in results) == sessions
    done = {}
    for result in results:
        for name, count in result["done"].items():
            done[name] = done.get(name, 0) + count
    return done


def everything_is_gone(server, redis, proxies):
    """Nobody is left anywhere, and no slot: in Redis, at the server, in the proxies."""
    wait_until(lambda: sum(n for p in proxies for _, n in p.metrics().matching("proxy_client_connections")) == 0, 15,
               "no client sessions left")
    wait_until(lambda: redis.slots("iso") == 0, 20, "no slot in use")
    server.wait_connections(0)
    for proxy in proxies:
        for name in ("proxy_connections_active", "proxy_connections_idle", "proxy_queue_length"):
            proxy.wait_metric(name, 0, bucket_id="iso")
        assert redis.instance_slots(proxy.instance_id, "iso") == 0


def plainest(driver):
    """The encryption mode that leaves most unencrypted."""
    return next(mode for mode in ("off", "login", "full") if mode in capabilities()[driver]["encrypt"])


def driver_runs(t, proxies, names):
    """Real drivers among them, one after the other: a thread's work for play()."""

    def run(complaints):
        for n, name in enumerate(names):
            try:
                assert_basic(t.driver(name, proxies[n % 2], "basic", plainest(name)), name)
            except AssertionError as error:
                complaints.append(str(error))

    return run


@timeout(400)
def test_no_trace_of_another_session(t):
    """10,000 sessions of three users in six databases over 20 server connections, through two proxies."""
    sessions = 10_000
    server = t.seed(prepared_server(t))
    redis, proxies = two_proxies(t, server)
    logins = server.stats()["logins_total"]
    server.reset_peak()
    done = play(t, server, proxies, sessions, meanwhile=[driver_runs(t, proxies, SOME_DRIVERS)])
    missing = [f.__name__ for f in [*MOVES, *ENDS] if done.get(f.__name__, 0) < 20]
    assert not missing, f"hardly done: {missing}"
    stats = server.stats()
    print(json.dumps({**done, "logins": stats["logins_total"] - logins, "resets": stats["resets_total"]}))
    assert server.peak() <= CONNECTIONS + WORKERS, "each worker has a connection of its own at first, for the reference"
    assert stats["logins_total"] - logins < sessions / 2, "server connections were hardly shared"
    everything_is_gone(server, redis, proxies)


@timeout(200)
@cases(server_is=["TDS 7.1", "silent", "without database reset"])
def test_no_trace_where_the_server_tells_less(t, server_is):
    """jTDS's TDS 7.1, a server that announces no transactions, one whose resets leave the database."""
    switches = {"TDS 7.1": {}, "silent": {"silent_transactions": 1}, "without database reset": {"no_database_reset": 1}}
    server = t.seed(prepared_server(t, **switches[server_is]))
    redis, proxies = two_proxies(t, server)
    play(t, server, proxies, 1_000, "old" if server_is == "TDS 7.1" else "modern", silent=server_is != "TDS 7.1")
    everything_is_gone(server, redis, proxies)


# In an order in which each still has its effect.
DIRT = ["USE master; SET LANGUAGE Deutsch; SET DATEFORMAT ydm; SET ROWCOUNT 1; SET TEXTSIZE 5; SET ANSI_DEFAULTS OFF; "
        "SET CONTEXT_INFO 0x01; SET NOCOUNT ON; SET XACT_ABORT ON; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "CREATE TABLE #t (n int); SELECT 1 AS n INTO #items; EXEC sp_set_session_context N'key', N'x', @read_only = 1",
        "BEGIN TRAN; EXEC sp_getapplock 'lock', 'Exclusive', 'Session'", "SET FMTONLY ON", "SET IMPLICIT_TRANSACTIONS ON"]


def kind_of_driver(t, server, driver):
    """What its LOGIN7 holds, as the server sees it."""
    hold = threading.Thread(target=t.driver, args=(driver, server, "hold", plainest(driver)),
                            kwargs={"hold": 700, "count": 1})
    hold.start()
    seen = wait_until(lambda: [s for s in server.sessions() if s["requests"] > 0], 30, f"{driver} at the server")
    hold.join()
    server.wait_connections(0)
    return Kind.of_session(seen[0], server.password)


def look_at_everything(wire, reference, who):
    for name, step in STEPS.items():
        got, fresh = wire.exchange(step(wire)), reference.steps[name]
        assert got == fresh, f"{who}, {name}: {difference(got, fresh, wire.kind.tds)}"


@timeout(120)
@cases(driver=DRIVERS)
def test_driver_on_a_used_connection(t, driver):
    """A driver behaves on a connection that others have left in the worst of states as on a new one, and leaves nothing."""
    server = t.seed(prepared_server(t))
    with TdsClient(server.port, server.user, server.password, server.database) as client:
        client.query("CREATE TABLE dbo.tenant (owner varchar(20)); CREATE TABLE dbo.ids (id int IDENTITY, n int)")
    kind = kind_of_driver(t, server, driver)
    reference = Reference(server.port, kind)
    proxy = t.proxy([t.bucket("iso", server, 1, health_probe="off")], proxy={"pool_mode": "session"})
    Wire(proxy.port, kind).close()
    t.driver(driver, proxy, "login", plainest(driver), check=True)  # its language may be called otherwise
    logins = server.stats()["logins_total"]
    for round in range(3):
        wire = Wire(proxy.port, kind)
        look_at_everything(wire, reference, f"after {driver}" if round else "first")
        for text in DIRT:
            wire.ask(text)
        wire.close(abrupt=round % 2)
        if round < 2:
            assert_basic(t.driver(driver, proxy, "basic", plainest(driver)), f"{driver} {round}")
    assert server.stats()["logins_total"] == logins, "the connection was not shared"


@timeout(200)
def test_valgrind_clean(t):
    """A short mix of everything that session mode knows under memcheck: no error, no leak."""
    if "libasan" in t.run(["ldd", t.binary("tdsbouncer")]).stdout:
        print("a sanitizer build checks itself; valgrind cannot run it")
        return
    server = t.seed(prepared_server(t))
    log = f"{t.folder}/valgrind.log"
    wrapper = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite",
               f"--log-file={log}"]
    proxy = t.proxy([t.bucket("iso", server, 3, queue_timeout="30s")], wrapper=wrapper, start=False,
                    proxy={"pool_mode": "session", "login_timeout": "60s"})
    proxy.start(wait=False)
    wait_until(lambda: port_open(proxy.health_port) and proxy.accepting(), 60, "the proxy under valgrind")
    for encrypt in ("login", "full", "strict"):
        crowd = t.crowd(proxy, encrypt=encrypt, login_timeout=60)
        crowd.open(4, hold=0)
        crowd.wait_all(60)
        assert crowd.count(DONE) == 4, crowd.summary()
    for user, password, database in (("anna", "wrong", ""), ("nobody", "", ""), ("anna", PASSWORD, "nowhere")):
        assert try_login(proxy.port, user, password, database) is not None
    play(t, server, [proxy], 100)
    server.set("login-error", 18456)  # of connections yet to be opened
    assert try_login(proxy.port, "anna", "another", "tenant_0") is not None
    server.kill_all()
    proxy.stop()
    with open(log, encoding="utf-8") as file:
        report = file.read()
    assert report.strip() == "", report
