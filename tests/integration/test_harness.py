"""The harness itself, where a mistake would make other tests pass or fail for no reason."""

import os

from harness import *
from harness import leftovers, yamlfile
from harness.process import descendants


def test_redis_starts_answers_and_comes_back(t):
    redis = t.redis()
    assert redis.cmd("SET", "k", "v") == "OK" and redis.cmd("GET", "k") == "v"
    assert redis.cmd("GET", "missing") is None
    redis.pause()
    redis.resume()
    assert redis.ping()
    redis.kill()
    assert not redis.running and not redis.ping()
    redis.start()
    assert redis.cmd("GET", "k") is None, "nothing is kept over a restart"
    assert redis.slots("b1") == 0


def test_cutter_loses_the_reply_only(t):
    redis = t.redis()
    cutter = t.cutter(redis)
    cutter.on_reply = lambda data, n: "cut" if n == 2 else None
    connection = RespConnection(cutter.port)
    assert connection.cmd("INCR", "n") == 1
    try:
        connection.cmd("INCR", "n")
        raise AssertionError("the reply should have been lost")
    except ConnectionError:
        pass
    assert redis.cmd("GET", "n") == "2", "the command itself was executed"
    connection.close()


def test_metrics_are_read_with_labels(t):
    text = '# TYPE a gauge\na{x="1",y="q\\"z"} 5\na{x="2",y=""} 7\nb 1e3\n'
    metrics = Metrics(text)
    assert metrics.get("a", x=1) == 5 and metrics.get("a", x=2) == 7 and metrics.get("b") == 1000
    assert metrics.get("a", x=3) is None and metrics.sum("a") == 12


def test_yaml_is_written_as_loaders_read_it(t):
    text = yamlfile.emit({"proxy": {"listen_addr": "127.0.0.1", "queue_timeout": "5s", "reuse_port": True, "n": 0},
                          "buckets": [{"id": "b1", "aliases": ["a", "b"], "databases": [], "password": "a: #b"}]})
    assert text == ('proxy:\n  listen_addr: 127.0.0.1\n  queue_timeout: 5s\n  reuse_port: true\n  n: 0\n'
                    'buckets:\n  - id: b1\n    aliases:\n      - a\n      - b\n    databases: []\n'
                    '    password: "a: #b"\n'), text


def test_waiting_has_a_deadline(t):
    try:
        wait_until(lambda: False, 0.2, "never")
    except HarnessError as error:
        assert "never" in str(error)
    else:
        raise AssertionError("no deadline")


def test_leftover_processes_are_found(t):
    sleeper = t.process(["sleep", "100"], exit_ok=(-15,))
    assert any("sleep 100" in command for _, command in descendants(os.getpid()))
    sleeper.stop()
    assert not descendants(os.getpid())


def test_what_a_test_leaves_behind_is_told(t):
    """A session in a proxy, a connection at a server, a slot in Redis; nothing when there is nothing."""
    redis, server = t.redis(), t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, 5)], redis=redis)
    proxy.wait_ready_to_serve()

    def told():
        return leftovers.in_proxies(t.processes, 0.5), leftovers.behind_proxies(t.processes, 0.5)

    client = t.client(proxy)
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 1, 5, "the gauge shows it")
    [in_proxy], [at_server, in_redis] = told()
    assert "proxy_client_connections" in in_proxy and "proxy_connections_active" in in_proxy, in_proxy
    assert at_server.endswith(": 1") and "'proxy:bucket:b1:count': 1" in in_redis, (at_server, in_redis)
    client.close()
    wait_until(lambda: told() == ([], []), 10, "nothing is left")
