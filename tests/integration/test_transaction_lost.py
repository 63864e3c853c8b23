"""Transaction mode: clients and servers that go away, in every state.

DESIGN.md section 4, Cancel (a client that vanishes) and Failure. A server connection goes back to the pool only in a known
state; once a request's first byte has been written to a server it is never run again.
"""

import socket

from harness import *
from harness.tds import *
from pooled import *
from test_session import ROWS
from test_session_lost import LOSSES, leave, lost
from test_standin_protocol import assert_closed, drain, error_of, numbers, running

IN = "INSERT INTO dbo.kept VALUES (1)"
WAIT = "WAITFOR DELAY '00:00:30'"
SPOIL = f"SET LANGUAGE German; SET NOCOUNT ON; SET ROWCOUNT 1; USE {OTHER}"


def scene(t, server_is, connections=1, **keys_of_proxy):
    server, keys = server_and_clients(t, server_is)
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    proxy = pooled(t, server, connections, **keys_of_proxy)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("SELECT 1")
    fresh = look(other)
    wait_free(proxy, "before")
    return server, proxy, client, other, fresh


def clean(t, server, proxy, other, fresh, rows=0):
    wait_free(proxy, "the client is gone")
    wait_until(lambda: look(other) == fresh, 10, lambda: f"another client finds nothing of it, but {look(other)}: not {fresh}")
    assert level(other) == "read committed"
    assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == rows
    with t.client(proxy, tds_version=other.session.tds_version, prelogin=other.session.prelogin) as late:
        assert look(late) == fresh
    proxy.wait_metric("proxy_queue_length", 0, bucket_id="b1")
    assert pins_so_far(proxy).keys() <= {"transaction", "temp_table", "session_state"}


# ---------------------------------------------------------------------------------------------------- clients


def idle_with_state(server, proxy, client):
    client.query(SPOIL)
    client.query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")


def in_transaction(server, proxy, client):
    client.query(f"BEGIN TRAN; {IN}")
    wait_pinned(proxy, "transaction", "begun")
    client.query(SPOIL)


def in_implicit_transaction(server, proxy, client):
    client.query("SET IMPLICIT_TRANSACTIONS ON")
    client.query(IN)
    wait_pinned(proxy, "transaction", "begun")


def with_temp_table(server, proxy, client):
    client.query("CREATE TABLE #t (n int); CREATE TABLE ##g (n int)")
    wait_pinned(proxy, "temp_table", "made")


def with_session_state(server, proxy, client):
    client.query("SET CONTEXT_INFO 0x01; EXEC sp_getapplock 'lock', 'Exclusive', 'Session'")
    wait_pinned(proxy, "session_state", "set")


def while_it_runs(server, proxy, client):
    client.send(f"{SPOIL}; {WAIT}")
    wait_until(lambda: running(server) == 1, 5, "it runs")


def while_it_runs_in_a_transaction(server, proxy, client):
    in_transaction(server, proxy, client)
    client.send(f"{WAIT}; INSERT INTO {DATABASE}.dbo.kept VALUES (2)")
    wait_until(lambda: running(server) == 1, 5, "it runs")


def while_it_begins_one(server, proxy, client):
    client.send(f"BEGIN TRAN; {IN}; {WAIT}")
    wait_until(lambda: running(server) == 1, 5, "it runs")


def while_cancelling(server, proxy, client):
    while_it_runs(server, proxy, client)
    client.attention()


def mid_answer(server, proxy, client):
    client.query(f"BEGIN TRAN; {IN}")
    client.send(ROWS.format(rows=9000, width=7000))
    drain(client, 300_000)


def half_a_request(server, proxy, client):
    raw = message(PACKET_BATCH, batch_payload(IN + " --" + "x" * 9000, tds=client.session.tds))
    client.socket.sendall(raw[:9000])


def half_a_long_request(server, proxy, client):
    """More than 64 KiB of it: the server has a part."""
    raw = message(PACKET_BATCH, batch_payload(IN + " --" + "x" * 100_000, tds=client.session.tds))
    client.socket.sendall(raw[:-5000])
    wait_until(lambda: held(proxy)[0] == 1, 5, "attached")


def during_the_replay(server, proxy, client):
    client.query(SPOIL)
    with_other = proxy.other
    with_other.query("SELECT 1")
    server.set("delay-request", 800)
    client.send(f"INSERT INTO {DATABASE}.dbo.kept VALUES (1)")
    wait_until(lambda: running(server) == 1, 5, "the replay runs")


STATES = {f.__name__: f for f in (
    idle_with_state, in_transaction, in_implicit_transaction, with_temp_table, with_session_state,
    while_it_runs, while_it_runs_in_a_transaction, while_it_begins_one, while_cancelling, mid_answer, half_a_request,
    half_a_long_request, during_the_replay)}


@timeout(60)
@cases(state=list(STATES), abrupt=[False, True])
def test_a_client_that_goes(t, state, abrupt):
    """Attention where something runs, drained, rolled back, cleaned, and back to the pool; or closed."""
    goes(t, "announcing", state, abrupt)


@timeout(60)
@cases(server_is=ELSEWHERE, state=["in_transaction", "in_implicit_transaction", "while_it_begins_one"])
def test_a_client_that_goes_where_transactions_are_not_announced(t, server_is, state):
    goes(t, server_is, state, False)


@full
@timeout(60)
@cases(server_is=ELSEWHERE, state=list(STATES), abrupt=[False, True])
def test_a_client_that_goes_elsewhere(t, server_is, state, abrupt):
    goes(t, server_is, state, abrupt)


def goes(t, server_is, state, abrupt):
    server, proxy, client, other, fresh = scene(t, server_is)
    proxy.other = other
    STATES[state](server, proxy, client)
    leave(client, abrupt)
    if state == "during_the_replay":
        wait_until(lambda: running(server) == 0, 10, "the proxy's own batch has ended")
        server.set("delay-request", 0)
    clean(t, server, proxy, other, fresh)
    assert server.peak() <= 2, "the test's own, and one"


@timeout(60)
@cases(server_is=SERVERS, abrupt=[False, True])
def test_clients_that_go_while_they_wait(t, server_is, abrupt):
    server, proxy, client, other, fresh = scene(t, server_is)
    keys = {"tds_version": client.session.tds_version, "prelogin": client.session.prelogin}
    client.query(f"BEGIN TRAN; {IN}")
    wait_pinned(proxy, "transaction", "the connection is taken")
    waiting = [t.client(proxy, **keys) for _ in range(5)]
    for n, one in enumerate(waiting):
        one.send(f"INSERT INTO dbo.kept VALUES ({10 + n}) --" + "x" * (100_000 if n == 2 and abrupt else 10))
        proxy.wait_metric("proxy_queue_length", n + 1, bucket_id="b1")
    for n in (0, 2, 4):
        leave(waiting[n], abrupt)
    proxy.wait_metric("proxy_queue_length", 2, bucket_id="b1")
    client.query("ROLLBACK")
    for n in (1, 3):
        assert not waiting[n].receive().errors
    assert other.query("SELECT n FROM dbo.kept ORDER BY n").rows == [[11], [13]]
    clean(t, server, proxy, other, fresh, 2)


@timeout(60)
@cases(server_is=SERVERS)
def test_many_clients_that_go(t, server_is):
    """Fifty that vanish in the middle of things, over two connections; then all is as at first."""
    server, proxy, client, other, fresh = scene(t, server_is, 2)
    keys = {"tds_version": client.session.tds_version, "prelogin": client.session.prelogin}
    texts = [f"BEGIN TRAN; {IN}", f"BEGIN TRAN; {IN}; {WAIT}", WAIT, SPOIL, "CREATE TABLE #t (n int)", "SELECT 1"]
    for n in range(50):
        one = t.client(proxy, **keys)
        one.send(texts[n % len(texts)])
        if n % 4 == 0:
            one.receive() if "WAITFOR" not in texts[n % len(texts)] else None
        leave(one, n % 2 == 0)
    clean(t, server, proxy, other, fresh)


# ---------------------------------------------------------------------------------------------------- servers


def restart(server):
    if not server.running:
        server.start()


@timeout(60)
@cases(server_is=SERVERS, what=list(LOSSES))
def test_a_server_lost_while_a_request_runs(t, server_is, what):
    """50003, and the session ends: nobody knows what became of the request."""
    server, proxy, client, other, fresh = scene(t, server_is)
    client.send(f"{IN}; {WAIT}")
    wait_until(lambda: running(server) == 1, 5, "it runs")
    LOSSES[what](server)
    assert isinstance(lost(client), TdsError)
    wait_free(proxy, "the connection is gone")
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="server_lost") == 1
    restart(server)
    wait_until(lambda: not other.ask("SELECT 1").errors, 10, "another client is served")


@timeout(60)
@cases(reason=["transaction", "temp_table", "session_state"], what=["one", "all"])
def test_a_server_lost_while_pinned(t, reason, what):
    """What the client has there is gone: its session must not go on as if nothing had been."""
    lost_while_pinned(t, "announcing", reason, what)


@timeout(60)
@cases(server_is=ELSEWHERE)
def test_a_server_lost_in_a_transaction_that_it_did_not_announce(t, server_is):
    lost_while_pinned(t, server_is, "transaction", "one")


def lost_while_pinned(t, server_is, reason, what):
    server, proxy, client, other, fresh = scene(t, server_is)
    client.query({"transaction": f"BEGIN TRAN; {IN}", "temp_table": "CREATE TABLE #t (n int)", "session_state":
                  "SET CONTEXT_INFO 0x01"}[reason])
    wait_pinned(proxy, reason, "pinned")
    LOSSES[what](server)
    wait_free(proxy, "the connection is gone")
    try:
        client.send("SELECT 1")
        error = error_of(lambda: client.receive().raise_error())
    except OSError as gone:
        error = gone
    assert not isinstance(error, TdsError) or (error.number, error.severity) == (50003, 20), error
    assert_closed(client)
    clean(t, server, proxy, other, fresh)


@timeout(60)
@cases(server_is=SERVERS, what=["one", "all"])
def test_a_server_lost_between_two_requests_of_a_detached_client(t, server_is, what):
    """Nobody notices."""
    server, proxy, client, other, fresh = scene(t, server_is)
    client.query(SPOIL)
    expected = look(client)
    for _ in range(3):
        wait_idle(proxy, 1)
        LOSSES[what](server)
        wait_idle(proxy, 0)
        assert look(client) == expected
        assert look(other) == fresh


@timeout(60)
@cases(server_is=SERVERS)
def test_a_server_lost_in_the_middle_of_an_answer(t, server_is):
    server, proxy, client, other, fresh = scene(t, server_is)
    client.send(ROWS.format(rows=9000, width=7000))
    drain(client, 300_000)
    server.kill_all()
    error = error_of(lambda: client.receive().raise_error())
    assert isinstance(error, TdsClosed) or getattr(error, "number", 0) == 50003, error
    assert_closed(client)
    wait_free(proxy, "gone")
    wait_until(lambda: other.query("SELECT 1").rows == [[1]], 10, "another client is served")


@timeout(60)
@cases(server_is=SERVERS, moment=["the request", "the replay", "the question for @@TRANCOUNT", "reading last values"])
def test_a_request_is_never_run_twice(t, server_is, moment):
    """The connection is cut behind half of an answer: to the request itself, or to one of the proxy's own around it."""
    server, proxy, client, other, fresh = scene(t, server_is)
    client.query("SET DATEFIRST 3")
    if moment == "reading last values":
        other.query("CREATE TABLE dbo.ids (id int IDENTITY, n int)")
        other.query("INSERT INTO dbo.ids (n) VALUES (1)")
    else:
        other.query("SELECT 1")
    if moment == "the request":
        client.query("SELECT 1")
    wait_free(proxy, "before")
    ahead = {"the request": 1, "the replay": 1, "the question for @@TRANCOUNT": 3, "reading last values": 1}[moment]
    server.set("drop-request", server.stats()["requests_total"] + ahead)
    answer = error = None
    try:
        answer = client.ask(IN)
    except (TdsClosed, TdsProtocolError, OSError) as closed:
        error = closed
    server.set("drop-request", 0)
    with t.client(server) as direct:
        count = direct.scalar("SELECT COUNT(*) FROM dbo.kept")
    assert count <= 1, f"run {count} times"
    if answer is not None and not answer.errors:
        assert count == 1
    if MODE == "transaction" and moment in ("the replay", "reading last values"):
        assert error is None and not answer.errors, "nothing of the client's had been sent: it is tried elsewhere"
    assert other.query("SELECT 1").rows == [[1]]
