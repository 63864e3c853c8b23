"""rate_limit: a tenant that sends more requests per second than it may gets 50006, and nobody else notices."""

import threading
import time

from harness import *
from harness.tds import *
from pooled import *
from test_clients import DRIVERS
from test_reload import reloaded
from test_standin_protocol import numbers
from test_transaction_queue import REQUESTS, assert_refused

MODES = ["transaction", "session"]
ANOTHER = {"user": "other", "password": "Other-Passw0rd"}


def limited(t, limit, mode="transaction", server_is="announcing", connections=4, **bucket):
    server, keys = server_and_clients(t, server_is, "--login", ":".join(ANOTHER.values()))
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    entry = t.bucket("b1", server, connections, health_probe="off", rate_limit=limit, **bucket)
    return server, t.proxy([entry], proxy={"pool_mode": mode, "health_check_interval": "1h"}), keys


def refused_so_far(proxy):
    return int(proxy.metric("proxy_connection_errors_total", bucket_id="b1", error_type="rate_limit"))


class Overdrawn:
    """While it lasts the tenant of `client` owes for a second to come: what runs in a transaction is counted, but never refused."""

    def __init__(self, client):
        self.client, self.over = client, threading.Event()
        self.refused, self.sent = [], 0
        client.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
        self.step()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def step(self):
        for _ in range(10):
            self.refused += numbers(self.client.ask("SELECT 1"))
            self.sent += 1

    def run(self):
        while not self.over.wait(0.05):
            self.step()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.client.query("COMMIT")
        assert self.refused == [], "a transaction is never refused"


@timeout(60)
@cases(mode=MODES)
def test_so_many_a_second_and_no_more(t, mode):
    """Of one session that never pauses: what the server has seen is what the limit allows."""
    limit = 20
    server, proxy, keys = limited(t, limit, mode)
    client = t.client(proxy, **keys)
    before = server.stats()["requests_total"]
    began = time.monotonic()
    answers = []
    while time.monotonic() - began < 3:
        answers.append(client.ask("SELECT 1 AS n"))
    seconds = time.monotonic() - began
    served = [a for a in answers if not a.errors]
    refused = [a for a in answers if a.errors]
    assert all(numbers(a) == [50006] for a in refused) and all(a.rows == [[1]] for a in served)
    assert limit <= len(served) <= limit * (1 + seconds) + 1, (len(served), seconds)
    assert len(refused) > 0 and refused_so_far(proxy) == len(refused), "nothing else is refused"
    assert server.stats()["requests_total"] - before == len(served)
    told = [line for line in proxy.log_text().splitlines() if "above rate_limit" in line]
    assert len(told) == 1 and f"user={server.user}" in told[0] and f"database={server.database}" in told[0], told
    wait_until(lambda: not client.ask("SELECT 1").errors, 10, "it may ask again")


@timeout(60)
@cases(server_is=SERVERS)
def test_a_refused_request_is_answered_and_the_session_lives_on(t, server_is):
    server, proxy, keys = limited(t, 5, server_is=server_is)
    client, holder = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("SET DATEFIRST 3")
    with Overdrawn(holder):
        before = server.stats()["logins_total"]
        for name, request in REQUESTS.items():
            if name != "transaction request":  # ends one, mostly: never refused
                assert_refused(request(client), 50006, proxy, "rate_limit")
        assert server.stats()["logins_total"] == before
    wait_until(lambda: not client.ask("SELECT 1").errors, 10, "it may ask again")
    time.sleep(1)
    assert client.query("SELECT @@DATEFIRST").rows == [[7]], "one of the requests had a reset, which holds"


@timeout(60)
def test_tenants_do_not_pay_for_each_other(t):
    """A tenant is a login and a database, in letters of any case, over all its sessions."""
    server, proxy, keys = limited(t, 5)
    holder = t.client(proxy, **keys)
    same = [t.client(proxy, **keys), t.client(proxy, **{**keys, "database": server.database.upper()})]
    other = [t.client(proxy, **{**keys, "database": OTHER}), t.client(proxy, **{**keys, **ANOTHER})]
    with Overdrawn(holder):
        for client in same:
            assert numbers(client.ask("SELECT 1")) == [50006]
        for client in other:
            assert client.query("SELECT 1").rows == [[1]]


@timeout(60)
def test_refused_before_it_waits(t):
    """No slot, no place in the queue: all connections are taken, and the answer comes at once."""
    _, proxy, keys = limited(t, 5, connections=1)
    holder, client = t.client(proxy, **keys), t.client(proxy, **keys)
    with Overdrawn(holder):
        for _ in range(5):
            assert numbers(client.ask("SELECT 1")) == [50006]
        assert proxy.metric("proxy_queue_length", bucket_id="b1") == 0
    assert proxy.metric("proxy_queue_wait_seconds_count", bucket_id="b1") <= 1  # the second session's login at most


@timeout(60)
@cases(mode=MODES)
def test_pins_and_transactions_pass(t, mode):
    """What they have open would suffer; a reset on a held connection would be lost."""
    _, proxy, keys = limited(t, 2, mode)
    pinned, holder = t.client(proxy, **keys), t.client(proxy, **keys)
    pinned.query("SELECT 1 AS n INTO #t")
    with Overdrawn(holder):
        if mode == "transaction":
            assert pinned.query("SELECT n FROM #t").rows == [[1]]
        else:
            assert numbers(pinned.ask("SELECT n FROM #t")) == [50006], "its connection is its own all the time: no pin there"
        assert pinned.ask("SELECT OBJECT_ID('tempdb..#t')", STATUS_RESET).rows == [[None]]
        wait_until(lambda: numbers(pinned.ask("SELECT 1")) == [50006], 10, "with nothing open it counts like all")


@timeout(60)
def test_a_reload_changes_it_at_once(t):
    server, proxy, keys = limited(t, 0)
    client = t.client(proxy, **keys)
    for _ in range(50):
        client.query("SELECT 1")
    proxy.buckets[0]["rate_limit"] = 1
    reloaded(proxy)
    wait_until(lambda: numbers(client.ask("SELECT 1")) == [50006], 10, "one a second")
    proxy.buckets[0]["rate_limit"] = 0
    reloaded(proxy)
    for _ in range(50):
        client.query("SELECT 1")


@timeout(120)
@cases(driver=[d for d, can in capabilities().items() if d in DRIVERS and not can.get("mix", {}).keys() & {"no_errors", "asks_error"}])
def test_driver_shows_it(t, driver):
    """Number 50006, and its connection goes on afterwards."""
    _, proxy, keys = limited(t, 0)
    holder = t.client(proxy, **keys)
    plan = Plan(1)
    plan.rows("SELECT 1 AS n", (1,))
    plan.put("wait", "limit")
    plan.put("fail", "SELECT 2 AS n", 50006)
    plan.put("wait", "again")
    plan.rows("SELECT 3 AS n", (3,))
    program = Play(t, driver, proxy, [plan])
    program.wait_all("limit", 60)
    proxy.buckets[0]["rate_limit"] = 1
    reloaded(proxy)
    with Overdrawn(holder):
        program.go("limit")
        program.wait_all("again", 60)
    proxy.buckets[0]["rate_limit"] = 0
    reloaded(proxy)
    program.go("again")
    program.report(60)
    assert refused_so_far(proxy) >= 1
