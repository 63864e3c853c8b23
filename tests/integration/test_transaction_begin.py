"""Transaction mode: a BEGIN TRAN alone in its message holds no server connection until something has to run in it.

DESIGN.md section 4, "A lone BEGIN TRAN does not pin". Drivers with autocommit off send it right after login and commit.
"""

from harness import *
from harness.tds import *
from pooled import *
from test_standin_protocol import ENV_BEGIN, ENV_COMMIT, ENV_ROLLBACK, numbers

COUNT = "SELECT @@TRANCOUNT AS t, XACT_STATE() AS x"
IN = "INSERT INTO dbo.kept VALUES (1)"
LONE = ["BEGIN TRAN", "BEGIN TRANSACTION", "begin transaction;", "/* a */ BEGIN -- b\r\n TRAN", "BEGIN TRAN named",
        "BEGIN TRAN [a name]"]


def scene(t, server_is, connections=1, bucket=None):
    """Two clients of the proxy, and one of another server of the same kind, to compare with."""
    server, keys = server_and_clients(t, server_is)
    another, _ = server_and_clients(t, server_is)
    for one in (server, another):
        with t.client(one) as client:
            client.query("CREATE TABLE dbo.kept (n int)")
    proxy = pooled(t, server, connections, {"defer_begin": True, **(bucket or {})})
    client, other, direct = t.client(proxy, **keys), t.client(proxy, **keys), t.client(another, **keys)
    client.query("SELECT 1"), other.query("SELECT 1")
    wait_free(proxy, "before")
    return server, proxy, client, other, direct


def requests(server):
    return server.stats()["requests_total"]


def same(client, direct, text):
    answers = [outcome(one.ask(text)) for one in (client, direct)]
    assert answers[0] == answers[1], f"{text}: {answers[0]} instead of {answers[1]}"


@timeout(60)
@cases(text=LONE)
def test_a_lone_begin_is_answered_by_the_proxy(t, text):
    """As that server would: ENVCHANGE 8 with a descriptor where it announces, then DONE. Nothing is sent and nothing held."""
    answered_by_the_proxy(t, "announcing", text)


@timeout(60)
@cases(server_is=ELSEWHERE)
def test_a_lone_begin_is_answered_by_the_proxy_elsewhere(t, server_is):
    answered_by_the_proxy(t, server_is, LONE[0])


def answered_by_the_proxy(t, server_is, text):
    server, proxy, client, other, direct = scene(t, server_is)
    before = requests(server)
    answer, alone = client.ask(text), direct.ask(text)
    assert outcome(answer) == outcome(alone) and answer.env_kinds() == alone.env_kinds(), (answer.env, alone.env)
    if server_is == "announcing":
        assert answer.env_kinds() == [ENV_BEGIN] and client.session.transaction != 0
    wait_free(proxy, "a lone BEGIN holds nothing")
    if MODE == "transaction":
        assert requests(server) == before
    for _ in range(3):
        assert other.query(COUNT).rows == [[0, 0]]
    same(client, direct, COUNT)
    wait_pinned(proxy, "transaction", "it was sent with the first request")
    same(client, direct, f"{IN}; {COUNT}")
    same(client, direct, "ROLLBACK")
    wait_free(proxy, "in the end")
    assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 0


@timeout(60)
@cases(server_is=SERVERS)
def test_nested_and_ended_without_the_server(t, server_is):
    """A second lone BEGIN, a COMMIT or an unnamed ROLLBACK adjusts the count."""
    server, proxy, client, other, direct = scene(t, server_is)
    before = requests(server)
    texts = ["BEGIN TRAN", "BEGIN TRAN", "COMMIT", "COMMIT TRAN", "BEGIN TRAN", "BEGIN TRAN", "ROLLBACK", "BEGIN TRANSACTION",
             "COMMIT TRANSACTION", "BEGIN TRAN", "rollback tran"]
    for text in texts:
        answer, alone = client.ask(text), direct.ask(text)
        assert outcome(answer) == outcome(alone) and answer.env_kinds() == alone.env_kinds(), text
        wait_free(proxy, f"after {text}")
    if MODE == "transaction":
        assert requests(server) == before
    for text in ("BEGIN TRAN", "BEGIN TRAN", "COMMIT", COUNT, "COMMIT", COUNT):
        same(client, direct, text)
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_too_many_ends(t, server_is):
    """3902 and 3903 come from the server."""
    _, proxy, client, _, direct = scene(t, server_is)
    for text in ("COMMIT", "ROLLBACK", "BEGIN TRAN", "COMMIT", "COMMIT", "BEGIN TRAN", "BEGIN TRAN", "ROLLBACK", "ROLLBACK",
                 "BEGIN TRAN", "ROLLBACK TRAN nobody", COUNT, "ROLLBACK"):
        same(client, direct, text)
    wait_free(proxy, "in the end")


NOT_ALONE = {"with mark": "BEGIN TRAN named WITH MARK 'here'", "with more": f"BEGIN TRAN; {COUNT}",
             "count first": f"{COUNT}; BEGIN TRAN", "in control flow": "IF 1 = 1 BEGIN TRAN",
             "a block": "BEGIN SELECT 1 AS n END", "name from a variable": "DECLARE @n varchar(9) = 'x'; BEGIN TRAN @n",
             "in dynamic text": "EXEC('BEGIN TRAN')"}


@timeout(60)
@cases(what=list(NOT_ALONE))
def test_not_a_lone_begin(t, what):
    """It runs at once."""
    server, proxy, client, _, direct = scene(t, "announcing")
    before = requests(server)
    same(client, direct, NOT_ALONE[what])
    assert requests(server) > before
    same(client, direct, COUNT)
    same(client, direct, "IF @@TRANCOUNT > 0 ROLLBACK")
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=["announcing"])
def test_a_begin_by_the_transaction_manager(t, server_is):
    """The same; its isolation level counts although nothing ran in it."""
    server, proxy, client, other, direct = scene(t, server_is)
    before = requests(server)
    for one in (client, direct):
        answer = one.tran(TRAN_BEGIN, isolation=4)
        assert answer.env_kinds() == [ENV_BEGIN] and not answer.errors and one.session.transaction != 0
    wait_free(proxy, "nothing is held")
    if MODE == "transaction":
        assert requests(server) == before
    assert [one.query(COUNT).rows for one in (client, direct)] == [[[1, 1]]] * 2
    assert [level(one) for one in (client, direct)] == ["serializable"] * 2
    wait_pinned(proxy, "transaction", "something ran in it")
    for one in (client, direct):
        answer = one.tran(TRAN_COMMIT)
        assert answer.env_kinds() == [ENV_COMMIT] and not answer.errors, (answer.env, numbers(answer))
    wait_free(proxy, "committed")
    assert level(client) == "serializable" and level(other) == "read committed"
    for one in (client, direct):
        assert one.tran(TRAN_BEGIN, isolation=1).env_kinds() == [ENV_BEGIN]
        assert one.tran(TRAN_ROLLBACK).env_kinds() == [ENV_ROLLBACK]
    assert [level(one) for one in (client, direct)] == ["read uncommitted"] * 2


@timeout(60)
@cases(server_is=["announcing"], isolation=[0, 4])
def test_commit_and_begin_is_split(t, server_is, isolation):
    """python-tds commits and begins the next in one request (flag 1): the server commits, the begin waits."""
    server, proxy, client, other, direct = scene(t, server_is)
    for one in (client, direct):
        one.tran(TRAN_BEGIN)
    for n in range(3):
        for one in (client, direct):
            one.query(IN)
            answer = one.tran(TRAN_COMMIT, begin_next=True, isolation=isolation)
            assert answer.env_kinds() == [ENV_COMMIT, ENV_BEGIN] and not answer.errors, (answer.env, numbers(answer))
            assert one.session.transaction != 0
        wait_free(proxy, "committed, and the next has not begun")
        assert other.query("SELECT COUNT(*), @@TRANCOUNT FROM dbo.kept").rows == [[n + 1, 0]]
    assert [one.query(COUNT).rows for one in (client, direct)] == [[[1, 1]]] * 2
    assert level(client) == level(direct) == ("serializable" if isolation else "read committed")
    for one in (client, direct):
        assert one.tran(TRAN_ROLLBACK, begin_next=True).env_kinds() == [ENV_ROLLBACK, ENV_BEGIN]
    wait_free(proxy, "rolled back, and the next has not begun")
    for one in (client, direct):
        assert one.tran(TRAN_COMMIT).env_kinds() == [ENV_COMMIT]
    assert [one.query(COUNT).rows for one in (client, direct)] == [[[0, 0]]] * 2
    wait_free(proxy, "in the end")


@timeout(60)
@cases(begun=[*SERVERS, "by the transaction manager"], name=["sys.sp_datatype_info_100", "[sys].[sp_datatype_info]"])
def test_what_types_there_are_may_be_asked_outside(t, begun, name):
    """Microsoft's ODBC driver asks as soon as it has logged in, with autocommit off behind its first BEGIN, and then sits idle."""
    manager = begun not in SERVERS
    _, proxy, client, other, direct = scene(t, "announcing" if manager else begun)
    seen = {}
    for one in (client, direct):
        one.tran(TRAN_BEGIN) if manager else one.query("BEGIN TRAN")
        answers = [outcome(one.rpc(name, number)) for number in (12, 93)]
        if one is client:
            wait_free(proxy, "nothing has been begun for it")
        answers += [one.query(COUNT).rows, outcome(one.rpc(name, 12)), one.query(COUNT).rows]
        if one is client:
            wait_pinned(proxy, "transaction", "it has begun")
        one.query("ROLLBACK")
        seen[one] = answers
    assert seen[client] == seen[direct], f"{seen[client]}\ninstead of\n{seen[direct]}"
    wait_free(proxy, "in the end")


VALUES = "SELECT @@ROWCOUNT AS r, @@ERROR AS e, @@IDENTITY AS i, SCOPE_IDENTITY() AS s, @@TRANCOUNT AS t"


@timeout(60)
@cases(kind=[TRAN_COMMIT, TRAN_ROLLBACK], isolation=[0, 4], moved=[False, True])
def test_the_next_transaction_of_one_that_may_be_nested(t, kind, isolation, moved):
    """As Microsoft's ODBC driver, whose first request is a procedure of its own: it goes to the server as it is, which says that
    the outermost has ended; the next one is rolled back there and waits in the proxy."""
    _, proxy, client, other, direct = scene(t, "announcing")
    for one in (client, direct):
        one.query("CREATE TABLE dbo.rows (i int IDENTITY(5, 1), n int); ")
        one.query("CREATE PROCEDURE dbo.put @n int AS INSERT INTO dbo.rows VALUES (@n)")
    seen = {}
    for one in (client, direct):
        answers = []
        one.tran(TRAN_BEGIN)
        for n in range(3):
            assert not one.rpc("dbo.put", n).errors
            answers.append(one.query("INSERT INTO dbo.rows VALUES (-1); SELECT @@TRANCOUNT AS t").rows)
            answer = one.tran(kind, begin_next=True, isolation=isolation)
            answers.append((answer.env_kinds(), numbers(answer)))
            if one is client:
                wait_free(proxy, "the next one waits")
            if one is client and moved:
                other.query("SET DATEFIRST 3; INSERT INTO dbo.kept VALUES (1); EXEC('SELECT 1 AS n')")
            answers += [one.query(VALUES).rows, level(one)]
        answers.append(one.tran(TRAN_COMMIT).env_kinds())
        answers.append(one.query("SELECT COUNT(*) AS n, @@TRANCOUNT AS t FROM dbo.rows").rows)
        seen[one] = answers
    assert seen[client] == seen[direct], f"{seen[client]}\ninstead of\n{seen[direct]}"
    wait_free(proxy, "in the end")


@timeout(60)
@cases(inner=["EXEC('BEGIN TRAN')", "EXEC dbo.begins", "BEGIN TRAN; SELECT 1 AS n"])
def test_the_next_transaction_inside_of_another(t, inner):
    """The commit ends the inner one only, and what was written stays undecided: the session keeps its connection."""
    _, proxy, client, other, direct = scene(t, "announcing")
    seen = {}
    for one in (client, direct):
        one.query("CREATE PROCEDURE dbo.begins AS BEGIN TRAN")
        one.tran(TRAN_BEGIN)
        one.query(IN)
        one.ask(inner)
        answers = [one.tran(TRAN_COMMIT, begin_next=True).env_kinds(), one.query(COUNT).rows]
        if one is client:
            wait_pinned(proxy, "transaction", "the outer one is open")
        one.ask("ROLLBACK")
        answers += [one.query(COUNT).rows, one.query("SELECT n FROM dbo.kept").rows]
        seen[one] = answers
    assert seen[client] == seen[direct], f"{seen[client]}\ninstead of\n{seen[direct]}"
    wait_free(proxy, "in the end")


@timeout(60)
def test_a_client_that_leaves_while_its_next_transaction_is_put_off(t):
    """And one that asks at once: the request runs in the transaction, after it."""
    server, proxy, client, other, _ = scene(t, "announcing")
    for leaves in (False, True):
        client.tran(TRAN_BEGIN)
        client.query(IN)
        client.query("EXEC('SELECT 1 AS n')")
        server.set("delay-request", 300)
        client.tran(TRAN_COMMIT, begin_next=True)
        server.set("delay-request", 0)
        if leaves:
            client.close()
        else:
            assert client.query(COUNT).rows == [[1, 1]]
            assert client.tran(TRAN_ROLLBACK).env_kinds() == [ENV_ROLLBACK]
    assert other.query("SELECT COUNT(*) AS n, @@TRANCOUNT AS t FROM dbo.kept").rows == [[2, 0]]
    wait_free(proxy, "in the end")


@timeout(60)
@cases(isolation=[0, 4])
def test_commit_and_begin_on_a_pinned_session(t, isolation):
    """A temp table keeps the connection: the next transaction begins there with the next request; nested ones count."""
    _, proxy, client, other, direct = scene(t, "announcing")
    seen = {}
    for one in (client, direct):
        one.query("CREATE TABLE #t (n int)")
        one.tran(TRAN_BEGIN)
        one.query("INSERT INTO #t VALUES (1)")
        answers = [one.tran(TRAN_COMMIT, begin_next=True, isolation=isolation).env_kinds(), one.query(COUNT).rows, level(one)]
        one.query("BEGIN TRAN")
        answers += [one.tran(TRAN_COMMIT, begin_next=True).env_kinds(), one.query(COUNT).rows]
        answers += [one.query("WHILE @@TRANCOUNT > 0 ROLLBACK").env_kinds(), one.query("SELECT n FROM #t").rows]
        one.query("DROP TABLE #t")
        seen[one] = answers
    assert seen[client] == seen[direct], f"{seen[client]}\ninstead of\n{seen[direct]}"
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=["announcing", "silent"])
def test_descriptors_are_translated(t, server_is):
    """The client's descriptor is the proxy's own; what it is told at the end names the one that it was given."""
    _, proxy, client, *_ = scene(t, server_is)
    for n in range(3):
        begun = client.tran(TRAN_BEGIN)
        descriptor = begun.env[0][1][1:9]
        assert not client.rpc(10, f"{IN}; {COUNT}").errors
        assert not client.ask(IN).errors, "a wrong descriptor would be refused"
        ended = client.tran(TRAN_ROLLBACK if n == 1 else TRAN_COMMIT)
        kind, raw, _ = ended.env[0]
        assert kind == (ENV_ROLLBACK if n == 1 else ENV_COMMIT) and descriptor in raw, (descriptor.hex(), raw.hex())
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS, request=["rpc", "prepared", "error", "procedure", "long"])
def test_whatever_comes_first_runs_in_it(t, server_is, request):
    _, proxy, client, other, direct = scene(t, server_is)
    for one in (client, direct):
        one.query("CREATE PROCEDURE dbo.p AS INSERT INTO dbo.kept VALUES (1); SELECT @@TRANCOUNT AS t")
        handle = one.rpc(11, handle_parameter(), "", f"{IN}; SELECT @@TRANCOUNT AS t").return_values[0][2]
        one.query("BEGIN TRAN")
        if request == "rpc":
            assert one.rpc(10, f"{IN}; SELECT @@TRANCOUNT AS t").rows == [[1]]
        elif request == "prepared":
            assert one.rpc(12, handle).rows == [[1]]
        elif request == "error":
            assert numbers(one.ask(f"{IN}; SELECT 1/0")) == [8134]
        elif request == "procedure":
            assert one.query("EXEC dbo.p").rows == [[1]]
        else:
            assert one.query(f"{IN}; SELECT @@TRANCOUNT AS t --" + "x" * 50_000).rows == [[1]]
        assert one.query("SELECT @@TRANCOUNT, COUNT(*) FROM dbo.kept").rows == [[1, 1]]
        if one is client:
            wait_pinned(proxy, "transaction", "begun")
        one.query("ROLLBACK")
    wait_free(proxy, "in the end")
    assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 0


@timeout(60)
@cases(server_is=SERVERS)
def test_begin_on_a_session_that_is_attached(t, server_is):
    """Not deferred: the connection is there."""
    _, proxy, client, _, direct = scene(t, server_is)
    for text in ("CREATE TABLE #t (n int)", "BEGIN TRAN", "INSERT INTO #t VALUES (1)", "BEGIN TRAN", COUNT, "COMMIT", COUNT,
                 "COMMIT", "SELECT n FROM #t", "DROP TABLE #t"):
        same(client, direct, text)
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS, how=["closed", "reset by bit", "reset by name"])
def test_a_deferred_begin_that_nobody_uses(t, server_is, how):
    server, proxy, client, other, _ = scene(t, server_is)
    before = requests(server)
    client.query("BEGIN TRAN")
    if how == "closed":
        client.close()
        if MODE == "transaction":
            holds_for(lambda: requests(server) == before, 0.2, "nothing is sent")
        return
    if how == "reset by bit":
        client.session.transaction = 0
        assert reset(client, COUNT).rows == [[0, 0]]
    else:
        assert not client.rpc("sp_reset_connection").errors
        client.session.transaction = 0
        assert client.query(COUNT).rows == [[0, 0]]
    wait_free(proxy, "a reset forgets it")
    assert other.query(COUNT).rows == [[0, 0]]


@timeout(60)
@cases(server_is=["announcing", "silent"])
def test_a_deferred_begin_outlives_a_reset_that_keeps_transactions(t, server_is):
    _, proxy, client, *_ = scene(t, server_is)
    client.tran(TRAN_BEGIN)
    assert reset(client, COUNT, STATUS_RESET_SKIP_TRAN).rows == [[1, 1]]
    wait_pinned(proxy, "transaction", "begun with the request")
    client.tran(TRAN_ROLLBACK)
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_if_it_cannot_be_sent_it_stays_deferred(t, server_is):
    """The request gets the error (here: the queue is full of time), and the next one runs in the transaction."""
    _, proxy, client, other, _ = scene(t, server_is, bucket={"queue_timeout": "300ms"})
    other.query(f"BEGIN TRAN; {IN}")
    wait_pinned(proxy, "transaction", "another's")
    client.query("BEGIN TRAN")
    assert numbers(client.ask(COUNT)) == [50004]
    other.query("ROLLBACK")
    wait_free(proxy, "the other's is over")
    assert client.query(COUNT).rows == [[1, 1]]
    client.query("COMMIT")
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_defer_begin_false(t, server_is):
    """Sent at once, and pinned."""
    server, proxy, client, *_ = scene(t, server_is, bucket={"defer_begin": False})
    before = requests(server)
    client.query("BEGIN TRAN")
    wait_pinned(proxy, "transaction", "not deferred")
    assert requests(server) > before
    client.query("COMMIT")
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_twenty_clients_with_autocommit_off_on_two_connections(t, server_is):
    """As pymssql and python-tds: each has begun and sits idle, and all get their turn."""
    server, proxy, *_ = scene(t, server_is, 2)
    keys = {"prelogin": False, "tds_version": TDS71} if server_is == "TDS 7.1" else {}
    clients = [t.client(proxy, **keys) for _ in range(20)]
    for client in clients:
        client.query("BEGIN TRAN")
    wait_free(proxy, "twenty have begun")
    for _ in range(2):
        for client in clients:
            assert client.query("SELECT @@TRANCOUNT").rows == [[1]]
            client.query(IN)
            client.query("COMMIT")
            client.query("BEGIN TRAN")
    wait_free(proxy, "twenty have begun again")
    with t.client(server) as direct:
        assert direct.scalar("SELECT COUNT(*) FROM dbo.kept") == 40
