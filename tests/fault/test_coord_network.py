"""The coordinator behind bad networks and bad servers: lost replies, late commands, junk, failover."""

import os
import random
import re
import socket
import threading
import time

from faultlib import INTERVAL, LIMIT, SETTLE, TTL, free_port, wait_until

STRICT = ("--no-fallback",)


def test_a_thousand_lost_replies(t):
    """The connection is cut between command and reply, again and again: the script ran, nobody learns it."""
    t.redis()
    dice = random.Random(20261121)
    cuts = [0]
    cutting = threading.Event()

    def on_reply(link, _data):
        if not cutting.is_set() or b"EVALSHA" not in link.sent or dice.random() > 0.3:
            return "pass"
        cuts[0] += 1
        return "cut"

    relay = t.relay(t.server.port, on_reply)
    agents = t.agents(6, *STRICT, "--poll", 3, "--interval", 1000, "--ttl", 10000, address=relay.addr)
    for a in agents:
        a.line("churn 0 20")
    cutting.set()
    wait_until(lambda: cuts[0] >= 1000, 70, "a thousand cuts")
    cutting.clear()
    assert t.tally.grants() > 500, t.tally.grants()
    for a in agents:
        a.hold(7)
        a.wait_mode("normal")
    t.exact(*agents, timeout=5)
    assert t.server.slots("b1") == 42
    t.never_above()
    for a in agents:
        a.hold(0)
    t.exact(*agents)
    assert t.server.slots("b1") == 0


def test_late_commands_of_an_old_connection(t):
    """A connection that hangs keeps a heartbeat and an acquire; they arrive after a newer connection has registered."""
    t.redis()
    relay = t.relay(t.server.port)
    a = t.agent("a1", *STRICT, address=relay.addr)
    a.hold(20, obey=False)
    a.wait_held(20)
    t.exact(a)
    old = [link for link in relay.hold_all() if b"EVALSHA" in link.sent]
    assert len(old) == 1
    a.hold(21, obey=False)  # an acquire that gets stuck, and beats that say 20
    wait_until(lambda: old[0].held.count(b"EVALSHA") >= 2, 3, "commands are stuck")
    a.wait_held(21)  # by way of a new connection
    a.hold(30, obey=False)
    a.wait_held(30)
    before = t.server.cmd("GET", "proxy:instance:a1:heartbeat")
    relay.deliver(old[0])
    wait_until(lambda: old[0].replies.count(b":-3\r\n") >= 2, 3, "all late commands were refused")
    assert not re.search(rb"\*4\r\n:0\r\n", old[0].replies), "a late heartbeat was accepted"
    assert t.server.instance_slots("a1", "b1") == 30
    assert t.server.cmd("GET", "proxy:instance:a1:heartbeat") == before
    t.exact(a)


def test_nobody_is_reaped_right_after_a_stall(t):
    """All heartbeats have expired in a stall of Redis. One instance comes back a moment later than the others: it lives,
    and those who came first must have waited for it."""
    t.redis()
    relay = t.relay(t.server.port)
    made = [t.agent("late", *STRICT, address=relay.addr, wait=None)] + [t.agent(f"a{i}", *STRICT, wait=None) for i in (1, 2)]
    for a in made:
        a.wait_mode("normal")
    late, other, thirsty = made
    late.hold(25, obey=False)
    late.wait_held(25)
    other.hold(25, obey=False)
    other.wait_held(25)
    thirsty.hold(LIMIT)
    time.sleep(SETTLE)
    t.server.pause()
    relay.refuse = True
    relay.hold_all()
    time.sleep(2 * TTL / 1000)
    t.server.resume()
    for a in (other, thirsty):
        a.wait_mode("normal")
    time.sleep(1)  # no heartbeat of the late one for that long
    assert t.server.cmd("EXISTS", "proxy:instance:late:heartbeat") == 0
    assert "late" in t.server.members("proxy:instances")
    relay.release_all()
    late.wait_mode("normal")
    t.exact(*made)
    t.never_above()
    thirsty.hold(0)


def test_connection_drops_are_no_fallback(t):
    """One lost connection is replaced at once: no fallback, no slot lost."""
    t.redis()
    a = t.agent("a1")
    a.hold(10)
    a.wait_held(10)
    for _ in range(5):
        assert t.server.cmd("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") >= 1
        t.server.cmd("CLIENT", "KILL", "TYPE", "pubsub")
        time.sleep(0.2)
    a.hold(12)
    a.wait_held(12)
    assert "fallback" not in a.modes(), a.modes()
    t.exact(a)
    wait_until(lambda: "proxy:release:b1" in t.server.cmd("PUBSUB", "CHANNELS"), 3, "subscribed again")


class Junk:
    """A server that answers everybody with the same bytes, unasked."""

    def __init__(self, data):
        self.data = data
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addr = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.clients = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            while True:
                client, _ = self.listener.accept()
                client.sendall(self.data)
                self.clients.append(client)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for client in self.clients:
            client.close()


def test_servers_that_are_no_redis(t):
    pieces = (b"+hello\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"", b"-ERR max number of clients reached\r\n",
              b"+PONG\r\n" * 20, b"+PONG\r\n*4\r\n:0\r\n", b"+PONG\r\n" + b"$40\r\n" + b"a" * 40 + b"\r\n:1\r\n")
    agents = []
    for number, data in enumerate(pieces):
        junk = Junk(data)
        t.started.append(junk)
        agents.append(t.agent(f"a{number}", address=junk.addr, wait=None))
    for agent in agents:
        agent.wait_mode("fallback")
        agent.hold(3)
        agent.wait_held(3)
    time.sleep(1)
    assert all(a.running for a in agents)


def test_failover_by_sentinel(t):
    master = t.redis(name="redis-master")
    replica = t.redis({"replicaof": f"127.0.0.1 {master.port}"}, name="redis-replica")
    sentinel = t.sentinel(master)
    wait_until(lambda: "name=main,status=ok" in sentinel.cmd("INFO", "sentinel") and
               "slaves=1" in sentinel.cmd("INFO", "sentinel"), 15, "sentinel sees both")
    agents = [t.agent(f"a{i}", *STRICT, "--sentinel", sentinel.addr, "--master", "main", wait=None) for i in (1, 2)]
    for a in agents:
        a.wait_mode("normal")
    agents[0].hold(20, obey=False)
    agents[0].wait_held(20)
    agents[1].hold(LIMIT, obey=False)
    agents[1].wait_held(30)
    master.kill()
    t.server = replica
    for a in agents:
        a.wait_mode("fallback")
    for a in agents:
        a.wait_mode("normal", timeout=20)
    assert any("settling" in a.modes()[2:] for a in agents)
    t.exact(*agents)
    t.never_above()


def test_cluster(t):
    """Two cluster nodes; the configured one does not have the slot of `{proxy}` and says MOVED."""
    bus = free_port()
    one = t.redis({"cluster-enabled": "yes", "cluster-config-file": "one.nodes", "cluster-port": free_port()}, name="redis-one")
    two = t.redis({"cluster-enabled": "yes", "cluster-config-file": "two.nodes", "cluster-port": bus}, name="redis-two")
    slot = one.cmd("CLUSTER", "KEYSLOT", "{proxy}:instances")
    half = (0, 8191) if slot < 8192 else (8192, 16383)
    other = (8192, 16383) if slot < 8192 else (0, 8191)
    one.cmd("CLUSTER", "ADDSLOTSRANGE", *other)
    two.cmd("CLUSTER", "ADDSLOTSRANGE", *half)
    one.cmd("CLUSTER", "SET-CONFIG-EPOCH", 1)
    two.cmd("CLUSTER", "SET-CONFIG-EPOCH", 2)
    one.cmd("CLUSTER", "MEET", "127.0.0.1", two.port, bus)
    for node in (one, two):
        wait_until(lambda n=node: "cluster_state:ok" in n.cmd("CLUSTER", "INFO") and
                   "cluster_known_nodes:2" in n.cmd("CLUSTER", "INFO"), 15, "the cluster is up")
    agents = [t.agent(f"a{i}", "--prefix", "{proxy}", address=one.addr, wait=None) for i in (1, 2)]
    for a in agents:
        a.wait_mode("normal")
        a.hold(LIMIT)
    wait_until(lambda: t.tally.total() == LIMIT, 5, "all slots are used")
    wait_until(lambda: two.slots("b1", prefix="{proxy}") == LIMIT, 2)
    t.never_above()
    agents[0].kill()
    agents[0].bury()
    agents[1].wait_held(LIMIT, timeout=SETTLE + 5)
    t.never_above()
