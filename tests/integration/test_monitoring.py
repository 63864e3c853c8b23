"""Prometheus over three proxies: every expression of the dashboard and of the alerts, and each alert by its cause."""

import json
import math
import os
import re
import threading
import time

from harness import *
from harness.prometheus import REPOSITORY, RULES, faster, promtool_parses

DASHBOARD = os.path.join(REPOSITORY, "deployments", "grafana", "dashboards", "tdsbouncer.json")
ROWS = ["Overview", "Pinning", "Queue", "Latency", "Errors", "Redis", "Instances"]
TTL = 35  # seconds without a heartbeat of the alert; the proxies of the tests beat every second


class Load:
    """Clients in threads that do something again and again until they are stopped; what failed is in `errors`."""

    def __init__(self, t):
        self.stopping = threading.Event()
        self.threads, self.errors = [], []
        t.closers.append(self.stop)

    def add(self, work, *args):
        def run():
            while not self.stopping.is_set():
                try:
                    work(self.stopping, *args)
                except (OSError, TdsClosed, TdsError) as error:
                    self.errors.append(error)
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        self.threads = []


def connect(proxy, bucket, server, port=None, password=None):
    return TdsClient(port or proxy.port, f"sa@{bucket}" if port is None else "sa", password or server.password, server.database)


def of_dashboard():
    """{panel: [expression]} with its variables set, as Grafana would."""
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    assert [p["title"] for p in dashboard["panels"] if p["type"] == "row"] == ROWS
    datasource = {"type": "prometheus", "uid": "tdsbouncer"}
    found, row = {}, None
    for panel in dashboard["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        for target in panel.get("targets", []):
            assert target["datasource"] == panel["datasource"] == datasource, panel["title"]
            expr = target["expr"].replace("$__rate_interval", "4s").replace("$bucket", ".*").replace("$instance", ".*")
            found.setdefault(f"{row}: {panel['title']}", []).append(expr)
    for query in [v["query"]["query"] for v in dashboard["templating"]["list"]]:
        series, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups()
        found[f"variable {query}"] = [f"count by ({label}) ({series})"]
    return found


def of_rules():
    """[(alert or record, expression)]"""
    with open(RULES, encoding="utf-8") as file:
        rules = file.read()
    found = re.findall(r"- (?:alert|record): (\S+)\n\s+expr: >-\n((?: {10}.*\n)+)", rules)
    assert len(found) == rules.count("expr:"), "rules of another form"
    return [(name, " ".join(expr.split())) for name, expr in found]


@timeout(90)
def test_every_panel_shows_data(t):
    redis, server = t.redis(), t.sqlserver()
    buckets = [t.bucket("b1", server, 7), t.bucket("b2", server, 20)]  # b1: two thirds of who want one get one
    proxies = [t.proxy(buckets, redis=redis, proxy={"pool_mode": "transaction"}) for _ in range(3)]
    for proxy in proxies:
        proxy.wait_ready_to_serve()
    dashboard, rules = of_dashboard(), of_rules()
    assert promtool_parses(t.folder, [e for es in dashboard.values() for e in es] + [e for _, e in rules]) is None
    prometheus = t.prometheus(proxies)

    def transactions(stopping, proxy):
        with connect(proxy, "b1", server) as client:
            while not stopping.is_set():
                client.query("BEGIN TRAN")
                client.query("CREATE TABLE #t (i int); DROP TABLE #t")
                client.query("COMMIT")

    def logins(stopping, proxy):
        with connect(proxy, "b2", server) as client:
            client.query("SET DATEFIRST 3")
            client.query("SELECT 1")
        time.sleep(0.1)

    load = Load(t)
    for proxy in proxies:
        for _ in range(3):
            load.add(transactions, proxy)
        load.add(logins, proxy)

    def without_data():
        found = {}
        for panel, expressions in dashboard.items():
            for expr in expressions:
                values = [value for _, value in prometheus.query(expr)]
                if not values or all(math.isnan(v) for v in values):
                    found[panel] = expr
        return found

    wait_until(lambda: without_data() == {}, 40, lambda: f"data for {without_data()}", interval=0.5)
    assert len(prometheus.query("proxy_build_info")) == 3
    assert {labels["bucket_id"] for labels, _ in prometheus.query("tdsbouncer:slot_drift")} == {"b1", "b2"}
    load.stop()
    assert not load.errors, load.errors


def test_alerts_name_the_runbook(t):
    with open(RULES, encoding="utf-8") as file:
        rules = file.read()
    with open(os.path.join(REPOSITORY, "docs", "runbook.md"), encoding="utf-8") as file:
        headings = {f"docs/runbook.md#{line[3:].strip().lower()}" for line in file if line.startswith("## ")}
    links = re.findall(r"runbook: (\S+)", rules)
    assert len(links) == rules.count("- alert:") and set(links) <= headings, set(links) - headings


def quick_rules():
    with open(RULES, encoding="utf-8") as file:
        text = file.read()
    assert text.count(f"> {TTL}\n") == 1
    return faster(text).replace(f"> {TTL}\n", "> 4\n")


@timeout(180)
def test_alerts_fire_and_clear(t):
    """All causes but that of Redis at once, each on a bucket of its own; then Redis."""
    redis = t.redis()
    server, frozen, lost = t.sqlserver(), t.sqlserver(), t.sqlserver()
    own_port = free_port()
    crowded = t.bucket("crowded", server, 4, queue_timeout="2s", max_queue_size=2, defer_begin=False)
    early = t.bucket("early", frozen, 4, pool_mode="passthrough", listen_port=own_port, health_probe="off")
    gone, refusing, unseen = t.bucket("gone", lost, 4), t.bucket("refusing", server, 4), t.bucket("unseen", server, 4)
    buckets = [crowded, early, gone, refusing, unseen]
    ports = [own_port, free_port(), free_port()]
    proxies = [t.proxy([b if b is not early else {**early, "listen_port": port} for b in buckets], redis=redis,
                       proxy={"pool_mode": "transaction", "release_timeout": "500ms"}) for port in ports]
    for proxy in proxies:
        proxy.wait_ready_to_serve()
    prometheus = t.prometheus(proxies, rules=quick_rules())
    wait_until(lambda: len(prometheus.query("up == 1")) == 3, 10, "three targets")
    stranger = t.proxy([unseen], redis=redis, proxy={"pool_mode": "transaction"})  # which nobody scrapes
    stranger.wait_ready_to_serve()
    prometheus.wait_quiet(15, "before anything happens")

    client = connect(proxies[0], "early", frozen, port=own_port)
    frozen.pause()
    client.close()
    lost.kill()
    proxies[2].kill()
    with connect(stranger, "unseen", server) as other:
        other.query("SELECT 1")  # keeps a connection in its pool
    holders = [connect(proxies[n % 2], "crowded", server) for n in range(4)]
    for holder in holders:
        holder.query("BEGIN TRAN")
        holder.query("SELECT 1")

    def waits(stopping):
        with connect(proxies[0], "crowded", server) as waiting:
            while not stopping.is_set():
                waiting.ask("SELECT 1")  # 50004

    def guesses(stopping):
        error = try_login(proxies[1].port, "sa@refusing", "wrong", server.database)
        assert error is not None and error.number == 18456, error
        time.sleep(0.1)

    load = Load(t)
    for _ in range(3):
        load.add(waits)
        time.sleep(0.6)  # they do not give up all at once
    load.add(guesses)
    prometheus.wait_firing({("TdsbouncerSlotsExcess", "early", ""), ("TdsbouncerServerDown", "gone", ""),
                            ("TdsbouncerInstanceDown", "", str(proxies[2].metrics_port)),
                            ("TdsbouncerSlotDrift", "unseen", ""), ("TdsbouncerErrors", "refusing", ""),
                            ("TdsbouncerNearLimit", "crowded", ""), ("TdsbouncerPinnedShare", "crowded", ""),
                            ("TdsbouncerQueue", "crowded", ""), ("TdsbouncerQueueWait", "crowded", ""),
                            ("TdsbouncerQueueRejecting", "crowded", "")}, 40, "all but Redis")
    assert not {name for name, *_ in prometheus.firing()} & {"TdsbouncerFallback", "TdsbouncerHeartbeatMissing"}

    load.stop()
    for holder in holders:
        holder.close()
    frozen.resume()
    lost.start()
    stranger.stop()
    proxies[2].start()
    prometheus.wait_quiet(40, "after all has been put right")

    redis.pause()
    ports = [str(proxy.metrics_port) for proxy in proxies]
    prometheus.wait_firing({(name, "", port) for name in ("TdsbouncerFallback", "TdsbouncerHeartbeatMissing") for port in ports},
                           30, "without Redis")
    redis.resume()
    prometheus.wait_quiet(30, "with Redis again")
