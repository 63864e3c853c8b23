"""Session mode: attentions and a client's own resets, in every state that a session can be in."""

import socket

from harness import *
from harness.tds import *
from test_session import TOKEN_DONE, finished, idle, session_proxy, wait_idle
from test_standin_protocol import ENV_DATABASE, ENV_LANGUAGE, ENV_RESET, ISOLATION, assert_closed, interrupt, numbers, running

ACKNOWLEDGED = [(TOKEN_DONE, DONE_ATTN, 0, 0)]
STATE = "SELECT DB_NAME(), @@LANGUAGE, @@TRANCOUNT, OBJECT_ID('tempdb..#t'), @@OPTIONS & 512"


def assert_acknowledged(client):
    answer = client.receive()
    assert answer.dones == ACKNOWLEDGED and answer.tokens == [TOKEN_DONE], answer.dones


def assert_cancelled(client):
    """What a request is answered with that no server has seen."""
    answer = client.receive()
    assert answer.tokens == [TOKEN_DONE] and answer.done_status == DONE_ERROR and not answer.errors, answer.dones


# ---------------------------------------------------------------------------------------------------- attention


@timeout(60)
@cases(encrypt=["off", "full"])
def test_attention_while_a_request_runs(t, encrypt):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy, encrypt=encrypt)
    for _ in range(3):
        interrupt(server, client, "SELECT 7; WAITFOR DELAY '00:00:30'; SELECT 8")
        assert client.scalar("SELECT 1") == 1
    client.query("BEGIN TRAN")
    interrupt(server, client, "WAITFOR DELAY '00:00:30'")
    assert client.scalar("SELECT @@TRANCOUNT") == 1  # as SQL Server has it
    client.close()
    finished(t, proxy, server, 1)
    assert server.stats()["attentions_total"] == 4


@timeout(60)
def test_two_attentions_get_two_acknowledgements_and_none_is_left(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    client = t.client(proxy)
    client.send("WAITFOR DELAY '00:00:30'")
    wait_until(lambda: running(server) == 1, 5, "the request runs")
    client.attention()
    client.attention()
    assert client.receive().done_status & DONE_ERROR
    assert_acknowledged(client), assert_acknowledged(client)
    assert client.scalar("SELECT 2") == 2
    client.attention()  # its answer has been read
    assert_acknowledged(client)
    client.close()
    with t.client(proxy) as other:
        assert other.scalar("SELECT 3") == 3
    finished(t, proxy, server, 1)


@timeout(60)
def test_attention_behind_an_answer_that_is_complete(t):
    """It crosses the answer on its way: pymssql sends one after every login's batch."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy)
    for n in range(50):
        client.run(client.session.bytes_out(message(PACKET_BATCH, batch_payload(f"SELECT {n}")) +
                                            packet(PACKET_ATTENTION, b"") +
                                            message(PACKET_BATCH, batch_payload("SELECT 'next'"))))
        answer = client.receive()
        assert answer.rows == [[n]] or answer.done_status & DONE_ERROR, answer.dones
        assert_acknowledged(client)
        assert client.receive().rows == [["next"]]
    client.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_attention_of_an_idle_session_that_holds_no_server_connection(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    t.client(proxy).close()
    wait_idle(proxy, 1)
    client = t.client(proxy)
    client.attention(), client.attention()
    assert_acknowledged(client), assert_acknowledged(client)
    assert server.stats()["attentions_total"] == 0
    assert client.scalar("SELECT 1") == 1
    client.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_attention_takes_a_queued_request_back(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    holder = t.client(proxy)
    waiting, next_one = t.client(proxy), t.client(proxy)
    waiting.send("CREATE TABLE dbo.never (n int)")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    waiting.attention()
    assert_cancelled(waiting), assert_acknowledged(waiting)
    proxy.wait_metric("proxy_queue_length", 0, bucket_id="b1")
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="cancelled") == 1
    waiting.send("SELECT 'again'")
    next_one.send("SELECT 'too'")
    proxy.wait_metric("proxy_queue_length", 2, bucket_id="b1")
    holder.close()
    assert waiting.receive().rows == [["again"]]
    waiting.close()
    assert next_one.receive().rows == [["too"]]
    assert next_one.query("SELECT OBJECT_ID('dbo.never')").rows == [[None]]
    next_one.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_attention_during_the_proxys_own_batch_before_the_request(t):
    """The connection was another database's: a batch of the proxy's takes it over, and the client loses patience."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    with t.client(server) as direct:
        direct.query("CREATE DATABASE other_db")
    for database in ("other_db", server.database):  # both are known then: no login needs the server
        t.client(proxy, database=database).close()
        wait_idle(proxy, 1)
    client = t.client(proxy, database="other_db")
    server.set("delay-request", 3000)
    client.send("CREATE TABLE dbo.never (n int)")
    wait_until(lambda: running(server) == 1, 5, "the proxy's batch runs")
    client.attention()
    assert_cancelled(client), assert_acknowledged(client)
    server.set("delay-request", 0)
    assert client.query("SELECT DB_NAME(), OBJECT_ID('dbo.never')").rows == [["other_db", None]]
    client.close()
    finished(t, proxy, server, 1)


@timeout(60)
@cases(abrupt=[False, True])
def test_attention_and_then_gone(t, abrupt):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    client = t.client(proxy)
    client.query("CREATE TABLE dbo.kept (n int); CREATE TABLE #t (n int)")
    for cancelled in (True, False):
        client.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
        client.send("WAITFOR DELAY '00:00:30'")
        wait_until(lambda: running(server) == 1, 5, "the request runs")
        if cancelled:
            client.attention(), client.attention()
        if abrupt:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        wait_idle(proxy, 1)
        client = t.client(proxy)
        assert client.query("SELECT COUNT(*), @@TRANCOUNT, OBJECT_ID('tempdb..#t') FROM dbo.kept").rows == [[0, 0, None]]
    client.close()
    finished(t, proxy, server, 1)
    assert server.stats()["logins_total"] == 1


@timeout(60)
def test_attention_while_a_slow_reader_has_the_answer_half(t):
    """The proxy goes on reading what is to be dropped; the client reads it all and finds one acknowledgement."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy)
    client.send("WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
                "SELECT i, REPLICATE('y', 7000) FROM n OPTION (MAXRECURSION 0)")
    wait_until(lambda: running(server) == 1, 5, "the request runs")
    client.attention()
    answer = client.receive()
    assert answer.rows[:1] in ([], [[1, "y" * 7000]])
    assert_acknowledged(client)
    assert client.scalar("SELECT 1") == 1
    client.close()
    finished(t, proxy, server, 1)


# ---------------------------------------------------------------------------------------------------- reset


def spoil(client):
    client.query("USE master; SET LANGUAGE German; SET NOCOUNT ON")
    client.query("CREATE TABLE #t (n int); BEGIN TRAN")


def assert_reset(answer, database, language, in_transaction=0):
    assert answer.env_kinds().count(ENV_RESET) == 1 and answer.env_kinds()[0] == ENV_RESET, answer.env
    assert answer.tokens[0] == 0xE3, answer.tokens[:3]
    assert not {ENV_DATABASE, ENV_LANGUAGE} & set(answer.env_kinds()) and not answer.infos, (answer.env, answer.infos)
    assert answer.rows == [[database, language, in_transaction, None, 0]], answer.rows


def other_database(t, proxy, server):
    """Leaves one idle connection that was opened by a client of another database, with all logins on record."""
    with t.client(server) as direct:
        direct.query("CREATE DATABASE other_db")
    for database in (server.database, "other_db"):
        t.client(proxy, database=database).close()
        wait_idle(proxy, 1)
    assert [s["login_database"] for s in server.sessions()] == ["other_db"]


@timeout(60)
@cases(opened_by=["itself", "another database"], reset=[STATUS_RESET, STATUS_RESET_SKIP_TRAN])
def test_a_clients_own_reset(t, opened_by, reset):
    """go-mssqldb and SqlClient set the bit on the first request after taking a connection from their own pool."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    if opened_by != "itself":
        other_database(t, proxy, server)
    client = t.client(proxy)
    assert_reset(client.query(STATE, reset), server.database, "us_english")
    assert_reset(client.query(STATE, reset), server.database, "us_english")
    for _ in range(2):
        spoil(client)
        client.query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        kept = int(reset == STATUS_RESET_SKIP_TRAN)
        assert_reset(client.query(STATE, reset), server.database, "us_english", kept)
        assert client.scalar(ISOLATION) == 4  # survives, as on SQL Server
        assert client.scalar("SELECT @@TRANCOUNT") == kept
        if kept:
            client.query("COMMIT TRAN")
        assert ENV_RESET not in client.query("SELECT 1").env_kinds()
    client.close()
    wait_idle(proxy, 1)
    assert "given up" not in proxy.log_text()
    finished(t, proxy, server, 1)


@timeout(60)
@cases(opened_by=["itself", "another database"])
def test_a_reset_on_an_rpc_and_a_transaction_request(t, opened_by):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    if opened_by != "itself":
        other_database(t, proxy, server)
    client = t.client(proxy)
    spoil(client)
    assert_reset(client.rpc("sp_executesql", STATE, status=STATUS_RESET), server.database, "us_english")
    spoil(client)
    answer = client.tran(TRAN_BEGIN, status=STATUS_RESET)
    assert answer.env_kinds()[0] == ENV_RESET and answer.env_kinds().count(ENV_RESET) == 1 and not answer.errors
    assert client.query(STATE).rows == [[server.database, "us_english", 1, None, 0]]
    client.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_a_reset_of_a_client_of_another_language(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    client = t.client(proxy)
    client.query("SET LANGUAGE German")
    client.close()
    wait_idle(proxy, 1)
    client = t.client(proxy)
    client.query("SET LANGUAGE French")
    assert_reset(client.query(STATE, STATUS_RESET), server.database, "us_english")
    client.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_a_reset_that_is_cancelled_or_left_alone(t):
    """The batch that does the client's reset runs when the client cancels, or goes."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    other_database(t, proxy, server)
    client = t.client(proxy)
    spoil(client)
    server.set("delay-request", 1500)
    client.send(STATE, STATUS_RESET)
    wait_until(lambda: running(server) == 1, 5, "the proxy's batch runs")
    client.attention()
    answer = client.receive()
    assert answer.done_status & DONE_ERROR or answer.rows, answer.dones
    assert_acknowledged(client)
    server.set("delay-request", 0)
    assert client.query(STATE).rows == [[server.database, "us_english", 0, None, 0]]
    spoil(client)
    server.set("delay-request", 1000)
    client.send(STATE, STATUS_RESET)
    wait_until(lambda: running(server) == 1, 5, "the proxy's batch runs")
    client.close()
    server.set("delay-request", 0)
    wait_idle(proxy, 1)
    with t.client(proxy) as client:
        assert client.query(STATE).rows == [[server.database, "us_english", 0, None, 0]]
    finished(t, proxy, server, 1)
