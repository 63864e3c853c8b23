"""For the tests of transaction mode: a proxy of few server connections, what it holds, and kinds of servers.

POOL_MODE=session runs the same tests in session mode, with connections enough, as far as answers go: what is held between
two requests is not looked at there.
"""

import os

from harness import wait_until
from harness.tds import STATUS_RESET, TDS71, TDS74
from test_standin_state import STATE

MODE = os.environ.get("POOL_MODE", "transaction")
SERVERS = ["announcing", "silent", "TDS 7.1"]
ELSEWHERE = SERVERS[1:]
OTHER = "other_db"
ENV_RESET = 18


def server_and_clients(t, server_is, *more):
    """A server of that kind, with a second database, and the keys that clients of it are made with."""
    server = t.sqlserver(args=["--database", OTHER, *more])
    if server_is == "silent":
        server.set("silent-transactions", 1)
    return server, {"prelogin": False, "tds_version": TDS71} if server_is == "TDS 7.1" else {"tds_version": TDS74}


def pooled(t, server, connections=1, bucket=None, **proxy_keys):
    """A proxy with so many server connections; health checks out of the way. BEGIN TRAN pins (test_transaction_begin)."""
    limit = connections if MODE == "transaction" else connections + 20
    entry = t.bucket("b1", server, limit, **{"health_probe": "off", "queue_timeout": "30s", "defer_begin": False, **(bucket or {})})
    return t.proxy([entry], proxy={"pool_mode": MODE, "health_check_interval": "1h", **proxy_keys})


def held(proxy):
    """(server connections in use, {pin reason: how many now})."""
    metrics = proxy.metrics()
    pins = {labels["pin_reason"]: int(n) for labels, n in metrics.matching("proxy_connections_pinned", bucket_id="b1") if n}
    return int(metrics.get("proxy_connections_active", 0, bucket_id="b1")), pins


def pins_so_far(proxy):
    """{pin reason: how many pins have ended}."""
    found = proxy.metrics().matching("proxy_pinning_duration_seconds_count", bucket_id="b1")
    return {labels["pin_reason"]: int(n) for labels, n in found if n}


def wait_free(proxy, why, seconds=10):
    """No server connection is held."""
    if MODE == "transaction":
        wait_until(lambda: held(proxy) == (0, {}), seconds, lambda: f"{why}: nothing held, but it is {held(proxy)}")


def wait_pinned(proxy, reason, why, count=1):
    """So many server connections are held, each for this reason."""
    if MODE == "transaction":
        wanted = (count, {reason: count})
        wait_until(lambda: held(proxy) == wanted, 10, lambda: f"{why}: {wanted}, but it is {held(proxy)}")


def wait_idle(proxy, count):
    """So many connections in the pool, none in use."""
    wait_until(lambda: (held(proxy)[0], proxy.metric("proxy_connections_idle", bucket_id="b1")) == (0, count), 10,
               f"{count} idle server connections, none busy")


def look(client, status=0):
    """Everything that a session can see of itself, but for the isolation level. It is read without pinning."""
    text = STATE[:STATE.index(", (SELECT date_format")]
    assert "@@SPID" not in text
    return client.query(text, status).rows


def level(client):
    """The isolation level, without @@SPID."""
    return dict(client.query("DBCC USEROPTIONS").rows)["isolation level"]


def reset(client, text="SELECT 1", status=STATUS_RESET):
    """A request with the client's own reset, which must be acknowledged once, first of all."""
    answer = client.query(text, status)
    assert answer.env_kinds().count(ENV_RESET) == 1 and answer.env_kinds()[0] == ENV_RESET, answer.env
    return answer


def outcome(answer):
    """An answer as it must be the same twice, for comparing."""
    return {"errors": [(e.number, e.severity, e.text) for e in answer.errors], "infos": [(e.number, e.text) for e in answer.infos],
            "env": [e for e in answer.env if e[0] not in (8, 9, 10)], "columns": answer.columns, "rows": answer.rows,
            "dones": [(token, status, count if status & 0x10 else None) for token, status, _, count in answer.dones]}
