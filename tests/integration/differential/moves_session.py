"""State that only the server connection has, until something ends it; the client's own reset; EXECUTE AS."""

from .moves_options import LOOKS
from .steps import Call

SEE = ("SELECT CONTEXT_INFO() AS c, SESSION_CONTEXT(N'key') AS k, SUSER_SNAME() AS l, USER_NAME() AS u, DB_NAME() AS db, "
       "@@OPTIONS AS o, @@TRANCOUNT AS t")


def context_info(g):
    g.batch(f"SET CONTEXT_INFO 0x{g.chance.randrange(256):02x}{g.chance.randrange(256):02x}")
    g.batch(SEE)


def session_context(g):
    if g.read_only_context:
        return False
    fixed = g.maybe(0.1)
    g.batch(f"EXEC sp_set_session_context N'key', N'value {g.chance.randrange(99)}'" + (", @read_only = 1" if fixed else ""))
    g.read_only_context = fixed
    g.batch(SEE)


def see(g):
    g.batch(SEE)


def lock(g):
    """Of the session, taken and mostly given back."""
    name = "lock_" + g.own
    g.batch(f"DECLARE @r int; EXEC @r = sp_getapplock '{name}', '{g.pick('Exclusive', 'Shared')}', 'Session'; SELECT @r AS r")
    g.batch(f"SELECT APPLOCK_MODE('public', '{name}', 'Session') AS m")
    if g.maybe(0.8):
        g.batch(f"EXEC sp_releaseapplock '{name}', 'Session'")
        g.batch(f"SELECT APPLOCK_MODE('public', '{name}', 'Session') AS m")


def lock_of_transaction(g):
    if g.tran != 0 or g.implicit or not g.may_write():
        return False
    name = "tran_lock_" + g.own
    g.batch(f"BEGIN TRAN; EXEC sp_getapplock '{name}', 'Exclusive', 'Transaction'")
    g.batch(f"SELECT APPLOCK_MODE('public', '{name}', 'Transaction') AS m")
    g.batch(g.pick("COMMIT", "ROLLBACK"))
    g.batch(f"SELECT APPLOCK_MODE('public', '{name}', 'Transaction') AS m")


def impersonate(g):
    """With REVERT in the same batch or a later one."""
    if g.tran != 0 or g.implicit or g.db != g.home:
        return False
    if g.maybe(0.5):
        g.batch("EXECUTE AS USER = 'guest'; SELECT USER_NAME() AS u; REVERT")
    else:
        g.batch("EXECUTE AS USER = 'guest'")
        g.batch("SELECT USER_NAME() AS u")
        g.batch("REVERT")
    g.batch(SEE)


def identity_insert(g):
    if g.tran != 0 or g.implicit or not g.may_write():
        return False
    g.batch(f"SET IDENTITY_INSERT {g.table} ON")
    g.batch(f"INSERT INTO {g.table} (id, n) VALUES ({100000 + len(g.steps)}, 1); SELECT @@IDENTITY AS i")
    g.batch(f"SET IDENTITY_INSERT {g.table} OFF")
    g.batch(f"INSERT INTO {g.table} (id, n) VALUES (1, 1)")


def nothing_runs(g):
    """NOEXEC and its like: on, something, off. STATISTICS PROFILE and XML tell more than was asked for."""
    option = g.pick("NOEXEC", "PARSEONLY", "FMTONLY", "SHOWPLAN_TEXT", "SHOWPLAN_ALL", "SHOWPLAN_XML", "STATISTICS PROFILE",
                    "STATISTICS XML")
    g.batch(f"SET {option} ON")
    g.batch(g.pick("SELECT 1 AS n", f"SELECT id, n FROM {g.table}", "PRINT 'not seen'"))
    g.batch(f"SET {option} OFF")
    g.batch("SELECT 1 AS n")
    if g.implicit:
        g.tran = None


def trace_flag(g):
    g.batch("DBCC TRACEON (3604) WITH NO_INFOMSGS")
    g.batch("DBCC TRACESTATUS (3604)")
    g.batch("DBCC TRACEOFF (3604) WITH NO_INFOMSGS")
    g.batch("DBCC TRACESTATUS (3604)")


def reset(g):
    """The bit rides on whatever comes next."""
    g.due_reset()
    if g.maybe(0.6):
        g.batch(g.pick(SEE, *LOOKS))


def reset_twice(g):
    """As a driver's pool: one request, reset, one request, reset."""
    for _ in range(g.pick(2, 3)):
        g.due_reset()
        g.batch(g.pick(SEE, *LOOKS, "SET DATEFIRST 3; SET LANGUAGE Deutsch", "SELECT 1 AS n"))


def reset_by_name(g):
    """As python-tds's pool."""
    g.settle()
    if g.stays:
        g.go_home()
    g.rpc(Call("sp_reset_connection"))
    g.after_reset(keep_tran=False)
    g.batch(SEE)


MOVES = {context_info: 3, session_context: 3, see: 5, lock: 3, lock_of_transaction: 2, impersonate: 2, identity_insert: 2,
         nothing_runs: 3, trace_flag: 1, reset: 12, reset_twice: 4, reset_by_name: 3}
