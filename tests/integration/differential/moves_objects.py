"""Temporary tables and procedures, and the procedures that are in every database (SETUP)."""

from .steps import Call, Out

SETUP = [
    "CREATE PROCEDURE dbo.p_plain @n int AS SELECT @n * 2 AS twice, DB_NAME() AS db",
    "CREATE PROCEDURE dbo.p_out @n int, @twice int OUTPUT, @text nvarchar(20) OUTPUT AS SET @twice = @n * 2; "
    "SET @text = N'text ' + CAST(@n AS nvarchar(9)); RETURN 7",
    "CREATE PROCEDURE dbo.p_context @value nvarchar(50) AS EXEC sp_set_session_context N'key', @value",
    "CREATE PROCEDURE dbo.p_nested @value nvarchar(50) AS EXEC dbo.p_context @value; SELECT SESSION_CONTEXT(N'key') AS k",
    "CREATE PROCEDURE dbo.p_info @n int AS DECLARE @b varbinary(8) = CAST(@n AS varbinary(8)); SET CONTEXT_INFO @b",
    "CREATE PROCEDURE dbo.p_begin AS BEGIN TRAN",
    "CREATE PROCEDURE dbo.p_commit AS IF @@TRANCOUNT > 0 COMMIT",
    "CREATE PROCEDURE dbo.p_set AS SET DATEFIRST 4; SET NOCOUNT ON; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; "
    "SELECT CAST(@@DATEFIRST AS int) AS d",
    "CREATE PROCEDURE dbo.p_temp AS CREATE TABLE #inner (n int); INSERT INTO #inner VALUES (1), (2); SELECT n FROM #inner",
    "CREATE PROCEDURE dbo.p_dynamic @text nvarchar(400) AS EXEC(@text)",
    "CREATE PROCEDURE dbo.p_error AS RAISERROR('from a procedure', 16, 5); SELECT 'after' AS t; RETURN 3",
    "CREATE PROCEDURE dbo.p_lock @name nvarchar(50) AS EXEC sp_getapplock @name, 'Exclusive', 'Session'",
]


def drop(g, name):
    g.batch(g.pick(f"DROP TABLE {name}", f"drop table {name};", f"IF OBJECT_ID('tempdb..{name}') IS NOT NULL DROP TABLE {name}"))
    g.temps.discard(name)


def gone(g, name):
    g.batch(f"SELECT CASE WHEN OBJECT_ID('tempdb..{name}') IS NULL THEN 'gone' ELSE 'there' END AS t")


def temp_table(g):
    """Made, used for some requests, dropped or left to the session's end."""
    name = g.pick("#a", "#b", "#items")
    if name in g.temps or g.tran != 0 or g.implicit:
        return False
    g.batch(g.pick(f"CREATE TABLE {name} (n int, id int IDENTITY)", f"create table {name}(n int NULL, id int IDENTITY(5,5))",
                   f"SELECT 1 AS n, 2 AS id INTO {name}"))
    g.temps.add(name)
    for _ in range(g.pick(0, 1, 2)):
        g.batch(g.pick(f"INSERT INTO {name} (n) VALUES ({g.chance.randrange(99)})", f"SELECT n FROM {name}",
                       f"UPDATE {name} SET n = n + 1; SELECT @@ROWCOUNT AS r"))
    if g.maybe(0.6):
        drop(g, name)
        gone(g, name)


def temp_table_and_gone(g):
    """Within one batch, or one that is no temporary table at all."""
    g.batch(g.pick("CREATE TABLE #once (n int); INSERT INTO #once VALUES (1); SELECT n FROM #once; DROP TABLE #once",
                   "SELECT '#text' AS t -- CREATE TABLE #no (n int)", "DECLARE @t TABLE (n int); INSERT INTO @t VALUES (1); "
                   "SELECT n FROM @t"))


def use_temp_table(g):
    if not g.temps:
        return False
    g.batch(f"SELECT COUNT(*) AS c FROM {g.pick(*sorted(g.temps))}")


def drop_temp_table(g):
    if not g.temps or g.tran != 0:
        return False
    drop(g, g.pick(*sorted(g.temps)))


def temp_table_rolled_back(g):
    """Gone with the transaction that made it."""
    if g.tran != 0 or g.implicit or not g.may_write() or "#r" in g.temps:
        return False
    g.batch("BEGIN TRAN; CREATE TABLE #r (n int)")
    g.batch("INSERT INTO #r VALUES (1)")
    g.batch(g.pick("ROLLBACK", "COMMIT; DROP TABLE #r"))
    gone(g, "#r")


def temp_table_by_error(g):
    """The statement that would make it fails, or the one after it."""
    if g.tran != 0 or g.implicit or "#e" in g.temps:
        return False
    g.batch("CREATE TABLE #e (n int); SELECT 1/0 AS n; SELECT CAST('x' AS int)")
    if g.maybe(0.5):
        g.batch("CREATE TABLE #e (n int)")
    drop(g, "#e")


def global_temp_table(g):
    if g.tran != 0 or g.implicit:
        return False
    name = "##g_" + g.own
    if name in g.temps:
        return drop(g, name)
    g.batch(f"CREATE TABLE {name} (n int)")
    g.batch(f"INSERT INTO {name} VALUES (1), (2); SELECT n FROM {name}")
    g.temps.add(name)
    if g.maybe(0.8):
        drop(g, name)


def temp_procedure(g):
    if g.tran != 0 or "#p" in g.temps:
        return False
    g.batch("CREATE PROCEDURE #p @n int = 3 AS SELECT @n AS n")
    g.batch(g.pick("EXEC #p", "EXEC #p 5"))
    if g.maybe(0.2):
        g.temps.add("#p")
    else:
        g.batch("DROP PROCEDURE #p")


def procedure(g):
    """Those that leave nothing."""
    if g.db in ("master", "tempdb"):
        return False
    n = g.chance.randrange(100)
    if g.maybe(0.5):
        g.batch(g.pick(f"EXEC dbo.p_plain {n}", "EXEC p_set", "EXEC dbo.p_temp", "EXEC dbo.p_error",
                       f"DECLARE @t int, @s nvarchar(20), @r int; EXEC @r = dbo.p_out {n}, @t OUTPUT, @s OUTPUT; "
                       "SELECT @t AS t, @s AS s, @r AS r", "p_plain 1", "EXEC dbo.p_missing"))
    else:
        g.rpc(g.pick(Call("dbo.p_plain", (n,)), Call("p_set"), Call("dbo.p_temp"), Call("p_error"),
                     Call("dbo.p_out", (n, Out(0), Out("some text"))), Call("p_missing")))


def procedure_with_dynamic_text(g):
    """No lexer sees what it does."""
    if g.db in ("master", "tempdb") or not g.may_write():
        return False
    g.batch(f"EXEC dbo.p_dynamic N'{g.pick('SELECT 1 AS n', f'INSERT INTO {g.table} (n) VALUES (1)', 'SET DATEFIRST 2')}'")
    if g.implicit:
        g.tran = None
    g.batch(g.pick("SELECT @@IDENTITY AS i, @@ROWCOUNT AS r", "SELECT CAST(@@DATEFIRST AS int) AS d"))


def procedure_with_state(g):
    """Those that leave something in the session."""
    if g.db in ("master", "tempdb") or g.tran != 0 or g.implicit or g.read_only_context:
        return False
    n = g.chance.randrange(1, 100)
    by_rpc = g.maybe(0.5)
    name = g.pick("p_context", "p_nested", "p_info", "p_begin")
    values = {"p_context": f"value {n}", "p_nested": f"nested {n}", "p_info": n, "p_begin": None}[name]
    if by_rpc:
        g.rpc(Call(f"dbo.{name}", () if values is None else (values,)))
    else:
        shown = "" if values is None else f" N'{values}'" if isinstance(values, str) else f" {values}"
        g.batch(f"EXEC dbo.{name}{shown}")
    if name == "p_begin":
        g.batch("SELECT @@TRANCOUNT AS t")
        g.batch("EXEC dbo.p_commit")
        g.tran = None
    g.batch("SELECT CONTEXT_INFO() AS c, SESSION_CONTEXT(N'key') AS k, @@TRANCOUNT AS t")


MOVES = {temp_table: 8, temp_table_and_gone: 4, use_temp_table: 12, drop_temp_table: 6, temp_table_rolled_back: 3,
         temp_table_by_error: 2, global_temp_table: 3, temp_procedure: 2, procedure: 8, procedure_with_dynamic_text: 4,
         procedure_with_state: 4}
