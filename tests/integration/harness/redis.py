"""redis-server as a process of the test, and a RESP client of our own (no library needed)."""

import os
import socket

from .ports import free_port
from .process import Process


class RedisError(Exception):
    """An error reply (-ERR ...)."""


class RespConnection:
    """One connection. Replies become None, int, str, list; error replies raise RedisError."""

    def __init__(self, port, host="127.0.0.1", timeout=5.0):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, *words):
        parts = [f"*{len(words)}\r\n".encode()]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise ConnectionError(f"not RESP: {line!r}")

    def cmd(self, *words):
        self.send(*words)
        return self.read()


class Redis(Process):
    """`redis.cmd("GET", key)`, `redis.stop()`, `redis.start()`, `redis.kill()`, `redis.pause()`, `redis.resume()`.

    `settings` are lines of redis.conf: {"maxmemory-policy": "allkeys-lru"}. Nothing is kept over a restart unless
    `settings` says so ({"appendonly": "yes"}).
    """

    def __init__(self, name, folder, port=None, settings=None, password=None):
        self.port = port or free_port()
        self.password = password
        self.addr = f"127.0.0.1:{self.port}"
        self.folder = folder
        self.config_path = os.path.join(folder, f"{name}.conf")
        values = {"port": self.port, "bind": "127.0.0.1", "dir": folder, "save": '""', "appendonly": "no",
                  "maxmemory-policy": "noeviction", "daemonize": "no", "protected-mode": "no",
                  "enable-debug-command": "local", **(settings or {})}
        if password:
            values["requirepass"] = password
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.writelines(f"{key} {value}\n" for key, value in values.items())
        super().__init__(name, ["redis-server", self.config_path], os.path.join(folder, f"{name}.log"))
        self._connection = None

    def start(self, wait=True):
        self.spawn()
        if wait:
            self.wait_ready(self.ping)
        return self

    def ping(self):
        try:
            return self.cmd("PING") == "PONG"
        except (OSError, RedisError):  # refused, or -LOADING
            return False

    def connect(self, timeout=5.0):
        connection = RespConnection(self.port, timeout=timeout)
        if self.password:
            connection.cmd("AUTH", self.password)
        return connection

    def cmd(self, *words):
        """One command; connects anew after a restart."""
        for attempt in (1, 2):
            fresh = self._connection is None
            if fresh:
                self._connection = self.connect()
            try:
                return self._connection.cmd(*words)
            except (OSError, ConnectionError):
                self._connection.close()
                self._connection = None
                if fresh or attempt == 2:
                    raise
        return None

    def get_int(self, key, default=None):
        value = self.cmd("GET", key)
        return default if value is None else int(value)

    def hash(self, key):
        flat = self.cmd("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def members(self, key):
        return set(self.cmd("SMEMBERS", key))

    # The proxy's keys (docs/architecture.md).
    def slots(self, bucket, prefix="proxy"):
        """Slots in use over all instances: `<prefix>:bucket:<id>:count`, 0 when missing."""
        return self.get_int(f"{prefix}:bucket:{bucket}:count", 0)

    def instance_slots(self, instance, bucket, prefix="proxy"):
        return int(self.hash(f"{prefix}:instance:{instance}:conns").get(bucket, 0))

    def terminate(self):
        if self._connection:
            self._connection.close()
            self._connection = None
        return super().terminate()
