"""What an operator sees: health, metrics, logs, start and stop."""

import json
import os
import re
import socket

from harness import *
from test_limits import all_slots_back, ready_proxies

SERIES = ["proxy_connections_active", "proxy_connections_idle", "proxy_connections_max", "proxy_connections_pinned",
          "proxy_connections_total", "proxy_queue_length", "proxy_queue_wait_seconds", "proxy_tds_packets_total",
          "proxy_query_duration_seconds", "proxy_connection_errors_total", "proxy_redis_operations_total",
          "proxy_instance_heartbeat"]  # and proxy_pinning_duration_seconds, which passthrough cannot fill


@timeout(60)
def test_health_and_metrics_are_true(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 7)
    [proxy] = ready_proxies(t, 1, [bucket], redis=redis)
    status, body = proxy.health()
    assert status == 200 and body["status"] == "healthy" and body["instance_id"] == proxy.instance_id, body
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", body["timestamp"]), body
    assert [c["name"] for c in body["components"]] == ["redis", "sqlserver-b1"]
    for c in body["components"]:
        assert c["status"] == "healthy" and re.fullmatch(r"[\d.]+(µs|us|ms|s)", c["latency"]), c
    assert proxy.health("/health/live")[1]["status"] == "alive"
    assert http_get(proxy.health_port, "/nothing")[0] == 404
    crowd = t.crowd(proxy)
    crowd.open(3)
    crowd.wait_state(HELD, 3)
    proxy.wait_metric("proxy_connections_active", 3, bucket_id="b1")
    assert proxy.metric("proxy_connections_max", bucket_id="b1") == 7
    crowd.release()
    crowd.wait_all()
    all_slots_back(redis, server)
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")
    for direction in ("client_to_proxy", "proxy_to_server", "server_to_proxy", "proxy_to_client"):
        assert proxy.metric("proxy_tds_packets_total", bucket_id="b1", direction=direction, type="prelogin") == 3
    assert promtool_check(proxy.metrics_text()) is None
    types = proxy.metrics().types
    assert [s for s in SERIES if s not in types] == [], f"series missing: {types}"
    beat = proxy.metric("proxy_instance_heartbeat", instance_id=proxy.instance_id)
    assert abs(beat - int(redis.cmd("TIME")[0])) < 5
    assert 0 < redis.cmd("TTL", f"proxy:instance:{proxy.instance_id}:heartbeat") <= 3


@timeout(60)
def test_health_without_redis_section(t):
    server = t.sqlserver()
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 2)])
    assert [c["name"] for c in proxy.health()[1]["components"]] == ["sqlserver-b1"]
    assert promtool_check(proxy.metrics_text()) is None


@timeout(60)
def test_log_tells_a_session_and_no_secret(t):
    server = t.sqlserver()
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 2)], proxy={"log_format": "json"})
    client = t.client(proxy)
    client.query("SELECT 'a secret query'")
    client.close()
    server.wait_connections(0)
    wait_until(lambda: "session closed" in proxy.log_text(), 5, "the log line")
    lines = [json.loads(line) for line in proxy.log_text().splitlines()]
    [closed] = [l for l in lines if l["message"] == "session closed" and l["bucket"] == "b1"]
    assert closed["reason"] == "client left" and closed["bytes_up"] > 100 and closed["session"] > 0, closed
    assert all(l["instance"] == proxy.instance_id for l in lines)
    assert server.password not in proxy.log_text() and "secret" not in proxy.log_text()


@timeout(60)
def test_start_failures_say_why(t):
    server = t.sqlserver()
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    for keys in ({"listen_port": port}, {"health_check_port": port}, {"metrics_port": port}):
        proxy = t.proxy([t.bucket("b1", server, 2)], proxy=keys, start=False)
        done = t.run(proxy.argv, env={**os.environ, "PROXY_INSTANCE_ID": "x"})
        assert done.returncode == 2 and str(port) in done.stderr, (done.returncode, done.stderr)
    proxy = t.proxy([t.bucket("b1", server, 0)], start=False)
    done = t.run(proxy.argv)
    assert done.returncode == 1 and "max_connections" in done.stderr, done.stderr
    done = t.run(t.proxy([t.bucket("b1", server, 2)], start=False).argv + ["--check-config"])
    assert done.returncode == 0 and "sound" in done.stdout


@timeout(60)
def test_systemd_is_notified(t):
    server = t.sqlserver()
    path = os.path.join(t.folder, "notify.sock")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(path)
    notify.settimeout(10)
    proxy = t.proxy([t.bucket("b1", server, 2)], env={"NOTIFY_SOCKET": path})
    assert notify.recv(100) == b"READY=1"
    proxy.stop()
    assert notify.recv(100) == b"STOPPING=1"


@timeout(60)
def test_probes_are_no_clients(t):
    """Probes hold slots like everything else, but acquired, released and the queue's waits are those of clients."""
    redis, server = t.redis(), t.sqlserver()
    [proxy] = ready_proxies(t, 1, [t.bucket("b1", server, 2)], redis=redis)
    wait_until(lambda: server.stats()["connections_total"] >= 3, 15, "three probes")
    all_slots_back(redis, server)
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="released") == 0
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="acquired") == 0
    assert proxy.metric("proxy_queue_wait_seconds_count", bucket_id="b1") == 0
