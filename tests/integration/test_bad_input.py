"""Strangers: garbage, half messages, silence. Each is closed with a reason, nothing is leaked, others are not disturbed."""

import random
import socket
import time

from harness import *
from harness.tds import PACKET_PRELOGIN, message, packet, prelogin_payload
from harness.waiting import port_open
from test_limits import all_slots_back, ready_proxies


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def closed_within(s, seconds):
    """Whether the peer closes (FIN or RST), and how long that took. What it sends before is dropped."""
    s.settimeout(seconds)
    began = time.monotonic()
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except socket.timeout:
        return None
    finally:
        s.close()
    return time.monotonic() - began


def make(t, **proxy_keys):
    server = t.sqlserver()
    keys = {"login_timeout": "1s", **proxy_keys}
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 10, queue_timeout="5s", health_probe="off")], proxy=keys)
    return server, proxy


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": b"\0" * 100,
    "tds42": packet(0x02, b"\0" * 500),
    "smp": b"\x53\x01\0\0\x10\0\0\0\0\0\0\0\x04\0\0\0",
    "batch first": packet(0x01, b"S\0E\0L\0"),
    "length 0": b"\x12\x01\0\0\0\0\1\0",
    "length 7": b"\x12\x01\0\x07\0\0\1\0",
    "oversized packet": b"\x12\x01\xff\xff\0\0\1\0" + b"x" * 2000,
    "no terminator": packet(0x12, b"\0\0\x06\0\x06" * 3),
    "option outside": packet(0x12, b"\0\0\x06\xff\xff\xff" + b"\0" * 6),
    "not a ClientHello": b"\x16\x03\x01\0\x05hello",
    "endless empty packets": packet(0x12, b"", status=0) * 2000,
    "prelogin over 4 KiB": packet(0x12, b"x" * 4000, status=0) * 5,
}


@timeout(60)
def test_garbage_is_closed_at_once_with_a_reason(t):
    server, proxy = make(t, login_timeout="30s")
    for name, data in GARBAGE.items():
        s = connect(proxy.port)
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert closed_within(s, 10) is not None, f"{name}: not closed before login_timeout"
    n = len(GARBAGE)
    wait_until(lambda: proxy.metric("proxy_connection_errors_total", bucket_id="none", error_type="protocol") +
               proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="protocol") == n, 5,
               f"{n} protocol errors counted")
    assert proxy.log_text().count('reason="protocol error"') == n
    assert server.stats()["connections_total"] <= 1, "garbage reached the server"
    assert try_login(proxy.port, server.user, server.password, server.database) is None


@timeout(60)
def test_half_messages_and_silence_end_after_login_timeout(t):
    server, proxy = make(t)
    whole = message(PACKET_PRELOGIN, prelogin_payload(2))
    for cut in (0, 1, 7, 8, 9, len(whole) - 1):
        s = connect(proxy.port)
        s.sendall(whole[:cut])
        took = closed_within(s, 10)
        assert took is not None and took > 0.8, (cut, took)
    assert server.stats()["connections_total"] == 0
    # A PRELOGIN that is never followed up must not keep a slot either.
    s = connect(proxy.port)
    s.sendall(whole)
    took = closed_within(s, 10)
    assert took is not None and took > 0.8, took
    server.wait_connections(0)
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 5, "the slot is back")


@timeout(60)
def test_half_open_refusals_end_after_login_timeout(t):
    """The proxy's own login dialogue (an error waits to be told) is bounded as well, at every step."""
    server, proxy = make(t, default_bucket="none")
    whole = message(PACKET_PRELOGIN, prelogin_payload(1))
    for tail in (b"", b"\x12", packet(0x12, b"\x16\x03\x01"), packet(0x12, b"\x16\x03\x01\x02\0\x01")):
        s = connect(proxy.port)
        s.sendall(whole + tail)
        assert closed_within(s, 10) is not None, tail
    for junk in (packet(0x12, b"nonsense" * 10), packet(0x10, b"\xff" * 100), b"\x17\x03\x03\0\x10" + b"x" * 16):
        s = connect(proxy.port)
        s.sendall(whole + junk)
        assert closed_within(s, 10) is not None, junk


@timeout(60)
def test_reset_while_being_refused_ends_the_session_at_once(t):
    """A broken connection reports an error event for ever: whoever does not read it spins until login_timeout."""
    server, proxy = make(t, default_bucket="none", login_timeout="20s")
    for data in (message(PACKET_PRELOGIN, prelogin_payload(1)), message(PACKET_PRELOGIN, prelogin_payload(2))):
        s = connect(proxy.port)
        s.sendall(data)
        assert s.recv(100), "the proxy answers PRELOGIN itself"
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    wait_until(lambda: proxy.log_text().count('reason="client lost"') == 2, 3, "both sessions closed")


@timeout(90)
def test_2000_silent_connections(t):
    server, proxy = make(t, login_timeout="3s")
    client = t.client(proxy)
    descriptors, memory = proc_fd_count(proxy.pid), proc_rss_kib(proxy.pid)
    crowd = [connect(proxy.port) for _ in range(2000)]
    wait_until(lambda: proxy.metric("proxy_client_connections", state="greeting") >= 1900, 3, "2,000 strangers")
    grown = proc_rss_kib(proxy.pid) - memory
    assert grown / 2000 < 8, f"{grown / 2000:.1f} KiB for a connection that says nothing"
    assert client.scalar("SELECT 1") == 1, "others are served meanwhile"
    for s in crowd:
        assert closed_within(s, 10) is not None
    wait_until(lambda: proc_fd_count(proxy.pid) <= descriptors, 5, "descriptors given back")
    assert proxy.metric("proxy_connection_errors_total", bucket_id="none", error_type="timeout") >= 2000
    client.close()
    server.wait_connections(0)


@timeout(60)
def test_max_unauthenticated_and_max_client_connections(t):
    server, proxy = make(t, max_unauthenticated=5, max_client_connections=8, login_timeout="20s")
    silent = [connect(proxy.port) for _ in range(5)]
    wait_until(lambda: proxy.metric("proxy_client_connections", state="greeting") == 5, 5, "five strangers")
    assert closed_within(connect(proxy.port), 10) is not None  # login_timeout is 20 s
    wait_until(lambda: "connections turned away" in proxy.log_text(), 5, "the log says so")
    for s in silent:
        s.close()
    wait_until(lambda: proxy.metric("proxy_client_connections", state="greeting") == 0, 5, "strangers gone")
    crowd = t.crowd(proxy)
    for n in (4, 8):  # four strangers at a time are allowed
        crowd.open(4)
        crowd.wait_state(HELD, n)
    late = t.crowd(proxy, encrypt="full").open(2)  # a login error, not silence
    wait_until(lambda: [m.error_number for m in late] == [50005] * 2, 5, "50005 for both")
    assert "max_client_connections" in late[0].error, late[0].error
    crowd.release()
    crowd.wait_all()
    server.wait_connections(0)


@timeout(60)
def test_out_of_descriptors_pauses_accepting_and_recovers(t):
    server = t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, 200, health_probe="off")], wrapper=["prlimit", "--nofile=80:80"])
    client = t.client(proxy)
    crowd = [connect(proxy.port) for _ in range(150)]
    wait_until(lambda: "accept paused" in proxy.log_text(), 5, "the limit is noticed")
    assert client.scalar("SELECT 1") == 1, "who is in is served"
    busy = proc_cpu_seconds(proxy.pid)
    holds_for(lambda: proc_cpu_seconds(proxy.pid) - busy < 0.5, 1, "it does not spin")
    for s in crowd:
        s.close()
    wait_until(lambda: try_login(proxy.port, server.user, server.password, server.database) is None, 10, "served again")
    client.close()
    server.wait_connections(0)


@timeout(120)
def test_random_bytes(t):
    """A thousand dialogues cut, flipped or random at a seeded place, while a good client works on."""
    server, proxy = make(t, login_timeout="2s")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    good = message(PACKET_PRELOGIN, prelogin_payload(2))
    client = t.client(proxy)
    for i in range(1000):
        data = bytearray(good if rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 300)))
        for _ in range(rng.randrange(3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        s = connect(proxy.port)
        s.settimeout(5)
        try:
            s.sendall(bytes(data[:rng.randrange(1, len(data) + 1)]) + (rng.randbytes(50) if rng.random() < 0.3 else b""))
        except OSError:
            pass
        s.close()
        if i % 100 == 0:
            assert client.scalar("SELECT 1") == 1
    client.close()
    wait_until(lambda: sum(n for _, n in proxy.metrics().matching("proxy_client_connections")) == 0, 10, "nobody left")
    server.wait_connections(0)
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 5, "all slots back")


@timeout(120)
def test_slow_client_costs_bounded_memory(t):
    server, proxy = make(t)
    memory = proc_rss_kib(proxy.pid)
    client = t.client(proxy)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    payload = client.session.batch("DECLARE @i int = 0; WHILE @i < 200 BEGIN SELECT REPLICATE(CAST('x' AS varchar(max)), "
                                   "100000) AS big; SET @i = @i + 1 END")
    client.socket.sendall(next(payload))
    holds_for(lambda: proc_rss_kib(proxy.pid) - memory < 2048, 2, "20 MB are on their way, the proxy holds little")
    client.socket.close()
    server.wait_connections(0)


@timeout(120)
def test_valgrind_clean(t):
    """The whole life of sessions, refusals included, under memcheck: no error, no leak."""
    if "libasan" in t.run(["ldd", t.binary("tdsbouncer")]).stdout:
        print("a sanitizer build checks itself; valgrind cannot run it")
        return
    server = t.sqlserver()
    log = f"{t.folder}/valgrind.log"
    wrapper = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite",
               f"--log-file={log}"]
    proxy = t.proxy([t.bucket("b1", server, 3, queue_timeout="1s", max_queue_size=2)], wrapper=wrapper, start=False)
    proxy.start(wait=False)
    wait_until(lambda: port_open(proxy.health_port) and proxy.accepting(), 180, "the proxy under valgrind")
    for encrypt in ("off", "login", "full", "strict"):
        crowd = t.crowd(proxy, encrypt=encrypt, login_timeout=60)
        crowd.open(8, hold=2)
        crowd.wait_all(60)
        assert crowd.count(DONE) >= 3 and set(crowd.errors()) <= {50004, 50005}, crowd.summary()
    for data in GARBAGE.values():
        s = connect(proxy.port)
        try:
            s.sendall(data)
        except OSError:
            pass
        closed_within(s, 10)
    proxy.stop()
    with open(log, encoding="utf-8") as file:
        report = file.read()
    assert report.strip() == "", report
