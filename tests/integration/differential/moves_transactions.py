"""Transactions: in text, through the transaction manager, implicit ones, savepoints, errors that end them."""

from harness.tds import TRAN_BEGIN, TRAN_COMMIT, TRAN_ROLLBACK, TRAN_SAVE
from .steps import Call, EXECUTE_SQL, Tran

COUNT = "SELECT @@TRANCOUNT AS t, XACT_STATE() AS x"


def write(g):
    """An INSERT into the script's own table."""
    return f"INSERT INTO {g.table} (n) VALUES ({g.chance.randrange(1000)})"


def began(g):
    g.tran = None if g.tran is None else g.tran + 1


def begin(g):
    """In text; alone in its message or not."""
    if not g.may_write():
        return False
    g.batch(g.pick("BEGIN TRAN", "BEGIN TRAN", "BEGIN TRANSACTION", "begin tran", "/* x */ BEGIN TRAN -- y", "BEGIN TRAN named",
                   "BEGIN TRAN;", f"BEGIN TRAN; {write(g)}", f"BEGIN TRAN; {COUNT}", f"{write(g)}; BEGIN TRAN",
                   "IF @@TRANCOUNT < 9 BEGIN TRAN"))
    began(g)
    if g.maybe(0.4):
        g.batch(COUNT)


def begin_by_rpc(g):
    """A procedure call that ends with more transactions than it began with tells so: 266."""
    if not g.may_write():
        return False
    g.rpc(Call(EXECUTE_SQL, ("BEGIN TRAN",)))
    began(g)


def begin_by_request(g):
    """Text may end it; a silent server does not say so, and would refuse the descriptor from then on."""
    if not g.modern or g.silent or not g.may_write():
        return False
    level = g.pick(0, 0, 1, 2, 3, 4)
    g.add(Tran(TRAN_BEGIN, g.pick("", "", "outer"), level))
    began(g)
    if g.maybe(0.3):
        g.add(Tran(TRAN_SAVE, "point"))
        g.batch(write(g))
        g.add(Tran(TRAN_ROLLBACK, "point"))


def work(g):
    """Something in the transaction."""
    if g.tran == 0 or not g.may_write():
        return False
    g.batch(g.pick(write(g), f"{write(g)}; {COUNT}", COUNT, f"SELECT n FROM {g.table} ORDER BY id",
                   f"UPDATE {g.table} SET n = n + 1", f"DELETE FROM {g.table} WHERE n = 3"))


def savepoint(g):
    if g.tran == 0 or not g.may_write():
        return False
    g.batch("SAVE TRAN point")
    g.batch(write(g))
    g.batch(g.pick("ROLLBACK TRAN point", "SELECT 1 AS nothing_yet"))
    g.batch(f"SELECT COUNT(*) AS c FROM {g.table}; {COUNT}")


def end(g):
    """By whatever means."""
    if g.tran == 0:
        return False
    how = g.chance.randrange(8)
    if how == 0 and g.modern and g.tran == 1:
        g.add(Tran(g.pick(TRAN_COMMIT, TRAN_ROLLBACK)))
        g.tran = 0
    elif how == 1 and g.modern and g.tran == 1 and not g.silent:  # as begin_by_request
        g.add(Tran(g.pick(TRAN_COMMIT, TRAN_ROLLBACK), begin_next=g.pick(0, 2, 4)))
    elif how < 5 and g.tran:
        g.batch(g.pick("COMMIT", "COMMIT TRAN", "commit transaction", f"{write(g)}; COMMIT" if g.may_write() else "COMMIT"))
        g.tran -= 1
    elif how < 7 and g.tran:
        g.batch(g.pick("ROLLBACK", "ROLLBACK TRAN", "rollback transaction", f"ROLLBACK; {COUNT}"))
        g.tran = 0
    else:
        g.batch(g.pick("WHILE @@TRANCOUNT > 0 COMMIT", "IF @@TRANCOUNT > 0 ROLLBACK", "IF XACT_STATE() <> 0 ROLLBACK TRAN"))
        g.tran = 0
    if g.maybe(0.3):
        g.batch(COUNT)


def too_many_ends(g):
    """3902, 3903."""
    if g.tran != 0 or g.implicit:
        return False
    if g.modern and g.maybe(0.3):
        g.add(Tran(g.pick(TRAN_COMMIT, TRAN_ROLLBACK)))
    else:
        g.batch(g.pick("COMMIT", "ROLLBACK", "ROLLBACK TRAN nobody"))


def autocommit_off(g):
    """As pymssql and python-tds: a BEGIN that waits for its first statement, after each COMMIT the next."""
    if not g.may_write():
        return False
    g.settle()
    for _ in range(g.pick(1, 2)):
        g.batch("BEGIN TRAN")
        for _ in range(g.pick(0, 1, 2)):
            g.batch(g.pick(write(g), COUNT, f"SELECT COUNT(*) AS c FROM {g.table}"))
        g.batch(g.pick("COMMIT", "IF @@TRANCOUNT > 0 COMMIT TRAN", "ROLLBACK"))
    if g.maybe(0.5):
        g.batch("BEGIN TRAN")
        g.batch("BEGIN TRAN")
        g.batch(COUNT)
        g.batch(g.pick("COMMIT", "ROLLBACK"))
        g.tran = None


def autocommit_off_by_request(g):
    """As python-tds: commit and begin the next in one request."""
    if not g.modern or not g.may_write():
        return False
    g.settle()
    g.add(Tran(TRAN_BEGIN))
    for _ in range(g.pick(1, 2, 3)):
        if g.maybe(0.7):
            g.batch(write(g))
        g.add(Tran(TRAN_COMMIT, begin_next=g.pick(0, 2)))
    g.add(Tran(g.pick(TRAN_COMMIT, TRAN_ROLLBACK)))
    g.batch(f"{COUNT}; SELECT COUNT(*) AS c FROM {g.table}")


def implicit(g):
    """jTDS with autocommit off: a SELECT begins a transaction, and nobody is told at TDS 7.1."""
    if not g.may_write():
        return False
    g.batch("SET IMPLICIT_TRANSACTIONS ON")
    g.implicit, g.tran = True, None if g.tran != 0 else 0
    for _ in range(g.pick(1, 1, 2, 3)):
        g.batch(g.pick(f"SELECT COUNT(*) AS c FROM {g.table}", write(g), COUNT, "SELECT 1 AS one",
                       f"UPDATE {g.table} SET n = 1 WHERE 1 = 0"))
    if g.maybe(0.8):
        g.batch(COUNT)
        g.batch(g.pick("IF @@TRANCOUNT > 0 COMMIT", "IF @@TRANCOUNT > 0 ROLLBACK"))
    g.tran = None
    if g.maybe(0.7):
        g.batch(g.pick("SET IMPLICIT_TRANSACTIONS OFF", "SET IMPLICIT_TRANSACTIONS OFF; IF @@TRANCOUNT > 0 COMMIT"))
        g.implicit = False


def error_in_transaction(g):
    """Some end it, some do not, with XACT_ABORT nearly all."""
    if not g.may_write():
        return False
    g.batch(g.pick("SET XACT_ABORT ON", "SET XACT_ABORT OFF", "SET XACT_ABORT ON; BEGIN TRAN", "BEGIN TRAN"))
    if g.maybe(0.7):
        g.batch(f"BEGIN TRAN; {write(g)}")
    g.batch(g.pick("SELECT 1/0 AS n", "SELECT CAST('x' AS int)", f"INSERT INTO {g.table} (id) VALUES (1)",
                   "SELECT * FROM dbo.nothing_{me}", "RAISERROR('mine', 16, 3)", "THROW 50077, 'thrown', 2", "SELEC 1"))
    g.batch(COUNT)
    g.tran = None


def caught(g):
    """A transaction that can only be rolled back, seen and ended in the same batch or a later one."""
    if not g.may_write():
        return False
    g.settle()
    g.batch(f"SET XACT_ABORT {g.pick('ON', 'OFF')}; BEGIN TRY BEGIN TRAN; {write(g)}; SELECT 1/0 AS n; COMMIT END TRY "
            "BEGIN CATCH SELECT ERROR_NUMBER() AS n, XACT_STATE() AS x; "
            f"{g.pick('IF @@TRANCOUNT > 0 ROLLBACK', 'ROLLBACK', 'IF XACT_STATE() = 1 COMMIT ELSE ROLLBACK')} END CATCH")
    g.batch(COUNT)


def begin_and_end(g):
    """Nothing is left of it."""
    if not g.may_write():
        return False
    g.batch(g.pick(f"BEGIN TRAN; {write(g)}; COMMIT", f"BEGIN TRAN; {write(g)}; ROLLBACK",
                   "BEGIN TRAN; BEGIN TRAN; COMMIT; COMMIT", f"SELECT 'BEGIN TRAN' AS t -- BEGIN TRAN\n/* BEGIN TRAN */"))
    g.batch(COUNT)


MOVES = {begin: 10, begin_by_rpc: 2, begin_by_request: 6, work: 6, savepoint: 3, too_many_ends: 2, autocommit_off: 7,
         autocommit_off_by_request: 4, implicit: 5, error_in_transaction: 6, caught: 3, begin_and_end: 4}
