"""Harness of the integration tests: real processes, real sockets, Python's standard library only.

How to write a test
-------------------
Put a function `test_<what it shows>(t)` into tests/integration/test_<topic>.py. It is run in a process of its own:

    from harness import *

    @timeout(60)                      # seconds, default 60; over it the test fails and everything is killed
    def test_limit_holds(t):
        redis = t.redis()
        server = t.sqlserver()                                        # stand-in SQL Server
        bucket = t.bucket("b1", server, max_connections=5, queue_timeout="1s")
        proxies = [t.proxy([bucket], redis=redis, proxy={"max_queue_size": 10}) for _ in range(3)]
        lb = t.haproxy(proxies)
        crowd = t.crowd(lb, encrypt="full")                           # raw TDS sessions, hundreds from one thread
        crowd.open(5)
        crowd.wait_state(HELD, 5)
        assert server.connections() == 5 and redis.slots("b1") == 5
        late = crowd.open(3)
        crowd.wait_all(members=late)
        assert crowd.errors() == {50004: 3}, crowd.errors()
        crowd.release()
        crowd.wait_all()
        wait_until(lambda: redis.slots("b1") == 0, 5, "all slots back")

The test passes when it returns. After it, everything is stopped in reverse order, and it still fails if a process does
not end with status 0 on SIGTERM, if a log holds a sanitizer's report, or if anything is left: a process, a session in a
proxy, a connection at a server, a slot in Redis (leftovers.py). On failure the tails of all logs are printed. Never sleep for a fixed time: wait_until(predicate, seconds, what) polls with a deadline;
holds_for(predicate, seconds, what) asserts that something stays true.

What `t` makes (all return objects of this package; every process has .pid .running .stop() .kill() .pause() .resume()
.signal() .wait(seconds) .wait_log(text) .log_text(); .spawn()/.start() again after stop or kill):

    t.redis(settings={...}, password=...)   .port .addr .cmd(...) .slots(bucket) .instance_slots(inst, bucket)
                                            .get_int(key) .hash(key) .members(key) .connect()
    t.sqlserver(encrypt="off|on|forced|none", user=, password=, database=, args=[...])
                                            .port .connections() .peak() .reset_peak() .stats() .sessions() .state(client)
                                            .set(switch, value) .kill_all() .control(line)
    t.seed(server, path=...)                runs a .sql file on it (default: what scenario `basic` needs); returns it
    t.bucket(id, server, max_connections, **keys)      an entry of buckets.yaml
    t.proxy(buckets, redis=, instance_id=, proxy={keys}, redis_keys={}, fallback={}, args=[], env={}, start=False)
                                            .port .health_port .metrics_port .health(path) .component(name)
                                            .accepting() .metrics() .metric(name, **labels) .wait_metric(...)
                                            .wait_ready_to_serve() .write_config() .reload()
                                            Defaults: passthrough, beats of 1 s, ttl 3 s (PROXY_DEFAULTS).
    t.prometheus(proxies)                   .query(expr) .firing() .wait_firing(...) .wait_quiet(...): see prometheus.py
    t.browser()                             .open(url) .ask(javascript) .look(width, dark=) .screenshot(path): Chromium
    t.haproxy(proxies)                      .port .states() .wait_state(proxy_name, "DOWN") .ask(stats command)
    t.crowd(target, encrypt=, query=)       .open(n, hold=, abrupt=) .release() .wait_state() .wait_all() .errors()
                                            .members[i].state .error_number .login_seconds .rows
    t.client(target, encrypt=)              a raw session: .query(sql).rows .scalar(sql) .ask(sql).errors
                                            .rpc(name or ProcID, *parameters) .tran(TRAN_BEGIN) .send(sql) .attention()
                                            .receive() .session .socket .close(); status=STATUS_RESET on any request
    t.driver(name, target, scenario, encrypt=, **options)   a real driver (tests/clients): .rc .out .error
    ToolsService(t.folder)                  the back end of Azure Data Studio, as its windows drive it: toolsservice.py
    Play(t, name, target, [Plan(1), ...])   a real driver that plays the test's own plan: plan.py
    t.process(argv)                         anything else
    t.certificate()                         (cert file, key file) for localhost, self-signed
    t.cutter(port)                          a TCP relay that can cut connections: see cutter.py

    try_login(port, user, password, database, encrypt=) -> None or the TdsError (number, text)
    free_port() http_get(port, path) promtool_check(text) proc_rss_kib(pid) proc_cpu_seconds(pid) proc_fd_count(pid)
    drivers(encrypt) -> names of the drivers that can do it

Decorators: @timeout(seconds), @full (only with `run --full`: what takes long), @cases(a=[...], b=[...]) runs the test
once per combination, given as keyword arguments.

Running: tests/integration/run [-k pattern] [--list] [--build DIR] [--full] [-j N] [--keep]
"""

from .clients import capabilities, drivers
from .context import Test
from .crowd import CONNECTING, DONE, FAILED, HELD, REFUSED, Crowd
from .decorators import cases, full, timeout
from .metrics import Metrics, promtool_check
from .plan import Plan, Play, plainest
from .ports import free_port
from .process import Process, proc_cpu_seconds, proc_fd_count, proc_rss_kib, proc_state
from .redis import RedisError, RespConnection
from .sqlserver import DATABASE, PASSWORD
from .tds import TdsClient, TdsClosed, TdsError, TdsProtocolError, try_login
from .waiting import HarnessError, holds_for, http_get, port_open, wait_until
