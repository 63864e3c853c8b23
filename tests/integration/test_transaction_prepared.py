"""Transaction mode: prepared statements belong to the client, not to a server connection.

DESIGN.md section 4, "Prepared statements do not pin".
"""

from harness import *
from harness.tds import *
from pooled import *
from test_standin_protocol import numbers

FIRST_HANDLE = 0x20000001
PREPARE, EXECUTE, PREPEXEC, UNPREPARE = 11, 12, 13, 15
NAMES = {"number": lambda n: n,
         "name": {11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare"}.get,
         "name with schema": {11: "sys.sp_prepare", 12: "SYS.SP_EXECUTE", 13: "[sys].[sp_prepexec]", 15: "master..sp_unprepare"}.get}


def scene(t, server_is, connections=1, bucket=None):
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, connections, bucket)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("SELECT 1"), other.query("SELECT 1")
    wait_free(proxy, "before")
    return server, proxy, client, other, t.client(server, **keys)


def small(answer):
    """Of several RETURNVALUEs of prepexec: the handle's, which comes first."""
    return answer.return_values[0][2]


def prepare(client, text="SELECT @n + 1 AS n", declaration="@n int", by=NAMES["number"]):
    answer = client.rpc(by(PREPARE), handle_parameter(), declaration, text)
    assert not answer.errors and len(answer.return_values) == 1, (numbers(answer), answer.return_values)
    return answer.return_values[0][2]


def move(other):
    """Another client uses the connection, and leaves it in another state."""
    other.query("SET DATEFIRST 2; EXEC('SELECT 1 AS n')")


def facts(answer, handle=None):
    """An answer without the number of its handle."""
    values = [(o, n, "handle" if v == handle else v) for o, n, v in answer.return_values]
    return {**outcome(answer), "values": values, "status": answer.return_status,
            "order": [token for token in answer.tokens if token != 0xD1]}


@timeout(60)
@cases(status=[STATUS_RESET, STATUS_RESET_SKIP_TRAN], server_is=["announcing", "silent"])
def test_a_reset_ends_them_at_the_server(t, status, server_is):
    """A client resets its session on a connection whose own login was to another database, which takes a batch of the proxy's own.
    The server counts its handles from 1 again: what had number 1 before must not be taken for what has it now."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client = t.client(proxy, **keys)
    t.client(proxy, **{**keys, "database": OTHER}).query("SELECT 1")  # the only connection is of this login now
    for n in range(3):
        before = prepare(client, "SELECT @n + 1 AS n")
        assert client.rpc(EXECUTE, before, n).rows == [[n + 1]]
        client.query("BEGIN TRAN")  # it has the connection now
        assert reset(client, "SELECT @@TRANCOUNT", status).rows == [[0 if status == STATUS_RESET else 1]]
        client.query("COMMIT") if status == STATUS_RESET_SKIP_TRAN else None
        assert numbers(client.rpc(EXECUTE, before, n)) == [8179]
        other, again = prepare(client, "SELECT @n - 1 AS n"), prepare(client, "SELECT @n + 1 AS n")
        assert client.query(f"EXEC sp_execute {other}, {n}").rows == [[n - 1]]
        assert client.rpc(EXECUTE, other, n).rows == [[n - 1]] and client.rpc(EXECUTE, again, n).rows == [[n + 1]]
        reset(client)


@timeout(60)
@cases(server_is=SERVERS, by=list(NAMES))
def test_executed_wherever_the_client_is(t, server_is, by):
    """On the connection that prepared it, on another, on one that was reset: same answer, and nothing is pinned."""
    server, proxy, client, other, direct = scene(t, server_is)
    name = NAMES[by]
    handles = {one: prepare(one, by=name) for one in (client, direct)}
    for round_ in range(4):
        answers = [facts(one.rpc(name(EXECUTE), handles[one], round_), handles[one]) for one in (client, direct)]
        assert answers[0] == answers[1], f"round {round_}: {answers[0]} instead of {answers[1]}"
        if round_ > 0:
            move(other)
        if round_ == 2:
            server.kill_session(server.sessions()[0]["spid"]) if MODE == "transaction" else None
            direct = t.client(server)
            handles[direct] = prepare(direct, by=name)
    wait_free(proxy, "prepared statements pin nothing")
    for one in (client, direct):
        assert not one.rpc(name(UNPREPARE), handles[one]).errors
        assert numbers(one.rpc(name(EXECUTE), handles[one], 1)) == [8179]
    assert "cursor" not in pins_so_far(proxy) and "handle" not in pins_so_far(proxy)


@timeout(60)
@cases(server_is=SERVERS)
def test_handles_are_the_proxys_own(t, server_is):
    """Numbered from 0x20000001 in each session, so that they are never taken for a server's."""
    _, proxy, client, other, _ = scene(t, server_is)
    mine = [prepare(client, f"SELECT {n} AS n", "") for n in range(3)]
    theirs = [prepare(other, f"SELECT {10 + n} AS n", "") for n in range(3)]
    if MODE == "transaction":
        assert mine == [FIRST_HANDLE, FIRST_HANDLE + 1, FIRST_HANDLE + 2] == theirs, (mine, theirs)
    for n in range(3):
        assert client.rpc(EXECUTE, mine[n]).rows == [[n]] and other.rpc(EXECUTE, theirs[n]).rows == [[10 + n]]


@timeout(60)
@cases(server_is=SERVERS, how=["number", "name", "text", "unprepare"])
def test_a_handle_that_the_session_was_not_given(t, server_is, how):
    """8179 by the proxy, and never forwarded: on a server connection the number may be another client's statement."""
    server, proxy, client, other, direct = scene(t, server_is)
    handle = prepare(other, "INSERT INTO dbo.never VALUES (1)", "")
    wait_free(proxy, "prepared")
    before = server.stats()["requests_total"]
    for number in (1, 2, handle, FIRST_HANDLE, 0x7FFFFFFF, 0, -1):
        def ask(one):
            if how == "text":
                return one.ask(f"EXEC sp_execute {number}, 1")
            return one.rpc({"number": EXECUTE, "name": "sp_execute", "unprepare": UNPREPARE}[how], number)
        seen, expected = ask(client), ask(direct)
        assert numbers(seen) == [8179] and outcome(seen) == outcome(expected), f"{number}: {outcome(seen)}\n{outcome(expected)}"
    if how == "text":  # the server answers it, and has nothing prepared there meanwhile
        wait_pinned(proxy, "handle", "it might have prepared something")
    elif MODE == "transaction":
        assert server.stats()["requests_total"] == before + 7, "those of the direct client alone"
        wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_prepexec(t, server_is):
    """Values, output parameters and the handle come with the first execution; later ones elsewhere look the same."""
    server, proxy, client, other, direct = scene(t, server_is)
    declaration, text = "@a nvarchar(20), @o nvarchar(20) OUTPUT", "SET @o = @a + N'!'; SELECT @a AS a"
    seen = {}
    for one in (client, direct):
        first = one.rpc(PREPEXEC, handle_parameter(), declaration, text, "hey", Parameter("", "", True))
        handle = min(first.return_values)[2]
        answers = [facts(first, handle)]
        for n in range(3):
            if one is client:
                move(other)
            answers.append(facts(one.rpc(EXECUTE, handle, f"you {n}", Parameter("", "", True))))
        assert [v for _, _, v in answers[3]["values"]] == ["you 2!"], answers[3]
        seen[one] = answers
    assert seen[client] == seen[direct], f"{seen[client]}\ninstead of\n{seen[direct]}"
    wait_free(proxy, "in the end")


@timeout(60)
def test_prepexec_that_replaces_a_handle(t):
    server, proxy, client, other, direct = scene(t, "announcing")
    for one in (client, direct):
        old = prepare(one)
        answer = one.rpc(PREPEXEC, handle_parameter(old), "", "SELECT 'new' AS t")
        new = answer.return_values[0][2]
        move(other)
        assert answer.rows == [["new"]] and new != old and one.rpc(EXECUTE, new).rows == [["new"]]
        assert numbers(one.rpc(EXECUTE, old, 1)) == [8179]


@timeout(60)
@cases(server_is=SERVERS)
def test_several_calls_in_a_message(t, server_is):
    """Each execution in it is rewritten where it must be, and answered in its place."""
    server, proxy, client, other, direct = scene(t, server_is)
    separator = b"\x80" if client.session.tds < TDS72 else b"\xff"
    seen = {}
    for one in (client, direct):
        handles = [prepare(one), prepare(one, "SELECT @n * 10 AS n")]
        move(other)
        calls = [rpc_payload(EXECUTE, [handles[0], 1], tds=TDS71), rpc_payload(10, ["SELECT 'middle' AS t"], tds=TDS71),
                 rpc_payload(EXECUTE, [handles[1], 2], tds=TDS71), rpc_payload("sp_execute", [handles[0], 3], tds=TDS71),
                 rpc_payload(PREPEXEC, [handle_parameter(), "", "SELECT 'last' AS t"], tds=TDS71)]
        one.run(one.session.send(PACKET_RPC, all_headers(0, one.session.tds) + separator.join(calls)))
        answer = one.receive()
        assert answer.rows == [[2], ["middle"], [20], [4], ["last"]], answer.rows
        assert one.rpc(EXECUTE, answer.return_values[-1][2]).rows == [["last"]]
        seen[one] = facts(answer, answer.return_values[-1][2])
    assert seen[client] == seen[direct], f"{seen[client]}\ninstead of\n{seen[direct]}"
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_a_statement_is_prepared_once_on_each_connection(t, server_is):
    """Executed again where it was prepared anew it has a real handle from then on."""
    server, proxy, client, other, _ = scene(t, server_is, 2)
    handle = prepare(client)
    client.send("WAITFOR DELAY '00:00:00.200'"), other.query("SELECT 1"), client.receive()
    for n in range(10):
        assert client.rpc(EXECUTE, handle, n).rows == [[n + 1]]
    handles = [server.state(s["spid"])["prepared handles"] for s in server.sessions() if s["library"]]
    assert all(len(h.split(",")) <= 1 for h in handles), handles
    wait_free(proxy, "in the end")


@timeout(60)
def test_max_prepared_per_connection(t):
    """The server connection keeps no more than so many; the client's handles all live."""
    server, proxy, client, other, _ = scene(t, "announcing", bucket={"max_prepared_per_connection": 4})
    handles = [prepare(client, f"SELECT @n + {n} AS n") for n in range(12)]
    for _ in range(2):
        for n, handle in enumerate(handles):
            assert client.rpc(EXECUTE, handle, 100).rows == [[100 + n]]
    wait_free(proxy, "in the end")
    if MODE == "transaction":
        kept = [server.state(s["spid"])["prepared handles"] for s in server.sessions() if s["requests"] > 12]
        assert all(len([h for h in one.split(",") if h]) <= 5 for one in kept), kept


@timeout(60)
@cases(server_is=SERVERS, how=["bit", "name"])
def test_a_clients_reset_takes_its_handles(t, server_is, how):
    """And nobody else's."""
    server, proxy, client, other, _ = scene(t, server_is)
    mine, theirs = prepare(client), prepare(other, "SELECT @n + 100 AS n")
    if how == "bit":
        reset(client)
    else:
        assert not client.rpc("sp_reset_connection").errors
    assert numbers(client.rpc(EXECUTE, mine, 1)) == [8179]
    assert other.rpc(EXECUTE, theirs, 1).rows == [[101]]
    again = prepare(client)
    assert client.rpc(EXECUTE, again, 1).rows == [[2]] and other.rpc(EXECUTE, theirs, 2).rows == [[102]]
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_what_cannot_be_prepared(t, server_is):
    """The server's own errors, no handle, nothing held; and again when it is executed elsewhere after its table is gone."""
    server, proxy, client, other, direct = scene(t, server_is)
    seen = {}
    for one, name in ((client, "a"), (direct, "b")):
        answers = [facts(one.rpc(PREPARE, handle_parameter(), "", "SELEC 1 FROM")),
                   facts(one.rpc(PREPEXEC, handle_parameter(), "", "SELECT n FROM dbo.nowhere"))]
        one.query("CREATE TABLE dbo.here (n int)")
        handle = prepare(one, "SELECT n FROM dbo.here", "")
        one.query("DROP TABLE dbo.here")
        if one is client:
            move(other)
        answers.append(numbers(one.rpc(EXECUTE, handle))[0])
        one.query("CREATE TABLE dbo.here (n int); INSERT INTO dbo.here VALUES (3)")
        assert one.rpc(EXECUTE, handle).rows == [[3]], "the handle is alive"
        one.query("DROP TABLE dbo.here")
        seen[one] = answers
    assert seen[client] == seen[direct], f"{seen[client]}\ninstead of\n{seen[direct]}"
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_prepared_in_a_transaction(t, server_is):
    server, proxy, client, other, _ = scene(t, server_is)
    client.query("CREATE TABLE dbo.kept (n int)")
    handle = prepare(client, "INSERT INTO dbo.kept VALUES (@n); SELECT @@TRANCOUNT AS t")
    move(other)
    client.query("BEGIN TRAN")
    assert client.rpc(EXECUTE, handle, 1).rows == [[1]]
    wait_pinned(proxy, "transaction", "begun")
    assert client.rpc(EXECUTE, handle, 2).rows == [[1]]
    client.query("ROLLBACK")
    wait_free(proxy, "rolled back")
    move(other)
    assert client.rpc(EXECUTE, handle, 3).rows == [[0]]
    assert other.query("SELECT n FROM dbo.kept").rows == [[3]]


@timeout(60)
def test_options_of_when_it_was_prepared(t):
    """QUOTED_IDENTIFIER and ANSI_NULLS are those of the moment when it is prepared, wherever that is done again."""
    server, proxy, client, other, direct = scene(t, "announcing")
    for one in (client, direct):
        one.query("SET QUOTED_IDENTIFIER OFF")
        handle = prepare(one, 'SELECT "text" AS t', "")
        one.query("SET QUOTED_IDENTIFIER ON")
        here = outcome(one.rpc(EXECUTE, handle))
        if one is client:
            move(other)
            client_answers = here, outcome(one.rpc(EXECUTE, handle))
        else:
            direct_answers = here, outcome(one.rpc(EXECUTE, handle))
            assert client_answers == direct_answers, f"{client_answers}\ninstead of\n{direct_answers}"


@timeout(60)
@cases(server_is=SERVERS)
def test_a_statement_stays_in_the_database_where_it_was_prepared(t, server_is):
    """And its session where it is: in a transaction, outside of it, and wherever it has to be prepared again."""
    server, proxy, client, other, direct = scene(t, server_is)
    seen = {}
    for one in (client, direct):
        handle = prepare(one, "SELECT DB_NAME() AS here, @n AS n")
        one.query(f"USE {OTHER}")
        answers = [one.rpc(EXECUTE, handle, 1).rows, one.query("SELECT DB_NAME() AS here, @@ROWCOUNT AS r").rows]
        if one is client:
            move(other)
        answers += [one.rpc(EXECUTE, handle, 2).rows, one.query("SELECT @@ROWCOUNT AS r, DB_NAME() AS here").rows]
        if one is client:
            move(other)
        one.query("BEGIN TRAN")
        answers += [one.rpc(EXECUTE, handle, 3).rows, one.query("SELECT @@ROWCOUNT AS r, DB_NAME() AS here").rows]
        answers += [one.rpc(EXECUTE, handle, 4).rows, one.query("SELECT @@TRANCOUNT AS t, DB_NAME() AS here").rows]
        one.query("ROLLBACK")
        seen[one] = answers
    assert seen[client] == seen[direct], f"{seen[client]}\ninstead of\n{seen[direct]}"
    wait_free(proxy, "in the end")
    assert other.query("SELECT DB_NAME() AS here").rows == [["tenant_db"]]


@timeout(90)
@cases(server_is=SERVERS, calls=[1, 3])
def test_calls_longer_than_what_is_held_back(t, server_is, calls):
    """Requests of 200 KB and more pass while they come: the handle in each call is another one on its way."""
    server, proxy, client, other, direct = scene(t, server_is)
    separator = b"\x80" if client.session.tds < TDS72 else b"\xff"
    kind = "ntext" if client.session.tds < TDS72 else "nvarchar(max)"
    for one in (client, direct):
        handles = [prepare(one, "SELECT DATALENGTH(@v) AS n", f"@v {kind}"), prepare(one, "SELECT @v AS v", f"@v {kind}")]
        for round_ in range(3):
            if one is client and round_ > 0:
                move(other)
            texts = ["x" * 100_000, "y" * 70_000, "z" * 120_000][:calls]
            payload = [rpc_payload(EXECUTE, [Parameter(handles[n % 2]), Parameter(raw=long_text(text, client.session.tds))],
                                   tds=TDS71) for n, text in enumerate(texts)]
            one.run(one.session.send(PACKET_RPC, all_headers(0, one.session.tds) + separator.join(payload)))
            answer = one.receive()
            assert not answer.errors, numbers(answer)
            assert answer.rows == [[text if n % 2 else 2 * len(text)] for n, text in enumerate(texts)]
    wait_free(proxy, "in the end")


def long_text(text, version):
    """TYPE_INFO and value of a text parameter without a limit."""
    data, collation = text.encode("utf-16-le"), bytes.fromhex("0904d00034")
    if version < TDS72:
        return b"\x63" + (0x7ffffffe).to_bytes(4, "little") + collation + len(data).to_bytes(4, "little") + data
    chunks = [data[at:at + 30_000] for at in range(0, len(data), 30_000)]
    return b"\xe7\xff\xff" + collation + len(data).to_bytes(8, "little") + b"".join(
        len(c).to_bytes(4, "little") + c for c in chunks) + bytes(4)


@timeout(60)
def test_a_statement_too_long_to_be_kept_keeps_its_connection(t):
    server, proxy, client, other, _ = scene(t, "announcing", 2)
    handle = client.rpc(PREPARE, handle_parameter(), "@n int", "SELECT @n AS n --" + "x" * 50_000).return_values[0][2]
    assert handle < FIRST_HANDLE if MODE == "transaction" else True
    wait_pinned(proxy, "handle", "it cannot be prepared elsewhere")
    assert client.rpc(EXECUTE, handle, 4).rows == [[4]]
    assert numbers(client.rpc(EXECUTE, handle + 1, 4)) == [8179] or MODE != "transaction"
    assert not client.rpc(UNPREPARE, handle).errors
    wait_free(proxy, "given up")


@timeout(60)
@cases(server_is=SERVERS)
def test_text_that_names_handles_finds_none_of_others(t, server_is):
    """sp_execute in text, by a number that another session's statement has on this very connection."""
    server, proxy, client, other, direct = scene(t, server_is)
    direct.query("CREATE TABLE dbo.never (n int)")
    prepare(other, "INSERT INTO dbo.never VALUES (1)", "")
    client.query("CREATE TABLE #mine (n int)")
    for text in ("EXEC sp_execute 1", "DECLARE @h int = 1; EXEC sp_execute @h", "EXEC('EXEC sp_execute 1')",
                 "EXEC sp_executesql N'EXEC sp_execute 1'", "EXEC sp_execute 1 --" + "x" * 70_000):
        assert numbers(client.ask(text)) == [8179], text[:60]
    assert direct.scalar("SELECT COUNT(*) FROM dbo.never") == 0
    client.close()
    assert not other.rpc(PREPEXEC, handle_parameter(), "", "SELECT 1 AS n").errors
    wait_free(proxy, "in the end")


@timeout(60)
def test_statements_are_shared_on_a_connection(t):
    """Two sessions that prepare the same text use one handle of the server's, until each has given up its own."""
    server, proxy, client, other, _ = scene(t, "announcing")
    mine, theirs = prepare(client), prepare(other)
    for n in range(3):
        assert client.rpc(EXECUTE, mine, n).rows == other.rpc(EXECUTE, theirs, n).rows == [[n + 1]]
    assert not client.rpc(UNPREPARE, mine).errors
    assert numbers(client.rpc(EXECUTE, mine, 1)) == [8179]
    assert other.rpc(EXECUTE, theirs, 5).rows == [[6]]
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=["announcing", "silent"])
def test_last_values_behind_an_execution(t, server_is):
    """@@ROWCOUNT, @@IDENTITY, SCOPE_IDENTITY() of the session's own, whoever used the connection meanwhile."""
    server, proxy, client, other, direct = scene(t, server_is)
    direct.query("CREATE TABLE dbo.ids (id int IDENTITY(100, 1), n int); CREATE TABLE dbo.others (id int IDENTITY, n int)")
    insert = prepare(client, "INSERT INTO dbo.ids VALUES (@n), (@n)")
    ask = prepare(client, "SELECT CAST(@@IDENTITY AS int) AS i", "")
    for n in range(4):
        client.rpc(EXECUTE, insert, n).raise_error()
        other.query("INSERT INTO dbo.others VALUES (1)")
        if n % 2:
            move(other)
        expected = 101 + 2 * n
        assert client.rpc(EXECUTE, ask).rows == [[expected]], f"round {n}"
        other.query("INSERT INTO dbo.others VALUES (1)")
        assert client.query("SELECT CAST(@@IDENTITY AS int) AS i").rows == [[expected]], f"round {n}, in text"
    wait_free(proxy, "in the end")


@timeout(60)
def test_what_cannot_be_prepared_where_it_belongs_runs_nowhere(t):
    """Its database is gone: an error, and not the table of that name where the session is."""
    server, proxy, client, other, direct = scene(t, "announcing")
    direct.query("CREATE TABLE dbo.here (n int); INSERT INTO dbo.here VALUES (1)")
    client.query(f"USE {OTHER}; CREATE TABLE dbo.here (n int); INSERT INTO dbo.here VALUES (2)")
    handle = prepare(client, "SELECT n FROM dbo.here", "")
    client.query("USE tenant_db")
    move(other)
    assert client.rpc(EXECUTE, handle).rows == [[2]]
    move(other)
    direct.query(f"DROP DATABASE {OTHER}")
    answer = client.rpc(EXECUTE, handle)
    assert answer.errors and not answer.rows, answer.rows
    assert client.query("SELECT n FROM dbo.here").rows == [[1]], "the session lives on where it is"
    wait_free(proxy, "in the end")
