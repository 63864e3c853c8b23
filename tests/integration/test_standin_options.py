"""The stand-in SQL Server's SET options: every one is kept by its session, shows, and goes with a reset.

test_standin_state.py has what the options do; here is that none is forgotten: the control port's `state` shows them all.
"""

from harness import *
from harness.tds import *
from test_standin_protocol import numbers

SWITCHES = ("QUOTED_IDENTIFIER", "ANSI_NULLS", "ANSI_NULL_DFLT_OFF", "ANSI_NULL_DFLT_ON", "ANSI_PADDING", "ANSI_WARNINGS",
            "CONCAT_NULL_YIELDS_NULL", "CURSOR_CLOSE_ON_COMMIT", "NUMERIC_ROUNDABORT", "ARITHIGNORE", "ARITHABORT",
            "XACT_ABORT", "FORCEPLAN", "REMOTE_PROC_TRANSACTIONS", "STATISTICS IO", "STATISTICS TIME",
            "IMPLICIT_TRANSACTIONS", "NOCOUNT", "STATISTICS PROFILE", "STATISTICS XML")
NO_EXECUTION = ("FMTONLY", "NOEXEC", "PARSEONLY", "SHOWPLAN_ALL", "SHOWPLAN_TEXT", "SHOWPLAN_XML")
VALUES = {"DATEFORMAT": "ydm", "DATEFIRST": "3", "DEADLOCK_PRIORITY": "-7", "LOCK_TIMEOUT": "4321",
          "QUERY_GOVERNOR_COST_LIMIT": "99", "TEXTSIZE": "1234", "ROWCOUNT": "5", "LANGUAGE": "Deutsch"}
STATISTICS_IO, STATISTICS_TIME, COMPILE_TIME = 3615, 3612, 3613


def changed(before, after):
    return {name: value for name, value in after.items() if value != before[name]}


def last_values(state):
    """Without what every statement changes."""
    return {name: value for name, value in state.items() if not name.startswith("@@")}


def test_each_option_is_kept_and_reset(t):
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    fresh = last_values(server.state(client))
    assert fresh == last_values(server.state(other))
    settings = {**{name: "OFF" if fresh[name] == "ON" else "ON" for name in SWITCHES + NO_EXECUTION}, **VALUES}
    for name, value in settings.items():
        client.query(f"SET {name} {value}")
        client.ask("DECLARE @nothing int")
        seen = changed(fresh, last_values(server.state(client)))
        expected = {name: value}
        if name in ("ANSI_NULL_DFLT_OFF", "LANGUAGE"):
            expected.update({"ANSI_NULL_DFLT_OFF": {"ANSI_NULL_DFLT_ON": "OFF"},
                             "LANGUAGE": {"DATEFORMAT": "dmy", "DATEFIRST": "1"}}[name])
        assert seen == expected, (name, seen)
        assert last_values(server.state(other)) == fresh
        client.query("DECLARE @nothing int", STATUS_RESET)
        assert last_values(server.state(client)) == fresh, name


def test_all_options_together(t):
    """As a replay sets them, in one batch; one reset takes them back, but for the isolation level."""
    server = t.sqlserver()
    client = t.client(server)
    fresh = server.state(client)
    flip = [f"SET {name} {'OFF' if fresh[name] == 'ON' else 'ON'}" for name in SWITCHES]
    text = "; ".join([*(f"SET {name} {value}" for name, value in VALUES.items() if name != "LANGUAGE"), *flip,
                      "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET CONTEXT_INFO 0x01"])
    client.query(text)
    seen = server.state(client)
    assert all(seen[name] == value for name, value in VALUES.items() if name != "LANGUAGE"), seen
    assert all(seen[name] != fresh[name] for name in SWITCHES if name != "ANSI_NULL_DFLT_OFF"), seen
    assert seen["TRANSACTION ISOLATION LEVEL"] == "REPEATABLE READ" and seen["CONTEXT_INFO"].startswith("01")
    client.query("DECLARE @nothing int", STATUS_RESET)
    assert changed(fresh, server.state(client)) == {"TRANSACTION ISOLATION LEVEL": "REPEATABLE READ"}


def test_state_shows_what_else_a_session_holds(t):
    server = t.sqlserver()
    client = t.client(server)
    fresh = server.state(client)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(7, 1), n int); EXEC sp_set_session_context N'Key', 42")
    client.query("CREATE TABLE #t (n int); CREATE TABLE ##g (n int); DBCC TRACEON (3604); EXECUTE AS USER = 'guest'")
    client.query("EXEC sp_getapplock 'one', 'Exclusive', 'Session'; SET IDENTITY_INSERT dbo.ids ON")
    client.query("SET IDENTITY_INSERT dbo.ids OFF; USE master; BEGIN TRAN named; SAVE TRAN a; SAVE TRAN b; BEGIN TRAN")
    client.query("EXEC sp_getapplock 'two', 'Shared'")
    client.rpc(11, handle_parameter(), None, "SELECT 1")
    client.query("INSERT INTO tenant_db.dbo.ids VALUES (1)")
    seen = changed(fresh, server.state(client))
    assert seen == {"database": "master", "@@TRANCOUNT": "2", "XACT_STATE()": "1", "transaction": "named",
                    "savepoints": "a,b", "temp objects": "#t,##g", "prepared handles": "1", "session context": "key=42",
                    "application locks": "two S transaction,one X session", "impersonation": "guest",
                    "trace flags": "3604", "@@IDENTITY": "7", "SCOPE_IDENTITY()": "7", "@@ROWCOUNT": "1"}, seen
    client.query("REVERT")
    client.query("DECLARE @nothing int", STATUS_RESET)
    assert changed(fresh, server.state(client)) == {}


def test_rowcount_limits_what_statements_touch(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.n (n int); INSERT INTO dbo.n VALUES (1), (2), (3), (4), (5)")
    client.query("SET ROWCOUNT 2")
    assert client.query("SELECT n FROM dbo.n").row_counts == [2]
    assert client.query("UPDATE dbo.n SET n = 9; DELETE FROM dbo.n; INSERT INTO dbo.n SELECT n FROM dbo.n").row_counts == [2] * 3
    assert client.query("SET ROWCOUNT 0; SELECT n FROM dbo.n").row_counts == [5]
    assert client.query("DECLARE @n int = 3; SET ROWCOUNT @n; SELECT n FROM dbo.n").row_counts == [3]
    client.rpc(10, "SET ROWCOUNT 1")
    assert client.query("SELECT n FROM dbo.n").row_counts == [3], "sp_executesql takes its own SETs back"


def test_statistics(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.a (n int); CREATE TABLE dbo.b (n int); INSERT INTO dbo.a VALUES (1)")

    def messages(sql):
        return [(m.number, m.text.split("'")[1] if "'" in m.text else "") for m in client.query(sql).infos]

    join = "SELECT COUNT(*) FROM dbo.a JOIN (SELECT n FROM dbo.b) x ON a.n = x.n"
    assert messages(join) == []
    client.query("SET STATISTICS IO ON")
    assert messages(join) == [(STATISTICS_IO, "a"), (STATISTICS_IO, "b")]
    assert messages("UPDATE dbo.a SET n = 2; SELECT 1") == [(STATISTICS_IO, "a")]
    client.query("SET STATISTICS IO OFF; SET STATISTICS TIME ON")
    assert messages("SELECT 1") == [(COMPILE_TIME, ""), (STATISTICS_TIME, "")]
    client.query("SET STATISTICS IO, TIME OFF")
    assert messages(join) == []
    client.query("SET STATISTICS PROFILE ON")
    answer = client.query("SELECT n AS x FROM dbo.a")
    assert answer.columns == [["x"], ["Rows", "Executes", "StmtText"]] and answer.rows == [
        [2], [1, 1, "SELECT n AS x FROM dbo.a"]]
    client.query("SET STATISTICS PROFILE OFF; SET STATISTICS XML ON")
    assert len(client.query("SELECT n AS x FROM dbo.a").columns) == 2
    assert client.query("SELECT 1", STATUS_RESET).infos == []
    assert len(client.query("SELECT 1").columns) == 1


@cases(option=NO_EXECUTION)
def test_options_that_keep_statements_from_running(t, option):
    server = t.sqlserver()
    client = t.client(server)
    client.query("CREATE TABLE dbo.n (n int)")
    client.query(f"SET {option} ON")
    answer = client.query("INSERT INTO dbo.n VALUES (1)")
    shown = [["INSERT INTO dbo.n VALUES (1)"]] if option in ("SHOWPLAN_ALL", "SHOWPLAN_TEXT") else [["<ShowPlanXML/>"]]
    assert answer.rows == (shown if option.startswith("SHOWPLAN") else []), answer.rows
    client.query(f"SET {option} OFF")
    assert client.scalar("SELECT COUNT(*) FROM dbo.n") == 0
    client.query(f"SET {option} ON")
    assert client.query("SELECT 7 AS n", STATUS_RESET).rows == [[7]]


def test_deadlock_priority(t):
    client = t.client(t.sqlserver())
    question = "SELECT deadlock_priority FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
    for text, number in (("LOW", -5), ("NORMAL", 0), ("HIGH", 5), ("-10", -10), ("10", 10), ("'low'", -5)):
        client.query(f"SET DEADLOCK_PRIORITY {text}")
        assert client.scalar(question) == number
    assert client.query("DECLARE @p int = 3; SET DEADLOCK_PRIORITY @p; " + question).rows == [[3]]
    assert numbers(client.ask("SET DEADLOCK_PRIORITY 11")) == [102] and client.scalar(question) == 3


def test_identity_insert(t):
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    client.query("CREATE TABLE dbo.a (id int IDENTITY, n int); CREATE TABLE dbo.b (id int IDENTITY, n int)")
    insert = "INSERT INTO dbo.a (id, n) VALUES (5, 1)"
    assert numbers(client.ask(insert)) == [544]
    client.query("SET IDENTITY_INSERT dbo.a ON; " + insert)
    assert numbers(client.ask("SET IDENTITY_INSERT dbo.b ON")) == [8107]
    assert numbers(client.ask("INSERT INTO dbo.a VALUES (2)")) == [545] and numbers(other.ask(insert)) == [544]
    assert numbers(client.ask("INSERT INTO dbo.a VALUES (6, 2)")) == [8101]
    client.query("SET IDENTITY_INSERT dbo.a OFF; SET IDENTITY_INSERT dbo.b ON")
    assert numbers(client.ask(insert)) == [544]
    assert numbers(client.ask("INSERT INTO dbo.b (id) VALUES (1)", STATUS_RESET)) == [544]


# ---------------------------------------------------------------------------------------------------- what else a session holds


def test_symmetric_keys(t):
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    question = "SELECT database_name, key_name FROM sys.openkeys"
    assert numbers(client.ask("OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = 'x'")) == [15151]
    client.query("CREATE SYMMETRIC KEY k WITH ALGORITHM = AES_256 ENCRYPTION BY PASSWORD = 'x'")
    assert numbers(client.ask("CLOSE SYMMETRIC KEY k")) == [15315] and client.query(question).rows == []
    assert client.query(f"OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = 'x'; {question}").rows == [["tenant_db", "k"]]
    assert client.query(question).rows == [["tenant_db", "k"]] and other.query(question).rows == []
    assert client.query(f"CLOSE SYMMETRIC KEY k; {question}").rows == []
    client.query("OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c")
    assert client.query(f"CLOSE ALL SYMMETRIC KEYS; {question}").rows == []
    client.query("OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c")
    assert server.state(client)["symmetric keys"] == "k" and client.query(question, STATUS_RESET).rows == []


def test_xml_documents(t):
    server = t.sqlserver()
    client = t.client(server)
    prepare = "DECLARE @h int; EXEC sp_xml_preparedocument @h OUTPUT, N'<a/>'; SELECT @h"
    first, second = client.scalar(prepare), client.scalar(prepare)
    assert first > 0 and second > first and server.state(client)["xml documents"] == f"{first},{second}"
    assert not client.ask(f"EXEC sp_xml_removedocument {first}").errors
    assert numbers(client.ask(f"EXEC sp_xml_removedocument {first}")) == [6607]
    client.query("SELECT 1", STATUS_RESET)
    assert server.state(client)["xml documents"] == "" and numbers(client.ask(f"EXEC sp_xml_removedocument {second}")) == [6607]


def test_setuser(t):
    """The old way to be somebody else."""
    client = t.client(t.sqlserver())
    assert client.query("SETUSER 'guest'; SELECT USER_NAME()").rows == [["guest"]]
    assert client.scalar("SELECT USER_NAME()") == "guest"
    assert client.query("SETUSER; SELECT USER_NAME()").rows == [["dbo"]]
