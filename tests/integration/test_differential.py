"""Whatever a session does, the answers are those of the server itself. See differential/__init__.py.

DIFFERENTIAL_SEED=<n> plays the same scripts again.
"""

import json
import os
import random
import sys

from harness import *
from harness.tds import TdsClient
from differential.generator import MOVES, Generator
from differential.kinds import DATABASES, PASSWORD, USERS
from differential.moves_objects import SETUP
from differential.shrink import Shrinker, answers, report

HERE = os.path.dirname(os.path.abspath(__file__))
WORKERS, THREADS = 3, 17  # 51 sessions at a time: each is among 50 others
REQUESTS = 40             # of a script
CONNECTIONS = {"session": WORKERS * THREADS + 5, "transaction": 5}
NARROW = {"session": 3, "transaction": 1}
SWITCHES = {"announcing": {}, "silent": {"silent-transactions": 1}, "no_database_reset": {"no-database-reset": 1},
            "as_babelfish": {"silent-transactions": 1, "no-database-reset": 1, "inner-outlives": 1,
                            "no-table-variable-identity": 1}}

SILENT = [name for name, switches in SWITCHES.items() if "silent-transactions" in switches]
STAYS = [name for name, switches in SWITCHES.items() if "no-database-reset" in switches]
LEFT_OUT = {"as_babelfish": ["reset_by_name"]}  # it has no such procedure


def server_of(t, server_is):
    """With the users, databases and procedures that scripts want."""
    server = t.sqlserver(args=[text for name in DATABASES for text in ("--database", name)])
    for user in USERS:
        server.login("add", user, PASSWORD)
    for name in DATABASES:
        with TdsClient(server.port, server.user, server.password, name) as client:
            for text in SETUP:
                client.query(text)
    for name, value in SWITCHES[server_is].items():
        server.set(name, value)
    server.wait_connections(0)
    return server


def proxy_of(t, server, mode, connections, **keys):
    bucket = t.bucket("b1", server, connections, health_probe="off", queue_timeout="120s", **keys)
    return t.proxy([bucket], proxy={"pool_mode": mode, "log_level": "info", "max_queue_size": 0})


def play(t, direct, proxy, seed, scripts, server_is, first=0, without=()):
    """Plays the scripts from number `first` on. Returns what the workers found, added up."""
    jobs = [{"seed": seed, "direct": direct.port, "proxied": proxy.port, "first": first + w, "step": WORKERS,
             "threads": THREADS, "count": (scripts - w + WORKERS - 1) // WORKERS, "requests": REQUESTS,
             "silent": server_is in SILENT, "stays": server_is in STAYS, "without": list(without),
             "result": os.path.join(t.folder, f"share-{w}.json")}
            for w in range(WORKERS)]
    workers = [t.process([sys.executable, os.path.join(HERE, "differential", "worker.py"), json.dumps(job)])
               for job in jobs]
    for worker in workers:
        assert worker.wait(300) == 0, worker.log_tail()
    results = []
    for job in jobs:
        with open(job["result"], encoding="utf-8") as file:
            results.append(json.load(file))
    done = {}
    for name, count in (item for result in results for item in result["done"].items()):
        done[name] = done.get(name, 0) + count
    return {"done": done, "differences": [d for result in results for d in result["differences"]],
            **{key: sum(result[key] for result in results) for key in ("scripts", "requests", "sessions")}}


def explain(found, direct, narrow, seed, server_is):
    """A difference in words, and a shorter script that shows it too, if there is one, between a server and what `narrow`
    makes the port of."""
    script = "\n".join(f"  {i}: {line}" for i, line in enumerate(found["script"]))
    text = [f"DIFFERENTIAL_SEED={seed}: script {found['number']} ({found['kind']}), step {found['step']}:", script,
            *answers(found["expected"], found["got"])]
    if found["expected"] is not None:
        generator = Generator(seed, found["number"], server_is in SILENT, server_is in STAYS, REQUESTS, LEFT_OUT.get(server_is, ()))
        steps = generator.script()[:found["step"]]
        shrinker = Shrinker(direct.port, narrow().port, generator.kind)
        shorter = shrinker.shortest(steps)
        text.append("Shorter:\n" + report(shorter, shrinker.last) if shorter is not None else
                    "Played alone beside one other session it does not differ.")
    return "\n".join(text)


def compare(t, scripts, mode, server_is, rounds=1):
    direct, behind = server_of(t, server_is), server_of(t, server_is)
    proxy = proxy_of(t, behind, mode, CONNECTIONS[mode])
    seed = int(os.environ.get("DIFFERENTIAL_SEED") or random.randrange(1 << 32))
    print(f"DIFFERENTIAL_SEED={seed}", flush=True)
    totals = {}
    for n in range(rounds):
        result = play(t, direct, proxy, seed, scripts, server_is, n * scripts, LEFT_OUT.get(server_is, ()))
        if result["differences"]:
            found = min(result["differences"], key=lambda d: d["step"])
            raise AssertionError(f"{len(result['differences'])} scripts differ\n"
                                 + explain(found, direct, lambda: proxy_of(t, behind, mode, NARROW[mode]), seed, server_is))
        for name, count in result["done"].items():
            totals[name] = totals.get(name, 0) + count
    missing = {move.__name__ for move in MOVES} - set(totals) - set(LEFT_OUT.get(server_is, ()))
    missing -= {"begin_by_request"} if server_is in SILENT else set()
    assert len(missing) <= (0 if rounds > 1 else 8), f"never done: {missing}"
    assert behind.peak() <= CONNECTIONS[mode] + 1, "one more was the test's own"
    wait_until(lambda: proxy.metrics().sum("proxy_connections_pinned", bucket_id="b1") == 0, 10, "no pin is left")
    print(json.dumps({**{k: result[k] for k in ("scripts", "requests", "sessions")}, "moves": sum(totals.values()),
                      "peak": behind.peak(), "logins": behind.stats()["logins_total"], "resets": behind.stats()["resets_total"]}))


@timeout(300)
@cases(mode=["session", "transaction"], server_is=list(SWITCHES))
def test_same_answers(t, mode, server_is):
    """About 5,000 requests on a server that tells all, half as many on those that tell less."""
    compare(t, 125 if server_is == "announcing" else 63, mode, server_is)


@timeout(120)
def test_differences_are_seen(t):
    """Against a server that does not announce transactions, and one whose resets leave the database."""
    for server_is in ("silent", "no_database_reset"):
        direct, other = server_of(t, "announcing"), server_of(t, server_is)
        seed = int(os.environ.get("DIFFERENTIAL_SEED") or 1)
        result = play(t, direct, other, seed, 60, "announcing")
        found = min(result["differences"], key=lambda d: d["step"])
        text = explain(found, direct, lambda: other, seed, "announcing")
        assert "Shorter:" in text and "they part at token" in text, text
        shorter = text[text.index("Shorter:"):]
        print(f"{server_is}:\n{shorter}", flush=True)
        assert ("envchange" if server_is == "silent" else "use ") in shorter.lower(), shorter


@full
@timeout(3000)
@cases(mode=["session", "transaction"], server_is=list(SWITCHES))
def test_same_answers_to_many(t, mode, server_is):
    """100,000 requests."""
    compare(t, 250, mode, server_is, rounds=10)
