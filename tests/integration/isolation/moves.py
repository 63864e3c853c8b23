"""What a session does: requests that leave state behind. A move takes (session, chance); see player.Session."""

from harness.tds import STATUS_RESET, STATUS_RESET_SKIP_TRAN, TRAN_BEGIN, TRAN_COMMIT, TRAN_ROLLBACK, TRAN_SAVE
from harness.tds import handle_parameter
from harness.tds_tokens import TDS72
from test_standin_state import OPTIONS
from .check import LEVELS, LOOK, row_difference, rows
from .kinds import DATABASES

IMPATIENT = "SET LOCK_TIMEOUT 1000"  # those who write in two databases in different order wait for each other

SETTINGS = ["SET ANSI_DEFAULTS {on}", "SET LANGUAGE {language}", "SET DATEFIRST {digit}", "SET DATEFORMAT {order}",
            "SET LOCK_TIMEOUT {number}", "SET TEXTSIZE {number}", "SET ROWCOUNT {digit}", "SET DEADLOCK_PRIORITY HIGH",
            "SET XACT_ABORT, NOCOUNT ON", "SET QUOTED_IDENTIFIER OFF", "SET ANSI_NULLS OFF",
            "SET STATISTICS IO ON", "SET STATISTICS TIME ON"]


def set_options(s, chance):
    texts = [f"SET {name} {chance.choice(('ON', 'OFF'))}" for name in chance.sample(sorted(OPTIONS), 3)]
    texts += chance.sample(SETTINGS, 2)
    chance.shuffle(texts)
    words = {"on": chance.choice(("ON", "OFF")), "digit": chance.randrange(1, 8), "number": chance.randrange(1, 9999),
             "language": chance.choice(("Deutsch", "Svenska", "British", "us_english")),
             "order": chance.choice(("ydm", "dmy", "myd"))}
    s.ask(";".join(texts).format(**words))


def set_by_rpc(s, chance):
    """Ends with the call, but for what outlives it."""
    s.ask(s.wire.call(10, f"SET LANGUAGE Deutsch; SET CONTEXT_INFO 0x{chance.randrange(1, 255):02x}; SET ROWCOUNT 2"))
    s.context = None


def isolation(s, chance):
    level = chance.choice(LEVELS)
    s.ask(f"SET TRANSACTION ISOLATION LEVEL {level}")
    s.level = None if s.blind else level


def use(s, chance):
    s.ask(f"USE {chance.choice(DATABASES + ('master',))}")


def context(s, chance):
    s.ask(f"SET CONTEXT_INFO 0x{s.number:08x}")
    s.context = None if s.blind else s.number


def session_context(s, chance):
    s.ask(f"EXEC sp_set_session_context N'key', N'{s.number}', @read_only = {chance.randrange(2)}")


def temp_table(s, chance):
    s.ask(f"CREATE TABLE #t (n int); INSERT INTO #t VALUES ({s.number})")


def select_into(s, chance):
    s.ask(f"SELECT {s.number} AS n INTO #u")


def temp_procedure(s, chance):
    s.ask("CREATE PROCEDURE #p AS SELECT 1")


def global_temp(s, chance):
    s.ask(f"CREATE TABLE ##g_{s.number} (n int)")
    s.leave("object")


def prepare(s, chance):
    for _ in range(chance.randrange(1, 4)):
        s.ask(s.wire.call(11, handle_parameter(), "@n int", "SELECT @n, DB_NAME()"))
    s.ask(s.wire.call(13, handle_parameter(), "@n int", "SELECT @n + 1", s.number))


def begin_text(s, chance):
    s.ask(chance.choice(("BEGIN TRAN", "BEGIN TRAN; SAVE TRAN s", "BEGIN TRAN named; BEGIN TRAN",
                         f"BEGIN TRAN; {IMPATIENT}; INSERT INTO dbo.ids DEFAULT VALUES", "BEGIN TRAN; CREATE TABLE #t2 (n int)")))


def begin_request(s, chance):
    if s.wire.kind.tds < TDS72:
        return begin_text(s, chance)
    level = chance.randrange(6)
    if level:
        s.level = LEVELS[level - 1] if s.wire.transaction == 0 and not s.blind else None
    s.ask(s.wire.tran(TRAN_BEGIN, isolation=level))
    if chance.random() < 0.5:
        s.ask(s.wire.tran(TRAN_SAVE, "point"))
    if chance.random() < 0.3:
        s.ask(s.wire.tran(chance.choice((TRAN_COMMIT, TRAN_ROLLBACK))))


def implicit(s, chance):
    """The SELECT begins a transaction; with the INSERT it holds locks."""
    s.ask("SET IMPLICIT_TRANSACTIONS ON")
    s.ask(chance.choice(("SELECT n FROM dbo.ids WHERE id < 3", f"{IMPATIENT}; INSERT INTO dbo.ids (n) VALUES (7)")))


def end_transaction(s, chance):
    s.ask(chance.choice(("IF @@TRANCOUNT > 0 COMMIT", "IF @@TRANCOUNT > 0 ROLLBACK")))


def lock(s, chance):
    s.ask("EXEC sp_getapplock 'lock', 'Shared', 'Session'; "
          f"EXEC sp_getapplock 'own-{s.number}', 'Exclusive', 'Session'")
    s.leave("lock")


def lock_of_transaction(s, chance):
    s.ask(f"BEGIN TRAN; EXEC sp_getapplock 'own-{s.number}', 'Exclusive', 'Transaction'")
    s.leave("lock")


def identity(s, chance):
    s.ask(f"{IMPATIENT}; INSERT INTO dbo.ids (n) VALUES (1); SELECT SCOPE_IDENTITY()")


def last_error(s, chance):
    s.ask("SELECT 1/0")


def impersonate(s, chance):
    """A reset is refused in it: the connection ends. With REVERT nothing is left."""
    back = chance.random() < 0.6
    s.ask("EXECUTE AS USER = 'guest'" + ("; SELECT USER_NAME(); REVERT" if back else ""))
    s.resettable &= back


def app_role(s, chance):
    s.ask("EXEC sp_setapprole 'reports', 'pw'")
    s.resettable = False


def trace_flags(s, chance):
    s.ask(f"DBCC TRACEON ({chance.choice((3604, 1222, 1204))}) WITH NO_INFOMSGS")


def no_execution(s, chance):
    s.ask(chance.choice(("SET NOEXEC ON", "SET PARSEONLY ON", "SET FMTONLY ON")))
    s.blind = True


def identity_insert(s, chance):
    s.ask("SET IDENTITY_INSERT dbo.ids ON")


def long_answer(s, chance):
    """An answer of several packets, taken whole."""
    answer = s.ask("SET TEXTSIZE -1; SELECT REPLICATE(CAST('y' AS varchar(max)), 20000)")
    if not s.blind and not answer.errors and answer.rows and answer.rows[0][0] != "y" * 20000:
        s.fail("a result is not what was asked for")


def cancelled(s, chance):
    """An attention while it runs, and its acknowledgement is waited for."""
    s.wire.write(s.wire.batch("WAITFOR DELAY '00:00:30'"))
    s.wire.attention()
    for _ in range(2):  # of the request, with or without the acknowledgement
        if s.wire.taken_apart(s.wire.receive()).done_status & 0x20:
            return
    s.fail("no acknowledgement of an attention")


def reset(s, chance):
    """The client's own reset: everything is as at its login but the isolation level."""
    if not s.resettable:
        return
    bit = STATUS_RESET
    if s.wire.transaction == 0 and not s.silent and chance.random() < 0.2:
        bit = STATUS_RESET_SKIP_TRAN
        s.ask("IF @@TRANCOUNT > 0 ROLLBACK")
    payload = s.wire.exchange(s.wire.batch(LOOK, bit))
    answer = s.wire.taken_apart(payload)
    if 18 not in answer.env_kinds():
        s.fail("a reset without ENVCHANGE 18")
    as_after_login(s, payload)


def as_after_login(s, payload):
    seen, fresh = rows(s.wire, payload), s.reference.by_level[s.level or "READ COMMITTED"]
    if s.level is not None and seen != fresh:
        s.fail("TRACE after its own reset: " + row_difference(seen, fresh))
    s.forget()


def reset_by_name(s, chance):
    """As python-tds's pool does it."""
    if not s.resettable:
        return
    request, cut = s.wire.call("sp_reset_connection"), chance.randrange(30)
    s.wire.write(request[:cut])
    s.ask(request[cut:])
    s.wire.transaction = 0
    as_after_login(s, s.wire.exchange(s.wire.batch(LOOK)))


MOVES = {set_options: 30, set_by_rpc: 8, isolation: 12, use: 12, context: 8, session_context: 6, temp_table: 10,
         select_into: 5, temp_procedure: 4, global_temp: 4, prepare: 10, begin_text: 14, begin_request: 10, implicit: 8,
         end_transaction: 5, lock: 6, lock_of_transaction: 5, identity: 8, last_error: 4, impersonate: 4, app_role: 1,
         trace_flags: 4, no_execution: 3, identity_insert: 5, long_answer: 4, cancelled: 3, reset: 10,
         reset_by_name: 5}
