"""What must be back at zero when a test is over: client sessions and used connections in every proxy, connections at
every server, slots in Redis. Looked at after each test, unless it has killed or paused what it would ask."""

from .proxy import Proxy
from .redis import Redis
from .sqlserver import SqlServer
from .waiting import HarnessError, wait_until

PATIENCE = 8.0  # seconds; release_timeout is 5


def _answers(process):
    return process.running and not process.paused and not process.killed


def _complaint(what, left, patience):
    """None once left() is empty, else what it is."""
    try:
        wait_until(lambda: not left(), patience, what)
        return None
    except HarnessError:
        return f"{what}: {left()}"
    except (OSError, ValueError):
        return None  # it does not answer (any more): its end is judged elsewhere


def _in_use(proxy):
    """Series of a proxy that should be 0 when its clients have gone."""
    metrics = proxy.metrics()
    names = ("proxy_client_connections", "proxy_connections_active", "proxy_connections_pinned", "proxy_queue_length")
    return {f"{name} {labels}": value for name in names for labels, value in metrics.matching(name) if value != 0}


def in_proxies(processes, patience=PATIENCE):
    """Before the proxies are stopped, when all clients are closed."""
    proxies = [p for p in processes if isinstance(p, Proxy) and _answers(p)]
    found = [_complaint(f"left in {p.name}", lambda p=p: _in_use(p), patience) for p in proxies]
    return [complaint for complaint in found if complaint]


def behind_proxies(processes, patience=PATIENCE):
    """When the proxies have ended: nothing at the servers, and in Redis unless one of them was killed."""
    proxies = [p for p in processes if isinstance(p, Proxy)]
    servers = [p for p in processes if isinstance(p, SqlServer) and _answers(p)] if proxies else []
    found = [_complaint(f"connections left at {s.name}", s.connections, patience) for s in servers]
    if not any(p.ever_killed for p in processes):
        for redis in (p for p in processes if isinstance(p, Redis) and _answers(p)):
            found.append(_complaint(f"slots left in {redis.name}", lambda r=redis: _slots(r), patience))
    return [complaint for complaint in found if complaint]


def _slots(redis):
    return {key: count for key in redis.cmd("KEYS", "*:bucket:*:count") if (count := redis.get_int(key, 0)) != 0}
