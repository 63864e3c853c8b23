"""A client's own reset ends a transaction that the client does not know to be over: its request names it still.

SqlClient's pool: an application leaves a BEGIN TRAN of its text open and closes the connection; the next one to open it sends the
reset bit, and the descriptor of that transaction. A server runs the request, and says that the transaction has ended. Where the
proxy did the reset, the name went to a server that had never heard of it, or no more: 3971, with every such connection.
"""

from harness import *
from harness.tds import STATUS_RESET, PACKET_BATCH, PACKET_RPC, PACKET_TRAN, TRAN_BEGIN, batch_payload, rpc_payload, tran_payload
from pooled import pooled, wait_free

RESET, ENDED, BEGAN = 18, 17, 8
ENDED_ELSEWHERE = 3926
BEGINNINGS = {
    "text": lambda client: client.query("BEGIN TRAN; INSERT INTO dbo.n VALUES (1)"),
    "lone": lambda client: client.query("BEGIN TRAN"),
    "lone, then a write": lambda client: (client.query("BEGIN TRAN"), client.query("INSERT INTO dbo.n VALUES (1)")),
    "request": lambda client: (client.tran(TRAN_BEGIN), client.query("INSERT INTO dbo.n VALUES (1)")),
}
REQUESTS = {
    "batch": lambda dead: (PACKET_BATCH, batch_payload("SELECT @@TRANCOUNT", dead)),
    "long batch": lambda dead: (PACKET_BATCH, batch_payload("SELECT @@TRANCOUNT --" + "x" * 100_000, dead)),
    "rpc": lambda dead: (PACKET_RPC, rpc_payload(10, ["SELECT @@TRANCOUNT"], dead)),
    "begin": lambda dead: (PACKET_TRAN, tran_payload(TRAN_BEGIN, transaction=dead)),
}


def seen(client, request):
    """What a client is told whose reset comes with a request that names its transaction, and with the next one."""
    dead = client.session.transaction
    assert dead != 0
    kind, payload = REQUESTS[request](dead)
    client.run(client.session.send(kind, payload, STATUS_RESET))
    answer = client.receive()
    ended = [value == b"\0\x08" + dead.to_bytes(8, "little") for kind, value, _ in answer.env if kind == ENDED]
    client.session.transaction = client.session.transaction if BEGAN in answer.env_kinds() else 0
    after = client.ask("SELECT @@TRANCOUNT, (SELECT COUNT(*) FROM dbo.n)")
    return (sorted(answer.env_kinds()), ended, [m.number for m in answer.infos], [e.number for e in answer.errors], answer.rows,
            [e.number for e in after.errors], after.rows)


def scene(t, where):
    """(what a client connects to, the server)"""
    server = t.sqlserver(args=["--database", "other_db"])
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.n (n int)")
    server.wait_connections(0)
    if where == "direct":
        return server, server
    mode, _, other = where.partition(", ")
    return pooled(t, server, 1, {"defer_begin": True}, pool_mode=mode), server


@timeout(120)
@cases(where=["session", "transaction"])
def test_it_is_told_that_it_has_ended(t, where):
    target, server = scene(t, where)
    for begins, begin in BEGINNINGS.items():
        for request in REQUESTS:
            with t.client(target) as client:
                client.query("SET DATEFIRST 3")
                begin(client)
                got = seen(client, request)
                begun = request == "begin"
                assert got == (sorted([RESET, ENDED] + [BEGAN] * begun), [True], [ENDED_ELSEWHERE], [],
                               [] if begun else [[0]], [], [[int(begun), 0]]), (begins, request, got)
    wait_free(target, "all are gone")


@timeout(60)
@cases(where=["direct", "session", "transaction"])
def test_where_the_server_is_not_where_the_client_began(t, where):
    """The proxy takes it there itself: another client's login had another database."""
    target, server = scene(t, where)
    for database in (DATABASE, "other_db"):  # both logins are known then, and the connection is that of the last
        with t.client(target, database=database) as first:
            first.query("SELECT 1")
        if where != "direct":
            wait_until(lambda: target.metric("proxy_connections_idle", bucket_id="b1") == 1, 10, "it idles")
    with t.client(target) as client:
        for _ in range(3):
            client.query("BEGIN TRAN; INSERT INTO dbo.n VALUES (1)")
            got = seen(client, "batch")
            assert got == ([ENDED, RESET], [True], [ENDED_ELSEWHERE], [], [[0]], [], [[0, 0]]), got
            assert client.scalar("SELECT DB_NAME()") == DATABASE


@timeout(60)
def test_where_no_reset_takes_the_rest_back(t):
    """In transaction mode the request goes to another server connection then."""
    target, server = scene(t, "transaction")
    with t.client(target) as client:
        client.query("EXECUTE AS USER = 'guest'")
        client.query("BEGIN TRAN; SELECT 1")
        got = seen(client, "batch")
        assert got == ([ENDED, RESET], [True], [ENDED_ELSEWHERE], [], [[0]], [], [[0, 0]]), got


@timeout(60)
@cases(where=["session", "transaction"])
def test_one_that_ended_otherwise_is_not_forgiven(t, where):
    """A descriptor that no reset has ended: 3971, as at the server."""
    target, server = scene(t, where)
    with t.client(target) as client:
        client.query("BEGIN TRAN; INSERT INTO dbo.n VALUES (1)")
        dead = client.session.transaction
        client.query("ROLLBACK")
        client.run(client.session.send(PACKET_BATCH, batch_payload("SELECT 1", dead), STATUS_RESET))
        assert [e.number for e in client.receive().errors] == [3971]
        client.session.transaction = 0
        assert client.scalar("SELECT 7") == 7
