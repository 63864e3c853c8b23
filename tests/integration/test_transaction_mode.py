"""Transaction mode: a server connection goes from client to client between requests, and each finds its own state on it.

DESIGN.md section 4: attach and detach, state that can be replayed, Reset, Last values; one test for each rule.
"""

import socket
import threading
import time

from harness import *
from harness.tds import *
from pooled import *
from test_pins import SETUP
from test_standin_protocol import assert_closed, drain, numbers, running

IGNORED = ("@@IDENTITY", "SCOPE_IDENTITY()", "@@ROWCOUNT", "@@ERROR", "prepared handles")  # tests of their own


def at_server(server, client=None):
    """The state of a session as the server holds it: that of a direct client, or of the proxy's only connection."""
    if client is None:
        [session] = server.sessions()
    state = server.state(client or session["spid"])
    return {name: value for name, value in state.items() if name not in IGNORED}


def difference_of(seen, expected):
    return {name: (seen.get(name), expected.get(name)) for name in {**seen, **expected} if seen.get(name) != expected.get(name)}


# ---------------------------------------------------------------------------------------------------- attach and detach


@timeout(60)
@cases(server_is=SERVERS)
def test_twenty_clients_on_one_connection(t, server_is):
    """Attached for a request, detached when its answer's last packet has been read."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    clients = [t.client(proxy, **keys) for _ in range(20)]
    for n, client in enumerate(clients * 3):
        assert client.query(f"SELECT {n}, DB_NAME()").rows == [[n, server.database]]
        if n % 13 == 0:
            wait_free(proxy, "between two requests")
    wait_idle(proxy, 1)
    assert server.peak() == 1 == server.stats()["logins_total"]
    got = proxy.metrics().sum("proxy_connections_total", bucket_id="b1", status="acquired")
    assert got >= 60, f"each of 60 requests acquires: {got}"


@timeout(60)
def test_one_client_keeps_nothing_while_it_thinks(t):
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    thinking, other = t.client(proxy, **keys), t.client(proxy, **keys)
    thinking.query("SELECT 1")
    holds_for(lambda: held(proxy) == (0, {}) and other.scalar("SELECT 2") == 2, 0.5, "served while another thinks")


@timeout(60)
def test_detached_when_the_answer_was_read_not_when_the_client_has_it(t):
    """A client that takes its answer slowly does not keep the server connection: the rest is in the proxy's buffer."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    slow, other = t.client(proxy, **keys), t.client(proxy, **keys)
    slow.send("SELECT REPLICATE(CAST('y' AS varchar(max)), 30000) AS t")  # fits between the socket and the high-water mark
    wait_free(proxy, "the server has said all")
    assert other.scalar("SELECT 1") == 1
    assert slow.receive().rows == [["y" * 30000]]


@timeout(60)
def test_a_request_gets_its_connection_when_it_is_there(t):
    """A client that sends its request byte by byte, or half of it, holds no server connection meanwhile."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    slow, other = t.client(proxy, **keys), t.client(proxy, **keys)
    raw = message(PACKET_BATCH, batch_payload("SELECT N'" + "s" * 9000 + "' AS t"))
    for at in range(0, len(raw), 4000):
        slow.socket.sendall(raw[at:at + 4000])
        if at + 4000 < len(raw):
            assert other.scalar("SELECT 1") == 1
            wait_free(proxy, "half a request holds nothing")
    assert slow.receive().rows == [["s" * 9000]]


@timeout(60)
def test_a_long_request_is_streamed(t):
    """More than 64 KiB: it attaches when so much is there, and the rest streams through."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    raw = message(PACKET_BATCH, batch_payload("SELECT LEN(N'" + "s" * 100_000 + "') AS n"))
    client.socket.sendall(raw[:-1000])
    wait_until(lambda: held(proxy)[0] == 1, 5, "attached for the part that is there")
    other.send("SELECT 1")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    client.socket.sendall(raw[-1000:])
    assert client.receive().rows == [[100_000]] and other.receive().rows == [[1]]
    wait_free(proxy, "in the end")


class InDribs:
    """A relay whose replies come in pieces of 700 bytes, each a moment after the one before."""

    def __init__(self, target):
        self.target, self.listener = target, socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            one, other = self.listener.accept()[0], socket.create_connection(("127.0.0.1", self.target))
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass, args=(one, other, 65536), daemon=True).start()
            threading.Thread(target=self._pass, args=(other, one, 700), daemon=True).start()

    def _pass(self, source, sink, size):
        while data := source.recv(size):
            sink.sendall(data)
            time.sleep(0.002)
        sink.shutdown(socket.SHUT_WR)


@timeout(60)
def test_packets_are_full_in_the_middle_of_an_answer(t):
    """python-tds takes what lies behind a short packet for the rest of a number. A server's own short one goes on at once."""
    server, keys = server_and_clients(t, "announcing")
    dribs = InDribs(server.port)
    entry = {**t.bucket("b1", server, 3, health_probe="off"), "port": dribs.port}
    client = t.client(t.proxy([entry], proxy={"pool_mode": MODE}), **keys)
    client.send("SELECT REPLICATE(CAST('y' AS varchar(max)), 30000) AS t")
    raw, sizes = b"", []
    while not sizes or not raw[sum(sizes[:-1]) + 1] & 1:
        start = sum(sizes)
        while len(raw) < start + 8 or len(raw) < start + int.from_bytes(raw[start + 2:start + 4], "big"):
            raw += client.socket.recv(65536)
        sizes.append(int.from_bytes(raw[start + 2:start + 4], "big"))
    assert len(sizes) > 5 and set(sizes[:-1]) == {4096}, sizes


@timeout(60)
def test_a_long_answer_is_streamed(t):
    """The client reads slowly: the server connection is held until the rest fits, and memory stays bounded."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    client = t.client(proxy, **keys)
    client.query("SELECT 1")
    before = proc_rss_kib(proxy.pid)
    client.send("WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9000) SELECT i, REPLICATE('y', 7000) FROM n "
                "OPTION (MAXRECURSION 0)")
    drain(client, 300_000)
    holds_for(lambda: held(proxy)[0] == 1, 0.3, "held while 60 MB wait for their client")
    assert "libasan" in t.run(["ldd", t.binary("tdsbouncer")]).stdout or proc_rss_kib(proxy.pid) - before < 20_000
    assert len(client.receive().rows) == 9000
    wait_free(proxy, "in the end")


@timeout(60)
def test_the_next_request_returns_home(t):
    """A client's next request goes where its last one was, while nobody else used that."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 4)
    clients = [t.client(proxy, **keys) for _ in range(4)]
    for client in clients:
        client.send("WAITFOR DELAY '00:00:00.300'")  # each opens one: the others are busy
    for client in clients:
        client.receive()
    homes = [client.scalar("SELECT @@SPID") for client in clients]
    assert len(set(homes)) == 4, homes
    for _ in range(5):
        assert [client.scalar("SELECT @@SPID") for client in clients] == homes


@timeout(60)
def test_others_take_what_is_longest_idle_for_its_home(t):
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 2)
    one, two, third = (t.client(proxy, **keys) for _ in range(3))
    one.send("WAITFOR DELAY '00:00:00.300'")
    second_home = two.scalar("SELECT @@SPID")
    one.receive()
    first_home = one.scalar("SELECT @@SPID")
    assert first_home != second_home
    assert two.scalar("SELECT @@SPID") == second_home  # so the first one's is idle for longer
    assert third.scalar("SELECT @@SPID") == first_home
    assert two.scalar("SELECT @@SPID") == second_home


@timeout(60)
def test_idle_connections_that_the_server_closes(t):
    """Any byte or FIN retires an idle connection: the next request finds another, and nobody notices."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 2)
    client = t.client(proxy, **keys)
    client.query("SET DATEFIRST 3")
    for _ in range(3):
        wait_idle(proxy, 1)
        server.kill_all()
        wait_idle(proxy, 0)
        assert client.query("SELECT CAST(@@DATEFIRST AS int)").rows == [[3]], "its state is the proxy's to remember"
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="server_lost") == 0


# ---------------------------------------------------------------------------------------------------- state is replayed


STATES = {
    "nothing": [],
    "database": [f"USE {OTHER}"],
    "language": ["SET LANGUAGE Deutsch"],
    "language of other letters": ["SET LANGUAGE N'日本語'"],
    "language by alias": ["SET LANGUAGE German"],
    "language, then dateformat": ["SET LANGUAGE Deutsch", "SET DATEFORMAT ymd"],
    "dateformat, then language": ["SET DATEFORMAT ymd", "SET LANGUAGE Deutsch"],
    "datefirst, language, dateformat": ["SET DATEFIRST 3; SET LANGUAGE Svenska; SET DATEFORMAT dmy"],
    "the default, set": ["SET LANGUAGE us_english; SET DATEFORMAT mdy; SET DATEFIRST 7"],
    "ANSI_DEFAULTS, then a member": ["SET ANSI_DEFAULTS OFF", "SET ANSI_NULLS ON"],
    "a member, then ANSI_DEFAULTS": ["SET ANSI_NULLS ON", "SET ANSI_DEFAULTS OFF"],
    "ANSI_DEFAULTS ON": ["SET ANSI_DEFAULTS ON", "SET IMPLICIT_TRANSACTIONS OFF"],
    "ANSI_NULL_DFLT_OFF": ["SET ANSI_NULL_DFLT_OFF ON"],
    "ANSI_NULL_DFLT_OFF and _ON": ["SET ANSI_NULL_DFLT_OFF ON", "SET ANSI_NULL_DFLT_ON ON"],
    "both off": ["SET ANSI_NULL_DFLT_ON OFF", "SET ANSI_NULL_DFLT_OFF OFF"],
    "QUOTED_IDENTIFIER": ["SET QUOTED_IDENTIFIER OFF"],
    "numbers": ["SET ROWCOUNT 2; SET TEXTSIZE 77; SET LOCK_TIMEOUT 5000; SET DATEFIRST 2; SET DEADLOCK_PRIORITY -3; "
                "SET QUERY_GOVERNOR_COST_LIMIT 4"],
    "words": ["SET DEADLOCK_PRIORITY LOW", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
    "several in one SET": ["SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, NOCOUNT, XACT_ABORT OFF",
                           "SET NOCOUNT, XACT_ABORT ON"],
    "strange spelling": ["/* x */ set\r\n nocount -- y\r\n on"],
    "set and set back": ["SET NOCOUNT ON", "SET NOCOUNT OFF", "SET ROWCOUNT 5", "SET ROWCOUNT 0"],
    "in control flow": ["IF DB_NAME() <> 'x' SET DATEFIRST 4 ELSE SET DATEFIRST 5"],
    "not in control flow": ["IF 1 = 0 BEGIN SET DATEFIRST 4; SET NOCOUNT ON END"],
    "from a variable": ["DECLARE @n int = 3, @f varchar(3) = 'dym'; SET DATEFIRST @n; SET DATEFORMAT @f"],
    "in a loop": ["DECLARE @i int = 1; WHILE @i < 4 BEGIN SET DATEFIRST @i; SET @i = @i + 1 END"],
    "before an error": ["SET DATEFIRST 2; SELECT CAST('x' AS int); SET DATEFIRST 3"],
    "behind an error": ["SET DATEFIRST 2; SELECT 1/0; SET DATEFIRST 3"],
    "in a TRY": ["BEGIN TRY SET DATEFIRST 2; SELECT 1/0; SET DATEFIRST 3 END TRY BEGIN CATCH SET NOCOUNT ON END CATCH"],
    "that fail": ["SET DATEFIRST 9", "SET LANGUAGE Klingon", "SET DATEFORMAT abc", "USE nowhere"],
    "in dynamic text": ["EXEC('SET DATEFIRST 2; SET LANGUAGE Deutsch')", "EXEC sp_executesql N'SET NOCOUNT ON'"],
    "only words": ["SELECT 'SET DATEFIRST 2' AS t -- SET NOCOUNT ON\n/* SET ROWCOUNT 1 */", "SELECT 1 AS [SET NOCOUNT ON]"],
    "in a procedure": ["EXEC dbo.p_set"],
    "isolation level": ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET NOCOUNT ON"],
    "everything": ["SET LANGUAGE Deutsch; SET ANSI_DEFAULTS OFF; SET DATEFORMAT ydm; SET DATEFIRST 2; SET NOCOUNT ON",
                   f"USE {OTHER}; SET TEXTSIZE 99; SET ROWCOUNT 3; SET QUOTED_IDENTIFIER ON; SET ANSI_NULL_DFLT_OFF ON",
                   "SET STATISTICS IO ON; SET STATISTICS TIME ON; SET FORCEPLAN ON; SET ARITHIGNORE ON; SET XACT_ABORT ON"],
}
NEIGHBOUR = ["SET LANGUAGE Français; SET DATEFORMAT myd; SET NOCOUNT ON; SET ROWCOUNT 7; SET TEXTSIZE 33; SET XACT_ABORT ON; "
             f"SET ANSI_DEFAULTS OFF; SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; USE {OTHER}; SET LOCK_TIMEOUT 99"]
LOOKS = ["DBCC USEROPTIONS", "SELECT CONVERT(char(10), CAST('01/02/03' AS datetime), 120) AS d, DATEPART(weekday, '20240204') AS w",
         'SELECT "word" AS w', "SELECT n FROM (VALUES (1), (2), (3), (4)) v (n)",
         "SELECT CASE WHEN NULL = NULL THEN 1 ELSE 0 END AS n, 'a' + NULL AS c, REPLICATE(CAST('x' AS varchar(max)), 200) AS t"]


@timeout(60)
@cases(state=list(STATES))
def test_state_goes_with_the_client(t, state):
    """One server connection, one neighbour in quite another state. The client sees what it sees alone, the answers have not
    a token more, and the server holds exactly the same state for it. So does the neighbour."""
    goes_with_the_client(t, "announcing", state)


@full
@timeout(60)
@cases(server_is=ELSEWHERE, state=list(STATES))
def test_state_goes_with_the_client_elsewhere(t, server_is, state):
    goes_with_the_client(t, server_is, state)


def goes_with_the_client(t, server_is, state):
    server, keys = server_and_clients(t, server_is)
    direct, direct_neighbour = t.client(server, **keys), t.client(server, **keys)
    direct.query("CREATE PROCEDURE dbo.p_set AS SET DATEFIRST 4; SET NOCOUNT ON; SET ROWCOUNT 1")
    proxy = pooled(t, server, 1)
    client, neighbour = t.client(proxy, **keys), t.client(proxy, **keys)
    for text in NEIGHBOUR:
        neighbour.query(text), direct_neighbour.query(text)
    for text in STATES[state]:
        assert outcome(client.ask(text)) == outcome(direct.ask(text)), text
        assert neighbour.query("SELECT 1 AS one").rows == [[1]]
    for text in LOOKS:
        for who, one, alone in (("client", client, direct), ("neighbour", neighbour, direct_neighbour)):
            assert outcome(one.ask(text)) == outcome(alone.ask(text)), f"{who}: {text}"
    if MODE == "transaction":
        same_at_server(server, proxy, [(client, direct), (neighbour, direct_neighbour)])
    wait_free(proxy, "in the end")
    assert pins_so_far(proxy) == {}, "nothing of it pins"


def same_at_server(server, proxy, pairs):
    """After a request of each its connection at the server is in the state that its double's is in."""
    for client, double in pairs:
        client.query("DECLARE @nothing int"), double.query("DECLARE @nothing int")
        wait_free(proxy, "the request is over")
        doubles = {d.session.spid for _, d in pairs}
        [spid] = [s["spid"] for s in server.sessions() if s["spid"] not in doubles]
        different = difference_of(at_spid(server, spid), at_spid(server, double.session.spid))
        assert not different, f"(through the proxy, direct): {different}"


def at_spid(server, spid):
    return {name: value for name, value in server.state(spid).items() if name not in IGNORED}


@timeout(60)
def test_a_connection_in_the_right_state_is_preferred(t):
    """Two groups of clients in two states, two connections: after a while nothing is replayed any more."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 2)
    groups = [[t.client(proxy, **keys) for _ in range(3)] for _ in range(2)]
    for texts, group in zip((f"USE {OTHER}; SET DATEFIRST 2", "SET LANGUAGE Deutsch"), groups):
        for client in group:
            client.query(texts)
    both = [client for pair in zip(*groups) for client in pair]
    first, second = groups[0][0], groups[1][0]
    first.send("WAITFOR DELAY '00:00:00.200'")  # so that both connections are open
    second.query("SELECT 1")
    first.receive()
    for client in both * 2:
        client.query("SELECT 1")
    wait_idle(proxy, 2)
    before = server.stats()["requests_total"]
    for client in both * 5:
        client.query("SELECT 1")
    own = server.stats()["requests_total"] - before - len(both) * 5
    assert own == 0, f"{own} requests of the proxy's own"


@timeout(60)
@cases(server_is=SERVERS)
def test_a_replay_that_fails_is_tried_on_another_connection(t, server_is):
    """The connection is lost while the proxy's own batch runs. Nothing of the client's has been sent: it sees nothing of it."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.once (n int)")
    client.query(f"SET LANGUAGE Deutsch; SET DATEFIRST 3; USE {OTHER}")
    for n in range(3):
        other.query("SELECT 1")
        wait_idle(proxy, 1)
        server.set("drop-request", server.stats()["requests_total"] + 1)  # the replay: half an answer, then closed
        answer = client.query(f"INSERT INTO {server.database}.dbo.once VALUES ({n}); SELECT DB_NAME(), @@LANGUAGE, "
                              "CAST(@@DATEFIRST AS int)")
        server.set("drop-request", 0)
        assert answer.rows == [[OTHER, "Deutsch", 3]], answer.rows
    assert client.query(f"SELECT n FROM {server.database}.dbo.once ORDER BY n").rows == [[0], [1], [2]], "each exactly once"
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="server_lost") == 0


@timeout(60)
def test_clients_of_different_logins_do_not_share(t):
    """The pool key: users and TDS versions have connections of their own; databases do not."""
    server, keys = server_and_clients(t, "announcing")
    server.login("add", "second", "pass word")
    proxy = pooled(t, server, 4)
    clients = [t.client(proxy, **keys), t.client(proxy, database=OTHER, **keys),
               t.client(proxy, user="second", password="pass word", **keys), t.client(proxy, tds_version=TDS72),
               t.client(proxy, tds_version=TDS71, prelogin=False)]
    for _ in range(3):
        for client in clients:
            client.query("SELECT 1")
    seen = [client.query("SELECT @@SPID").rows[0][0] for client in clients]
    assert seen[0] == seen[1] and len(set(seen)) == 4, seen
    assert [client.query("SELECT SUSER_SNAME(), DB_NAME()").rows[0] for client in clients[:3]] == [
        ["sa", server.database], ["sa", OTHER], ["second", server.database]]


@timeout(60)
def test_databases_that_are_not_shared(t):
    """share_across_databases: false puts the database back into the key."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 5, {"share_across_databases": False})
    clients = [t.client(proxy, **keys), t.client(proxy, database=OTHER, **keys), t.client(proxy, **keys)]
    seen = [client.query("SELECT @@SPID").rows[0][0] for client in clients]
    assert seen[0] == seen[2] != seen[1], seen
    assert sorted(s["login_database"] for s in server.sessions()) == sorted([server.database, OTHER])


@timeout(60)
def test_another_keys_idle_connection_is_taken_over(t):
    """No slot is free: the least recently used idle connection of another key makes room."""
    server, keys = server_and_clients(t, "announcing")
    server.login("add", "second", "pass word")
    proxy = pooled(t, server, 1)
    one, two = t.client(proxy, **keys), None
    one.query("SELECT 1")
    two = t.client(proxy, user="second", password="pass word", **keys)
    for _ in range(3):
        assert two.scalar("SELECT SUSER_SNAME()") == "second"
        assert one.scalar("SELECT SUSER_SNAME()") == "sa"
    assert server.peak() == 1


# ---------------------------------------------------------------------------------------------------- resets


def resets(server):
    stats = server.stats()
    return stats["resets_total"] + stats["reset_calls_total"]


UNKNOWN = {"procedure": "EXEC dbo.p_plain", "dynamic text": "EXEC('SELECT 1 AS n')"}


@timeout(60)
@cases(what=list(UNKNOWN))
def test_a_reset_is_due_after_what_the_proxy_cannot_see_through(t, what):
    """At the next change of client, not at the client's own next request."""
    server, keys = server_and_clients(t, "announcing")
    with t.client(server) as direct:
        direct.query("CREATE PROCEDURE dbo.p_plain AS SELECT 1 AS n")
    proxy = pooled(t, server, 1, {"opaque_procedures": "share"})
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("SELECT 1"), other.query("SELECT 1")
    wait_idle(proxy, 1)
    before = resets(server)
    for _ in range(3):
        client.query("SELECT 1"), other.query("SELECT 1")
    assert resets(server) == before, "plain queries need none"
    client.query(UNKNOWN[what])
    client.query(UNKNOWN[what])
    assert resets(server) == before, "nor does the client itself"
    assert other.query("SELECT 1").rows == [[1]]
    assert resets(server) == before + 1, "the next client does"
    client.query("SELECT 1"), other.query("SELECT 1")
    assert resets(server) == before + 1, "once"


@timeout(60)
def test_server_reset_always(t):
    """At every change of client, and only there."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1, {"server_reset": "always"})
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("SET DATEFIRST 3")
    wait_idle(proxy, 1)
    before = resets(server)
    client.query("SELECT 1"), client.query("SELECT 1")
    assert resets(server) == before
    for n in range(3):
        other.query("SELECT 1")
        assert client.query("SELECT CAST(@@DATEFIRST AS int)").rows == [[3]]
    assert resets(server) == before + 6


@timeout(60)
def test_a_reset_of_the_proxys_is_not_seen(t):
    """Neither its ENVCHANGE 18 nor anything of the state that it took away and the replay brought back."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1, {"server_reset": "always"})
    client, other, direct = t.client(proxy, **keys), t.client(proxy, **keys), t.client(server, **keys)
    for text in ("SET LANGUAGE Deutsch", "SET NOCOUNT ON", f"USE {OTHER}", "SELECT 1 AS n", "SELECT 1/0 AS n", "BEGIN TRAN; COMMIT"):
        other.query("SELECT 1")
        assert outcome(client.ask(text)) == outcome(direct.ask(text)), text


@timeout(60)
@cases(server_is=SERVERS, how=["bit", "bit that keeps transactions", "by name", "by name with schema"])
def test_a_clients_own_reset(t, server_is, how):
    """Its login's database, language and defaults; the isolation level stays; handles, temp tables, locks are gone. Other
    clients keep theirs."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 2)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    fresh = look(client)
    other.query("SET DATEFIRST 4; SET NOCOUNT ON")
    for _ in range(2):
        handle = client.rpc(11, handle_parameter(), "", "SELECT 1 AS n").return_values[0][2]
        client.query(f"USE {OTHER}; SET LANGUAGE Deutsch; SET NOCOUNT ON; SET ROWCOUNT 1; SET QUOTED_IDENTIFIER OFF; "
                     "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        client.query("CREATE TABLE #t (n int)")
        client.query("EXEC sp_getapplock 'lock', 'Exclusive', 'Session'; EXEC sp_set_session_context N'key', N'mine'")
        if how.startswith("bit"):
            seen = look(client, STATUS_RESET if how == "bit" else STATUS_RESET_SKIP_TRAN)
        else:
            assert not client.rpc("sp_reset_connection" if how == "by name" else "sys.sp_reset_connection").errors
            seen = look(client)
        assert seen == fresh, f"{seen} instead of {fresh}"
        assert numbers(client.rpc(12, handle)) == [8179], "its handle is gone"
        wait_free(proxy, "nothing is held behind a reset")
        assert level(client) == "serializable", "a reset keeps it"
        assert look(client) == fresh
    assert other.query("SELECT CAST(@@DATEFIRST AS int), @@OPTIONS & 512").rows == [[4, 512]]


@timeout(60)
@cases(server_is=["announcing", "silent"])
def test_a_reset_ends_the_transaction_or_keeps_it(t, server_is):
    """0x08 rolls back; 0x10 keeps the transaction and its connection."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client = t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.kept (n int)")
    client.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1); SET NOCOUNT ON")
    wait_pinned(proxy, "transaction", "begun")
    answer = reset(client, "SELECT @@TRANCOUNT, @@OPTIONS & 512", STATUS_RESET_SKIP_TRAN)
    assert answer.rows == [[1, 0]]
    wait_pinned(proxy, "transaction", "kept by 0x10")
    client.session.transaction = client.session.transaction if server_is == "announcing" else 0
    assert reset(client, "SELECT @@TRANCOUNT").rows == [[0]]
    wait_free(proxy, "ended by 0x08")
    assert client.scalar("SELECT COUNT(*) FROM dbo.kept") == 0


@timeout(60)
def test_a_reset_of_a_client_that_was_never_attached(t):
    """go-mssqldb sets the bit on the very first request."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    for n in range(4):
        client = t.client(proxy, **keys)
        assert reset(client, "SELECT DB_NAME()").rows == [[server.database]]
        client.query(f"SET LANGUAGE Deutsch; USE {OTHER}")
        client.close()
    wait_free(proxy, "in the end")
    assert server.stats()["logins_total"] == 1


# ---------------------------------------------------------------------------------------------------- last values


@timeout(60)
@cases(server_is=SERVERS)
def test_last_values_are_read_before_another_takes_the_home(t, server_is):
    """One connection: behind each INSERT another client comes, and all four are still there for the one who inserted."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(10, 1), n int)")
    other.query("CREATE TABLE dbo.more (id int IDENTITY(900, 1), n int)")
    for n in range(3):
        client.query("INSERT INTO dbo.ids (n) VALUES (1), (2), (3)")
        other.query("INSERT INTO dbo.more (n) VALUES (1)")
        row = client.query("SELECT @@IDENTITY AS i, SCOPE_IDENTITY() AS s, @@ROWCOUNT AS r, @@ERROR AS e").rows[0]
        assert list(map(int, row)) == [12 + 3 * n, 12 + 3 * n, 3, 0], row
        assert int(other.scalar("SELECT @@IDENTITY")) == 900 + n
        other.ask("INSERT INTO dbo.more (id) VALUES (1)")
        assert int(client.scalar("SELECT SCOPE_IDENTITY() AS s")) == 12 + 3 * n
        assert other.query("SELECT @@ERROR AS e").rows == [[544]]
        wait_free(proxy, "between")


ASKS = [
    "SELECT @@IDENTITY", "select scope_identity()", "SELECT CAST(SCOPE_IDENTITY() AS int) AS id", "SELECT @@IDENTITY + 0 AS id",
    "DECLARE @i int = SCOPE_IDENTITY(); SELECT @i AS id", "SELECT @@ROWCOUNT AS n", "SELECT @@ERROR AS e",
    "IF @@ROWCOUNT = 2 SELECT 'two' AS t ELSE SELECT 'other' AS t", "INSERT INTO dbo.other (n) VALUES (@@IDENTITY); "
    "SELECT n FROM dbo.other", "SELECT @@IDENTITY AS i; SELECT @@ROWCOUNT AS r", "SELECT '@@IDENTITY' AS t",
    "SELECT [@@IDENTITY] FROM (VALUES (5)) v ([@@IDENTITY])", "SET NOCOUNT ON; SELECT SCOPE_IDENTITY() AS s"]


@timeout(60)
@cases(ask=ASKS)
def test_last_values_wherever_they_are_named(t, ask):
    """The answer is the one of a session that is alone: same columns, types, rows."""
    asks(t, "announcing", ask)


@full
@timeout(60)
@cases(server_is=ELSEWHERE, ask=ASKS)
def test_last_values_wherever_they_are_named_elsewhere(t, server_is, ask):
    asks(t, server_is, ask)


def asks(t, server_is, ask):
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    answers = []
    for target, own in ((t.client(server, **keys), "a"), (client, "b")):
        target.query(f"CREATE TABLE dbo.ids_{own} (id int IDENTITY(10, 1), n int)")
        target.query("IF OBJECT_ID('dbo.other') IS NOT NULL DROP TABLE dbo.other; CREATE TABLE dbo.other (n int)")
        target.query(f"INSERT INTO dbo.ids_{own} (n) VALUES (1), (2)")
        if target is client:
            other.query("DECLARE @t TABLE (i int IDENTITY(5, 5), n int); INSERT INTO @t (n) VALUES (1); SELECT 1/1 AS n")
        answer = target.ask(ask)
        answers.append((outcome(answer), [column["info"] for column in answer.types]))
    assert answers[0] == answers[1], f"{answers[1]}\ninstead of {answers[0]}"
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_last_values_of_what_was_inserted_elsewhere(t, server_is):
    """@@IDENTITY is of an inner text, so there is no SCOPE_IDENTITY(), and others have left theirs on the connection."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(10, 1), n int)")
    for n in range(3):
        client.query("EXEC('INSERT INTO dbo.ids (n) VALUES (1)')")
        other.query("DECLARE @t TABLE (i int IDENTITY(900, 1), n int); INSERT INTO @t (n) VALUES (1)")
        row = client.query("DELETE FROM dbo.ids WHERE n = 2; SELECT @@IDENTITY AS i, SCOPE_IDENTITY() AS s").rows[0]
        assert row == [10 + n, None], row
        row = client.query("SELECT @@IDENTITY AS i, SCOPE_IDENTITY() AS s").rows[0]
        assert row == [10 + n, None], f"at home: {row}"


@timeout(60)
@cases(server_is=SERVERS)
def test_last_values_in_a_transaction_that_a_query_has_begun(t, server_is):
    """Its statements change nothing that has an identity: they find the session's own, not another client's."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(10, 1), n int); SET IMPLICIT_TRANSACTIONS ON")
    for n in range(3):
        client.query("INSERT INTO dbo.ids (n) VALUES (1); COMMIT")
        other.query("DECLARE @t TABLE (i int IDENTITY(900, 1), n int); INSERT INTO @t (n) VALUES (1)")
        assert client.scalar("SELECT COUNT(*) FROM dbo.ids") == n + 1
        client.query("DELETE FROM dbo.ids WHERE n = 2")
        row = client.query("SELECT @@IDENTITY AS i, SCOPE_IDENTITY() AS s").rows[0]
        assert row == [10 + n, 10 + n], row
        client.query("COMMIT")
        wait_free(proxy, "between")


@timeout(60)
def test_a_client_that_leaves_while_its_last_values_are_put_back(t):
    """That is no reason to believe that they cannot be."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    leaving, client, other = (t.client(proxy, **keys) for _ in range(3))
    leaving.query("CREATE TABLE dbo.ids (id int IDENTITY(10, 1), n int); INSERT INTO dbo.ids (n) VALUES (1)")
    other.query("DECLARE @t TABLE (i int IDENTITY(900, 1), n int); INSERT INTO @t (n) VALUES (1)")
    server.set("delay-request", 500)
    leaving.send("DELETE FROM dbo.ids WHERE n = 2")
    time.sleep(0.1)
    leaving.close()
    server.set("delay-request", 0)
    for n in range(2):
        client.query("INSERT INTO dbo.ids (n) VALUES (1)")
        other.query("DECLARE @t TABLE (i int IDENTITY(900, 1), n int); INSERT INTO @t (n) VALUES (1)")
        client.query("DELETE FROM dbo.ids WHERE n = 2")
        row = client.query("SELECT @@IDENTITY AS i, SCOPE_IDENTITY() AS s").rows[0]
        assert row == [11 + n, 11 + n], row


@timeout(60)
@cases(server_is=SERVERS)
def test_last_values_where_none_can_be_put_back(t, server_is):
    """What a request has changed is told by comparing: what it has not changed is the session's own as before, though the
    connection has another client's."""
    server, keys = server_and_clients(t, server_is)
    server.set("no-table-variable-identity", 1)
    proxy = pooled(t, server, 1, {"last_values_hold": 0})
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(10, 1), n int)")
    other.query("CREATE TABLE dbo.more (id int IDENTITY(900, 1), n int)")

    def identity():
        return client.query("SELECT @@IDENTITY AS i, SCOPE_IDENTITY() AS s").rows[0]

    for n in range(3):
        client.query("INSERT INTO dbo.ids (n) VALUES (1)")
        other.query("INSERT INTO dbo.more (n) VALUES (1)")
        client.query("DELETE FROM dbo.ids WHERE n = 2")
        assert identity() == [10 + 3 * n] * 2
        other.query("INSERT INTO dbo.more (n) VALUES (1)")
        client.query("BEGIN TRAN; DELETE FROM dbo.ids WHERE n = 2")
        assert identity() == [10 + 3 * n] * 2
        client.query("INSERT INTO dbo.ids (n) VALUES (1)")
        assert identity() == [11 + 3 * n] * 2
        client.query("COMMIT")
        other.query("INSERT INTO dbo.more (n) VALUES (1)")
        client.query("INSERT INTO dbo.ids (n) VALUES (1)")
        assert identity() == [12 + 3 * n] * 2
    assert "cannot be set on this server" in proxy.log_text()
    wait_free(proxy, "in the end")


@timeout(60)
def test_last_values_off(t):
    """No request is made for them."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1, {"last_values": "off"})
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY, n int)"), other.query("SELECT 1")
    wait_idle(proxy, 1)
    before = server.stats()["requests_total"]
    for n in range(5):
        client.query("INSERT INTO dbo.ids (n) VALUES (1)")
        other.query("SELECT 1")
    assert server.stats()["requests_total"] - before == 10
    client.query("INSERT INTO dbo.ids (n) VALUES (1)")
    assert int(client.scalar("SELECT @@IDENTITY")) == 6, "at home it is there all the same"


@timeout(60)
@cases(server_is=SERVERS)
def test_last_values_of_queries(t, server_is):
    """Behind a request that wrote nothing another may take the home unread. Then they are its own or a new session's; never
    another client's, never older ones."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    for _ in range(3):
        client.query("SELECT n FROM (VALUES (1), (2), (3)) v (n)")
        other.query("SELECT n FROM (VALUES (1), (2)) v (n)")
        assert client.scalar("SELECT @@ROWCOUNT AS r") in (3, 0)
        client.ask("SELECT 1/0 AS n")
        other.ask("SELECT CAST('x' AS int)")
        assert client.scalar("SELECT @@ERROR AS e") in (8134, 0)
        client.query("SELECT n FROM (VALUES (1), (2), (3), (4)) v (n)")
        assert client.scalar("SELECT @@ROWCOUNT AS r") == 4, "at home it is there"


@timeout(60)
def test_last_values_are_not_read_behind_queries(t, text="SELECT n FROM dbo.ids"):
    """Only a home whose last request may have written is read before another takes it."""
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY, n int)"), other.query(text), client.query(text), other.query(text)
    wait_idle(proxy, 1)
    before = server.stats()["requests_total"]
    for _ in range(5):
        client.query(text), other.query(text)
    own = server.stats()["requests_total"] - before - 10
    assert own == 0, f"{own} requests of the proxy's own for 10 changes of client"


@timeout(60)
@cases(server_is=SERVERS)
def test_last_values_are_not_read_behind_transactions_and_settings(t, server_is):
    """Behind COMMIT and SET @@ROWCOUNT and @@ERROR are 0: nothing is asked for that, on whichever connection the next request runs."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY, n int)")
    work = ["BEGIN TRAN", "SELECT n FROM dbo.ids", "COMMIT TRAN"], ["SET NOCOUNT ON; SET DATEFIRST 7"], [f"USE {server.database}"]
    for texts in work:
        for one in (client, other) * 3:  # all that is asked only once has been
            for text in texts:
                one.query(text)
        wait_idle(proxy, 1)
        before = server.stats()["requests_total"]
        for one in (client, other) * 5:
            for text in texts:
                one.query(text)
        own = server.stats()["requests_total"] - before - 10 * len(texts)
        wanted = 20 if server_is != "announcing" and "COMMIT TRAN" in texts else 0  # for @@TRANCOUNT, behind BEGIN and COMMIT
        assert own == wanted, f"{texts}: {own} requests of the proxy's own for 10 changes of client"
        other.query("SELECT n FROM (VALUES (1), (2), (3)) v (n)")
        assert client.query("SELECT @@ROWCOUNT AS n, @@ERROR AS e").rows == [[0, 0]], texts


@timeout(60)
def test_last_values_cost_one_request_at_each_change(t):
    server, keys = server_and_clients(t, "announcing")
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY, n int)"), other.query("SELECT 1")
    wait_idle(proxy, 1)
    before = server.stats()["requests_total"]
    for _ in range(5):
        client.query("INSERT INTO dbo.ids (n) VALUES (1)"), client.query("INSERT INTO dbo.ids (n) VALUES (1)")
        other.query("SELECT 1")
    own = server.stats()["requests_total"] - before - 15
    assert own <= 5, f"{own} requests of the proxy's own for 5 homes that had been written in"


# ---------------------------------------------------------------------------------------------------- many at once


@timeout(120)
@cases(server_is=SERVERS)
def test_many_clients_keep_their_states_apart(t, server_is):
    """Thirty clients in thirty states over three connections, all at once."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 3, {"queue_timeout": "100s"})
    complaints = []

    def client_of(n):
        first, size, database = n % 7 + 1, 100 + n, OTHER if n % 2 else server.database
        with t.client(proxy, **keys) as client:
            client.query(f"SET DATEFIRST {first}; SET TEXTSIZE {size}; USE {database}")
            for i in range(20):
                row = client.query("SELECT CAST(@@DATEFIRST AS int), @@TEXTSIZE, DB_NAME(), @@TRANCOUNT").rows
                if row != [[first, size, database, 0]]:
                    complaints.append(f"client {n}, round {i}: {row} instead of {[first, size, database, 0]}")
                    return

    threads = [threading.Thread(target=client_of, args=(n,)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not complaints, "\n".join(complaints[:5])
    wait_free(proxy, "all have left", 20)
