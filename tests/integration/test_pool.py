"""Server connections of a pool in session mode: who gets which, which are kept, which go, and who waits for them."""

import signal
import struct

from harness import *
from harness.tds import *
from test_session import finished, idle, outcomes, session_proxy, wait_idle
from test_standin_login import FEATURE_UTF8, FLAG3_EXTENSION, TYPE_READ_ONLY, Login
from test_standin_protocol import assert_closed, numbers, running

SPID = "SELECT CAST(@@SPID AS int)"
TWO = {"user": "two", "password": "Two-P@ss"}


def with_second_login(t, **keys):
    server = t.sqlserver(**keys)
    server.login("add", TWO["user"], TWO["password"])
    return server


def given_back(proxy):
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 5, "given back")


def known(t, proxy, *logins):
    """A client of each has been here, so that from now on requests need server connections, not logins."""
    for login in logins or ({},):
        t.client(proxy, **login).close()
        given_back(proxy)


def spid_of_visit(t, proxy, **login):
    with t.client(proxy, **login) as client:
        spid = client.scalar(SPID)
    given_back(proxy)
    return spid


# ---------------------------------------------------------------------------------------------------- idle connections


@timeout(60)
def test_the_connection_used_last_is_used_next(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    clients = [t.client(proxy) for _ in range(3)]
    spids = [client.scalar(SPID) for client in clients]
    for count, number in enumerate((1, 2, 0), 1):
        clients[number].close()
        wait_until(lambda: idle(proxy) == count, 5, "idle")
    for _ in range(3):
        assert spid_of_visit(t, proxy) == spids[0]
    clients = [t.client(proxy) for _ in range(3)]
    assert [client.scalar(SPID) for client in clients] == [spids[0], spids[2], spids[1]]
    for client in clients:
        client.close()
    finished(t, proxy, server, 3)


@timeout(60)
@cases(min_idle=[0, 1])
def test_idle_connections_go_after_max_idle_time(t, min_idle):
    server = t.sqlserver()
    proxy = session_proxy(t, server, bucket={"max_idle_time": "1s", "min_idle": min_idle})
    clients = [t.client(proxy) for _ in range(3)]
    for client in clients:
        client.query("SELECT 1")
    assert len({client.scalar(SPID) for client in clients}) == 3
    for client in clients:
        client.close()
    wait_idle(proxy, 3)
    wait_idle(proxy, min_idle)
    holds_for(lambda: server.connections() == min_idle, 0.5, "the rest stays")
    finished(t, proxy, server, min_idle)


@timeout(60)
def test_a_connection_past_its_lifetime_is_replaced(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, bucket={"server_lifetime": "1s"})
    busy, short = t.client(proxy), t.client(proxy)
    first = busy.scalar(SPID)
    assert short.scalar(SPID) != first
    short.close()
    wait_until(lambda: idle(proxy) == 1, 5, "one idle")
    wait_until(lambda: idle(proxy) == 0, 5, "its time is over")
    assert busy.scalar(SPID) == first  # who is at work is left in peace
    busy.close()
    wait_idle(proxy, 0)
    server.wait_connections(0)
    assert server.stats()["logins_total"] == 2


@timeout(60)
def test_min_idle_is_opened_at_start_and_kept(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, bucket={"min_idle": 2})
    wait_idle(proxy, 2)
    assert server.stats()["logins_total"] == 2
    with t.client(proxy) as client:
        assert client.scalar("SELECT 1") == 1
        assert server.stats()["logins_total"] <= 3  # the two were there for it; one more may come to keep two idle
    server.kill_all()
    wait_idle(proxy, 2)
    finished(t, proxy, server, 2)


@timeout(60)
def test_min_idle_yields_to_a_client(t):
    server = with_second_login(t)
    proxy = session_proxy(t, server, max_connections=2, bucket={"min_idle": 2})
    wait_idle(proxy, 2)
    clients = [t.client(proxy, **TWO) for _ in range(2)]
    for client in clients:
        assert client.scalar("SELECT SUSER_SNAME()") == "two"
    assert server.connections() == 2 and idle(proxy) == 0
    late = t.client(proxy, **TWO)
    late.send("SELECT 'late'")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    clients[0].close()
    assert late.receive().rows == [["late"]]
    late.close(), clients[1].close()
    wait_idle(proxy, 2)
    assert server.peak() == 2


# ---------------------------------------------------------------------------------------------------- waiting


@timeout(60)
def test_a_waiter_is_served_by_a_connection_that_comes_back(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=2)
    holders = [t.client(proxy) for _ in range(2)]
    assert len({holder.scalar(SPID) for holder in holders}) == 2
    waiting = [t.client(proxy) for _ in range(6)]
    for number, client in enumerate(waiting):
        client.send(f"SELECT {number}")
        proxy.wait_metric("proxy_queue_length", number + 1, bucket_id="b1")
    for holder in holders:
        holder.close()
    for number, client in enumerate(waiting):  # in the order of their coming
        assert client.receive().rows == [[number]]
        client.close()
    finished(t, proxy, server, 2)
    assert server.stats()["logins_total"] == 2


@timeout(90)
def test_another_pool_takes_over_the_slot_of_the_connection_idle_longest(t):
    server = with_second_login(t)
    proxy = session_proxy(t, server, max_connections=3)
    clients = [t.client(proxy) for _ in range(3)]
    spids = [client.scalar(SPID) for client in clients]
    ids = {s["spid"]: s["id"] for s in server.sessions()}  # a spid is used again, an id never
    left = [ids[spid] for spid in spids]
    for count, client in enumerate(clients, 1):
        client.close()
        wait_until(lambda: idle(proxy) == count, 5, "idle")
    server.reset_peak()
    for _ in range(2):
        client = t.client(proxy, **TWO)
        assert client.scalar("SELECT SUSER_SNAME()") == "two"
        left.pop(0)
        assert {s["id"] for s in server.sessions() if s["user"] == "sa"} == set(left)
    assert server.peak() == 3, "over the limit while a slot was taken over"
    assert idle(proxy) == 1


@timeout(90)
def test_two_pools_at_the_limit_never_exceed_it(t):
    server = with_second_login(t)
    proxy = session_proxy(t, server, max_connections=3, bucket={"queue_timeout": "60s"})
    known(t, proxy, {}, TWO)
    server.reset_peak()
    crowds = [t.crowd(proxy), t.crowd(proxy, **TWO)]
    for _ in range(10):
        for crowd in crowds:
            crowd.open(10, hold=0)
    for crowd in crowds:
        crowd.wait_all(80)
        assert crowd.count(DONE) == 100, crowd.summary()
    assert server.peak() <= 3
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 5, "all given back")
    got, back = outcomes(proxy)
    assert got == back, (got, back)


@timeout(90)
def test_a_waiter_of_another_pool_does_not_starve(t):
    """Who comes back is used by its own pool first, but not for ever."""
    server = with_second_login(t)
    proxy = session_proxy(t, server, max_connections=1, bucket={"queue_timeout": "60s"})
    known(t, proxy, TWO, {})
    holder, other = t.client(proxy), t.client(proxy, **TWO)
    holder.query("CREATE TABLE dbo.served (n int IDENTITY, who nvarchar(10))")
    other.send("INSERT INTO dbo.served (who) VALUES (SUSER_SNAME())")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    crowd = t.crowd(proxy, query="INSERT INTO dbo.served (who) VALUES (SUSER_SNAME())")
    crowd.open(40, hold=0)
    proxy.wait_metric("proxy_queue_length", 41, bucket_id="b1")
    holder.close()
    other.receive().raise_error()
    position = other.scalar("SELECT n FROM dbo.served WHERE who = 'two'")
    assert position <= 17, f"served as number {position}"
    other.close()
    crowd.wait_all()
    assert crowd.count(DONE) == 40, crowd.summary()
    assert server.peak() == 1


@timeout(60)
def test_queue_timeout_answers_the_request_and_the_session_lives_on(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1, bucket={"queue_timeout": "500ms"})
    holder, client = t.client(proxy), t.client(proxy)
    for _ in range(2):
        answer = client.ask("SELECT 1 --" + "x" * 200_000)  # more than is read while it waits
        assert [(e.number, e.severity) for e in answer.errors] == [(50004, 16)] and answer.done_status & DONE_ERROR
    client.attention()
    assert client.receive().done_status == DONE_ATTN
    holder.close()
    assert client.scalar("SELECT 1") == 1
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="timeout") == 2
    assert proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="queue_timeout") == 2
    client.close()
    finished(t, proxy, server, 1)


@timeout(60)
def test_a_full_queue_answers_the_request_and_the_session_lives_on(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1, max_queue_size=2)
    holder = t.client(proxy)
    waiting = [t.client(proxy) for _ in range(2)]
    for number, client in enumerate(waiting, 1):
        client.send(f"SELECT {number}")
        proxy.wait_metric("proxy_queue_length", number, bucket_id="b1")
    client = t.client(proxy)
    for _ in range(3):
        answer = client.ask("SELECT 1")
        assert [(e.number, e.severity) for e in answer.errors] == [(50005, 16)]
    holder.close()
    for number, one in enumerate(waiting, 1):
        assert one.receive().rows == [[number]]
        one.close()
    assert client.scalar("SELECT 1") == 1
    client.close()
    finished(t, proxy, server, 1)
    assert server.peak() == 1


@timeout(60)
def test_queueing_off_answers_at_once_and_still_takes_over_what_is_idle(t):
    server = with_second_login(t)
    proxy = session_proxy(t, server, max_connections=1, bucket={"queue_timeout": "0s"})
    known(t, proxy, TWO, {})
    client, other = t.client(proxy), t.client(proxy, **TWO)
    assert other.scalar("SELECT SUSER_SNAME()") == "two"
    answer = client.ask("SELECT 1")
    assert [(e.number, e.severity) for e in answer.errors] == [(50001, 16)]
    other.close()
    wait_until(lambda: idle(proxy) == 1, 5, "idle")
    assert client.scalar("SELECT SUSER_SNAME()") == "sa"
    assert server.peak() == 1
    client.close()
    finished(t, proxy, server, 1)


# ---------------------------------------------------------------------------------------------------- who shares


@timeout(60)
def test_databases_of_one_login_share_a_connection(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=1)
    with t.client(server) as direct:
        direct.query("CREATE DATABASE other_db")
    spids = set()
    known(t, proxy, {}, {"database": "other_db"})
    for _ in range(3):
        for database in (server.database, "other_db"):
            with t.client(proxy, database=database) as client:
                answer = client.query("SELECT DB_NAME(), CAST(@@SPID AS int)")
                assert answer.rows[0][0] == database and not answer.env and not answer.infos, (answer.env, answer.infos)
                spids.add(answer.rows[0][1])
            wait_idle(proxy, 1)
    assert len(spids) == 1 and server.peak() == 1
    finished(t, proxy, server, 1)


@timeout(60)
def test_a_login_whose_use_is_refused_shares_with_its_like_only(t):
    """As with 916 and Azure's 40508. Here: the database has gone when the proxy's USE comes, and comes back later."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, max_connections=2)
    direct = t.client(server)
    direct.query("CREATE DATABASE other_db")
    known(t, proxy, {"database": "other_db"}, {})
    server.kill_session(next(s["spid"] for s in server.sessions() if s["login_database"] == "other_db"))
    wait_idle(proxy, 1)
    holder, waiting = t.client(proxy), t.client(proxy, database="other_db")  # both from the record
    direct.query("DROP DATABASE other_db")
    fill = t.client(proxy, app_name="fill")
    assert holder.scalar("SELECT 1") == fill.scalar("SELECT 1")  # the idle connection and the second slot
    holder.close()
    wait_until(lambda: idle(proxy) == 1, 5, "one idle")
    answer = waiting.ask("SELECT 1")  # USE is refused, then its own login as well
    assert 4060 in numbers(answer), answer.errors
    assert_closed(waiting)
    assert "not shared across databases" in proxy.log_text() and "number=911" in proxy.log_text()
    fill.close()
    direct.query("CREATE DATABASE other_db")
    for _ in range(2):
        for database in (server.database, "other_db"):
            with t.client(proxy, database=database) as client:
                assert client.scalar("SELECT DB_NAME()") == database
            given_back(proxy)
    own = {s["login_database"]: s["database"] for s in server.sessions() if s["app_name"] == "harness" and
           s["spid"] != direct.scalar(SPID)}
    assert own == {server.database: server.database, "other_db": "other_db"}, own
    got, back = outcomes(proxy)
    assert got == back


@timeout(60)
@cases(key=["database", "application_name", "neither"])
def test_what_the_configuration_puts_into_the_pool_key(t, key):
    server = t.sqlserver()
    extra = {"database": {"share_across_databases": False}, "application_name": {"pool_key_extra": ["application_name"]},
             "neither": {}}[key]
    proxy = session_proxy(t, server, bucket=extra)
    with t.client(server) as direct:
        direct.query("CREATE DATABASE other_db")
    visits = [dict(database=d, app_name=a) for d in (server.database, "other_db") for a in ("one", "two")]
    groups = {}
    for _ in range(3):
        for visit in visits:
            group = visit.get("app_name" if key == "application_name" else key)
            groups.setdefault(group, set()).add(spid_of_visit(t, proxy, **visit))
    used = [spid for spids in groups.values() for spid in spids]
    assert len(used) == len(set(used)), groups  # no connection served two groups
    if key == "neither":
        assert idle(proxy) < 4, "they share"


VARIANTS = {"plain": {}, "odbc off": {"flags": (0xE0, 0x01, 0, 0)}, "no database warning": {"flags": (0xC0, 0x03, 0, 0)},
            "oledb": {"flags": (0xE0, 0x03, 0x10, 0)}, "unknown collation": {"flags": (0xE0, 0x03, 0, 0x08)},
            "read only": {"flags": (0xE0, 0x03, TYPE_READ_ONLY, 0)}, "utf8": {"features": [(FEATURE_UTF8, b"\1")]},
            "7.3": {"tds_version": TDS73B}, "7.2": {"tds_version": TDS72}}


@timeout(60)
def test_clients_that_logged_in_otherwise_share_nothing(t):
    """Option flags, version, features: what changes the session or the tokens that a server connection speaks."""
    server = t.sqlserver()
    server.set("feature-acks", "0A")
    proxy = session_proxy(t, server, max_connections=20)
    seen = {}
    for _ in range(2):  # by a real login, then from the record
        for name, keys in VARIANTS.items():
            one = Login(proxy, user="sa", password=PASSWORD, database=server.database, **keys)
            one.session.tds = keys.get("tds_version", TDS74)
            one.receive().raise_error()
            seen.setdefault(name, set()).add(one.client.scalar(SPID))
            one.close()
            given_back(proxy)
    spids = [spid for group in seen.values() for spid in group]
    assert sorted(spids) == sorted(set(spids)) and len(spids) == len(VARIANTS), seen
    assert server.stats()["logins_total"] == len(VARIANTS)
    flags = {s["spid"]: s for s in server.sessions()}
    assert flags[min(seen["oledb"])]["flags"] == "E0031000" and flags[min(seen["7.2"])]["tds_version"].startswith("0x72")
    finished(t, proxy, server, len(VARIANTS))
