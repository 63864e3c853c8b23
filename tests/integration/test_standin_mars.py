"""The stand-in SQL Server with MARS, direct: what the proxy's tests of it rest on."""

from harness import *
from harness.mars import *
from harness.tds import DONE_ATTN, DONE_ERROR
from test_standin_protocol import assert_closed, numbers, running


def rows(count):
    """A batch with so many rows of 2,000 bytes."""
    return f"DECLARE @n int = 0; WHILE @n < {count} BEGIN SELECT @n AS n, REPLICATE('x', 2000) AS t; SET @n = @n + 1 END"


@cases(encrypt=["off", "login", "full", "strict"])
def test_sessions(t, encrypt):
    """They come and go, and share one session of the server."""
    server = t.sqlserver(args=["--mars"])
    mars = Mars(t.client(server, mars=1, encrypt=encrypt))
    sessions = [mars.open() for _ in range(5)]
    spid = sessions[0].scalar("SELECT @@SPID")
    assert [s.scalar("SELECT @@SPID") for s in sessions] == [spid] * 5
    sessions[1].query("CREATE TABLE #t (n int)")
    sessions[2].query("INSERT INTO #t VALUES (7)")
    assert sessions[3].scalar("SELECT n FROM #t") == 7
    assert server.sessions()[0]["streams"] == 5 and server.sessions()[0]["mars"]
    for one in sessions[1:]:
        one.close()
    again = mars.open(sid=3)
    assert again.scalar("SELECT n FROM #t") == 7
    assert server.connections() == 1
    mars.client.close()
    server.wait_connections(0)


def test_windows(t):
    """A client that does not read one result reads the others; none comes in more packets than its window lets."""
    server = t.sqlserver(args=["--mars"])
    mars = Mars(t.client(server, mars=1))
    slow, quick = mars.open(lazy=True), mars.open()
    slow.send(rows(100))
    for n in range(20):
        assert quick.scalar(f"SELECT {n}") == n
    assert slow.received == WINDOW
    slow.lazy = False
    slow.acknowledge()
    answer = slow.receive()
    assert [row[0] for row in answer.rows] == list(range(100))
    assert quick.scalar("SELECT 1") == 1


def test_long_requests(t):
    """Of more packets than the window: the server moves it meanwhile."""
    server = t.sqlserver(args=["--mars"])
    mars = Mars(t.client(server, mars=1))
    one, two = mars.open(), mars.open()
    for n in range(3):
        assert one.scalar(f"SELECT {n} --" + "x" * 30_000) == n
        assert two.scalar(f"SELECT {n} --" + "y" * 30_000) == n
    assert mars.acks > 5


def test_attention(t):
    """Of its session alone."""
    server = t.sqlserver(args=["--mars"])
    mars = Mars(t.client(server, mars=1))
    one, two = mars.open(), mars.open()
    one.send("WAITFOR DELAY '00:00:30'")
    wait_until(lambda: running(server) == 1, 5, "it runs")
    two.send("SELECT 2")
    one.attention()
    assert one.receive().done_status & DONE_ERROR
    assert one.receive().done_status == DONE_ATTN
    assert two.receive().rows == [[2]] and one.scalar("SELECT 1") == 1


def test_fin_while_a_request_runs(t):
    server = t.sqlserver(args=["--mars"])
    mars = Mars(t.client(server, mars=1))
    one, two = mars.open(), mars.open()
    one.send("WAITFOR DELAY '00:00:30'")
    two.send("SELECT 2")
    wait_until(lambda: running(server) == 1, 5, "it runs")
    one.close()
    assert two.receive().rows == [[2]]


BROKEN = {
    "no SMP": b"\x01\x01\0\x08\0\0\x01\0" * 2,
    "flags": smp(SMP_SYN | SMP_ACK, 9),
    "no flags": smp(0, 9),
    "short": smp(SMP_SYN, 9, length=15),
    "control with a payload": smp(SMP_SYN, 9, payload=b"x"),
    "too long": smp(SMP_DATA, 0, 1, payload=b"", length=2**31),
    "SYN again": smp(SMP_SYN, 0),
    "no such session": smp(SMP_DATA, 7, 1, payload=b"x" * 8),
    "sequence": smp(SMP_DATA, 0, 3, WINDOW + 1, b"x" * 8),
    "window": smp(SMP_ACK, 0, 1, WINDOW - 1),
}


@cases(what=list(BROKEN))
def test_a_wrong_field_closes_the_connection(t, what):
    server = t.sqlserver(args=["--mars"])
    mars = Mars(t.client(server, mars=1))
    one = mars.open()
    assert one.scalar("SELECT 1") == 1
    mars.write(BROKEN[what])
    assert_closed(mars.client)
    server.wait_connections(0)


def test_not_granted_unless_asked_for_and_offered(t):
    offers, declines = t.sqlserver(args=["--mars"]), t.sqlserver()
    assert t.client(offers).session.peer_options[4] == b"\0"
    assert t.client(declines, mars=1).session.peer_options[4] == b"\0"
    assert t.client(offers).scalar("SELECT 1") == 1
    server_error = Mars(t.client(offers, mars=1)).open()
    server_error.send("SELECT 1/0")
    assert numbers(server_error.receive()) == [8134]
