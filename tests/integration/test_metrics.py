"""The series hold what has happened: counted by hand here, by the server there, in every mode that can see it."""

from harness import *
from harness.mars import Mars
from harness.tds import TDS72, TRAN_BEGIN, TRAN_COMMIT, handle_parameter
from test_login_tokens import sspi_login, sspi_server

PREPARE, EXECUTE = 11, 12  # ProcIDs


def quiet(t, buckets, **keys):
    """A proxy without probes."""
    entries = [{**b, "health_probe": "off", "defer_begin": False} for b in buckets]
    return t.proxy(entries, proxy={"health_check_interval": "1h", **keys})


def packets(proxy, direction):
    """{type: packets} in one direction, without zeros."""
    found = proxy.metrics().matching("proxy_tds_packets_total", bucket_id="b1", direction=direction)
    return {labels["type"]: int(n) for labels, n in found if n}


def by(proxy, name, label, **labels):
    """{value of a label: the series' value}, without zeros."""
    return {found[label]: int(n) for found, n in proxy.metrics().matching(name, bucket_id="b1", **labels) if n}


def settled(proxy, what):
    """What was acquired has been released, and nobody is there."""
    def check():
        m = proxy.metrics()
        status = lambda s: m.get("proxy_connections_total", bucket_id="b1", status=s)
        assert status("acquired") + status("acquired_after_wait") == status("released"), by(proxy, "proxy_connections_total", "status")
        assert m.get("proxy_clients", bucket_id="b1") == 0 and m.sum("proxy_connections_pinned", bucket_id="b1") == 0
        return True
    wait_until(check, 15, what)


def five_requests(client):
    client.query("SELECT 1")
    client.query("SELECT 2")
    client.rpc("sp_executesql", "SELECT 3")
    client.tran(TRAN_BEGIN)
    client.tran(TRAN_COMMIT)


@timeout(60)
@cases(mode=["transaction", "session"])
def test_packets_logins_and_requests(t, mode):
    server = t.sqlserver()
    proxy = quiet(t, [t.bucket("b1", server, 5)], pool_mode=mode)
    for _ in range(2):
        client = t.client(proxy)
        five_requests(client)
        client.attention()
        client.receive()
        client.close()
        wait_until(lambda: proxy.metric("proxy_connections_idle", bucket_id="b1") == 1, 10, "the next one finds it clean")
    assert try_login(proxy.port, server.user, "wrong", server.database).number == 18456
    settled(proxy, f"{mode}: all given back")
    assert packets(proxy, "client_to_proxy") == {"prelogin": 3, "login": 3, "batch": 4, "rpc": 2, "tm": 4, "attention": 2}
    answers = {"prelogin": 3, "login": 3, "response": 12}  # the attentions': an idle server, or the proxy
    assert packets(proxy, "proxy_to_client") == answers
    assert by(proxy, "proxy_logins_total", "result") == {"server": 1, "record": 1, "refused": 1}
    assert proxy.metric("proxy_query_duration_seconds_count", bucket_id="b1") == 10
    stats, sent = server.stats(), packets(proxy, "proxy_to_server")
    assert sent["batch"] == stats["batches_total"] and sent["rpc"] == stats["rpcs_total"] == 2, (sent, stats)
    assert sent["tm"] == stats["tran_requests_total"] == 4 and sent["prelogin"] == sent["login"] == 2 == stats["prelogins_total"], sent
    assert sent.get("attention", 0) == stats["attentions_total"], (sent, stats)
    answered = packets(proxy, "server_to_proxy")
    assert answered["prelogin"] == answered["login"] == 2 and answered["response"] == stats["requests_total"] + stats["attentions_total"], answered
    wait_until(lambda: len(by(proxy, "proxy_tds_bytes_total", "direction")) == 4, 5, "bytes in every direction")
    assert promtool_check(proxy.metrics_text()) is None


@timeout(60)
def test_mars_is_counted_too(t):
    server = t.sqlserver(args=["--mars"])
    proxy = quiet(t, [t.bucket("b1", server, 5)], pool_mode="transaction", mars="dedicate")
    mars = Mars(t.client(proxy, mars=1))
    one, two = mars.open(), mars.open()
    for session in (one, two, one):
        assert session.scalar("SELECT 1") == 1
    wait_until(lambda: by(proxy, "proxy_pins_total", "pin_reason") == by(proxy, "proxy_connections_pinned", "pin_reason") == {"mars": 1}, 5, "the pin")
    mars.client.close()
    settled(proxy, "its connection given back")
    for direction in ("client_to_proxy", "proxy_to_server"):
        assert packets(proxy, direction) == {"prelogin": 1, "login": 1, "batch": 3}, packets(proxy, direction)
    for direction in ("server_to_proxy", "proxy_to_client"):
        assert packets(proxy, direction) == {"prelogin": 1, "login": 1, "response": 3}, packets(proxy, direction)
    assert proxy.metric("proxy_query_duration_seconds_count", bucket_id="b1") == 3
    assert proxy.metric("proxy_pinning_duration_seconds_count", bucket_id="b1", pin_reason="mars") == 1
    assert by(proxy, "proxy_logins_total", "result") == {"dedicated": 1}


@timeout(60)
def test_a_dedicated_login_is_a_pin(t):
    server = sspi_server(t)
    proxy = quiet(t, [t.bucket("b1", server, 5)], pool_mode="session")
    one = sspi_login(proxy)[1]
    assert one.client.scalar("SELECT 1") == 1
    wait_until(lambda: by(proxy, "proxy_connections_pinned", "pin_reason") == {"auth": 1}, 5, "pinned for its login")
    one.client.close()
    settled(proxy, "its connection given back")
    assert by(proxy, "proxy_pins_total", "pin_reason") == {"auth": 1} and by(proxy, "proxy_logins_total", "result") == {"dedicated": 1}
    assert proxy.metric("proxy_pinning_duration_seconds_count", bucket_id="b1", pin_reason="auth") == 1
    assert packets(proxy, "client_to_proxy")["sspi"] == packets(proxy, "proxy_to_server")["sspi"] == 1
    assert packets(proxy, "server_to_proxy")["login"] == packets(proxy, "proxy_to_client")["login"] == 2  # the challenge, the answer


@timeout(60)
def test_passthrough_sees_preludes_and_bytes(t):
    server = t.sqlserver()
    proxy = quiet(t, [t.bucket("b1", server, 5)], pool_mode="passthrough")
    for encrypt in ("off", "full"):
        client = t.client(proxy, encrypt=encrypt)
        five_requests(client)
        client.close()
    settled(proxy, "all given back")
    for direction in ("client_to_proxy", "proxy_to_server", "server_to_proxy", "proxy_to_client"):
        assert packets(proxy, direction) == {"prelogin": 2}, (direction, packets(proxy, direction))
    wait_until(lambda: len(by(proxy, "proxy_tds_bytes_total", "direction")) == 4, 5, "the bytes told")
    moved = by(proxy, "proxy_tds_bytes_total", "direction")
    assert moved["client_to_proxy"] == moved["proxy_to_server"] > 1000 < moved["server_to_proxy"] == moved["proxy_to_client"], moved
    m = proxy.metrics()
    for unseen in ("proxy_query_duration_seconds_count", "proxy_logins_total", "proxy_pins_total", "proxy_attached_total"):
        assert m.sum(unseen, bucket_id="b1") == 0, unseen


@timeout(60)
def test_how_requests_find_their_connection(t):
    server = t.sqlserver()
    t.client(server).query("CREATE PROCEDURE dbo.p_plain AS SELECT 1 AS n")
    proxy = quiet(t, [t.bucket("b1", server, 1)], pool_mode="transaction")
    found = lambda: by(proxy, "proxy_attached_total", "how")

    def finds(request, **how):
        before = found()
        request()
        wanted = {name: before.get(name, 0) + how.get(name, 0) for name in {**before, **how}}
        wait_until(lambda: found() == wanted, 5, lambda: f"{how}: {wanted}, but it is {found()}")

    one, two = t.client(proxy), t.client(proxy)
    finds(lambda: one.query("SELECT 1"), exact=1)
    finds(lambda: one.query("SET DATEFIRST 3"), exact=1)
    finds(lambda: one.query("SELECT @@DATEFIRST"), exact=1)
    finds(lambda: two.query("SELECT 1"), replayed=1)
    finds(lambda: one.query("SELECT 1"), replayed=1)
    assert by(proxy, "proxy_state_replays_total", "outcome") == {"done": 2}
    finds(lambda: one.query("EXEC dbo.p_plain"), exact=1)
    finds(lambda: two.query("SELECT 1"), reset=1)  # whatever the procedure has done
    other = t.client(proxy, tds_version=TDS72)  # in a pool of its own: its login takes the slot
    finds(lambda: one.query("SELECT 1"), taken_over=1)
    m = proxy.metrics()
    got = m.get("proxy_connections_total", bucket_id="b1", status="acquired") + \
        m.get("proxy_connections_total", bucket_id="b1", status="acquired_after_wait")
    assert sum(found().values()) == got - by(proxy, "proxy_logins_total", "result")["server"], (found(), got)
    for client in (one, two, other):
        client.close()


@timeout(60)
def test_prepared_statements_and_resets(t):
    server = t.sqlserver()
    proxy = quiet(t, [t.bucket("b1", server, 2)], pool_mode="transaction")
    calls = lambda: by(proxy, "proxy_prepared_calls_total", "how")
    one, two = t.client(proxy), t.client(proxy)
    handle = one.rpc(PREPARE, handle_parameter(), "", "SELECT 7").return_values[0][2]
    assert one.rpc(EXECUTE, handle).rows == [[7]]
    wait_until(lambda: calls() == {"prepared": 1, "in_place": 1}, 5, lambda: f"prepared and executed, but it is {calls()}")
    two.query("BEGIN TRAN")
    two.query("SELECT 1")  # keeps the connection on which it is prepared
    assert one.rpc(EXECUTE, handle).rows == [[7]] and one.rpc(EXECUTE, handle).rows == [[7]]
    assert one.rpc(EXECUTE, 12345).errors[0].number == 8179
    wait_until(lambda: calls() == {"prepared": 1, "in_place": 2, "moved": 1, "unknown": 1}, 5, lambda: f"moved, but it is {calls()}")
    assert by(proxy, "proxy_attached_total", "how")["opened"] == 1
    one.query("SELECT 1", status=8)  # the client's own reset
    two.close()                      # its transaction is rolled back, its connection cleaned
    wait_until(lambda: {"client", "alone"} <= set(by(proxy, "proxy_session_resets_total", "how")), 5, "both resets counted")
    one.close()
    settled(proxy, "all given back")


@timeout(60)
def test_tls_handshakes_by_version(t):
    server = t.sqlserver()
    proxy = quiet(t, [t.bucket("b1", server, 5)], pool_mode="session")
    for encrypt in ("off", "login", "full", "strict"):
        t.client(proxy, encrypt=encrypt).close()
    seen = lambda side: {labels["version"]: int(n) for labels, n in proxy.metrics().matching("proxy_tls_handshakes_total", side=side, resumed="false")}
    wait_until(lambda: seen("client") == {"TLSv1.2": 2, "TLSv1.3": 1}, 10, lambda: f"clients' handshakes, but it is {seen('client')}")
    assert sum(seen("server").values()) == server.stats()["tls_full_total"] == 1


@timeout(60)
def test_the_process_is_told(t):
    redis, server = t.redis(), t.sqlserver()
    proxies = [t.proxy([t.bucket("b1", server, 5)], redis=redis, proxy={"pool_mode": "transaction"}) for _ in range(2)]
    for proxy in proxies:
        proxy.wait_ready_to_serve()
    [proxy, other] = proxies
    with t.client(proxy) as client:
        client.query("SELECT 1")
        proxy.wait_metric("proxy_clients", 1, bucket_id="b1")
    proxy.wait_metric("proxy_instances", 2)
    proxy.wait_metric("proxy_redis_state", 1, state="normal")
    assert proxy.metric("proxy_accepting") == 1 and proxy.metric("proxy_server_up", bucket_id="b1") == 1
    wait_until(lambda: [p.metric("proxy_slots_in_use", bucket_id="b1") for p in proxies] == [redis.slots("b1")] * 2, 10,
               "every instance knows what Redis counts")
    assert proxy.metric("proxy_redis_latency_seconds_count") >= 2
    rss, fds = proxy.metric("process_resident_memory_bytes") / 1024, proxy.metric("process_open_fds")
    assert 0.5 < rss / proc_rss_kib(proxy.pid) < 2 and abs(fds - proc_fd_count(proxy.pid)) < 8, (rss, fds)
    before = proc_cpu_seconds(proxy.pid)
    told = proxy.metric("process_cpu_seconds_total")
    assert before - 0.1 <= told <= proc_cpu_seconds(proxy.pid) + 0.1, (before, told)
    [(labels, one)] = proxy.metrics().matching("proxy_build_info")
    assert one == 1 and labels["version"] in t.run([proxy.argv[0], "--version"]).stdout, labels
    redis.pause()
    proxy.wait_metric("proxy_redis_state", 1, state="fallback", timeout=20)
    assert proxy.metric("proxy_redis_state", state="normal") == 0 and proxy.metric("proxy_fallback_active") == 1
    redis.resume()
    proxy.wait_metric("proxy_redis_state", 1, state="normal", timeout=20)
