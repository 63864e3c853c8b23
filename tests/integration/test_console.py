"""The admin console over TDS: database tdsbouncer, answered by the proxy itself. docs/console.md, DESIGN.md section 9."""

import os
import re
import subprocess
import threading

from harness import *
from harness.clients import CLIENTS
from harness.ports import free_port
from harness.tds import *
from test_session_cancel import assert_acknowledged
from test_standin_protocol import assert_closed, numbers

ADMIN, MONITOR, BASE = ("operator", "adm1n-s3cret"), ("watcher", "m0nitor-s3cret"), "tdsbouncer"
CACHE = os.environ.get("TDSBOUNCER_CACHE", os.path.join(CLIENTS, "..", "..", ".cache"))
SHOWS = {
    "POOLS": "bucket pool user clients clients_waiting servers_active servers_idle servers_warming max_wait_ms",
    "CLIENTS": "session spid state bucket user database application host address pinned server waiting_ms running_ms "
               "connected_ms idle_ms bytes_in bytes_out",
    "SERVERS": "server bucket state purpose user database pool session tds age_ms idle_ms prepared",
    "BUCKETS": "bucket host port mode paused health clients waiting used idle used_by_all max_connections server_version "
               "last_error",
    "QUEUE": "bucket place session user wants waited_ms left_ms",
    "INSTANCES": "instance this mode message latency_us last_beat",
    "STATS": "bucket requests request_us attached attached_after_wait wait_us timeouts rejected cancelled errors packets_in "
             "packets_out server_packets_in server_packets_out",
    "CONFIG": "section bucket name value default reload",
    "VERSION": "version instance started draining",
    "HELP": "command who help",
}
CHANGES = ["PAUSE", "PAUSE b1", "RESUME", "RESUME b1", "RELOAD", "KILL 1", "DRAIN"]


def keys_of(t, monitor=True):
    """The keys of proxy.yaml that switch the console on."""
    keys = {}
    for name, (user, password) in {"admin": ADMIN, **({"monitor": MONITOR} if monitor else {})}.items():
        path = os.path.join(t.folder, f"{name}-password")
        with open(path, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        keys.update({f"{name}_user": user, f"{name}_password_file": path})
    return keys


def scene(t, connections=1, mode="transaction", bucket=None, **proxy_keys):
    server = t.seed(t.sqlserver())
    entry = t.bucket("b1", server, connections, **{"health_probe": "off", "queue_timeout": "30s", **(bucket or {})})
    proxy = t.proxy([entry], proxy={"pool_mode": mode, "health_check_interval": "1h", **keys_of(t), **proxy_keys})
    return server, proxy


def console(t, proxy, who=ADMIN, **keys):
    return t.client(proxy, user=who[0], password=who[1], **{"database": BASE, **keys})


def shown(admin, what):
    """The rows of a SHOW, as dictionaries."""
    answer = admin.query(f"SHOW {what}")
    return [dict(zip(answer.columns[-1], row)) for row in answer.rows]


def session_of(admin, application):
    """What SHOW CLIENTS says of the client with this application name; None when it is not there."""
    return next((row for row in shown(admin, "CLIENTS") if row["application"] == application), None)


def wait_state(admin, application, state):
    wait_until(lambda: (session_of(admin, application) or {}).get("state") == state, 10, f"{application} {state}")
    return session_of(admin, application)


def refused(t, proxy, user, password, **keys):
    error = try_login(proxy.port, user, password, BASE, **keys)
    assert error is not None and (error.number, error.severity) == (18456, 14), error
    return error.text


# ---------------------------------------------------------------------------------------------------- login

@cases(encrypt=["off", "login", "login 7.1", "full", "strict", "no PRELOGIN"])
def test_login(t, encrypt):
    """On any kind of connection; a wrong password is told as SQL Server tells it, and never written down."""
    _, proxy = scene(t)
    keys = {"no PRELOGIN": {"prelogin": False, "tds_version": TDS71}, "login 7.1": {"encrypt": "login", "tds_version": TDS71}}
    keys = keys.get(encrypt, {"encrypt": encrypt})
    for who in (ADMIN, MONITOR):
        with console(t, proxy, who, **keys) as client:
            assert client.login_response.loginack["program"].startswith("Microsoft SQL Server")
            assert (1, BASE) in [env[:2] for env in client.login_response.env]
            assert [row["instance"] for row in shown(client, "VERSION")] == [proxy.instance_id]
    user, password = ADMIN
    for wrong in ("", "x", password[:-1], password + "x", MONITOR[1]):
        assert refused(t, proxy, user, wrong, **keys) == f"Login failed for user '{user}'."
    for other in ("", user + "x", user[:-1], "sa"):
        refused(t, proxy, other, password, **keys)
    log = proxy.log_text()
    assert log.count("console: login failed") == 9 and log.count("console: login ") == 11
    assert password not in log and MONITOR[1] not in log
    assert proxy.metric("proxy_connection_errors_total", bucket_id="none", error_type="login") == 9


def test_login_in_letters_of_any_case(t):
    _, proxy = scene(t)
    assert console(t, proxy, database="TdsBouncer").scalar("SELECT DB_NAME()") == BASE


def test_off(t):
    """The default: the database is any other one, and no user is there whose password could be empty."""
    server = t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, 2, health_probe="off")], proxy={"pool_mode": "transaction"})
    assert try_login(proxy.port, server.user, server.password, BASE).number == 4060
    assert try_login(proxy.port, "", "", BASE).number == 18456
    assert "console" not in proxy.log_text() and server.stats()["prelogins_total"] == 2


def test_on_a_bucket_s_own_port(t):
    """Where the shared port is passthrough, and only there it is not."""
    server = t.sqlserver()
    buckets = [t.bucket("b1", server, 2, health_probe="off", listen_port=free_port(), pool_mode="transaction"),
               t.bucket("b2", server, 2, health_probe="off")]
    proxy = t.proxy(buckets, proxy={"pool_mode": "passthrough", **keys_of(t)})
    with t.client(buckets[0]["listen_port"], user=ADMIN[0], password=ADMIN[1], database=BASE) as admin:
        assert [row["mode"] for row in shown(admin, "BUCKETS")] == ["transaction", "passthrough"]
    assert try_login(proxy.port, *ADMIN, BASE).number == 18456  # the server's own


def test_mars_is_refused(t):
    _, proxy = scene(t, mars="dedicate")
    error = try_login(proxy.port, *ADMIN, BASE, mars=1)
    assert error is not None and error.number == 50007 and "one request at a time" in error.text, error


# ---------------------------------------------------------------------------------------------------- SHOW

@cases(version=["7.1", "7.2", "7.3", "7.4", "8.0"], who=["admin", "monitor"])
def test_every_show(t, version, who):
    keys = {"7.1": {"tds_version": TDS71}, "7.2": {"tds_version": 0x72090002}, "7.3": {"tds_version": 0x730B0003}, "7.4": {},
            "8.0": {"tds_version": 0x08000000, "encrypt": "strict"}}[version]
    _, proxy = scene(t)
    with t.client(proxy, app_name="somebody") as client, \
            console(t, proxy, ADMIN if who == "admin" else MONITOR, **keys) as admin:
        client.query("SELECT 1")
        for what, columns in SHOWS.items():
            answer = admin.query(f"SHOW {what}")
            assert answer.columns == [columns.split()], what
            assert answer.row_counts == [len(answer.rows)] and answer.done_status == DONE_COUNT, what
            assert len(answer.rows) > 0 or what == "QUEUE", what
        assert [row["command"] for row in shown(admin, "HELP")][:10] == [
            f"SHOW {what}" + (" [bucket]" if what in ("POOLS", "CLIENTS", "SERVERS", "BUCKETS", "QUEUE", "STATS") else "")
            for what in SHOWS]


def test_what_is_shown(t):
    """One in a transaction, one that waits for the only connection, and the console itself."""
    server, proxy = scene(t)
    with console(t, proxy, app_name="console") as admin:
        holder = t.client(proxy, app_name="holder", database=server.database)
        holder.query("BEGIN TRAN; INSERT INTO dbo.test_table (name, value) VALUES (N'x', 1)")
        late = t.client(proxy, app_name="late")
        late.send("SELECT 7 AS n")
        waits = wait_state(admin, "late", "waiting")
        holds, itself = session_of(admin, "holder"), session_of(admin, "console")
        assert holds["pinned"] == "transaction" and holds["database"] == server.database and holds["user"] == server.user
        assert waits["pinned"] is None and waits["server"] is None and waits["waiting_ms"] >= 0
        assert itself["bucket"] is None and itself["database"] == BASE and itself["state"] == "console"
        assert itself["address"].endswith(f":{admin.socket.getsockname()[1]}")
        used, = shown(admin, "SERVERS")
        assert (used["state"], used["purpose"], used["session"]) == ("serving", "pooled", holds["session"])
        assert used["server"] == holds["server"] and used["database"] == server.database
        place, = shown(admin, "QUEUE b1")
        assert (place["place"], place["session"], place["wants"]) == (1, waits["session"], "request")
        assert 0 < place["left_ms"] <= 30_000
        pool, = shown(admin, "POOLS")
        assert (pool["clients"], pool["clients_waiting"], pool["servers_active"], pool["servers_idle"]) == (2, 1, 1, 0)
        assert pool["pool"] == used["pool"] and pool["user"] == server.user
        bucket, = shown(admin, "buckets B1")
        assert (bucket["waiting"], bucket["clients"], bucket["used"], bucket["max_connections"]) == (1, 2, 1, 1)
        assert (bucket["port"], bucket["paused"], bucket["health"], bucket["mode"]) == (server.port, 0, "up", "transaction")
        assert len(shown(admin, "CLIENTS b1")) == 2
        holder.query("COMMIT")
        assert late.receive().rows == [[7]]
        wait_until(lambda: shown(admin, "SERVERS")[0]["state"] == "idle", 10, "idle")
        assert shown(admin, "QUEUE") == []
        stats, = shown(admin, "STATS")
        assert stats["requests"] == 3 and stats["attached"] == proxy.metric("proxy_connections_total", bucket_id="b1",
                                                                           status="acquired") + 1
        assert stats["attached_after_wait"] == 1 and stats["wait_us"] > 0 and stats["request_us"] > 0
        assert stats["packets_in"] >= 3 and stats["server_packets_in"] >= 3


def test_the_configuration_without_its_secrets(t):
    server, proxy = scene(t, bucket={"username": "sa", "password": "b#cket-s3cret", "databases": ["a", "b*"]})
    with console(t, proxy, MONITOR) as monitor:
        rows = shown(monitor, "CONFIG")
    values = {(row["section"], row["name"]): row["value"] for row in rows}
    assert values["proxy", "listen_port"] == str(proxy.port) and values["proxy", "admin_user"] == ADMIN[0]
    assert values["proxy", "admin_password"] == "(set)" and values["buckets[]", "password"] == "(set)"
    assert values["proxy", "health_check_interval"] == "1h" and values["buckets[]", "databases"] == "a, b*"
    assert values["buckets[]", "pool_mode"] == "transaction" and ("redis", "addr") not in values
    for secret in ("b#cket-s3cret", server.password, ADMIN[1], MONITOR[1]):
        assert secret not in str(rows)


def test_instances(t):
    redis = t.redis()
    server = t.sqlserver()
    proxies = [t.proxy([t.bucket("b1", server, 4, health_probe="off")], redis=redis,
                       proxy={"pool_mode": "transaction", **keys_of(t)}) for _ in range(2)]
    for proxy in proxies:
        proxy.wait_ready_to_serve()
    with console(t, proxies[0]) as admin:
        wait_until(lambda: len(shown(admin, "INSTANCES")) == 2, 15, "both are seen")
        rows = {row["instance"]: row for row in shown(admin, "INSTANCES")}
        assert rows[proxies[0].instance_id]["this"] == 1 and rows[proxies[0].instance_id]["mode"] == "normal"
        assert rows[proxies[1].instance_id]["this"] == 0 and rows[proxies[1].instance_id]["mode"] is None
        assert re.match(r"20\d\d-", rows[proxies[0].instance_id]["last_beat"])


# ---------------------------------------------------------------------------------------------------- what is not a command

def test_errors(t):
    """Ordinary errors; the session goes on. A batch with a syntax error does nothing at all."""
    _, proxy = scene(t)
    with console(t, proxy) as admin:
        for text, number, severity in [
                ("SELEC 1", 102, 15), ("SHOW", 102, 15), ("SHOW POOL", 102, 15), ("SHOW POOLS b1 b2", 102, 15), ("KILL", 102, 15),
                ("PAUSE b1; SHOW NOTHING", 102, 15), ("RELOAD now", 102, 15), ("SELECT 'a", 102, 15), ("KILL abc", 102, 16),
                ("PAUSE b2", 911, 16), ("SHOW CLIENTS b2", 911, 16), ("USE model", 911, 16), ("SELECT * FROM dbo.t", 208, 16),
                ("EXEC sp_who", 2812, 16), ("SELECT HOST_ID()", 195, 16), ("SELECT @@FOO", 137, 16), ("COMMIT", 3902, 16)]:
            answer = admin.ask(text)
            assert [(e.number, e.severity) for e in answer.errors] == [(number, severity)], (text, answer.errors)
            assert answer.done_status == DONE_ERROR and answer.rows == [] and answer.columns == [], text
            assert admin.scalar("SELECT @@ERROR") == number
        assert "near 'NOTHING'" in admin.ask("SHOW\n\nNOTHING").errors[0].text
        assert shown(admin, "BUCKETS")[0]["paused"] == 0
        answer = admin.ask("PAUSE b2; SELECT 7 AS n; USE model; SELECT 8 AS n")
        assert numbers(answer) == [911, 911] and answer.rows == [[7], [8]]


def test_what_drivers_ask(t):
    """Several statements in a batch, settings, names, transactions."""
    server, proxy = scene(t)
    with console(t, proxy, app_name="tool") as admin:
        answer = admin.query("SET NOCOUNT ON SET TEXTSIZE 4096; USE tdsbouncer\nSELECT @@SPID AS s, DB_NAME() d, N'it''s', v = 5, NULL")
        assert answer.columns == [["s", "d", "", "v", ""]] and answer.rows == [[admin.session.spid, BASE, "it's", 5, None]]
        assert (1, BASE, BASE) in answer.env
        row, = admin.query("SELECT SUSER_SNAME(), APP_NAME(), CAST(SERVERPROPERTY('ProductVersion') AS varchar(20)), @@VERSION, "
                           "ISNULL(SERVERPROPERTY('InstanceName'), 'none'), CONVERT(int, '12')").rows
        assert row[0] == ADMIN[0] and row[1] == "tool" and re.fullmatch(r"\d+\.\d+\.\d+\.0", row[2])
        assert row[3].startswith("tdsbouncer") and row[2] in row[3] and row[4:] == ["none", 12]
        assert admin.query("/* nothing */ -- at all").done_status == 0
        assert admin.query("").done_status == 0
        assert admin.query("BEGIN TRAN").env_kinds() == [8]
        assert admin.scalar("SELECT @@TRANCOUNT") == 1
        assert admin.query("IF @@TRANCOUNT > 0 COMMIT TRAN SET IMPLICIT_TRANSACTIONS OFF").env_kinds() == [9]
        assert admin.query("IF @@TRANCOUNT=0 BEGIN SET XACT_ABORT OFF; BEGIN TRAN; END SAVE TRAN one").env_kinds() == [8]
        assert admin.query("ROLLBACK TRAN one; IF @@TRANCOUNT <> 1 SELECT 1 ELSE ROLLBACK").env_kinds() == [10]
    assert server.stats()["logins_total"] <= 1, "nothing of it was the server's"  # the seed's


def test_requests_of_the_transaction_manager(t):
    _, proxy = scene(t)
    with console(t, proxy) as admin:
        assert admin.tran(TRAN_BEGIN).env_kinds() == [8]
        assert admin.session.transaction != 0
        assert admin.query("SHOW VERSION").rows
        assert admin.tran(TRAN_COMMIT, begin_next=True).env_kinds() == [9, 8]
        assert admin.tran(TRAN_ROLLBACK).env_kinds() == [10]
        assert numbers(admin.tran(TRAN_COMMIT)) == [3902] and numbers(admin.tran(TRAN_ROLLBACK)) == [3903]


@cases(tds=["7.1", "7.4"])
def test_procedures_that_run_a_text(t, tds):
    _, proxy = scene(t)
    keys = {"tds_version": TDS71} if tds == "7.1" else {}
    with console(t, proxy, **keys) as admin:
        answer = admin.rpc(10, "SELECT 7 AS n")
        assert answer.rows == [[7]] and answer.return_status == 0 and [d[0] for d in answer.dones] == [0xFF, 0xFE]
        answer = admin.rpc("sp_executesql", "KILL 987654", "@unused int", 1)
        assert numbers(answer) == [6106] and answer.return_status == 6106
        answer = admin.rpc(13, None, None, "SELECT 8 AS n")
        (_, _, handle), = answer.return_values
        assert answer.rows == [[8]] and handle > 0
        (_, _, second), = admin.rpc("sp_prepare", None, None, "SHOW BUCKETS", 1).return_values
        assert second != handle and admin.rpc(12, handle).rows == [[8]] and len(admin.rpc("sp_execute", second).rows) == 1
        assert numbers(admin.rpc(13, None, None, "SHOW ME")) == [102, 8180]
        assert not admin.rpc(15, handle).errors and numbers(admin.rpc(12, handle)) == [8179]
        assert admin.query("SELECT 1", STATUS_RESET).env_kinds() == [18]
        assert numbers(admin.rpc(12, second)) == [8179], "a reset ends them"
        assert not admin.rpc("sp_reset_connection").errors
        assert numbers(admin.rpc("sp_who")) == [2812] and numbers(admin.rpc(2, None, "SELECT 1", None, None, None)) == [16937]


def test_attention(t):
    _, proxy = scene(t)
    with console(t, proxy) as admin:
        admin.attention()
        assert_acknowledged(admin)
        assert admin.scalar("SELECT 1") == 1


# ---------------------------------------------------------------------------------------------------- who may what

def test_the_monitor_may_only_look(t):
    _, proxy = scene(t)
    with console(t, proxy, MONITOR) as monitor, t.client(proxy, app_name="victim") as client:
        victim = session_of(monitor, "victim")["session"]
        for text in CHANGES + [f"KILL {victim}"]:
            answer = monitor.ask(text)
            assert [(e.number, e.severity) for e in answer.errors] == [(229, 14)], text
        assert client.query("SELECT 1").rows == [[1]] and shown(monitor, "BUCKETS")[0]["paused"] == 0
        assert {row["who"] for row in shown(monitor, "HELP") if row["command"].split()[0] == "SHOW"} == {"all"}
    assert "console: command" not in proxy.log_text() and proxy.accepting()


# ---------------------------------------------------------------------------------------------------- PAUSE and RESUME

@cases(mode=["transaction", "session", "passthrough"], bucket=["", "b1"])
def test_pause(t, mode, bucket):
    """Nothing new goes to the server; idle connections are closed; who asks waits, and goes on after RESUME."""
    server = t.seed(t.sqlserver())
    other = t.sqlserver()
    entries = [t.bucket("b1", server, 4, health_probe="off", pool_mode=mode, listen_port=free_port(), queue_timeout="30s"),
               t.bucket("b2", other, 4, health_probe="off")]
    proxy = t.proxy(entries, proxy={"pool_mode": "transaction", "health_check_interval": "1h", **keys_of(t)})
    port = entries[0]["listen_port"]
    t.client(port).close()
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")
    with console(t, proxy) as admin:
        admin.query(f"PAUSE {bucket}")
        assert server.connections() == 0 and [row["paused"] for row in shown(admin, "BUCKETS")] == [1, int(not bucket)]
        late = t.client(port, connect=False, app_name="late")
        answers = []
        thread = threading.Thread(target=lambda: (late.run(late.session.login()), answers.append(late.query("SELECT 7").rows)))
        thread.start()
        wait_until(lambda: len(shown(admin, "QUEUE b1")) == 1, 10, "it waits")
        admin.query("PAUSE b1")
        holds_for(lambda: server.connections() == 0 and not answers, 0.5, "nothing is done for it")
        admin.query("RESUME b1")
        thread.join(20)
        assert answers == [[[7]]]
        assert [row["paused"] for row in shown(admin, "BUCKETS")] == [0, int(not bucket)]
        admin.query("RESUME")
        assert [row["paused"] for row in shown(admin, "BUCKETS")] == [0, 0]


def test_pause_waits_for_what_is_under_way(t):
    """It answers when the last transaction has ended, which goes on meanwhile."""
    server, proxy = scene(t, connections=2)
    with console(t, proxy) as admin, console(t, proxy) as second:
        holder = t.client(proxy, app_name="holder")
        holder.query("BEGIN TRAN; INSERT INTO dbo.test_table (name, value) VALUES (N'x', 1)")
        admin.send("PAUSE b1; SELECT 7 AS n")
        wait_until(lambda: shown(second, "BUCKETS")[0]["paused"] == 1, 10, "paused")
        late = t.client(proxy, app_name="late")
        late.send("SELECT 8 AS n")
        wait_state(second, "late", "waiting")
        admin.socket.settimeout(0.5)
        try:
            admin.receive()
            raise AssertionError("it has answered")
        except TimeoutError:
            admin.socket.settimeout(30)
        assert holder.query("SELECT @@TRANCOUNT").rows == [[1]]
        holder.query("COMMIT")
        assert admin.receive().rows == [[7]] and server.connections() == 0
        holder.send("SELECT 9 AS n")
        wait_state(second, "holder", "waiting")
        second.query("RESUME b1")
        assert late.receive().rows == [[8]] and holder.receive().rows == [[9]]


@cases(how=["attention", "leaves"])
def test_pause_taken_back(t, how):
    """Before it was answered: as if it had not been asked for. Another's pause stays."""
    _, proxy = scene(t, connections=2)
    with console(t, proxy) as second:
        for paused_before in (False, True):
            holder = t.client(proxy, app_name="holder")
            holder.query("BEGIN TRAN; INSERT INTO dbo.test_table (name, value) VALUES (N'x', 1)")
            other = console(t, proxy)
            if paused_before:
                other.send("PAUSE b1")
                wait_until(lambda: shown(second, "BUCKETS")[0]["paused"] == 1, 10, "paused")
            admin = console(t, proxy)
            admin.send("PAUSE")
            wait_until(lambda: shown(second, "BUCKETS")[0]["paused"] == 1, 10, "paused")
            if how == "attention":
                admin.attention()
                assert admin.receive().done_status == DONE_ERROR
                assert_acknowledged(admin)
                assert admin.scalar("SELECT 1") == 1
            else:
                admin.close()
                wait_until(lambda: len([r for r in shown(second, "CLIENTS") if r["state"] == "console"]) == 2, 10, "it left")
            assert shown(second, "BUCKETS")[0]["paused"] == int(paused_before)
            holder.query("ROLLBACK")
            if paused_before:
                assert not other.receive().errors
            holder.close(), other.close(), admin.close()
            wait_until(lambda: len(shown(second, "CLIENTS")) <= 2, 10, "it left")
            second.query("RESUME")


def test_queue_timeout_holds_while_paused(t):
    _, proxy = scene(t, bucket={"queue_timeout": "300ms"})
    with console(t, proxy) as admin, t.client(proxy) as client:
        admin.query("PAUSE")
        assert numbers(client.ask("SELECT 1")) == [50004]
        admin.query("RESUME")
        assert client.query("SELECT 1").rows == [[1]]


def test_a_server_that_was_down_before(t):
    """While paused everybody waits, down or not; after RESUME it counts as there."""
    server, proxy = scene(t, bucket={"connection_timeout": "300ms", "retry_backoff_min": "50ms", "retry_backoff_max": "50ms"})
    with console(t, proxy) as admin:
        server.stop()
        wait_until(lambda: (try_login(proxy.port, "sa", "x") is not None) and shown(admin, "BUCKETS")[0]["health"] == "down",
                   20, "down")
        admin.query("PAUSE")
        late = t.client(proxy, connect=False)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(late.run(late.session.login())))
        thread.start()
        wait_until(lambda: len(shown(admin, "QUEUE")) == 1, 10, "it waits")
        server.start()
        admin.query("RESUME")
        thread.join(20)
        assert answers and not answers[0].errors


# ---------------------------------------------------------------------------------------------------- KILL

def test_kill(t):
    """An idle client, one in a transaction, which is rolled back, and one that waits."""
    server, proxy = scene(t)
    count = "SELECT COUNT(*) FROM dbo.test_table WHERE name = N'killed'"
    with console(t, proxy) as admin:
        holder, late, idle = (t.client(proxy, app_name=name) for name in ("holder", "late", "idle"))
        holder.query("BEGIN TRAN; INSERT INTO dbo.test_table (name, value) VALUES (N'killed', 1)")
        late.send("SELECT 1")
        wait_state(admin, "late", "waiting")
        for name, client in (("idle", idle), ("late", late), ("holder", holder)):
            assert not admin.ask(f"KILL {session_of(admin, name)['session']}").errors
            assert_closed(client)
            wait_until(lambda: session_of(admin, name) is None, 10, "gone")
        assert shown(admin, "QUEUE") == []
        with t.client(proxy) as client:
            assert client.scalar(count) == 0
        itself = session_of(admin, "harness")["session"]
        assert numbers(admin.ask(f"KILL {itself}")) == [6104]
        assert numbers(admin.ask("KILL 0")) == numbers(admin.ask("KILL 18446744073709551615")) == [6106]
        assert numbers(admin.ask("KILL 18446744073709551616")) == [102]
        with console(t, proxy, app_name="other") as other:
            admin.query(f"KILL {session_of(admin, 'other')['session']}")
            assert_closed(other)
    assert proxy.log_text().count("reason=killed") == 4


@cases(mode=["session", "passthrough"])
def test_kill_in_other_modes(t, mode):
    server = t.sqlserver()
    entry = t.bucket("b1", server, 2, health_probe="off", pool_mode=mode, listen_port=free_port())
    proxy = t.proxy([entry], proxy={"pool_mode": "transaction", **keys_of(t)})
    with console(t, proxy) as admin, t.client(entry["listen_port"]) as client:
        client.query("SELECT 1")
        row, = shown(admin, "CLIENTS b1")
        admin.query(f"KILL {row['session']}")
        assert_closed(client)
        wait_until(lambda: shown(admin, "CLIENTS b1") == [], 10, "gone")


# ---------------------------------------------------------------------------------------------------- RELOAD, DRAIN

def test_reload(t):
    """Both files again, the console's own users too; one that is not sound changes nothing."""
    _, proxy = scene(t)

    def limit():
        return next(row["value"] for row in shown(admin, "CONFIG") if (row["bucket"], row["name"]) == ("b1", "max_queue_size"))

    with console(t, proxy) as admin:
        proxy.buckets[0]["max_queue_size"] = 7
        with open(os.path.join(t.folder, "admin-password"), "w", encoding="utf-8") as file:
            file.write("another")
        proxy.write_config()
        assert limit() == "1000" and not admin.ask("RELOAD").errors and limit() == "7"
        refused(t, proxy, *ADMIN)
        console(t, proxy, (ADMIN[0], "another")).close()
        proxy.buckets[0]["max_queue_size"] = "many"
        proxy.write_config()
        answer = admin.ask("RELOAD")
        assert numbers(answer) == [50000] and "max_queue_size" in answer.errors[0].text, answer.errors
        assert limit() == "7"


def test_reload_of_buckets(t):
    """One that is removed is shown as long as it holds something, and paused no more when it comes back."""
    server, proxy = scene(t)
    entry, = proxy.buckets
    with console(t, proxy) as admin:
        admin.query("PAUSE")
        for buckets, left in (([t.bucket("b2", server, 1, health_probe="off")], ["b2"]),
                              ([entry, t.bucket("b2", server, 1, health_probe="off")], ["b1", "b2"])):
            proxy.buckets = buckets
            proxy.write_config()
            admin.query("RELOAD")
            wait_until(lambda: [row["bucket"] for row in shown(admin, "BUCKETS")] == left, 10, f"{left}")
        assert [row["paused"] for row in shown(admin, "BUCKETS")] == [0, 0]


def test_drain(t):
    """Answered, then as SIGTERM: the console's sessions end, a client's transaction goes on."""
    _, proxy = scene(t, shutdown_timeout="60s")
    client = t.client(proxy)
    client.query("BEGIN TRAN; INSERT INTO dbo.test_table (name, value) VALUES (N'x', 1)")
    admin, other = console(t, proxy), console(t, proxy, MONITOR)
    assert not admin.ask("DRAIN").errors
    assert_closed(admin), assert_closed(other)
    assert not proxy.accepting() and client.query("SELECT @@TRANCOUNT").rows == [[1]]
    assert try_login(proxy.port, *ADMIN, BASE).number == 50008
    client.query("COMMIT")
    assert proxy.wait(30) == 0


def test_sigterm_ends_a_pause_that_waits(t):
    _, proxy = scene(t, shutdown_timeout="5s")
    holder = t.client(proxy)
    holder.query("BEGIN TRAN; INSERT INTO dbo.test_table (name, value) VALUES (N'x', 1)")
    admin = console(t, proxy)
    admin.send("PAUSE")
    proxy.signal(15)
    assert_closed(admin)
    holder.query("ROLLBACK")
    holder.close()
    assert proxy.wait(20) == 0


# ---------------------------------------------------------------------------------------------------- when nothing else works

def test_while_everything_is_taken(t):
    """The bucket is full, its queue too, its server hangs, and no further client is let in."""
    server, proxy = scene(t, max_client_connections=2, bucket={"max_queue_size": 1})
    holder = t.client(proxy)
    holder.query("BEGIN TRAN; INSERT INTO dbo.test_table (name, value) VALUES (N'x', 1)")
    late = t.client(proxy)
    late.send("SELECT 1")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    server.pause()
    assert try_login(proxy.port, server.user, server.password).number == 50005
    with console(t, proxy) as admin:
        assert len(shown(admin, "CLIENTS b1")) == 2
    server.resume()
    assert proxy.metric("proxy_connections_active", bucket_id="b1") == 1
    holder.query("ROLLBACK")
    assert late.receive().rows == [[1]]


# ---------------------------------------------------------------------------------------------------- bad input

def test_requests_one_behind_the_other(t):
    """Who sends without reading is not read on; nothing is lost."""
    _, proxy = scene(t)
    with console(t, proxy) as admin:
        request = message(PACKET_BATCH, batch_payload("SHOW CONFIG", tds=admin.session.tds))
        thread = threading.Thread(target=lambda: admin.socket.sendall(request * 300))
        thread.start()
        first = admin.receive()
        assert len(first.rows) > 50
        for _ in range(299):
            assert admin.receive().rows == first.rows
        thread.join(20)


@cases(bad=["too long", "no TDS", "bulk", "both resets", "request while it pauses", "broken rpc"])
def test_bad_requests(t, bad):
    _, proxy = scene(t)
    with console(t, proxy) as second, t.client(proxy) as holder:
        admin = console(t, proxy)
        if bad == "too long":
            answer = admin.ask("SELECT 1 --" + "x" * 100_000)
            assert numbers(answer) == [50007] and admin.scalar("SELECT 1") == 1
            return
        if bad == "broken rpc":
            admin.run(admin.session.send(PACKET_RPC, b"\x16\0\0\0\x12\0\0\0\2\0" + bytes(8) + b"\1\0\0\0" + b"\xff"))
            assert numbers(admin.receive()) == [8009] and admin.scalar("SELECT 1") == 1
            return
        if bad == "no TDS":
            admin.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
        elif bad == "bulk":
            admin.run(admin.session.send(7, b"\0" * 10))
        elif bad == "both resets":
            admin.run(admin.session.send(PACKET_BATCH, batch_payload("SELECT 1", tds=admin.session.tds), 0x18))
        else:
            holder.query("BEGIN TRAN; INSERT INTO dbo.test_table (name, value) VALUES (N'x', 1)")
            admin.send("PAUSE")
            admin.send("SELECT 1")
        assert_closed(admin)
        wait_until(lambda: shown(second, "BUCKETS")[0]["paused"] == 0, 10, "not paused")
        holder.query("IF @@TRANCOUNT > 0 ROLLBACK")
    assert "protocol error" in proxy.log_text()


# ---------------------------------------------------------------------------------------------------- real clients

def asked(out):
    """The output of scenario `ask` or of the same by a tool: {statement: (columns, rows, error)}."""
    found, last = {}, None
    for line in out.splitlines():
        sign, _, text = line.partition(" ")
        if sign == ">":
            last = found[text] = {"columns": [], "rows": [], "error": None}
        elif sign == "#":
            last["columns"] = text.split("\t")
        elif sign == "=":
            last["rows"].append(dict(zip(last["columns"], text.split("\t"))))
        elif sign == "!":
            last["error"] = int(text.split(" ")[0])
    return found


def drive(t, driver, proxy, who, *statements, encrypt=None, **options):
    path = os.path.join(t.folder, "statements")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(statements) + "\n")
    encrypt = encrypt or capabilities()[driver]["encrypt"][0]
    run = t.driver(driver, proxy, "ask", encrypt, user=who[0], password=who[1], database=BASE, ask=path, **options)
    assert run.rc == 0 and run.out.endswith("closed\n"), run
    return asked(run.out)


# What they begin transactions with by themselves: as their applications mostly have them.
AUTOCOMMIT = {"pymssql": "off", "python-tds": "off", "tedious": "on", "go-mssqldb": "on", "mssql-jdbc": "off", "jtds": "off",
              "pyodbc": "off"}
THRICE = ("mssql-jdbc", "jtds")  # run each statement three times


@timeout(180)
@cases(driver=list(AUTOCOMMIT))
def test_drivers(t, driver):
    """Log in, look, an error, PAUSE with a client that waits, RESUME, KILL; the monitor is refused, a wrong password too."""
    server, proxy = scene(t, bucket={"queue_timeout": "170s"})
    client, victim = t.client(proxy, app_name="client"), t.client(proxy, app_name="victim")
    mode = {"autocommit": AUTOCOMMIT[driver]}
    with console(t, proxy) as admin:
        number = session_of(admin, "victim")["session"]
        answers = drive(t, driver, proxy, ADMIN, "SHOW POOLS", "SHOW CLIENTS", "SHOW NOTHING", "SELECT @@VERSION AS v", "PAUSE b1",
                        **mode)
        assert answers["SHOW POOLS"]["columns"] == SHOWS["POOLS"].split() and len(answers["SHOW POOLS"]["rows"]) == 1
        assert answers["SHOW POOLS"]["rows"][0]["user"] == server.user
        assert {row["application"] for row in answers["SHOW CLIENTS"]["rows"]} >= {"client", "victim"}
        assert answers["SHOW NOTHING"]["error"] == 102, answers
        assert answers["SELECT @@VERSION AS v"]["rows"][0]["v"].startswith("tdsbouncer")
        assert answers["PAUSE b1"] == {"columns": [], "rows": [], "error": None}
        client.send("SELECT 7 AS n")
        wait_state(admin, "client", "waiting")
        refusal = drive(t, driver, proxy, MONITOR, "SHOW QUEUE", "RESUME b1", encrypt="full", **mode)
        assert len(refusal["SHOW QUEUE"]["rows"]) == 1 and refusal["RESUME b1"]["error"] == 229, refusal
        answers = drive(t, driver, proxy, ADMIN, "RESUME b1", f"KILL {number}", **mode)
        assert client.receive().rows == [[7]]
        assert answers[f"KILL {number}"]["error"] == (6106 if driver in THRICE else None), answers
        assert_closed(victim)
    wrong = t.driver(driver, proxy, "login", capabilities()[driver]["encrypt"][0], user=ADMIN[0], password="wrong", database=BASE)
    assert wrong.error is not None and wrong.error[0] == 18456, wrong


def tsql(proxy, who, text):
    return ["tsql", "-H", "127.0.0.1", "-p", proxy.port, "-U", who[0], "-P", who[1], "-D", BASE], text + "\ngo\nexit\n"


def bsqldb(proxy, who, text):
    return ["bsqldb", "-S", "console", "-U", who[0], "-P", who[1], "-D", BASE], text + "\ngo\n"


def sqlcmd(proxy, who, text):
    program = os.path.join(CACHE, "clients", "sqlcmd", "sqlcmd")
    return [program, "-S", f"127.0.0.1,{proxy.port}", "-U", who[0], "-P", who[1], "-d", BASE, "-C", "-Q", text], ""


TOOLS = {"tsql": tsql, "bsqldb": bsqldb, "sqlcmd": sqlcmd}


@timeout(120)
@cases(tool=list(TOOLS))
def test_tools(t, tool):
    """As an operator types it."""
    server, proxy = scene(t)
    client, victim = t.client(proxy, app_name="client"), t.client(proxy, app_name="victim")
    path = os.path.join(t.folder, "freetds.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"[global]\ntds version = 7.4\n[console]\nhost = 127.0.0.1\nport = {proxy.port}\n")

    def run(who, text):
        argv, typed = TOOLS[tool](proxy, who, text)
        done = subprocess.run([str(a) for a in argv], input=typed, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "FREETDSCONF": path, "TDSVER": "7.4"})
        return done.stdout + done.stderr

    with console(t, proxy) as admin:
        out = run(ADMIN, "SHOW POOLS")
        assert "clients_waiting" in out and server.user in out, out
        assert re.search(r"SHOW POOLS \[bucket\]\s.*\n?.*all", run(ADMIN, "SHOW HELP")), "help"
        assert re.search(r"near 'NOTHING'", run(ADMIN, "SHOW NOTHING"))
        run(ADMIN, "PAUSE b1")
        assert shown(admin, "BUCKETS")[0]["paused"] == 1
        client.send("SELECT 7 AS n")
        wait_state(admin, "client", "waiting")
        assert "RESUME permission was denied" in run(MONITOR, "RESUME b1")
        run(ADMIN, "RESUME b1")
        assert client.receive().rows == [[7]]
        run(ADMIN, f"KILL {session_of(admin, 'victim')['session']}")
        assert_closed(victim)
    assert "Login failed for user" in run((ADMIN[0], "wrong"), "SHOW POOLS")


@timeout(30)
def test_a_console_on_a_buckets_own_port_is_not_its_client(t):
    """It was counted as one for ever: proxy_clients never came back to 0."""
    server, port = t.sqlserver(), free_port()
    proxy = t.proxy([t.bucket("b1", server, 3, health_probe="off", listen_port=port)], proxy={"pool_mode": "session", **keys_of(t)})
    for _ in range(3):
        with t.client(port, user=ADMIN[0], password=ADMIN[1], database=BASE) as admin:
            assert shown(admin, "BUCKETS")[0]["clients"] == 0
    with t.client(port):
        proxy.wait_metric("proxy_clients", 1, bucket_id="b1")
    proxy.wait_metric("proxy_clients", 0, bucket_id="b1")
