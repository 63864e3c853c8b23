"""The status page in a browser: what it shows is what /metrics says, on a desk and on a phone, by day and by night."""

import json
import os
import threading

from harness import *

# Everything that the page says of a bucket, and of the whole.
READ = """(() => {
  const number = text => Number(text.replaceAll(",", "").match(/^[0-9.]+/)?.[0]);
  const buckets = {};
  for (const row of document.querySelectorAll("tr[data-bucket]")) {
    const use = row.querySelector("small[data-active]").dataset, shown = {};
    for (const cell of row.querySelectorAll("td[data-field]")) shown[cell.dataset.field] = number(cell.textContent);
    for (const field of ["active", "idle", "limit"]) shown[field] = Number(use[field]);
    shown.text = row.querySelector("small[data-active]").textContent;
    buckets[row.dataset.bucket] = shown;
  }
  const tiles = {};
  for (const tile of document.querySelectorAll("dd[id]")) tiles[tile.id.slice(5)] = number(tile.textContent);
  const bars = id => Object.fromEntries([...document.querySelectorAll(`#${id} [data-name]`)].map(n => [n.dataset.name, number(n.textContent)]));
  const texts = selector => [...document.querySelectorAll(selector)].map(n => n.textContent);
  return {buckets, tiles, pins: bars("pins"), clients: bars("clients"), servers: bars("servers"), instances: texts("#instances li"),
          health: document.getElementById("health").textContent, redis: document.getElementById("redis").textContent,
          components: texts("#components li"), drawn: document.querySelectorAll("#chart path[d^=M]").length};
})()"""
LOOKS = [("desk", {"width": 1280}), ("night", {"width": 1280, "dark": True}),
         ("phone", {"width": 390, "height": 844, "phone": True}), ("phone-night", {"width": 390, "height": 844, "phone": True, "dark": True})]


def of_metrics(proxy, bucket):
    """The same, from /metrics."""
    m = proxy.metrics()
    found = {field: m.get(f"proxy_connections_{name}", bucket_id=bucket) for field, name in (("active", "active"), ("idle", "idle"), ("limit", "max"))}
    return {**found, "queue": m.get("proxy_queue_length", bucket_id=bucket), "clients": m.get("proxy_clients", bucket_id=bucket),
            "pinned": m.sum("proxy_connections_pinned", bucket_id=bucket), "errors": m.sum("proxy_connection_errors_total", bucket_id=bucket)}


def states(proxy):
    return {labels["state"]: n for labels, n in proxy.metrics().matching("proxy_client_connections") if n}


def picture(path):
    with open(path, "rb") as file:
        head = file.read(24)
    assert head[:8] == b"\x89PNG\r\n\x1a\n", path
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


class Work:
    """Clients that ask and ask, for requests per second to be seen."""

    def __init__(self, t, clients):
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(c,)) for c in clients]
        for thread in self.threads:
            thread.start()
        t.closers.append(self.stop)

    def run(self, client):
        while not self.stopping.wait(0.02):
            client.query("SELECT 1")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)


@timeout(120)
def test_page_shows_what_metrics_say(t):
    redis, server = t.redis(), t.sqlserver()
    buckets = [t.bucket("held", server, 4, defer_begin=False, queue_timeout="2m"), t.bucket("busy", server, 10),
               t.bucket("idle", server, 7)]
    proxy, other = (t.proxy(buckets, redis=redis, proxy={"pool_mode": "transaction", "log_level": "info"}) for _ in range(2))
    for p in (proxy, other):
        p.wait_ready_to_serve()
    holders = [t.client(proxy, user="sa@held") for _ in range(4)]
    for client in holders[:3]:
        client.query("BEGIN TRAN")
    holders[3].query("CREATE TABLE #t (i int)")
    waiting = [t.client(proxy, user="sa@held") for _ in range(5)]
    for client in waiting:
        client.send("SELECT 1")
    assert try_login(proxy.port, "sa@busy", "wrong", server.database).number == 18456
    work = Work(t, [t.client(proxy, user="sa@busy") for _ in range(3)])
    browser = t.browser()
    browser.look(1280)
    browser.open(f"http://127.0.0.1:{proxy.health_port}/")
    browser.wait("/[1-9]/.test(document.querySelector('tr[data-bucket=busy] td[data-field=requests]')?.textContent)",
                 what="requests per second on the page")

    def agree():
        page, wanted = browser.ask(READ), {b["id"]: of_metrics(proxy, b["id"]) for b in buckets}
        for bucket, values in wanted.items():
            shown = page["buckets"][bucket]
            if bucket != "busy":  # there, which of them are at work changes all the time
                assert {k: shown[k] for k in values} == values, (bucket, shown, values)
            assert (shown["limit"], shown["clients"], shown["errors"]) == (values["limit"], values["clients"], values["errors"]), (bucket, shown)
        assert page["clients"].get("waiting", 0) == states(proxy)["waiting"] == 5, page["clients"]
        assert page["tiles"]["clients"] == sum(states(proxy).values()), page["tiles"]
        assert page["tiles"]["queue"] == 5 and page["tiles"]["pinned"] == 4 and page["tiles"]["errors"] == 1, page["tiles"]
        assert page["pins"] == {"transaction": 3, "temp_table": 1}, page["pins"]
        return page

    page = wait_until(agree, 15, "page and metrics agree", interval=0.3)
    assert page["buckets"]["held"]["text"].startswith("4 at work, 0 idle"), page["buckets"]["held"]
    assert page["buckets"]["busy"]["requests"] > 0 and page["tiles"]["requests"] > 0 and page["tiles"]["memory"] > 1
    assert sorted(page["instances"]) == sorted([proxy.instance_id, other.instance_id])
    assert page["health"] == "healthy" and page["redis"] == "Redis: normal" and len(page["components"]) == 4
    wait_until(lambda: browser.ask(READ)["drawn"] == 2, 10, "a chart of work and of idleness", interval=0.3)

    backgrounds = set()
    for name, look in LOOKS:
        browser.look(**look)
        at = browser.ask("document.body.dataset.at")
        browser.wait(f"document.body.dataset.at !== '{at}'", what="the next answer")
        assert browser.ask("document.documentElement.scrollWidth") <= look["width"], f"{name}: wider than the window"
        backgrounds.add(browser.ask("getComputedStyle(document.body).backgroundColor"))
        path = os.path.join(t.folder, f"status-{name}.png")
        browser.screenshot(path)
        width, height = picture(path)
        assert width == look["width"] * (2 if look.get("phone") else 1) and height > 900, (name, width, height)
    assert len(backgrounds) == 2, f"light and dark: {backgrounds}"
    assert browser.problems == [], browser.problems
    work.stop()
    for client in holders:
        client.close()
    for client in waiting:
        assert client.receive().rows == [[1]]


@timeout(120)
def test_page_bears_a_restart(t):
    server = t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, 2), t.bucket("b2", server, 3)])
    browser = t.browser()
    browser.look(1280)
    browser.open(f"http://127.0.0.1:{proxy.health_port}/")
    browser.wait("document.body.dataset.at && !document.body.classList.contains('stale')")
    assert browser.ask("document.getElementById('redis').hidden")  # there is none
    browser.ask("(() => { const f = document.getElementById('filter'); f.value = 'B2'; f.dispatchEvent(new Event('input')); })()")
    assert browser.ask("[...document.querySelectorAll('tr[data-bucket]')].map(r => r.dataset.bucket)") == ["b2"]
    browser.ask("document.querySelector('tr[data-bucket=b2] button').click()")
    assert browser.ask("document.getElementById('focus').textContent") == "· b2"
    proxy.stop()
    browser.wait("!document.getElementById('offline').hidden && document.body.classList.contains('stale')", what="the page to say so")
    proxy.start()
    browser.wait("document.getElementById('offline').hidden && !document.body.classList.contains('stale')", what="the page to go on")
    assert browser.ask("[...document.querySelectorAll('tr[data-bucket]')].map(r => r.dataset.bucket)") == ["b2"]


@timeout(60)
def test_history_is_there_before_the_page(t):
    server = t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, 5, health_probe="off")])
    crowd = t.crowd(proxy)
    crowd.open(3)
    crowd.wait_state(HELD, 3)

    def history():
        [bucket] = json.loads(http_get(proxy.health_port, "/history.json")[1])["buckets"]
        return bucket

    wait_until(lambda: history()["active"][-2:] == [3, 3], 20, "two samples of three")
    crowd.release()
    crowd.wait_all()
    wait_until(lambda: history()["active"][-1:] == [0] and 3 in history()["active"], 20, "and none of them any more")
    assert history()["id"] == "b1" and len(history()["queue"]) == len(history()["idle"]) == len(history()["active"])
