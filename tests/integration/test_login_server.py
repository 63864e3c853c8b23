"""The proxy's own logins at a server: retries, routing, a storm of wrong passwords, packets of the login that come late."""

import random
import socket
import threading

from harness import *
from harness.tds import *
from test_login import answer_tokens, session_proxy
from test_standin_login import TYPE_READ_ONLY, Login, login, login7, outcome, security_token

HOPS = 10


# ---------------------------------------------------------------------------------------------------- retries


@cases(number=[40613, 17809])
def test_a_transient_refusal_is_tried_again(t, number):
    """The client sees nothing of it."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    server.set("login-error", number)
    server.set("login-error-count", 2)
    assert t.client(proxy).scalar("SELECT 41 + 1") == 42
    assert server.stats()["login_failures_total"] == 2 and server.peak() == 1


@cases(number=[18456, 4060])
def test_a_permanent_refusal_is_not_tried_again(t, number):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    server.set("login-error", number)
    server.set("login-error-count", 1)
    assert try_login(proxy.port, server.user, server.password, server.database).number == number
    assert server.stats()["login_failures_total"] == 1
    assert t.client(proxy).scalar("SELECT 1") == 1


def test_a_refusal_that_does_not_pass_is_told(t):
    """After connection_timeout the client gets the server's own error: drivers know by its number when to come back.

    It says something about a database or a moment, not that the server is gone: nobody else is turned away for it."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, bucket={"connection_timeout": "1s"})
    keys = {"user": server.user, "password": server.password, "database": server.database}
    server.set("login-error", 40613)
    direct = answer_tokens(server, **keys)
    failures = server.stats()["login_failures_total"]
    assert answer_tokens(proxy, **keys) == direct
    assert server.stats()["login_failures_total"] - failures >= 2, "it was tried again meanwhile"
    server.set("login-error", 0)
    assert try_login(proxy.port, **keys) is None
    assert "circuit open" not in proxy.log_text()
    wait_until(lambda: server.connections() == 1, 10, "no connection but the pooled one")


def test_a_login_that_the_server_hangs_up_on(t):
    """Three tries, then 50003. The server has answered PRELOGIN, so the login is to blame, and others are served."""
    server = t.sqlserver(args=["--fedauth-token", "x"])
    proxy = session_proxy(t, server, bucket={"retry_backoff_min": "10ms"})
    server.set("drop-at-login", 1)
    before = server.stats()["prelogins_total"]
    refused = try_login(proxy.port, server.user, server.password, server.database)
    assert (refused.number, refused.severity) == (50003, 20)
    assert server.stats()["prelogins_total"] - before == 3
    for _ in range(3):
        assert try_login(proxy.port, server.user, server.password, server.database).number == 50003
    server.set("drop-at-login", 0)
    assert try_login(proxy.port, server.user, server.password, server.database) is None
    assert "circuit open" not in proxy.log_text()
    wait_until(lambda: server.connections() == 1, 10, "no connection but the pooled one")


# ---------------------------------------------------------------------------------------------------- storm


@timeout(120)
def test_storm_of_wrong_passwords(t):
    """max_concurrent_logins is all that it gets of the bucket's connections; other tenants log in and work meanwhile."""
    server = t.sqlserver()
    server.login("add", "tenant", "good")
    server.login("add", "newcomer", "good")
    proxy = session_proxy(t, server, bucket={"max_connections": 20, "max_concurrent_logins": 3})
    tenant = {"user": "tenant", "password": "good"}
    t.client(proxy, **tenant).close()
    wait_until(lambda: proxy.metric("proxy_connections_idle", bucket_id="b1") == 1, 10, "the tenant's connection is idle")
    server.set("delay-login", 20)
    server.reset_peak()
    storm = t.crowd(proxy, password="wrong", login_timeout=100)
    storm.open(200)
    wait_until(lambda: server.stats()["login_failures_total"] > 5, 20, "the storm")
    for _ in range(20):
        client = t.client(proxy, **tenant)
        assert client.scalar("SELECT SUSER_SNAME()") == "tenant"
        client.close()
    assert storm.count(CONNECTING) > 50, f"the storm should not be over: {storm.summary()}"
    assert t.client(proxy, user="newcomer", password="good").scalar("SELECT SUSER_SNAME()") == "newcomer"
    storm.wait_all(90)
    assert storm.errors() == {18456: 200}, storm.summary()
    assert server.stats()["login_failures_total"] == 200
    assert server.peak() <= 3 + 2, "the storm's three, the tenant's, the newcomer's"


def test_a_login_counts_until_its_connection_is_closed(t):
    """A server that is slow to hang up after a refusal: the next login waits for that, lest more than the limit are open."""
    server = t.sqlserver()
    refusing = SlowToHangUp(t, server)
    bucket = t.bucket("b1", refusing, max_connections=10, max_concurrent_logins=2, health_probe="off", server_tls="disable")
    proxy = t.proxy([bucket], proxy={"pool_mode": "session", "release_timeout": "30s"})
    crowd = t.crowd(proxy, password="wrong")
    crowd.open(6)
    for refused in (2, 4, 6):
        crowd.wait_state(REFUSED, refused)
        wait_until(lambda: refusing.open_now() == 2, 10, "two that are refused and not hung up on")
        assert crowd.count(REFUSED) == refused and refusing.open_now() == 2
        refusing.hang_up()
    assert crowd.errors() == {18456: 6} and refusing.peak == 2


class SlowToHangUp:
    """A relay in front of a server that keeps the server's FIN to itself until hang_up()."""

    def __init__(self, t, server):
        self.server, self.host, self.user, self.password, self.database = (
            server, "127.0.0.1", server.user, server.password, server.database)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open, self.peak, self.lock = [], 0, threading.Lock()
        t.closers.append(self.listener.close)
        t.closers.append(self.hang_up)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            target = socket.create_connection(("127.0.0.1", self.server.port))
            with self.lock:
                self.open.append(client)
                self.peak = max(self.peak, len(self.open))
            for source, sink in ((client, target), (target, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def open_now(self):
        with self.lock:
            return len(self.open)

    def hang_up(self):
        with self.lock:
            for client in self.open:
                client.shutdown(socket.SHUT_RDWR)
            self.open.clear()


def test_waiting_for_max_concurrent_logins(t):
    """Like any wait for a slot: 50004 after queue_timeout, 50005 when max_queue_size wait already."""
    server = t.sqlserver()
    bucket = {"max_concurrent_logins": 1, "max_queue_size": 1, "queue_timeout": "1s"}
    proxy = session_proxy(t, server, bucket=bucket)
    server.set("delay-login", 3000)
    slow = t.crowd(proxy, password="wrong")
    slow.open(1)
    wait_until(lambda: server.connections() == 1, 10, "the one that is being checked")
    waiting = slow.open(1)
    wait_until(lambda: proxy.metric("proxy_client_connections", state="admission") == 1, 10, "one that waits")
    assert try_login(proxy.port, server.user, server.password, server.database).number == 50005
    slow.wait_all(20, members=waiting)
    assert waiting[0].error_number == 50004
    slow.wait_all(20)
    assert slow.errors() == {50004: 1, 18456: 1}
    server.set("delay-login", 0)
    assert try_login(proxy.port, server.user, server.password, server.database) is None


def test_many_logins_wait_when_the_server_goes_down(t):
    """All of them are answered, one after the other: what each sets off must not nest in the one before."""
    server = t.sqlserver()
    bucket = {"max_concurrent_logins": 1, "max_queue_size": 0, "connection_timeout": "2s", "retry_backoff_min": "10ms",
              "retry_backoff_max": "20ms", "queue_timeout": "60s"}
    proxy = session_proxy(t, server, bucket=bucket)
    server.set("delay-login", 60000)
    crowd = t.crowd(proxy, password="wrong")
    crowd.open(600)
    wait_until(lambda: proxy.metric("proxy_client_connections", state="admission") == 599, 30, "599 that wait for one")
    server.kill()
    crowd.wait_all(40)
    assert crowd.errors() == {50003: 600}, crowd.summary()


# ---------------------------------------------------------------------------------------------------- routing


def test_routing_is_followed(t):
    """The client never learns of it; the proxy goes there with the one slot that it has."""
    gateway = t.sqlserver(args=["--server-name", "gateway"])
    replica = t.sqlserver(args=["--server-name", "replica"])
    gateway.set("route", f"127.0.0.1:{replica.port}")
    proxy = session_proxy(t, gateway, bucket={"max_connections": 1, "queue_timeout": "20s"})
    keys = {"user": gateway.user, "password": gateway.password, "database": gateway.database}
    direct = answer_tokens(replica, **keys)
    assert answer_tokens(proxy, **keys) == direct, "and no ENVCHANGE 20 or 21"
    crowd = t.crowd(proxy, query="SELECT @@SERVERNAME")
    crowd.open(5, hold=0)
    crowd.wait_all()
    assert not crowd.errors() and [m.rows for m in crowd.members] == [[["replica"]]] * 5, crowd.summary()
    assert gateway.peak() == replica.peak() == 1
    assert gateway.connections() == 0 and gateway.stats()["logins_routed_total"] >= 1


def test_routing_never_takes_a_second_slot(t):
    """While many are sent on at once: the connection that said so is closed by both sides before the next begins."""
    gateway, replica = t.sqlserver(), t.sqlserver()
    gateway.set("route", f"127.0.0.1:{replica.port}")
    redis = t.redis()
    bucket = t.bucket("b1", gateway, max_connections=3, max_concurrent_logins=10, health_probe="off", queue_timeout="20s")
    proxy = t.proxy([bucket], redis=redis, proxy={"pool_mode": "session", "auth_cache_ttl": "0"})
    proxy.wait_ready_to_serve()
    crowd = t.crowd(proxy)
    crowd.open(30, hold=0)
    worst = [0]

    def over():
        worst[0] = max(worst[0], redis.slots("b1"))
        return crowd.count(CONNECTING) + crowd.count(HELD) == 0

    wait_until(over, 40, crowd.summary)
    assert not crowd.errors(), crowd.summary()
    assert worst[0] <= 3 and gateway.peak() <= 3 and replica.peak() <= 3
    assert gateway.stats()["logins_routed_total"] == 30


def test_servers_that_route_in_a_circle(t):
    """After ten hops: 50003, and nothing is left of it."""
    one, two = t.sqlserver(), t.sqlserver()
    one.set("route", f"127.0.0.1:{two.port}")
    two.set("route", f"localhost:{one.port}")
    proxy = session_proxy(t, one)
    refused = try_login(proxy.port, one.user, one.password, one.database)
    assert (refused.number, refused.severity) == (50003, 20)
    assert "routed too often" in proxy.log_text()
    assert sum(server.stats()["logins_routed_total"] for server in (one, two)) == HOPS + 1
    wait_until(lambda: one.connections() + two.connections() == 0, 10, "no connection is left")
    one.set("route", "off")
    assert t.client(proxy).scalar("SELECT 1") == 1, "the next login begins at the bucket's own server again"


def test_routing_to_nowhere(t):
    """The address is tried until connection_timeout; the bucket's own server is not held to be down for it."""
    gateway = t.sqlserver()
    proxy = session_proxy(t, gateway, bucket={"connection_timeout": "2s"})
    gateway.set("route", f"127.0.0.1:{free_port()}")
    assert try_login(proxy.port, gateway.user, gateway.password, gateway.database).number == 50003
    gateway.set("route", "off")
    assert try_login(proxy.port, gateway.user, gateway.password, gateway.database) is None


def test_read_only_intent_is_routed(t):
    """An availability group's listener sends readers on, and nobody else; the two never share connections."""
    listener = t.sqlserver(args=["--server-name", "primary", "--route-read-only"])
    secondary = t.sqlserver(args=["--server-name", "secondary"])
    listener.set("route", f"127.0.0.1:{secondary.port}")
    proxy = session_proxy(t, listener)
    keys = {"user": listener.user, "password": listener.password, "database": listener.database}
    for _ in range(2):
        for flags, expected in (((0xE0, 3, 0, 0), "primary"), ((0xE0, 3, TYPE_READ_ONLY, 0), "secondary")):
            answer, one = login(proxy, flags=flags, **keys)
            assert answer.loginack and one.client.scalar("SELECT @@SERVERNAME") == expected
            one.close()


# ---------------------------------------------------------------------------------------------------- odd clients


def test_mutated_logins(t):
    """Whatever a LOGIN7 holds: an answer or a closed connection; no bucket goes down for it and nobody else notices."""
    server = t.sqlserver(args=["--fedauth-token", "x"])
    server.login("add", "tenant", "good")
    keys = {"retry_backoff_min": "1ms", "retry_backoff_max": "2ms", "max_concurrent_logins": 2, "max_connections": 4}
    proxy = session_proxy(t, server, bucket=keys, auth_cache_ttl="0")
    chance = random.Random(11)
    good = [dict(user=server.user, password=server.password, database=server.database, new_password=server.password,
                 features=[(0x0A, b"\1"), (0x04, b"\1")]),
            dict(user=server.user, password=server.password, database=server.database, language="Deutsch"),
            dict(user="", sspi=b"SIN1app", long_sspi=True), dict(user="", features=security_token("x", 0))]
    answers = 0
    for number in range(300):
        payload = bytearray(login7(**chance.choice(good)))
        for _ in range(chance.randrange(1, 4)):
            payload[chance.randrange(4, len(payload))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        one = Login(proxy)
        try:
            one.send(PACKET_LOGIN7, bytes(payload))
            one.receive_raw()
            answers += 1
        except (TdsClosed, OSError):
            pass
        one.close()
        if number % 50 == 0:
            assert try_login(proxy.port, "tenant", "good", server.database) is None
    assert answers > 100, answers
    assert "circuit open" not in proxy.log_text()


# ---------------------------------------------------------------------------------------------------- clients that leave


def test_clients_that_vanish_during_their_login(t):
    """Their logins end with them: no slot, no place among max_concurrent_logins stays taken."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, bucket={"max_concurrent_logins": 2})
    server.set("delay-login", 300)
    gone = [Login(proxy, user=server.user, password="wrong", database=server.database) for _ in range(8)]
    wait_until(lambda: server.connections() == 2, 10, "two logins under way")
    for one in gone:
        one.close()
    assert outcome(proxy, user=server.user, password=server.password, database=server.database) == "ok"
    wait_until(lambda: server.connections() == 1, 10, "one pooled connection")
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")


def test_a_wrong_password_of_the_probe_shuts_nobody_out(t):
    """health_probe: login with a password that has changed: /health tells it, clients with theirs are served all the same."""
    server = t.sqlserver()
    server.login("add", "probe", "old")
    bucket = t.bucket("b1", server, max_connections=5, username="probe", password="old", health_probe="login")
    proxy = t.proxy([bucket], proxy={"pool_mode": "session", "health_check_interval": "200ms", "auth_cache_ttl": "0"})
    wait_until(lambda: proxy.component("sqlserver-b1")["status"] == "healthy", 10, "a probe that logged in")
    server.login("password", "probe", "new")
    wait_until(lambda: "login refused" in proxy.component("sqlserver-b1")["message"], 10, "the probe's refusal in /health")
    client = t.client(proxy)
    assert client.scalar("SELECT 1") == 1
    client.close()
    holds_for(lambda: try_login(proxy.port, server.user, server.password, server.database) is None, 1.0, "clients are let in")
