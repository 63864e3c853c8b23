"""The stand-in SQL Server on the wire: logins that fail, switches to misbehave, requests that are broken."""

import random

from harness import *
from harness.tds import *
from test_standin_protocol import assert_closed, error_of, running, took


def refused_login(server, **keys):
    """[(number, severity)] of a login that fails; the connection is closed behind it."""
    keys = {"user": server.user, "password": server.password, "database": server.database, **keys}
    client = TdsClient(server.port, connect=False, **keys)
    error_of(client.run, client.session.login())
    assert_closed(client)
    client.close()
    return [(e.number, e.severity) for e in client.session.login_errors]


def test_login_errors(t):
    server = t.sqlserver()
    assert refused_login(server, password="wrong") == refused_login(server, user="nobody") == [(18456, 14)]
    assert refused_login(server, database="nowhere") == [(4060, 11), (18456, 14)]
    assert refused_login(server, password="wrong", tds_version=TDS71) == [(18456, 14)]
    server.set("login-error", 18488)
    assert refused_login(server) == [(18488, 14)]
    server.set("login-error", 4060)
    assert refused_login(server) == [(4060, 11), (18456, 14)]
    server.set("login-error", 0)
    assert t.client(server).scalar("SELECT 1") == 1
    stats = server.stats()
    assert stats["login_failures_total"] == 6 and stats["logins_total"] == 1, stats
    forced = t.sqlserver(args=["--login-error", "18401"])
    assert refused_login(forced) == [(18401, 14)]


def test_max_connections(t):
    server = t.sqlserver(args=["--max-connections", "2"])
    one, _ = t.client(server), t.client(server)
    assert refused_login(server) == [(17809, 20)]
    one.close()
    server.wait_connections(1)
    assert t.client(server).scalar("SELECT 1") == 1
    assert server.stats()["connections_refused"] == 1
    server.set("max-connections", 3)
    assert t.client(server).scalar("SELECT 1") == 1 and refused_login(server) == [(17809, 20)]


def test_misbehaving(t):
    server = t.sqlserver()
    held = t.client(server)

    def login():
        return try_login(server.port, server.user, server.password, server.database)

    def with_switch(name, value, function):
        server.set(name, value)
        try:
            return function()
        finally:
            server.set(name, 0)

    seconds, error = with_switch("delay-login", 300, lambda: took(login))
    assert error is None and 0.3 <= seconds < 2, seconds
    seconds, one = with_switch("delay-request", 300, lambda: took(held.scalar, "SELECT 1"))
    assert one == 1 and 0.3 <= seconds < 2, seconds
    assert isinstance(with_switch("drop-after-prelogin", 1, lambda: error_of(login)), (TdsClosed, OSError))
    assert isinstance(with_switch("drop-at-login", 1, lambda: error_of(login)), (TdsClosed, OSError))
    assert isinstance(with_switch("garbage", 1, lambda: error_of(login)), (TdsProtocolError, TdsClosed))
    assert isinstance(with_switch("refuse", 1, lambda: error_of(login)), ConnectionRefusedError)
    assert held.scalar("SELECT 2") == 2, "who is connected stays"
    assert login() is None
    dropped = with_switch("drop-request", 1, lambda: error_of(held.query, "SELECT 3"))
    assert isinstance(dropped, TdsClosed) and len(held.session.plain) > 8, "no half of an answer"
    server.wait_connections(0)
    assert login() is None


def test_one_killed_connection(t):
    server = t.sqlserver()
    one, other = t.client(server), t.client(server)
    server.kill_session(one.session.spid)
    assert_closed(one)
    assert other.scalar("SELECT 1") == 1 and server.control(f"kill {one.session.spid}").startswith("error")


def test_killed_connections(t):
    server = t.sqlserver()
    idle, busy = t.client(server), t.client(server)
    busy.query("CREATE TABLE dbo.n (n int); BEGIN TRAN; INSERT INTO dbo.n VALUES (1)")
    busy.send("WAITFOR DELAY '00:00:30'")
    wait_until(lambda: running(server) == 1, 5, "the request runs")
    server.kill_all()
    assert_closed(idle)
    assert_closed(busy)
    server.wait_connections(0)
    assert t.client(server).scalar("SELECT COUNT(*) FROM dbo.n") == 0, "not rolled back"


def test_illegal_requests_close(t):
    server = t.sqlserver()
    broken = {"unknown type": packet(0x55, b""),
              "short packet in the middle": packet(PACKET_BATCH, b"x" * 10, status=0),
              "longer than agreed": packet(PACKET_BATCH, b"x" * 5000), "length 3": b"\1\1\0\3\0\0\1\0",
              "another type inside": packet(PACKET_BATCH, b"x" * 4088, 0) + packet(PACKET_RPC, b"x"),
              "login again": message(PACKET_LOGIN7, login7_payload("sa", "x"))}
    for data in broken.values():
        client = t.client(server)
        client.socket.sendall(data)
        assert_closed(client)
    client = t.client(server)
    broken_rpc = all_headers() + b"\xff\xff\x0a\0\0\0\0\0\xe7\x40"
    for kind, payload in ((PACKET_BATCH, b"\x16\0\0\0"), (PACKET_BATCH, all_headers() + b"odd"),
                          (PACKET_RPC, all_headers()), (PACKET_RPC, broken_rpc),
                          (PACKET_TRAN, all_headers() + b"\x63\0")):
        client.run(client.session.send(kind, payload))
        answer = client.receive()
        assert answer.errors and answer.done_status & DONE_ERROR, (kind, payload)
    assert client.scalar("SELECT 1") == 1


@cases(version=[TDS71, TDS74])
def test_mutated_requests(t, version):
    """Whatever bytes a message holds: an answer or a closed connection, and the server lives."""
    server = t.sqlserver()
    chance = random.Random(version)
    variant = b"\x62\x49\x1f\0\0\x08\0\0\0\x6c\x02\x05\x02\x01\x01\0\0"
    dates = [b"\x2b\x07\x0a" + bytes(10), b"\x28\x03" + bytes(3), b"\x6f\x08\x08" + bytes(8),
             b"\x24\x10\x10" + bytes(16)]
    parameters = [1, 2**40, 1.5, b"x" * 20, "text", None] + [Parameter(raw=raw) for raw in [variant, *dates]]
    if version >= TDS72:
        parameters += [Parameter(raw=b"\xa5\xff\xff" + plp(b"y" * 50, 7)), Parameter(raw=b"\xf1\0" + plp(b"<\0/\0"))]
    declared = ", ".join(f"@p{i} sql_variant" if i == 6 else f"@p{i} nvarchar(max)" for i in range(len(parameters)))
    query = "SELECT name, 1 + 2 * (3) AS n FROM sys.databases WHERE name LIKE N'm%'"
    seeds = [(PACKET_RPC, rpc_payload(10, ["SELECT @p0 AS a", declared, *parameters], tds=version)),
             (PACKET_RPC, rpc_payload("sp_prepexec", [handle_parameter(), "@a int", "SELECT @a", 5], tds=version)),
             (PACKET_BATCH, batch_payload(query, tds=version)),
             (PACKET_TRAN, tran_payload(TRAN_BEGIN, "name", 2, tds=version))]
    client, answers = t.client(server, tds_version=version), 0
    for _ in range(400):
        kind, payload = chance.choice(seeds)
        mutated = bytearray(payload)
        for _ in range(chance.randrange(1, 4)):
            byte = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, chance.randrange(256)))
            mutated[chance.randrange(len(mutated))] = byte
        if chance.random() < 0.2:
            del mutated[chance.randrange(len(mutated)):]
        try:
            client.run(client.session.send(kind, bytes(mutated)))
            client.run(client.session.read_message())
            answers += 1
        except (TdsClosed, OSError):
            client = t.client(server, tds_version=version)
    assert answers > 300 and t.client(server).scalar("SELECT 1") == 1, answers
