"""SET options that can be replayed, USE, LANGUAGE; and looking at what they do. src/tds/session_option.h has the list."""

from .kinds import DATABASES
from .without import DEFAULTS_INSIDE

SWITCHES = ("QUOTED_IDENTIFIER", "ANSI_NULLS", "ANSI_NULL_DFLT_OFF", "ANSI_NULL_DFLT_ON", "ANSI_PADDING",
            "ANSI_WARNINGS", "CONCAT_NULL_YIELDS_NULL", "CURSOR_CLOSE_ON_COMMIT", "NUMERIC_ROUNDABORT", "ARITHIGNORE",
            "ARITHABORT", "NOCOUNT", "FORCEPLAN", "REMOTE_PROC_TRANSACTIONS", "STATISTICS IO", "STATISTICS TIME")
LANGUAGES = ("Deutsch", "German", "Svenska", "British", "us_english", "Français", "日本語", "Italian")
LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT")
ORDERS = ("mdy", "dmy", "ymd", "ydm", "myd", "dym")

LOOKS = [
    "SELECT @@OPTIONS AS o, @@LANGUAGE AS l, @@DATEFIRST AS d, @@LOCK_TIMEOUT AS t, @@TEXTSIZE AS s, DB_NAME() AS db",
    "DBCC USEROPTIONS",
    "SELECT CONVERT(char(10), CAST('01/02/03' AS datetime), 120) AS d, DATEPART(weekday, '20240204') AS w",
    "SELECT CONVERT(varchar(30), CAST('5.4.2023' AS datetime), 121)",
    "SELECT CASE WHEN NULL = NULL THEN 'equal' ELSE 'not' END AS n, 'a' + NULL AS c",
    'SELECT "word"',
    "SELECT n FROM (VALUES (1), (2), (3), (4), (5)) v (n)",
    "SELECT LEN(CAST(REPLICATE('x', 6000) AS varchar(max))) AS n, CAST(REPLICATE('x', 6000) AS varchar(max)) AS t",
    "SELECT SESSIONPROPERTY('ANSI_NULLS') AS a, SESSIONPROPERTY('QUOTED_IDENTIFIER') AS q",
    "SELECT 1/0 AS nothing; SELECT @@ERROR AS e",
    "SELECT @@TRANCOUNT AS t, XACT_STATE() AS x",
]
LOOK_WITH_SPID = ("SELECT CAST(transaction_isolation_level AS int), deadlock_priority, date_format "
                  "FROM sys.dm_exec_sessions WHERE session_id = @@SPID")


def one_option(g):
    """A SET of something, with or without tricks in its spelling."""
    on = g.pick("ON", "OFF")
    text = g.pick(f"SET {g.pick(*SWITCHES)} {on}", f"SET {g.pick(*SWITCHES)} {on}", f"SET {g.pick(*SWITCHES)} {on}",
                  f"SET DATEFORMAT {g.pick(*ORDERS)}", f"SET DATEFIRST {g.chance.randrange(1, 8)}",
                  f"SET LANGUAGE N'{g.pick(*LANGUAGES)}'", f"SET ROWCOUNT {g.pick(0, 0, 1, 2, 3)}",
                  f"SET TEXTSIZE {g.pick(-1, 10, 1000, 4096, 2147483647)}",
                  f"SET LOCK_TIMEOUT {g.pick(-1, 500000, 654321)}", f"SET DEADLOCK_PRIORITY {g.pick('LOW', 'HIGH', '3')}",
                  f"SET QUERY_GOVERNOR_COST_LIMIT {g.pick(0, 100000)}", f"SET XACT_ABORT {on}",
                  "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, QUOTED_IDENTIFIER " + on,
                  f"SET TRANSACTION ISOLATION LEVEL {g.pick(*LEVELS[:4])}", f"SET ANSI_DEFAULTS {on}; "
                  "SET IMPLICIT_TRANSACTIONS OFF")
    return g.pick(text, text, text, text.lower(), "/* first */ " + text + " -- and last", f"  {text}\r\n;")


def set_options(g):
    """One or several in a batch; sometimes more follows in it."""
    texts = [one_option(g) for _ in range(g.pick(1, 1, 1, 2, 3))]
    if g.maybe(0.2):
        texts.append(g.pick(*LOOKS))
    g.batch("\n".join(texts))


def set_then_look(g):
    g.batch(one_option(g))
    look(g)


def look(g):
    g.batch(g.pick(*LOOKS))
    if g.implicit:
        g.tran = None


def look_at_spid(g):
    g.batch(LOOK_WITH_SPID)


def set_in_control_flow(g):
    """Nobody who only reads can know."""
    option = one_option(g).strip().rstrip(";")
    g.batch(g.pick(f"IF 1 = 0 BEGIN {g.pick('SET DATEFIRST 2', 'SET ROWCOUNT 1', 'SET NOCOUNT ON')} END",
                   f"IF DB_NAME() LIKE 'diff%' BEGIN SET DATEFIRST 3 END ELSE SET DATEFIRST 4",
                   "DECLARE @n int = 2; SET DATEFIRST @n", "DECLARE @n int = 2; SET ROWCOUNT @n",
                   "DECLARE @f varchar(3) = 'ymd'; SET DATEFORMAT @f",
                   f"BEGIN TRY\n{option}\nSELECT 1/0\nEND TRY BEGIN CATCH SELECT ERROR_NUMBER() AS n END CATCH",
                   "DECLARE @i int = 0; WHILE @i < 2 BEGIN SET @i = @i + 1; SET DATEFIRST 5 END"))
    look(g)


def set_and_error(g):
    """How far did it come?"""
    g.batch(g.pick("SET DATEFIRST 4; SELECT CAST('x' AS int); SET DATEFIRST 5",
                   "SET DATEFORMAT nonsense", "SET DATEFIRST 9", "SET LANGUAGE Klingon",
                   "SET NOCOUNT ON; SELECT * FROM dbo.nothing_{me}; SET NOCOUNT OFF",
                   "SET ROWCOUNT 2; SELEC 1"))
    if g.tran != 0:
        g.tran = None
    look(g)


def set_inside(g):
    """Ends with the inner text."""
    option = one_option(g).replace("'", "''")
    if DEFAULTS_INSIDE in g.without and "ANSI_DEFAULTS" in option.upper():
        return False
    g.batch(g.pick(f"EXEC(N'{option}; SELECT @@OPTIONS')", f"EXEC sp_executesql N'{option}\nSELECT @@DATEFIRST'"))
    look(g)


def use(g):
    if g.tran != 0 or g.implicit:
        return False
    name = g.pick(*DATABASES, "master", "tempdb", g.home)
    g.batch(g.pick(f"USE {name}", f"use [{name}]", f"USE {name}; SELECT DB_NAME() AS db", f"USE {name} SET DATEFIRST 6"))
    g.db = name
    if g.maybe(0.5):
        g.batch("SELECT DB_NAME() AS db")


def use_refused(g):
    g.batch("USE nowhere_at_all; SELECT 1")
    g.batch("SELECT DB_NAME() AS db")


def driver_start_up(g):
    """What drivers send first."""
    g.batch(g.pick("SET QUOTED_IDENTIFIER ON", "set textsize 2147483647 set quoted_identifier on set ansi_nulls on",
                   "SET TEXTSIZE 2147483647\r\nSET ANSI_DEFAULTS ON\r\nSET CURSOR_CLOSE_ON_COMMIT OFF\r\n"
                   "SET IMPLICIT_TRANSACTIONS OFF\r\nSET DATEFORMAT ymd\r\nSET LANGUAGE us_english",
                   "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;SET ARITHABORT ON;SET CONCAT_NULL_YIELDS_NULL ON",
                   "set implicit_transactions off", "SELECT @@MAX_PRECISION SET TRANSACTION ISOLATION LEVEL READ COMMITTED "
                   "SET IMPLICIT_TRANSACTIONS OFF SET QUOTED_IDENTIFIER ON SET TEXTSIZE 2147483647"))


MOVES = {set_options: 22, set_then_look: 22, look: 16, look_at_spid: 1, set_in_control_flow: 6, set_and_error: 5,
         set_inside: 5, use: 8, use_refused: 2, driver_start_up: 4}
