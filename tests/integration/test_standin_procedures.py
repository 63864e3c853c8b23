"""The stand-in SQL Server's procedures: calls, what they leave in the session, and what the catalog tells of them."""

from harness import *
from harness.tds import *
from test_standin_protocol import numbers

BEGAN, COMMITTED, ROLLED_BACK = 8, 9, 10
DONEINPROC, DONEPROC = 0xFF, 0xFE


def client_of(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.n (n int)")
    return client


def test_calls(t):
    """Several statements, output parameters, defaults, and the return status; by RPC and in a batch."""
    client = client_of(t)
    client.query("CREATE PROCEDURE dbo.p @a int, @b int = 5, @o nvarchar(20) = N'in' OUTPUT, @n int = NULL OUTPUT AS "
                 "SELECT @a AS a; INSERT INTO dbo.n VALUES (@a), (@b); SELECT n FROM dbo.n; SET @o = @o + N'!'; "
                 "SET @n = @a + @b; RETURN @a * 10")
    answer = client.rpc("dbo.p", 1, 2, Parameter("x", "", True), Parameter(0, "", True))
    assert answer.rows == [[1], [1], [2]] and answer.row_counts == [1, 2, 2] and answer.return_status == 10
    assert answer.return_values == [(2, "", "x!"), (3, "", 3)]
    assert [kind for kind, *_ in answer.dones][-1] == DONEPROC and DONEINPROC in [kind for kind, *_ in answer.dones]
    answer = client.rpc("[tenant_db].[dbo].[p]", Parameter(0, "@n", True), Parameter(7, "@a"))
    assert answer.return_values == [(0, "@n", 12)] and answer.return_status == 70
    answer = client.query("DECLARE @o nvarchar(9), @r int; EXEC @r = p @a = 3, @o = @o OUTPUT; SELECT @o, @r")
    assert answer.rows[-1] == [None, 30] and answer.return_status == 30
    assert client.query("EXECUTE p 4, DEFAULT").rows[0] == [4]
    for call, number in (("dbo.p", 201), ("dbo.none", 2812)):
        assert numbers(client.rpc(call)) == [number]
    assert numbers(client.rpc("dbo.p", 1, 2, "x", 4, 5)) == [8144]
    assert numbers(client.rpc("dbo.p", Parameter(1, "@wrong"))) == [8145]


def test_nested_calls(t):
    client = client_of(t)
    client.query("CREATE PROCEDURE dbo.inner1 AS INSERT INTO dbo.n VALUES (@@NESTLEVEL); RETURN 3")
    client.query("CREATE PROCEDURE dbo.outer1 AS DECLARE @r int; EXEC @r = dbo.inner1; EXEC('INSERT INTO dbo.n VALUES (@@NESTLEVEL)'); "
                 "SELECT OBJECT_NAME(@@PROCID) AS name; RETURN @r")
    answer = client.rpc("dbo.outer1")
    assert answer.rows == [["outer1"]] and answer.return_status == 3
    assert client.query("SELECT n FROM dbo.n").rows == [[2], [2]]
    client.query("CREATE PROCEDURE dbo.forever AS EXEC dbo.forever")
    assert numbers(client.rpc("dbo.forever"))[0] == 217


def test_what_a_procedure_leaves_behind(t):
    """Context, global cursors and global temporary tables stay; SETs and its own temporary tables do not."""
    server = t.sqlserver()
    client = t.client(server)
    client.query("CREATE PROCEDURE dbo.p AS EXEC sp_set_session_context N'k', 5; SET CONTEXT_INFO 0x0A; "
                 "DECLARE c CURSOR GLOBAL FOR SELECT 1 AS n; OPEN c; CREATE TABLE ##g (n int); CREATE TABLE #mine (n int); "
                 "SET LOCK_TIMEOUT 9; SET DATEFORMAT dmy; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; "
                 "EXEC sp_getapplock 'res', 'Exclusive', 'Session'; EXECUTE AS USER = 'guest'")
    before = server.state(client)
    client.rpc("dbo.p")
    after = server.state(client)
    assert {name: value for name, value in after.items() if value != before[name]} == {
        "CONTEXT_INFO": "0A" + "00" * 127, "session context": "k=5", "cursors": "c open", "temp objects": "##g",
        "application locks": "res X session"}, after


@cases(by=["rpc", "text"])
def test_procedure_that_leaves_a_transaction_open_or_ends_one(t, by):
    client = client_of(t)
    client.query("CREATE PROCEDURE dbo.begins AS BEGIN TRAN; INSERT INTO dbo.n VALUES (1); RETURN 4")
    client.query("CREATE PROCEDURE dbo.commits AS COMMIT")
    client.query("CREATE PROCEDURE dbo.both AS BEGIN TRAN; COMMIT")

    def call(name):
        answer = client.rpc(name) if by == "rpc" else client.ask(f"EXEC {name}")
        return numbers(answer), answer.env_kinds(), answer.return_status

    assert call("dbo.begins") == ([266], [BEGAN], 4) and client.scalar("SELECT @@TRANCOUNT") == 1
    assert call("dbo.both") == ([], [], 0)
    assert call("dbo.commits")[:2] == ([266], [COMMITTED]) and client.query("SELECT n FROM dbo.n").rows == [[1]]
    client.query("SET IMPLICIT_TRANSACTIONS ON")
    assert call("dbo.both")[0] == [], "not asked under IMPLICIT_TRANSACTIONS"


def test_definition_in_the_catalog(t):
    client = client_of(t)
    text = "-- what it does\r\nCREATE  PROCEDURE dbo.p @a int AS\r\n  SELECT @a /* o que é */ AS a"
    client.query(text)
    questions = ("SELECT OBJECT_DEFINITION(OBJECT_ID(N'dbo.p'))", "SELECT OBJECT_DEFINITION(OBJECT_ID('[tenant_db]..[P]', 'P'))",
                 "SELECT definition FROM sys.sql_modules WHERE object_id = OBJECT_ID('p')",
                 "SELECT m.definition FROM tenant_db.sys.sql_modules m JOIN tenant_db.sys.objects o ON o.object_id = m.object_id "
                 "JOIN tenant_db.sys.schemas s ON s.schema_id = o.schema_id WHERE o.name = N'p' AND s.name = N'dbo'")
    assert [client.scalar(question) for question in questions] == [text] * 4
    assert [row[0] for row in client.query("EXEC sp_helptext 'dbo.p'").rows] == text.splitlines(keepends=True)
    client.query("USE master")
    assert client.scalar(questions[0]) is None and client.scalar(questions[3]) == text
    client.query("USE tenant_db; EXEC('ALTER PROCEDURE dbo.p AS SELECT 2 AS n')")
    assert client.scalar(questions[0]) == "CREATE PROCEDURE dbo.p AS SELECT 2 AS n", "kept as CREATE"
    client.query("CREATE OR ALTER PROCEDURE dbo.p AS SELECT 3 AS n")
    assert client.scalar(questions[0]) == "CREATE   PROCEDURE dbo.p AS SELECT 3 AS n"
    assert client.query("EXEC dbo.p").rows == [[3]]
    assert client.query("SELECT OBJECT_DEFINITION(OBJECT_ID('dbo.n')), OBJECT_DEFINITION(0)").rows == [[None, None]]
    client.query("CREATE PROCEDURE #t AS SELECT 4 AS n")
    assert client.query("EXEC #t").rows == [[4]] and client.scalar("SELECT OBJECT_ID('tempdb..#t')") < 0


def test_long_lines_of_sp_helptext(t):
    client = client_of(t)
    text = "CREATE PROCEDURE dbo.p AS SELECT '" + "x" * 600 + "' AS x"
    client.query(text)
    lines = [row[0] for row in client.query("EXEC sp_helptext 'p'").rows]
    assert [len(line) for line in lines] == [255, 255, len(text) - 510] and "".join(lines) == text
    assert numbers(client.ask("EXEC sp_helptext 'none'")) == [15009] and numbers(client.ask("EXEC sp_helptext 'n'")) == [15197]


def test_encrypted_procedure(t):
    """It runs, and nobody reads it."""
    client = client_of(t)
    client.query("CREATE PROCEDURE dbo.p @a int WITH RECOMPILE, ENCRYPTION AS SELECT @a AS a")
    assert client.rpc("dbo.p", 5).rows == [[5]]
    assert client.query("SELECT OBJECT_DEFINITION(OBJECT_ID('p')), definition FROM sys.sql_modules").rows == [[None, None]]
    answer = client.query("EXEC sp_helptext 'p'")
    assert [m.number for m in answer.infos] == [15471] and answer.rows == []
    client.query("ALTER PROCEDURE dbo.p WITH EXECUTE AS CALLER AS SELECT 1 AS n")
    assert client.scalar("SELECT OBJECT_DEFINITION(OBJECT_ID('p'))").endswith("SELECT 1 AS n")


def test_modify_date_follows_every_change(t):
    client = client_of(t)
    question = "SELECT CAST(modify_date AS nvarchar(40)), modify_date, create_date, type FROM sys.objects WHERE name = 'p'"
    client.query("CREATE PROCEDURE dbo.p AS SELECT 1 AS n")
    seen = [client.query(question).rows[0]]
    for n in range(5):
        client.query(f"ALTER PROCEDURE dbo.p AS SELECT {n} AS n")
        seen.append(client.query(question).rows[0])
    dates = [row[1] for row in seen]
    assert dates == sorted(set(dates)), dates
    assert {row[2] for row in seen} == {seen[0][2]} and {row[3] for row in seen} == {"P "}
    assert client.query("SELECT name, modify_date FROM sys.procedures").rows == [["p", dates[-1]]]
    client.query("DROP PROCEDURE dbo.p; EXEC('CREATE PROCEDURE dbo.p AS SELECT 9 AS n')")
    assert client.query(question).rows[0][1] > dates[-1], "made anew"
    assert client.query("SELECT COUNT(*) FROM sys.procedures").rows == [[1]]


def test_change_inside_a_transaction(t):
    """Others see the old definition until it commits."""
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    client.query("CREATE PROCEDURE dbo.p AS SELECT 'old' AS n")
    client.query("BEGIN TRAN; EXEC('ALTER PROCEDURE dbo.p AS SELECT ''new'' AS n')")
    assert client.query("EXEC dbo.p").rows == [["new"]] and other.query("EXEC dbo.p").rows == [["old"]]
    client.query("ROLLBACK")
    assert client.query("EXEC dbo.p").rows == [["old"]]


def test_procedure_in_another_database(t):
    server = t.sqlserver(args=["--database", "other_db"])
    client = t.client(server)
    client.query("USE other_db; EXEC('CREATE PROCEDURE dbo.p AS SELECT DB_NAME() AS n'); USE tenant_db")
    assert client.rpc("other_db.dbo.p").rows == [["other_db"]] and client.query("EXEC other_db..p").rows == [["other_db"]]
    assert client.scalar("SELECT DB_NAME()") == "tenant_db"
    client.query("USE master; EXEC('CREATE PROCEDURE dbo.sp_mine AS SELECT 1 AS n'); USE tenant_db")
    assert client.rpc("sp_mine").rows == [[1]], "sp_ procedures are looked for in master too"
