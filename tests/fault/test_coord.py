"""The coordinator against a real Redis: sharing, deaths, pauses, limits changed at run time (docs/architecture.md).

The invariant in nearly all of them: the slots held over all agents, counted at every grant, never exceed the limit.
"""

import subprocess
import time

from faultlib import INTERVAL, LIMIT, SETTLE, TTL, Relay, free_port, wait_until

STRICT = ("--no-fallback",)  # takes no slots without Redis, so the invariant is exact at all times


def test_race_for_one_limit(t):
    t.redis()
    agents = t.agents(3, *STRICT, "--poll", 5)
    for a in agents:
        a.line("churn 0 40")
    wait_until(lambda: t.tally.grants() > 3000, 20, "3000 grants")
    assert t.tally.peak() == LIMIT, t.tally.peak()
    for a in agents:
        a.hold(10)
    t.exact(*agents)
    for a in agents:
        a.hold(0)
    t.exact(*agents)
    assert t.server.slots("b1") == 0


def test_waiter_is_woken_by_release(t):
    """Pub/Sub: a freed slot reaches a waiter on another instance long before its own poll."""
    t.redis()
    holder, waiter = t.agents(2, "--poll", 5000, buckets=("b1:1",))
    holder.hold(1)
    holder.wait_held(1)
    waiter.hold(1)
    wait_until(lambda: waiter.bucket()["full"] > 0, 2, "refused")
    start = time.monotonic()
    holder.hold(0)
    waiter.wait_held(1, timeout=2)
    assert time.monotonic() - start < 1
    t.never_above(1)


def test_newcomer_gets_its_share(t):
    """Three instances hold everything and want more; a fourth comes, and in the end all hold the same."""
    t.redis()
    options = (*STRICT, "--fair", 100)
    old = t.agents(3, *options)
    for agent in old:
        agent.hold(LIMIT)
    wait_until(lambda: t.tally.total() == LIMIT and max(a.held() for a in old) - min(a.held() for a in old) <= 1, 10,
               "equal shares of three")
    before = [a.bucket()["granted"] for a in old]
    new = t.agent("a4", *options)
    new.hold(LIMIT)
    wait_until(lambda: new.held() >= LIMIT // 4 and t.tally.total() == LIMIT, 10, "a quarter for the fourth")
    assert all(a.held() <= LIMIT // 4 + 1 for a in (*old, new)), [a.held() for a in (*old, new)]
    taken_back = sum(a.bucket()["granted"] for a in old) - sum(before)
    assert taken_back <= 3, f"what was given for the newcomer was taken by others {taken_back} times"
    t.never_above()
    t.exact(*old, new)
    time.sleep(1)  # ten intervals: nothing goes to and fro
    granted = [a.bucket()["granted"] for a in (*old, new)]
    time.sleep(1)
    assert granted == [a.bucket()["granted"] for a in (*old, new)]


def test_who_cannot_give_stops_being_asked(t):
    """A slot that nobody lets go of is not owed for ever: the holder asks for more again once nobody else waits."""
    t.redis()
    holder, asker = t.agents(2, *STRICT, "--fair", 100, buckets=("b1:4",))
    holder.hold(4, obey=False)
    holder.wait_held(4)
    asker.hold(1)
    wait_until(lambda: holder.bucket()["surplus"] == 1, 2, "one slot is asked back")
    asker.line("hold 0 0")
    wait_until(lambda: holder.bucket()["surplus"] == 0, 2, "not any more")
    assert holder.held() == 4


def test_ceiling(t):
    """The upper layer's own limit: nothing is granted above it, though Redis would."""
    t.redis()
    a = t.agent("a1")
    a.line("ceiling 0 3")
    a.hold(10)
    a.wait_held(3)
    wait_until(lambda: a.bucket()["full"] > 3, 2, "refused")
    assert a.held() == 3
    a.line("ceiling 0 7")
    a.wait_held(7)


def test_killed_agent_is_reaped(t):
    t.redis()
    a, b = t.agents(2)
    a.hold(20)
    a.wait_held(20)
    b.hold(LIMIT)
    b.wait_held(30)
    time.sleep(SETTLE)  # nobody is reaped in the first moments after a start
    a.kill()
    a.bury()
    start = time.monotonic()
    b.wait_held(LIMIT, timeout=5)
    took = time.monotonic() - start
    assert took < (TTL + INTERVAL) / 1000 + 0.5, f"took {took:.2f} s"
    assert t.server.members("proxy:instances") == {"a2"}
    t.never_above()
    t.exact(b)
    assert "reap" in b.log_text()


def test_redis_stalled_beyond_ttl(t):
    """Every heartbeat expires while Redis stands still; the owners live, so nobody may be reaped."""
    t.redis()
    a, b, c, thirsty = t.agents(4, *STRICT)
    for agent, number in ((a, 20), (b, 20), (c, 10)):
        agent.hold(number, obey=False)
        agent.wait_held(number)
    thirsty.hold(LIMIT)
    time.sleep(SETTLE)
    for _ in range(2):
        t.server.pause()
        time.sleep(2.5 * TTL / 1000)
        assert "fallback" in a.modes()
        t.server.resume()
        for agent in (a, b, c, thirsty):
            agent.wait_mode("normal")
        time.sleep(3 * TTL / 1000)
        assert t.server.members("proxy:instances") == {"a1", "a2", "a3", "a4"}
        t.never_above()
        t.exact(a, b, c, thirsty)
    a.hold(15, obey=False)
    thirsty.wait_held(5)
    t.never_above()


def hold_all_and_ask_for_more(t, numbers):
    """Holders that give nothing back by themselves, and one agent that wants all there is."""
    agents = t.agents(len(numbers) + 1, *STRICT)
    for agent, number in zip(agents, numbers):
        agent.hold(number, obey=False)
        agent.wait_held(number)
    agents[-1].hold(LIMIT)
    return agents


def check_recovered(t, agents, since):
    """After lost data: nothing above the limit, exact counts within one heartbeat after settling."""
    for agent in agents:
        agent.wait_mode("normal", timeout=SETTLE + 5)
    settled = time.monotonic()
    t.exact(*agents, timeout=INTERVAL / 1000 + 0.5)
    t.never_above()
    assert settled - since >= SETTLE - INTERVAL / 1000, f"slots were given after {settled - since:.2f} s"
    agents[0].hold(0)
    wait_until(lambda: t.tally.total() == LIMIT, 5, "all slots are used again")
    t.exact(*agents)
    t.never_above()


def test_redis_restarted_empty(t):
    t.redis()
    agents = hold_all_and_ask_for_more(t, (20, 20, 10))
    t.server.kill()
    agents[0].wait_mode("fallback")
    start = time.monotonic()  # they may have registered before the start is seen here
    t.server.start()
    wait_until(lambda: t.server.slots("b1") == LIMIT, INTERVAL / 1000 + 2, "all have registered")
    check_recovered(t, agents, start)
    assert "reconciled" in agents[0].log_text() and "settling" in agents[0].log_text()


def test_redis_restored_with_older_data(t):
    t.redis({"dbfilename": "old.rdb"})
    agents = hold_all_and_ask_for_more(t, (5, 5))
    agents[-1].wait_held(LIMIT - 10)
    agents[-1].hold(10)
    agents[-1].wait_held(10)
    t.exact(*agents)
    assert t.server.cmd("SAVE") == "OK"
    agents[0].hold(20, obey=False)
    agents[0].wait_held(20)
    agents[1].hold(20, obey=False)
    agents[1].wait_held(20)
    agents[-1].hold(LIMIT)  # 20 + 20 + 10: full; the dump says 5 + 5 + 10
    seen = [len(agent.modes()) for agent in agents]
    t.server.kill()
    start = time.monotonic()  # they may have registered before the start is seen here
    t.server.start()
    assert t.server.slots("b1") >= 20
    wait_until(lambda: all("settling" in a.modes()[n:] for a, n in zip(agents, seen)), 3, "everybody settles")
    # The third gives up what it holds (no fallback), as shrink asks, so the total may fall, never rise above the limit.
    for agent in agents:
        agent.wait_mode("normal", timeout=SETTLE + 5)
    assert time.monotonic() - start >= SETTLE - INTERVAL / 1000
    wait_until(lambda: t.tally.total() == LIMIT, 5, "all slots are used again")
    t.exact(*agents, timeout=INTERVAL / 1000 + 0.5)
    t.never_above()


def test_flushall_under_load(t):
    t.redis()
    agents = t.agents(3, *STRICT, "--poll", 5)
    for a in agents:
        a.line("churn 0 40")
    for _ in range(3):
        grants = t.tally.grants()
        wait_until(lambda: t.tally.grants() > grants + 300, 10, "load")
        t.server.cmd("FLUSHALL")
        wait_until(lambda: all(a.modes()[-1] == "settling" for a in agents), 3, "everybody settles")
        wait_until(lambda: all(a.modes()[-1] == "normal" for a in agents), SETTLE + 2, "settled")
    for a in agents:
        a.hold(10)
    t.exact(*agents)
    t.never_above()
    assert t.tally.peak() > LIMIT * 8 // 10


def test_lost_keys_under_load(t):
    """Single keys lost to an operator's DEL or to eviction: the count, the set of instances, the limit, a heartbeat."""
    t.redis()
    agents = t.agents(3, *STRICT, "--poll", 5)
    for a in agents:
        a.line("churn 0 40")
    for key in ("proxy:bucket:b1:count", "proxy:instances", "proxy:bucket:b1:max", "proxy:instance:a1:heartbeat",
                "proxy:bucket:b1:count", "proxy:epoch", "proxy:bucket:b1:count"):
        grants = t.tally.grants()
        wait_until(lambda: t.tally.grants() > grants + 200, 10, f"load before {key}")
        t.server.cmd("DEL", key)
    for a in agents:
        a.hold(10)
    t.exact(*agents, timeout=6)
    t.never_above()


def test_lost_heartbeat_is_no_death(t):
    """DEL (or eviction) of the heartbeat of a quiet instance: it lives, and beats again within its interval."""
    t.redis()
    a, b, thirsty = t.agents(3)
    a.hold(25)
    a.wait_held(25)
    b.hold(25)
    b.wait_held(25)
    thirsty.hold(LIMIT)
    time.sleep(SETTLE)
    for _ in range(5):
        t.server.cmd("DEL", "proxy:instance:a1:heartbeat")
        wait_until(lambda: t.server.cmd("EXISTS", "proxy:instance:a1:heartbeat") == 1, 2, "the next beat")
        time.sleep(INTERVAL / 1000)  # and the others see it
    t.exact(a, b, thirsty)
    t.never_above()
    assert "reap" not in b.log_text() + thirsty.log_text()


def test_lost_numbers_of_one_instance(t):
    """DEL of an instance's hash: its next heartbeat says again what it holds, and the next audit puts the count right."""
    t.redis()
    agents = t.agents(2)
    for a in agents:
        a.hold(15)
        a.wait_held(15)
    t.server.cmd("DEL", "proxy:instance:a1:conns")
    wait_until(lambda: t.server.instance_slots("a1", "b1") == 15, 2, "the next beat")
    t.exact(*agents, timeout=5)
    t.server.cmd("DEL", "proxy:instance:a1:conns")
    agents[0].hold(5)  # a release that finds fewer than it gives back
    t.exact(*agents, timeout=5)
    agents[1].hold(LIMIT)
    agents[1].wait_held(45)
    t.never_above()


def test_script_flush_under_load(t):
    t.redis()
    agents = t.agents(2, *STRICT, "--poll", 5)
    for a in agents:
        a.line("churn 0 40")
    for _ in range(5):
        grants = t.tally.grants()
        t.server.cmd("SCRIPT", "FLUSH")
        wait_until(lambda: t.tally.grants() > grants + 200, 10, "load")
    for a in agents:
        a.hold(10)
    t.exact(*agents)
    t.never_above()
    assert all("fallback" not in a.modes() for a in agents)


def test_paused_agent_is_fenced(t):
    """SIGSTOP beyond the TTL: reaped, its slots taken by others. Awake, it may not use what it holds before it has
    registered; the excess is what it held, nothing is added, and it goes away as slots are given back."""
    t.redis()
    a, b = t.agents(2)
    a.hold(20)
    a.wait_held(20)
    b.hold(LIMIT)
    b.wait_held(30)
    time.sleep(SETTLE)
    a.hold(20, obey=False)
    a.status()
    a.pause()
    b.wait_held(LIMIT, timeout=5)  # reaped
    b.line("obey 0 0")
    wait_until(lambda: b.bucket()["held"] == LIMIT, 1, "b took all")
    a.resume()
    wait_until(lambda: t.server.instance_slots("a1", "b1") == 20, 3, "registered with the true number")
    a.wait_mode("normal")
    t.exact(a, b)
    assert t.server.slots("b1") == 70 and t.tally.peak() == 70, (t.server.slots("b1"), t.tally.peak())
    assert a.ask("allowed 0", "allowed")["allowed"] is True
    wait_until(lambda: a.bucket()["surplus"] > 0 and b.bucket()["surplus"] > 0, 2, "both are asked to shrink")
    for agent in (a, b):
        agent.line("obey 0 1")
    wait_until(lambda: LIMIT - 2 <= t.tally.total() <= LIMIT, 3, "the excess is gone")
    assert t.tally.peak() == 70
    t.exact(a, b)
    wait_until(lambda: t.tally.total() == LIMIT, 3, "all slots are used")


def test_clock_is_compared_at_once(t):
    """After a pause, I/O callbacks may run before timers: what the last timer knew does not count."""
    t.redis()
    a = t.agent("a1")
    a.hold(5)
    a.wait_held(5)
    assert a.ask("allowed 0", "allowed")["allowed"] is True
    assert a.ask(f"stall 0 {TTL + INTERVAL}\nallowed 0", "allowed")["allowed"] is False
    wait_until(lambda: a.modes()[-2:] == ["fallback", "normal"], 3, "fenced, then registered again")
    assert a.ask("allowed 0", "allowed")["allowed"] is True
    t.exact(a)


def test_same_id_twice(t):
    t.redis()
    first = t.agent("first", identity="same")
    second = t.agent("second", identity="same")
    third = t.agent("third", identity="same")
    ids = [x.status()["id"] for x in (first, second, third)]
    assert ids == ["same", "same.2", "same.3"], ids
    for x in (first, second, third):
        x.hold(LIMIT)
    wait_until(lambda: t.tally.total() == LIMIT, 5, "all slots are used")
    t.exact(first, second, third)
    assert "instance id is taken" in second.log_text()
    first.kill()
    first.bury()
    again = t.agent("again", identity="same")  # within the TTL of the crash
    assert again.status()["id"] == "same.4"
    wait_until(lambda: "same" not in t.server.members("proxy:instances"), 6, "the crashed one is reaped")
    wait_until(lambda: t.tally.total() == LIMIT, 5, "its slots are used")
    t.exact(second, third, again)
    t.never_above()


def test_paused_agent_loses_its_id(t):
    """While one is paused another process takes its id: awake, it becomes .2 and says what it holds."""
    t.redis()
    a = t.agent("old", identity="same")
    a.hold(20, obey=False)
    a.wait_held(20)
    a.pause()
    wait_until(lambda: t.server.cmd("EXISTS", "proxy:instance:same:heartbeat") == 0, 3, "expired")
    b = t.agent("new", identity="same", wait=None)
    wait_until(lambda: b.status()["id"] == "same" and t.server.cmd("EXISTS", "proxy:instance:same:heartbeat") == 1, 5)
    a.resume()
    wait_until(lambda: a.status()["id"] == "same.2", 5, "took the next id")
    a.wait_mode("normal")
    t.exact(a, b)


def test_limit_changed_by_operator(t):
    t.redis()
    agents = t.agents(3)
    for a in agents:
        a.hold(LIMIT)
    wait_until(lambda: t.tally.total() == LIMIT, 5, "full")
    cli = ["redis-cli", "-p", str(t.server.port), "SET", "proxy:bucket:b1:max"]
    subprocess.run(cli + ["20"], check=True, stdout=subprocess.DEVNULL)
    start = time.monotonic()
    wait_until(lambda: t.tally.total() <= 20, 3, "holders gave back")
    assert time.monotonic() - start < 2 * INTERVAL / 1000 + 0.3
    wait_until(lambda: t.tally.total() == 20 and all(a.bucket()["surplus"] == 0 for a in agents), 3, "20 in use")
    t.tally.forget_peak()
    time.sleep(3 * INTERVAL / 1000)
    t.never_above(20)
    t.exact(*agents)
    subprocess.run(cli + ["60"], check=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: t.tally.total() == 60, 3, "60 in use")
    t.never_above(60)
    t.exact(*agents)
    wait_until(lambda: all(a.bucket()["max"] == 60 for a in agents), 2, "everybody knows")


def test_lowered_limit_holds_at_once(t):
    """New slots obey a lowered limit before any beat has told of it."""
    t.redis()
    a = t.agent("a1")
    a.hold(10)
    a.wait_held(10)
    t.server.cmd("SET", "proxy:bucket:b1:max", 12)
    a.hold(LIMIT, obey=False)
    wait_until(lambda: a.bucket()["full"] > 0, 2, "refused")
    t.never_above(12)
    assert a.held() == 12


def test_configured_limit(t):
    """A changed configuration wins at start, an operator's limit survives restarts of a proxy with the same one."""
    t.redis()
    a = t.agent("a1", buckets=("b1:50",))
    t.server.cmd("SET", "proxy:bucket:b1:max", 7)
    t.agent("a2", buckets=("b1:50",))
    assert t.server.get_int("proxy:bucket:b1:max") == 7
    t.agent("a3", buckets=("b1:40",))
    assert t.server.get_int("proxy:bucket:b1:max") == 40
    time.sleep(3 * INTERVAL / 1000)  # a1's beats say 50, and do not count
    assert t.server.get_int("proxy:bucket:b1:max") == 40
    wait_until(lambda: a.bucket()["max"] == 40, 2)


def test_auth_select_prefix(t):
    t.redis(password="secret")
    t.server.cmd("ACL", "SETUSER", "proxy", "on", ">pass", "~{proxy}:*", "&{proxy}:*", "+@all", "-config")
    a = t.agent("a1", "--password", "secret", "--db", 5, "--prefix", "{proxy}")
    b = t.agent("a2", "--user", "proxy", "--password", "pass", "--db", 5, "--prefix", "{proxy}")
    a.hold(LIMIT)
    a.wait_held(LIMIT)
    b.hold(LIMIT)
    a.hold(20)
    b.wait_held(30)
    direct = t.server.connect()
    direct.cmd("SELECT", 5)
    assert direct.cmd("GET", "{proxy}:bucket:b1:count") == "50"
    assert set(direct.cmd("SMEMBERS", "{proxy}:instances")) == {"a1", "a2"}
    direct.close()
    assert t.server.cmd("DBSIZE") == 0
    t.never_above()
    wrong = t.agent("a3", "--password", "wrong", wait="fallback")
    assert "AUTH refused" in wrong.status()["message"], wrong.status()


def test_maxmemory_reached(t):
    t.redis()
    a, b = t.agents(2)
    a.hold(LIMIT)
    a.wait_held(LIMIT)
    b.hold(10)
    t.server.cmd("CONFIG", "SET", "maxmemory", 1)
    beats = t.server.cmd("PTTL", "proxy:instance:a1:heartbeat")
    a.hold(20)
    b.wait_held(10)
    t.exact(a, b)
    time.sleep(2 * TTL / 1000)
    assert beats > 0 and t.server.cmd("PTTL", "proxy:instance:a1:heartbeat") > 0
    assert a.modes()[-1] == "normal"
    t.never_above()


def test_eviction_policy_is_warned_about(t):
    t.redis({"maxmemory-policy": "allkeys-lru"})
    t.agent("a1", wait="settling").wait_log("noeviction")


def test_fallback_share(t):
    t.redis()
    a, b = t.agents(2)
    a.hold(30)
    a.wait_held(30)
    b.hold(2)
    b.wait_held(2)
    t.server.kill()
    for agent in (a, b):
        agent.wait_mode("fallback")
    b.hold(LIMIT)
    b.wait_held(16)  # 50 / max(3, 2)
    a.wait_held(16)  # gave back what is above
    assert "proxy_fallback_active 1" in a.metrics()
    time.sleep(0.3)
    assert b.held() == 16
    a.hold(16)
    t.server.start()
    for agent in (a, b):
        agent.wait_mode("normal", timeout=SETTLE + 5)
    b.wait_held(34)
    t.exact(a, b)
    assert "proxy_fallback_active 0" in a.metrics()
    t.never_above()


def test_fallback_disabled(t):
    t.redis()
    a = t.agent("a1", *STRICT)
    a.hold(5)
    a.wait_held(5)
    t.server.kill()
    a.wait_mode("fallback")
    a.wait_held(0)  # all of it is surplus
    before = a.bucket()["unavailable"]
    wait_until(lambda: a.bucket()["unavailable"] > before + 2, 3, "refused")
    assert a.held() == 0 and a.bucket()["share"] == 0


def test_redis_absent_at_start(t):
    a = t.agent("a1", address=f"127.0.0.1:{free_port()}", wait="fallback")
    a.hold(LIMIT)
    a.wait_held(16)
    b = t.agent("a2", address="no-such-host.invalid:6379", wait="fallback")
    b.hold(1)
    b.wait_held(1)


def test_metrics_and_stop(t):
    t.redis()
    a = t.agent("a1")
    a.hold(3)
    a.wait_held(3)
    text = a.metrics()
    for part in ('proxy_redis_operations_total{operation="acquire",status="ok"} 3', 'operation="register",status="ok"',
                 'operation="connect",status="ok"', 'operation="subscribe",status="ok"', 'instance_heartbeat{instance_id="a1"} 1'):
        assert part in text, part
    a.stop()  # deregisters
    assert t.server.slots("b1") == 0
    assert t.server.members("proxy:instances") == set()
    assert t.server.cmd("KEYS", "proxy:instance:*") == []
