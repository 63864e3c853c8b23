"""SIGHUP: both files are read again; buckets come, go and change, and no session is dropped for it."""

import time

from harness import *
from harness.ports import free_port
from pooled import OTHER, wait_idle
from test_fairness import Load


def reloaded(proxy):
    """Sends SIGHUP with what proxy_keys and buckets say now, and waits until it has been read."""
    before = proxy.log_text().count(" reloaded ")
    proxy.write_config()
    proxy.reload()
    wait_until(lambda: proxy.log_text().count(" reloaded ") > before, 10, "reloaded")


def scene(t, redis=True, connections=5, **keys):
    server = t.sqlserver(args=["--database", OTHER])
    bucket = t.bucket("b1", server, connections, health_probe="off", **keys)
    proxy = t.proxy([bucket], redis=t.redis() if redis else None, proxy={"pool_mode": "transaction", "health_check_interval": "1h"})
    proxy.wait_ready_to_serve()
    return server, bucket, proxy




@timeout(60)
@cases(coordinator=["redis", "local"])
def test_a_bucket_comes_with_its_own_port_and_goes(t, coordinator):
    server, bucket, proxy = scene(t, coordinator == "redis")
    old = t.client(proxy)
    assert old.scalar("SELECT 1") == 1
    two, port = t.sqlserver(args=["--server-name", "TWO"]), free_port()
    proxy.buckets = [bucket, t.bucket("b2", two, 3, health_probe="off", listen_port=port)]
    reloaded(proxy)
    assert "reload: added key=buckets.b2" in proxy.log_text()
    wait_until(lambda: proxy.component("sqlserver-b2") is not None, 10, "/health shows it")
    new, idle = t.client(port), t.client(port)
    wait_until(lambda: new.scalar("SELECT @@SERVERNAME") == "TWO", 10, "served by its own server")
    proxy.wait_metric("proxy_connections_max", 3, bucket_id="b2")
    with t.client(two) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    new.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
    proxy.buckets = [bucket]
    reloaded(proxy)
    wait_until(lambda: closed(idle), 10, "a session at rest is closed")
    assert new.query("SELECT n FROM dbo.kept").rows == [[1]]  # a transaction goes on
    new.query("COMMIT")
    wait_until(lambda: closed(new), 10, "and is the last of it")
    with t.client(two) as direct:
        assert direct.query("SELECT n FROM dbo.kept").rows == [[1]]
    wait_until(lambda: two.connections() == 0, 10, "no connection is left")
    wait_until(lambda: proxy.component("sqlserver-b2") is None, 10, "/health shows it no more")
    assert old.scalar("SELECT 2") == 2
    if coordinator == "redis":
        redis = next(p for p in t.processes if p.name.startswith("redis"))
        wait_until(lambda: redis.slots("b2") == 0 and "b2" not in redis.hash("proxy:instance:proxy-1:conns"), 10, "its slots are given back")
    proxy.buckets.append(t.bucket("b2", two, 2, health_probe="off", listen_port=port))
    reloaded(proxy)  # and it may come back
    assert t.client(port).scalar("SELECT @@SERVERNAME") == "TWO"
    proxy.wait_metric("proxy_connections_max", 2, bucket_id="b2")


def closed(client):
    """The proxy has ended the session."""
    client.socket.settimeout(0.05)
    try:
        return client.socket.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    finally:
        client.socket.settimeout(None)


@timeout(60)
@cases(coordinator=["redis", "local"])
def test_limits_and_timeouts_change(t, coordinator):
    server, bucket, proxy = scene(t, coordinator == "redis", connections=4, queue_timeout="20s")
    clients = [t.client(proxy) for _ in range(4)]
    for client in clients:
        client.query("SELECT 1 AS n INTO #t")
    assert server.connections() == 4
    proxy.buckets = [{**bucket, "max_connections": 2, "queue_timeout": "300ms"}]
    reloaded(proxy)
    wait_until(lambda: proxy.metric("proxy_connections_max", bucket_id="b1") == 2, 10, "the new limit")
    for client in clients:
        client.query("DROP TABLE #t")
    wait_until(lambda: server.connections() <= 2, 10, "connections above the limit are given back")
    holders = clients[:2]
    for client in holders:
        client.query("SELECT 1 AS n INTO #t")
    start = time.monotonic()
    assert [e.number for e in clients[2].ask("SELECT 1").errors] == [50004]
    assert time.monotonic() - start < 10
    proxy.buckets = [bucket]
    reloaded(proxy)
    assert clients[2].query("SELECT 1").rows == [[1]]
    if coordinator == "redis":
        redis = next(p for p in t.processes if p.name.startswith("redis"))
        assert redis.get_int("proxy:bucket:b1:max") == 4


@timeout(60)
def test_a_file_that_is_not_sound_changes_nothing(t):
    server, bucket, proxy = scene(t, redis=False)
    proxy.buckets = [{**bucket, "max_connections": "many"}]
    proxy.write_config()
    proxy.reload()
    wait_until(lambda: "reload failed: the configuration stays as it was" in proxy.log_text(), 10, "told")
    assert f"{proxy.buckets_path}:" in proxy.log_text() and "max_connections" in proxy.log_text()
    assert t.client(proxy).scalar("SELECT 1") == 1
    proxy.buckets = [{**bucket, "server_ca_file": proxy.config_path, "server_tls": "verify-ca"}]
    proxy.write_config()
    proxy.reload()
    wait_until(lambda: proxy.log_text().count("reload failed") == 2, 10, "a file with no certificate in it")
    assert t.client(proxy).scalar("SELECT 1") == 1


@timeout(60)
def test_what_needs_a_restart_is_told_and_left_alone(t):
    server, bucket, proxy = scene(t, redis=False)
    proxy.proxy_keys = {**proxy.proxy_keys, "listen_port": free_port(), "http_threads": 3, "log_level": "info", "queue_timeout": "1s"}
    proxy.buckets = [{**bucket, "pool_mode": "session"}]
    reloaded(proxy)
    text = proxy.log_text()
    for key in ("proxy.listen_port", "proxy.http_threads", "buckets.b1.pool_mode"):
        assert f"reload: needs a restart, the old value stays key={key}" in text, key
    for key in ("proxy.queue_timeout", "buckets.b1.queue_timeout", "proxy.log_level"):
        assert f"reload: changed key={key}" in text, key
    t.client(proxy).query("SELECT 1")
    assert " debug " not in proxy.log_text()[len(text):]


@timeout(60)
def test_a_bucket_moves_to_another_server(t):
    server, bucket, proxy = scene(t, redis=False)
    two = t.sqlserver(args=["--server-name", "TWO", "--database", OTHER])
    free, busy = t.client(proxy), t.client(proxy)
    busy.query("BEGIN TRAN; SELECT 1 AS n INTO #t")
    free.query("SELECT 1")
    proxy.buckets = [{**bucket, "host": two.host, "port": two.port}]
    reloaded(proxy)
    assert free.scalar("SELECT @@SERVERNAME") == "TWO"
    assert busy.query("SELECT n FROM #t").rows == [[1]]
    busy.query("ROLLBACK")
    wait_until(lambda: server.connections() == 0, 10, "nothing is left at the old one")
    assert busy.scalar("SELECT @@SERVERNAME") == "TWO"


@timeout(60)
def test_no_session_is_dropped_by_reloads_under_load(t):
    server, bucket, proxy = scene(t, connections=4)
    load = Load(t, server, proxy, clients=10, pause="00:00:00.005")
    for n in range(12):
        proxy.buckets = [{**bucket, "max_connections": 2 + n % 3, "queue_timeout": f"{20 + n}s", "max_idle_time": f"{60 + n}s"}]
        if n % 2:
            proxy.buckets.append(t.bucket("b2", server, 2, health_probe="off"))
        reloaded(proxy)
        time.sleep(0.1)
    load.stop()
    assert min(load.answers) > 0
    assert len([line for line in proxy.log_text().splitlines() if "session closed" in line]) <= 10
    wait_idle(proxy, int(proxy.metric("proxy_connections_idle", bucket_id="b1")))
