"""Session mode, the exchange: requests and answers between a client and the server connection of its session."""

import os
import struct

from harness import *
from harness.tds import *
from test_standin_protocol import assert_closed, numbers, running

TOKEN_DONE = 0xFD


def session_proxy(t, server, max_connections=5, bucket=None, **proxy_keys):
    entry = t.bucket("b1", server, max_connections, health_probe="off", **(bucket or {}))
    return t.proxy([entry], proxy={"pool_mode": "session", **proxy_keys})


def idle(proxy, bucket="b1"):
    return proxy.metric("proxy_connections_idle", bucket_id=bucket)


def wait_idle(proxy, count, bucket="b1"):
    """Every session has left, its server connection is clean and back: nothing else is held."""
    wait_until(lambda: (idle(proxy, bucket), proxy.metric("proxy_connections_active", bucket_id=bucket)) == (count, 0), 10,
               f"{count} idle server connections, none busy")


def outcomes(proxy, bucket="b1"):
    """Slots and connections handed out and taken back, as counted."""
    metrics = proxy.metrics()
    got = sum(metrics.get("proxy_connections_total", 0, bucket_id=bucket, status=s)
              for s in ("acquired", "acquired_after_wait"))
    return got, metrics.get("proxy_connections_total", 0, bucket_id=bucket, status="released")


def finished(t, proxy, server, kept):
    """All clients are gone: `kept` connections idle, the server has no other, and the counts agree."""
    wait_idle(proxy, kept)
    server.wait_connections(kept)
    got, back = outcomes(proxy)
    assert got == back, (got, back)
    proxy.stop()
    server.wait_connections(0)


@timeout(60)
@cases(encrypt=["off", "login", "full", "strict"])
def test_login_and_query(t, encrypt):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    for _ in range(3):
        client = t.client(proxy, encrypt=encrypt)
        assert client.scalar("SELECT 41 + 1") == 42
        client.close()
        wait_idle(proxy, 1)  # else the next one may be there before the server has reset it
    assert server.connections() == 1, server.stats()


def memory_of(t, proxy):
    """KiB; 0 in a build whose sanitizer keeps what is freed."""
    sanitized = "libasan" in t.run(["ldd", t.binary("tdsbouncer")]).stdout
    return 0 if sanitized else proc_rss_kib(proxy.pid)


# ---------------------------------------------------------------------------------------------------- packets


TEXT = "Grüße, 世界 "


def big_select(characters):
    """A batch of about so many characters, and its answer."""
    text = (TEXT * (characters // len(TEXT) + 1))[:characters]
    return f"SELECT N'{text}' AS t", text


@timeout(90)
@cases(server_size=[512, 4096, 32767])
def test_messages_pass_between_all_packet_sizes(t, server_size):
    server = t.sqlserver()
    server.set("strict-framing", 1)
    proxy = session_proxy(t, server, server_packet_size=server_size)
    for client_size in (512, 4096, 8000, 32767):
        client = t.client(proxy, packet_size=client_size)
        assert client.session.packet_size == client_size
        for size in (1, server_size // 2 - 30, 2049, 20000, 300000):
            sql, text = big_select(size)
            assert client.scalar(sql) == text, (client_size, size)
        value = os.urandom(700001)
        answer = client.rpc(10, "SELECT @v, DATALENGTH(@v)", "@v varbinary(max)", Parameter(value, "@v"))
        assert answer.rows == [[value, len(value)]], answer.errors
        assert 0.9 * client_size < client.session.largest_packet <= client_size, client.session.largest_packet
        client.close()
        wait_idle(proxy, 1)
    assert server.stats()["logins_total"] == 1
    finished(t, proxy, server, 1)


@timeout(60)
@cases(encrypt=["off", "full"])
def test_a_request_may_come_byte_by_byte(t, encrypt):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client, other = t.client(proxy, encrypt=encrypt), t.client(proxy)
    whole = message(PACKET_BATCH, batch_payload("SELECT N'slow' + N'ly'"), 64)  # packets far from full are legal
    for at in range(len(whole)):
        client.run(client.session.bytes_out(whole[at:at + 1]))
        if at == len(whole) // 2:
            assert other.scalar("SELECT 1") == 1
    assert client.receive().rows == [["slowly"]]
    client.close(), other.close()
    finished(t, proxy, server, 2)


@timeout(60)
def test_half_a_request_and_silence_holds_no_server_connection(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    t.client(proxy).close()
    wait_idle(proxy, 1)
    slow = t.client(proxy)
    payload = batch_payload("SELECT N'" + "x" * 20000 + "'")
    whole = message(PACKET_BATCH, payload, slow.session.packet_size)
    slow.socket.sendall(whole[:-7])
    for _ in range(3):  # the only server connection is for those who have a whole request
        with t.client(proxy) as other:
            assert other.scalar("SELECT 1") == 1
        wait_idle(proxy, 1)
    slow.socket.sendall(whole[-7:])
    assert slow.receive().rows == [["x" * 20000]]
    slow.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_a_huge_unfinished_request_costs_bounded_memory(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy, packet_size=32767)
    client.query("SELECT 1")
    server.pause()  # it reads nothing: the proxy must stop reading, too
    before = memory_of(t, proxy)
    data = message(PACKET_BATCH, batch_payload("SELECT 1 --" + "x" * 12_000_000), 32767)
    client.socket.settimeout(1)
    sent = 0
    try:
        while sent < len(data):
            sent += client.socket.send(data[sent:sent + 262144])
    except TimeoutError:
        pass
    assert sent < len(data), "the proxy has swallowed all of it"
    after = memory_of(t, proxy)
    assert after - before < 8 * 1024, f"{before} -> {after} KiB"
    server.resume()
    client.socket.settimeout(30)
    client.socket.sendall(data[sent:])
    assert client.receive().rows == [[1]]
    client.close()
    finished(t, proxy, server, 1)


ROWS = ("WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
        "SELECT i, REPLICATE('y', {width}) FROM n OPTION (MAXRECURSION 0)")


@timeout(90)
@cases(encrypt=["off", "full"])
def test_a_slow_reader_of_a_big_result_disturbs_nobody(t, encrypt):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    with t.client(proxy, encrypt=encrypt) as first:
        assert len(first.query(ROWS.format(rows=100, width=1000)).rows) == 100
    before = memory_of(t, proxy)
    slow, other = t.client(proxy, encrypt=encrypt), t.client(proxy)
    slow.send(ROWS.format(rows=4000, width=7000))
    wait_until(lambda: running(server) == 1, 10, "the result has begun")
    for n in range(50):
        assert other.scalar(f"SELECT {n}") == n
    holds_for(lambda: memory_of(t, proxy) - before < 8 * 1024, 0.5, "memory is bounded")
    rows = slow.receive().rows
    assert len(rows) == 4000 and rows[-1] == [4000, "y" * 7000]
    slow.close(), other.close()
    finished(t, proxy, server, 2)


# ---------------------------------------------------------------------------------------------------- kinds of requests


def bulk_rows(count):
    """COLMETADATA and rows of (n int) as a bulk load sends them."""
    columns = struct.pack("<BHIHBB", 0x81, 1, 0, 9, 0x26, 4) + b_varchar("n")
    return columns + b"".join(struct.pack("<BBi", 0xD1, 4, n) for n in range(count)) + b"\xfd" + struct.pack("<HHQ", 0, 0, 0)


@timeout(60)
def test_bulk_load_rpc_and_transaction_requests(t):
    server = t.sqlserver()
    server.set("strict-framing", 1)
    proxy = session_proxy(t, server, server_packet_size=1024)
    client = t.client(proxy)
    client.query("CREATE TABLE dbo.kept (n int); INSERT INTO dbo.kept VALUES (1), (2)")
    for _ in range(2):  # the stand-in reads it to its end and refuses it
        client.run(client.session.send(0x07, bulk_rows(50000), STATUS_RESET))  # the bit means nothing here
        answer = client.receive()
        assert numbers(answer) == [4022] and 18 not in answer.env_kinds(), (answer.errors, answer.env)
    assert server.stats()["bulk_loads_total"] == 2 and server.stats()["resets_total"] == 0
    client.tran(TRAN_BEGIN).raise_error()
    client.rpc("sp_executesql", "DELETE FROM dbo.kept WHERE n < @n", "@n int", Parameter(2, "@n")).raise_error()
    assert client.scalar("SELECT COUNT(*) FROM dbo.kept") == 1
    client.tran(TRAN_ROLLBACK).raise_error()
    assert client.query("SELECT COUNT(*), @@TRANCOUNT FROM dbo.kept").rows == [[2, 0]]
    client.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_the_ignore_bit_takes_an_unfinished_request_back(t):
    """JDBC and tedious cancel what they have not sent to its end by a last packet with EOM and IGNORE, and read one answer."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy)
    client.close()
    client = t.client(proxy)  # from the record: no server connection yet
    wait_idle(proxy, 1)
    head = batch_payload("CREATE TABLE dbo.never (n int) --") + b"x\0" * 2000

    def cancel(first_packets):
        for number, piece in enumerate(first_packets, 1):
            client.socket.sendall(packet(PACKET_BATCH, piece, 0, number))
        client.socket.sendall(packet(PACKET_BATCH, b"", STATUS_EOM | STATUS_IGNORE, len(first_packets) + 1))
        answer = client.receive()
        assert answer.tokens == [TOKEN_DONE] and answer.done_status & DONE_ERROR and not answer.errors, answer.dones

    cancel([head])
    cancel([])
    assert idle(proxy) == 1, "a server connection was taken for a request that was taken back"
    cancel([head] + [b"y\0" * 2000] * 30)  # more than is waited for: it has its server connection by then
    assert client.query("SELECT OBJECT_ID('dbo.never')").rows == [[None]]
    cancel([head])
    cancel([head] + [b"y\0" * 2000] * 30)
    assert client.scalar("SELECT 5") == 5
    client.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_mars_and_smp_are_refused(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy, mars=1)
    assert client.session.peer_options[4] == b"\0"
    assert client.scalar("SELECT 1") == 1
    client.socket.sendall(struct.pack("<BBHIII", 0x53, 1, 0, 16, 0, 4))  # SMP SYN
    assert numbers(client.receive()) == [50007]
    assert_closed(client)
    assert "SMP without MARS" in proxy.log_text()
    finished(t, proxy, server, 1)


VIOLATIONS = {
    "login7": lambda: message(PACKET_LOGIN7, login7_payload("sa", PASSWORD)),
    "prelogin": lambda: message(PACKET_PRELOGIN, prelogin_payload(ENCRYPT_NOT_SUP)),
    "response": lambda: packet(PACKET_RESPONSE, b"\xfd" + b"\0" * 12),
    "unknown type": lambda: packet(0x77, b"x"),
    "attention with a payload": lambda: packet(PACKET_ATTENTION, b"x"),
    "length 0": lambda: struct.pack(">BBHHBB", PACKET_BATCH, 1, 0, 0, 1, 0),
    "length 7": lambda: struct.pack(">BBHHBB", PACKET_BATCH, 1, 7, 0, 1, 0),
    "length 65535": lambda: struct.pack(">BBHHBB", PACKET_BATCH, 1, 65535, 0, 1, 0) + b"x" * 65527,
    "longer than negotiated": lambda: packet(PACKET_BATCH, batch_payload("S" * 5000)),
    "type change": lambda: packet(PACKET_BATCH, batch_payload("SELECT 1"), 0) + packet(PACKET_RPC, b"x" * 100, 1, 2),
    "second packet too short": lambda: packet(PACKET_BATCH, batch_payload("SELECT 1"), 0) + struct.pack(
        ">BBHHBB", PACKET_BATCH, 1, 3, 0, 2, 0),
    "endless empty packets": lambda: packet(PACKET_BATCH, b"", 0) * 9000,
    "both reset bits": lambda: message(PACKET_BATCH, batch_payload("SELECT 1"), status=STATUS_RESET | STATUS_RESET_SKIP_TRAN),
}


@timeout(90)
def test_who_breaks_the_protocol_is_closed_and_nobody_else(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    bystander = t.client(proxy)
    bystander.query("CREATE TABLE #mine (n int)")
    with t.client(proxy) as first:
        first.query("SELECT 1")
    for attached in (False, True):
        for count, (name, build) in enumerate(VIOLATIONS.items(), 1 + attached * len(VIOLATIONS)):
            client = t.client(proxy)
            if attached:
                client.query("SELECT 1")
            client.socket.sendall(build())
            assert_closed(client)
            errors = proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="protocol")
            assert errors == count, (name, attached, errors)
            assert "protocol error" in proxy.log_text()
            assert bystander.query("SELECT COUNT(*) FROM #mine").rows == [[0]], name
    bystander.close()
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 10, "all given back")
    got, back = outcomes(proxy)
    assert got == back
    assert server.stats()["attentions_total"] == 0
    proxy.stop()
    server.wait_connections(0)
