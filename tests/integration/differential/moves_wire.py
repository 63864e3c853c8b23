"""How requests travel: cancelled, taken back, long, slow; how answers do; how sessions end."""

from harness.tds_tokens import TDS72
from .moves_options import LOOKS
from .moves_values import EVERYTHING
from .steps import ENDS, EXECUTE_SQL, ORDERLY, Attention, Batch, BulkData, Call, Cancel, Ignored, Leave, Overtaken
from .without import OLD_BULK

WAIT = "WAITFOR DELAY '00:00:30'"
LONG_TEXT = 70000  # characters: more than 64 KiB in UTF-16


def cancel_without_effect(g):
    """With XACT_ABORT ON an attention ends the transaction if it finds something that runs."""
    if g.tran != 0 or g.implicit:
        g.batch("SET XACT_ABORT OFF")


def cancel_at_once(g):
    """It may be waiting, be on its way or run: nothing of it can have had an effect."""
    cancel_without_effect(g)
    g.add(Cancel(f"{WAIT}; SET DATEFIRST 2", seen=False))
    g.batch(g.pick("SELECT @@TRANCOUNT AS t, CAST(@@DATEFIRST AS int) AS d", *LOOKS))
    if g.implicit or g.tran != 0:
        g.tran = None


def cancel_when_seen(g):
    """It has run up to where it waits; its effects stay. The answer's first part is long enough to be sent."""
    if g.tran != 0 or g.implicit:
        return False
    effect = g.pick("SET DATEFIRST 3", "SET LANGUAGE Italian", "SET NOCOUNT ON", "SET CONTEXT_INFO 0x0c", "SET DATEFORMAT ymd")
    g.batch("SET TEXTSIZE -1; SET ROWCOUNT 0; SET CONCAT_NULL_YIELDS_NULL ON")
    g.add(Cancel(f"{effect}; SELECT REPLICATE(CAST('c' AS varchar(max)), 80000) AS t; {WAIT}; SET DATEFIRST 6", seen=True))
    g.batch("SELECT @@LANGUAGE AS l, CAST(@@DATEFIRST AS int) AS d, @@OPTIONS AS o, CONTEXT_INFO() AS c")
    g.batch("DBCC USEROPTIONS")


def cancel_in_transaction(g):
    """As SQL Server has it: it stays open, unless XACT_ABORT is on."""
    if g.tran != 0 or g.implicit or not g.may_write():
        return False
    g.batch(f"SET XACT_ABORT OFF; BEGIN TRAN; INSERT INTO {g.table} (n) VALUES (5)")
    g.add(Cancel(WAIT, seen=False))
    g.batch("SELECT @@TRANCOUNT AS t")
    g.batch(g.pick("COMMIT", "ROLLBACK"))
    g.batch(f"SELECT COUNT(*) AS c FROM {g.table}")


def attention_when_idle(g):
    for _ in range(g.pick(1, 1, 2)):
        g.add(Attention())
    if g.maybe(0.5):
        g.batch("SELECT @@TRANCOUNT AS t, DB_NAME() AS db")


def overtaken(g):
    cancel_without_effect(g)
    g.add(Overtaken("SELECT 'over before' AS t"))
    g.batch("SELECT 2 AS two")  # whose values are known again


def ignored(g):
    g.add(Ignored(g.pick("SET DATEFIRST 2", "SET LANGUAGE Deutsch", "CREATE TABLE #never (n int)", "BEGIN TRAN"),
                  g.pick(1, 1, 2, 5, 20), g.pick(0, 2, 100, 4000)))
    g.batch("SELECT CAST(@@DATEFIRST AS int) AS d, @@LANGUAGE AS l, @@TRANCOUNT AS t, OBJECT_ID('tempdb..#never') AS o")


def long_request(g):
    """Over 64 KiB: more than is waited for before a server connection is asked for."""
    length = g.pick(30000, LONG_TEXT, 2 * LONG_TEXT)
    if g.tds >= TDS72 and g.maybe(0.4):
        g.rpc(Call(EXECUTE_SQL, ("SELECT LEN(@t) AS n, RIGHT(@t, 3) AS r", "@t nvarchar(max)", "y" * length)))
    else:
        effect = g.pick("", "", "SET DATEFIRST 5; ", "SELECT @@TRANCOUNT AS t; ")
        g.batch(f"{effect}SELECT LEN(N'{'x' * length}') AS n; SELECT CAST(@@DATEFIRST AS int) AS d /* {'z' * g.pick(1, 5000)} */")


def long_answer(g):
    """Over 64 KiB, in one value or in many rows."""
    if g.implicit:
        return False
    g.batch("SET TEXTSIZE -1; SET ROWCOUNT 0")
    g.batch(g.pick("SELECT REPLICATE(CAST('y' AS varchar(max)), 150000) AS t",
                   "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 60) SELECT i, REPLICATE('y', 2000) AS t "
                   "FROM n", "SELECT REPLICATE(CAST(N'ä' AS nvarchar(max)), 50000) AS t, 1 AS n; SELECT 2 AS two"))
    if EVERYTHING:
        g.batch("SELECT @@ROWCOUNT AS r")


def slow_request(g):
    g.add(Batch(g.pick("SELECT 'slow' AS t", "SET DATEFIRST 4", *LOOKS[:3]), slow=True))


def bulk_load(g):
    """INSERT BULK, its rows, and a look; or something else instead of the rows."""
    if g.db != g.home or (OLD_BULK in g.without and not g.modern):
        return False
    g.batch(f"INSERT BULK {g.table} ([n] int)")
    how = g.pick("rows", "rows", "rows", "many rows", "taken back", "other")
    if how == "taken back" and ignored.__name__ in g.without:
        how = "other"
    if how in ("rows", "many rows"):
        count = g.pick(0, 1, 5) if how == "rows" else 15000  # more than 64 KiB
        g.add(BulkData([g.chance.randrange(1000) for _ in range(count)]))
    elif how == "taken back":
        g.add(BulkData([1, 2, 3], ignored=True))
    g.batch(f"SELECT COUNT(*) AS c FROM {g.table}")
    if g.implicit:
        g.tran = None


def leave(g):
    g.add(Leave(g.pick(ORDERLY, *ENDS)))
    g.new_session()
    if g.maybe(0.6):
        g.batch(g.pick(*LOOKS))


MOVES = {cancel_at_once: 4, cancel_when_seen: 4, cancel_in_transaction: 2, attention_when_idle: 4, overtaken: 2, ignored: 5,
         long_request: 3, long_answer: 3, slow_request: 2, bulk_load: 4, leave: 8}
