"""The stand-in SQL Server's cursors: those of T-SQL, and those of the API (sp_cursoropen and its family)."""

from harness import *
from harness.tds import *
from test_standin_protocol import numbers

CURSOR_OPEN, CURSOR_PREPARE, CURSOR_EXECUTE, CURSOR_PREPEXEC, CURSOR_UNPREPARE, CURSOR_FETCH, CURSOR_OPTION, CURSOR_CLOSE = \
    2, 3, 4, 5, 6, 7, 8, 9
BY_NAME = {2: "sp_cursoropen", 3: "sys.sp_cursorprepare", 4: "[sp_cursorexecute]", 5: "SP_CURSORPREPEXEC",
           6: "sp_cursorunprepare", 7: "master..sp_cursorfetch", 8: "sp_cursoroption", 9: "sp_cursorclose"}
FIRST, NEXT, PREV, LAST, ABSOLUTE, RELATIVE, REFRESH, INFO = 1, 2, 4, 8, 0x10, 0x20, 0x80, 0x100
KEYSET, DYNAMIC, FORWARD, STATIC, FAST = 1, 2, 4, 8, 0x10
PARAMETERS, AUTO_FETCH, AUTO_CLOSE = 0x1000, 0x2000, 0x4000
READ_ONLY, OPTIMISTIC, ALLOW_DIRECT = 1, 4, 0x2000
FIRST_CURSOR, FIRST_HANDLE = 0x0ABCDEF1, 0x40000001
CLOSED_BY_ITSELF = 0x10
TABNAME, COLINFO = 0xA4, 0xA5
SELECT = "SELECT id, t FROM dbo.n ORDER BY id"
ROWS = [[1, "a"], [2, "b"], [3, "c"], [4, "d"], [5, "e"]]


def five_rows(t, **keys):
    client = t.client(t.sqlserver(), **keys)
    client.query("CREATE TABLE dbo.n (id int PRIMARY KEY, t nvarchar(10)); "
                 "INSERT INTO dbo.n VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')")
    return client


def inout(value):
    return Parameter(value, "", True)


def values(answer):
    """{ordinal: value} of the RETURNVALUEs."""
    return {ordinal: value for ordinal, _, value in answer.return_values}


def open_cursor(client, scroll=STATIC, concurrency=READ_ONLY, rows=0, text=SELECT, more=(), by=lambda n: n):
    return client.rpc(by(CURSOR_OPEN), handle_parameter(), text, inout(scroll), inout(concurrency), inout(rows), *more)


def fetch(client, cursor, kind=NEXT, row=0, count=1, by=lambda n: n):
    """The rows without ROWSTAT, which must be 1."""
    answer = client.rpc(by(CURSOR_FETCH), cursor, kind, row, count)
    assert not answer.errors, numbers(answer)
    assert all(row[-1] == 1 for row in answer.rows) and answer.columns[0][-1] == "ROWSTAT"
    return [row[:-1] for row in answer.rows]


# ---------------------------------------------------------------------------------------------------- the API


@cases(by=["number", "name"])
def test_api_cursor(t, by):
    client = five_rows(t)
    name = BY_NAME.get if by == "name" else lambda n: n
    answer = open_cursor(client, by=name)
    assert values(answer) == {0: FIRST_CURSOR, 2: STATIC, 3: READ_ONLY, 4: 5} and answer.return_status == 0
    assert answer.columns == [["id", "t", "ROWSTAT"]] and answer.rows == []
    assert TABNAME in answer.tokens and COLINFO in answer.tokens and answer.dones[-1][0] == 0xFE
    assert answer.tokens.index(0x79) < answer.tokens.index(0xAC), "RETURNSTATUS, then RETURNVALUE"
    cursor = values(answer)[0]
    assert fetch(client, cursor, NEXT, count=2, by=name) == ROWS[:2]
    assert client.query("SELECT 7").rows == [[7]], "other requests in between"
    assert fetch(client, cursor, NEXT, count=2, by=name) == ROWS[2:4]
    assert fetch(client, cursor, NEXT, count=2, by=name) == ROWS[4:]
    assert fetch(client, cursor, NEXT, count=2, by=name) == []
    closed = client.rpc(name(CURSOR_CLOSE), cursor)
    assert closed.return_status == 0 and not closed.errors
    for answer in (client.rpc(name(CURSOR_CLOSE), cursor), client.rpc(name(CURSOR_FETCH), cursor, NEXT, 0, 1)):
        assert numbers(answer) == [16909] and "abcdef1" in answer.errors[0].text


def test_api_cursor_moves(t):
    client = five_rows(t)
    cursor = values(open_cursor(client, KEYSET))[0]
    steps = [(FIRST, 0, 2, ROWS[:2]), (LAST, 0, 2, ROWS[3:]), (PREV, 0, 2, ROWS[1:3]), (PREV, 0, 2, ROWS[:2]),
             (PREV, 0, 2, []), (NEXT, 0, 2, ROWS[:2]), (ABSOLUTE, 4, 1, ROWS[3:4]), (RELATIVE, -2, 1, ROWS[1:2]),
             (RELATIVE, 3, 1, ROWS[4:]), (ABSOLUTE, -1, 1, ROWS[4:]), (ABSOLUTE, -5, 3, ROWS[:3]), (REFRESH, 0, 3, ROWS[:3]),
             (ABSOLUTE, 0, 1, []), (NEXT, 0, 10, ROWS), (NEXT, 0, 1, []), (PREV, 0, 2, ROWS[3:]), (ABSOLUTE, 9, 1, [])]
    for kind, row, count, expected in steps:
        assert fetch(client, cursor, kind, row, count) == expected, (kind, row, count)
    fetch(client, cursor, ABSOLUTE, 3, 2)
    answer = client.rpc(CURSOR_FETCH, cursor, INFO, inout(0), inout(0))
    assert values(answer) == {2: 3, 3: 5} and answer.rows == []


@cases(kind=[FORWARD, FAST])
def test_forward_only_api_cursor(t, kind):
    client = five_rows(t)
    answer = open_cursor(client, kind)
    assert values(answer) == {0: FIRST_CURSOR, 2: kind, 3: READ_ONLY, 4: -1}
    for step in (LAST, PREV, ABSOLUTE):
        assert numbers(client.rpc(CURSOR_FETCH, FIRST_CURSOR, step, 1, 1)) == [16911]
    assert fetch(client, FIRST_CURSOR, NEXT, count=3) == ROWS[:3]


@cases(count=[2, 5, 9])
def test_auto_fetch_and_auto_close(t, count):
    """The first rows come with the open; a cursor whose rows have all come is gone, and says so."""
    client = five_rows(t)
    answer = open_cursor(client, FAST | AUTO_FETCH | AUTO_CLOSE, rows=count)
    assert [row[:-1] for row in answer.rows] == ROWS[:count]
    if count >= 5:
        assert values(answer)[0] == 0 and answer.return_status == CLOSED_BY_ITSELF
        assert numbers(client.rpc(CURSOR_CLOSE, FIRST_CURSOR)) == [16909]
        return
    cursor = values(answer)[0]
    assert cursor == FIRST_CURSOR and answer.return_status == 0
    assert fetch(client, cursor, NEXT, count=2) == ROWS[2:4]
    last = client.rpc(CURSOR_FETCH, cursor, NEXT, 0, 2)
    assert [row[:-1] for row in last.rows] == ROWS[4:] and last.return_status == CLOSED_BY_ITSELF
    assert numbers(client.rpc(CURSOR_CLOSE, cursor)) == [16909]


def test_api_cursor_with_parameters(t):
    client = five_rows(t)
    answer = open_cursor(client, STATIC | PARAMETERS, text="SELECT id FROM dbo.n WHERE id > @p AND t <> @q ORDER BY id",
                         more=("@p int, @q nvarchar(9)", 2, "d"))
    assert values(answer)[4] == 2
    assert fetch(client, values(answer)[0], count=9) == [[3], [5]]


def test_api_cursors_over_procedures_and_other_text(t):
    client = five_rows(t)
    client.query("CREATE PROCEDURE dbo.list AS SELECT id FROM dbo.n")
    answer = open_cursor(client, text="EXEC dbo.list")
    assert answer.columns == [["id", "ROWSTAT"]] and fetch(client, values(answer)[0], count=2) == [[1], [2]]
    assert numbers(open_cursor(client, text="UPDATE dbo.n SET t = 'x' WHERE id = 1")) == [16937]
    assert client.scalar("SELECT t FROM dbo.n WHERE id = 1") == "a"
    answer = open_cursor(client, text="UPDATE dbo.n SET t = 'x' WHERE id < 3", concurrency=READ_ONLY | ALLOW_DIRECT)
    assert values(answer)[0] == 0 and answer.row_counts == [2] and [m.number for m in answer.infos] == [16954]
    assert numbers(open_cursor(client, text="SELECT nothing FROM dbo.n")) == [207]
    assert numbers(open_cursor(client, text="SELECT 1 +")) == [102]


def test_numbers_of_cursors_and_handles(t):
    """Never small, never the same twice in a session, and other sessions do not know them."""
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    seen = [values(open_cursor(client, text="SELECT 1 AS n"))[0] for _ in range(3)]
    assert seen == [FIRST_CURSOR, FIRST_CURSOR + 2, FIRST_CURSOR + 4]
    client.rpc(CURSOR_CLOSE, seen[2])
    assert values(open_cursor(client, text="SELECT 1 AS n"))[0] == FIRST_CURSOR + 6
    assert numbers(other.rpc(CURSOR_FETCH, seen[0], NEXT, 0, 1)) == [16909]
    assert values(client.rpc(CURSOR_PREPARE, handle_parameter(), None, "SELECT 1 AS n", 1))[0] == FIRST_HANDLE
    assert numbers(other.rpc(CURSOR_EXECUTE, FIRST_HANDLE, handle_parameter())) == [8179]
    assert not client.rpc(CURSOR_CLOSE, -1).errors
    assert [numbers(client.rpc(CURSOR_CLOSE, cursor)) for cursor in seen[:2]] == [[16909]] * 2


@cases(by=["number", "name"])
def test_prepared_cursor(t, by):
    client = five_rows(t)
    name = BY_NAME.get if by == "name" else lambda n: n
    text = "SELECT id FROM dbo.n WHERE id >= @p ORDER BY id"
    answer = client.rpc(name(CURSOR_PREPARE), handle_parameter(), "@p int", text, 1, inout(STATIC), inout(READ_ONLY))
    handle = values(answer)[0]
    assert handle == FIRST_HANDLE and not answer.errors
    opened = [client.rpc(name(CURSOR_EXECUTE), handle, handle_parameter(), inout(STATIC), inout(READ_ONLY), inout(0), p)
              for p in (4, 2)]
    assert [values(a)[4] for a in opened] == [2, 4] and [values(a)[1] for a in opened] == [FIRST_CURSOR, FIRST_CURSOR + 2]
    assert [fetch(client, values(a)[1], count=9) for a in opened] == [[[4], [5]], [[2], [3], [4], [5]]]
    assert not client.rpc(name(CURSOR_UNPREPARE), handle).errors
    for answer in (client.rpc(name(CURSOR_UNPREPARE), handle), client.rpc(name(CURSOR_EXECUTE), handle, handle_parameter())):
        assert numbers(answer) == [8179]
    assert fetch(client, FIRST_CURSOR, FIRST, count=1) == [[4]], "its cursors live on"
    assert numbers(client.rpc(12, handle, 1)) == [8179] == numbers(client.rpc(15, handle))


@cases(fixed=[7, 8], by=["number", "name"])
def test_cursor_prepexec(t, fixed, by):
    """With seven fixed parameters, as JDBC sends it, and with eight, as it is documented."""
    client = five_rows(t)
    name = BY_NAME.get if by == "name" else lambda n: n

    def prepexec(handle, p):
        options = [Parameter(1)] if fixed == 8 else []
        return client.rpc(name(CURSOR_PREPEXEC), handle, handle_parameter(), "@p int",
                          "SELECT id FROM dbo.n WHERE id >= @p ORDER BY id", *options, inout(STATIC | PARAMETERS),
                          inout(READ_ONLY), inout(0), p)

    first = values(prepexec(handle_parameter(), 4))
    assert (first[0], first[1]) == (FIRST_HANDLE, FIRST_CURSOR) and first[fixed - 1] == 2
    assert fetch(client, first[1], count=9) == [[4], [5]]
    second = values(prepexec(inout(first[0]), 5))
    assert (second[0], second[1]) == (FIRST_HANDLE + 1, FIRST_CURSOR + 2)
    assert numbers(client.rpc(CURSOR_UNPREPARE, first[0])) == [8179], "the old handle that came in is gone"
    assert not client.rpc(CURSOR_UNPREPARE, second[0]).errors


def test_cursor_option(t):
    client = five_rows(t)
    cursor = values(open_cursor(client))[0]
    for code, value in ((4, STATIC), (5, READ_ONLY), (6, 5)):
        assert values(client.rpc(CURSOR_OPTION, cursor, code, inout(0))) == {2: value}
    assert not client.rpc(CURSOR_OPTION, cursor, 2, "named").errors
    assert numbers(client.rpc(CURSOR_OPTION, 5, 2, "named")) == [16909]


def test_api_procedures_in_a_batch(t):
    client = five_rows(t)
    text = ("DECLARE @c int, @s int = 8, @cc int = 1, @r int; "
            f"EXEC sp_cursoropen @c OUTPUT, N'{SELECT}', @s OUTPUT, @cc OUTPUT, @r OUTPUT; "
            "EXEC sp_cursorfetch @c, 2, 0, 2; EXEC sp_cursorclose @c; SELECT @c, @s, @cc, @r")
    assert client.query(text).rows == [[1, "a", 1], [2, "b", 1], [FIRST_CURSOR, STATIC, READ_ONLY, 5]]


@cases(version=[0x71000001, 0x72090002, 0x730B0003])
def test_api_cursor_in_older_dialects(t, version):
    client = five_rows(t, tds_version=version)
    answer = open_cursor(client)
    assert TABNAME in answer.tokens and COLINFO in answer.tokens
    cursor = answer.return_values[0][2]  # below TDS 7.2 a length stands in the place of the ordinal
    assert fetch(client, cursor, LAST, count=1) == ROWS[4:]


# ---------------------------------------------------------------------------------------------------- T-SQL


def test_global_cursor_lives_across_requests(t):
    client = five_rows(t)
    assert client.query("SELECT CURSOR_STATUS('global', 'c')").rows == [[-3]]
    client.query(f"DECLARE c CURSOR FOR {SELECT}")
    assert client.query("SELECT CURSOR_STATUS('global', 'c')").rows == [[-1]]
    client.query("OPEN c")
    assert client.query("SELECT CURSOR_STATUS('global', 'C'), CURSOR_STATUS('local', 'c')").rows == [[1, -3]]
    assert client.query("FETCH NEXT FROM c").rows == ROWS[:1] and client.scalar("SELECT @@FETCH_STATUS") == 0
    client.rpc(10, "DECLARE @i int; FETCH c INTO @i, @i")
    loop = ("DECLARE @i int, @t nvarchar(9); FETCH GLOBAL c INTO @i, @t; "
            "WHILE @@FETCH_STATUS = 0 BEGIN SELECT @i, @t; FETCH c INTO @i, @t END; SELECT @@FETCH_STATUS, @i")
    assert client.query(loop).rows[-1] == [-1, 5]
    client.query("CLOSE c")
    assert client.query("SELECT CURSOR_STATUS('global', 'c')").rows == [[-1]]
    client.query("OPEN c; CLOSE c; DEALLOCATE c")
    assert client.query("SELECT CURSOR_STATUS('global', 'c')").rows == [[-3]]


def test_cursor_errors(t):
    client = five_rows(t)
    declare = f"DECLARE c CURSOR FOR {SELECT}"
    assert numbers(client.ask("OPEN c")) == [16916] == numbers(client.ask("FETCH c")) == numbers(client.ask("DEALLOCATE c"))
    client.query(declare)
    assert numbers(client.ask(declare)) == [16915]
    assert numbers(client.ask("FETCH c")) == [16917] == numbers(client.ask("CLOSE c"))
    client.query("OPEN c")
    assert numbers(client.ask("OPEN c; SELECT 1")) == [16905] and client.ask("OPEN c; SELECT 1").rows == [[1]]
    assert numbers(client.ask("FETCH PRIOR FROM c")) == [16911]
    assert numbers(client.ask("DECLARE @a int; FETCH c INTO @a")) == [16924]
    assert numbers(client.ask("FETCH c INTO @none")) == [137]
    assert numbers(client.ask("OPEN @c")) == [16950]


def test_local_cursor_ends_with_its_batch(t):
    client = five_rows(t)
    declare = f"DECLARE c CURSOR LOCAL FOR {SELECT}; OPEN c; FETCH c; SELECT CURSOR_STATUS('local', 'c')"
    for _ in range(2):
        assert client.query(declare).rows == [ROWS[0], [1]]
    assert numbers(client.ask("FETCH c")) == [16916]
    assert client.query("SELECT CURSOR_STATUS('local', 'c')").rows == [[-3]]
    client.query("CREATE PROCEDURE dbo.p AS DECLARE c CURSOR LOCAL FOR SELECT 1; OPEN c; "
                 "EXEC('DECLARE c CURSOR GLOBAL FOR SELECT 2 AS n; OPEN c'); FETCH c; FETCH GLOBAL c")
    assert client.query("EXEC dbo.p; FETCH c").rows == [[1], [2]]


def test_scroll_cursor(t):
    client = five_rows(t)
    client.query(f"DECLARE c INSENSITIVE SCROLL CURSOR FOR {SELECT}; OPEN c")
    assert client.scalar("SELECT @@CURSOR_ROWS") == 5
    steps = {"LAST": 5, "PRIOR": 4, "RELATIVE -2": 2, "ABSOLUTE 3": 3, "ABSOLUTE -1": 5, "NEXT": None, "FIRST": 1,
             "RELATIVE 4": 5, "RELATIVE 1": None, "ABSOLUTE 0": None}
    for step, expected in steps.items():
        answer = client.query(f"FETCH {step} FROM c")
        assert [row[0] for row in answer.rows] == ([] if expected is None else [expected]), step
        assert client.scalar("SELECT @@FETCH_STATUS") == (-1 if expected is None else 0)
    assert client.query("DECLARE @n int = 2; FETCH ABSOLUTE @n FROM c").rows == ROWS[1:2]


def test_cursor_keeps_variables_and_rows(t):
    """Variables are those of the DECLARE, rows those of the OPEN."""
    client = five_rows(t)
    client.query("DECLARE @from int = 3; DECLARE c CURSOR STATIC FOR SELECT id FROM dbo.n WHERE id > @from; SET @from = 0")
    client.query("OPEN c; DELETE FROM dbo.n")
    assert client.query("FETCH c; FETCH c; FETCH c").rows == [[4], [5]]
    client.query("CLOSE c; OPEN c")
    assert client.query("FETCH c; SELECT CURSOR_STATUS('global', 'c')").rows == [[0]]


def test_cursor_variable(t):
    """It ends with its batch; the named cursor that it may stand for does not."""
    client = five_rows(t)
    text = (f"DECLARE @c CURSOR, @i int, @t nvarchar(9); SELECT CURSOR_STATUS('variable', '@c'); SET @c = CURSOR SCROLL FOR {SELECT}; "
            "OPEN @c; FETCH LAST FROM @c INTO @i, @t; SELECT @i; FETCH PRIOR FROM @c; SELECT CURSOR_STATUS('variable', '@c'); "
            "CLOSE @c; DEALLOCATE @c; SELECT CURSOR_STATUS('variable', '@c')")
    assert client.query(text).rows == [[-2], [5], ROWS[3], [1], [-2]]
    client.query(f"DECLARE named CURSOR FOR {SELECT}; DECLARE @c CURSOR; SET @c = named; OPEN @c; FETCH @c")
    assert client.query("FETCH named").rows == ROWS[1:2]
    assert numbers(client.ask("DECLARE @c CURSOR; OPEN @c")) == [16950]
    assert numbers(client.ask("DECLARE @c CURSOR; SET @c = nobody")) == [16916]


@cases(kind=["STATIC", "KEYSET"], end=["COMMIT", "ROLLBACK"], close=["ON", "OFF"])
def test_cursor_at_the_end_of_a_transaction(t, kind, end, close):
    client = five_rows(t)
    client.query(f"SET CURSOR_CLOSE_ON_COMMIT {close}; BEGIN TRAN; DECLARE c CURSOR {kind} FOR {SELECT}; OPEN c")
    client.query(end)
    closed = close == "ON" or (end == "ROLLBACK" and kind == "KEYSET")
    assert client.query("SELECT CURSOR_STATUS('global', 'c')").rows == [[-1 if closed else 1]]


def test_cursors_and_implicit_transactions(t):
    client = five_rows(t)
    client.query(f"DECLARE c CURSOR FOR {SELECT}; SET IMPLICIT_TRANSACTIONS ON")
    assert client.scalar("SELECT @@TRANCOUNT") == 0
    assert client.query("OPEN c").env_kinds() == [8]
    client.query("COMMIT")
    assert client.query("FETCH c").env_kinds() == [8]


def test_reset_takes_all_cursors(t):
    server = t.sqlserver()
    client = t.client(server)
    client.query("CREATE TABLE dbo.n (id int, t int)")
    client.query("DECLARE c CURSOR FOR SELECT 1 AS n; OPEN c; FETCH c; FETCH c")
    cursor = values(open_cursor(client))[0]
    handle = values(client.rpc(CURSOR_PREPARE, handle_parameter(), None, "SELECT 1 AS n", 1))[0]
    assert server.state(client)["cursors"] == f"c open,{cursor}"
    answer = client.query("SELECT CURSOR_STATUS('global', 'c'), @@FETCH_STATUS, @@CURSOR_ROWS", STATUS_RESET)
    assert answer.rows == [[-3, 0, 0]] and server.state(client)["cursors"] == ""
    assert numbers(client.rpc(CURSOR_FETCH, cursor, NEXT, 0, 1)) == [16909]
    assert numbers(client.rpc(CURSOR_EXECUTE, handle, handle_parameter())) == [8179]
