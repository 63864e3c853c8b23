"""Servers on which an identity cannot be put into another session (Babelfish): a client keeps its server connection for a
while behind what may have inserted, so that its next request finds its own @@IDENTITY however it asks. DESIGN.md section 4,
last values."""

from harness import *
from pooled import *

HIDDEN = "EXEC('SELECT @@IDENTITY AS i')"  # no literal can be put in there


def babelfish(t):
    server = t.sqlserver()
    for switch in ("silent-transactions", "no-table-variable-identity", "inner-outlives"):
        server.set(switch, 1)
    return server


def two_clients(t, server, proxy):
    """And two tables, which number differently."""
    t.client(server).query("CREATE TABLE dbo.ids (id int IDENTITY(10, 1), n int); "
                           "CREATE TABLE dbo.more (id int IDENTITY(900, 1), n int)")
    return t.client(proxy), t.client(proxy)


@timeout(60)
def test_the_next_request_finds_its_own_identity(t):
    """While another client waits for the only connection; when the time is over that gets it."""
    server = babelfish(t)
    proxy = pooled(t, server, 1, {"last_values_hold": "3s"})
    client, other = two_clients(t, server, proxy)
    client.query("INSERT INTO dbo.ids (n) VALUES (1)")
    wait_pinned(proxy, "last_values", "behind an INSERT")
    other.send("INSERT INTO dbo.more (n) VALUES (1)")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    assert int(client.scalar(HIDDEN)) == 10
    assert other.receive().errors == []
    other.query("SELECT 1 AS n")
    assert int(other.scalar(HIDDEN)) == 900
    reset(other)
    wait_free(proxy, "in the end")
    assert pins_so_far(proxy) == {"last_values": 2}


@timeout(60)
def test_what_only_reads_is_not_kept(t):
    server = babelfish(t)
    proxy = pooled(t, server, 1, {"last_values_hold": "1h"})
    client, other = t.client(proxy), t.client(proxy)
    for n in range(3):
        assert client.scalar("SELECT 1 AS n") == 1 and other.scalar("SELECT COUNT(*) FROM sys.objects") is not None
    assert pins_so_far(proxy) == {}


@timeout(60)
@cases(announces=[True, False])
def test_where_identities_can_be_set_nothing_is_kept(t, announces):
    server = t.sqlserver()
    server.set("silent-transactions", 0 if announces else 1)
    proxy = pooled(t, server, 1, {"last_values_hold": "1h"})
    client, other = two_clients(t, server, proxy)
    for n in range(3):
        client.query("INSERT INTO dbo.ids (n) VALUES (1)"), other.query("INSERT INTO dbo.more (n) VALUES (1)")
        assert int(client.scalar(HIDDEN)) == 10 + n and int(other.scalar(HIDDEN)) == 900 + n
    assert pins_so_far(proxy) == {} and "cannot be set" not in proxy.log_text()


@timeout(60)
def test_turned_off(t):
    """Then what was inserted is told by comparing, and is there for who asks openly."""
    server = babelfish(t)
    proxy = pooled(t, server, 1, {"last_values_hold": 0})
    client, other = two_clients(t, server, proxy)
    for n in range(3):
        client.query("INSERT INTO dbo.ids (n) VALUES (1)"), other.query("INSERT INTO dbo.more (n) VALUES (1)")
        assert int(client.scalar("SELECT @@IDENTITY AS i")) == 10 + n
    assert pins_so_far(proxy) == {} and "cannot be set" in proxy.log_text()


@timeout(60)
def test_it_ends_no_session(t):
    """session_timeout and idle_timeout are for pins that only the client can end."""
    server = babelfish(t)
    proxy = pooled(t, server, 2, {"last_values_hold": "1h", "session_timeout": "1s", "idle_timeout": "1s"})
    client, other = two_clients(t, server, proxy)
    client.query("INSERT INTO dbo.ids (n) VALUES (1)")
    other.query("BEGIN TRAN; INSERT INTO dbo.more (n) VALUES (1)")
    wait_until(lambda: held(proxy) == (1, {"last_values": 1}), 10, "the one with a transaction has been closed")
    holds_for(lambda: held(proxy) == (1, {"last_values": 1}), 1.5, "the other one stays")
    assert int(client.scalar(HIDDEN)) == 10


@timeout(60)
def test_begin_waits_all_the_same(t):
    """A driver with autocommit off begins behind each commit, and then sits idle: what is kept goes to others, and the
    transaction begins where its first statement runs."""
    server = babelfish(t)
    proxy = pooled(t, server, 1, {"last_values_hold": "2s", "defer_begin": True})
    client, other = two_clients(t, server, proxy)
    client.query("INSERT INTO dbo.ids (n) VALUES (1)")
    client.query("BEGIN TRAN")
    assert held(proxy) == (1, {"last_values": 1})
    assert other.scalar("SELECT 2 AS n") == 2
    assert client.query("SELECT @@TRANCOUNT AS t, @@IDENTITY AS i").rows == [[1, 10]]
    wait_pinned(proxy, "transaction", "it has begun")
    client.query("COMMIT")
    wait_free(proxy, "in the end")


@timeout(60)
def test_begin_on_the_connection_that_is_kept(t):
    server = babelfish(t)
    proxy = pooled(t, server, 1, {"last_values_hold": "1h", "defer_begin": True})
    client, _ = two_clients(t, server, proxy)
    client.query("INSERT INTO dbo.ids (n) VALUES (1)")
    client.query("BEGIN TRAN")
    assert held(proxy) == (1, {"last_values": 1}), "the transaction waits"
    assert client.query(HIDDEN.replace("@@IDENTITY", "@@TRANCOUNT AS t, @@IDENTITY")).rows == [[1, 10]]
    client.query("ROLLBACK")
    wait_pinned(proxy, "last_values", "the transaction is over")
    reset(client)
    wait_free(proxy, "behind the client's own reset")


@timeout(60)
def test_nothing_is_asked_that_ends_the_transaction(t):
    """Babelfish has no DBCC USEROPTIONS: with XACT_ABORT ON the error would end the transaction in which it is asked."""
    server = babelfish(t)
    server.set("no-useroptions", 1)
    proxy = pooled(t, server)
    client = t.client(proxy)
    client.query("SET XACT_ABORT ON; BEGIN TRAN")
    client.query("DECLARE @f int = 3; IF @f = 3 SET DATEFORMAT dmy")  # nobody knows whether it has
    assert client.query("SELECT @@TRANCOUNT AS t").rows == [[1]]
    client.query("COMMIT")
    wait_pinned(proxy, "session_state", "what cannot be asked pins")


@timeout(60)
def test_a_column_without_a_name_keeps_the_one_of_its_function(t):
    """Babelfish calls it after that: what stands in the place of @@ROWCOUNT has the same name, type and value."""
    server = babelfish(t)
    relay, sent = t.cutter(server), bytearray()
    relay.on_request = lambda data, _: sent.extend(data)
    entry = t.bucket("b1", server, 1, port=relay.port, health_probe="off", last_values_hold=0, server_tls="disable")
    proxy = t.proxy([entry], proxy={"pool_mode": "transaction", "health_check_interval": "1h"})
    direct, (client, other) = t.client(server), two_clients(t, server, proxy)
    asks = {"@@ROWCOUNT": "rowcount", "ROWCOUNT_BIG()": "rowcount_big", "@@ERROR": "error", "SCOPE_IDENTITY()": "scope_identity",
            "@@IDENTITY": "babelfish_get_last_identity_numeric"}
    for ask, name in asks.items():
        answers = []
        for one in (direct, client):
            one.query("INSERT INTO dbo.ids (n) VALUES (1), (2)")
            other.query("UPDATE dbo.more SET n = 1")
            sent.clear()
            answer = one.query(f"SELECT {ask}")
            answers.append((answer.columns, [column["info"] for column in answer.types]))
        assert answers[0] == answers[1], answers
        last = {"rowcount": 2, "rowcount_big": 2, "error": 0}.get(name, direct.scalar("SELECT MAX(id) FROM dbo.ids"))
        assert answer.rows == [[last]], f"{ask}: {answer.rows} instead of {last}"
        assert f" AS [{name}])".encode("utf-16-le") in sent, sent.decode("utf-16-le", "replace")
