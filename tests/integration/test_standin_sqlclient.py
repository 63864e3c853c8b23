"""The stand-in SQL Server where SqlClient asks it things by itself: key columns, collations of a bulk copy, a procedure's parameters."""

from harness import *
from harness.tds import *
from test_standin_protocol import numbers

KEY, HIDDEN, RENAMED, EXPRESSION = 0x08, 0x10, 0x20, 0x04


def table(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.pairs (a int NOT NULL, b nvarchar(20) NOT NULL, n decimal(9,2) NULL, PRIMARY KEY (a, b))")
    client.query("INSERT INTO dbo.pairs VALUES (1, N'one', 1.5), (2, N'two', NULL)")
    return client


def column_infos(answer):
    """(table's name in parts, [(column, table, status, name of the table's column), ...])"""
    name, infos = answer.browse
    parts, at = [], 1
    for _ in range(name[0]):
        size = 2 * int.from_bytes(name[at:at + 2], "little")
        parts.append(name[at + 2:at + 2 + size].decode("utf-16-le"))
        at += 2 + size
    found, at = [], 0
    while at < len(infos):
        column, table_, status = infos[at:at + 3]
        size = 1 + 2 * infos[at + 3] if status & RENAMED else 0
        found.append((column, table_, status, infos[at + 4:at + 3 + size].decode("utf-16-le") if size else ""))
        at += 3 + size
    return parts, found


def test_key_columns(t):
    """They come last, hidden, where they were not asked for; others are named after the table's where they have another name."""
    client = table(t)
    client.query("SET NO_BROWSETABLE ON")
    answer = client.query("SELECT n AS amount, b, a + 1 AS next FROM dbo.pairs ORDER BY a")
    assert answer.columns == [["amount", "b", "next", "a"]] and [row[1:] for row in answer.rows] == [["one", 2, 1], ["two", 3, 2]]
    assert column_infos(answer) == (["dbo", "pairs"], [(1, 1, RENAMED, "n"), (2, 1, KEY, ""), (3, 0, EXPRESSION, ""), (4, 1, KEY | HIDDEN, "")])
    answer = client.query("SELECT * FROM dbo.pairs")
    assert answer.columns == [["a", "b", "n"]] and [status for _, _, status, _ in column_infos(answer)[1]] == [KEY, KEY, 0]
    answer = client.query("SET FMTONLY ON; SELECT n FROM dbo.pairs; SET FMTONLY OFF")
    assert answer.columns == [["n", "a", "b"]] and answer.rows == [] and len(answer.browse) == 2
    for without in ("SELECT DISTINCT n FROM dbo.pairs", "SELECT COUNT(*) AS n FROM dbo.pairs GROUP BY a", "SELECT 1 AS n",
                    "SELECT x.n FROM dbo.pairs x JOIN dbo.pairs y ON x.a = y.a"):
        answer = client.query(without)
        assert answer.columns == [["n"]] and answer.browse == [], without
    client.query("SET NO_BROWSETABLE OFF")
    answer = client.query("SELECT n AS amount, b, a + 1 AS next FROM dbo.pairs ORDER BY a")
    assert answer.columns == [["amount", "b", "next"]] and answer.browse == []


def test_a_reset_ends_it(t):
    client = table(t)
    client.query("SET NO_BROWSETABLE ON")
    assert client.query("SELECT n FROM dbo.pairs", STATUS_RESET).columns == [["n"]]


def test_collations_of_a_table(t):
    client = table(t)
    rows = client.query("EXEC tempdb..sp_tablecollations_100 N'.[pairs]'").rows
    assert [(row[0], row[1], row[3]) for row in rows] == [(1, "a", None), (2, "b", "SQL_Latin1_General_CP1_CI_AS"), (3, "n", None)], rows
    assert numbers(client.ask("EXEC ..sp_tablecollations_100 N'[dbo].[nowhere]'")) == [15009]


def test_parameters_of_a_procedure(t):
    client = table(t)
    client.query("CREATE PROCEDURE dbo.three @i int, @t nvarchar(max) OUTPUT, @d decimal(9,2) = 1 AS SELECT 1")
    rows = client.rpc("sp_procedure_params_100_managed", "three").rows
    assert [row[:6] for row in rows] == [["@RETURN_VALUE", 4, 8, None, None, None], ["@i", 1, 8, None, None, None],
                                         ["@t", 2, 12, 0, None, None], ["@d", 1, 5, None, 9, 2]], rows
    assert client.rpc("sp_procedure_params_100_managed", "nothing").rows == []


def test_decimals_say_17_bytes_whatever_their_precision(t):
    """Of what the server says so SqlBulkCopy makes the length of each number, and always sends 17 bytes."""
    client = table(t)
    for precision in (5, 18, 28, 38):
        type_ = client.query(f"SELECT CAST(1 AS decimal({precision},2)) AS d").types[0]
        assert type_["size"] == 17, type_
