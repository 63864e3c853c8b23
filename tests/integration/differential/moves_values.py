"""@@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT, @@ERROR of one request asked in the next; errors.

@@ROWCOUNT and @@ERROR are asked behind a request that may have written only: those of a mere query are not kept when
another client takes the connection (DESIGN.md section 4, last values). DIFFERENTIAL_LAST_VALUES=all asks behind any.
"""

import os

from .steps import EXECUTE_SQL, Call
from .without import ERROR_BY_RPC
from .moves_transactions import write

EVERYTHING = os.environ.get("DIFFERENTIAL_LAST_VALUES") == "all"
IDENTITY_ASKS = [
    "SELECT @@IDENTITY", "SELECT SCOPE_IDENTITY()", "SELECT @@IDENTITY AS id", "SELECT CAST(SCOPE_IDENTITY() AS int) AS id",
    "DECLARE @i int = SCOPE_IDENTITY(); SELECT @i AS i", "SELECT ISNULL(CAST(@@IDENTITY AS int), -1) AS id",
    "SELECT '@@IDENTITY' AS text -- SCOPE_IDENTITY()", "SET NOCOUNT ON; SELECT @@IDENTITY AS id; SET NOCOUNT OFF",
    "SELECT n FROM (VALUES (1), (2)) v (n); SELECT @@ROWCOUNT AS r, @@IDENTITY AS i",
]
ASKS = IDENTITY_ASKS + [
    "SELECT @@ROWCOUNT", "SELECT @@ERROR", "select scope_identity() as id, @@rowcount as n",
    "SELECT @@ERROR AS e, @@ROWCOUNT AS r, @@IDENTITY AS i, SCOPE_IDENTITY() AS s",
    "IF @@ROWCOUNT = 0 SELECT 'none' AS t ELSE SELECT 'some' AS t", "IF @@ERROR <> 0 SELECT 'bad' AS t ELSE SELECT 'good' AS t",
    "PRINT @@ROWCOUNT", "SELECT ROWCOUNT_BIG() AS r",
]


def ask(g, written=EVERYTHING):
    """`written`: the last request may have written."""
    if g.maybe(0.15):
        texts = ["SELECT @@IDENTITY AS i", "SELECT SCOPE_IDENTITY() AS s"]
        texts += ["SELECT @@ROWCOUNT AS r"] if written else []
        texts += ["SELECT @@ERROR AS e"] if written and ERROR_BY_RPC not in g.without else []
        g.rpc(Call(EXECUTE_SQL, (g.pick(*texts),)))
    else:
        g.batch(g.pick(*(ASKS if written else IDENTITY_ASKS)))


def insert_then_ask(g):
    if not g.may_write():
        return False
    g.batch(g.pick(write(g), f"{write(g)}; {write(g)}", f"INSERT INTO {g.table} (n) SELECT n FROM (VALUES (1), (2), (3)) v (n)",
                   f"SET NOCOUNT ON; {write(g)}", f"{write(g)}; SELECT SCOPE_IDENTITY() AS id"))
    if g.implicit:
        g.tran = None
    ask(g, True)
    if g.maybe(0.3):
        ask(g)


def insert_into_other(g):
    """@@IDENTITY put into another row: what is asked for is used, not shown."""
    if not g.may_write() or g.tran is None:
        return False
    g.batch(write(g))
    g.batch(f"INSERT INTO {g.table} (n) VALUES (@@IDENTITY)")
    g.batch(f"SELECT TOP (1) n FROM {g.table} ORDER BY id DESC")
    if g.implicit:
        g.tran = None


def change_then_ask(g):
    if not g.may_write():
        return False
    query = f"SELECT n FROM {g.table} WHERE n < 500 ORDER BY id"
    text = g.pick(f"UPDATE {g.table} SET n = n + 1", f"UPDATE {g.table} SET n = 1 WHERE 1 = 0",
                  f"DELETE FROM {g.table} WHERE n % 3 = 0", query)
    g.batch(text)
    if g.implicit:
        g.tran = None
    ask(g, EVERYTHING or text != query)


def commit_then_ask(g):
    """As many applications do: the identity of what was inserted, after the COMMIT."""
    if not g.may_write():
        return False
    g.settle()
    g.batch("BEGIN TRAN")
    g.batch(write(g))
    g.batch("COMMIT")
    g.batch(g.pick("SELECT @@IDENTITY AS id", "SELECT SCOPE_IDENTITY() AS id"))


def error_then_ask(g):
    if g.tran != 0 or g.implicit or not g.may_write():
        return False
    write_errors = [f"INSERT INTO {g.table} (id) VALUES (1)", f"INSERT INTO {g.unique} VALUES (1), (1)",
                    f"INSERT INTO {g.unique} VALUES ({g.chance.randrange(4)})"]
    text = g.pick(*write_errors, "SELECT 1/0 AS n", "RAISERROR('mine', 16, 1)", "RAISERROR('only told', 10, 1)",
                  "SELECT CAST('x' AS int)", "PRINT 'nothing wrong'")
    g.batch(text)
    ask(g, EVERYTHING or text in write_errors)


def errors(g):
    """Of the statement, of the batch, at compile time; and the session goes on."""
    if not g.may_write():
        return False
    g.batch(g.pick("SELECT 1 AS a; SELECT 1/0 AS b; SELECT 2 AS c", "SELECT 1 AS a; SELECT CAST('x' AS int); SELECT 2 AS c",
                   "SELECT * FROM dbo.nothing_{me}", "SELEC 1", "SELECT 1 AS a; THROW 50001, 'not the proxy', 1",
                   "RAISERROR('severe', 18, 2)", "SELECT nobody FROM (VALUES (1)) v (n)", "EXEC dbo.p_nowhere 1",
                   f"INSERT INTO {g.table} (n) VALUES ('text')", "PRINT 'printed'; RAISERROR('told', 5, 6); SELECT 1 AS n",
                   "BEGIN TRY SELECT 1/0 AS n END TRY BEGIN CATCH THROW END CATCH",
                   "DECLARE @n int = 1; SELECT @m"))
    if g.tran != 0 or g.implicit:
        g.tran = None


MOVES = {ask: 6, insert_then_ask: 14, insert_into_other: 3, change_then_ask: 6, commit_then_ask: 5, error_then_ask: 5,
         errors: 8}
