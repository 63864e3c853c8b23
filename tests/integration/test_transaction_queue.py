"""Transaction mode: requests that wait for a server connection, errors that answer them, and pins that last too long.

DESIGN.md section 7, section 4 (attach), and session_timeout, idle_timeout of section 8.
"""

import time

from harness import *
from harness.tds import *
from pooled import *
from test_login_tokens import sspi_login
from test_standin_protocol import assert_closed, numbers, took

IN = "INSERT INTO dbo.kept VALUES (1)"
REQUESTS = {
    "batch": lambda c: c.ask("SELECT 1 AS n"),
    "rpc": lambda c: c.rpc(10, "SELECT 1 AS n"),
    "rpc by name": lambda c: c.rpc("sp_executesql", "SELECT 1 AS n"),
    "batch with reset": lambda c: c.ask("SELECT 1 AS n", STATUS_RESET),
    "long": lambda c: c.ask("SELECT 1 AS n --" + "x" * 100_000),
    "transaction request": lambda c: c.tran(TRAN_SAVE, "s"),  # not at TDS 7.1
}


def scene(t, server_is="announcing", bucket=None, **proxy_keys):
    """A client whose transaction has the only server connection, and another client."""
    server, keys = server_and_clients(t, server_is)
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    proxy = pooled(t, server, 1, bucket, **proxy_keys)
    holder, client = t.client(proxy, **keys), t.client(proxy, **keys)
    holder.query(f"BEGIN TRAN; {IN}")
    wait_pinned(proxy, "transaction", "the connection is taken")
    return server, proxy, holder, client, keys


def assert_refused(answer, number, proxy, error_type):
    """The request has its answer: one error, and a DONE that ends it."""
    assert numbers(answer) == [number] and answer.errors[0].severity == 16, answer.errors
    assert answer.done_status & DONE_ERROR and not answer.done_status & DONE_MORE and len(answer.dones) == 1, answer.dones
    assert answer.rows == [] and set(answer.env_kinds()) <= {ENV_RESET}, answer.env
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type=error_type) >= 1


REFUSALS = {  # number: (bucket, error_type, how long it may take and must take)
    50001: ({"queue_timeout": 0}, "no_slot", 0, 2),
    50004: ({"queue_timeout": "500ms"}, "queue_timeout", 0.45, 5),
    50005: ({"queue_timeout": "20s", "max_queue_size": 1}, "queue_full", 0, 2),
}


@timeout(60)
@cases(server_is=SERVERS, number=list(REFUSALS))
def test_a_refused_request_is_answered_and_the_session_lives_on(t, server_is, number):
    """Whatever kind of request it is."""
    bucket, error_type, least, most = REFUSALS[number]
    server, proxy, holder, client, keys = scene(t, server_is, bucket)
    if number == 50005:
        waiting = t.client(proxy, **keys)
        waiting.send("SELECT 'waited' AS t")
        proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    for name, request in REQUESTS.items():
        if server_is != "TDS 7.1" or name != "transaction request":
            seconds, answer = took(request, client)
            assert_refused(answer, number, proxy, error_type)
            assert least <= seconds < most, f"{name}: after {seconds:.2f} s"
    assert holder.query("SELECT @@TRANCOUNT").rows == [[1]], "the holder noticed nothing"
    holder.query("COMMIT")
    if number == 50005:
        assert waiting.receive().rows == [["waited"]]
    assert client.query("SELECT 2 AS n").rows == [[2]], "the session lives"
    client.query(IN)
    assert client.query("SELECT COUNT(*) FROM dbo.kept").rows == [[2]]
    wait_free(proxy, "in the end")


@timeout(60)
def test_a_refused_request_changes_nothing(t):
    """The client's state: as if the request had not been sent."""
    _, proxy, holder, client, _ = scene(t, bucket={"queue_timeout": "300ms"})
    holder.query("ROLLBACK")
    client.query("SET DATEFIRST 3")
    holder.query(f"BEGIN TRAN; {IN}")
    wait_pinned(proxy, "transaction", "taken again")
    for text in ("SET DATEFIRST 5", "USE master", "SET LANGUAGE Deutsch"):
        assert numbers(client.ask(text)) == [50004]
    holder.query("ROLLBACK")
    assert client.query("SELECT DB_NAME(), @@LANGUAGE, CAST(@@DATEFIRST AS int)").rows == [[DATABASE, "us_english", 3]]


@timeout(60)
@cases(server_is=SERVERS)
def test_waiters_are_served_in_order(t, server_is):
    """First come, first served, over many changes of client."""
    server, proxy, holder, client, keys = scene(t, server_is)
    waiting = [t.client(proxy, **keys) for _ in range(10)]
    for n, one in enumerate(waiting):
        one.send(f"INSERT INTO dbo.kept VALUES ({100 + n})")
        proxy.wait_metric("proxy_queue_length", n + 1, bucket_id="b1")
    holder.query("ROLLBACK")
    for one in waiting:
        assert one.receive().errors == []
    with t.client(server) as direct:
        assert direct.query("SELECT n FROM dbo.kept").rows == [[100 + n] for n in range(10)]
    proxy.wait_metric("proxy_queue_length", 0, bucket_id="b1")
    waits = proxy.metrics().get("proxy_queue_wait_seconds_count", 0, bucket_id="b1")
    assert waits >= 10, waits
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="acquired_after_wait") >= 10
    wait_free(proxy, "in the end")


@timeout(60)
def test_a_login_does_not_wait_for_a_pinned_connection(t):
    """It is answered from a record of a real one, and needs no server connection until its first request."""
    _, proxy, holder, client, keys = scene(t)
    seconds, late = took(lambda: t.client(proxy, **keys))
    assert seconds < 5
    late.send("SELECT 'late' AS t")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    holder.query("ROLLBACK")
    assert late.receive().rows == [["late"]]


# ---------------------------------------------------------------------------------------------------- pins that last


PINNING = {"transaction": f"BEGIN TRAN; {IN}", "temp_table": "CREATE TABLE #t (n int)", "session_state": "SET CONTEXT_INFO 0x01"}
SETTINGS = {"of the proxy": lambda key, value: ({}, {key: value}), "of the bucket": lambda key, value: ({key: value}, {})}


def pinned_client(t, reason, key, where, value):
    server, keys = server_and_clients(t, "announcing")
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    bucket, proxy_keys = SETTINGS[where](key, value)
    proxy = pooled(t, server, 1, bucket, **proxy_keys)
    client = t.client(proxy, **keys)
    client.query(PINNING[reason])
    wait_pinned(proxy, reason, "pinned")
    return server, proxy, client, keys


def assert_ended(t, server, proxy, client, keys, key):
    """The client is closed, what it had is rolled back and gone, the connection serves others, the log says why."""
    assert_closed(client)
    wait_free(proxy, f"after {key}")
    assert f"reason={key}" in proxy.log_text(), "the log says why"
    with t.client(proxy, **keys) as other:
        assert other.query("SELECT @@TRANCOUNT, OBJECT_ID('tempdb..#t'), CONTEXT_INFO(), COUNT(*) FROM dbo.kept").rows == [
            [0, None, None, 0]]
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="timeout") == 1


@timeout(60)
@cases(reason=list(PINNING), where=list(SETTINGS))
def test_session_timeout_ends_a_long_pin(t, reason, where):
    """However busy the client is."""
    server, proxy, client, keys = pinned_client(t, reason, "session_timeout", where, "1s")
    began = time.monotonic()
    try:
        while time.monotonic() - began < 20:
            client.query("SELECT 1")
    except (TdsClosed, TdsError, OSError):
        pass
    assert 0.5 < time.monotonic() - began < 10, time.monotonic() - began
    assert_ended(t, server, proxy, client, keys, "session_timeout")


@timeout(60)
@cases(reason=list(PINNING), where=list(SETTINGS))
def test_idle_timeout_ends_a_silent_pin(t, reason, where):
    server, proxy, client, keys = pinned_client(t, reason, "idle_timeout", where, "1s")
    for _ in range(4):
        assert client.query("SELECT 1").rows == [[1]]
        holds_for(lambda: MODE != "transaction" or reason in held(proxy)[1], 0.4, "pinned while it is busy")
    assert_ended(t, server, proxy, client, keys, "idle_timeout")


@timeout(60)
@cases(key=["session_timeout", "idle_timeout"])
def test_a_running_request_is_never_cut(t, key):
    server, proxy, client, keys = pinned_client(t, "transaction", key, "of the bucket", "500ms")
    answer = client.ask("WAITFOR DELAY '00:00:02'; SELECT @@TRANCOUNT")
    assert answer.rows == [[1]] and not answer.errors, answer.errors
    assert_ended(t, server, proxy, client, keys, key)


@timeout(60)
@cases(key=["session_timeout", "idle_timeout"])
def test_timeouts_are_for_pins_only(t, key):
    """A session that holds nothing may be as old and as silent as it likes; a pin's time counts from its beginning."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 2, {key: "600ms"})
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("SET DATEFIRST 3")
    holds_for(lambda: other.query("SELECT 1").rows == [[1]], 1.5, "time passes")
    assert client.query("SELECT CAST(@@DATEFIRST AS int)").rows == [[3]]
    for _ in range(3):
        client.query("BEGIN TRAN; SELECT 1 AS n")
        client.query("COMMIT")
        holds_for(lambda: other.query("SELECT 1").rows == [[1]], 0.3, "time passes")
    assert client.query("SELECT 2").rows == [[2]]
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="timeout") == 0


@timeout(60)
def test_integrated_security_is_dedicated_for_good(t):
    """Pin reason auth: neither timeout counts for it, nobody else gets its connection."""
    server = t.sqlserver(args=["--database", OTHER])
    server.login("add", "DOMAIN\\app", "secret")
    proxy = pooled(t, server, 3, {"session_timeout": "500ms", "idle_timeout": "500ms"})
    one = sspi_login(proxy)[1]
    if MODE == "transaction":
        wait_until(lambda: held(proxy)[1] == {"auth": 1}, 10, "pinned for auth")
    spid = one.client.scalar("SELECT @@SPID")
    other = t.client(proxy)
    holds_for(lambda: other.scalar("SELECT @@SPID") != spid, 1.5, "never its connection")
    assert one.client.scalar("SELECT @@SPID") == spid and one.client.scalar("SELECT SUSER_SNAME()") == "DOMAIN\\app"
    one.close()
    if MODE == "transaction":
        wait_until(lambda: held(proxy)[1] == {}, 10, "no pin is left")
