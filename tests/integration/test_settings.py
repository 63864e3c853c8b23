"""Settings whose effect no other test shows: timeouts, names, shared ports."""

from harness import *
from test_limits import all_slots_back, ready_proxies


@timeout(60)
@cases(key=["idle_timeout", "session_timeout", "client_idle_timeout"])
def test_sessions_end_after(t, key):
    server = t.sqlserver()
    of_bucket = {} if key == "client_idle_timeout" else {key: "2s"}
    of_proxy = {"client_idle_timeout": "2s"} if key == "client_idle_timeout" else {}
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 5, health_probe="off", **of_bucket)], proxy=of_proxy)
    client = t.client(proxy)
    holds_for(lambda: client.scalar("SELECT 1") == 1, 1, "served while it is busy and young")
    wait_until(lambda: server.connections() == 0, 6, f"closed by {key}")
    assert f"reason={key.removeprefix('client_')}" in proxy.log_text()
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="timeout") == 1
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")


@timeout(60)
def test_server_by_name_and_a_name_that_does_not_exist(t):
    server = t.sqlserver()
    port = free_port()
    missing = {**t.bucket("b2", server, 5, listen_port=port, connection_timeout="3s"), "host": "no-such-host.invalid"}
    proxy = t.proxy([{**t.bucket("b1", server, 5), "host": "localhost"}, missing])
    wait_until(lambda: proxy.component("sqlserver-b1")["status"] == "healthy", 10, "localhost is found")
    assert try_login(proxy.port, server.user, server.password, server.database) is None
    assert try_login(port, server.user, server.password, server.database).number == 50003
    wait_until(lambda: proxy.component("sqlserver-b2")["status"] == "unhealthy", 10, "shown")
    assert "cannot be resolved" in proxy.log_text() and "no-such-host.invalid" in proxy.log_text()


@timeout(60)
def test_strict_tds_is_routed_by_sni(t):
    one, two = t.sqlserver(database="db1"), t.sqlserver(database="db2")
    buckets = [t.bucket("b1", one, 5), t.bucket("b2", two, 5, aliases=["localhost"])]  # the name that the harness asks for
    [proxy] = ready_proxies(t, 1, buckets)
    client = t.client(proxy, encrypt="strict", database="db2")
    assert client.scalar("SELECT DB_NAME()") == "db2"
    client.close()
    client = t.client(proxy, encrypt="full", database="db1")  # SNI is inside PRELOGIN here: the default bucket
    assert client.scalar("SELECT DB_NAME()") == "db1"
    client.close()


@timeout(60)
def test_two_processes_on_one_port(t):
    redis, server = t.redis(), t.sqlserver()
    port = free_port()
    keys = {"listen_port": port, "reuse_port": True}
    bucket = t.bucket("b1", server, 30, health_probe="off")
    one, two = [t.proxy([bucket], redis=redis, instance_id="pair", proxy=keys) for _ in range(2)]
    one.wait_ready_to_serve()
    two.wait_ready_to_serve()
    crowd = t.crowd(port)
    crowd.open(30)
    crowd.wait_state(HELD, 30)
    shares = lambda: [p.metric("proxy_connections_active", bucket_id="b1") for p in (one, two)]
    wait_until(lambda: sum(shares()) == 30 and min(shares()) > 0, 5, lambda: f"both serve: {shares()}")
    assert redis.slots("b1") == 30
    crowd.release()
    crowd.wait_all()
    all_slots_back(redis, server)


@timeout(60)
def test_server_that_never_closes_is_counted_as_excess(t):
    """A half-close that the server does not answer: the slot comes back after release_timeout, with a reset, and is counted."""
    import socket
    import threading
    stubborn = socket.create_server(("127.0.0.1", 0))
    accepted = []
    threading.Thread(target=lambda: accepted.append(stubborn.accept()[0]), daemon=True).start()
    server = t.sqlserver()
    bucket = {**t.bucket("b1", server, 5, health_probe="off"), "port": stubborn.getsockname()[1]}
    [proxy] = ready_proxies(t, 1, [bucket], proxy={"release_timeout": "1s"})
    client = socket.create_connection(("127.0.0.1", proxy.port))
    from harness.tds import PACKET_PRELOGIN, message, prelogin_payload
    client.sendall(message(PACKET_PRELOGIN, prelogin_payload(2)))
    wait_until(lambda: accepted, 5, "the server connection")
    proxy.wait_metric("proxy_connections_active", 1, bucket_id="b1")
    client.close()
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")
    assert proxy.metric("proxy_slots_excess_total", bucket_id="b1") == 1
    assert "did not close its end in time" in proxy.log_text()


@timeout(60)
def test_connects_that_time_out_open_the_circuit_and_tell_who_waits(t):
    """A server whose SYN queue is full answers nothing: after three time-outs nobody else is made to wait for his own."""
    import socket
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
        fillers.append(filler)
    server = t.sqlserver()
    bucket = {**t.bucket("b1", server, 1, health_probe="off", connection_timeout="1s", queue_timeout="40s"), "port": port}
    [proxy] = ready_proxies(t, 1, [bucket])
    crowd = t.crowd(proxy)
    crowd.open(8)
    crowd.wait_all(30)
    assert crowd.errors() == {50003: 8}, crowd.errors()
    assert "circuit open" in proxy.log_text()
    assert proxy.log_text().count("server connect failed") == 3
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")
    for s in fillers + [full]:
        s.close()
