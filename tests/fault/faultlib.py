"""What the fault tests of the coordinator share: agents, the tally, a relay that cuts connections, one test's context."""

import json
import mmap
import os
import random
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness.ports import free_port
from harness.process import Process
from harness.redis import Redis
from harness.waiting import wait_until

LIMIT = 50
INTERVAL, TTL = 300, 1000  # ms
SETTLE = (INTERVAL + 2000) / 1000  # s


class Tally:
    """The file in which all agents count their slots atomically (coord_agent.cpp): total and true peak per bucket."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.truncate(4 * (4 + 4 + 1) + 64 * 4 * 5)
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 0)

    def _get(self, index):
        return struct.unpack_from("i", self.map, 4 * index)[0]

    def total(self, bucket=0):
        return self._get(bucket)

    def peak(self, bucket=0):
        return self._get(4 + bucket)

    def grants(self):
        return self._get(8)

    def forget_peak(self, bucket=0):
        struct.pack_into("i", self.map, 4 * (4 + bucket), self.total(bucket))

    def close(self):
        self.map.close()
        self.file.close()


class Agent(Process):
    """One coord-agent. Events it prints are collected; `hold`, `churn` ... are its lines."""

    def __init__(self, case, name, identity, address, buckets, options):
        argv = [case.agent_path, "--id", identity, "--redis", address, "--tally", case.tally.path, "--interval", INTERVAL,
                "--ttl", TTL, "--read-timeout", 400, "--dial-timeout", 1000, "--log", "debug"]
        for bucket in buckets:
            argv += ["--bucket", bucket]
        super().__init__(name, argv + list(options), os.path.join(case.folder, name + ".log"))
        self.case = case
        self.events = []
        self.more = threading.Condition()

    def spawn(self):
        self.killed = False
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        threading.Thread(target=self._read, args=(self.child.stdout,), daemon=True).start()
        return self

    def _read(self, stdout):
        for line in stdout:
            with self.more:
                self.events.append(json.loads(line) if line.startswith("{") else line.rstrip())
                self.more.notify_all()

    def line(self, text):
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()

    def ask(self, text, event, timeout=5):
        with self.more:
            start = len(self.events)
        self.line(text)
        return self.wait_event(event, timeout, start)

    def wait_event(self, event, timeout=5, start=0):
        def found():
            return next((e for e in self.events[start:] if isinstance(e, dict) and e["event"] == event), None)

        with self.more:
            if not self.more.wait_for(found, timeout):
                raise AssertionError(f"{self.name}: no {event!r} within {timeout} s")
            return found()

    def modes(self):
        return [e["to"] for e in self.events if isinstance(e, dict) and e["event"] == "mode"]

    def status(self):
        return self.ask("status", "status")

    def bucket(self, index=0):
        return self.status()["buckets"][index]

    def held(self, index=0):
        return self.bucket(index)["held"]

    def wait_mode(self, mode, timeout=10):
        wait_until(lambda: self.status()["mode"] == mode, timeout, f"{self.name} in mode {mode}")
        return self

    def wait_held(self, number, timeout=10, bucket=0):
        wait_until(lambda: self.held(bucket) == number, timeout, f"{self.name} holds {number}")

    def hold(self, number, bucket=0, obey=True):
        self.line(f"obey {bucket} {int(obey)}")
        self.line(f"hold {bucket} {number}")

    def metrics(self):
        with self.more:
            start = len(self.events)
        self.ask("metrics 0", "metrics")
        return "\n".join(e for e in self.events[start:] if isinstance(e, str))

    def bury(self):
        """After kill(): its connections are gone, so the tally must not count them any more."""
        subprocess.run([self.case.agent_path, "--bury", self.case.tally.path, str(self.pid)], check=True)

    def terminate(self):
        if self.child is None or self.killed:
            return None
        if self.paused:
            self.resume()
        if self.running:
            self.child.stdin.close()  # the agent stops at the end of its input
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(5)
                return f"{self.name} did not stop"
        if self.child.returncode != 0:
            return f"{self.name} ended with status {self.child.returncode}"
        return self.sanitizer_report()


class Link:
    """One connection through the relay."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.sent = b""  # everything the client said
        self.replies = b""  # everything the server said
        self.held = None  # bytes kept back from the server, when holding


class Relay:
    """A TCP relay in front of Redis. `on_reply(link, data)` returning "cut" closes both sides without handing it on."""

    def __init__(self, port, on_reply=None):
        self.target, self.on_reply = port, on_reply
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.addr = f"127.0.0.1:{self.port}"
        self.links = []
        self.refuse = False  # new connections are closed at once
        self.lock = threading.Lock()
        self.wake, self.waker = socket.socketpair()
        self.ended = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _accept(self):
        client, _ = self.listener.accept()
        if self.refuse:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=1)
        except OSError:
            client.close()
            return
        self.links.append(Link(client, server))

    def _drop(self, link):
        link.client.close()
        link.server.close()
        self.links.remove(link)

    def _pump(self, link, ready):
        try:
            if link.client in ready:
                data = link.client.recv(65536)
                if not data and link.held is None:
                    return self._drop(link)
                if not data:  # the agent has given it up, its bytes are still on the way
                    link.client.shutdown(socket.SHUT_RD)
                    link.gone = True
                    return None
                link.sent += data
                if link.held is not None:
                    link.held += data
                else:
                    link.server.sendall(data)
            if link.server in ready:
                data = link.server.recv(65536)
                if not data:
                    return self._drop(link)
                link.replies += data
                if self.on_reply and self.on_reply(link, data) == "cut":
                    return self._drop(link)
                if not getattr(link, "gone", False):
                    link.client.sendall(data)
        except OSError:
            if link.held is None:
                self._drop(link)
        return None

    def _run(self):
        while not self.ended:
            with self.lock:
                watched = [self.listener, self.wake]
                for link in self.links:
                    watched += [link.server] if getattr(link, "gone", False) else [link.client, link.server]
            ready, _, _ = select.select(watched, [], [])
            with self.lock:
                if self.listener in ready:
                    self._accept()
                if self.wake in ready:
                    self.wake.recv(64)
                for link in list(self.links):
                    if link.client in ready or link.server in ready:
                        self._pump(link, ready)

    def hold_all(self):
        """From now on nothing that the clients say on the present connections reaches Redis. Returns those links."""
        with self.lock:
            for link in self.links:
                link.held = b""
            return list(self.links)

    def release_all(self):
        """Ends hold_all and `refuse`: what was held goes on its way."""
        with self.lock:
            self.refuse = False
            for link in self.links:
                if link.held is not None:
                    data, link.held = link.held, None
                    link.server.sendall(data)
        self.waker.send(b"x")

    def deliver(self, link):
        with self.lock:
            data, link.held, link.replies = link.held, None, b""
            link.gone = True
            link.server.sendall(data)
        self.waker.send(b"x")
        return data

    def close(self):
        self.ended = True
        self.waker.send(b"x")
        self.thread.join(5)
        for link in self.links:
            link.client.close()
            link.server.close()
        for s in (self.listener, self.wake, self.waker):
            s.close()


class Sentinel(Redis):
    """A Sentinel that watches one master under the name `main`."""

    def __init__(self, name, folder, master_port):
        super().__init__(name, folder)
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(f"port {self.port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {master_port} 1\n"
                       "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n")
        self.argv = ["redis-server", self.config_path, "--sentinel"]


class Case:
    """One test: a folder, a tally, and everything started through it, which is stopped and judged at the end."""

    def __init__(self, folder, agent_path):
        self.folder, self.agent_path = folder, agent_path
        self.tally = Tally(os.path.join(folder, "tally"))
        self.started = []  # to be ended in reverse
        self.server = None

    def redis(self, settings=None, name="redis", **more):
        server = Redis(name, self.folder, settings=settings, **more)
        self.started.append(server)
        server.start()
        self.server = self.server or server
        return server

    def sentinel(self, master):
        sentinel = Sentinel("sentinel", self.folder, master.port)
        self.started.append(sentinel)
        return sentinel.start()

    def relay(self, port, on_reply=None):
        relay = Relay(port, on_reply)
        self.started.append(relay)
        return relay

    def agent(self, name, *options, identity=None, address=None, buckets=(f"b1:{LIMIT}",), wait="normal"):
        agent = Agent(self, name, identity or name, address or self.server.addr, buckets, options)
        self.started.append(agent)
        agent.spawn()
        if wait:
            agent.wait_mode(wait)
        return agent

    def agents(self, count, *options, **more):
        """Started at once, so that they settle together."""
        made = [self.agent(f"a{i + 1}", *options, wait=None, **more) for i in range(count)]
        for agent in made:
            agent.wait_mode("normal")
        return made

    def exact(self, *agents, timeout=5, bucket=0, name="b1"):
        """Redis' count, each instance's number in Redis, what each agent holds and the tally all agree."""

        def agree():
            held = {a.status()["id"]: a.held(bucket) for a in agents}
            for identity, number in held.items():
                assert self.server.instance_slots(identity, name) == number, (identity, number)
            count = self.server.slots(name)
            assert count == sum(held.values()), f"count {count}, held {held}"
            assert count == self.tally.total(bucket), f"count {count}, tally {self.tally.total(bucket)}"
            return True

        wait_until(agree, timeout, "exact counts")

    def never_above(self, limit=LIMIT, bucket=0):
        peak = self.tally.peak(bucket)
        assert peak <= limit, f"{peak} slots were held at once, limit {limit}"

    def finish(self, failed):
        complaints = []
        for thing in reversed(self.started):
            if isinstance(thing, Process):
                thing.kill() if failed and not isinstance(thing, Agent) else None
                complaints.append(thing.terminate())
            else:
                thing.close()
        self.tally.close()
        return [c for c in complaints if c and "redis" not in c]
