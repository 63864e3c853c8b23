"""What a session looks at first. The reference is what a new session of the same kind gets from the server itself."""

from harness.tds import STATUS_RESET
from harness.tds_tokens import Response
from test_standin_protocol import ISOLATION
from test_standin_state import STATE
from .wire import Wire

LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT")

# ##g is looked for by name of the session that made it (player.py): those of others that live are seen by all.
LOOK = ";".join([
    "SELECT @@ROWCOUNT, @@ERROR",                                               # of nothing yet
    STATE.replace("OBJECT_ID(N'tempdb..##g'), ", "") + ", ORIGINAL_LOGIN(), OBJECT_ID(N'tempdb..#u'), "
    "OBJECT_ID(N'tempdb..#p'), IS_SRVROLEMEMBER('sysadmin')",
    ISOLATION,
    "SELECT owner FROM dbo.tenant",                                             # the rows of its own database
    "SELECT n FROM (VALUES (1), (2), (3)) v (n)",                               # ROWCOUNT, FMTONLY, NOEXEC
    "SELECT CONVERT(char(10), CAST('01/02/03' AS datetime), 120), DATEPART(weekday, '20240204')",
    "SELECT CAST(REPLICATE('x', 6000) AS varchar(max))",                        # TEXTSIZE
    "DBCC USEROPTIONS",
    "DBCC TRACESTATUS",
])
QUOTED = 'SELECT "word"'                                                        # an identifier or a text
FOREIGN_HANDLE_TEXT = "EXEC sp_execute 1"
IDENTITY_INSERT = "INSERT INTO dbo.ids (id, n) VALUES (1, 1)"                   # 544 unless IDENTITY_INSERT is ON


def foreign_handle(wire):
    return wire.call(12, 1)  # sp_execute


# Each after the one before; all but the first only now and then.
STEPS = {"look": lambda wire: wire.batch(LOOK), "handle": foreign_handle,
         "handle in text": lambda wire: wire.batch(FOREIGN_HANDLE_TEXT), "quoted": lambda wire: wire.batch(QUOTED),
         "identity_insert": lambda wire: wire.batch(IDENTITY_INSERT)}


class Reference:
    """What a new session of one kind sees: payloads of the answers to STEPS."""

    def __init__(self, port, kind):
        wire = Wire(port, kind)
        self.login = login_facts(wire)
        self.steps = {name: wire.exchange(step(wire)) for name, step in STEPS.items()}
        wire.close()
        errors = {name: [e.number for e in Response(p, kind.tds).errors] for name, p in self.steps.items()}
        assert errors["look"] == [] and errors["handle"] == errors["handle in text"] == [8179], errors
        assert errors["identity_insert"] == [544], errors
        wire = Wire(port, kind)
        self.with_reset = rows(wire, wire.exchange(wire.batch(LOOK, STATUS_RESET)))
        self.by_level = {}
        for level in LEVELS:  # a reset leaves it alone
            wire.ask(f"SET TRANSACTION ISOLATION LEVEL {level}")
            self.by_level[level] = rows(wire, wire.exchange(wire.batch(LOOK, STATUS_RESET)))
        wire.close()
        assert self.by_level["READ COMMITTED"] == self.with_reset
        assert len(set(map(repr, self.by_level.values()))) == 5, "the isolation level does not show"


def rows(wire, payload):
    answer = wire.taken_apart(payload)
    return [[e.number for e in answer.errors], answer.rows]


def row_difference(seen, fresh):
    """What rows() has given twice, where it differs."""
    if seen[0] != fresh[0]:
        return f"errors {seen[0]} instead of {fresh[0]}"
    pairs = [(i, seen[1][i:i + 1], fresh[1][i:i + 1]) for i in range(max(len(seen[1]), len(fresh[1])))]
    return "; ".join(f"row {i}: {a} instead of {b}" for i, a, b in pairs if a != b)


def login_facts(wire):
    """Database, language and collation that the login was told, and its errors."""
    answer = Response(wire.login, wire.kind.tds)
    env = {kind: value for kind, value, _ in answer.env if kind in (1, 2, 7)}
    return env, [e.number for e in answer.errors], answer.loginack["tds"] if answer.loginack else None


def difference(got, expected, tds):
    """Two answers in words."""
    a, b = Response(got, tds), Response(expected, tds)
    lines = []
    for name in ("errors", "infos"):
        seen, fresh = ([(e.number, e.text) for e in getattr(x, name)] for x in (a, b))
        if seen != fresh:
            lines.append(f"{name}: {seen} instead of {fresh}")
    for i in range(max(len(a.rows), len(b.rows))):
        seen, fresh = (x.rows[i] if i < len(x.rows) else None for x in (a, b))
        if seen != fresh:
            lines.append(f"row {i}: {seen} instead of {fresh}")
    if a.env != b.env:
        lines.append(f"ENVCHANGE {a.env} instead of {b.env}")
    return "; ".join(lines) or f"bytes {got.hex()} instead of {expected.hex()}"
