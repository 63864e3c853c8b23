"""What happens when something dies: a proxy, Redis, a SQL Server. Counts must be exact afterwards."""

import signal

from harness import *
from test_limits import all_slots_back, ready_proxies


def load_until(crowd, width, stop, hold=0.1):
    """Keeps about `width` short sessions running on `crowd` until `stop()`; errors are counted by the crowd."""
    def step():
        missing = width - crowd.count(CONNECTING) - crowd.count(HELD)
        if missing > 0:
            crowd.open(missing, hold=hold)
        return stop()
    wait_until(step, 60, "the load's end")


@timeout(120)
def test_kill_9_of_a_proxy_gives_its_slots_back(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 20, queue_timeout="10s", health_probe="off")
    one, two = ready_proxies(t, 2, [bucket], redis=redis)
    doomed, other = t.crowd(one), t.crowd(two)
    doomed.open(15)
    doomed.wait_state(HELD, 15)
    one.kill()
    wait_until(lambda: redis.slots("b1") == 0, 3 + 1 + 6, "slots of the dead instance freed after ttl and one reap")
    assert redis.members("proxy:instances") == {two.instance_id}
    other.open(20)
    other.wait_state(HELD, 20)
    assert server.peak() <= 20
    one.spawn()
    one.wait_ready_to_serve()
    wait_until(lambda: redis.members("proxy:instances") == {one.instance_id, two.instance_id}, 5, "it is back")
    other.release()
    other.wait_all()
    all_slots_back(redis, server)


@timeout(120)
def test_redis_stopped_under_load_falls_back_and_reconciles(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 30, queue_timeout="20s", health_probe="off")
    proxies = ready_proxies(t, 3, [bucket], redis=redis)
    holders = [t.crowd(p) for p in proxies]
    for crowd in holders:
        crowd.open(4)
    for crowd in holders:
        crowd.wait_state(HELD, 4)
    redis.stop()
    for p in proxies:
        wait_until(lambda: p.component("redis")["status"] == "unhealthy", 10, "fallback shown")
        assert p.metric("proxy_fallback_active") == 1
        status, body = p.health("/health/ready")
        assert status == 503
    more = [t.crowd(p) for p in proxies]
    for crowd in more:
        crowd.open(8)
    for crowd in more:
        crowd.wait_state(HELD, 6)  # the share is 30 / 3
    holds_for(lambda: server.connections() <= 30, 1, "the limit holds without Redis")
    assert server.connections() == 30
    redis.start()
    for p in proxies:
        wait_until(lambda: p.component("redis")["status"] == "healthy", 15, "reconciled")
        assert "fallback" in p.log_text()
    wait_until(lambda: redis.slots("b1") == 30, 10, "true counts registered")
    assert [redis.instance_slots(p.instance_id, "b1") for p in proxies] == [10, 10, 10]
    for crowd in holders + more:
        crowd.release()
    for crowd in holders + more:
        crowd.wait_all()
    assert all(m.state == DONE for crowd in holders + more for m in crowd.members), [c.summary() for c in more]
    all_slots_back(redis, server)
    assert server.peak() <= 30


@timeout(90)
def test_fallback_disabled_takes_no_new_slots(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 30, queue_timeout="1s", health_probe="off")
    [proxy] = ready_proxies(t, 1, [bucket], redis=redis, fallback={"enabled": False})
    crowd = t.crowd(proxy)
    crowd.open(2)
    crowd.wait_state(HELD, 2)
    redis.stop()
    wait_until(lambda: proxy.component("redis")["status"] == "unhealthy", 10, "Redis missed")
    late = crowd.open(1)
    crowd.wait_all(members=late)
    assert late[0].error_number == 50004
    redis.start()
    wait_until(lambda: proxy.component("redis")["status"] == "healthy", 15, "Redis back")
    wait_until(lambda: try_login(proxy.port, server.user, server.password, server.database) is None, 15, "slots again")
    crowd.release()
    crowd.wait_all()
    all_slots_back(redis, server)


@timeout(120)
def test_flushall_under_load_settles_and_never_exceeds(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 10, queue_timeout="20s", health_probe="off")
    proxies = ready_proxies(t, 3, [bucket], redis=redis)
    holders, seekers = [t.crowd(p) for p in proxies], [t.crowd(p) for p in proxies]
    for crowd in holders:
        crowd.open(3)
    for crowd in holders:
        crowd.wait_state(HELD, 3)
    redis.cmd("FLUSHALL")
    for crowd in seekers:
        crowd.open(5, hold=0.05)
    wait_until(lambda: redis.slots("b1") >= 9, 10, "everybody registered again")
    for crowd in seekers:
        crowd.wait_all(40)
        assert crowd.errors() == {}, crowd.errors()
    assert server.peak() <= 10, server.peak()
    for crowd in holders:
        crowd.release()
        crowd.wait_all()
    all_slots_back(redis, server)


@timeout(120)
def test_paused_proxy_is_fenced_and_counts_become_exact(t):
    """SIGSTOP beyond the TTL: the others take its slots, so there is excess, at most what it held; it goes as sessions end."""
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 9, queue_timeout="20s", health_probe="off")
    proxies = ready_proxies(t, 3, [bucket], redis=redis)
    sleeper = t.crowd(proxies[0])
    sleeper.open(6)
    sleeper.wait_state(HELD, 6)
    proxies[0].pause()
    wait_until(lambda: redis.slots("b1") == 0, 8, "reaped")
    others = t.crowd(proxies[1])
    others.open(9)
    others.wait_state(HELD, 9)
    proxies[0].resume()
    wait_until(lambda: redis.slots("b1") == 15, 8, "true counts: the excess is visible")
    late = t.crowd(proxies[0])
    blocked = late.open(1)
    holds_for(lambda: blocked[0].state == CONNECTING, 1, "nothing new while over the limit")
    sleeper.release()
    sleeper.wait_all()
    assert sleeper.errors() == {}, "a session under way was cut"
    wait_until(lambda: redis.slots("b1") == 9, 5, "the excess is gone")
    others.release()
    others.wait_all()
    late.wait_state(HELD, 1)
    late.release()
    late.wait_all()
    all_slots_back(redis, server)
    assert server.peak() <= 9 + 6


@timeout(60)
def test_same_instance_id_twice_takes_another_name(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 4, health_probe="off")
    one, two = [t.proxy([bucket], redis=redis, instance_id="twin") for _ in range(2)]
    one.wait_ready_to_serve()
    two.wait_ready_to_serve()
    wait_until(lambda: redis.members("proxy:instances") == {"twin", "twin.2"}, 5, "two names")
    assert {p.health()[1]["instance_id"] for p in (one, two)} == {"twin", "twin.2"}
    crowds = [t.crowd(p) for p in (one, two)]
    for crowd in crowds:
        crowd.open(2)
    for crowd in crowds:
        crowd.wait_state(HELD, 2)
    assert redis.slots("b1") == 4
    for crowd in crowds:
        crowd.release()
        crowd.wait_all()
    all_slots_back(redis, server)


@timeout(90)
def test_replies_lost_between_command_and_answer(t):
    """The connection to Redis is cut at random while sessions come and go: the counts end exact, the limit holds."""
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 10, queue_timeout="20s", health_probe="off")
    cutter = t.cutter(redis)
    [proxy] = ready_proxies(t, 1, [bucket], redis=f"127.0.0.1:{cutter.port}", fallback={"enabled": True})
    crowd = t.crowd(proxy, login_timeout=30)
    cuts = 0

    def stop():
        nonlocal cuts
        cutter.cut()
        cuts += 1
        return cuts >= 100
    load_until(crowd, 15, stop, hold=0.01)
    crowd.wait_all(60)
    assert crowd.errors() == {}, crowd.errors()
    assert server.peak() <= 10
    all_slots_back(redis, server, seconds=15)


@timeout(90)
@cases(encrypt=["off", "full"])
def test_server_down_fails_fast_with_50003_and_comes_back(t, encrypt):
    redis, one, two = t.redis(), t.sqlserver(), t.sqlserver()
    buckets = [t.bucket("b1", one, 5, listen_port=free_port(), connection_timeout="5s"), t.bucket("b2", two, 5)]
    [proxy] = ready_proxies(t, 1, buckets, redis=redis, proxy={"default_bucket": "b2"})
    port = buckets[0]["listen_port"]
    client = t.client(port, encrypt=encrypt)
    one.kill()
    crowd = t.crowd(port, encrypt=encrypt)
    crowd.open(5)
    crowd.wait_all(20)
    assert crowd.errors() == {50003: 5}, crowd.errors()
    wait_until(lambda: proxy.component("sqlserver-b1")["status"] == "unhealthy", 10, "shown as unhealthy")
    assert proxy.component("sqlserver-b2")["status"] == "healthy"
    fast = crowd.open(1)
    crowd.wait_all(20, fast)
    assert fast[0].error_number == 50003 and "failing fast" in fast[0].error, fast[0].error
    assert try_login(proxy.port, two.user, two.password, two.database, encrypt=encrypt) is None, "the other bucket works"
    client.close()
    one.start()
    wait_until(lambda: proxy.component("sqlserver-b1")["status"] == "healthy", 10, "the probe finds it")
    assert try_login(port, one.user, one.password, one.database, encrypt=encrypt) is None
    wait_until(lambda: redis.slots("b1") == 0 and redis.slots("b2") == 0, 10, "all slots back")


@timeout(60)
def test_server_kills_connections_under_clients(t):
    redis, server = t.redis(), t.sqlserver()
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 30, health_probe="off")], redis=redis)
    crowd = t.crowd(proxy)
    crowd.open(20)
    crowd.wait_state(HELD, 20)
    server.kill_all()
    crowd.release()
    crowd.wait_all()
    assert crowd.count(FAILED) == 20, crowd.summary()
    all_slots_back(redis, server)


@timeout(60)
def test_clients_that_vanish_with_rst(t):
    redis, server = t.redis(), t.sqlserver()
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 30, health_probe="off")], redis=redis)
    crowd = t.crowd(proxy)
    crowd.open(25, hold=0.1, abrupt=True)
    crowd.wait_all()
    all_slots_back(redis, server)


@timeout(60)
def test_drain_lets_sessions_end_and_refuses_new_ones(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 2, queue_timeout="30s", health_probe="off")
    keys = {"shutdown_timeout": "20s"}
    one, two = ready_proxies(t, 2, [bucket], redis=redis, proxy=keys)
    lb = t.haproxy([one, two])
    lb.wait_state(one.name, "UP")
    crowd = t.crowd(one)
    crowd.open(2)
    crowd.wait_state(HELD, 2)
    waiting = crowd.open(1)
    wait_until(lambda: one.metric("proxy_queue_length", bucket_id="b1") == 1, 5, "a waiter")
    one.signal(signal.SIGTERM)
    crowd.wait_all(5, waiting)
    assert waiting[0].error_number == 50008, crowd.summary()
    lb.wait_state(one.name, "DOWN")
    assert not one.accepting() and one.health("/health/live")[0] == 200
    assert try_login(one.port, server.user, server.password, server.database).number == 50008
    crowd.release()
    crowd.wait_all()
    assert crowd.count(DONE) == 2
    assert one.wait(10) == 0
    assert redis.members("proxy:instances") == {two.instance_id}
    all_slots_back(redis, server)


@timeout(60)
def test_shutdown_timeout_closes_what_is_left(t):
    redis, server = t.redis(), t.sqlserver()
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 5, health_probe="off")], redis=redis,
                            proxy={"shutdown_timeout": "1s"})
    crowd = t.crowd(proxy)
    crowd.open(3)
    crowd.wait_state(HELD, 3)
    proxy.signal(signal.SIGTERM)
    assert proxy.wait(10) == 0
    all_slots_back(redis, server)
