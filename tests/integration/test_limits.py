"""The limit on a bucket's server connections, over all instances, and the queue in front of it."""

from harness import *


def all_slots_back(redis, server, bucket="b1", seconds=10):
    wait_until(lambda: redis.slots(bucket) == 0, seconds, "the count in Redis back to 0")
    wait_until(lambda: server.connections() == 0, seconds, "the server's connections back to 0")


def ready_proxies(t, count, buckets, **keys):
    proxies = [t.proxy(buckets, **keys) for _ in range(count)]
    for proxy in proxies:
        proxy.wait_ready_to_serve()
    return proxies


@timeout(120)
def test_300_clients_over_three_proxies_never_exceed_50(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 50, queue_timeout="20s", max_queue_size=60, health_probe="off")
    proxies = ready_proxies(t, 3, [bucket], redis=redis)
    lb = t.haproxy(proxies)
    server.reset_peak()
    crowd = t.crowd(lb, query="SELECT 1", login_timeout=60)
    crowd.open(300, hold=0.3)
    most = 0
    while crowd.count(CONNECTING) + crowd.count(HELD) > 0:
        most = max(most, redis.slots("b1"))
    crowd.wait_all(60)
    assert most <= 50 and server.peak() <= 50, (most, server.peak())
    assert server.peak() == 50, "the limit was not even reached"
    assert set(crowd.errors()) <= {50004, 50005}, crowd.errors()
    assert crowd.count(DONE) + sum(crowd.errors().values()) == 300, crowd.summary()
    assert crowd.count(DONE) >= 50, crowd.summary()
    all_slots_back(redis, server)
    served = sum(p.metric("proxy_connections_total", bucket_id="b1", status="acquired") +
                 p.metric("proxy_connections_total", bucket_id="b1", status="acquired_after_wait") for p in proxies)
    released = sum(p.metric("proxy_connections_total", bucket_id="b1", status="released") for p in proxies)
    assert served == released == crowd.count(DONE), (served, released, crowd.summary())


@timeout(90)
def test_queue_timeout_queue_full_and_order(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 3, queue_timeout="5s", max_queue_size=2, health_probe="off")
    [proxy] = ready_proxies(t, 1, [bucket], redis=redis)
    holders = t.crowd(proxy)
    holders.open(3)
    holders.wait_state(HELD, 3)
    late = t.crowd(proxy)
    first = late.open(1)
    wait_until(lambda: proxy.metric("proxy_queue_length", bucket_id="b1") == 1, 5, "one waiter")
    second = late.open(1)
    wait_until(lambda: proxy.metric("proxy_queue_length", bucket_id="b1") == 2, 5, "two waiters")
    rest = late.open(8)
    late.wait_all(4, rest)  # at once, not after queue_timeout
    assert all(m.error_number == 50005 for m in rest), late.summary()
    late.wait_all(20, first + second)
    for m in first + second:
        assert m.error_number == 50004 and m.login_seconds >= 4.9, (m.error_number, m.login_seconds)
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="timeout") == 2
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="rejected_queue_full") == 8
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="queue_full") == 8
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="queue_timeout") == 2
    holders.release()
    holders.wait_all()
    all_slots_back(redis, server)


@timeout(60)
@cases(coordinator=["redis", "local"])
def test_burst_wider_than_the_queue_fills_every_free_slot(t, coordinator):
    """A burst of 30 on 20 free slots with a queue of 5: nobody may be turned away before the slots are known to be gone."""
    server = t.sqlserver()
    bucket = t.bucket("b1", server, 20, queue_timeout="2s", max_queue_size=5, health_probe="off")
    [proxy] = ready_proxies(t, 1, [bucket], redis=t.redis() if coordinator == "redis" else None)
    crowd = t.crowd(proxy)
    crowd.open(30)
    crowd.wait_state(HELD, 20)
    wait_until(lambda: crowd.errors() == {50004: 5, 50005: 5}, 10, f"five of each error: {crowd.errors()}")
    crowd.release()
    crowd.wait_all()
    assert crowd.count(DONE) == 20
    server.wait_connections(0)


@timeout(60)
def test_freed_slot_goes_to_the_oldest_waiter(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 1, queue_timeout="30s", health_probe="off")
    [proxy] = ready_proxies(t, 1, [bucket], redis=redis)
    crowd = t.crowd(proxy)
    [holder] = crowd.open(1)
    crowd.wait_state(HELD, 1)
    waiters = []
    for n in range(1, 5):
        waiters += crowd.open(1)
        wait_until(lambda: proxy.metric("proxy_queue_length", bucket_id="b1") == n, 5, f"{n} waiters")
    current = holder
    for waiter in waiters:
        assert waiter.state == CONNECTING
        crowd.release(members=[current])
        wait_until(lambda: waiter.state == HELD, 5, f"waiter {waiter.number} next")
        current = waiter
    crowd.release(members=[current])
    crowd.wait_all()
    all_slots_back(redis, server)
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="acquired_after_wait") == 4
    assert proxy.metric("proxy_queue_wait_seconds_count", bucket_id="b1") == 4


@timeout(60)
def test_waiter_on_another_instance_is_woken_by_a_release(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 1, queue_timeout="30s", health_probe="off")
    one, two = ready_proxies(t, 2, [bucket], redis=redis, proxy={"queue_poll": "20s"})
    holder, waiter = t.crowd(one), t.crowd(two)
    holder.open(1)
    holder.wait_state(HELD, 1)
    waiter.open(1)
    wait_until(lambda: two.metric("proxy_queue_length", bucket_id="b1") == 1, 5, "a waiter")
    holder.release()
    waiter.wait_state(HELD, 1, 10)  # by Pub/Sub: the poll would take 15 s at least
    waiter.release()
    waiter.wait_all()
    all_slots_back(redis, server)


@timeout(60)
def test_limit_changed_with_redis_cli_takes_effect_at_once(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 10, queue_timeout="1s", health_probe="off")
    [proxy] = ready_proxies(t, 1, [bucket], redis=redis)
    crowd = t.crowd(proxy)
    crowd.open(3)
    crowd.wait_state(HELD, 3)
    redis.cmd("SET", "proxy:bucket:b1:max", 3)
    late = crowd.open(1)
    crowd.wait_all(members=late)
    assert late[0].error_number == 50004
    proxy.wait_metric("proxy_connections_max", 3, bucket_id="b1")
    redis.cmd("SET", "proxy:bucket:b1:max", 5)
    more = crowd.open(2)
    crowd.wait_state(HELD, 2, members=more)
    proxy.wait_metric("proxy_connections_max", 5, bucket_id="b1")
    # Lowered below what is held: sessions under way end by themselves, no new one gets in until the count is under it.
    redis.cmd("SET", "proxy:bucket:b1:max", 1)
    wait_until(lambda: proxy.metric("proxy_connections_max", bucket_id="b1") == 1, 5, "the new limit seen")
    crowd.release(count=3)
    wait_until(lambda: redis.slots("b1") == 2, 5, "three given back")
    late = crowd.open(1)
    crowd.wait_all(members=late)
    assert late[0].error_number == 50004
    crowd.release()
    crowd.wait_all()
    all_slots_back(redis, server)
    assert server.peak() == 5


@timeout(60)
def test_queueing_off_answers_50001(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 2, queue_timeout=0, health_probe="off")
    [proxy] = ready_proxies(t, 1, [bucket], redis=redis)
    crowd = t.crowd(proxy)
    crowd.open(2)
    crowd.wait_state(HELD, 2)
    late = crowd.open(3)
    crowd.wait_all(20, late)
    assert [m.error_number for m in late] == [50001] * 3, crowd.summary()
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="no_slot") == 3
    crowd.release()
    crowd.wait_all()
    all_slots_back(redis, server)


@timeout(60)
def test_waiter_that_leaves_gives_up_its_place(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 1, queue_timeout="30s", health_probe="off")
    [proxy] = ready_proxies(t, 1, [bucket], redis=redis)
    holder, leaver, stayer = t.crowd(proxy), t.crowd(proxy), t.crowd(proxy)
    holder.open(1)
    holder.wait_state(HELD, 1)
    leaver.open(1)
    wait_until(lambda: proxy.metric("proxy_queue_length", bucket_id="b1") == 1, 5, "the leaver queued")
    stayer.open(1)
    wait_until(lambda: proxy.metric("proxy_queue_length", bucket_id="b1") == 2, 5, "both queued")
    leaver.close()
    wait_until(lambda: proxy.metric("proxy_queue_length", bucket_id="b1") == 1, 5, "the leaver gone")
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="cancelled") == 1
    holder.release()
    stayer.wait_state(HELD, 1)
    stayer.release()
    stayer.wait_all()
    all_slots_back(redis, server)


@timeout(60)
def test_buckets_by_port_and_default(t):
    servers = [t.sqlserver(database=f"db{i}") for i in (1, 2, 3)]
    ports = [free_port() for _ in range(3)]
    buckets = [t.bucket(f"b{i + 1}", s, 5, listen_port=ports[i]) for i, s in enumerate(servers)]
    [proxy] = ready_proxies(t, 1, buckets, proxy={"default_bucket": "b2"})
    for i, port in enumerate(ports):
        client = t.client(port, database=f"db{i + 1}")
        assert client.scalar("SELECT DB_NAME()") == f"db{i + 1}"
        client.close()
    client = t.client(proxy, database="db2")
    assert client.scalar("SELECT DB_NAME()") == "db2"
    client.close()


@timeout(60)
def test_no_bucket_is_50002(t):
    server = t.sqlserver()
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 5, listen_port=free_port())], proxy={"default_bucket": "none"})
    for encrypt in ("off", "login", "full", "strict"):
        error = try_login(proxy.port, "sa", "x", "", encrypt=encrypt)
        assert error is not None and error.number == 50002 and error.severity == 16, (encrypt, error)
    assert proxy.metric("proxy_connection_errors_total", bucket_id="none", error_type="no_bucket") == 4
