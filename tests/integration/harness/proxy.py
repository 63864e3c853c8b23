"""One tdsbouncer process: generated configuration, readiness, health, metrics."""

import json
import os
import signal

from . import yamlfile
from .metrics import Metrics
from .ports import free_port
from .process import Process
from .waiting import http_get, wait_until

# Short intervals: a test waits for a beat, not for ten seconds. Passed to the files as they are.
PROXY_DEFAULTS = {"listen_addr": "127.0.0.1", "health_listen_addr": "127.0.0.1", "pool_mode": "passthrough",
                  "queue_timeout": "30s", "login_timeout": "15s", "shutdown_timeout": "5s",
                  "health_check_interval": "1s", "log_level": "debug"}
REDIS_DEFAULTS = {"heartbeat_interval": "1s", "heartbeat_ttl": "3s"}


def bucket(bucket_id, server, max_connections, **keys):
    """An entry of buckets.yaml for a stand-in server. `keys` adds or replaces keys; None leaves one out."""
    return {"id": bucket_id, "host": server.host, "port": server.port, "database": server.database,
            "username": server.user, "password": server.password, "max_connections": max_connections, **keys}


class Proxy(Process):
    """`proxy.port`, `proxy.health()`, `proxy.metrics()`, `proxy.reload()`.

    `proxy`, `redis_keys`, `fallback` replace single keys of proxy.yaml; None leaves a key out. `redis` is a Redis of
    the test or an address "host:port"; without it there is no redis section (coordinator `local`).
    """

    def __init__(self, name, folder, binary, buckets, redis=None, instance_id=None, proxy=None, redis_keys=None,
                 fallback=None, args=(), env=None, wrapper=()):
        self.folder = folder
        self.instance_id = instance_id or name
        self.host = "127.0.0.1"
        self.port, self.health_port, self.metrics_port = free_port(), free_port(), free_port()
        self.proxy_keys = {**PROXY_DEFAULTS, "listen_port": self.port, "health_check_port": self.health_port,
                           "metrics_port": self.metrics_port, **(proxy or {})}
        self.port = self.proxy_keys["listen_port"]
        addr = getattr(redis, "addr", redis)
        self.redis_keys = {"addr": addr, **REDIS_DEFAULTS, **(redis_keys or {})} if addr else None
        if addr and getattr(redis, "password", None):
            self.redis_keys.setdefault("password", redis.password)
        self.fallback = fallback
        self.buckets = list(buckets)
        self.config_path = os.path.join(folder, f"{name}.yaml")
        self.buckets_path = os.path.join(folder, f"{name}-buckets.yaml")
        self.write_config()
        argv = [*wrapper, binary, "--config", self.config_path, "--buckets", self.buckets_path, *args]
        sanitizers = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=1"),
                      "UBSAN_OPTIONS": os.environ.get("UBSAN_OPTIONS", "print_stacktrace=1")}
        super().__init__(name, argv, os.path.join(folder, f"{name}.log"),
                         env={**sanitizers, "PROXY_INSTANCE_ID": self.instance_id, **(env or {})})

    def write_config(self):
        """Writes both files from proxy_keys, redis_keys, fallback and buckets: change those, write, then reload()."""
        yamlfile.write(self.config_path, {"proxy": self.proxy_keys, "redis": self.redis_keys, "fallback": self.fallback})
        yamlfile.write(self.buckets_path, {"buckets": self.buckets})

    def start(self, wait=True):
        self.spawn()
        if wait:  # /health/live answers before the TDS port is open
            self.wait_ready(self.accepting)
        return self

    def alive(self):
        return http_get(self.health_port, "/health/live")[0] == 200

    def accepting(self):
        return http_get(self.health_port, "/health/accepting")[0] == 200

    def health(self, path="/health"):
        """(HTTP status, JSON)."""
        status, body = http_get(self.health_port, path)
        return status, json.loads(body) if body else None

    def component(self, name):
        """The entry of /health's components[] with this name (`redis`, `sqlserver-<bucket>`), or None."""
        _, body = self.health()
        return next((c for c in (body or {}).get("components", []) if c["name"] == name), None)

    def wait_ready_to_serve(self, timeout=20.0):
        """Until /health/ready is 200: Redis registered and settled, every bucket answers."""
        self.wait_ready(lambda: http_get(self.health_port, "/health/ready")[0] == 200, timeout, "ready to serve")

    def metrics_text(self):
        status, body = http_get(self.metrics_port, "/metrics")
        assert status == 200, f"/metrics of {self.name} answers {status}"
        return body

    def metrics(self):
        return Metrics(self.metrics_text())

    def metric(self, name, default=0.0, **labels):
        """One series' value now: proxy.metric("proxy_queue_length", bucket_id="b1")."""
        return self.metrics().get(name, default, **labels)

    def wait_metric(self, name, value, timeout=10.0, **labels):
        wait_until(lambda: self.metric(name, **labels) == value, timeout, f"{self.name}: {name} {labels} == {value}")

    def reload(self):
        self.signal(signal.SIGHUP)
