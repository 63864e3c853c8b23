"""Transaction mode, pins: what keeps a server connection with its client, for which reason, and until when.

DESIGN.md section 4, the table of pins, one case a row. Each case is seen in proxy_connections_pinned and is gone from there.
"""

import dataclasses
import socket

from harness import *
from harness.tds import *
from pooled import *
from test_standin_bulk import INSERT as INSERT_BULK, TABLE, load

IN = "INSERT INTO dbo.kept VALUES (1)"
SETUP = ["CREATE TABLE dbo.kept (n int)", TABLE, "CREATE TABLE dbo.ids (id int IDENTITY, n int)",
         "CREATE PROCEDURE dbo.p_begin AS BEGIN TRAN", "CREATE PROCEDURE dbo.p_plain AS SELECT 1 AS n",
         "CREATE PROCEDURE dbo.p_context AS EXEC sp_set_session_context N'key', N'of a procedure'",
         "CREATE PROCEDURE dbo.p_nested AS EXEC dbo.p_context", "CREATE PROCEDURE dbo.p_text @t nvarchar(200) AS EXEC(@t)"]


@dataclasses.dataclass
class Pin:
    """`do` pins, one request after the other; `stays` leaves it so; `undo`, its last request, releases (empty: only the
    client's reset or the session's end does). A request is a text or a function of the client. `bucket`: keys of the bucket."""
    reason: str
    do: list
    undo: list = dataclasses.field(default_factory=list)
    stays: list = dataclasses.field(default_factory=list)
    modern: bool = False  # not at TDS 7.1
    reset: bool = True    # False: SQL Server refuses a reset of it
    bucket: dict = dataclasses.field(default_factory=dict)


def prepare(client):
    client.handle = client.rpc(11, handle_parameter(), "@n int", "SELECT @n AS n").return_values[0][2]


def output(value):
    return Parameter(value, "", True)


def open_cursor(client, procedure=2):
    client.cursor = client.rpc(procedure, handle_parameter(), "SELECT 1 AS n", output(8), output(1), output(0)).return_values[0][2]


def prepare_cursor(client):
    client.handle = client.rpc(3, handle_parameter(), None, "SELECT 1 AS n", 1, output(8), output(1)).return_values[0][2]


def prepexec_cursor(client):
    """As JDBC with selectMethod=cursor."""
    answer = client.rpc(5, handle_parameter(), handle_parameter(), None, "SELECT 1 AS n", output(8), output(1), output(0))
    (_, _, client.handle), (_, _, client.cursor) = answer.return_values[:2]


def cursor_that_closes_itself(client):
    """All rows come with the open: it says that there is none, and nobody will close it."""
    answer = client.rpc(2, handle_parameter(), "SELECT 1 AS n", output(0x10 | 0x2000 | 0x4000), output(1), output(9))
    assert answer.return_values[0][2] == 0 and len(answer.rows) == 1, vars(answer)


BY_REQUEST = "begun by request, ended in text"  # a silent server would not tell that it ended
TRANSACTIONS = {
    "begin": Pin("transaction", [f"BEGIN TRAN; {IN}"], ["COMMIT"], ["SELECT 1", IN]),
    "begin, rolled back": Pin("transaction", [f"BEGIN TRAN; {IN}"], ["ROLLBACK"]),
    "begin that waits for its first request": Pin("transaction", ["BEGIN TRAN", IN], ["COMMIT TRAN"]),
    "begin behind a statement": Pin("transaction", [f"{IN}; BEGIN TRAN"], ["IF @@TRANCOUNT > 0 COMMIT"]),
    "nested": Pin("transaction", [f"BEGIN TRAN; BEGIN TRAN; {IN}"], ["COMMIT"], ["COMMIT"]),
    "savepoint": Pin("transaction", [f"BEGIN TRAN; {IN}"], ["COMMIT"], ["SAVE TRAN s", IN, "ROLLBACK TRAN s"]),
    "manager": Pin("transaction", [lambda c: c.tran(TRAN_BEGIN), IN], [lambda c: c.tran(TRAN_COMMIT)], modern=True),
    "manager, rolled back": Pin("transaction", [lambda c: c.tran(TRAN_BEGIN), IN], [lambda c: c.tran(TRAN_ROLLBACK)],
                                [lambda c: c.tran(TRAN_SAVE, "s"), lambda c: c.tran(TRAN_ROLLBACK, "s")], modern=True),
    BY_REQUEST: Pin("transaction", [lambda c: c.tran(TRAN_BEGIN), IN], ["COMMIT"], modern=True),
    "begun in text, ended by request": Pin("transaction", [f"BEGIN TRAN; {IN}"], [lambda c: c.tran(TRAN_COMMIT)], modern=True),
    "implicit": Pin("transaction", ["SET IMPLICIT_TRANSACTIONS ON", "SELECT n FROM dbo.kept"], ["COMMIT"], ["SELECT 1"]),
    "implicit by ANSI_DEFAULTS": Pin("transaction", ["SET ANSI_DEFAULTS ON", IN], ["ROLLBACK"]),
    "in control flow": Pin("transaction", [f"IF 1 = 1 BEGIN BEGIN TRAN; {IN} END"], ["WHILE @@TRANCOUNT > 0 COMMIT"]),
    "in dynamic text": Pin("transaction", [lambda c: c.ask("EXEC('BEGIN TRAN')"), IN], ["EXEC('ROLLBACK')"]),
    "by sp_executesql": Pin("transaction", [lambda c: c.rpc(10, f"BEGIN TRAN; {IN}")], ["COMMIT"]),
    "by a procedure": Pin("transaction", [lambda c: c.ask("EXEC dbo.p_begin"), IN], ["COMMIT"]),
    "by a procedure's RPC": Pin("transaction", [lambda c: c.rpc("dbo.p_begin"), IN], ["COMMIT"]),
    "ended by an error": Pin("transaction", ["SET XACT_ABORT ON", f"BEGIN TRAN; {IN}"],
                             [lambda c: c.ask("SELECT CAST('x' AS int)")]),
    "not ended by an error": Pin("transaction", [f"BEGIN TRAN; {IN}"], ["ROLLBACK"], [lambda c: c.ask("SELECT 1/0")]),
    "error and begin": Pin("transaction", [lambda c: c.ask(f"BEGIN TRAN; {IN}; SELECT 1/0 AS n")], ["COMMIT"]),
    "commit and begin": Pin("transaction", [f"BEGIN TRAN; {IN}", f"COMMIT; BEGIN TRAN; {IN}"], ["COMMIT"]),
}
OBJECTS = {
    "temp table": Pin("temp_table", ["CREATE TABLE #t (n int)"], ["DROP TABLE #t"],
                      ["INSERT INTO #t VALUES (1)", "SELECT n FROM #t", "SELECT 'DROP TABLE #t' -- DROP TABLE #t"]),
    "spelt otherwise": Pin("temp_table", ["/* CREATE */ create\r\n table[#t](n int)"], ["drop table \"#t\""]),
    "SELECT INTO": Pin("temp_table", ["SELECT 1 AS n INTO #t"], ["DROP TABLE #t"]),
    "two": Pin("temp_table", ["CREATE TABLE #t (n int); CREATE TABLE #u (n int)"], ["DROP TABLE #u"], ["DROP TABLE #t"]),
    "two dropped at once": Pin("temp_table", ["CREATE TABLE #t (n int)", "CREATE TABLE #u (n int)"], ["DROP TABLE #t, #u"]),
    "global": Pin("temp_table", ["CREATE TABLE ##t (n int)"], ["DROP TABLE ##t"]),
    "procedure": Pin("temp_table", ["CREATE PROCEDURE #p AS SELECT 1"], ["DROP PROCEDURE #p"], ["EXEC #p"]),
    "dropped if there": Pin("temp_table", ["CREATE TABLE #t (n int)"], ["IF OBJECT_ID('tempdb..#t') IS NOT NULL DROP TABLE #t"]),
    "dropped in vain": Pin("temp_table", ["CREATE TABLE #t (n int)"], ["DROP TABLE #t"], [lambda c: c.ask("DROP TABLE #other")]),
    "and an error": Pin("temp_table", [lambda c: c.ask("CREATE TABLE #t (n int); SELECT CAST('x' AS int)")], ["DROP TABLE #t"]),
    "global by RPC": Pin("temp_table", [lambda c: c.rpc(10, "CREATE TABLE ##t (n int)")], ["DROP TABLE ##t"]),
}
STATES = {
    "CONTEXT_INFO": Pin("session_state", ["SET CONTEXT_INFO 0x01"]),
    "session context": Pin("session_state", ["EXEC sp_set_session_context N'key', N'mine'"]),
    "session context by RPC": Pin("session_state", [lambda c: c.rpc("sp_set_session_context", "key", "mine")]),
    "EXECUTE AS": Pin("session_state", ["EXECUTE AS USER = 'guest'"], ["REVERT"], reset=False),
    "lock": Pin("session_state", ["EXEC sp_getapplock 'lock', 'Exclusive', 'Session'"]),
    "lock by RPC": Pin("session_state", [lambda c: c.rpc("sp_getapplock", "lock", "Exclusive", "Session")]),
    "trace flag": Pin("session_state", ["DBCC TRACEON (3604)"], ["DBCC TRACEOFF (3604)"]),
    "IDENTITY_INSERT": Pin("session_state", ["SET IDENTITY_INSERT dbo.ids ON"], ["SET IDENTITY_INSERT dbo.ids OFF"],
                           ["INSERT INTO dbo.ids (id, n) VALUES (7, 1)"]),
    "NOEXEC": Pin("session_state", ["SET NOEXEC ON"], ["SET NOEXEC OFF"], [IN]),
    "PARSEONLY": Pin("session_state", ["SET PARSEONLY ON"], ["SET PARSEONLY OFF"], [IN]),
    "FMTONLY": Pin("session_state", ["SET FMTONLY ON"], ["SET FMTONLY OFF"], ["SELECT n FROM dbo.kept"]),
    "SHOWPLAN_ALL": Pin("session_state", ["SET SHOWPLAN_ALL ON"], ["SET SHOWPLAN_ALL OFF"], ["SELECT n FROM dbo.kept"]),
    "SHOWPLAN_XML": Pin("session_state", ["SET SHOWPLAN_XML ON"], ["SET SHOWPLAN_XML OFF"]),
    "STATISTICS PROFILE": Pin("session_state", ["SET STATISTICS PROFILE ON"], ["SET STATISTICS PROFILE OFF"], ["SELECT 1"]),
    "STATISTICS XML": Pin("session_state", ["SET STATISTICS XML ON"], ["SET STATISTICS XML OFF"]),
    "text not understood": Pin("session_state", [lambda c: c.ask("SELEC 1")]),
    "@@SPID": Pin("session_state", ["DECLARE @s int = @@SPID; SELECT @s"]),
    "procedure": Pin("session_state", ["EXEC dbo.p_context"]),
    "procedure's RPC": Pin("session_state", [lambda c: c.rpc("dbo.p_context")]),
    "procedure in a procedure": Pin("session_state", ["EXEC dbo.p_nested"]),
    "procedure named": Pin("session_state", ["EXEC dbo.p_plain"], bucket={"pin_procedures": ["dbo.p_pl*"]}),
    "any procedure": Pin("session_state", ["EXEC dbo.p_plain"], bucket={"opaque_procedures": "pin"}),
}
CURSORS = {
    "API": Pin("cursor", [open_cursor], [lambda c: c.rpc(9, c.cursor)], [lambda c: c.rpc(7, c.cursor, 2, 0, 1)]),
    "API by name": Pin("cursor", [lambda c: open_cursor(c, "sp_cursoropen")], [lambda c: c.rpc("sp_cursorclose", c.cursor)]),
    "two": Pin("cursor", [open_cursor, open_cursor], [lambda c: c.rpc(9, c.cursor)], [lambda c: c.rpc(9, c.cursor - 2)]),
    "prepared": Pin("cursor", [prepare_cursor], [lambda c: c.rpc(6, c.handle)], ["SELECT 1"]),
    "prepared and opened": Pin("cursor", [prepexec_cursor], [lambda c: c.rpc(6, c.handle)], [lambda c: c.rpc(9, c.cursor)]),
    "unprepared, still open": Pin("cursor", [prepexec_cursor], [lambda c: c.rpc(9, c.cursor)], [lambda c: c.rpc(6, c.handle)]),
    "DECLARE": Pin("cursor", ["DECLARE c CURSOR FOR SELECT n FROM dbo.kept"], ["DEALLOCATE c"],
                   ["OPEN c", "FETCH NEXT FROM c", "CLOSE c"]),
    "DECLARE GLOBAL": Pin("cursor", ["DECLARE c CURSOR GLOBAL FOR SELECT 1 AS n; OPEN c"], ["CLOSE c; DEALLOCATE c"]),
    "of dynamic text": Pin("cursor", ["EXEC('DECLARE c CURSOR GLOBAL FOR SELECT 1 AS n')"], ["DEALLOCATE c"]),
}
BULK = {
    "loaded": Pin("bulk_load", [INSERT_BULK], [lambda c: load(c, (1, "one"), tds=c.session.tds)]),
    "nothing": Pin("bulk_load", [INSERT_BULK], [lambda c: load(c, tds=c.session.tds)]),
    "refused": Pin("bulk_load", [INSERT_BULK], [lambda c: load(c, (1, "x" * 20), tds=c.session.tds)]),
    "another request instead": Pin("bulk_load", [INSERT_BULK], ["SELECT 1"]),
    "an RPC instead": Pin("bulk_load", [INSERT_BULK], [lambda c: c.rpc(10, "SELECT 1")]),
}
HANDLES = {
    "prepared in text": Pin("handle", ["DECLARE @h int; EXEC sp_prepare @h OUTPUT, N'', N'SELECT 1'"]),
    "XML document": Pin("handle", ["DECLARE @h int; EXEC sp_xml_preparedocument @h OUTPUT, N'<a/>'"]),
}
COMMITS_FIRST = ("transaction: begin behind a statement", "transaction: commit and begin")
PINS = {**{f"transaction: {name}": pin for name, pin in TRANSACTIONS.items()},
        **{f"temp_table: {name}": pin for name, pin in OBJECTS.items()},
        **{f"session_state: {name}": pin for name, pin in STATES.items()},
        **{f"cursor: {name}": pin for name, pin in CURSORS.items()},
        **{f"bulk_load: {name}": pin for name, pin in BULK.items()},
        **{f"handle: {name}": pin for name, pin in HANDLES.items()}}


def run(client, request):
    return client.query(request) if isinstance(request, str) else request(client)


def shown(request):
    return request if isinstance(request, str) else "a request of another kind"


def scene(t, server_is, bucket=None):
    """One server connection, whose baseline is the clients' own."""
    server, keys = server_and_clients(t, server_is)
    with t.client(server) as client:
        for text in SETUP:
            client.query(text)
    proxy = pooled(t, server, 1, bucket)
    client = t.client(proxy, **keys)
    fresh = look(client)
    wait_free(proxy, "a query pins nothing")
    return server, proxy, client, keys, fresh


def take(client, proxy, pin):
    """Until it is pinned."""
    for request in pin.do:
        run(client, request)
    wait_pinned(proxy, pin.reason, f"after {shown(pin.do[-1])}")
    for request in pin.stays:
        run(client, request)
        wait_pinned(proxy, pin.reason, f"still after {shown(request)}")


def assert_fresh(t, proxy, keys, fresh, who):
    """Another client finds nothing of it, on the same server connection."""
    with t.client(proxy, **keys) as other:
        assert look(other) == fresh, f"{who}: {look(other)} instead of {fresh}"
        assert level(other) == "read committed"


def of(server_is):
    return [name for name, pin in PINS.items() if server_is != "TDS 7.1" or not pin.modern]


@timeout(60)
@cases(name=of("announcing"))
def test_pinned_until_it_is_undone(t, name):
    released(t, "announcing", name)


@timeout(60)
# A client that is not told that its transaction is over names it again, and the server refuses: direct as well.
@cases(name=[name for name in of("silent") if name.startswith("transaction") and BY_REQUEST not in name])
def test_pinned_where_the_server_is_silent(t, name):
    """Babelfish: text announces nothing, so the proxy has to ask for @@TRANCOUNT."""
    released(t, "silent", name)


@timeout(60)
@cases(name=[name for name in of("TDS 7.1") if name.startswith("transaction")])
def test_pinned_at_tds_71(t, name):
    """As jTDS. No ENVCHANGE tells of a transaction, whatever the server."""
    released(t, "TDS 7.1", name)


@full
@timeout(60)
@cases(server_is=ELSEWHERE, name=[name for name in of("TDS 7.1") if not name.startswith("transaction")])
def test_pinned_elsewhere(t, server_is, name):
    released(t, server_is, name)


def released(t, server_is, name):
    pin = PINS[name]
    server, proxy, client, keys, fresh = scene(t, server_is, pin.bucket)
    take(client, proxy, pin)
    for request in pin.undo:
        run(client, request)
    if pin.undo:
        wait_free(proxy, f"after {shown(pin.undo[-1])}")
        assert client.scalar("SELECT 41 + 1") == 42
        wait_free(proxy, "after a query behind it")
    client.close()
    wait_free(proxy, "after the session's end")
    assert_fresh(t, proxy, keys, fresh, name)
    assert MODE != "transaction" or set(pins_so_far(proxy)) == {pin.reason}, pins_so_far(proxy)
    assert server.peak() <= 2, "one was the test's own"


SOME = ["transaction: begin", "transaction: manager", "transaction: implicit", "temp_table: temp table", "temp_table: global",
        "session_state: CONTEXT_INFO", "session_state: lock", "session_state: NOEXEC", "session_state: IDENTITY_INSERT",
        "cursor: API", "cursor: DECLARE", "handle: XML document"]


@timeout(60)
@cases(name=SOME)
def test_a_clients_reset_ends_the_pin(t, name):
    """Its own: drivers with a pool set the bit. What it held is gone, for itself as well."""
    ended_by_reset(t, name)


@full
@timeout(60)
@cases(name=[name for name in PINS if PINS[name].reset and name not in SOME])
def test_a_clients_reset_ends_each_pin(t, name):
    ended_by_reset(t, name)


def ended_by_reset(t, name):
    _, proxy, client, keys, fresh = scene(t, "announcing", PINS[name].bucket)
    take(client, proxy, PINS[name])
    client.session.transaction = 0
    assert look(client, STATUS_RESET) == fresh
    wait_free(proxy, "after the client's reset")
    assert_fresh(t, proxy, keys, fresh, name)
    assert look(client) == fresh
    if name.startswith("transaction") and name not in COMMITS_FIRST:
        assert client.query("SELECT COUNT(*) FROM dbo.kept").rows == [[0]], "its transaction was rolled back"


@timeout(60)
@cases(name=["transaction: begin", "temp_table: temp table", "session_state: CONTEXT_INFO", "session_state: lock",
             "session_state: NOEXEC", "handle: XML document"], abrupt=[False, True])
def test_a_session_that_goes_while_pinned_leaves_a_clean_connection(t, name, abrupt):
    server, proxy, client, keys, fresh = scene(t, "announcing")
    take(client, proxy, PINS[name])
    if abrupt:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    wait_free(proxy, "after the session's end")
    assert_fresh(t, proxy, keys, fresh, name)
    with t.client(server) as direct:
        assert direct.scalar("SELECT COUNT(*) FROM dbo.kept") == 0
        assert direct.query("SELECT APPLOCK_TEST('public', 'lock', 'Exclusive', 'Session')").rows == [[1]]


@timeout(60)
@cases(name=["transaction: begin", "temp_table: temp table", "session_state: CONTEXT_INFO", "handle: XML document"])
def test_others_wait_for_a_pinned_connection(t, name):
    """With one server connection the others queue as long as the pin lasts, and are served in order behind it."""
    _, proxy, client, keys, fresh = scene(t, "announcing")
    others = [t.client(proxy, **keys) for _ in range(3)]
    take(client, proxy, PINS[name])
    for n, other in enumerate(others):
        other.send(f"SELECT {n}, DB_NAME()")
        proxy.wait_metric("proxy_queue_length", n + 1, bucket_id="b1")
    holds_for(lambda: held(proxy) == (1, {PINS[name].reason: 1}), 0.3, "pinned while others wait")
    client.close()
    for n, other in enumerate(others):
        assert other.receive().rows == [[n, DATABASE]]
    wait_free(proxy, "after all were served")


@timeout(60)
def test_two_reasons(t):
    """Each is released for itself."""
    _, proxy, client, *_ = scene(t, "announcing")
    client.query(f"CREATE TABLE #t (n int); BEGIN TRAN; {IN}")
    wait_until(lambda: "transaction" in held(proxy)[1] or "temp_table" in held(proxy)[1], 10, "pinned")
    client.query("COMMIT")
    wait_pinned(proxy, "temp_table", "the transaction has ended")
    client.query(f"BEGIN TRAN; {IN}; DROP TABLE #t")
    wait_pinned(proxy, "transaction", "the table is gone")
    client.query("ROLLBACK")
    wait_pinned(proxy, "temp_table", "the DROP was rolled back: the table is there again")
    client.query("BEGIN TRAN; DROP TABLE #t")
    wait_pinned(proxy, "transaction", "the table is gone again")
    client.query("COMMIT")
    wait_free(proxy, "both are gone")


@timeout(60)
def test_prepared_is_always_zero(t):
    """The label is kept for dashboards: prepared statements pin nobody (test_transaction_prepared)."""
    _, proxy, client, *_ = scene(t, "announcing")
    prepare(client)
    wait_free(proxy, "prepared")
    assert client.rpc(12, client.handle, 3).rows == [[3]]
    assert proxy.metric("proxy_connections_pinned", None, bucket_id="b1", pin_reason="prepared") == 0
    wait_free(proxy, "executed")


# ---------------------------------------------------------------------------------------------------- what does not pin


START_UP = {
    "sqlcmd": "SET QUOTED_IDENTIFIER OFF",
    "ODBC": "set quoted_identifier on",
    "FreeTDS": "SET TEXTSIZE 64512 SET ARITHABORT ON",
    "FreeTDS ODBC": "SET ANSI_DEFAULTS ON\nSET CURSOR_CLOSE_ON_COMMIT OFF\nSET IMPLICIT_TRANSACTIONS OFF\nSET TEXTSIZE 2147483647",
    "jTDS": "SELECT @@MAX_PRECISION\r\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED\r\nSET IMPLICIT_TRANSACTIONS OFF\r\n"
            "SET QUOTED_IDENTIFIER ON\r\nSET TEXTSIZE 2147483647",
    "tedious": "set ansi_nulls on\nset ansi_null_dflt_on on\nset ansi_padding on\nset ansi_warnings on\nset arithabort on\n"
               "set concat_null_yields_null on\nset cursor_close_on_commit off\nset datefirst 7\nset dateformat mdy\n"
               "set implicit_transactions off\nset language us_english\nset numeric_roundabort off\nset quoted_identifier on\n"
               "set textsize 2147483647\nset transaction isolation level read committed\nset xact_abort off",
    "pymssql": "SET ARITHABORT ON;SET CONCAT_NULL_YIELDS_NULL ON;SET ANSI_NULLS ON;SET ANSI_NULL_DFLT_ON ON;SET ANSI_PADDING ON;"
               "SET ANSI_WARNINGS ON;SET CURSOR_CLOSE_ON_COMMIT ON;SET QUOTED_IDENTIFIER ON;SET TEXTSIZE 2147483647;",
    "SSMS": "SET ROWCOUNT 0 SET TEXTSIZE 2147483647 SET NOCOUNT OFF SET CONCAT_NULL_YIELDS_NULL ON SET ARITHABORT ON "
            "SET LOCK_TIMEOUT -1 SET QUERY_GOVERNOR_COST_LIMIT 0 SET DEADLOCK_PRIORITY NORMAL "
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED SET ANSI_NULLS ON SET ANSI_NULL_DFLT_ON ON SET ANSI_PADDING ON "
            "SET ANSI_WARNINGS ON SET CURSOR_CLOSE_ON_COMMIT OFF SET IMPLICIT_TRANSACTIONS OFF SET QUOTED_IDENTIFIER ON",
    "a lone SELECT @@SPID": "SELECT @@SPID",
    "a database": f"USE {OTHER}",
}
HARMLESS = {
    "query": "SELECT n FROM dbo.kept",
    "words in text": "SELECT 'BEGIN TRAN; CREATE TABLE #t (n int)' AS t -- SET CONTEXT_INFO 0x01",
    "insert": IN,
    "transaction in one batch": f"BEGIN TRAN; {IN}; COMMIT",
    "table made and dropped": "CREATE TABLE #t (n int); DROP TABLE #t",
    "table variable": "DECLARE @t TABLE (n int); INSERT INTO @t VALUES (1)",
    "procedure": "EXEC dbo.p_plain",
    "dynamic text": "EXEC('SELECT 1')",
    "EXECUTE AS and REVERT": "EXECUTE AS USER = 'guest'; REVERT",
    "lock of a transaction": "BEGIN TRAN; EXEC sp_getapplock 'x', 'Exclusive', 'Transaction'; COMMIT",
    "IDENTITY_INSERT on and off": "SET IDENTITY_INSERT dbo.ids ON; SET IDENTITY_INSERT dbo.ids OFF",
    "SET in dynamic text": "EXEC('SET DATEFIRST 3')",
    "SET in control flow": "IF 1 = 1 SET NOCOUNT OFF",
    "SET from a variable": "DECLARE @n int = 7; SET DATEFIRST @n",
    "temp table of sp_executesql": lambda c: c.rpc(10, "CREATE TABLE #t (n int); SELECT n FROM #t"),
    "error": lambda c: c.ask("SELECT 1/0"),
    "error of the batch": lambda c: c.ask("SELECT CAST('x' AS int)"),
    "savepoint without transaction": lambda c: c.ask("SAVE TRAN s"),
    "local cursor": "DECLARE c CURSOR LOCAL FOR SELECT 1 AS n; OPEN c; FETCH NEXT FROM c",
    "cursor closed in its batch": "DECLARE c CURSOR FOR SELECT 1 AS n; OPEN c; FETCH NEXT FROM c; CLOSE c; DEALLOCATE c",
    "cursor that closes itself": cursor_that_closes_itself,
}


@timeout(60)
@cases(what=list(START_UP))
def test_start_up_does_not_pin(t, what):
    """What drivers send at every login, and its effect stays with the client that sent it."""
    starts_up(t, "announcing", what)


@full
@timeout(60)
@cases(server_is=ELSEWHERE, what=list(START_UP))
def test_start_up_does_not_pin_elsewhere(t, server_is, what):
    starts_up(t, server_is, what)


def starts_up(t, server_is, what):
    server, proxy, client, keys, fresh = scene(t, server_is)
    client.query(START_UP[what])
    wait_free(proxy, f"after {what}'s start-up")
    with t.client(server, **keys) as direct:
        direct.query(START_UP[what])
        expected = look(direct)
    for _ in range(2):
        assert_fresh(t, proxy, keys, fresh, "another client")
        assert look(client) == expected, "its own state"
    wait_free(proxy, "in the end")
    assert pins_so_far(proxy) == {}


@timeout(60)
@cases(server_is=["announcing", "silent"], what=list(HARMLESS))
def test_what_leaves_nothing_does_not_pin(t, server_is, what):
    leaves_nothing(t, server_is, what)


@full
@timeout(60)
@cases(what=list(HARMLESS))
def test_what_leaves_nothing_does_not_pin_at_tds_71(t, what):
    leaves_nothing(t, "TDS 7.1", what)


def leaves_nothing(t, server_is, what):
    _, proxy, client, keys, fresh = scene(t, server_is)
    run(client, HARMLESS[what])
    wait_free(proxy, f"after {what}")
    assert_fresh(t, proxy, keys, fresh, "another client")
    assert MODE != "transaction" or not set(pins_so_far(proxy)) - {"transaction", "temp_table", "cursor"}, pins_so_far(proxy)


@timeout(60)
@cases(share=["read", "share"])
def test_opaque_procedures(t, share):
    """With `share` a procedure never pins; what it left is gone all the same when the next client comes."""
    _, proxy, client, keys, fresh = scene(t, "announcing", {"opaque_procedures": share})
    client.query("EXEC dbo.p_context")
    if share == "share":
        wait_free(proxy, "shared")
    else:
        wait_pinned(proxy, "session_state", "its definition was read")
        client.close()
    assert_fresh(t, proxy, keys, fresh, "another client")


