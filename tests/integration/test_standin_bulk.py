"""The stand-in SQL Server's bulk load: INSERT BULK, then a message of type 0x07 with COLMETADATA, ROWs and DONE."""

import os
import subprocess

from harness import *
from harness.tds import *
from test_standin_protocol import numbers

PACKET_BULK = 0x07
TABLE = "CREATE TABLE dbo.b (id int IDENTITY(10, 1), n int NOT NULL, t nvarchar(10) DEFAULT N'none')"
INSERT = "INSERT BULK dbo.b ([n] int, [t] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS)"
BEGAN, ROLLED_BACK = 8, 10


def metadata(tds=TDS74):
    user_type = b"\0\0\0\0" if tds >= TDS72 else b"\0\0"
    return (b"\x81\x02\0" + user_type + b"\x08\0\x38" + b_varchar("n") +
            user_type + b"\x09\0\xe7" + struct.pack("<H", 80) + COLLATION + b_varchar("t"))


def row(number, text):
    data = b"\xff\xff" if text is None else struct.pack("<H", 2 * len(text)) + text.encode("utf-16-le")
    return b"\xd1" + struct.pack("<i", number) + data


def done(tds=TDS74):
    return b"\xfd\0\0\0\0" + bytes(8 if tds >= TDS72 else 4)


def load(client, *rows, status=0, end=None, tds=TDS74):
    """Sends the data of a bulk load and returns the answer."""
    payload = metadata(tds) + b"".join(row(*r) for r in rows) + (done(tds) if end is None else end)
    client.run(client.session.send(PACKET_BULK, payload, status))
    return client.receive()


def contents(client):
    return client.query("SELECT id, n, t FROM dbo.b ORDER BY id").rows


def loader(t, **keys):
    server = t.sqlserver()
    client = t.client(server, **keys)
    client.query(TABLE)
    return server, client


@cases(version=[0x71000001, 0x72090002, 0x730B0003, 0x74000004])
def test_bulk_load(t, version):
    server, client = loader(t, tds_version=version)
    answer = client.query(INSERT)
    assert [(kind, status) for kind, status, *_ in answer.dones] == [(0xFD, 0)] and server.state(client)["bulk load"] == "b"
    answer = load(client, (1, "one"), (2, "dois"), tds=client.session.tds)
    assert answer.row_counts == [2] and not answer.errors and len(answer.dones) == 1
    assert contents(client) == [[10, 1, "one"], [11, 2, "dois"]] and server.state(client)["bulk load"] == ""
    stats = server.stats()
    assert stats["bulk_loads_total"] == 1 and stats["requests_total"] == stats["batches_total"]


def test_last_values_and_transactions(t):
    server, client = loader(t)
    client.query("BEGIN TRAN")
    client.query(INSERT)
    load(client, (1, "a"), (2, "b"), (3, "c"))
    assert client.query("SELECT @@ROWCOUNT, CAST(@@IDENTITY AS int), @@TRANCOUNT").rows == [[3, 12, 1]]
    client.query("ROLLBACK")
    assert contents(client) == []
    client.query(INSERT)
    assert load(client).row_counts == [0], "no rows are no error"


def test_nulls_and_identity(t):
    """A NULL gives way to a default unless KEEP_NULLS; identities of the client count under IDENTITY_INSERT only."""
    _, client = loader(t)
    client.query(INSERT)
    load(client, (1, None))
    client.query(INSERT + " WITH (KEEP_NULLS, ROWS_PER_BATCH = 5, ORDER ([n] ASC, t DESC), TABLOCK)")
    load(client, (2, None))
    assert contents(client) == [[10, 1, "none"], [11, 2, None]]
    with_identity = "INSERT BULK dbo.b (id int, t nvarchar(10))"
    client.query(with_identity)
    assert numbers(load(client, (77, "x"))) == [515], "n has no value, and allows none"
    client.query("CREATE TABLE dbo.i (id int IDENTITY, t nvarchar(10))")
    with_identity = "INSERT BULK dbo.i (id int, t nvarchar(10))"
    client.query(with_identity)
    load(client, (77, "x"))
    client.query("SET IDENTITY_INSERT dbo.i ON")
    client.query(with_identity)
    load(client, (77, "y"))
    assert client.query("SELECT id, t FROM dbo.i").rows == [[1, "x"], [77, "y"]]


def test_errors_take_the_whole_load_back(t):
    _, client = loader(t)
    client.query("CREATE UNIQUE INDEX ux ON dbo.b (n)")
    client.query(INSERT)
    assert numbers(load(client, (1, "a"), (1, "b"))) == [2601] and contents(client) == []
    client.query(INSERT)
    assert numbers(load(client, (1, "a"), (2, "x" * 10 + "y"))) == [2628] and contents(client) == []
    client.query("INSERT BULK dbo.b (n int)")
    assert numbers(load(client, (1, "a"))) == [4891]
    assert numbers(client.ask("INSERT BULK dbo.none (n int)")) == [208]
    assert numbers(client.ask("INSERT BULK dbo.b (other int)")) == [207]
    client.query(INSERT)
    answer = load(client, (1, "a"), end=b"\xd1\x01")
    assert [(e.number, e.severity) for e in answer.errors] == [(4804, 21)], "data that ends early ends the connection"


def test_data_that_nobody_asked_for(t):
    _, client = loader(t)
    assert numbers(load(client, (1, "a"))) == [4022] and contents(client) == []
    client.query(INSERT)
    client.run(client.session.send(PACKET_BULK, b""))
    assert numbers(client.receive()) == [4022]


@cases(instead=["batch", "rpc", "tran", "reset", "attention"])
def test_another_request_instead_of_the_data(t, instead):
    """It is served as ever, and the load is forgotten."""
    server, client = loader(t)
    client.query(INSERT)
    if instead == "attention":
        client.attention()
        answer = client.receive()
        assert [status for _, status, *_ in answer.dones] == [DONE_ATTN]
    elif instead == "tran":
        assert client.tran(TRAN_BEGIN).env_kinds() == [BEGAN]
    else:
        answer = (client.rpc(10, "SELECT 7 AS n") if instead == "rpc" else
                  client.query("SELECT 7 AS n", STATUS_RESET if instead == "reset" else 0))
        assert answer.rows == [[7]]
    assert server.state(client)["bulk load"] == "" and numbers(load(client, (1, "a"))) == [4022]
    assert contents(client) == []


def test_ignored_bulk_load(t):
    """IGNORE with the last packet: one DONE with an error, and nothing is loaded."""
    _, client = loader(t)
    client.query(INSERT)
    payload = metadata() + row(1, "a")
    for bytes_sent in (packet(PACKET_BULK, payload, STATUS_EOM | STATUS_IGNORE), packet(PACKET_BULK, b"", STATUS_EOM | STATUS_IGNORE)):
        client.run(client.session.bytes_out(bytes_sent))
        answer = client.receive()
        assert [status for _, status, *_ in answer.dones] == [DONE_ERROR] and not answer.errors
        client.query(INSERT)
    assert load(client, (2, "b")).row_counts == [1] and [r[1] for r in contents(client)] == [2]


def test_attention_while_the_data_comes(t):
    """Between two packets of the data: one acknowledgement, and nothing is loaded."""
    _, client = loader(t)
    client.query(INSERT)
    rows = metadata() + b"".join(row(n, "x" * 10) for n in range(1000))
    room = client.session.packet_size - 8
    client.run(client.session.bytes_out(packet(PACKET_BULK, rows[:room], 0) + packet(PACKET_BULK, rows[room:2 * room], 0, 2)))
    client.attention()
    answer = client.receive()
    assert [status for _, status, *_ in answer.dones] == [DONE_ATTN] and contents(client) == []


def test_a_long_load(t):
    _, client = loader(t)
    client.query(INSERT)
    assert load(client, *((n, str(n)) for n in range(20000))).row_counts == [20000]
    assert client.query("SELECT COUNT(*), SUM(n) FROM dbo.b").rows == [[20000, sum(range(20000))]]


@cases(version=["7.1", "7.4"])
def test_freebcp(t, version):
    """FreeTDS's bulk copy in, in three loads, and out again."""
    server = t.sqlserver()
    client = t.client(server)
    client.query("CREATE TABLE dbo.b (id int IDENTITY, n int NOT NULL, t nvarchar(20) NULL, d decimal(10, 2), v varchar(max), "
                 "x datetime, f float)")
    lines = [f"{n}|{n * 2}|name {n}|{n}.25|{'x' * n}|2024-02-29 10:11:12.000|{n}.5\n" for n in range(1, 301)]
    source, copy = os.path.join(t.folder, "in"), os.path.join(t.folder, "out")
    with open(source, "w", encoding="utf-8") as file:
        file.writelines(lines)
    env = dict(os.environ, TDSPORT=str(server.port), TDSVER=version)
    login = ["-S", server.host, "-U", server.user, "-P", server.password, "-c", "-t", "|"]
    for words in (["in", source, "-b", "100"], ["out", copy]):
        run = subprocess.run(["freebcp", "tenant_db.dbo.b", *words, *login], env=env, capture_output=True, text=True,
                             timeout=30, check=False)
        assert run.returncode == 0 and "300 rows copied" in run.stdout, run.stdout + run.stderr
    assert client.query("SELECT COUNT(*), SUM(n) FROM dbo.b").rows == [[300, 300 * 301]]
    assert server.stats()["bulk_loads_total"] >= 3
    with open(copy, encoding="utf-8") as file:
        assert file.readlines() == lines
