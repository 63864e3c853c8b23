"""The stand-in SQL Server on the wire: values of every type, long ones, packet sizes, versions, and what it costs."""

import random
import socket
from decimal import Decimal

from harness import *
from harness.tds import *
from test_standin_protocol import TOKEN_DONE, drain, numbers

ENV_PACKET_SIZE = 4


# ---------------------------------------------------------------------------------------------------- values


TYPES = {  # column type: (literal, what comes back)
    "bit": ("1", 1), "tinyint": ("255", 255), "smallint": ("-32768", -32768), "int": ("-2147483648", -2**31),
    "bigint": ("9223372036854775807", 2**63 - 1), "real": ("1.5", 1.5), "float": ("-2.5e300", -2.5e300),
    "decimal(38,10)": ("-1234567890123456789012345678.0123456789", Decimal("-1234567890123456789012345678.0123456789")),
    "numeric(9,2)": ("1234567.89", Decimal("1234567.89")),
    "money": ("-922337203685477.5808", Decimal("-922337203685477.5808")),
    "smallmoney": ("214748.3647", Decimal("214748.3647")), "char(5)": ("'ab'", "ab   "),
    "varchar(20)": ("'caf' + CHAR(233)", "café"),
    "varchar(max)": ("REPLICATE(CAST('v' AS varchar(max)), 9000)", "v" * 9000), "nchar(3)": ("N'é'", "é  "),
    "nvarchar(20)": ("N'zażółć 😀'", "zażółć 😀"), "nvarchar(max)": ("N''", ""), "text": ("'text'", "text"),
    "ntext": ("N'ntéxt'", "ntéxt"), "image": ("0x00FF", b"\0\xff"), "binary(4)": ("0x0102", b"\1\2\0\0"),
    "varbinary(10)": ("0x", b""), "varbinary(max)": ("0xDEADBEEF", b"\xde\xad\xbe\xef"),
    "date": ("'0001-01-01'", "0001-01-01"),
    "time(7)": ("'23:59:59.9999999'", "23:59:59.9999999"), "time(0)": ("'12:34:56'", "12:34:56"),
    "datetime": ("'1753-01-01T23:59:59.997'", "1753-01-01 23:59:59.997"),
    "smalldatetime": ("'2079-06-06T23:59:00'", "2079-06-06 23:59:00"),
    "datetime2(3)": ("'9999-12-31T23:59:59.999'", "9999-12-31 23:59:59.999"),
    "datetimeoffset(7)": ("'2024-03-01T00:30:00.1234567+05:30'", "2024-02-29 19:00:00.1234567 +330"),
    "uniqueidentifier": ("'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
    "xml": ("N'<a b=\"1\">é</a>'", '<a b="1">é</a>'),
    "sql_variant": ("CAST(N'vär' AS nvarchar(10))", "vär"), "sysname": ("N'name'", "name"),
}


def as_parameter(column, raw):
    """A value of a result as a parameter of the same type: the TYPE_INFO and the bytes that the server sent."""
    kind, info = column["type"], column["info"]
    if kind in (0xF1, 0xA5, 0xA7, 0xE7) and (kind == 0xF1 or column["size"] == 0xFFFF):
        return Parameter(raw=info + (b"\xff" * 8 if raw is None else plp(raw, 1000)))
    width, null = (4, b"\0" * 4) if kind == 0x62 else (4, b"\xff" * 4) if kind in (0x22, 0x23, 0x63) else \
        (2, b"\xff\xff") if kind >= 0xA5 else (1, b"\0")
    return Parameter(raw=info + (null if raw is None else len(raw).to_bytes(width, "little") + raw))


def test_column_types_there_and_back(t):
    client = t.client(t.sqlserver())
    names = [f"c{i}" for i in range(len(TYPES))]
    client.query("CREATE TABLE dbo.every (id int IDENTITY PRIMARY KEY, " +
                 ", ".join(f"{n} {kind} NULL" for n, kind in zip(names, TYPES)) + ")")
    insert = f"INSERT INTO dbo.every ({', '.join(names)}) VALUES "
    client.query(insert + "(" + ", ".join(literal for literal, _ in TYPES.values()) + ")")
    client.query(insert + "(" + ", ".join("NULL" for _ in TYPES) + ")")
    select = f"SELECT {', '.join(names)} FROM dbo.every WHERE id = "
    first, nulls = client.query(select + "1"), client.query(select + "2")
    for kind, (_, wanted), got in zip(TYPES, TYPES.values(), first.rows[0]):
        assert got == wanted, f"{kind}: {got!r} instead of {wanted!r}"
    assert nulls.rows == [[None] * len(TYPES)] and 0xD2 in nulls.tokens, "not as NBCROW"
    declared = ", ".join(f"@{n} {kind}" for n, kind in zip(names, TYPES))
    for number, response in ((3, first), (4, nulls)):
        values = [as_parameter(*pair) for pair in zip(response.types, response.raw_rows[0])]
        answer = client.rpc(10, insert + "(" + ", ".join("@" + n for n in names) + ")", declared, *values)
        assert not answer.errors, answer.errors
        again = client.query(select + str(number))
        for kind, got, wanted in zip(TYPES, again.raw_rows[0], response.raw_rows[0]):
            assert got == wanted, f"{kind} as a parameter: {got!r} instead of {wanted!r}"


def test_bytes_and_text(t):
    client = t.client(t.sqlserver())
    assert client.query("SELECT CAST(0x410042003DD800DE AS nvarchar(10)), CAST(0x4142 AS varchar(10)), "
                        "CAST(N'é' AS varbinary(4)), CAST('é' AS varbinary(4)), CONVERT(nvarchar(10), 0x0AFF, 1)").rows == [
        ["AB😀", "AB", b"\xe9\0", b"\xe9", "0x0AFF"]]


@cases(size=[512, 4096, 32767], encrypt=["off", "full"])
def test_long_values_and_packet_sizes(t, size, encrypt):
    client = t.client(t.sqlserver(), packet_size=size, encrypt=encrypt)
    size = min(size, 16383 if encrypt == "full" else 32767)  # TLS records end there
    assert client.session.packet_size == size and (ENV_PACKET_SIZE, str(size), "4096") in client.login_response.env
    client.session.largest_packet = 0  # that of the TLS handshake
    data = random.Random(1).randbytes(1 << 20)
    text = "zażółć😀" * 65536
    null_max = Parameter(output=True, raw=b"\xa5\xff\xff" + b"\xff" * 8)
    answer = client.rpc(10, "SET @o = @d; SELECT @d AS d, @t AS t, DATALENGTH(@t) AS n",
                        "@d varbinary(max), @t nvarchar(max), @o varbinary(max) OUTPUT", data, text, null_max)
    assert answer.rows == [[data, text, len(text.encode("utf-16-le"))]]
    assert answer.return_values == [(4, "", data)]
    assert client.session.largest_packet == size
    client.query("CREATE TABLE dbo.long (d varbinary(max), t nvarchar(max))")
    client.rpc(10, "INSERT INTO dbo.long VALUES (@d, @t)", "@d varbinary(max), @t nvarchar(max)", data, text)
    assert client.query("SELECT d, t FROM dbo.long").rows == [[data, text]]


def test_packet_size_is_kept_within_limits(t):
    server = t.sqlserver(args=["--packet-size-max", "8000"])
    granted = {asked: t.client(server, packet_size=asked).session.packet_size for asked in (0, 100, 5000, 32767)}
    assert granted == {0: 4096, 100: 512, 5000: 5000, 32767: 8000}, granted
    tls = t.sqlserver()
    assert t.client(tls, packet_size=32767, encrypt="full").session.packet_size == 16383


@cases(version=[TDS71, TDS72, TDS73A, TDS73B, TDS74])
def test_tds_versions(t, version):
    client = t.client(t.sqlserver(), tds_version=version)
    assert client.login_response.loginack["tds"] == version
    row = client.query("SELECT CAST('2024-02-29' AS date) AS d, CAST(N'max' AS nvarchar(max)) AS m, "
                       "CAST('t' AS text) AS t, "
                       "CAST(NULL AS nvarchar(max)) AS x1, CAST(NULL AS nvarchar(max)) AS x2")
    assert row.rows == [["2024-02-29", "max", "t", None, None]]
    kinds = [column["type"] for column in row.types]
    assert kinds[0] == (0x28 if version >= TDS73A else 0xE7) and kinds[1] == (0xE7 if version >= TDS72 else 0x63), kinds
    assert (0xD2 in row.tokens) == (version >= TDS73B)
    answer = client.rpc(10, "SET @o = @a + 1", "@a int, @o int OUTPUT", 1, Parameter(0, "", True))
    ordinal = 3 if version >= TDS72 else 13  # below, the length of the rest
    assert answer.return_values == [(ordinal, "", 2)]
    assert numbers(client.ask("SELECT 1/0")) == [8134]
    assert client.query("SELECT 1 AS n UNION ALL SELECT 2").dones == [(TOKEN_DONE, DONE_COUNT, 0xC1, 2)]


# ---------------------------------------------------------------------------------------------------- load


def memory_counts(t):
    """False in a build whose sanitizer keeps freed memory and pads the rest."""
    return "libasan" not in t.run(["ldd", t.binary("sqlserver-standin")]).stdout


def test_slow_reader_does_not_cost_memory(t):
    server = t.sqlserver()
    client, other = t.client(server), t.client(server)
    client.query("CREATE TABLE dbo.n (n int)")
    client.query("INSERT INTO dbo.n VALUES " + ", ".join(f"({n})" for n in range(120)))
    client.query("SELECT a.n, REPLICATE(N'x', 1900) AS x FROM dbo.n a")
    base = proc_rss_kib(server.pid)
    client.send("SELECT a.n, b.n AS m, REPLICATE(N'x', 1900) AS x FROM dbo.n a CROSS JOIN dbo.n b")
    most = 0
    for _ in range(10):  # 5 MB at a time; in between the server fills what it may and stops
        busy = [proc_cpu_seconds(server.pid) - 1]

        def stalled():
            before, busy[0] = busy[0], proc_cpu_seconds(server.pid)
            return before == busy[0]
        holds_for(lambda: other.scalar("SELECT 1") == 1, 0.05, "others are served")
        wait_until(stalled, 5, "the server waits for the reader")
        most = max(most, proc_rss_kib(server.pid) - base)
        drain(client, 5_000_000)
    assert most < 4 * 1024 or not memory_counts(t), f"{most} KiB more than before"
    answer = client.receive()
    assert len(answer.rows) == 14400 and {len(row[2]) for row in answer.rows} == {1900}
    assert sorted(row[:2] for row in answer.rows) == [[a, b] for a in range(120) for b in range(120)]


def test_reader_that_goes_away(t):
    server = t.sqlserver()
    for abrupt in (False, True):
        client = t.client(server)
        client.send("WITH n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 300) "
                    "SELECT a.n, REPLICATE(N'x', 2000) FROM n a, n b OPTION (MAXRECURSION 0)")
        client.socket.recv(1000)
        if abrupt:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        server.wait_connections(0)
    assert server.sessions() == []


@cases(query=["SELECT 1", "SELECT n FROM dbo.n"])
def test_idle_sessions_are_cheap(t, query):
    """Those that have read a table keep a connection to SQLite, with two files open and its cache."""
    server = t.sqlserver()
    t.client(server).query("CREATE TABLE dbo.n (n int)")
    crowd = t.crowd(server, query=query)
    crowd.open(20)
    crowd.wait_state(HELD, 20)
    base = proc_rss_kib(server.pid)
    crowd.open(1000)
    crowd.wait_state(HELD, 1020, timeout=40)
    each = (proc_rss_kib(server.pid) - base) / 1000
    assert each < (20 if query == "SELECT 1" else 200) or not memory_counts(t), f"{each:.1f} KiB for each idle session"
    assert server.connections() == len(server.sessions()) == 1021
    crowd.release()
    crowd.wait_all()
    server.wait_connections(1)
