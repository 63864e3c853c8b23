"""Session mode: the pool under a limit that changes, without Redis, fenced, and at shutdown; and what the metrics say."""

import signal

from harness import *
from harness.tds import *
from test_pool import SPID, TWO, given_back, known, with_second_login
from test_session import big_select, finished, idle, outcomes, session_proxy, wait_idle
from test_standin_protocol import assert_closed, numbers, running


def shared_proxy(t, server, redis, max_connections, fallback=None, bucket=None, **proxy_keys):
    entry = t.bucket("b1", server, max_connections, health_probe="off", **(bucket or {}))
    proxy = t.proxy([entry], redis=redis, fallback=fallback, proxy={"pool_mode": "session", **proxy_keys})
    proxy.wait_ready_to_serve()
    return proxy


def busy_and_idle(t, proxy, busy, idle_count):
    """So many sessions with a server connection of their own, and so many connections without a session."""
    clients = [t.client(proxy) for _ in range(busy + idle_count)]
    assert len({client.scalar(SPID) for client in clients}) == busy + idle_count
    for client in clients[busy:]:
        client.close()
    wait_until(lambda: idle(proxy) == idle_count, 5, f"{idle_count} idle")
    return clients[:busy]


# ---------------------------------------------------------------------------------------------------- a changing limit


@timeout(60)
def test_a_lowered_limit_closes_idle_connections_and_then_those_that_come_back(t):
    redis, server = t.redis(), t.sqlserver()
    proxy = shared_proxy(t, server, redis, 6)
    one, two = busy_and_idle(t, proxy, 2, 4)
    redis.cmd("SET", "proxy:bucket:b1:max", 3)
    wait_until(lambda: (idle(proxy), redis.slots("b1"), server.connections()) == (1, 3, 3), 10, "down to the new limit")
    assert one.scalar("SELECT 1") == two.scalar("SELECT 2") - 1 == 1  # nobody is cut off
    redis.cmd("SET", "proxy:bucket:b1:max", 1)
    wait_until(lambda: redis.slots("b1") == 2, 10, "no idle one is left")
    late = t.client(proxy)
    late.send("SELECT 'late'")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    holds_for(lambda: proxy.metric("proxy_queue_length", bucket_id="b1") == 1, 1.5, "over the limit nobody is let in")
    one.close()
    wait_until(lambda: redis.slots("b1") == 1, 10, "it was not kept")
    assert two.scalar("SELECT 3") == 3 and proxy.metric("proxy_queue_length", bucket_id="b1") == 1
    redis.cmd("SET", "proxy:bucket:b1:max", 4)
    assert late.receive().rows == [["late"]]
    server.reset_peak()
    more = [t.client(proxy) for _ in range(2)]
    assert len({client.scalar(SPID) for client in (two, late, *more)}) == 4
    assert server.peak() == 4
    for client in (two, late, *more):
        client.close()
    wait_idle(proxy, 4)
    proxy.stop()
    assert redis.slots("b1") == 0 and server.connections() == 0


@timeout(60)
def test_without_redis_idle_connections_above_the_share_are_closed(t):
    """At most max_connections / 3 without Redis."""
    redis, server = t.redis(), t.sqlserver()
    proxy = shared_proxy(t, server, redis, 9, bucket={"queue_timeout": "60s"})
    share = 3
    busy, = busy_and_idle(t, proxy, 1, 6)
    redis.stop()
    wait_until(lambda: server.connections() == share, 15, "down to the share")
    served = share - 1
    proxy.wait_metric("proxy_connections_idle", served, bucket_id="b1")
    clients = [t.client(proxy) for _ in range(4)]
    for number, client in enumerate(clients):
        client.send(f"SELECT {number}")
        if number < served:
            assert client.receive().rows == [[number]]
    proxy.wait_metric("proxy_queue_length", 4 - served, bucket_id="b1")
    assert busy.scalar("SELECT 'still here'") == "still here"
    assert server.connections() == share
    redis.start()
    for number in range(served, 4):
        assert clients[number].receive().rows == [[number]]
    wait_until(lambda: redis.slots("b1") == server.connections() == 5, 10, "true counts registered")
    for client in (busy, *clients):
        client.close()
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 5, "all given back")
    proxy.stop()
    assert redis.slots("b1") == 0 and server.connections() == 0


@timeout(60)
def test_a_paused_instance_uses_nothing_that_others_have_got_meanwhile(t):
    redis, server = t.redis(), t.sqlserver()
    keys = dict(fallback={"enabled": False}, bucket={"queue_timeout": "60s"}, fairness_interval=0)  # else one gets a slot sooner
    paused = shared_proxy(t, server, redis, 2, **keys)
    other = shared_proxy(t, server, redis, 2, **keys)
    busy_and_idle(t, paused, 0, 2)
    client = t.client(paused)
    client.query("CREATE TABLE dbo.marks (n int)")
    client.close()
    wait_idle(paused, 2)
    client = t.client(paused)
    paused.pause()
    client.send("INSERT INTO dbo.marks VALUES (1)")
    wait_until(lambda: redis.slots("b1") == 0, 20, "the paused instance's slots are taken from it")
    holders = [t.client(other) for _ in range(2)]
    assert [holder.scalar("SELECT COUNT(*) FROM dbo.marks") for holder in holders] == [0, 0]
    paused.resume()
    wait_until(lambda: server.connections() == 2, 10, "its idle connections are gone")
    paused.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    assert holders[0].scalar("SELECT COUNT(*) FROM dbo.marks") == 0
    for holder in holders:
        holder.close()
    wait_until(lambda: idle(other) == 2, 5, "idle there")
    redis.cmd("SET", "proxy:bucket:b1:max", 3)
    client.receive().raise_error()
    assert client.scalar("SELECT COUNT(*) FROM dbo.marks") == 1
    client.close()
    paused.stop(), other.stop()
    assert redis.slots("b1") == 0 and server.connections() == 0


# ---------------------------------------------------------------------------------------------------- shutdown


@timeout(60)
def test_shutdown_finishes_what_is_under_way(t):
    """What was sent is answered, a transaction may end; who is at rest is closed, who comes is told."""
    redis, server = t.redis(), t.sqlserver()
    proxy = shared_proxy(t, server, redis, 2, shutdown_timeout="30s")
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    busy, in_transaction, queued, unattached = (t.client(proxy) for _ in range(4))
    in_transaction.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
    busy.send("WAITFOR DELAY '00:00:01'; SELECT 'done'")
    wait_until(lambda: running(server) == 1, 5, "the request runs")
    queued.send("SELECT 'served'")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    proxy.signal(signal.SIGTERM)
    assert_closed(unattached)
    refused = try_login(proxy.port, "sa", PASSWORD, DATABASE)
    assert refused is not None and refused.number == 50008
    assert busy.receive().rows == [["done"]]
    assert_closed(busy)
    assert queued.receive().rows == [["served"]]
    assert_closed(queued)
    in_transaction.query("INSERT INTO dbo.kept VALUES (2)")
    in_transaction.query("COMMIT")
    assert_closed(in_transaction)
    assert proxy.wait(10) == 0
    with t.client(server) as direct:
        assert direct.query("SELECT n FROM dbo.kept").rows == [[1], [2]]
    assert server.connections() == 0 and redis.slots("b1") == 0 and not redis.members("proxy:instances")


@timeout(60)
def test_shutdown_closes_what_is_left_at_its_deadline(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, 4, shutdown_timeout="1s")
    running_one, in_transaction, half = busy_and_idle(t, proxy, 3, 1)
    idle_one = t.client(proxy)
    in_transaction.query("CREATE TABLE dbo.kept (n int)")
    in_transaction.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
    half.socket.sendall(message(PACKET_BATCH, batch_payload("SELECT 1 --" + "x" * 100_000))[:-5])
    running_one.send("WAITFOR DELAY '00:00:30'")
    wait_until(lambda: running(server) == 1, 5, "the request runs")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait(15) == 0
    for client in (running_one, in_transaction, half, idle_one):
        assert_closed(client)
    server.wait_connections(0)
    assert t.client(server).scalar("SELECT COUNT(*) FROM dbo.kept") == 0


# ---------------------------------------------------------------------------------------------------- metrics


def packets(proxy, direction, kind):
    return proxy.metric("proxy_tds_packets_total", bucket_id="b1", direction=direction, type=kind)


@timeout(60)
def test_the_metrics_tell_what_happened(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=3, server_packet_size=1024)
    client = t.client(proxy, packet_size=512)

    def metric(name, **labels):
        return proxy.metric(name, bucket_id="b1", **labels)

    assert (metric("proxy_connections_active"), metric("proxy_connections_idle"), metric("proxy_connections_max")) == (1, 0, 3)
    assert metric("proxy_query_duration_seconds_count") == 0  # the login is none, nor is the proxy's own batch
    before = {(d, k): packets(proxy, d, k) for d in ("client_to_proxy", "proxy_to_server", "server_to_proxy",
                                                     "proxy_to_client") for k in ("batch", "rpc", "tm", "attention", "response")}
    sql, text = big_select(5000)
    request = batch_payload(sql)
    assert client.scalar(sql) == text
    client.rpc("sp_executesql", "SELECT 1").raise_error()
    client.tran(TRAN_BEGIN).raise_error()
    client.tran(TRAN_ROLLBACK).raise_error()
    client.send("WAITFOR DELAY '00:00:30'")
    wait_until(lambda: running(server) == 1, 5, "it runs")
    client.attention()
    client.receive(), client.receive()
    seen = {key: packets(proxy, *key) - count for key, count in before.items()}
    assert seen["client_to_proxy", "batch"] == -(-len(request) // 504) + 1
    assert seen["proxy_to_server", "batch"] == -(-len(request) // 1016) + 1
    for direction in ("client_to_proxy", "proxy_to_server"):
        assert seen[direction, "rpc"] == 1 and seen[direction, "tm"] == 2 and seen[direction, "attention"] == 1
    assert seen["server_to_proxy", "response"] >= 10000 // 1016 + 5
    assert seen["proxy_to_client", "response"] >= 10000 // 504 + 5
    assert metric("proxy_query_duration_seconds_count") == 5
    assert metric("proxy_query_duration_seconds_sum") < 5
    client.close()
    wait_idle(proxy, 1)
    clients = [t.client(proxy) for _ in range(4)]
    for one in clients[:3]:
        one.query("SELECT 1")
    clients[3].send("SELECT 1")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    assert (metric("proxy_connections_active"), metric("proxy_connections_idle")) == (3, 0)
    clients[0].close()
    assert clients[3].receive().rows == [[1]]
    assert metric("proxy_connections_total", status="acquired") == 4
    assert metric("proxy_connections_total", status="acquired_after_wait") == 1
    assert metric("proxy_connections_total", status="released") == 2
    assert metric("proxy_queue_wait_seconds_count") == 1
    assert metric("proxy_query_duration_seconds_count") == 9
    for one in clients[1:]:
        one.close()
    finished(t, proxy, server, 3)


@timeout(60)
def test_a_health_probe_or_a_warm_connection_stands_in_nobodys_way(t):
    """They queue like everybody; a client behind one must still get what is idle."""
    server = with_second_login(t)
    entry = t.bucket("b1", server, 1, health_probe="login", min_idle=1)
    proxy = t.proxy([entry], proxy={"pool_mode": "session", "health_check_interval": "100ms"})
    known(t, proxy, TWO, {})
    for _ in range(10):
        for login in (TWO, {}):
            with t.client(proxy, **login) as client:
                client.query("WAITFOR DELAY '00:00:00.150'")  # long enough for a probe to be due
    assert server.peak() == 1
    wait_until(lambda: outcomes(proxy)[0] == outcomes(proxy)[1], 5, "all given back")
    waits = proxy.metrics()
    count = waits.get("proxy_queue_wait_seconds_count", 0, bucket_id="b1")
    total = waits.get("proxy_queue_wait_seconds_sum", 0, bucket_id="b1")
    assert count == 0 or total / count < 1, (count, total)
