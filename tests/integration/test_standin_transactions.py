"""The stand-in SQL Server's transactions beyond the everyday (test_standin_protocol.py): savepoints, nesting, implicit
transactions, errors that end or doom them, transaction descriptors."""

import time

from harness import *
from harness.tds import *
from test_standin_protocol import numbers

BEGAN, COMMITTED, ROLLED_BACK, ENDED, RESET = 8, 9, 10, 17, 18


def table(t, args=(), **keys):
    client = t.client(t.sqlserver(args=args), **keys)
    client.query("CREATE TABLE dbo.n (n int NOT NULL PRIMARY KEY)")
    return client


def contents(client):
    return [row[0] for row in client.query("SELECT n FROM dbo.n ORDER BY n").rows]


# ---------------------------------------------------------------------------------------------------- savepoints


@cases(by=["text", "manager"])
def test_savepoints(t, by):
    client = table(t)

    def save(name):
        answer = client.query(f"SAVE TRAN {name}") if by == "text" else client.tran(TRAN_SAVE, name)
        assert answer.env == [] and not answer.errors

    def back(name):
        answer = client.ask(f"ROLLBACK TRAN {name}") if by == "text" else client.tran(TRAN_ROLLBACK, name)
        assert answer.env == []
        return numbers(answer)

    client.query("BEGIN TRAN outermost; INSERT INTO dbo.n VALUES (1)")
    save("a")
    client.query("INSERT INTO dbo.n VALUES (2)")
    save("b")
    client.query("INSERT INTO dbo.n VALUES (3)")
    save("a")
    client.query("INSERT INTO dbo.n VALUES (4)")
    assert back("a") == [] and contents(client) == [1, 2, 3], "the last one of that name"
    assert back("b") == [] and contents(client) == [1, 2]
    client.query("INSERT INTO dbo.n VALUES (5)")
    assert back("b") == [] and contents(client) == [1, 2], "it stays"
    assert back("A") == [] and contents(client) == [1], "names in any case; the first of that name is left"
    assert back("b") == [6401] and client.scalar("SELECT @@TRANCOUNT") == 1
    answer = client.query("ROLLBACK TRAN outermost")
    assert answer.env_kinds() == [ROLLED_BACK] and contents(client) == []


def test_savepoint_before_the_first_write(t):
    client = table(t)
    client.query("BEGIN TRAN; SAVE TRAN s; INSERT INTO dbo.n VALUES (1); CREATE TABLE #t (n int); ROLLBACK TRAN s")
    assert client.query("SELECT @@TRANCOUNT, OBJECT_ID('tempdb..#t')").rows == [[1, None]]
    client.query("INSERT INTO dbo.n VALUES (2); COMMIT")
    assert contents(client) == [2]


def test_errors_of_names_and_counts(t):
    client = table(t)
    for text, number in (("COMMIT", 3902), ("COMMIT TRAN name", 3902), ("ROLLBACK", 3903), ("ROLLBACK TRAN s", 3903),
                         ("SAVE TRAN s", 628)):
        assert numbers(client.ask(text)) == [number], text
        assert client.ask(f"{text}; SELECT @@TRANCOUNT").rows == [[0]], "the batch goes on"
    for kind, number in ((TRAN_COMMIT, 3902), (TRAN_ROLLBACK, 3903), (TRAN_SAVE, 628)):
        assert numbers(client.tran(kind, "s")) == [number]
    client.query("BEGIN TRAN a; BEGIN TRAN b")
    assert numbers(client.ask("ROLLBACK TRAN b")) == [6401], "only the outermost has its name"
    assert client.query("COMMIT TRAN nonsense; SELECT @@TRANCOUNT").rows == [[1]], "the name of a COMMIT means nothing"
    assert client.query("DECLARE @s nvarchar(9) = N'point'; SAVE TRAN @s; ROLLBACK TRAN @s; ROLLBACK TRAN a").env_kinds() == [
        ROLLED_BACK]


def test_nesting(t):
    """Only the outermost begin and commit are told of; a rollback ends them all."""
    client = table(t)
    answers = [client.query("BEGIN TRAN"), client.tran(TRAN_BEGIN), client.query("BEGIN TRAN; INSERT INTO dbo.n VALUES (1)")]
    assert [a.env_kinds() for a in answers] == [[BEGAN], [], []] and client.scalar("SELECT @@TRANCOUNT") == 3
    answers = [client.query("COMMIT"), client.tran(TRAN_COMMIT), client.query("SELECT @@TRANCOUNT; COMMIT")]
    assert [a.env_kinds() for a in answers] == [[], [], [COMMITTED]] and contents(client) == [1]
    client.query("BEGIN TRAN; BEGIN TRAN; INSERT INTO dbo.n VALUES (2)")
    assert client.tran(TRAN_ROLLBACK).env_kinds() == [ROLLED_BACK]
    assert client.scalar("SELECT @@TRANCOUNT") == 0 and contents(client) == [1]


def test_commit_or_roll_back_and_begin(t):
    client = table(t)
    client.tran(TRAN_BEGIN, "first")
    client.query("INSERT INTO dbo.n VALUES (1)")
    assert client.tran(TRAN_COMMIT, begin_next=True, isolation=4).env_kinds() == [COMMITTED, BEGAN]
    client.query("INSERT INTO dbo.n VALUES (2)")
    assert client.tran(TRAN_ROLLBACK, begin_next=True).env_kinds() == [ROLLED_BACK, BEGAN]
    client.tran(TRAN_SAVE, "s")
    client.query("INSERT INTO dbo.n VALUES (3)")
    assert client.tran(TRAN_ROLLBACK, "s", begin_next=True).env_kinds() == [], "to a savepoint: the flag is ignored"
    assert client.scalar("SELECT @@TRANCOUNT") == 1 and contents(client) == [1]
    client.query("BEGIN TRAN")
    assert client.tran(TRAN_COMMIT, begin_next=True).env_kinds() == [] and client.scalar("SELECT @@TRANCOUNT") == 1


# ---------------------------------------------------------------------------------------------------- errors


def test_errors_leave_the_transaction_but_for_xact_abort(t):
    client = table(t)
    double = "BEGIN TRAN; INSERT INTO dbo.n VALUES (1); INSERT INTO dbo.n VALUES (1); SELECT @@TRANCOUNT, XACT_STATE()"
    answer = client.ask(double)
    assert numbers(answer) == [2627] and answer.rows == [[1, 1]] and answer.env_kinds() == [BEGAN]
    assert client.query("COMMIT").env_kinds() == [COMMITTED] and contents(client) == [1]
    client.query("DELETE FROM dbo.n; SET XACT_ABORT ON")
    answer = client.ask(double)
    assert numbers(answer) == [2627] and answer.rows == [] and answer.env_kinds() == [BEGAN, ROLLED_BACK]
    assert contents(client) == [] and client.scalar("SELECT @@TRANCOUNT") == 0
    client.query("BEGIN TRAN")
    assert client.rpc(10, "INSERT INTO dbo.n VALUES (NULL)").env_kinds() == [ROLLED_BACK]
    client.tran(TRAN_BEGIN)
    assert client.ask("RAISERROR('x', 16, 1); SELECT @@TRANCOUNT").rows == [[1]], "RAISERROR does not"
    assert client.ask("THROW 50000, 'x', 1").env_kinds() == [ROLLED_BACK], "THROW does"


def test_doomed_transaction(t):
    client = table(t)
    client.query("SET XACT_ABORT ON")
    doom = "BEGIN TRAN; SAVE TRAN s; BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH {} END CATCH"
    for text, number in (("COMMIT", 3930), ("ROLLBACK TRAN s", 3931), ("INSERT INTO dbo.n VALUES (1)", 3930),
                         ("SAVE TRAN x", 3930)):
        answer = client.ask(doom.format(f"SELECT XACT_STATE(); {text}"))
        assert answer.rows == [[-1]] and number in numbers(answer), (text, numbers(answer))
        assert answer.env_kinds() == [BEGAN, ROLLED_BACK] and client.scalar("SELECT @@TRANCOUNT") == 0, text
    answer = client.ask(doom.format("ROLLBACK; SELECT XACT_STATE()"))
    assert answer.rows == [[0]] and not answer.errors and answer.env_kinds() == [BEGAN, ROLLED_BACK]


# ---------------------------------------------------------------------------------------------------- implicit transactions


def test_what_begins_an_implicit_transaction(t):
    client = table(t)
    client.query("DECLARE c CURSOR FOR SELECT 1 AS n; SET IMPLICIT_TRANSACTIONS ON")
    begin = ["SELECT n FROM dbo.n", "INSERT INTO dbo.n VALUES (1)", "UPDATE dbo.n SET n = 2", "DELETE FROM dbo.n",
             "CREATE TABLE dbo.new (n int)", "OPEN c", "TRUNCATE TABLE dbo.n", "CREATE PROCEDURE dbo.p AS SELECT 1",
             "DECLARE @n int; SELECT @n = n FROM dbo.n", "SELECT n INTO #t FROM dbo.n",
             "SELECT (SELECT MAX(n) FROM dbo.n) AS m"]
    do_not = ["SELECT 1", "SELECT (SELECT 1 AS a) AS b", "SELECT DISTINCT 1 AS n", "SELECT @@TRANCOUNT", "DECLARE @n int; SET @n = 1", "SET LOCK_TIMEOUT 5", "PRINT 'x'",
              "USE tenant_db", "IF @@TRANCOUNT > 0 COMMIT", "WAITFOR DELAY '00:00:00'", "DBCC USEROPTIONS"]
    seen = {}
    for text in begin + do_not:
        answer = client.ask(text)
        seen[text] = answer.env_kinds().count(BEGAN)
        client.query("IF @@TRANCOUNT > 0 ROLLBACK")
    assert seen == {**dict.fromkeys(begin, 1), **dict.fromkeys(do_not, 0)}, seen


def test_begin_inside_implicit_transactions(t):
    """BEGIN TRAN is nested in the transaction that it begins implicitly."""
    client = table(t)
    client.query("SET IMPLICIT_TRANSACTIONS ON")
    answer = client.query("BEGIN TRAN; SELECT @@TRANCOUNT")
    assert answer.rows == [[2]] and answer.env_kinds() == [BEGAN]
    assert client.query("COMMIT").env == [] and client.query("COMMIT").env_kinds() == [COMMITTED]
    client.query("INSERT INTO dbo.n VALUES (1)")
    client.query("SET IMPLICIT_TRANSACTIONS OFF")
    assert client.scalar("SELECT @@TRANCOUNT") == 1, "it stays open"
    assert client.query("SELECT @@TRANCOUNT", STATUS_RESET).rows == [[0]] and contents(client) == []


def test_a_transaction_that_writes_in_another_database(t):
    """Found nothing to change there first, while others wrote: that is no reason to wait for ever."""
    server = t.sqlserver(args=["--database", "home", "--database", "elsewhere"])
    other = t.client(server, database="home")
    other.query("CREATE TABLE dbo.t (n int); CREATE TABLE dbo.other (n int)")
    for first in ("UPDATE home.dbo.t SET n = 1 WHERE 1 = 0", "DELETE home.dbo.t WHERE 1 = 0"):
        with t.client(server, database="elsewhere") as client:
            client.query(f"BEGIN TRAN; {first}")
            other.send("INSERT INTO dbo.other VALUES (1)")
            time.sleep(0.2)
            assert client.query("INSERT INTO home.dbo.t VALUES (1); COMMIT; SELECT @@TRANCOUNT").rows == [[0]]
            other.receive().raise_error()


# ---------------------------------------------------------------------------------------------------- descriptors


@cases(kind=["batch", "rpc", "tran"])
def test_requests_need_the_descriptor(t, kind):
    """Of the transaction that is open: 3989 without one, 3971 with another; the session goes on."""
    client = table(t)

    def ask():
        if kind == "batch":
            return client.ask("SELECT 1")
        return client.rpc(10, "SELECT 1") if kind == "rpc" else client.tran(TRAN_BEGIN)

    client.query("BEGIN TRAN")
    right = client.session.transaction
    assert right > 0xFFFFFFFF, "more than four bytes of it count"
    for wrong, number in ((0, 3989), (right + 1, 3971), (right & 0xFFFFFFFF, 3971)):
        client.session.transaction = wrong
        answer = ask()
        assert numbers(answer) == [number] and answer.rows == [] and answer.dones[-1][1] == DONE_ERROR
        client.session.transaction = right
        assert not ask().errors
    client.query("WHILE @@TRANCOUNT > 0 COMMIT")
    client.session.transaction = right
    assert numbers(ask()) == [3971], "it has ended"
    client.session.transaction = 0
    assert not ask().errors


def test_descriptor_and_reset(t):
    """A reset ends the transaction before the request runs, which may still name it: told so, it runs. SKIPTRAN keeps it."""
    client = table(t)
    client.query("BEGIN TRAN; INSERT INTO dbo.n VALUES (1)")
    dead = client.session.transaction
    assert client.query("SELECT @@TRANCOUNT", STATUS_RESET_SKIP_TRAN).rows == [[1]]
    client.run(client.session.send(PACKET_BATCH, batch_payload("SELECT @@TRANCOUNT", dead), STATUS_RESET))
    answer = client.receive()
    assert answer.rows == [[0]] and answer.env_kinds() == [RESET, ENDED] and [m.number for m in answer.infos] == [3926]
    client.run(client.session.send(PACKET_BATCH, batch_payload("SELECT 1", dead), STATUS_RESET))
    answer = client.receive()
    assert numbers(answer) == [3971] and answer.env_kinds() == [RESET], "not a second time"
    client.session.transaction = 0
    assert contents(client) == []


def test_descriptors_are_not_asked_where_none_was_told(t):
    client = table(t, args=["--silent-transactions"])
    client.query("BEGIN TRAN")
    assert client.session.transaction == 0 and client.scalar("SELECT @@TRANCOUNT") == 1
    client.query("ROLLBACK")
    client.tran(TRAN_BEGIN)
    client.session.transaction = 0
    assert numbers(client.ask("SELECT 1")) == [3989]
    loose = table(t, args=["--strict-descriptors", "0"])
    loose.query("BEGIN TRAN")
    loose.session.transaction = 0
    assert loose.scalar("SELECT @@TRANCOUNT") == 1
