"""A restart that nobody notices: two processes on one port, processes behind HAProxy one after another, sockets of systemd."""

import os
import signal
import socket
import threading

from harness import *
from harness.ports import free_port
from harness.tds import TdsClient


class Bank:
    """Clients that move money between two accounts in transactions, over connections that they keep. An error counts only
    if it comes between the first statement of a transaction and the answer to its COMMIT: before that a new connection hides it."""

    def __init__(self, t, server, port, clients):
        self.open = lambda: TdsClient(port, user=server.user, password=server.password, database=server.database)
        with t.client(server) as direct:
            direct.query("CREATE TABLE dbo.moves (client int, n int)")
        self.server, self.context, self.ended = server, t, threading.Event()
        self.done, self.lost, self.again = [0] * clients, [], [0] * clients
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]
        for thread in self.threads:
            thread.start()
        t.closers.append(self.stop)

    def _begin(self, number, client):
        """The client, perhaps a new one, in a transaction."""
        while not self.ended.is_set():
            try:
                client = client or self.open()
                client.query("BEGIN TRAN")
                return client
            except Exception:
                self.again[number] += 1
                client = None
                self.ended.wait(0.02)
        return client

    def _run(self, number):
        client = None
        while not self.ended.is_set():
            client = self._begin(number, client)
            if self.ended.is_set():
                break
            try:
                client.query(f"INSERT INTO dbo.moves VALUES ({number}, {self.done[number]})")
                client.query("COMMIT")
                self.done[number] += 1
            except Exception as error:
                self.lost.append((number, error))
                client = None
        if client:
            client.close()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)

    def check(self):
        """Every transaction that was answered is there, once."""
        self.stop()
        assert not self.lost, f"transactions that ended in an error: {self.lost}"
        with self.context.client(self.server) as direct:
            rows = [tuple(row) for row in direct.query("SELECT client, n FROM dbo.moves ORDER BY client, n").rows]
        assert rows == [(c, n) for c, done in enumerate(self.done) for n in range(done)]
        assert min(self.done) > 0


def bucket_of(t, server):
    return t.bucket("b1", server, 6, health_probe="off", queue_timeout="30s")


@timeout(120)
@cases(mode=["transaction", "session"])
def test_rolling_restart_behind_haproxy(t, mode):
    """Three proxies are restarted one after another while transactions go on through HAProxy: none is lost, none is done twice."""
    redis, server = t.redis(), t.sqlserver()
    keys = {"redis": redis, "proxy": {"pool_mode": mode, "shutdown_timeout": "20s", "health_check_interval": "1h"}}
    proxies = [t.proxy([bucket_of(t, server)], **keys) for _ in range(3)]
    for proxy in proxies:
        proxy.wait_ready_to_serve()
    lb = t.haproxy(proxies)
    for proxy in proxies:
        lb.wait_state(proxy.name, "UP")
    bank = Bank(t, server, lb.port, 6)
    wait_until(lambda: min(bank.done) > 2, 20, "transactions go through")
    for proxy in proxies:
        before = sum(bank.done)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait(30) == 0
        wait_until(lambda: sum(bank.done) > before + 5, 20, "they go on meanwhile")
        proxy.start()
        proxy.wait_ready_to_serve()
        lb.wait_state(proxy.name, "UP")
    wait_until(lambda: server.peak() <= 6, 1, "never more server connections than the limit")
    bank.check()
    print(f"    {mode}: {sum(bank.done)} transactions, {sum(bank.again)} connections made again")


@timeout(90)
def test_a_second_process_takes_over_the_port(t):
    """reuse_port: the new process is there before the old one goes; nobody finds the port closed."""
    redis, server = t.redis(), t.sqlserver()
    port = free_port()
    keys = {"redis": redis, "instance_id": "p",
            "proxy": {"pool_mode": "transaction", "reuse_port": True, "listen_port": port, "shutdown_timeout": "20s"}}
    old = t.proxy([bucket_of(t, server)], **keys)
    old.wait_ready_to_serve()
    bank = Bank(t, server, port, 6)
    wait_until(lambda: min(bank.done) > 2, 20, "transactions go through")
    new = t.proxy([bucket_of(t, server)], **keys)
    new.wait_ready_to_serve()
    assert redis.members("proxy:instances") == {"p", "p.2"}
    old.signal(signal.SIGTERM)
    assert old.wait(30) == 0
    before = list(bank.done)
    wait_until(lambda: all(now > then + 2 for now, then in zip(bank.done, before)), 20, "all go on with the new process")
    bank.check()
    assert redis.members("proxy:instances") == {"p.2"}


@timeout(60)
def test_sockets_and_watchdog_of_systemd(t):
    """The port is systemd's: what connects while no process is there waits for the next; systemd is told what it wants to know."""
    server = t.sqlserver()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(os.path.join(t.folder, "notify"))
    told.settimeout(20)
    # The shell gives the socket the number that systemd would, and itself as the process that it is for.
    script = f'exec 3<&{listener.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
    os.set_inheritable(listener.fileno(), True)
    proxy = t.proxy([bucket_of(t, server)], start=False, proxy={"pool_mode": "transaction", "listen_port": port},
                    env={"NOTIFY_SOCKET": os.path.join(t.folder, "notify"), "WATCHDOG_USEC": "200000"},
                    wrapper=["bash", "-c", script, "bash"])
    proxy.pass_fds = (listener.fileno(),)

    def hear(what):
        while True:
            message = told.recv(4096).decode()
            if message.startswith(what):
                return message

    early = socket.create_connection(("127.0.0.1", port))
    proxy.start(wait=False)
    hear("READY=1")
    early.close()
    assert t.client(proxy).scalar("SELECT 1") == 1
    hear("WATCHDOG=1"), hear("WATCHDOG=1")
    proxy.reload()
    assert "MONOTONIC_USEC=" in hear("RELOADING=1")
    hear("READY=1")
    proxy.signal(signal.SIGTERM)
    hear("STOPPING=1")
    assert proxy.wait(20) == 0
    late = socket.create_connection(("127.0.0.1", port))  # the port is still there
    late.close()
    listener.close()
    told.close()
