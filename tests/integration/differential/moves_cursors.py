"""Cursors: of the API (sp_cursoropen and its family) and of T-SQL."""

from .steps import Call, Handle, Out

OPEN, PREPARE, EXECUTE, PREPEXEC, UNPREPARE, FETCH, CLOSE = 2, 3, 4, 5, 6, 7, 9
KEYSET, FORWARD, STATIC, FAST = 1, 4, 8, 0x10
PARAMETERS = 0x1000
READ_ONLY = 1
NEXT, FIRST, LAST = 2, 1, 8
TEXT = "SELECT n FROM (VALUES (1), (2), (3), (4), (5)) v (n)"


def text(g):
    return g.pick(TEXT, f"SELECT id, n FROM {g.table} ORDER BY id", "SELECT 1 AS one, DB_NAME() AS db")


def quiet(g):
    """Cursors stay out of what begins or holds transactions: when those end, some cursors close."""
    return g.tran == 0 and not g.implicit


def fetch(g, name):
    g.rpc(Call(g.pick(FETCH, FETCH, "sp_cursorfetch"), (Handle(name), g.pick(NEXT, NEXT, FIRST), 0, g.pick(1, 2, 9))))


def api_cursor(g):
    if not quiet(g) or len(g.cursors.alive) > 2:
        return False
    name = g.cursors.new("cursor")
    g.rpc(Call(g.pick(OPEN, OPEN, "sp_cursoropen"), (Out(), text(g), Out(g.pick(STATIC, KEYSET, FORWARD, FAST)), Out(READ_ONLY),
                                                     Out(0)), (name,)))
    for _ in range(g.pick(0, 1, 2)):
        fetch(g, name)
    if g.maybe(0.7):
        close(g)


def close(g):
    """And once more, in vain."""
    if not g.cursors.alive:
        return False
    name = g.pick(*g.cursors.alive)
    g.rpc(Call(g.pick(CLOSE, "sp_cursorclose"), (Handle(name),)))
    g.cursors.drop(name)
    if g.maybe(0.2):
        g.rpc(Call(CLOSE, (Handle(name),)))


def fetch_again(g):
    if not g.cursors.alive:
        return False
    fetch(g, g.pick(*g.cursors.alive))


def prepared_cursor(g):
    """Prepared, opened twice, closed, unprepared."""
    if not quiet(g):
        return False
    handle = g.handles.new(None)
    g.rpc(Call(g.pick(PREPARE, "sp_cursorprepare"), (Out(), "@p int", TEXT + " WHERE n > @p", 1, Out(STATIC), Out(READ_ONLY)),
               (handle,)))
    for _ in range(g.pick(1, 2)):
        name = g.cursors.new("cursor")
        g.rpc(Call(EXECUTE, (Handle(handle), Out(), Out(STATIC), Out(READ_ONLY), Out(0), g.chance.randrange(5)), (name,)))
        fetch(g, name)
        close(g)
    g.rpc(Call(g.pick(UNPREPARE, "sp_cursorunprepare"), (Handle(handle),)))
    g.handles.drop(handle)


def prepexec_cursor(g):
    """As JDBC with selectMethod=cursor."""
    if not quiet(g):
        return False
    handle, name = g.handles.new(None), g.cursors.new("cursor")
    g.rpc(Call(g.pick(PREPEXEC, "sp_cursorprepexec"), (Out(), Out(), "@p int", TEXT + " WHERE n > @p",
                                                       Out(STATIC | PARAMETERS), Out(READ_ONLY), Out(0), 2), (handle, name)))
    fetch(g, name)
    g.rpc(Call(CLOSE, (Handle(name),)))
    g.cursors.drop(name)
    g.rpc(Call(UNPREPARE, (Handle(handle),)))
    g.handles.drop(handle)


def language_cursor(g):
    """Over several batches, so that it outlives its own."""
    if not quiet(g) or g.language_cursor:
        return False
    g.batch(f"DECLARE cur {g.pick('CURSOR', 'SCROLL CURSOR', 'CURSOR GLOBAL STATIC')} FOR {text(g)}")
    g.batch("OPEN cur")
    g.language_cursor = True
    for _ in range(g.pick(1, 2, 6)):
        g.batch(g.pick("FETCH NEXT FROM cur", "FETCH NEXT FROM cur; SELECT @@FETCH_STATUS AS f"))
    if g.maybe(0.8):
        end_language_cursor(g)


def end_language_cursor(g):
    if not g.language_cursor:
        return False
    g.batch(g.pick("CLOSE cur; DEALLOCATE cur", "DEALLOCATE cur"))
    g.language_cursor = False
    if g.maybe(0.3):
        g.batch("FETCH NEXT FROM cur")


def cursor_in_its_batch(g):
    """Local, or gone before the end."""
    if not quiet(g) or g.language_cursor:
        return False
    g.batch(g.pick(f"DECLARE loc CURSOR LOCAL FOR {TEXT}; OPEN loc; FETCH NEXT FROM loc",
                   f"DECLARE cur CURSOR FOR {TEXT}; OPEN cur; FETCH NEXT FROM cur; CLOSE cur; DEALLOCATE cur",
                   f"DECLARE @n int; DECLARE loc CURSOR LOCAL FAST_FORWARD FOR {TEXT}; OPEN loc; FETCH NEXT FROM loc INTO @n; "
                   "WHILE @@FETCH_STATUS = 0 BEGIN SET @n = @n + 1; FETCH NEXT FROM loc INTO @n END; SELECT @n AS n"))


MOVES = {api_cursor: 7, close: 3, fetch_again: 3, prepared_cursor: 3, prepexec_cursor: 3, language_cursor: 4,
         end_language_cursor: 2, cursor_in_its_batch: 3}
