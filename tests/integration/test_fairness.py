"""Fairness between instances: slots move to the one whose clients wait (docs/architecture.md, coord/want)."""

import threading
import time

from harness import *
from harness.tds import TdsClient

LIMIT = 20
CLIENTS = 12  # of each proxy: with three, and with four, more than there are slots


class Load:
    """Clients of one proxy that never stop asking. `visits`: each comes, asks five times, goes, and comes again."""

    def __init__(self, t, server, proxy, clients=CLIENTS, pause="00:00:00.020", visits=False):
        self.text = f"WAITFOR DELAY '{pause}'; SELECT 7"
        self.open = lambda: TdsClient(proxy.port, user=server.user, password=server.password, database=server.database)
        self.visits, self.ended, self.errors = visits, threading.Event(), []
        self.answers = [0] * clients
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]
        for thread in self.threads:
            thread.start()
        t.closers.append(self.stop)

    def _run(self, number):
        try:
            while not self.ended.is_set():
                with self.open() as client:
                    while not self.ended.is_set():
                        rows = client.query(self.text).rows
                        assert rows == [[7]], rows
                        self.answers[number] += 1
                        if self.visits and self.answers[number] % 5 == 0:
                            break
        except Exception as error:
            self.errors.append(error)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.errors, self.errors


def slots(redis, proxies):
    return [redis.instance_slots(p.instance_id, "b1") or 0 for p in proxies]


def opened(server):
    """Server connections ever."""
    return server.stats()["logins_total"]


def even(redis, proxies):
    held = slots(redis, proxies)
    return sum(held) == LIMIT and max(held) - min(held) <= 1


@timeout(120)
@cases(mode=["transaction", "session"])
def test_fourth_instance_gets_its_quarter(t, mode):
    """Three instances have all slots and use them all the time; a fourth comes with clients of its own.

    In session mode clients stay for long, so there is nothing to give but what a session that ends leaves: of those
    that come and go the newcomer gets its share too.
    """
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, LIMIT, queue_timeout="60s", health_probe="off")
    keys = {"proxy": {"pool_mode": mode}}
    proxies = [t.proxy([bucket], redis=redis, **keys) for _ in range(3)]
    for proxy in proxies:
        proxy.wait_ready_to_serve()
    loads = [Load(t, server, proxy, visits=mode == "session") for proxy in proxies]
    wait_until(lambda: even(redis, proxies), 30, lambda: f"equal shares of three: {slots(redis, proxies)}")
    before, start = opened(server), time.monotonic()
    fourth = t.proxy([bucket], redis=redis, **keys)
    fourth.wait_ready_to_serve()
    proxies.append(fourth)
    came = time.monotonic()
    loads.append(Load(t, server, fourth, visits=mode == "session"))
    wait_until(lambda: slots(redis, [fourth])[0] > 0, 20, "the first slot")
    first = time.monotonic() - came
    wait_until(lambda: even(redis, proxies), 60, lambda: f"equal shares of four: {slots(redis, proxies)}")
    quarter = time.monotonic() - came
    moved = opened(server) - before
    minutes = (time.monotonic() - start) / 60
    time.sleep(3)
    settled = opened(server) - before - moved
    for load in loads:
        load.stop()
    print(f"    {mode}: first slot after {first:.2f} s, a quarter after {quarter:.2f} s; {moved} connections opened meanwhile "
          f"({moved / minutes:.0f} a minute), {settled} in the 3 s after")
    assert server.peak() <= LIMIT
    assert all(sum(load.answers) > 0 for load in loads)
    if mode == "transaction":
        assert moved <= LIMIT, f"{moved} connections were opened for {LIMIT // 4} slots: they go to and fro"
        assert settled <= 2, f"{settled} connections were opened in 3 s though all have their share"


@timeout(60)
def test_idle_connections_are_given_first(t):
    """An instance that has had its crowd keeps connections warm; whoever has clients waiting gets them, at no client's expense."""
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 8, queue_timeout="20s", health_probe="off")
    keys = {"proxy": {"pool_mode": "transaction"}}
    one, two = (t.proxy([bucket], redis=redis, **keys) for _ in range(2))
    one.wait_ready_to_serve(), two.wait_ready_to_serve()
    crowd = Load(t, server, one, clients=8, pause="00:00:00.100")
    wait_until(lambda: slots(redis, [one]) == [8], 10, "all slots in one place")
    crowd.stop()
    load = Load(t, server, two, clients=8, pause="00:00:00.100")
    wait_until(lambda: slots(redis, [two])[0] >= 4, 10, lambda: f"half: {slots(redis, [one, two])}")
    load.stop()
    assert one.metric("proxy_connections_idle", bucket_id="b1") == slots(redis, [one])[0]


@timeout(60)
def test_without_fairness_everybody_keeps_what_he_has(t):
    redis, server = t.redis(), t.sqlserver()
    bucket = t.bucket("b1", server, 4, queue_timeout="2s", health_probe="off")
    keys = {"proxy": {"pool_mode": "transaction", "fairness_interval": 0}}
    one, two = (t.proxy([bucket], redis=redis, **keys) for _ in range(2))
    one.wait_ready_to_serve(), two.wait_ready_to_serve()
    load = Load(t, server, one, clients=8)
    wait_until(lambda: slots(redis, [one]) == [4], 10, "all slots in one place")
    late = t.crowd(two)
    late.open(1)
    late.wait_all(20)
    assert late.errors() == {50004: 1}, late.summary()
    load.stop()


@timeout(60)
def test_last_values_are_kept_when_a_connection_is_given_away(t):
    """The next to come free is given, and with it went what its client may ask for next: @@IDENTITY was NULL then."""
    redis, server = t.redis(), t.sqlserver()
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.numbered (id int IDENTITY(5, 1), who varchar(9))")
    bucket = t.bucket("b1", server, 2, queue_timeout="20s", health_probe="off")
    keys = {"proxy": {"pool_mode": "transaction"}}
    one, two = (t.proxy([bucket], redis=redis, **keys) for _ in range(2))
    one.wait_ready_to_serve(), two.wait_ready_to_serve()
    writers = [t.client(one) for _ in range(2)]
    for number, writer in enumerate(writers):
        writer.send(f"WAITFOR DELAY '00:00:01'; INSERT INTO dbo.numbered (who) VALUES ('{number}')")
    wait_until(lambda: slots(redis, [one]) == [2], 10, "both slots in one place")
    assert t.client(two).scalar("SELECT 9") == 9
    wait_until(lambda: slots(redis, [one, two]) == [1, 1], 10, "one given away")
    for number, writer in enumerate(writers):
        writer.receive()
        found = writer.scalar("SELECT @@IDENTITY")
        assert writer.scalar(f"SELECT id FROM dbo.numbered WHERE who = '{number}'") == found, (number, found)
