"""The stand-in SQL Server's errors in the middle of a batch: what they end, what they leave, TRY/CATCH, deadlocks."""

from harness import *
from harness.tds import *
from test_standin_protocol import assert_closed, numbers

BEGAN, ROLLED_BACK = 8, 10


def tables(t):
    server = t.sqlserver()
    client = t.client(server)
    client.query("CREATE TABLE dbo.parent (id int PRIMARY KEY); INSERT INTO dbo.parent VALUES (1); "
                 "CREATE TABLE dbo.child (id int NOT NULL UNIQUE, parent int REFERENCES dbo.parent (id), t nvarchar(3), "
                 "CONSTRAINT small CHECK (id < 100)); INSERT INTO dbo.child VALUES (1, 1, 'x')")
    return server, client


STATEMENT_ENDS = {"INSERT INTO dbo.child VALUES (1, 1, 'x')": 2627, "INSERT INTO dbo.child VALUES (NULL, 1, 'x')": 515,
                  "INSERT INTO dbo.child VALUES (2, 9, 'x')": 547, "INSERT INTO dbo.child VALUES (200, 1, 'x')": 547,
                  "DELETE FROM dbo.parent": 547, "INSERT INTO dbo.child VALUES (2, 1, 'long text')": 2628,
                  "SELECT 1 / 0": 8134, "RAISERROR('x', 16, 1)": 50000, "SELECT CAST(300 AS tinyint)": 220, "EXEC dbo.none": 2812,
                  "COMMIT TRAN; ROLLBACK": 3903, "SET IDENTITY_INSERT dbo.none ON": 1088}
BATCH_ENDS = {"SELECT CAST('x' AS int)": 245, "SELECT CAST('x' AS datetime)": 241, "SELECT * FROM dbo.none": 208,
              "SELECT nothing FROM dbo.child": 207, "THROW 50001, 'x', 1": 50001, "SELECT CAST('x' AS decimal(5, 2))": 8114}
ROLLS_BACK = {245, 241, 8114}


def test_errors_that_end_their_statement(t):
    """The batch goes on, the transaction stays."""
    _, client = tables(t)
    for text, number in STATEMENT_ENDS.items():
        answer = client.ask(f"BEGIN TRAN; {text}; SELECT 'after', @@TRANCOUNT")
        expected = 0 if "ROLLBACK" in text else 1
        assert numbers(answer) == [number] and answer.rows[-1] == ["after", expected], (text, numbers(answer), answer.rows)
        assert any(status & DONE_ERROR and status & DONE_MORE for _, status, *_ in answer.dones), text
        client.query("IF @@TRANCOUNT > 0 ROLLBACK")


def test_errors_that_end_the_batch(t):
    """Some of them the transaction too."""
    _, client = tables(t)
    for text, number in BATCH_ENDS.items():
        answer = client.ask(f"BEGIN TRAN; SELECT 'before' AS b; {text}; SELECT 'after'")
        assert numbers(answer) == [number] and answer.rows == [["before"]], (text, numbers(answer), answer.rows)
        assert answer.dones[-1][1] == DONE_ERROR
        assert client.scalar("SELECT @@TRANCOUNT") == (0 if number in ROLLS_BACK else 1), text
        assert (ROLLED_BACK in answer.env_kinds()) == (number in ROLLS_BACK), text
        client.query("IF @@TRANCOUNT > 0 ROLLBACK")


def test_errors_found_before_anything_runs(t):
    """A batch that cannot be parsed does nothing at all."""
    _, client = tables(t)
    for text, number in (("SELEC 1", 2812), ("BEGIN TRAN; SELECT (", 102), ("BEGIN TRAN; SELECT @none", 137),
                         ("BEGIN TRAN; SELECT 'x", 105), ("BEGIN TRAN; FROM x", 156)):
        answer = client.ask(text)
        assert number in numbers(answer) and answer.env == [] and client.scalar("SELECT @@TRANCOUNT") == 0, (text, numbers(answer))


def test_errors_inside_procedures(t):
    """A statement's error lets the procedure and its caller go on; one that ends the batch ends them all."""
    _, client = tables(t)
    client.query("CREATE PROCEDURE dbo.soft AS SELECT 1 / 0; SELECT 'in procedure' AS p; RETURN 3")
    client.query("CREATE PROCEDURE dbo.hard AS SELECT CAST('x' AS int); SELECT 'in procedure' AS p")
    answer = client.ask("DECLARE @r int; EXEC @r = dbo.soft; SELECT 'after', @r")
    assert numbers(answer) == [8134] and answer.rows == [["in procedure"], ["after", 3]]
    answer = client.ask("EXEC dbo.hard; SELECT 'after'")
    assert numbers(answer) == [245] and answer.rows == [] and answer.dones[-1][1] & DONE_ERROR
    answer = client.rpc("dbo.soft")
    assert numbers(answer) == [8134] and answer.rows == [["in procedure"]] and answer.return_status == 3
    answer = client.rpc("dbo.hard")
    assert numbers(answer) == [245] and answer.dones[-1][:2] == (0xFE, DONE_ERROR)


def test_try_catch(t):
    _, client = tables(t)
    text = ("BEGIN TRY SELECT 1 AS a; {}; SELECT 'not' AS b END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_SEVERITY(), "
            "ERROR_STATE(), ERROR_LINE(), ERROR_PROCEDURE() END CATCH; SELECT 'after' AS c")
    for statement, expected in (("RAISERROR('x', 12, 7)", [50000, 12, 7, 1, None]), ("SELECT 1 / 0", [8134, 16, 1, 1, None]),
                                ("THROW 50002, 'x', 9", [50002, 16, 9, 1, None])):
        answer = client.ask(text.format(statement))
        assert not answer.errors and answer.rows == [[1], expected, ["after"]], (statement, answer.rows)
    client.query("CREATE PROCEDURE dbo.p AS\nSELECT 1;\nSELECT CAST('x' AS int)")
    answer = client.ask(text.format("EXEC dbo.p"))
    assert not answer.errors and answer.rows[2] == [245, 16, 1, 3, "p"], answer.rows
    answer = client.ask("BEGIN TRY SELECT 1 / 0 END TRY BEGIN CATCH THROW END CATCH; SELECT 'not'")
    assert numbers(answer) == [8134] and answer.rows == []
    answer = client.ask("BEGIN TRY BEGIN TRY SELECT 1 / 0 END TRY BEGIN CATCH RAISERROR('inner', 16, 1) END CATCH END TRY "
                        "BEGIN CATCH SELECT ERROR_MESSAGE() END CATCH")
    assert not answer.errors and answer.rows == [["inner"]]
    answer = client.ask("BEGIN TRY RAISERROR('only told', 10, 1); SELECT 'goes on' END TRY BEGIN CATCH SELECT 'not' END CATCH")
    assert answer.rows == [["goes on"]] and [m.text for m in answer.infos] == ["only told"]
    assert client.ask("BEGIN TRY EXEC('SELEC 1 1') END TRY BEGIN CATCH SELECT 'caught' END CATCH").rows == [["caught"]]


def test_raiserror_and_throw(t):
    _, client = tables(t)
    answer = client.ask("RAISERROR('%s is %d of %s', 16, 5, N'one', 2, N'três'); SELECT @@ERROR")
    assert [(e.number, e.severity, e.state, e.text) for e in answer.errors] == [(50000, 16, 5, "one is 2 of três")]
    assert answer.rows == [[50000]]
    answer = client.ask("DECLARE @m nvarchar(99) = N'text', @s int = 3; THROW 51234, @m, @s")
    assert [(e.number, e.severity, e.state, e.text) for e in answer.errors] == [(51234, 16, 3, "text")]
    assert numbers(client.ask("THROW")) == [10704] and numbers(client.ask("THROW 1, 'x', 1")) == [35100]
    assert numbers(client.ask("RAISERROR('x', 19, 1)")) == [2754]
    assert numbers(client.ask("RAISERROR('x', 20, 1) WITH LOG")) == [50000]
    assert_closed(client)


@cases(how=["batch", "procedure", "rpc"])
def test_deadlock_victim(t, how):
    """The transaction is gone, told by ENVCHANGE 10, and the batch with it; the session lives."""
    server, client = tables(t)
    client.query("CREATE PROCEDURE dbo.p AS UPDATE dbo.child SET t = 'y'; SELECT 'not'")
    server.set("deadlocks", 1)
    assert client.query("UPDATE dbo.child SET t = 'z'").row_counts == [1], "nobody waits outside of a transaction"
    client.query("BEGIN TRAN")
    if how == "rpc":
        answer = client.rpc("dbo.p")
    else:
        answer = client.ask(("UPDATE dbo.child SET t = 'y'" if how == "batch" else "EXEC dbo.p") + "; SELECT 'not'")
    assert [(e.number, e.severity) for e in answer.errors] == [(1205, 13)] and answer.rows == []
    assert answer.env_kinds() == [ROLLED_BACK] and client.scalar("SELECT @@TRANCOUNT") == 0
    assert client.query("SELECT t FROM dbo.child").rows == [["z"]]
    assert client.query("BEGIN TRAN; UPDATE dbo.child SET t = 'y'; COMMIT; SELECT t FROM dbo.child").rows == [["y"]], "only one"


def test_deadlock_in_a_try_block(t):
    server, client = tables(t)
    server.set("deadlocks", 1)
    answer = client.ask("BEGIN TRAN; BEGIN TRY UPDATE dbo.child SET t = 'y' END TRY BEGIN CATCH "
                        "SELECT ERROR_NUMBER(), XACT_STATE(), @@TRANCOUNT; ROLLBACK END CATCH; SELECT 'after', @@TRANCOUNT")
    assert answer.rows == [[1205, -1, 1], ["after", 0]] and not answer.errors
    assert answer.env_kinds() == [BEGAN, ROLLED_BACK]
