"""The stand-in SQL Server on the wire: what the proxy's tests and its pooling rest on, shown with raw TDS."""

import os
import re
import time
from decimal import Decimal

from harness import *
from harness.clients import CLIENTS
from harness.tds import *

SCRIPTS = os.path.join(CLIENTS, "..", "..", "scripts")
TOKEN_DONE, TOKEN_DONEPROC, TOKEN_DONEINPROC = 0xFD, 0xFE, 0xFF
ENV_DATABASE, ENV_LANGUAGE, ENV_BEGIN, ENV_COMMIT, ENV_ROLLBACK, ENV_RESET = 1, 2, 8, 9, 10, 18
ISOLATION = "SELECT CAST(transaction_isolation_level AS int) FROM sys.dm_exec_sessions WHERE session_id = @@SPID"


def numbers(response):
    return [error.number for error in response.errors]


def took(function, *args):
    began = time.monotonic()
    result = function(*args)
    return time.monotonic() - began, result


def error_of(function, *args, **keys):
    """The exception that a call ends with."""
    try:
        function(*args, **keys)
    except (TdsError, TdsClosed, TdsProtocolError, OSError) as error:
        return error
    raise AssertionError("no error")


def running(server):
    return sum(s["running"] for s in server.sessions())


def drain(client, count):
    """Reads so many bytes off the socket; receive() takes them up."""
    left = count
    while left > 0:
        piece = client.socket.recv(min(left, 262144))
        assert piece
        client.session.plain += piece
        left -= len(piece)


def assert_closed(client):
    client.socket.settimeout(5)
    try:
        assert client.socket.recv(1) == b""
    except ConnectionResetError:
        pass


# ---------------------------------------------------------------------------------------------------- attention


def interrupt(server, client, sql):
    """Starts a batch, cancels it, and returns what came: the cancelled response and the acknowledgement."""
    client.send(sql)
    wait_until(lambda: running(server) == 1, 5, "the request runs")
    client.attention()
    seconds, cancelled = took(client.receive)
    acknowledged = client.receive()
    assert seconds < 2, f"{sql}: interrupted after {seconds:.1f} s"
    assert not cancelled.done_status & (DONE_MORE | DONE_ATTN) and cancelled.done_status & DONE_ERROR, cancelled.dones
    assert acknowledged.tokens == [TOKEN_DONE] and acknowledged.dones == [(TOKEN_DONE, DONE_ATTN, 0, 0)], acknowledged.dones
    return cancelled


def test_attention_interrupts_what_runs(t):
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    client.query("CREATE TABLE dbo.busy (n int); INSERT INTO dbo.busy VALUES (1)")
    other.query("BEGIN TRAN; UPDATE dbo.busy SET n = 2")
    cancelled = interrupt(server, client, "SELECT 7; WAITFOR DELAY '00:00:30'; SELECT 8")
    assert cancelled.rows in ([[7]], []), cancelled.rows
    interrupt(server, client, "DECLARE @i int = 0; WHILE 1 = 1 SET @i += 1")
    interrupt(server, client, "WITH n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 3000) "
                              "SELECT COUNT(*) FROM n a, n b, n c OPTION (MAXRECURSION 0)")
    interrupt(server, client, "UPDATE dbo.busy SET n = 3")
    server.set("delay-request", 30000)
    interrupt(server, client, "SELECT 1")
    server.set("delay-request", 0)
    assert client.scalar("SELECT 1") == 1 and server.stats()["attentions_total"] == 5


def test_attention_and_transactions(t):
    """It cancels the statement and leaves the transaction, but for XACT_ABORT ON."""
    server = t.sqlserver()
    client = t.client(server)
    client.query("BEGIN TRAN")
    interrupt(server, client, "WAITFOR DELAY '00:00:30'")
    assert client.scalar("SELECT @@TRANCOUNT") == 1
    client.query("SET XACT_ABORT ON")
    cancelled = interrupt(server, client, "WAITFOR DELAY '00:00:30'")
    assert client.scalar("SELECT @@TRANCOUNT") == 0 and cancelled.env_kinds() == [ENV_ROLLBACK], cancelled.env


def test_attention_when_idle(t):
    server = t.sqlserver()
    client = t.client(server)
    for _ in range(2):
        client.attention()
        idle = client.receive()
        assert idle.dones == [(TOKEN_DONE, DONE_ATTN, 0, 0)] and idle.tokens == [TOKEN_DONE]
    assert client.scalar("SELECT 1") == 1


def test_attention_races_with_the_answer(t):
    """One acknowledgement for each attention, wherever it meets the request, and never out of step."""
    client = t.client(t.sqlserver())
    for number in range(200):
        request = message(PACKET_BATCH, batch_payload(f"SELECT {number}"))
        if number % 2:
            client.socket.sendall(request + message(PACKET_ATTENTION, b""))
        else:
            client.socket.sendall(request)
            client.attention()
        answer = client.receive()
        assert answer.rows in ([[number]], []) and not answer.done_status & DONE_ATTN, vars(answer)
        assert client.receive().dones == [(TOKEN_DONE, DONE_ATTN, 0, 0)]
    for number in range(2):
        client.send(f"SELECT {number}")
    assert [client.receive().rows for _ in range(2)] == [[[0]], [[1]]], "pipelined requests"


def test_attention_stops_a_long_result(t):
    client = t.client(t.sqlserver())
    client.send("WITH n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 300) "
                "SELECT a.n, REPLICATE(N'x', 2000) AS x FROM n a, n b OPTION (MAXRECURSION 0)")
    drain(client, 100_000)
    client.attention()
    seconds, cancelled = took(client.receive)
    assert client.receive().dones == [(TOKEN_DONE, DONE_ATTN, 0, 0)]
    assert 20 < len(cancelled.rows) < 10000 and cancelled.done_status & DONE_ERROR and seconds < 5, len(cancelled.rows)
    assert client.scalar("SELECT 1") == 1


def test_ignored_request_is_not_run(t):
    """IGNORE on the last packet: one TOKEN_DONE with an error, no acknowledgement."""
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.ignored (n int)")
    payload = batch_payload("INSERT INTO dbo.ignored VALUES (1) --" + "x" * 3000)
    client.socket.sendall(packet(PACKET_BATCH, payload[:4088], status=0) +
                          packet(PACKET_BATCH, b"", STATUS_EOM | STATUS_IGNORE, 2))
    assert client.receive().dones == [(TOKEN_DONE, DONE_ERROR, 0, 0)]
    assert client.scalar("SELECT COUNT(*) FROM dbo.ignored") == 0


# ---------------------------------------------------------------------------------------------------- reset


def disturb(client):
    """Changes all that a reset puts back. Returns a prepared handle."""
    handle = client.rpc(11, handle_parameter(), "", "SELECT 5 AS n").return_values[0][2]
    assert client.rpc(12, handle).rows == [[5]]
    client.query("CREATE TABLE #t (n int); CREATE TABLE dbo.kept (n int IDENTITY); "
                 "INSERT INTO dbo.kept DEFAULT VALUES; SET LOCK_TIMEOUT 123; SET DATEFIRST 3; SET TEXTSIZE 1000; SET NOCOUNT ON; SET LANGUAGE Deutsch; "
                 "SET CONTEXT_INFO 0x01; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; USE master")
    return handle


STATE = ("SELECT @@LOCK_TIMEOUT, CAST(@@DATEFIRST AS int), @@TEXTSIZE, @@LANGUAGE, DB_NAME(), OBJECT_ID('tempdb..#t'), "
         "@@IDENTITY, @@TRANCOUNT")


def assert_reset(client, fresh, answer, handle, isolation=4):
    assert ENV_RESET in answer.env_kinds() and [v for k, v, _ in answer.env if k == ENV_RESET] == [b"\0\0"], answer.env
    assert ENV_DATABASE not in answer.env_kinds() and ENV_LANGUAGE not in answer.env_kinds(), answer.env
    state = client.query(STATE)
    assert state.rows == [fresh], f"{state.rows} instead of {fresh}"
    assert state.row_counts == [1], "NOCOUNT is still on"
    assert client.scalar(ISOLATION) == isolation
    assert numbers(client.rpc(12, handle)) == [8179]
    assert numbers(client.ask("SELECT * FROM #t")) == [208]


def test_reset_connection(t):
    client = t.client(t.sqlserver())
    [fresh] = client.query(STATE).rows
    handle = disturb(client)
    assert client.query(STATE).rows[0] != fresh
    client.query("BEGIN TRAN; INSERT INTO tenant_db.dbo.kept DEFAULT VALUES")
    answer = client.query("SELECT @@TRANCOUNT AS n", STATUS_RESET)
    assert answer.rows == [[0]] and answer.tokens[0] == 0xE3
    assert_reset(client, fresh, answer, handle)
    assert client.scalar("SELECT COUNT(*) FROM dbo.kept") == 1, "the transaction was not rolled back"
    assert numbers(client.ask("ROLLBACK", STATUS_RESET)) == [3903]


@cases(kind=["rpc", "tran", "sp_reset_connection"])
def test_reset_rides_on_other_requests(t, kind):
    client = t.client(t.sqlserver())
    [fresh] = client.query(STATE).rows
    handle = disturb(client)
    if kind == "rpc":
        answer = client.rpc(10, "SELECT 1 AS n", status=STATUS_RESET)
        assert answer.rows == [[1]]
    elif kind == "tran":
        answer = client.tran(TRAN_BEGIN, status=STATUS_RESET)
        assert answer.env_kinds() == [ENV_RESET, ENV_BEGIN], answer.env
        client.tran(TRAN_ROLLBACK)
    else:
        answer = client.rpc("sp_reset_connection")
    assert_reset(client, fresh, answer, handle)


def test_reset_skip_tran_keeps_the_transaction(t):
    client = t.client(t.sqlserver())
    [fresh] = client.query(STATE).rows
    handle = disturb(client)
    client.query("USE tenant_db; BEGIN TRAN; INSERT INTO dbo.kept DEFAULT VALUES")
    descriptor = client.session.transaction
    answer = client.query("SELECT @@TRANCOUNT", STATUS_RESET_SKIP_TRAN)
    assert answer.rows == [[1]] and client.session.transaction == descriptor != 0
    assert_reset(client, fresh[:-1] + [1], answer, handle)
    client.query("COMMIT")
    assert client.scalar("SELECT COUNT(*) FROM dbo.kept") == 2


def test_both_reset_bits_are_refused(t):
    client = t.client(t.sqlserver())
    assert isinstance(error_of(client.query, "SELECT 1", STATUS_RESET | STATUS_RESET_SKIP_TRAN), TdsClosed)


# ---------------------------------------------------------------------------------------------------- transactions


def test_transactions_by_text(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.n (n int)")
    begin = client.query("BEGIN TRAN")
    descriptor = client.session.transaction
    assert descriptor and begin.env == [(ENV_BEGIN, b"\x08" + descriptor.to_bytes(8, "little") + b"\0", None)], begin.env
    assert begin.dones == [(TOKEN_DONE, 0, 0xD4, 0)], begin.dones
    nested = client.query("BEGIN TRAN; SAVE TRAN s; INSERT INTO dbo.n VALUES (1); ROLLBACK TRAN s; COMMIT; "
                          "SELECT @@TRANCOUNT")
    assert nested.env == [] and nested.rows == [[1]]
    commit = client.query("COMMIT")
    assert commit.env == [(ENV_COMMIT, b"\0\x08" + descriptor.to_bytes(8, "little"), None)], commit.env
    assert commit.dones == [(TOKEN_DONE, 0, 0xD5, 0)], commit.dones
    both = client.query("BEGIN TRAN; ROLLBACK")
    assert both.env_kinds() == [ENV_BEGIN, ENV_ROLLBACK] and client.session.transaction == 0
    assert numbers(client.ask("COMMIT")) == [3902] and numbers(client.ask("ROLLBACK")) == [3903]


def test_transactions_that_the_server_begins_or_ends(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.n (n int NOT NULL)")
    failed = client.ask("SET XACT_ABORT ON; BEGIN TRAN; INSERT INTO dbo.n VALUES (NULL); SELECT 1")
    assert failed.env_kinds() == [ENV_BEGIN, ENV_ROLLBACK] and numbers(failed) == [515] and failed.rows == []
    doomed = client.ask("BEGIN TRAN; BEGIN TRY INSERT INTO dbo.n VALUES (NULL) END TRY "
                        "BEGIN CATCH SELECT XACT_STATE() END CATCH")
    assert doomed.rows == [[-1]] and numbers(doomed) == [3998] and doomed.env_kinds() == [ENV_BEGIN, ENV_ROLLBACK]
    client.query("SET XACT_ABORT OFF; SET IMPLICIT_TRANSACTIONS ON")
    assert client.query("SELECT n FROM dbo.n").env_kinds() == [ENV_BEGIN]
    assert client.query("SELECT @@TRANCOUNT; IF @@TRANCOUNT > 0 COMMIT").env_kinds() == [ENV_COMMIT]


def test_transactions_by_transaction_manager(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.n (n int)")
    begin = client.tran(TRAN_BEGIN, isolation=4)
    assert begin.env_kinds() == [ENV_BEGIN] and begin.dones == [(TOKEN_DONE, 0, 0xD4, 0)], begin.dones
    assert client.tran(TRAN_BEGIN).env == [] and client.scalar("SELECT @@TRANCOUNT") == 2
    assert client.tran(TRAN_COMMIT).env == []
    first = client.session.transaction
    chained = client.tran(TRAN_COMMIT, begin_next=True)
    assert chained.env_kinds() == [ENV_COMMIT, ENV_BEGIN] and client.session.transaction not in (0, first)
    client.query("INSERT INTO dbo.n VALUES (1)")
    assert client.tran(TRAN_SAVE, "here").env == []
    client.query("INSERT INTO dbo.n VALUES (2)")
    assert client.tran(TRAN_ROLLBACK, "here").env == []
    assert client.query("SELECT n, @@TRANCOUNT FROM dbo.n").rows == [[1, 1]]
    assert client.tran(TRAN_ROLLBACK).env_kinds() == [ENV_ROLLBACK]
    assert client.query("SELECT n FROM dbo.n").rows == [] and client.scalar(ISOLATION) == 4
    assert numbers(client.tran(TRAN_COMMIT)) == [3902] and numbers(client.tran(TRAN_ROLLBACK)) == [3903]


def test_transactions_that_are_not_announced(t):
    """Below TDS 7.2, and for SQL text with --silent-transactions, as Babelfish."""
    server = t.sqlserver(args=["--silent-transactions"])
    texts = ("BEGIN TRAN", "COMMIT", "BEGIN TRAN", "ROLLBACK")
    silent = t.client(server)
    assert [silent.query(text).env for text in texts] == [[]] * 4
    assert [silent.tran(kind).env_kinds() for kind in (TRAN_BEGIN, TRAN_COMMIT)] == [[ENV_BEGIN], [ENV_COMMIT]]
    old = t.client(t.sqlserver(), tds_version=TDS71)
    assert [old.query(text).env for text in texts] == [[]] * 4


def test_writer_waits_for_a_transaction(t):
    server = t.sqlserver()
    holder, writer = t.client(server), t.client(server)
    holder.query("CREATE TABLE dbo.n (n int); INSERT INTO dbo.n VALUES (0); BEGIN TRAN; UPDATE dbo.n SET n = n + 1")
    writer.query("SET LOCK_TIMEOUT 300")
    seconds, late = took(writer.ask, "UPDATE dbo.n SET n = n + 10")
    assert numbers(late) == [1222] and 0.25 < seconds < 2, (late.errors, seconds)
    writer.query("SET LOCK_TIMEOUT -1")
    writer.send("UPDATE dbo.n SET n = n + 10")
    wait_until(lambda: running(server) == 1, 5, "the writer waits")
    holds_for(lambda: running(server) == 1, 0.3, "the writer is blocked")
    holder.query("COMMIT")
    seconds, written = took(writer.receive)
    assert written.row_counts == [1] and not written.errors and seconds < 1
    assert writer.scalar("SELECT n FROM dbo.n") == 11


# ---------------------------------------------------------------------------------------------------- session


def test_session_functions(t):
    server = t.sqlserver()
    client = t.client(server, app_name="the app")
    assert client.scalar("SELECT @@SPID") == client.session.spid == server.sessions()[0]["spid"] > 50
    assert client.query("SELECT APP_NAME(), HOST_NAME(), DB_NAME(), SUSER_SNAME(), @@SERVERNAME, @@TRANCOUNT").rows == [
        ["the app", "harness", server.database, server.user, "STANDIN", 0]]
    assert re.match(r"Microsoft SQL Server 20", client.scalar("SELECT @@VERSION"))
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(5, 3), n int)")
    assert client.query("SELECT @@IDENTITY, SCOPE_IDENTITY()").rows == [[None, None]]
    inserted = client.query("INSERT INTO dbo.ids (n) VALUES (1), (2); SELECT @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT")
    assert inserted.rows == [[Decimal(8), Decimal(8), 2]], inserted.rows
    client.rpc(10, "INSERT INTO dbo.ids (n) VALUES (3)")
    assert client.query("SELECT @@IDENTITY, SCOPE_IDENTITY()").rows == [[Decimal(11), Decimal(8)]]


def test_dm_exec_sessions(t):
    server = t.sqlserver()
    client, other = t.client(server, app_name="one"), t.client(server, app_name="two")
    other.query("USE master; BEGIN TRAN")
    rows = client.query("SELECT session_id, program_name, login_name, host_name, status, DB_NAME(database_id), "
                        "open_transaction_count FROM sys.dm_exec_sessions WHERE is_user_process = 1 "
                        "ORDER BY program_name").rows
    assert rows == [[client.session.spid, "one", "sa", "harness", "running", server.database, 0],
                    [other.session.spid, "two", "sa", "harness", "sleeping", "master", 1]], rows
    other.close()
    server.wait_connections(1)
    assert client.scalar("SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE program_name = 'two'") == 0


def test_temp_tables_belong_to_their_session(t):
    server = t.sqlserver()
    one, two = t.client(server), t.client(server)
    one.query("CREATE TABLE #t (a int); INSERT INTO #t VALUES (1)")
    two.query("CREATE TABLE #t (b nvarchar(10)); INSERT INTO #t VALUES (N'x'), (N'y')")
    assert one.query("SELECT a FROM #t").rows == [[1]]
    assert two.query("SELECT b FROM #t ORDER BY b").rows == [["x"], ["y"]]
    assert numbers(one.ask("SELECT b FROM #t")) == [207] and numbers(one.ask("CREATE TABLE #t (a int)")) == [2714]
    two.query("DROP TABLE #t")
    assert one.scalar("SELECT COUNT(*) FROM #t") == 1 and numbers(two.ask("SELECT 1 FROM #t")) == [208]


def test_database_and_language(t):
    server = t.sqlserver()
    client = t.client(server)
    assert [e for e in client.login_response.env if e[0] in (ENV_DATABASE, ENV_LANGUAGE)] == [
        (ENV_DATABASE, server.database, "master"), (ENV_LANGUAGE, "us_english", "")]
    assert {info.number for info in client.login_response.infos} == {5701, 5703}
    use = client.query("USE master")
    assert use.env == [(ENV_DATABASE, "master", server.database)], use.env
    assert [(i.number, i.severity, i.text) for i in use.infos] == [(5701, 0, "Changed database context to 'master'.")]
    assert numbers(client.ask("USE nowhere")) == [911] and client.scalar("SELECT DB_NAME()") == "master"
    language = client.query("SET LANGUAGE Deutsch")
    assert language.env == [(ENV_LANGUAGE, "Deutsch", "us_english")] and language.infos[0].number == 5703
    date_settings = ("SELECT language, date_format, CAST(date_first AS int) FROM sys.dm_exec_sessions "
                     "WHERE session_id = @@SPID")
    assert client.query(date_settings).rows == [["Deutsch", "dmy", 1]]
    assert client.query("SET LANGUAGE Swedish").env == [(ENV_LANGUAGE, "Svenska", "Deutsch")]
    assert numbers(client.ask("SET LANGUAGE Klingon")) == [2740]
    client.query("SELECT 1", STATUS_RESET)
    assert client.query(date_settings).rows == [["us_english", "mdy", 7]]


def test_messages(t):
    client = t.client(t.sqlserver())
    told = client.query("PRINT N'hello'; RAISERROR('row %d of %s', 10, 3, 5, 'x'); RAISERROR('low', 4, 2) WITH NOWAIT")
    assert [(i.number, i.state, i.severity, i.text) for i in told.infos] == [
        (0, 1, 0, "hello"), (50000, 3, 0, "row 5 of x"), (50000, 2, 4, "low")], [vars(i) for i in told.infos]
    failed = client.ask("RAISERROR('bad %s', 16, 7, 'thing'); SELECT @@ERROR; THROW 51234, 'thrown', 9; SELECT 2")
    assert [(e.number, e.state, e.severity, e.text) for e in failed.errors] == [
        (50000, 7, 16, "bad thing"), (51234, 9, 16, "thrown")] and failed.rows == [[50000]]
    assert numbers(client.ask("SELECT 1/0")) == [8134] and numbers(client.ask("SELEC 1")) == [2812]
    assert numbers(client.ask("SELECT * FROM dbo.nowhere")) == [208] and numbers(client.ask("SELECT (")) == [102]
    assert numbers(client.ask("RAISERROR('not logged', 20, 1)")) == [2754] and client.scalar("SELECT 1") == 1


def test_severity_20_closes(t):
    server = t.sqlserver()
    client = t.client(server)
    last = client.ask("RAISERROR('the end', 20, 1) WITH LOG; SELECT 1")
    assert [(e.number, e.severity) for e in last.errors][0] == (50000, 20) and last.rows == []
    assert_closed(client)
    client.close()
    server.wait_connections(0)


# ---------------------------------------------------------------------------------------------------- procedures


@cases(by=["id", "name"])
def test_prepared_statements(t, by):
    client = t.client(t.sqlserver())
    names = {"sp_executesql": 10, "sp_prepare": 11, "sp_execute": 12, "sp_prepexec": 13, "sp_unprepare": 15}

    def call(name, *parameters):
        return client.rpc(names[name] if by == "id" else f"[sys].{name.upper()}", *parameters)

    answer = call("sp_executesql", "SET @o = @a * 2; SELECT @a AS a; RETURN", "@a int, @o int OUTPUT", 21,
                  Parameter(0, "", True))
    assert answer.rows == [[21]] and answer.return_values == [(3, "", 42)] and answer.return_status == 0, vars(answer)
    failed = call("sp_executesql", "RAISERROR('bad', 16, 1)")
    assert numbers(failed) == [50000] == [failed.return_status], failed.return_status
    assert answer.dones[-1][0] == TOKEN_DONEPROC and all(kind == TOKEN_DONEINPROC for kind, *_ in answer.dones[:-1])
    assert [token for token in answer.tokens if token in (0x79, 0xAC, TOKEN_DONEPROC)] == [0x79, 0xAC, TOKEN_DONEPROC]
    prepared = call("sp_prepare", handle_parameter(), "@a int", "SELECT @a + 1 AS n")
    handle = prepared.return_values[0][2]
    assert prepared.return_values == [(0, "", handle)] and prepared.columns == []
    assert call("sp_execute", handle, 41).rows == [[42]] and call("sp_execute", handle, None).rows == [[None]]
    with_columns = call("sp_prepare", handle_parameter(), "", "SELECT 1 AS one, 'x' AS two", 1)
    assert with_columns.columns == [["one", "two"]] and with_columns.rows == []
    both = call("sp_prepexec", handle_parameter(), "@a nvarchar(20), @o nvarchar(20) OUTPUT",
                "SET @o = @a + N'!'; SELECT @a AS a", "hey", Parameter("", "", True))
    assert both.rows == [["hey"]] and sorted(both.return_values)[1] == (4, "", "hey!")
    second = sorted(both.return_values)[0][2]
    assert call("sp_execute", second, "you", Parameter("", "", True)).return_values == [(2, "", "you!")]
    replaced = call("sp_prepexec", handle_parameter(second), "", "SELECT 3 AS n")
    assert replaced.rows == [[3]]
    assert not call("sp_unprepare", handle).errors
    assert numbers(call("sp_execute", handle, 1)) == [8179] == numbers(call("sp_unprepare", handle))
    assert numbers(call("sp_prepare", handle_parameter(), "", "SELECT (")) == [102, 8180]
    in_text = "DECLARE @h int; EXEC sp_prepare @h OUTPUT, N'@x int', N'SELECT @x AS x'; EXEC sp_execute @h, 9"
    assert client.query(in_text).rows == [[9]]


def test_handles_belong_to_their_session(t):
    server = t.sqlserver()
    one, two = t.client(server), t.client(server)
    handles = [client.rpc(11, handle_parameter(), "", f"SELECT {number} AS n").return_values[0][2]
               for number, client in enumerate((one, two))]
    assert handles[0] == handles[1] and one.rpc(12, handles[0]).rows == [[0]] and two.rpc(12, handles[1]).rows == [[1]]


def test_procedure_called_in_a_batch(t):
    client = t.client(t.sqlserver())
    client.query("CREATE PROCEDURE dbo.p @n int, @o int OUTPUT AS SET NOCOUNT ON; SELECT @n AS n; SET @o = @n + 1; "
                 "RETURN 7")
    answer = client.query("DECLARE @r int, @o int; EXEC @r = dbo.p 3, @o OUTPUT; SELECT @r, @o")
    assert answer.rows == [[3], [7, 4]] and answer.return_status == 7, (answer.rows, answer.return_status)
    assert [done[0] for done in answer.dones if done[0] != TOKEN_DONEINPROC] == [TOKEN_DONEPROC, TOKEN_DONE], answer.dones


def test_settings_inside_a_procedure_end_with_it(t):
    client = t.client(t.sqlserver())
    [fresh] = client.query(STATE).rows
    inside = client.rpc(10, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET LOCK_TIMEOUT 77; SET NOCOUNT ON; "
                            "USE master; SELECT @@LOCK_TIMEOUT, DB_NAME()")
    assert inside.rows == [[77, "master"]] and inside.env == [
        (ENV_DATABASE, "master", fresh[4]), (ENV_DATABASE, fresh[4], "master")], inside.env
    client.query("EXEC('SET DATEFIRST 2; SET TRANSACTION ISOLATION LEVEL SNAPSHOT')")
    assert client.query(STATE).rows == [fresh] and client.scalar(ISOLATION) == 2


def test_demo_procedures(t):
    server = t.sqlserver()
    for script in ("init-databases.sql", "seed-data.sql", "init-databases.sql", "seed-data.sql"):
        t.seed(server, os.path.join(SCRIPTS, script))
    client = t.client(server, app_name="shop")
    counts = client.query("SELECT (SELECT COUNT(*) FROM tenants), (SELECT COUNT(*) FROM orders), "
                          "(SELECT COUNT(*) FROM order_items), (SELECT COUNT(*) FROM test_table)")
    assert counts.rows == [[100, 50, 50, 10]]
    tenant = client.rpc("dbo.sp_get_tenant", Parameter("APP-000007", "@app_id"))
    assert tenant.rows[0][:4] == [7, "APP-000007", "Tenant 7", "bucket-001"] and tenant.return_status == 0
    amount = Parameter(name="@total_amount", raw=b"\x6a\x09\x12\x02\x09\x01" + (1234).to_bytes(8, "little"))
    arguments = [Parameter(7, "@tenant_id"), Parameter("ORD-X", "@order_number"), amount]
    created = client.rpc("sp_create_order", *arguments)
    assert created.rows == [[51]] and created.env_kinds() == [ENV_BEGIN, ENV_COMMIT], (created.rows, created.env)
    assert client.query("SELECT tenant_id, total_amount, status FROM orders WHERE id = 51").rows == [
        [7, Decimal("12.34"), "pending"]]
    refused = client.rpc("sp_create_order", Parameter(999, "@tenant_id"), *arguments[1:])
    assert [(e.number, e.severity, e.text) for e in refused.errors] == [(50000, 16, "Tenant 999 does not exist.")]
    assert refused.env_kinds() == [ENV_BEGIN, ENV_ROLLBACK] and client.scalar("SELECT COUNT(*) FROM orders") == 51
    [info] = client.query("EXEC dbo.sp_connection_info").rows
    assert info[:5] == [client.session.spid, "sa", server.database, "harness", "shop"], info
    assert numbers(client.rpc("dbo.sp_get_tenant")) == [201] and numbers(client.rpc("dbo.sp_nothing")) == [2812]
