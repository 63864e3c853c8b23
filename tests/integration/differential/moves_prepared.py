"""Prepared statements: by number and by name, several calls in a message, handles of their own and of nobody."""

import re

from .steps import EXECUTE, EXECUTE_SQL, PREPARE, PREPEXEC, UNPREPARE, Call, Handle, Named, Out
from .without import UNKNOWN_UNPREPARE, UNNAMED_PREPEXEC

# (declaration, text, values): the text's parameters are values for an int
STATEMENTS = [
    ("@n int", "SELECT @n AS n, DB_NAME() AS db", 1),
    ("@n int, @m int", "SELECT @n + @m AS sum", 2),
    ("", "SELECT 'no parameters' AS t, CAST(@@DATEFIRST AS int) AS d", 0),
    ("@n int", "SELECT n FROM (VALUES (1), (2), (3)) v (n) WHERE n > @n", 1),
    ("@n int, @o int OUTPUT", "SET @o = @n * 2; SELECT @n AS n", 2),
    ("@n int", "SELECT 10 / @n AS q", 1),
    ("@n int", "SET ROWCOUNT 1; SELECT n FROM (VALUES (1), (2), (3)) v (n)", 1),
    ("@n int", "SELECT @@TRANCOUNT AS t, @n AS n", 1),
]
EXECUTE_NAMES = (EXECUTE, EXECUTE, EXECUTE, "sp_execute", "SP_EXECUTE", "sys.sp_execute", "sp_execute")


def values(g, declaration, count, named=0.0):
    """`named`: how likely they have names, as most drivers send them to sp_prepexec."""
    numbers = [g.chance.randrange(0, 9) for _ in range(count)]
    found = [Out(n) if i == 1 and "OUTPUT" in declaration else n for i, n in enumerate(numbers)]
    return [Named(*pair) for pair in zip(re.findall(r"@\w+", declaration), found)] if g.maybe(named) else found


def first_values(g, declaration, count):
    return values(g, declaration, count, 1 if UNNAMED_PREPEXEC in g.without else 0.5)


def statement(g):
    declaration, text, count = g.pick(*STATEMENTS)
    if g.maybe(0.15):
        text, count, declaration = f"INSERT INTO {g.table} (n) VALUES (@n); SELECT SCOPE_IDENTITY() AS i", 1, "@n int"
        if not g.may_write():
            return statement(g)
    return declaration, text, count


def prepare_call(g):
    declaration, text, count = statement(g)
    name = g.handles.new((declaration, count))
    options = (1,) if g.maybe(0.2) else ()
    return Call(g.pick(PREPARE, PREPARE, "sp_prepare"), (Out(), declaration, text, *options), (name,))


def prepexec_call(g):
    declaration, text, count = statement(g)
    old = Out()
    if usable(g) and g.maybe(0.1):  # it takes the place of one that was
        name = g.pick(*usable(g))
        del g.handles.alive[name]
        old = Out(Handle(name))
    name = g.handles.new((declaration, count))
    return Call(g.pick(PREPEXEC, PREPEXEC, "sp_prepexec"), (old, declaration, text, *first_values(g, declaration, count)),
                (name,))


def execute_call(g):
    name = g.pick(*usable(g))
    declaration, count = g.handles.alive[name]
    return Call(g.pick(*EXECUTE_NAMES), (Handle(name), *values(g, declaration, count)))


def usable(g):
    """Handles of statements; those of cursors are None."""
    return [name for name, what in g.handles.alive.items() if what is not None]


def may_have_begun(g):
    if g.implicit:
        g.tran = None


def prepare(g):
    g.rpc(prepare_call(g))
    if g.maybe(0.7):
        execute(g)


def prepexec(g):
    g.rpc(prepexec_call(g))
    may_have_begun(g)


def execute(g):
    if not usable(g):
        return False
    g.rpc(execute_call(g))
    may_have_begun(g)


def unprepare(g):
    """And once more, in vain."""
    if not usable(g):
        return False
    name = g.pick(*usable(g))
    g.rpc(Call(g.pick(UNPREPARE, "sp_unprepare"), (Handle(name),)))
    g.handles.drop(name)
    if g.maybe(0.3):
        g.rpc(Call(EXECUTE, (Handle(name), 1)))


def several(g):
    """One message with several calls."""
    calls = []
    for _ in range(g.pick(2, 2, 3, 5)):
        known = set(usable(g)) - {n for c in calls for n in c.gives}  # the client has not been told of those
        if known and g.maybe(0.5):
            declaration, count = g.handles.alive[name := g.pick(*sorted(known))]
            calls.append(Call(g.pick(*EXECUTE_NAMES), (Handle(name), *values(g, declaration, count))))
        else:
            calls.append(g.pick(lambda: Call(EXECUTE_SQL, ("SELECT @n AS n", "@n int", g.chance.randrange(99))),
                                lambda: prepare_call(g), lambda: fresh_prepexec(g),
                                lambda: Call("sp_executesql", ("SELECT @@IDENTITY AS i",)))())
    g.rpc(*calls)
    may_have_begun(g)


def fresh_prepexec(g):
    declaration, text, count = statement(g)
    name = g.handles.new((declaration, count))
    return Call(PREPEXEC, (Out(), declaration, text, *first_values(g, declaration, count)), (name,))


def wrong_handle(g):
    """Of nobody, or of one that is gone: 8179 and the session goes on."""
    name = g.pick(*g.handles.gone) if g.handles.gone else "h0"
    if g.maybe(0.4):
        g.batch(f"EXEC sp_execute {{{name}}}, 1")
    else:
        calls = (EXECUTE, "sp_execute") if UNKNOWN_UNPREPARE in g.without else (EXECUTE, "sp_execute", UNPREPARE)
        g.rpc(Call(g.pick(*calls), (Handle(name), 1)[:g.pick(1, 2)]))
    if g.tran != 0:
        g.tran = None


def execute_in_text(g):
    if not usable(g):
        return False
    name = g.pick(*usable(g))
    declaration, count = g.handles.alive[name]
    if "OUTPUT" in declaration:
        return False
    g.batch(f"EXEC sp_execute {{{name}}}" + "".join(f", {g.chance.randrange(1, 9)}" for _ in range(count)))
    may_have_begun(g)


def not_to_be_prepared(g):
    """8180, and no handle."""
    name = g.handles.new(("", 0))
    g.rpc(Call(g.pick(PREPARE, PREPEXEC), (Out(), "", "SELEC nonsense FROM"), (name,)))
    g.handles.drop(name)
    if g.tran != 0:
        g.tran = None


def wrong_parameters(g):
    """The call fails after the handle was found."""
    if not usable(g):
        return False
    g.rpc(Call(EXECUTE, (Handle(g.pick(*usable(g))), 1, 2, 3, 4, 5)))
    if g.tran != 0:
        g.tran = None


def execute_sql(g):
    g.rpc(g.pick(Call(EXECUTE_SQL, ("SELECT @n AS n, @t AS t", "@n int, @t nvarchar(30)", 4, "a text")),
                 Call("sp_executesql", ("SELECT @@TRANCOUNT AS t",)),
                 Call(EXECUTE_SQL, ("SET LANGUAGE Italian; SET DATEFIRST 2; SELECT @@LANGUAGE AS l",)),
                 Call(EXECUTE_SQL, ("SET @o = @n + 1", "@n int, @o int OUTPUT", 3, Out(0))),
                 Call(EXECUTE_SQL, ("CREATE TABLE #inside (n int); SELECT n FROM #inside",))))


def many_handles(g):
    """More than one server connection is likely to keep."""
    for _ in range(4):
        g.rpc(*[prepare_call(g) for _ in range(4)])
    for _ in range(4):
        execute(g)


MOVES = {prepare: 7, prepexec: 8, execute: 14, unprepare: 5, several: 7, wrong_handle: 4, execute_in_text: 3,
         not_to_be_prepared: 2, wrong_parameters: 2, execute_sql: 5, many_handles: 1}
