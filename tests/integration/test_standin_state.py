"""The stand-in SQL Server's session state: what a session can set, how it shows, and what a reset leaves of it.

What the proxy's isolation tests look at. tests/integration/test_standin_protocol.py has the reset itself.
"""

import random
from decimal import Decimal

from harness import *
from harness.tds import *
from test_standin_protocol import ENV_DATABASE, ENV_RESET, ISOLATION, assert_closed, numbers, running

OPTIONS = {"IMPLICIT_TRANSACTIONS": 2, "CURSOR_CLOSE_ON_COMMIT": 4, "ANSI_WARNINGS": 8, "ANSI_PADDING": 16,
           "ANSI_NULLS": 32, "ARITHABORT": 64, "ARITHIGNORE": 128, "QUOTED_IDENTIFIER": 256, "NOCOUNT": 512,
           "ANSI_NULL_DFLT_ON": 1024, "ANSI_NULL_DFLT_OFF": 2048, "CONCAT_NULL_YIELDS_NULL": 4096,
           "NUMERIC_ROUNDABORT": 8192, "XACT_ABORT": 16384}
PROPERTIES = ("ANSI_NULLS", "ANSI_PADDING", "ANSI_WARNINGS", "ARITHABORT", "CONCAT_NULL_YIELDS_NULL",
              "NUMERIC_ROUNDABORT", "QUOTED_IDENTIFIER")

# Everything a session can see of itself, but for the isolation level, which a reset keeps.
STATE = ("SELECT @@OPTIONS, @@LANGUAGE, CAST(@@LANGID AS int), CAST(@@DATEFIRST AS int), @@LOCK_TIMEOUT, @@TEXTSIZE, "
         "CONTEXT_INFO(), SESSION_CONTEXT(N'key'), DB_NAME(), @@TRANCOUNT, XACT_STATE(), @@IDENTITY, SCOPE_IDENTITY(), "
         "OBJECT_ID(N'tempdb..#t'), OBJECT_ID(N'tempdb..##g'), SUSER_SNAME(), USER_NAME(), "
         "APPLOCK_MODE('public', 'lock', 'Session'), "
         "(SELECT date_format FROM sys.dm_exec_sessions WHERE session_id = @@SPID), "
         "(SELECT deadlock_priority FROM sys.dm_exec_sessions WHERE session_id = @@SPID)")


def reset(client):
    answer = client.query("SELECT @@ROWCOUNT AS n, @@ERROR AS e", STATUS_RESET)
    assert ENV_RESET in answer.env_kinds() and answer.rows == [[0, 0]], (answer.env, answer.rows)


def user_options(client):
    return dict(client.query("DBCC USEROPTIONS").rows)


def setters(server):
    """Statements each of which leaves a trace in STATE."""
    return [*(f"SET {name} ON" for name in OPTIONS if name not in ("IMPLICIT_TRANSACTIONS", "ANSI_NULL_DFLT_OFF")),
            "SET ANSI_NULLS OFF", "SET QUOTED_IDENTIFIER OFF", "SET ANSI_DEFAULTS OFF", "SET LANGUAGE Deutsch",
            "SET DATEFIRST 3", "SET DATEFORMAT ydm", "SET LOCK_TIMEOUT 4321", "SET TEXTSIZE 1234", "SET ROWCOUNT 3",
            "SET CONTEXT_INFO 0x0102", "EXEC sp_set_session_context N'key', N'mine', @read_only = 1", "USE master",
            "BEGIN TRAN", "BEGIN TRAN; SAVE TRAN s", "INSERT INTO tenant_db.dbo.ids DEFAULT VALUES",
            "CREATE TABLE #t (n int)", "CREATE TABLE ##g (n int)", "SET DEADLOCK_PRIORITY HIGH",
            "EXEC sp_getapplock 'lock', 'Exclusive', 'Session'", "SET NOEXEC ON", "SET PARSEONLY ON", "SET FMTONLY ON",
            "SET IDENTITY_INSERT tenant_db.dbo.ids ON", "SET TRANSACTION ISOLATION LEVEL SNAPSHOT",
            "SET XACT_ABORT, NOCOUNT ON", "DBCC TRACEON (3604)"]


@cases(seed=[1, 2, 3, 4])
def test_a_reset_session_is_like_a_new_one(t, seed):
    """After any mixture of settings, and the isolation level stays."""
    server, chance = t.sqlserver(), random.Random(seed)
    t.client(server).query("CREATE TABLE dbo.ids (id int IDENTITY, n int DEFAULT 0)")
    client = t.client(server)
    [fresh] = client.query(STATE).rows
    first_options, changed = user_options(client), 0
    for _ in range(60):
        level = first_options["isolation level"]
        for statement in chance.sample(setters(server), chance.randrange(1, 6)):
            if "FMTONLY" not in statement:
                client.ask(statement)
        seen = client.ask(STATE).rows
        changed += seen != [fresh]
        reset(client)
        assert client.query(STATE).rows == [fresh]
        now = user_options(client)
        level = now.pop("isolation level")
        assert now == {k: v for k, v in first_options.items() if k != "isolation level"}, now
        assert level in ("read committed", "snapshot")
    assert changed > 40, changed
    assert t.client(server).query(STATE).rows == [fresh], "another session saw something of it"


def test_set_options_show(t):
    """In @@OPTIONS, SESSIONPROPERTY and DBCC USEROPTIONS; back after a reset."""
    client = t.client(t.sqlserver())
    first = client.scalar("SELECT @@OPTIONS")
    assert first == 8 + 16 + 32 + 256 + 1024 + 4096, f"defaults of fODBC: {first}"
    for name, bit in OPTIONS.items():
        for setting in ("ON", "OFF"):
            client.query(f"SET {name} {setting}")
            now = client.query("SELECT @@OPTIONS; IF @@TRANCOUNT > 0 COMMIT").rows[0][0]
            assert bool(now & bit) == (setting == "ON"), f"{name} {setting}: {now}"
            if name in PROPERTIES:
                assert client.query(f"SELECT SESSIONPROPERTY('{name}')").rows == [[int(setting == "ON")]]
            assert (user_options(client).get(name.lower()) == "SET") == (setting == "ON"), name
            client.query("IF @@TRANCOUNT > 0 COMMIT")
    client.query("SELECT 1", STATUS_RESET)
    assert client.scalar("SELECT @@OPTIONS") == first


def test_set_options_that_belong_together(t):
    client = t.client(t.sqlserver())
    members = 2 + 4 + 8 + 16 + 32 + 256 + 1024
    client.query("SET ANSI_DEFAULTS OFF")
    assert client.scalar("SELECT @@OPTIONS") & members == 0
    client.query("SET ANSI_DEFAULTS ON")
    assert client.scalar("SELECT @@OPTIONS") & members == members, "no FROM: that begins no transaction"
    client.query("SET IMPLICIT_TRANSACTIONS OFF; SET ANSI_NULL_DFLT_OFF ON")
    assert client.scalar("SELECT @@OPTIONS") & (1024 + 2048) == 2048
    client.query("SET ANSI_NULL_DFLT_ON ON")
    assert client.scalar("SELECT @@OPTIONS") & (1024 + 2048) == 1024


def test_defaults_follow_fodbc(t):
    """A login without it (db-lib) starts with the ANSI options off, and a reset takes it back there."""
    from test_standin_login import login
    server = t.sqlserver()
    answer, one = login(server, user=server.user, password=server.password, flags=(0xE0, 0x01, 0, 0))
    assert answer.loginack
    client = one.client
    assert client.query("SELECT @@OPTIONS, @@TEXTSIZE").rows == [[0, 4096]]
    client.query("SET ANSI_NULLS, QUOTED_IDENTIFIER ON; SET TEXTSIZE -1")
    assert client.query("SELECT @@OPTIONS, @@TEXTSIZE").rows == [[32 + 256, 2**31 - 1]]
    assert client.query("SELECT @@OPTIONS, @@TEXTSIZE", STATUS_RESET).rows == [[0, 4096]]


def test_quoted_identifier_acts_when_parsed(t):
    client = t.client(t.sqlserver())
    assert numbers(client.ask('SELECT "text"')) == [207]
    assert client.query('SET QUOTED_IDENTIFIER OFF; SELECT "text"').rows == [["text"]]
    assert client.query('SELECT "again"').rows == [["again"]]
    assert client.query('SET NOCOUNT, QUOTED_IDENTIFIER ON; SELECT 1 AS "a name"').columns == [["a name"]]
    client.query("IF 1 = 0 SET QUOTED_IDENTIFIER OFF")
    assert client.query('SELECT "never executed, yet set"').rows == [["never executed, yet set"]]
    assert client.query("EXEC('SET QUOTED_IDENTIFIER ON; SELECT 1 AS \"inside\"'); SELECT \"outside\"").rows == [
        [1], ["outside"]]
    client.query("SET QUOTED_IDENTIFIER ON")
    client.query("CREATE PROCEDURE dbo.p AS SET QUOTED_IDENTIFIER OFF; SELECT 1")
    assert client.scalar("SELECT @@OPTIONS") & 256


def test_language(t):
    client = t.client(t.sqlserver())
    seen = {}
    for language in ("us_english", "Deutsch", "Svenska", "British", "日本語", "Brazilian"):
        client.query(f"SET LANGUAGE {language}" if language.isascii() else f"SET LANGUAGE N'{language}'")
        seen[language] = client.query("SELECT @@LANGUAGE, CAST(@@LANGID AS int), CAST(@@DATEFIRST AS int)").rows[0]
    assert seen == {"us_english": ["us_english", 0, 7], "Deutsch": ["Deutsch", 1, 1], "Svenska": ["Svenska", 11, 1],
                    "British": ["British", 23, 1], "日本語": ["日本語", 3, 7],
                    "Brazilian": ["Português (Brasil)", 27, 7]}, seen
    client.query("SET LANGUAGE Deutsch; SET DATEFIRST 5; SET DATEFORMAT ymd")
    assert user_options(client)["dateformat"] == "ymd" and client.scalar("SELECT CAST(@@DATEFIRST AS int)") == 5
    client.query("SET LANGUAGE Français")
    assert user_options(client)["dateformat"] == "dmy" and client.scalar("SELECT CAST(@@DATEFIRST AS int)") == 1
    assert numbers(client.ask("SET DATEFORMAT xyz")) == [2741] and numbers(client.ask("SET DATEFIRST 8")) == [2742]


def test_date_format_decides_how_text_is_read(t):
    client = t.client(t.sqlserver())

    def read(text, kind="datetime"):
        answer = client.ask(f"SELECT CONVERT(char(10), CAST('{text}' AS {kind}), 120)")
        return answer.rows[0][0] if answer.rows and not answer.errors else numbers(answer)

    expected = {"mdy": ["2003-01-02", "2003-01-02", "2024-02-03", "2024-02-03"],
                "dmy": ["2003-02-01", "2003-02-01", "2024-03-02", "2024-02-03"],
                "ymd": ["2001-02-03", "2003-01-02", "2024-02-03", "2024-02-03"],
                "ydm": ["2001-03-02", "2003-02-01", "2024-03-02", "2024-02-03"],
                "myd": ["2002-01-03", "2003-01-02", "2024-02-03", "2024-02-03"],
                "dym": ["2002-03-01", "2003-02-01", "2024-03-02", "2024-02-03"]}
    for order, dates in expected.items():
        client.query(f"SET DATEFORMAT {order}")
        seen = [read("01/02/03"), read("01-02-2003"), read("2024-02-03"), read("2024-02-03", "date")]
        assert seen == dates, f"{order}: {seen}"
        assert read("20240203") == read("2024-02-03T00:00:00") == "2024-02-03", f"{order}: ISO"
        assert client.scalar("DECLARE @d datetime = '03 Feb 2024'; SELECT CONVERT(char(8), @d, 112)") == "20240203"
    client.query("SET DATEFORMAT dmy")
    assert read("2024-02-13") in ([241], [242]) and read("13/02/2024") == "2024-02-13"
    assert client.scalar("SELECT CONVERT(char(8), CONVERT(datetime, '02/13/2024', 101), 112)") == "20240213"
    assert client.query("SELECT ISDATE('13/02/2024'), ISDATE('02/13/2024')").rows == [[1, 0]]
    client.query("SELECT 1", STATUS_RESET)
    assert read("02/13/2024") == "2024-02-13"


def test_limits_of_a_session(t):
    """ROWCOUNT, TEXTSIZE, DATEFIRST and LOCK_TIMEOUT do what they say, until the reset."""
    client = t.client(t.sqlserver())
    client.query("SET ROWCOUNT 2; SET TEXTSIZE 4; SET DATEFIRST 1; SET LOCK_TIMEOUT 77")
    query = ("SELECT CAST(REPLICATE('x', 10) AS varchar(max)), DATEPART(weekday, '20240204'), @@LOCK_TIMEOUT "
             "FROM (VALUES (1), (2), (3)) v (n)")
    assert client.query(query).rows == [["xxxx", 7, 77]] * 2
    assert client.query(query, STATUS_RESET).rows == [["x" * 10, 1, -1]] * 3


def test_context(t):
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    client.query("SET CONTEXT_INFO 0xABCD; EXEC sp_set_session_context N'Key', 42; "
                 "EXEC sp_set_session_context @key = N'fixed', @value = N'x', @read_only = 1")
    [[info, key, fixed, none]] = client.query(
        "SELECT CONTEXT_INFO(), SESSION_CONTEXT(N'Key'), SESSION_CONTEXT(N'fixed'), SESSION_CONTEXT(N'none')").rows
    assert info == b"\xab\xcd" + bytes(126) and (key, fixed, none) == (42, "x", None)
    client.rpc(10, "SET CONTEXT_INFO 0x01")
    assert client.scalar("SELECT CONTEXT_INFO()")[:2] == b"\1\0", "it outlives sp_executesql"
    assert numbers(client.ask("EXEC sp_set_session_context N'fixed', 1")) == [15664]
    question = "SELECT CONTEXT_INFO(), SESSION_CONTEXT(N'Key'), SESSION_CONTEXT(N'fixed')"
    assert other.query(question).rows == [[None] * 3] == client.query(question, STATUS_RESET).rows
    assert not client.ask("EXEC sp_set_session_context N'fixed', 1").errors


def test_isolation_level_shows_and_survives(t):
    client = t.client(t.sqlserver())
    levels = ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"]
    for number, level in enumerate(levels, 1):
        client.query(f"SET TRANSACTION ISOLATION LEVEL {level}")
        for status in (0, STATUS_RESET):
            assert client.query(ISOLATION, status).rows == [[number]]
            assert user_options(client)["isolation level"] == level.lower()
    client.rpc("sp_reset_connection")
    assert client.scalar(ISOLATION) == 5
    assert client.tran(TRAN_BEGIN, isolation=1).env_kinds() == [8] and client.scalar(ISOLATION) == 1
    client.tran(TRAN_ROLLBACK)
    assert client.query(ISOLATION, STATUS_RESET).rows == [[1]], "the transaction manager's level stays as well"


def test_last_values(t):
    server = t.sqlserver()
    client = t.client(server)
    nothing = [[None, None, 0]]
    question = "SELECT @@IDENTITY, SCOPE_IDENTITY(), @@ERROR"
    assert client.query(question).rows == nothing
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(10, 1), n int); INSERT INTO dbo.ids VALUES (1)")
    assert client.query(question).rows == [[Decimal(10), Decimal(10), 0]]
    assert client.query("SELECT @@ROWCOUNT FROM (VALUES (1), (2)) v (n)").rows == [[1], [1]]
    assert client.scalar("SELECT @@ROWCOUNT") == 2
    client.ask("SELECT 1/0")
    assert client.scalar("SELECT @@ERROR") == 8134
    assert t.client(server).query(question).rows == nothing == client.query(question, STATUS_RESET).rows


def test_temp_objects_go(t):
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    client.query("CREATE TABLE #t (n int); SELECT 1 AS n INTO #u; CREATE TABLE ##g (n int); INSERT INTO ##g VALUES (5)")
    question = "SELECT OBJECT_ID('tempdb..#t'), OBJECT_ID('tempdb..#u'), OBJECT_ID('tempdb..##g')"
    assert None not in client.query(question).rows[0]
    assert other.query(question).rows[0][:2] == [None, None] and other.scalar("SELECT n FROM ##g") == 5
    assert client.query(question, STATUS_RESET).rows == [[None] * 3] == other.query(question).rows
    client.query("CREATE TABLE #t (other nvarchar(5)); INSERT INTO #t VALUES (N'x')")
    assert client.query("SELECT * FROM #t").rows == [["x"]]


# ---------------------------------------------------------------------------------------------------- locks


def applock(client, call):
    return client.query(f"DECLARE @r int; EXEC @r = {call}; SELECT @r").rows[0][0]


def test_application_locks(t):
    server = t.sqlserver()
    holder, other = t.client(server), t.client(server)
    take = "sp_getapplock 'res', 'Exclusive', 'Session', 0"
    mode = "SELECT APPLOCK_MODE('public', 'res', 'Session'), APPLOCK_MODE('public', 'res', 'Transaction')"
    test = "SELECT CAST(APPLOCK_TEST('public', 'res', 'Shared', 'Session') AS int)"
    assert holder.query(mode).rows == [["NoLock", "NoLock"]] and applock(holder, take) == 0
    assert holder.query(mode).rows == [["Exclusive", "NoLock"]] and other.query(mode).rows == [["NoLock", "NoLock"]]
    assert applock(other, take) == -1 and other.scalar(test) == 0 and holder.scalar(test) == 1
    assert applock(holder, take) == 0 and applock(holder, "sp_releaseapplock 'res', 'Session'") == 0
    assert applock(other, take) == -1, "taken twice, released once"
    assert numbers(other.ask("EXEC sp_releaseapplock 'res', 'Session'")) == [1223]
    reset(holder)
    assert holder.query(mode).rows == [["NoLock", "NoLock"]] and applock(other, take) == 0
    other.close()
    server.wait_connections(1)
    assert applock(holder, take) == 0, "a closed session holds nothing"


def test_application_lock_of_a_transaction(t):
    server = t.sqlserver()
    holder, other = t.client(server), t.client(server)
    holder.query("BEGIN TRAN")
    assert applock(holder, "sp_getapplock 'res', 'Exclusive', 'Transaction'") == 0
    other.send("DECLARE @r int; EXEC @r = sp_getapplock 'res', 'Exclusive', 'Session', 10000; SELECT @r")
    wait_until(lambda: running(server) == 1, 5, "the other waits")
    holder.query("COMMIT")
    assert other.receive().rows == [[1]]


# ---------------------------------------------------------------------------------------------------- impersonation


def test_execute_as(t):
    server = t.sqlserver()
    server.login("add", "clerk", "x")
    client = t.client(server)
    who = "SELECT SUSER_SNAME(), USER_NAME(), ORIGINAL_LOGIN()"
    assert client.query(who).rows == [["sa", "dbo", "sa"]]
    client.query("EXECUTE AS LOGIN = 'clerk'")
    assert client.query(who).rows == [["clerk", "clerk", "sa"]]
    assert client.query("EXEC AS USER = 'dbo'; " + who).rows == [["sa", "dbo", "sa"]]
    shown = client.query("SELECT login_name, original_login_name FROM sys.dm_exec_sessions WHERE session_id = @@SPID")
    assert shown.rows == [["sa", "sa"]]
    assert client.query("REVERT; " + who).rows == [["clerk", "clerk", "sa"]]
    assert client.query("REVERT; REVERT; " + who).rows == [["sa", "dbo", "sa"]]
    assert numbers(client.ask("EXECUTE AS LOGIN = 'nobody'")) == [15406]
    assert numbers(client.ask("EXECUTE AS USER = 'nobody'")) == [15517]
    assert client.query("EXEC('EXECUTE AS LOGIN = ''clerk''; SELECT SUSER_SNAME()'); SELECT SUSER_SNAME()").rows == [
        ["clerk"], ["sa"]], "a module's end reverts"
    client.query("EXECUTE AS CALLER")
    cookie = ("DECLARE @c varbinary(100); EXECUTE AS LOGIN = 'clerk' WITH COOKIE INTO @c; SELECT SUSER_SNAME(); "
              "REVERT WITH COOKIE = @c; SELECT SUSER_SNAME()")
    assert client.query(cookie).rows == [["clerk"], ["sa"]]
    client.query("DECLARE @c varbinary(100); EXECUTE AS LOGIN = 'clerk' WITH COOKIE INTO @c")
    assert numbers(client.ask("REVERT")) == [15591] and client.scalar("SELECT SUSER_SNAME()") == "clerk"


@cases(how=["bit", "procedure"])
def test_reset_under_impersonation_ends_the_connection(t, how):
    server = t.sqlserver()
    client = t.client(server)
    client.query("EXECUTE AS USER = 'guest' WITH NO REVERT")
    assert numbers(client.ask("REVERT")) == [15591]
    if how == "bit":
        client.send("SELECT 'must not run'", STATUS_RESET)
        answer = client.receive()
    else:
        answer = client.rpc("sp_reset_connection")
    assert [(e.number, e.severity) for e in answer.errors] == [(18059, 20)] and answer.rows == []
    assert ENV_RESET not in answer.env_kinds()
    assert_closed(client)
    assert server.stats()["resets_failed_total"] == 1


@cases(cookie=[False, True])
def test_application_role(t, cookie):
    """It cannot be reset away: the connection ends, unless its cookie has taken it back."""
    server = t.sqlserver()
    client = t.client(server)
    client.query("EXEC sp_addapprole 'reports', 'pw'")
    assert numbers(client.ask("EXEC sp_setapprole 'reports', 'no'")) == [15161]
    who = "SELECT USER_NAME(), SUSER_SNAME()"
    if cookie:
        text = ("DECLARE @c varbinary(8000); EXEC sp_setapprole 'reports', 'pw', 'none', 1, @c OUTPUT; "
                f"{who}; EXEC sp_unsetapprole @c; {who}")
        assert client.query(text).rows == [["reports", "sa"], ["dbo", "sa"]]
        reset(client)
        return
    client.query("EXEC sp_setapprole 'reports', 'pw'")
    assert client.query(who).rows == [["reports", "sa"]] and numbers(client.ask("REVERT")) == [15591]
    assert numbers(client.ask("EXEC sp_unsetapprole 0x01")) == [15592]
    client.send("SELECT 1", STATUS_RESET)
    assert numbers(client.receive()) == [18059]
    assert_closed(client)


def test_trace_flags(t):
    """Those of the session go with a reset, those of the server stay."""
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    client.query("DBCC TRACEON (3604, 1222) WITH NO_INFOMSGS; DBCC TRACEON (1118, -1)")
    assert client.query("DBCC TRACESTATUS()").rows == [[1118, 1, 1, 0], [1222, 1, 0, 1], [3604, 1, 0, 1]]
    assert other.query("DBCC TRACESTATUS").rows == [[1118, 1, 1, 0]]
    assert client.query("DBCC TRACEOFF (1222); DBCC TRACESTATUS (1222, 3604)").rows == [[1222, 0, 0, 0], [3604, 1, 0, 1]]
    assert client.query("DBCC TRACESTATUS (-1)", STATUS_RESET).rows == [[1118, 1, 1, 0]]


# ---------------------------------------------------------------------------------------------------- resets that fail or differ


@cases(why=["fail-reset", "disable", "drop"])
def test_reset_that_fails(t, why):
    """The login is done again: 18056, and nothing of the request runs."""
    server = t.sqlserver()
    server.login("add", "app", "pw")
    client = t.client(server, user="app", password="pw")
    client.query("CREATE TABLE dbo.n (n int)")
    assert client.query("SELECT 1", STATUS_RESET).rows == [[1]]
    if why == "fail-reset":
        server.set("fail-reset", 1)
    else:
        server.login(why, "app")
    client.send("INSERT INTO dbo.n VALUES (1)", STATUS_RESET)
    answer = client.receive()
    assert [(e.number, e.severity) for e in answer.errors] == [(18056, 20)], numbers(answer)
    assert_closed(client)
    server.set("fail-reset", 0)
    assert t.client(server).scalar("SELECT COUNT(*) FROM dbo.n") == 0


def test_reset_that_leaves_the_database(t):
    server = t.sqlserver(args=["--no-database-reset"])
    client = t.client(server)
    client.query("USE master; SET LOCK_TIMEOUT 5")
    answer = client.query("SELECT DB_NAME(), @@LOCK_TIMEOUT", STATUS_RESET)
    assert answer.rows == [["master", -1]] and ENV_DATABASE not in answer.env_kinds()
    server.set("no-database-reset", 0)
    assert client.query("SELECT DB_NAME()", STATUS_RESET).rows == [[server.database]]


def test_silent_transactions_can_be_switched(t):
    server = t.sqlserver()
    client = t.client(server)
    for silent in (1, 0):
        server.set("silent-transactions", silent)
        assert [bool(client.query(text).env) for text in ("BEGIN TRAN", "COMMIT")] == [not silent] * 2


@full
@timeout(300)
def test_twelve_thousand_connections(t):
    server = t.sqlserver()
    crowd = t.crowd(server)
    base = proc_rss_kib(server.pid)
    crowd.open(12000)
    crowd.wait_state(HELD, 12000, timeout=200)
    each = (proc_rss_kib(server.pid) - base) / 12000
    assert server.connections() == len(server.sessions()) == 12000 and each < 20, f"{each:.1f} KiB for each"
    crowd.release()
    crowd.wait_all(timeout=60)
    server.wait_connections(0, timeout=30)


@timeout(60)
def test_many_databases_in_one_session(t):
    """More than SQLite attaches at once, each again and again, in a transaction and outside of it."""
    names = [f"many_{n}" for n in range(25)]
    server = t.sqlserver(args=[word for name in names for word in ("--database", name)])
    with t.client(server) as client:
        for name in names:
            client.query(f"USE {name}; CREATE TABLE dbo.own (name varchar(20)); INSERT INTO dbo.own VALUES (DB_NAME())")
        for round_ in range(2):
            for name in names:
                client.query(f"USE {name}")
                assert client.query("SELECT name FROM dbo.own").rows == [[name]]
            client.query("BEGIN TRAN")
            for name in names[:5]:
                assert client.query(f"SELECT name FROM {name}.dbo.own").rows == [[name]]
            client.query(f"UPDATE {names[0]}.dbo.own SET name = 'other'; ROLLBACK")
