"""The stand-in SQL Server's prepared statements beyond the everyday (test_standin_protocol.py): several calls in one
message, numbers of handles, outputs, errors while they run, resets."""

from harness import *
from harness.tds import *
from test_standin_protocol import numbers

EXECUTESQL, PREPARE, EXECUTE, PREPEXEC, PREPEXECRPC, UNPREPARE = 10, 11, 12, 13, 14, 15
DONEPROC, RPC_IN_BATCH = 0xFE, 0x80


def handle_of(answer):
    """The first RETURNVALUE, as drivers take it."""
    assert answer.return_values[0][0] == 0, answer.return_values
    return answer.return_values[0][2]


def test_handles_count_from_one(t):
    client = t.client(t.sqlserver())
    prepare = lambda: handle_of(client.rpc(PREPARE, handle_parameter(), None, "SELECT 1 AS n"))
    assert [prepare(), prepare(), prepare()] == [1, 2, 3]
    client.rpc(UNPREPARE, 2)
    assert prepare() == 4
    client.query("SELECT 1", STATUS_RESET)
    assert prepare() == 1, "a reset begins anew"


def test_handles_can_be_reused(t):
    """Then a stale handle runs another statement instead of failing."""
    client = t.client(t.sqlserver(args=["--reuse-handles"]))
    stale = handle_of(client.rpc(PREPARE, handle_parameter(), None, "SELECT 'old' AS n"))
    client.rpc(UNPREPARE, stale)
    client.rpc(PREPARE, handle_parameter(), None, "SELECT 'new' AS n")
    assert client.rpc(EXECUTE, stale).rows == [["new"]]


def test_several_calls_in_one_message(t):
    client = t.client(t.sqlserver())
    answer = client.rpcs((PREPARE, handle_parameter(), "@a int", "SELECT @a * 2 AS n"), (EXECUTE, 1, 21),
                         ("sp_executesql", "SELECT 'x' AS n"), (EXECUTE, 99), (UNPREPARE, 1), (EXECUTE, 1, 1))
    assert answer.rows == [[42], ["x"]] and numbers(answer) == [8179, 8179]
    assert [value for _, _, value in answer.return_values] == [1]
    ends = [(status & RPC_IN_BATCH != 0, status & DONE_ERROR != 0) for kind, status, *_ in answer.dones if kind == DONEPROC]
    assert ends == [(True, False), (True, False), (True, False), (True, True), (True, False), (False, True)], ends
    answer = client.rpcs((EXECUTESQL, "SELECT DB_NAME() AS n"), (EXECUTESQL, "SELECT 2 AS n"), status=STATUS_RESET)
    assert answer.rows == [["tenant_db"], [2]] and answer.env_kinds() == [18]


@cases(version=[0x71000001, 0x72090002, 0x74000004])
def test_calls_in_one_message_by_version(t, version):
    client = t.client(t.sqlserver(), tds_version=version)
    for last in (b"", b"\xff" if version >= 0x72000000 else b"\x80"):
        calls = [(EXECUTESQL, "SELECT 1 AS n"), ("sp_executesql", "SELECT 2 AS n")]
        payload = rpc_batch_payload(calls, tds=client.session.tds, last=last)
        client.run(client.session.send(PACKET_RPC, payload))
        assert client.receive().rows == [[1], [2]]


def test_outputs_of_prepared_statements(t):
    """The ordinal is the parameter's place in the call: one more for sp_execute's handle, three for sp_prepexec."""
    client = t.client(t.sqlserver())
    text, parameters = "SET @o = @a + N'!'; SET @n = LEN(@a)", "@a nvarchar(20), @o nvarchar(20) OUTPUT, @n int OUTPUT"
    outputs = ["hey", Parameter("", "", True), Parameter(0, "", True)]
    answer = client.rpc(PREPEXEC, handle_parameter(), parameters, text, *outputs)
    assert answer.return_values == [(0, "", 1), (4, "", "hey!"), (5, "", 3)]
    assert client.rpc(EXECUTE, 1, *outputs).return_values == [(2, "", "hey!"), (3, "", 3)]
    named = [Parameter(0, "@n", True), Parameter("you", "@a"), Parameter("", "@o", True)]
    assert client.rpc(EXECUTE, 1, *named).return_values == [(1, "@n", 3), (3, "@o", "you!")]
    assert client.rpc(EXECUTESQL, text, parameters, *outputs).return_values == [(3, "", "hey!"), (4, "", 3)]


def test_prepexecrpc(t):
    client = t.client(t.sqlserver())
    client.query("CREATE PROCEDURE dbo.twice @a int, @o int OUTPUT AS SET @o = @a * 2; SELECT @a AS a; RETURN 5")
    answer = client.rpc(PREPEXECRPC, handle_parameter(), "dbo.twice", 21, Parameter(0, "", True))
    assert answer.rows == [[21]] and answer.return_values == [(0, "", 1), (3, "", 42)] and answer.return_status == 5
    answer = client.rpc(EXECUTE, 1, 4, Parameter(0, "", True))
    assert answer.rows == [[4]] and answer.return_values == [(2, "", 8)]
    assert not client.rpc(UNPREPARE, 1).errors and numbers(client.rpc(EXECUTE, 1, 4)) == [8179]


def test_prepexec_replaces_a_handle(t):
    client = t.client(t.sqlserver())
    old = handle_of(client.rpc(PREPEXEC, handle_parameter(), None, "SELECT 1 AS n"))
    new = handle_of(client.rpc(PREPEXEC, handle_parameter(old), None, "SELECT 2 AS n"))
    assert new != old and numbers(client.rpc(EXECUTE, old)) == [8179] and client.rpc(EXECUTE, new).rows == [[2]]
    assert handle_of(client.rpc(PREPEXEC, handle_parameter(77), None, "SELECT 3 AS n")) == new + 1, "an unknown one is no error"
    wrong = client.rpc(PREPEXEC, handle_parameter(new), None, "SELECT (")
    assert numbers(wrong) == [102, 8180] and wrong.return_values == []


def test_errors_while_a_statement_runs(t):
    """The statement stays prepared; an error of one statement lets the others run, one that ends the batch does not."""
    client = t.client(t.sqlserver())
    answer = client.rpc(PREPEXEC, handle_parameter(), "@a int", "SELECT 1 / @a AS n; SELECT 'after' AS n", 0)
    assert numbers(answer) == [8134] and answer.rows == [["after"]] and handle_of(answer) == 1
    assert client.rpc(EXECUTE, 1, 1).rows == [[1], ["after"]]
    client.rpc(PREPARE, handle_parameter(), "@a nvarchar(9)", "SELECT CAST(@a AS int) AS n; SELECT 'after' AS n")
    answer = client.rpc(EXECUTE, 2, "x")
    assert numbers(answer) == [245] and answer.rows == []
    assert client.rpc(EXECUTE, 2, "3").rows == [[3], ["after"]]
    assert numbers(client.rpc(EXECUTE, 2)) == [8178]


def test_handles_outlive_transactions_and_not_resets(t):
    client = t.client(t.sqlserver())
    client.query("BEGIN TRAN")
    client.rpc(PREPARE, handle_parameter(), None, "SELECT @@TRANCOUNT AS n")
    client.query("ROLLBACK")
    assert client.rpc(EXECUTE, 1).rows == [[0]]
    assert numbers(client.rpc(EXECUTE, 1, status=STATUS_RESET)) == [8179], "gone before the request runs"


def test_prepared_statement_over_a_temp_table(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE #t (n int)")
    client.rpc(PREPARE, handle_parameter(), "@a int", "INSERT INTO #t VALUES (@a); SELECT COUNT(*) FROM #t")
    assert client.rpc(EXECUTE, 1, 5).rows == [[1]] and client.rpc(EXECUTE, 1, 6).rows == [[2]]
    client.query("DROP TABLE #t")
    assert numbers(client.rpc(EXECUTE, 1, 5)) == [208]


def test_handles_in_text(t):
    client = t.client(t.sqlserver())
    client.query("DECLARE @h int; EXEC sp_prepare @h OUTPUT, N'@x int', N'SELECT @x AS x'")
    assert client.query("EXEC sp_execute 1, 9").rows == [[9]] and client.rpc(EXECUTE, 1, 8).rows == [[8]]
    assert client.query("DECLARE @h int = 1; EXEC sp_prepexec @h OUTPUT, N'', N'SELECT 3 AS n'; SELECT @h").rows == [[3], [2]]
    assert numbers(client.ask("EXEC sp_execute 1, 9")) == [8179]
