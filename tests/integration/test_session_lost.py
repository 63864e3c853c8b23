"""Session mode: clients and servers that go away, in every state. Connections come back clean, counts are exact, no
request is ever run twice."""

import socket

from harness import *
from harness.sqlserver import SqlServer
from harness.tds import *
from test_session import ROWS, finished, idle, outcomes, session_proxy, wait_idle
from test_session_cancel import other_database
from test_standin_protocol import assert_closed, drain, error_of, running

CLEAN = "SELECT @@TRANCOUNT, OBJECT_ID('tempdb..#t'), DB_NAME(), @@LANGUAGE, @@OPTIONS & 512"


def leave(client, abrupt):
    if abrupt:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


def spoil(client):
    client.query("CREATE TABLE #t (n int); SET LANGUAGE German; SET NOCOUNT ON; USE master")


def assert_clean(t, proxy, server):
    with t.client(proxy) as client:
        assert client.query(CLEAN).rows == [[0, None, server.database, "us_english", 0]]


# ---------------------------------------------------------------------------------------------------- clients


def idle_client(client, server):
    spoil(client)


def in_transaction(client, server):
    client.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
    spoil(client)


def in_a_transaction_of_the_manager(client, server):
    client.tran(TRAN_BEGIN).raise_error()
    client.query("INSERT INTO dbo.kept VALUES (1)")


def while_it_runs(client, server):
    in_transaction(client, server)
    client.send("WAITFOR DELAY '00:00:30'; INSERT INTO dbo.kept VALUES (2)")
    wait_until(lambda: running(server) == 1, 5, "the request runs")


def mid_answer(client, server):
    in_transaction(client, server)
    client.send(ROWS.format(rows=9000, width=7000))
    drain(client, 300_000)


def behind_its_request(client, server):
    client.send("INSERT INTO dbo.other VALUES (1)")


STATES = {f.__name__: f for f in (idle_client, in_transaction, in_a_transaction_of_the_manager, while_it_runs, mid_answer,
                                  behind_its_request)}


@timeout(60)
@cases(abrupt=[False, True], state=list(STATES))
def test_a_client_that_goes_leaves_a_clean_connection(t, abrupt, state):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    with t.client(proxy) as first:
        first.query("CREATE TABLE dbo.kept (n int); CREATE TABLE dbo.other (n int)")
    client = t.client(proxy)
    STATES[state](client, server)
    leave(client, abrupt)
    wait_idle(proxy, 1)
    assert_clean(t, proxy, server)
    with t.client(proxy) as other:
        assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 0
    finished(t, proxy, server, 1)
    assert server.stats()["logins_total"] == 1


@timeout(60)
@cases(abrupt=[False, True])
def test_a_client_that_goes_in_the_middle_of_its_request(t, abrupt):
    """The server has a part of it: that connection cannot be used any more, but its slot can."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    client = t.client(proxy)
    whole = message(PACKET_BATCH, batch_payload("CREATE TABLE dbo.never (n int) --" + "x" * 200_000))
    client.socket.sendall(whole[:-4096])
    wait_until(lambda: proxy.metric("proxy_tds_packets_total", bucket_id="b1", direction="proxy_to_server",
                                    type="batch") >= 2, 5, "the request has begun")  # the first was the capability check
    leave(client, abrupt)
    wait_idle(proxy, 0)
    with t.client(proxy) as other:
        assert other.query("SELECT OBJECT_ID('dbo.never')").rows == [[None]]
    wait_idle(proxy, 1)
    assert server.peak() == 1
    finished(t, proxy, server, 1)


@timeout(60)
@cases(abrupt=[False, True])
def test_clients_that_go_while_they_wait(t, abrupt):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    holder = t.client(proxy)
    waiting = [t.client(proxy) for _ in range(5)]
    for number, client in enumerate(waiting):
        client.send(f"SELECT {number} --" + "x" * (50_000 if number == 2 else 10))  # more than is read while it waits
    proxy.wait_metric("proxy_queue_length", 5, bucket_id="b1")
    for number in (0, 2, 4):
        leave(waiting[number], abrupt)
    proxy.wait_metric("proxy_queue_length", 2, bucket_id="b1")
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="cancelled") == 3
    holder.close()
    for number in (1, 3):
        assert waiting[number].receive().rows == [[number]]
        waiting[number].close()
    finished(t, proxy, server, 1)


@timeout(60)
@cases(abrupt=[False, True])
def test_a_client_that_goes_while_its_connection_is_made(t, abrupt):
    """The connection is finished all the same, and the next client finds it idle."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    with t.client(proxy) as first:
        client = t.client(proxy)
        server.set("delay-login", 700)
        client.send("SELECT 1")
        server.wait_connections(2)
        leave(client, abrupt)
        wait_until(lambda: idle(proxy) == 1, 5, "the second connection is idle")
        server.set("delay-login", 0)
        first.query("SELECT 1")
    wait_idle(proxy, 2)
    assert_clean(t, proxy, server)
    finished(t, proxy, server, 2)
    assert server.stats()["logins_total"] == 2


# ---------------------------------------------------------------------------------------------------- servers


def the_spid(server):
    return max(s["spid"] for s in server.sessions())


LOSSES = {"one": lambda server: server.kill_session(the_spid(server)), "all": SqlServer.kill_all, "process": Process.kill}


def lost(client):
    """What the client of a lost request is told; then its session is over."""
    error = error_of(lambda: client.receive().raise_error())
    if isinstance(error, TdsError):
        assert (error.number, error.severity) == (50003, 20), error
    assert_closed(client)
    return error


@timeout(60)
@cases(what=list(LOSSES))
def test_a_server_lost_while_a_request_runs(t, what):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy)
    client.send("WAITFOR DELAY '00:00:30'")
    wait_until(lambda: running(server) == 1, 5, "the request runs")
    LOSSES[what](server)
    assert isinstance(lost(client), TdsError)
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="server_lost") == 1
    got, back = outcomes(proxy)
    assert got == back == 1


@timeout(60)
@cases(what=list(LOSSES))
def test_a_server_lost_between_two_requests_ends_the_session(t, what):
    """The client's state is gone with it: it must not go on as if nothing had been."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy)
    client.query("CREATE TABLE #t (n int)")
    LOSSES[what](server)
    assert_closed(client)
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")
    got, back = outcomes(proxy)
    assert got == back == 1
    if not server.running:
        server.start()
    wait_until(lambda: try_login(proxy.port, "sa", PASSWORD, DATABASE) is None, 10, "the server is back")
    assert_clean(t, proxy, server)


@timeout(60)
def test_a_server_lost_in_the_middle_of_an_answer(t):
    """Between two tokens the client is told; inside one nothing legal could follow."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy)
    client.send(ROWS.format(rows=9000, width=7000))
    drain(client, 300_000)
    server.kill_all()
    error = error_of(lambda: client.receive().raise_error())
    assert isinstance(error, TdsClosed) or getattr(error, "number", 0) == 50003, error
    assert_closed(client)
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")


@timeout(60)
def test_a_lost_request_is_never_run_again(t):
    """The server runs it, and its answer is cut off. Idle connections and slots are at hand: none may be used for it."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    clients = [t.client(proxy) for _ in range(3)]
    for client in clients:
        client.query("SELECT 1")
    clients[0].query("CREATE TABLE dbo.paid (n int)")
    for client in clients[1:]:
        client.close()
    wait_until(lambda: idle(proxy) == 2, 5, "two idle connections")
    for number in range(2):
        server.set("drop-request", server.stats()["requests_total"] + 1)
        client = clients[0] if number == 0 else t.client(proxy)
        client.send(f"INSERT INTO dbo.paid VALUES ({number})")
        lost(client)
        server.set("drop-request", 0)
    with t.client(proxy) as client:
        assert client.query("SELECT n FROM dbo.paid ORDER BY n").rows == [[0], [1]]
    wait_idle(proxy, 1)
    finished(t, proxy, server, 1)


@timeout(60)
@cases(batch=["check", "prepare"])
def test_a_connection_lost_before_the_request_was_sent_is_replaced(t, batch):
    server = t.sqlserver()
    interval = "100ms" if batch == "check" else "1h"
    proxy = session_proxy(t, server, max_connections=1, health_check_interval=interval)
    if batch == "prepare":
        other_database(t, proxy, server)
    else:
        t.client(proxy).close()
        wait_idle(proxy, 1)
    holds_for(lambda: idle(proxy) == 1, 0.2, "idle for longer than the interval")
    client = t.client(proxy)
    server.set("drop-request", server.stats()["requests_total"] + 1)
    client.send("SELECT DB_NAME()")
    assert client.receive().rows == [[server.database]]
    server.set("drop-request", 0)
    assert f"task={batch}" in proxy.log_text() and "given up" in proxy.log_text()
    client.close()
    assert server.peak() == 1
    finished(t, proxy, server, 1)


@timeout(60)
def test_a_connection_that_cannot_be_cleaned_is_closed(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    for switch in ("drop-request", "fail-reset"):
        client = t.client(proxy)
        client.query("SELECT 1")
        server.set(switch, server.stats()["requests_total"] + 1 if switch == "drop-request" else 1)
        client.close()
        wait_idle(proxy, 0)
        server.set(switch, 0)
        assert_clean(t, proxy, server)
        wait_idle(proxy, 1)
    finished(t, proxy, server, 1)


@timeout(60)
def test_a_server_that_stands_still_delays_and_loses_nothing(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, health_check_interval="1h")
    client, gone = t.client(proxy), t.client(proxy)
    gone.query("CREATE TABLE #t (n int)")
    server.pause()
    client.send("SELECT 'late'")
    gone.close()
    holds_for(lambda: idle(proxy) == 0, 0.5, "a connection that is not clean is not idle")
    server.resume()
    assert client.receive().rows == [["late"]]
    client.close()
    finished(t, proxy, server, 2)


@timeout(60)
def test_a_server_that_hangs_is_not_waited_for_for_ever(t):
    """Each idle connection is looked at before it is used, and none answers: one connection_timeout, not one for each."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=4, bucket={"connection_timeout": "600ms"},
                          health_check_interval="100ms", release_timeout="500ms")
    clients = [t.client(proxy) for _ in range(4)]
    for client in clients:
        client.query("SELECT 1")
    assert server.connections() == 4
    for client in clients:
        client.close()
    wait_idle(proxy, 4)
    holds_for(lambda: idle(proxy) == 4, 0.2, "idle for longer than the interval")
    client = t.client(proxy)
    server.pause()
    client.send("SELECT 1")
    assert [(e.number, e.severity) for e in client.receive().errors] == [(50003, 20)]
    assert proxy.log_text().count("task=check") == 1
    assert_closed(client)
    server.resume()
    assert_clean(t, proxy, server)
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 5, "all given back")
    got, back = outcomes(proxy)
    assert got == back


# ---------------------------------------------------------------------------------------------------- idle connections


@timeout(60)
def test_idle_connections_that_the_server_closes_are_never_given_to_a_client(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, health_check_interval="1h")
    for round_ in range(3):
        clients = [t.client(proxy) for _ in range(4)]
        for client in clients:
            assert client.scalar("SELECT 1") == 1
            client.close()
        wait_until(lambda: idle(proxy) >= 1, 5, "idle connections")
        if round_ == 0:
            server.kill_all()
            wait_idle(proxy, 0)
            continue
        waiting = [t.client(proxy) for _ in range(4)]
        proxy.pause()  # it learns of the loss and of the requests at once
        server.kill_all()
        for number, client in enumerate(waiting):
            client.send(f"SELECT {number}")
        proxy.resume()
        for number, client in enumerate(waiting):
            assert client.receive().rows == [[number]]
            client.close()
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="server_lost") == 0


@timeout(60)
def test_select_1_after_a_pause_and_only_then(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, health_check_interval="2s")
    t.client(proxy).close()

    def requests_of_one_session():
        wait_idle(proxy, 1)
        before = server.stats()["requests_total"]
        with t.client(proxy) as client:
            assert client.scalar("SELECT 'mine'") == "mine"
            return server.stats()["requests_total"] - before

    assert requests_of_one_session() == 1
    assert requests_of_one_session() == 1
    wait_idle(proxy, 1)
    wait_until(lambda: requests_of_one_session_after_pause(t, proxy, server) == 2, 20, "a check")
    finished(t, proxy, server, 1)
    assert server.stats()["logins_total"] == 1


def requests_of_one_session_after_pause(t, proxy, server):
    """Waits as the pool does: until the connection has been idle for longer than the interval."""
    wait_idle(proxy, 1)
    before = server.stats()["requests_total"]
    holds_for(lambda: idle(proxy) == 1, 2.2, "idle")
    with t.client(proxy) as client:
        client.query("SELECT 'mine'")
        return server.stats()["requests_total"] - before
