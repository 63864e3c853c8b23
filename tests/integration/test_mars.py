"""proxy.mars: dedicate. Clients that multiplex are granted it, on a server connection that is theirs for their whole session.

DESIGN.md sections 3, 4 (pin mars) and 8 (no timeout holds for it).
"""

import random
import socket
import struct
import threading
import time

from harness import *
from harness.mars import *
from harness.tds import DONE_ATTN, DONE_ERROR
from pooled import held
from test_login_tokens import sspi_login
from test_standin import assert_basic
from test_standin_mars import BROKEN, rows
from test_standin_protocol import assert_closed, numbers, running

MODES = ["session", "transaction"]


def dedicating(t, server, connections=3, mode="transaction", bucket=None, **proxy_keys):
    keys = {"pool_mode": mode, "mars": "dedicate", "health_check_interval": "1h", **proxy_keys}
    return t.proxy([t.bucket("b1", server, connections, **{"health_probe": "off", **(bucket or {})})], proxy=keys)


def scene(t, mode="transaction", encrypt="off", bucket=None, server_encrypt="off", **proxy_keys):
    server = t.sqlserver(args=["--mars"], encrypt=server_encrypt)
    proxy = dedicating(t, server, mode=mode, bucket=bucket, **proxy_keys)
    return server, proxy, Mars(t.client(proxy, mars=1, encrypt=encrypt))


def finished(proxy, server):
    """Nothing is held, and nothing is kept: such a connection is of no use to others."""
    wait_until(lambda: held(proxy) == (0, {}), 10, lambda: f"nothing held, but it is {held(proxy)}")
    assert proxy.metric("proxy_connections_idle", bucket_id="b1") == 0
    server.wait_connections(0)


@timeout(60)
@cases(mode=MODES, encrypt=["off", "login", "full", "strict"], server_encrypt=["none", "on"])
def test_sessions(t, mode, encrypt, server_encrypt):
    """Both sides' TLS ends at the proxy, whatever that is on either side."""
    server, proxy, mars = scene(t, mode, encrypt, server_encrypt=server_encrypt)
    sessions = [mars.open() for _ in range(4)]
    spid = sessions[0].scalar("SELECT @@SPID")
    assert [s.scalar("SELECT @@SPID") for s in sessions] == [spid] * 4
    sessions[1].query("CREATE TABLE #t (n int)")
    sessions[2].query("INSERT INTO #t VALUES (7)")
    assert sessions[3].scalar("SELECT n FROM #t") == 7
    sessions[1].close()
    session, = server.sessions()
    assert session["mars"] and session["streams"] == 3
    wait_until(lambda: held(proxy) == (1, {"mars": 1}), 10, lambda: f"pinned for mars, but it is {held(proxy)}")
    mars.client.close()
    finished(proxy, server)


@timeout(60)
@cases(encrypt=["off", "full"])
def test_results_interleave(t, encrypt):
    """Windows are the ends' business: a result that is not read holds no other one up."""
    server, proxy, mars = scene(t, encrypt=encrypt)
    slow, quick = mars.open(lazy=True), mars.open()
    slow.send(rows(300))
    for n in range(20):
        assert quick.scalar(f"SELECT {n} --" + "x" * 10_000) == n
    slow.lazy = False
    slow.acknowledge()
    for _ in range(5):
        quick.send(rows(30))
    wait_until(lambda: (mars.pump(), slow.received > 20 and quick.received > 40)[1], 20, "packets of both")
    order = mars.order[-40:]
    assert len(set(order)) == 2, order
    assert [row[0] for row in slow.receive().rows] == list(range(300))
    for _ in range(5):
        assert [row[0] for row in quick.receive().rows] == list(range(30))
    assert quick.scalar("SELECT 1") == 1


@timeout(60)
@cases(asked=[512, 4096, 8000, 32767], encrypt=["off", "full"], server_encrypt=["none", "on"])
def test_packets_have_one_size(t, asked, encrypt, server_encrypt):
    """They pass as they are: what the server grants is what the client is told."""
    server = t.sqlserver(args=["--mars"], encrypt=server_encrypt)
    proxy = dedicating(t, server, server_packet_size=8192)
    client = t.client(proxy, mars=1, encrypt=encrypt, packet_size=asked)
    size = server.sessions()[0]["packet_size"]
    assert client.session.packet_size == size == min(asked, 16383 if "full" == encrypt or server_encrypt == "on" else 32767)
    client.session.largest_packet = 0
    one = Mars(client).open()
    assert [row[0] for row in one.query(rows(50)).rows] == list(range(50))
    assert client.session.largest_packet == size, client.session.largest_packet
    assert one.query("SELECT 1 --" + "x" * 100_000).rows == [[1]]


@timeout(60)
def test_every_byte_may_come_alone(t):
    server, proxy, mars = scene(t)
    one, two = mars.open(), mars.open()
    write = mars.write

    def slowly(data):
        for i in range(len(data)):
            write(data[i:i + 1])
    mars.write = slowly
    for n in range(3):
        assert one.scalar(f"SELECT {n}") == n and two.scalar(f"SELECT {10 + n}") == 10 + n
    two.close()
    assert one.scalar("SELECT 5") == 5


@timeout(60)
@cases(mode=MODES)
def test_attention(t, mode):
    server, proxy, mars = scene(t, mode)
    one, two = mars.open(), mars.open()
    one.send("WAITFOR DELAY '00:00:30'")
    wait_until(lambda: running(server) == 1, 5, "it runs")
    one.attention()
    assert one.receive().done_status & DONE_ERROR
    assert one.receive().done_status == DONE_ATTN
    assert two.scalar("SELECT 2") == 2 and one.scalar("SELECT 1") == 1


@timeout(60)
@cases(mode=MODES)
def test_the_client_leaves(t, mode):
    """In the middle of a request, a transaction, a result: the connection closes, its slot is free."""
    server = t.sqlserver(args=["--mars"])
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    proxy = dedicating(t, server, 1, mode)
    for sql in ("SELECT 1", "WAITFOR DELAY '00:00:30'", rows(500), "BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)"):
        mars = Mars(t.client(proxy, mars=1))
        one = mars.open(lazy=True)
        one.send(sql)
        wait_until(lambda: server.sessions()[0]["requests"] == 1, 5, "it has begun")
        mars.client.close()
        finished(proxy, server)
    with t.client(proxy) as other:
        assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 0


@timeout(60)
@cases(mode=MODES)
def test_its_connection_counts_and_is_waited_for(t, mode):
    """It has a slot like any other: who comes too late waits, or is refused at login."""
    server = t.sqlserver(args=["--mars"])
    proxy = dedicating(t, server, 1, mode, {"queue_timeout": "1s"})
    mars = Mars(t.client(proxy, mars=1))
    one = mars.open()
    error = try_login(proxy.port, server.user, server.password, server.database, mars=1)
    assert error.number == 50004, error
    plain = try_login(proxy.port, server.user, server.password, server.database)
    assert plain.number == 50004, plain
    assert one.scalar("SELECT 1") == 1
    mars.client.close()
    with t.client(proxy) as other:
        assert other.session.peer_options[4] == b"\0" and other.scalar("SELECT 2") == 2
    assert server.peak() == 1


@timeout(60)
def test_logins_go_to_the_server(t):
    """Its own refusal is the answer; none is answered from a record."""
    server = t.sqlserver(args=["--mars"])
    proxy = dedicating(t, server)
    assert try_login(proxy.port, server.user, "wrong", server.database, mars=1).number == 18456
    logins = server.stats()["logins_total"]
    for n in range(3):
        with t.client(proxy, mars=1) as client:
            assert Mars(client).open().scalar("SELECT 1") == 1
        assert server.stats()["logins_total"] == logins + n + 1


@timeout(60)
def test_who_does_not_ask_is_pooled(t):
    server = t.sqlserver(args=["--mars"])
    proxy = dedicating(t, server, 1)
    for n in range(3):
        with t.client(proxy) as client:
            assert client.scalar(f"SELECT {n}") == n
    assert not server.sessions()[0]["mars_asked"] and server.stats()["logins_total"] == 1


@timeout(60)
@cases(mode=MODES)
def test_a_server_that_declines(t, mode):
    """Who was promised it before the server was known gets 50007; from then on the promise is not made."""
    server = t.sqlserver()
    proxy = dedicating(t, server, mode=mode)
    error = try_login(proxy.port, server.user, server.password, server.database, mars=1)
    assert error.number == 50007 and "does not grant MARS" in error.text, error
    assert server.stats()["logins_total"] == 0
    client = t.client(proxy, mars=1)
    assert client.session.peer_options[4] == b"\0" and client.scalar("SELECT 1") == 1
    client.close()
    server.set("mars", 1)
    assert t.client(proxy, mars=1).session.peer_options[4] == b"\0", "nobody has asked the server again"
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="protocol") == 1


@timeout(60)
def test_a_probe_asks_for_the_truth(t):
    """With health_probe: prelogin clients are told from the first on what the server says; and when it changes its mind."""
    server = t.sqlserver()
    proxy = dedicating(t, server, bucket={"health_probe": "prelogin"}, health_check_interval="300ms")
    proxy.wait_log("server's answer to MARS")
    client = t.client(proxy, mars=1)
    assert client.session.peer_options[4] == b"\0" and client.scalar("SELECT 1") == 1
    client.close()
    server.set("mars", 1)

    def granted():
        with t.client(proxy, mars=1, connect=False) as other:
            other.run(other.session.negotiate())
            return other.session.peer_options[4] == b"\1"
    wait_until(granted, 10, "it is granted")
    assert Mars(t.client(proxy, mars=1)).open().scalar("SELECT 1") == 1


@timeout(60)
def test_a_shared_port_of_servers_that_differ(t):
    """Granted as long as one of them may; a login that is led to the other is told."""
    does, does_not = t.sqlserver(args=["--mars", "--database", "one"]), t.sqlserver(args=["--database", "two"])
    keys = {"health_probe": "off"}
    buckets = [t.bucket("b1", does, 3, database="one", **keys), t.bucket("b2", does_not, 3, database="two", **keys)]
    proxy = t.proxy(buckets, proxy={"pool_mode": "transaction", "mars": "dedicate", "health_check_interval": "1h"})
    for _ in range(2):
        error = try_login(proxy.port, does.user, does.password, "two", mars=1)
        assert error.number == 50007, error
        with t.client(proxy, database="one", mars=1) as client:
            assert Mars(client).open().scalar("SELECT 1") == 1
        with t.client(proxy, database="two") as client:
            assert client.scalar("SELECT 1") == 1


@timeout(60)
def test_integrated_security(t):
    """Tokens first, then SMP."""
    server = t.sqlserver(args=["--mars"])
    server.login("add", "DOMAIN\\app", "secret")
    proxy = dedicating(t, server)
    client = sspi_login(proxy, mars=1)[1].client
    mars = Mars(client)
    assert mars.open().scalar("SELECT SUSER_SNAME()") == "DOMAIN\\app" == mars.open().scalar("SELECT SUSER_SNAME()")
    client.close()
    finished(proxy, server)


FROM_CLIENT = {name: raw for name, raw in BROKEN.items()
               if name not in ("SYN again", "no such session", "sequence", "window")}  # which are the server's to see


@timeout(60)
@cases(what=list(FROM_CLIENT), mode=MODES)
def test_a_client_that_breaks_smp(t, what, mode):
    """It ends, and nobody else's session."""
    server, proxy, mars = scene(t, mode)
    other = Mars(t.client(proxy, mars=1)).open()
    assert mars.open().scalar("SELECT 1") == 1
    mars.write(FROM_CLIENT[what])
    assert_closed(mars.client)
    wait_until(lambda: "protocol error" in proxy.log_text(), 5, "the log says why")
    server.wait_connections(1)
    assert other.scalar("SELECT 2") == 2
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="protocol") == 1


@timeout(60)
@cases(what=["sequence", "SYN again"])
def test_what_the_server_sees_ends_at_the_server(t, what):
    """Numbers and windows pass: it is the server that closes, and the client is told by the same."""
    server, proxy, mars = scene(t)
    assert mars.open().scalar("SELECT 1") == 1
    mars.write(BROKEN[what])
    assert_closed(mars.client)
    finished(proxy, server)


@timeout(60)
@cases(mode=MODES)
def test_a_server_that_breaks_smp(t, mode):
    server, proxy, mars = scene(t, mode)
    one = mars.open()
    assert one.scalar("SELECT 1") == 1
    server.set("garbage", 1)
    one.send("SELECT 1")
    assert_closed(mars.client)
    wait_until(lambda: "not an SMP packet" in proxy.log_text(), 5, "the log says why")
    finished(proxy, server)


@timeout(60)
@cases(mode=MODES)
def test_the_server_is_lost(t, mode):
    server, proxy, mars = scene(t, mode)
    one = mars.open()
    one.send("WAITFOR DELAY '00:00:30'")
    wait_until(lambda: running(server) == 1, 5, "it runs")
    server.kill_all()
    assert_closed(mars.client)
    finished(proxy, server)
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="server_lost") == 1
    assert Mars(t.client(proxy, mars=1)).open().scalar("SELECT 1") == 1


@timeout(60)
@cases(mode=MODES)
def test_the_servers_last_words(t, mode):
    """An error that ends the connection reaches the client before its end does."""
    server, proxy, mars = scene(t, mode)
    one = mars.open()
    one.send("SELECT 7 AS n; RAISERROR('the end', 20, 1) WITH LOG")
    answer = one.receive()
    assert answer.rows == [[7]] and [(e.severity, e.text) for e in answer.errors] == [(20, "the end")], answer.errors
    assert_closed(mars.client)
    finished(proxy, server)


@timeout(120)
def test_many_come_and_go(t):
    """Those who multiplex and those who do not, more than there are connections, leaving in the middle of things."""
    server = t.sqlserver(args=["--mars"])
    proxy = dedicating(t, server, 4, bucket={"queue_timeout": "60s"})
    failures = []

    def life(seed):
        chance = random.Random(seed)
        try:
            for _ in range(8):
                asks = chance.random() < 0.7
                client = TdsClient(proxy.port, server.user, server.password, server.database, mars=int(asks))
                ask = Mars(client).open if asks else lambda: client
                sessions = [ask() for _ in range(chance.randrange(1, 4))]
                for one in sessions:
                    n = chance.randrange(1000)
                    assert one.query(f"SELECT {n}").rows == [[n]]
                if chance.random() < 0.5:
                    sessions[0].send(chance.choice(["WAITFOR DELAY '00:00:30'", rows(100), "BEGIN TRAN; SELECT 1"]))
                if chance.random() < 0.5:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
        except Exception as error:
            failures.append(error)
    threads = [threading.Thread(target=life, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not failures, failures
    assert server.peak() <= 4, server.stats()
    wait_until(lambda: held(proxy) == (0, {}), 10, lambda: f"nothing held, but it is {held(proxy)}")


@timeout(60)
@cases(mode=MODES, where=["proxy", "bucket"])
def test_no_timeout_holds(t, mode, where):
    keys = {"session_timeout": "500ms", "idle_timeout": "500ms"}
    server, proxy, mars = scene(t, mode, **({"bucket": keys} if where == "bucket" else keys))
    one = mars.open()
    assert one.scalar("SELECT 1") == 1
    time.sleep(2.5)
    assert one.scalar("SELECT 2") == 2


@timeout(60)
def test_a_client_that_does_not_read(t):
    """It costs no more than the marks: the server is not read further, and goes on when the client does."""
    server = t.sqlserver(args=["--mars"], encrypt="none")
    proxy = dedicating(t, server, buffer_high="16KiB", buffer_low="4KiB")
    mars = Mars(t.client(proxy, mars=1, packet_size=32767))
    sessions = [mars.open(lazy=True) for _ in range(150)]
    before = proc_rss_kib(proxy.pid)
    for one in sessions:  # each is sent 128 KiB at once: 19 MB, more than sockets hold
        one.send("SELECT REPLICATE(CAST('x' AS varchar(max)), 200000) AS t")
    wait_until(lambda: server.sessions()[0]["requests"] == 150, 20, "all have been asked")
    holds_for(lambda: proc_rss_kib(proxy.pid) < before + 4096, 1, "the proxy holds little")
    for one in sessions:
        one.lazy = False
    for one in sessions:
        if one.received:
            one.acknowledge()
    for one in sessions:
        assert one.receive().rows == [["x" * 200_000]]
    assert proc_rss_kib(proxy.pid) < before + 4096


@timeout(60)
@cases(leaves=[True, False])
def test_drain(t, leaves):
    """A session may go on until shutdown_timeout; no other is let in."""
    server, proxy, mars = scene(t, shutdown_timeout="2s")
    one = mars.open()
    assert one.scalar("SELECT 1") == 1
    proxy.signal(15)
    assert one.scalar("SELECT 2") == 2
    if leaves:
        mars.client.close()
        assert proxy.wait(10) == 0
    else:
        assert_closed(mars.client)
        assert proxy.wait(10) == 0
    server.wait_connections(0)


DRIVERS_WITH_MARS = ["python-tds", "pyodbc"]


@timeout(120)
@cases(driver=DRIVERS_WITH_MARS, mode=MODES)
def test_drivers(t, driver, mode):
    """What they do without, and two results at once; the same as with the server itself."""
    server = t.seed(t.sqlserver(args=["--mars"]))
    proxy = dedicating(t, server, mode=mode)
    for encrypt in ("off", "login", "full"):
        if encrypt not in capabilities()[driver]["encrypt"]:
            continue
        assert_basic(t.driver(driver, proxy, "basic", encrypt, mars="on"), f"{driver} {encrypt}")
        direct = t.driver(driver, server, "mars", encrypt, mars="on", check=True)
        assert direct.out.count("between=") == 10, direct
        assert t.driver(driver, proxy, "mars", encrypt, mars="on", check=True).out == direct.out
    finished(proxy, server)


@timeout(120)
def test_python_tds_goes_on_without(t):
    """Asked for and declined, by the proxy or because the server does."""
    declining, offering = t.seed(t.sqlserver()), t.seed(t.sqlserver(args=["--mars"]))
    refusing = dedicating(t, offering, mars="refuse")
    learnt = dedicating(t, declining, bucket={"health_probe": "prelogin"}, health_check_interval="500ms")
    learnt.wait_log("server's answer to MARS")
    for proxy in (refusing, learnt):
        assert_basic(t.driver("python-tds", proxy, "basic", mars="on"), proxy.name)


@timeout(120)
def test_odbc_does_not_connect_without(t):
    """Microsoft's driver hangs up when MARS is declined, by a server itself too: it needs `dedicate`."""
    server = t.seed(t.sqlserver())
    for target in (server, dedicating(t, server, mars="refuse")):
        run = t.driver("pyodbc", target, "login", "full", mars="on")
        assert run.rc == 3 and "TCP Provider" in run.out + run.err or "did not supply" in run.out, run
