"""The stand-in SQL Server's last values and conversions: @@IDENTITY, @@ROWCOUNT and their like, CAST without FROM.

What the proxy reads of a server connection before another client gets it, and puts back.
"""

from decimal import Decimal

from harness import *
from harness.tds import *
from test_standin_protocol import numbers

LAST = "SELECT @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT, @@ERROR"
THREE = "(VALUES (1), (2), (3)) v (n)"


def rowcount_after(client, statement):
    """@@ROWCOUNT in the next request, where it was 3 before the statement."""
    client.query(f"SELECT n FROM {THREE}")
    client.ask(statement)
    return client.scalar("SELECT @@ROWCOUNT")


def ids_table(t):
    client = t.client(t.sqlserver())
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(10, 5), n int); CREATE TABLE dbo.plain (n int)")
    return client


# ---------------------------------------------------------------------------------------------------- last values


def test_rowcount_of_each_kind_of_statement(t):
    client = ids_table(t)
    kept = ["", "-- nothing", "DECLARE @a int", "EXEC sp_executesql N'DECLARE @a int'", "BEGIN TRY DECLARE @a int END TRY "
            "BEGIN CATCH END CATCH"]
    one = ["SELECT 1", "DECLARE @a int = 5", "DECLARE @a int; SET @a = 5", "SELECT @@SPID", "RETURN"]
    none = ["SET NOCOUNT OFF", "USE tenant_db", "PRINT 'x'", "RAISERROR('x', 10, 1)", "RAISERROR('x', 16, 1)",
            "BEGIN TRAN", "COMMIT", "BEGIN TRAN SAVE TRAN s", "ROLLBACK", "SELECT 1/0", "CREATE TABLE dbo.new (n int)",
            "DROP TABLE dbo.new", "IF 1 = 0 SELECT 1", "WHILE 1 = 0 SELECT 1", "UPDATE dbo.ids SET n = 1",
            "WAITFOR DELAY '00:00:00'", "TRUNCATE TABLE dbo.plain", "SELECT n FROM dbo.plain"]
    seen = {text: rowcount_after(client, text) for text in kept + one + none}
    assert seen == {**dict.fromkeys(kept, 3), **dict.fromkeys(one, 1), **dict.fromkeys(none, 0)}, seen
    assert rowcount_after(client, f"DECLARE @a int; SELECT @a = n FROM {THREE} WHERE n > 1") == 2
    assert rowcount_after(client, "INSERT INTO dbo.plain VALUES (1), (2)") == 2
    assert rowcount_after(client, "UPDATE dbo.plain SET n = 3; EXEC('DECLARE @x int')") == 2
    assert rowcount_after(client, "DELETE FROM dbo.plain") == 2


def test_rowcount_and_error_are_gone_after_if(t):
    client = ids_table(t)
    text = f"SELECT n FROM {THREE}; IF @@ROWCOUNT = 3 SELECT @@ROWCOUNT AS now; ELSE SELECT -1"
    assert client.query(text).rows == [[1], [2], [3], [0]]
    assert client.ask("SELECT 1/0; IF @@ERROR = 8134 SELECT @@ERROR; SELECT @@ERROR").rows == [[0], [0]]


def test_last_values_of_a_transaction_manager_request(t):
    client = ids_table(t)
    client.tran(TRAN_BEGIN)
    client.query("INSERT INTO dbo.ids VALUES (1), (2)")
    client.tran(TRAN_COMMIT)
    assert client.query(LAST).rows == [[Decimal(15), Decimal(15), 0, 0]]


def test_identity_of_the_last_insert(t):
    """Without an identity column it is NULL; with no row at all, or rolled back, it is what it was."""
    client = ids_table(t)
    client.query("INSERT INTO dbo.ids VALUES (1), (2)")
    assert client.query(LAST).rows == [[Decimal(15), Decimal(15), 2, 0]]
    assert client.query(LAST).rows == [[Decimal(15), Decimal(15), 1, 0]]
    client.query("INSERT INTO dbo.ids SELECT n FROM dbo.plain; UPDATE dbo.ids SET n = 5; DELETE FROM dbo.plain")
    assert client.query(LAST).rows == [[Decimal(15), Decimal(15), 0, 0]]
    client.query("BEGIN TRAN; INSERT INTO dbo.ids VALUES (3); ROLLBACK")
    assert client.query(LAST).rows == [[Decimal(20), Decimal(20), 0, 0]]
    assert client.query("SELECT IDENT_CURRENT('dbo.ids'), IDENT_CURRENT('dbo.plain'), IDENT_CURRENT('none')").rows == [
        [Decimal(20), None, None]]
    client.query("SET IDENTITY_INSERT dbo.ids ON; INSERT INTO dbo.ids (id, n) VALUES (77, 1)")
    assert client.query(LAST).rows == [[Decimal(77), Decimal(77), 1, 0]]
    client.query("INSERT INTO dbo.plain VALUES (1)")
    assert client.query(LAST).rows == [[None, Decimal(77), 1, 0]]


def test_scope_identity_has_a_scope(t):
    client = ids_table(t)
    client.query("INSERT INTO dbo.ids VALUES (1); CREATE TABLE #mine (id int IDENTITY(500, 1), n int)")
    inner = "SELECT SCOPE_IDENTITY(); INSERT INTO dbo.ids VALUES (2); SELECT SCOPE_IDENTITY()"
    client.query("CREATE PROCEDURE dbo.fill AS " + inner)
    outer = "SELECT @@IDENTITY, SCOPE_IDENTITY()"
    for number, call in enumerate((lambda: client.rpc(10, inner), lambda: client.rpc("dbo.fill"),
                                   lambda: client.query(f"EXEC('{inner}')"), lambda: client.query("EXEC dbo.fill"),
                                   lambda: client.rpc(13, handle_parameter(), None, inner)), 1):
        now = Decimal(10 + 5 * number)
        assert call().rows == [[None], [now]]
        assert client.query(outer).rows == [[now, Decimal(10)]]
    client.query("INSERT INTO #mine VALUES (1)")
    assert client.query(outer).rows == [[Decimal(500), Decimal(500)]]


@cases(kind=["int", "bigint", "numeric(38, 0)", "smallint"])
def test_a_table_variable_gives_any_identity(t, kind):
    """How the proxy puts @@IDENTITY and SCOPE_IDENTITY() back."""
    client = t.client(t.sqlserver())
    most = {"int": 2**31 - 1, "smallint": 32767}.get(kind, 2**63 - 1)
    for number in (41, 1, 0, -7, most, -most - 1):
        client.query(f"SET NOCOUNT ON; DECLARE @t TABLE (i {kind} IDENTITY({number}, 1)); INSERT @t DEFAULT VALUES")
        assert client.query(LAST).rows == [[Decimal(number), Decimal(number), 1, 0]]
    assert client.query(LAST, STATUS_RESET).rows == [[None, None, 0, 0]]


def test_error_of_the_last_statement(t):
    client = ids_table(t)
    for text, number in (("SELECT 1/0", 8134), ("RAISERROR('x', 16, 1)", 50000), ("SELECT * FROM dbo.none", 208),
                         ("SELECT 1 AS", 102), ("THROW 50123, 'x', 1", 50123), ("SELECT 1", 0),
                         ("RAISERROR('x', 10, 1)", 0), ("RAISERROR('x', 10, 1) WITH SETERROR", 50000),
                         ("BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT @@ERROR END CATCH", 0)):
        client.ask(text)
        assert client.query("SELECT @@ERROR; SELECT @@ERROR").rows == [[number], [0]], text
    assert client.ask("BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT @@ERROR END CATCH").rows == [[8134]]
    client.ask("SELECT 1/0")
    assert client.query("SELECT @@ERROR", STATUS_RESET).rows == [[0]]


# ---------------------------------------------------------------------------------------------------- conversions


def test_cast_to_text(t):
    client = t.client(t.sqlserver())
    values = {"CAST(1 AS bit)": "1", "CAST(255 AS tinyint)": "255", "CAST(-5 AS smallint)": "-5", "-2147483648": "-2147483648",
              "CAST(9223372036854775807 AS bigint)": "9223372036854775807", "CAST(42 AS numeric(38, 0))": "42",
              "CAST(-1.50 AS decimal(9, 2))": "-1.50", "CAST(1.5 AS float)": "1.5", "CAST(0.25 AS real)": "0.25",
              "CAST(12.3456 AS money)": "12.35", "CAST(-1 AS smallmoney)": "-1.00", "'abc'": "abc", "N'çä'": "çä",
              "CAST('x' AS char(3))": "x  ", "CAST('2024-02-29' AS date)": "2024-02-29",
              "CAST('12:30:15.25' AS time(2))": "12:30:15.25", "CAST('20240229 12:30' AS datetime)": "Feb 29 2024 12:30PM",
              "CAST('20240229 00:05' AS smalldatetime)": "Feb 29 2024 12:05AM",
              "CAST('2024-02-29 12:30:15.1234567' AS datetime2)": "2024-02-29 12:30:15.1234567",
              "CAST('2024-02-29 12:30:15 +02:00' AS datetimeoffset(0))": "2024-02-29 12:30:15 +02:00",
              "CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier)": "6F9619FF-8B86-D011-B42D-00C04FC964FF",
              "CAST('<a/>' AS xml)": "<a/>", "CAST(7 AS sql_variant)": "7", "NULL": None}
    for kind in ("nvarchar(40)", "nvarchar(max)"):
        for text, expected in values.items():
            for form in (f"CAST({text} AS {kind})", f"CONVERT({kind}, {text})"):
                answer = client.query(f"SELECT {form}")
                assert answer.rows == [[expected]], (form, answer.rows)
                assert answer.types[0]["type"] == 0xE7 and answer.types[0]["size"] == (80 if "40" in kind else 0xFFFF)
    assert client.query("SELECT CAST(0x41004200 AS nvarchar(40)), CONVERT(nvarchar(40), 0x4142, 1), "
                        "CONVERT(nvarchar(40), 0x4142, 2)").rows == [["AB", "0x4142", "4142"]]
    assert numbers(client.ask("SELECT CAST(123456 AS nvarchar(3))")) == [8115]


def test_casts_of_what_the_proxy_reads(t):
    """In one SELECT without FROM, so that it begins no transaction."""
    client = ids_table(t)
    text = ("SELECT CAST(@@TRANCOUNT AS nvarchar(12)), CAST(@@IDENTITY AS nvarchar(40)), "
            "CAST(SCOPE_IDENTITY() AS nvarchar(40)), CAST(@@ROWCOUNT AS nvarchar(12)), CAST(@@ERROR AS nvarchar(12)), "
            "CAST(OBJECT_ID(N'tempdb..#t') AS nvarchar(12)), CAST(CASE WHEN XACT_STATE() = 0 THEN 'none' "
            "WHEN XACT_STATE() = 1 THEN 'open' ELSE 'doomed' END AS nvarchar(4)), CAST(@@OPTIONS AS nvarchar(12)), "
            "CAST(DB_NAME() AS nvarchar(128)), CAST(@@LOCK_TIMEOUT AS nvarchar(12)), CAST(@@DATEFIRST AS nvarchar(12)), "
            "CAST(@@LANGUAGE AS nvarchar(128)), CAST(@@TEXTSIZE AS nvarchar(12)), CAST(42 AS numeric(38, 0)), "
            "CAST(CONTEXT_INFO() AS varbinary(128)), CAST(@@SPID AS nvarchar(12)) WHERE 1 = 1")
    client.query("SET IMPLICIT_TRANSACTIONS ON")
    assert client.query(text).rows[0][:7] == ["0", None, None, "0", "0", None, "none"]
    client.query("INSERT INTO dbo.ids VALUES (1); CREATE TABLE #t (n int)")
    row = client.query(text).rows[0]
    assert row[:3] == ["1", "10", "10"] and int(row[5]) < 0 and row[6] == "open", row
    assert row[7:14] == [str(8 + 16 + 32 + 256 + 1024 + 4096 + 2), "tenant_db", "-1", "7", "us_english", "2147483647",
                         Decimal(42)]
