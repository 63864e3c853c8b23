"""The scripts of lua/ themselves: every return code, and what a refused call must leave alone."""

import os
import time

from faultlib import wait_until
from harness.redis import RedisError

LUA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lua")
TOKEN, OTHER = "a" * 32, "b" * 32


class Scripts:
    """The scripts as an instance would call them; bucket b1 with limit 10 unless told otherwise."""

    def __init__(self, t, settings=None):
        self.redis = t.redis(settings)
        self.text = {n: open(os.path.join(LUA, n + ".lua"), encoding="utf-8").read()
                     for n in ("acquire", "release", "register", "reap", "audit", "want")}

    def run(self, name, keys, args):
        return self.redis.cmd("EVAL", self.text[name], len(keys), *keys, *args)

    def register(self, inst="i1", token=TOKEN, epoch=1, ttl=60000, settle=0, kind="beat", held=0, configured=10, bucket="b1"):
        return self.run("register", [f"proxy:instance:{inst}:heartbeat", f"proxy:instance:{inst}:conns", "proxy:instances",
                                     "proxy:epoch", "proxy:configured", f"proxy:bucket:{bucket}:count",
                                     f"proxy:bucket:{bucket}:max"],
                        [inst, token, epoch, ttl, settle, kind, "proxy", bucket, configured, held])

    def acquire(self, target, inst="i1", token=TOKEN, epoch=1, bucket="b1"):
        return self.run("acquire", [f"proxy:bucket:{bucket}:count", f"proxy:bucket:{bucket}:max",
                                    f"proxy:instance:{inst}:conns", f"proxy:instance:{inst}:heartbeat", "proxy:epoch"],
                        [bucket, inst, token, epoch, target])

    def release(self, target, inst="i1", token=TOKEN, epoch=1):
        return self.run("release", ["proxy:bucket:b1:count", f"proxy:instance:{inst}:conns",
                                    f"proxy:instance:{inst}:heartbeat"],
                        ["b1", "proxy:release:b1", inst, token, epoch, target])

    def reap(self, other, inst="i1", token=TOKEN, epoch=1, fresh=0):
        return self.run("reap", [f"proxy:instance:{inst}:heartbeat", f"proxy:instance:{other}:heartbeat",
                                 f"proxy:instance:{other}:conns", "proxy:instances"], ["proxy", token, epoch, other, fresh])

    def audit(self, inst="i1", token=TOKEN, epoch=1):
        return self.run("audit", [f"proxy:instance:{inst}:heartbeat", "proxy:instances", "proxy:bucket:b1:count"],
                        ["proxy", token, epoch, "b1"])

    def want(self, inst="i1", token=TOKEN, epoch=1, waited=700):
        return self.run("want", ["proxy:bucket:b1:count", "proxy:bucket:b1:max", f"proxy:instance:{inst}:heartbeat",
                                 "proxy:instances"], ["b1", "proxy:want:b1", inst, token, epoch, waited, "proxy"])

    def state(self):
        """Everything in Redis, to see that a call has changed nothing."""
        out = {}
        for key in sorted(self.redis.cmd("KEYS", "*")):
            kind = self.redis.cmd("TYPE", key)
            out[key] = {"string": lambda k: self.redis.cmd("GET", k), "hash": self.redis.hash,
                        "set": self.redis.members}[kind](key)
        return out


def listen(s, channel):
    connection = s.redis.connect()
    connection.cmd("SUBSCRIBE", channel)
    return connection


def test_scripts_acquire(t):
    s = Scripts(t)
    assert s.acquire(1)[0] == -3  # never registered
    assert s.register()[0] == 0
    assert s.acquire(1) == [1, 1, 10]
    assert s.acquire(4) == [4, 4, 10]  # absolute
    assert s.acquire(4) == [4, 4, 10]  # repeated
    assert s.acquire(2) == [4, 4, 10]  # never lowers
    s.register(inst="i2", token=OTHER)
    assert s.acquire(6, inst="i2", token=OTHER) == [10, 10, 10]
    before = s.state()
    assert s.acquire(5) == [-1, 10, 10]
    assert s.acquire(5, token=OTHER)[0] == -3  # another token
    assert s.acquire(5, epoch=2)[0] == -3  # another connection, newer or older
    assert s.acquire(5, epoch=0)[0] == -3
    assert s.state() == before
    assert s.redis.hash("proxy:instance:i1:conns") == {"b1": "4"}
    s.redis.cmd("SET", "proxy:bucket:b1:max", 11)
    assert s.acquire(5) == [11, 11, 11]
    s.redis.cmd("SET", "proxy:bucket:b1:max", 3)
    assert s.acquire(6) == [-1, 11, 3]
    for value in (None, "many"):
        s.redis.cmd("DEL", "proxy:bucket:b1:max")
        if value:
            s.redis.cmd("SET", "proxy:bucket:b1:max", value)
        assert s.acquire(6)[0] == -2
        assert s.register(held=5)[3] == [11, 10]  # sets it again
    s.redis.cmd("DEL", "proxy:bucket:b1:count")
    assert s.acquire(6)[0] == -4  # lost: not taken for 0
    assert s.register(held=-1)[3] == [11, 10]  # recomputed from what all hold


def test_scripts_settling(t):
    s = Scripts(t)
    code, left, instances, limits, alive = s.register(settle=700)
    assert (code, instances, limits, alive) == (0, ["i1"], [0, 10], 0) and 600 < left <= 700
    start = time.monotonic()
    assert s.acquire(1)[0] == -4
    assert s.register(inst="i2", token=OTHER, settle=100)[1] > 100  # does not shorten it
    wait_until(lambda: s.acquire(1)[0] == 1, 3, "settled")
    assert 0.5 < time.monotonic() - start < 1.5
    code, left, _, _, alive = s.register(held=1, settle=700)
    assert (code, left, alive) == (0, 0, 1)
    for lose in (["DEL", "proxy:epoch"], ["HSET", "proxy:epoch", "run_id", "0" * 40], ["FLUSHALL"],
                 ["HSET", "proxy:epoch", "began", 10 ** 15], ["SREM", "proxy:instances", "i1"]):
        s.redis.cmd(*lose)
        assert s.register(held=1, settle=700)[1] > 600, lose
        assert s.acquire(2)[0] == -4, lose
        s.redis.cmd("HSET", "proxy:epoch", "began", 1)
        assert s.acquire(2)[0] > 0, lose
        s.register(held=1)


def test_scripts_release(t):
    s = Scripts(t)
    assert s.release(0) == [-3, 0]
    s.register(held=5)
    listener = listen(s, "proxy:release:b1")
    before = s.state()
    assert s.release(3, token=OTHER)[0] == -3
    assert s.release(3, epoch=2)[0] == -3
    assert s.state() == before
    assert s.release(3) == [3, 3]
    assert listener.read() == ["message", "proxy:release:b1", "i1"]
    assert s.release(3) == [3, 3]  # repeated
    assert s.release(4) == [-1, 3]  # Redis has fewer
    assert s.redis.hash("proxy:instance:i1:conns") == {"b1": "3"}
    s.redis.cmd("SET", "proxy:bucket:b1:count", 1)
    assert s.release(0) == [-1, 0]  # never below 0
    assert s.redis.cmd("GET", "proxy:bucket:b1:count") == "0"
    assert s.redis.hash("proxy:instance:i1:conns") == {}
    assert listener.read()[0] == "message"
    s.register(held=3)
    s.redis.cmd("DEL", "proxy:bucket:b1:count")
    assert s.release(3) == [-1, 0] and s.release(2) == [-1, 0]
    assert s.redis.cmd("EXISTS", "proxy:bucket:b1:count") == 0  # lost, and not taken for 0
    assert s.register(held=2)[3] == [2, 10]
    s.release(1)
    assert listener.read()[0] == "message"
    s.register(held=1)
    s.release(0)
    assert listener.read()[0] == "message"  # nothing was published in between
    listener.close()


def test_scripts_want(t):
    s = Scripts(t)
    assert s.want() == -3  # never registered
    s.register(held=4)
    assert s.want() == -1  # a slot is free
    s.register(inst="i2", token=OTHER, held=6)
    s.register(inst="i3", token=OTHER, held=0)
    listener = listen(s, "proxy:want:b1")
    before = s.state()
    assert s.want(epoch=2) == -3 and s.want(token=OTHER) == -3
    assert s.want() == 1
    assert listener.read() == ["message", "proxy:want:b1", "i1 4 700 10 i2 6"]
    assert s.want(inst="i3", token=OTHER, waited=0) == 1
    message = listener.read()[2].split(" ")
    assert message[:4] == ["i3", "0", "0", "10"]
    assert sorted(zip(message[4::2], message[5::2])) == [("i1", "4"), ("i2", "6")]
    assert s.state() == before
    s.redis.cmd("DEL", "proxy:instance:i2:heartbeat")  # the dead can give nothing
    assert s.want() == 1 and listener.read()[2] == "i1 4 700 10"
    s.redis.cmd("DEL", "proxy:bucket:b1:max")
    assert s.want() == -1
    listener.close()


def test_scripts_register(t):
    s = Scripts(t)
    assert s.register(epoch=5, held=3)[3] == [3, 10]
    before = s.state()
    assert s.register(token=OTHER, epoch=9) == [-5]
    assert s.register(epoch=4, held=0) == [-3]
    assert s.state() == before
    assert s.register(epoch=5, held=7)[3] == [7, 10]
    assert s.register(epoch=6, held=-1)[3] == [7, 10]  # left out
    assert s.redis.hash("proxy:instance:i1:conns") == {"b1": "7"}
    assert s.redis.cmd("GET", "proxy:instance:i1:heartbeat") == TOKEN + ":6"
    assert 50000 < s.redis.cmd("PTTL", "proxy:instance:i1:heartbeat") <= 60000
    # A bucket that is neither listed nor left out goes.
    listener = listen(s, "proxy:release:b1")
    assert s.register(epoch=6, held=2, bucket="b2")[3] == [2, 10]
    assert s.redis.hash("proxy:instance:i1:conns") == {"b2": "2"}
    assert s.redis.slots("b1") == 0 and s.redis.slots("b2") == 2
    assert listener.read() == ["message", "proxy:release:b1", "i1"]
    listener.close()
    # An expired heartbeat may be taken over by another process: the numbers are then its own.
    s.redis.cmd("DEL", "proxy:instance:i1:heartbeat")
    assert s.register(token=OTHER, epoch=1, held=1, bucket="b2")[3] == [1, 10]
    assert s.register(token=TOKEN, epoch=7, bucket="b2") == [-5]


def test_scripts_deregister(t):
    s = Scripts(t)
    s.register(held=3)
    s.register(inst="i2", token=OTHER, held=4)
    assert s.register(ttl=0, token=OTHER) == [-5]
    assert s.register(ttl=0, epoch=0) == [-3]
    assert s.redis.slots("b1") == 7
    assert s.register(ttl=0)[:1] == [0]
    assert s.redis.slots("b1") == 4
    assert s.redis.members("proxy:instances") == {"i2"}
    assert s.redis.cmd("KEYS", "proxy:instance:i1:*") == []
    assert s.acquire(1)[0] == -3


def test_scripts_limits(t):
    s = Scripts(t)
    s.register(kind="start", configured=10)
    s.redis.cmd("SET", "proxy:bucket:b1:max", 4)
    assert s.register(configured=20)[3][1] == 4  # a beat never sets it
    assert s.register(kind="start", configured=10)[3][1] == 4  # the same configuration as before: the operator's stays
    assert s.register(kind="start", configured=20)[3][1] == 20
    assert s.redis.hash("proxy:configured") == {"b1": "20"}


def test_scripts_reap(t):
    s = Scripts(t)
    assert s.reap("i2") == -3
    s.register(held=1)
    s.register(inst="i2", token=OTHER, held=4)
    assert s.reap("i2") == -1  # alive
    s.redis.cmd("DEL", "proxy:instance:i2:heartbeat")
    before = s.state()
    assert s.reap("i2", token=OTHER) == -3
    assert s.reap("i2", epoch=2) == -3
    assert s.reap("i2", fresh=60001) == -6  # the reaper's own heartbeat is not fresh
    assert s.state() == before
    listener = listen(s, "proxy:release:b1")
    assert s.reap("i2", fresh=50000) == 4
    assert listener.read() == ["message", "proxy:release:b1", "i2"]
    listener.close()
    assert s.redis.slots("b1") == 1
    assert s.redis.members("proxy:instances") == {"i1"}
    assert s.reap("i2") == 0  # again: nothing left


def test_scripts_audit(t):
    s = Scripts(t)
    assert s.audit() == -3
    s.register(held=2)
    s.register(inst="i2", token=OTHER, held=4)
    assert s.audit() == 0
    s.redis.cmd("DEL", "proxy:instance:i2:heartbeat")  # expired, not yet reaped: still counts
    for wrong, drift in ((9, 3), (1, 5), ("x", 6)):
        s.redis.cmd("SET", "proxy:bucket:b1:count", wrong)
        assert s.audit() == drift, wrong
        assert s.redis.slots("b1") == 6
    assert s.audit(epoch=2) == -3


def test_scripts_at_maxmemory(t):
    """All five work when Redis is full: nothing that gives slots back or keeps an instance alive may be refused."""
    s = Scripts(t)
    s.register(held=4)
    s.register(inst="i2", token=OTHER, held=3)
    s.redis.cmd("CONFIG", "SET", "maxmemory", 1)
    try:
        s.redis.cmd("SET", "x", 1)
        raise AssertionError("maxmemory is not in force")
    except RedisError as error:
        assert "OOM" in str(error)
    assert s.release(2) == [5, 5]
    assert s.acquire(3) == [6, 6, 10]
    assert s.register(held=2)[3] == [5, 10]
    s.redis.cmd("DEL", "proxy:instance:i2:heartbeat")
    assert s.reap("i2") == 3
    s.redis.cmd("DEL", "proxy:bucket:b1:count")
    assert s.audit() == 2
