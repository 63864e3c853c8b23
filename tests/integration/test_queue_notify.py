"""queue_notify: who waits for long with a request is told so, ahead of whatever the answer will be.

DESIGN.md section 7. The news is the beginning of the response: a packet of its own, without EOM.
"""

import os
import struct
import threading
import time

from harness import *
from harness.clients import CLIENTS
from harness.tds import *
from pooled import *
from test_session_cancel import assert_acknowledged
from test_standin import DRIVERS, assert_basic
from test_standin_protocol import assert_closed, numbers, running, took

TOLD = 50010
CACHE = os.environ.get("TDSBOUNCER_CACHE", os.path.join(CLIENTS, "..", "..", ".cache"))
TOKEN_ERROR, TOKEN_INFO, TOKEN_ENV, TOKEN_DONE = 0xAA, 0xAB, 0xE3, 0xFD
IN = "INSERT INTO dbo.kept VALUES (1)"
ASK = "SELECT 7 AS n"
REQUESTS = {
    "batch": lambda c, status: (PACKET_BATCH, batch_payload(ASK, **c.session.headers(status))),
    "rpc": lambda c, status: (PACKET_RPC, rpc_payload(10, [ASK], **c.session.headers(status))),
    "rpc by name": lambda c, status: (PACKET_RPC, rpc_payload("sp_executesql", [ASK], **c.session.headers(status))),
    "several packets": lambda c, status: (PACKET_BATCH, batch_payload(ASK + " --" + "x" * 20_000, **c.session.headers(status))),
}


def scene(t, server_is="announcing", bucket=None, encrypt="off", **proxy_keys):
    """A client that has the only server connection, and another that waits for one."""
    server, keys = server_and_clients(t, server_is)
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    entry = t.bucket("b1", server, 1, **{"health_probe": "off", **(bucket or {})})
    proxy = t.proxy([entry], proxy={"pool_mode": MODE, "health_check_interval": "1h", "queue_notify": "300ms", **proxy_keys})
    holder = t.client(proxy, **keys)
    holder.query(f"BEGIN TRAN; {IN}")
    client = t.client(proxy, **keys, encrypt=encrypt)  # answered from the record of the holder's login
    return server, proxy, holder, client


def let_go(holder):
    """The connection comes free."""
    if MODE == "session":
        holder.close()
    else:
        holder.query("ROLLBACK")


def peek(client):
    """(status, payload) of the packet that comes next. It stays unread."""
    session = client.session

    def packet_of_its_own():
        while len(session.plain) < 8 or len(session.plain) < struct.unpack_from(">H", session.plain, 2)[0]:
            yield from session.more()
    client.run(packet_of_its_own())
    kind, status, length = struct.unpack_from(">BBH", session.plain)
    assert kind == PACKET_RESPONSE and length <= session.packet_size
    return status, bytes(session.plain[8:length])


def assert_news(client):
    """What has come so far is a packet with the news, and nothing else."""
    status, payload = peek(client)
    news = Response(payload, client.session.tds)
    assert status == 0 and news.tokens == [TOKEN_INFO], (status, news.tokens)
    told, = news.infos
    assert (told.number, told.severity) == (TOLD, 0) and "still waiting" in told.text, told
    assert len(client.session.plain) == len(payload) + 8


def send(client, request="batch", status=0):
    client.run(client.session.send(*REQUESTS[request](client, status), status))


def assert_once(answer):
    assert [i.number for i in answer.infos].count(TOLD) == 1 and answer.tokens[0] == TOKEN_INFO, answer.tokens


def infos(answer):
    return [i.number for i in answer.infos]


@timeout(60)
@cases(server_is=SERVERS, request=list(REQUESTS), encrypt=["off", "full"])
def test_the_answer_follows_the_news(t, server_is, request, encrypt):
    """In the same message: told once, however long it takes; and again with the next request that waits."""
    if server_is == "TDS 7.1" and encrypt == "full":
        return  # its login has no PRELOGIN
    _, proxy, holder, client = scene(t, server_is, encrypt=encrypt)
    for _ in range(1 if MODE == "session" else 2):
        seconds, _ = took(lambda: (send(client, request), assert_news(client)))
        assert seconds >= 0.29, seconds
        time.sleep(0.7)  # it goes on waiting: nothing more is said
        assert_news(client)
        let_go(holder)
        answer = client.receive()
        assert_once(answer)
        assert answer.rows == [[7]] and not answer.errors and not answer.done_status & DONE_ERROR, answer.dones
        assert infos(client.ask("SELECT 1 AS n")) == [], "who does not wait is told nothing"
        if MODE == "transaction":
            holder.query(f"BEGIN TRAN; {IN}")
    assert proxy.metric("proxy_queue_length", bucket_id="b1") == 0


@timeout(60)
@cases(server_is=SERVERS)
def test_a_reset_is_acknowledged_behind_the_news(t, server_is):
    """The client's own reset: ENVCHANGE 18 is in the answer, ahead of all that comes from the request itself."""
    _, proxy, holder, client = scene(t, server_is)
    send(client, "batch", STATUS_RESET)
    assert_news(client)
    let_go(holder)
    answer = client.receive()
    assert_once(answer)
    assert answer.env_kinds()[0] == ENV_RESET and answer.env_kinds().count(ENV_RESET) == 1, answer.env
    assert answer.tokens[:2] == [TOKEN_INFO, TOKEN_ENV] and answer.rows == [[7]], answer.tokens
    assert client.query("SELECT @@TRANCOUNT").rows == [[0]]


@timeout(60)
@cases(server_is=SERVERS, request=list(REQUESTS))
def test_queue_timeout_behind_the_news(t, server_is, request):
    """The error ends the message that was begun; the session lives on."""
    _, proxy, holder, client = scene(t, server_is, {"queue_timeout": "800ms"})
    send(client, request)
    assert_news(client)
    answer = client.receive()
    assert answer.tokens == [TOKEN_INFO, TOKEN_ERROR, TOKEN_DONE] and numbers(answer) == [50004], answer.tokens
    assert answer.done_status == DONE_ERROR
    send(client, request)
    assert_news(client)
    assert numbers(client.receive()) == [50004]
    let_go(holder)
    assert client.query(ASK).rows == [[7]]


@timeout(60)
@cases(server_is=SERVERS, request=list(REQUESTS))
def test_attention_behind_the_news(t, server_is, request):
    """Taken back while it waits: the message that was begun ends, then comes the acknowledgement."""
    server, proxy, holder, client = scene(t, server_is)
    for _ in range(2):
        send(client, request)
        assert_news(client)
        client.attention()
        answer = client.receive()
        assert answer.tokens == [TOKEN_INFO, TOKEN_DONE] and answer.done_status == DONE_ERROR, answer.dones
        assert_acknowledged(client)
        proxy.wait_metric("proxy_queue_length", 0, bucket_id="b1")
    let_go(holder)
    assert client.query(ASK).rows == [[7]]
    assert server.stats()["attentions_total"] == 0


@timeout(60)
@cases(server_is=SERVERS)
def test_attention_once_it_runs(t, server_is):
    """Waited, was told, got its connection, and is cancelled there."""
    server, proxy, holder, client = scene(t, server_is)
    client.send("SELECT 7 AS n; WAITFOR DELAY '00:00:30'; SELECT 8")
    assert_news(client)
    let_go(holder)
    wait_until(lambda: running(server) == 1, 10, "it runs")
    client.attention()
    answer = client.receive()
    assert_once(answer)
    assert answer.done_status & DONE_ERROR and answer.rows == [[7]], answer.dones
    assert_acknowledged(client)
    assert client.query(ASK).rows == [[7]]


@timeout(60)
@cases(server_is=SERVERS)
def test_the_client_leaves_behind_the_news(t, server_is):
    server, proxy, holder, client = scene(t, server_is)
    client.send(IN)
    assert_news(client)
    client.close()
    proxy.wait_metric("proxy_queue_length", 0, bucket_id="b1")
    let_go(holder)
    with t.client(server) as direct:
        wait_until(lambda: direct.scalar("SELECT COUNT(*) FROM dbo.kept") == 0, 10, "nothing has run")
    with t.client(proxy) as other:
        assert other.query(ASK).rows == [[7]]


@timeout(60)
@cases(server_is=SERVERS)
def test_the_server_is_lost_behind_the_news(t, server_is):
    """While the request runs: 50003 ends the message that was begun, then the session ends."""
    server, proxy, holder, client = scene(t, server_is)
    client.send("WAITFOR DELAY '00:00:30'")
    assert_news(client)
    let_go(holder)
    wait_until(lambda: running(server) == 1, 10, "it runs")
    server.kill_all()
    answer = client.receive()
    assert answer.tokens == [TOKEN_INFO, TOKEN_ERROR, TOKEN_DONE] and numbers(answer) == [50003], answer.tokens
    assert_closed(client)


@timeout(60)
def test_shutdown_behind_the_news(t):
    _, proxy, holder, client = scene(t, shutdown_timeout="3s")
    client.send(ASK)
    assert_news(client)
    proxy.signal(15)
    answer = client.receive()
    assert answer.tokens == [TOKEN_INFO, TOKEN_ERROR, TOKEN_DONE] and numbers(answer) == [50008], answer.tokens
    assert_closed(client)
    holder.close()
    assert proxy.wait(20) == 0


@timeout(60)
def test_a_connection_that_cannot_be_had_behind_the_news(t):
    """A request that gets its slot and no connection for it."""
    server, proxy, holder, client = scene(t, "announcing", {"connection_timeout": "1s", "retry_backoff_max": "200ms"})
    client.send(ASK)
    assert_news(client)
    server.set("refuse", 1)
    server.kill_all()
    holder.close()
    answer = client.receive()
    assert_once(answer)
    assert numbers(answer) == [50003] and answer.tokens == [TOKEN_INFO, TOKEN_ERROR, TOKEN_DONE], answer.tokens
    server.set("refuse", 0)


@timeout(60)
def test_a_long_request_is_not_told(t):
    """Of which the proxy has read a part: nobody reads answers while still sending."""
    _, proxy, holder, client = scene(t)
    client.send(ASK + " --" + "x" * 200_000)
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    time.sleep(1)
    assert "client is told" not in proxy.log_text()
    let_go(holder)
    answer = client.receive()
    assert answer.rows == [[7]] and infos(answer) == []


@timeout(60)
def test_off(t):
    """The default."""
    _, proxy, holder, client = scene(t, queue_notify=None)
    client.send(ASK)
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    time.sleep(1)
    let_go(holder)
    answer = client.receive()
    assert answer.rows == [[7]] and infos(answer) == []


@timeout(60)
@cases(mode=[MODE, "passthrough"])
def test_never_during_a_login(t, mode):
    """However long it waits: its answer is that of the server."""
    server, _ = server_and_clients(t, "announcing")
    entry = t.bucket("b1", server, 1, health_probe="off")
    proxy = t.proxy([entry], proxy={"pool_mode": mode, "auth_cache_ttl": "0", "queue_notify": "100ms",
                                    "health_check_interval": "1h"})
    holder = t.client(proxy)
    holder.query("BEGIN TRAN; SELECT 1 AS n")
    late = t.client(proxy, connect=False)
    answer = []
    thread = threading.Thread(target=lambda: answer.append(late.run(late.session.login())))
    thread.start()
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    time.sleep(1)
    holder.close()
    thread.join(20)
    assert answer and TOLD not in infos(answer[0]) and not answer[0].errors, answer
    assert late.query(ASK).rows == [[7]] and "client is told" not in proxy.log_text()


class Busy:
    """Clients that have the only server connection most of the time, a quarter of a second each."""

    def __init__(self, t, proxy, count):
        self.stopped, self.error = False, None
        self.clients = [t.client(proxy, user="busy", password="secret") for _ in range(count)]
        self.threads = [threading.Thread(target=self._run, args=(client,)) for client in self.clients]
        for thread in self.threads:
            thread.start()

    def _run(self, client):
        try:
            while not self.stopped:
                answer = client.ask("WAITFOR DELAY '00:00:00.250'; SELECT 1 AS n")
                assert answer.rows == [[1]] and not answer.errors, answer.errors
        except Exception as error:
            self.error = error

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(30)
        assert self.error is None, self.error


def busy_proxy(t):
    """A proxy whose only server connection is mostly taken; its queue is told of at the first look."""
    server = t.seed(t.sqlserver())
    server.login("add", "busy", "secret")
    entry = t.bucket("b1", server, 1, health_probe="off")
    proxy = t.proxy([entry], proxy={"pool_mode": "transaction", "health_check_interval": "1h", "queue_notify": "50ms"})
    t.client(proxy).close()  # a record for its login
    return server, proxy, Busy(t, proxy, 1)


@timeout(120)
@cases(driver=[name for name in DRIVERS if name not in ("tsql", "bsqldb")] + ["mssql-python"])
def test_drivers_take_the_news(t, driver):
    """They read their answers as if nothing had been said: queries, transactions, prepared statements, errors."""
    _, proxy, busy = busy_proxy(t)
    for encrypt in ("off", "full"):
        if encrypt in capabilities()[driver]["encrypt"]:
            assert_basic(t.driver(driver, proxy, "basic", encrypt, login_timeout=60), f"{driver} {encrypt}")
    busy.stop()
    assert proxy.log_text().count("client is told") >= 2, "it was told"


TOOLS = {
    "tsql": lambda port, user, password: (["tsql", "-H", "127.0.0.1", "-p", port, "-U", user, "-P", password],
                                          "SELECT 40 + 2\ngo\nexit\n"),
    "sqlcmd": lambda port, user, password: ([os.path.join(CACHE, "clients", "sqlcmd", "sqlcmd"), "-S", f"127.0.0.1,{port}",
                                             "-U", user, "-P", password, "-C", "-Q", "SELECT 40 + 2"], ""),
}


@timeout(120)
@cases(tool=list(TOOLS))
def test_tools_show_the_news(t, tool):
    """Who sits at a terminal reads it, and then the answer."""
    server, proxy, busy = busy_proxy(t)
    argv, text = TOOLS[tool](proxy.port, server.user, server.password)
    told = 0
    for _ in range(5):
        run = t.run(argv, input=text, env={**os.environ, "TDSVER": "7.4"})
        assert run.returncode == 0 and "42" in run.stdout, run
        told += (run.stdout + run.stderr).count("still waiting")
    busy.stop()
    assert told >= 1, run
