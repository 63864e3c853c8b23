"""Prepared statements of real drivers while their server connections change under them.

All drivers that prepare play at once over a few server connections, so that each moves the others; besides, raw clients leave the
connections in a state that has to be reset. Each client's statements name the client, so that a handle of another one is noticed.
"""

import os
import random
import re
import threading

from differential import moves_options, moves_prepared, moves_session
from differential.generator import Generator
from differential.player import Player, difference
from harness import *
from harness.tds import TDS71, handle_parameter
from pooled import pins_so_far, wait_free
from test_differential import LEFT_OUT, REQUESTS, SILENT, STAYS, SWITCHES, answers, proxy_of, server_of
from test_transaction_prepared import EXECUTE, PREPARE, UNPREPARE

DRIVERS = ["dblib", "tedious", "mssql-jdbc", "jtds", "sqlclient", "sqlclient-core", "pyodbc", "mssql-python"]
CONNECTIONS = 3
MOVED = "prepared statement is prepared again"


def prepared_plan(owner, rounds):
    """`mine` is this client's alone, `ours` that of all; `write` has an effect."""
    plan = Plan(owner)
    plan.prepare("mine", f"SELECT @p1 + {owner} AS v", "i")
    plan.prepare("ours", "SELECT @p1 * 2 AS v", "i")
    plan.prepare("write", "INSERT INTO dbo.moved (owner, n) VALUES (@p1, @p2)", "ii")
    written = 0
    for n in range(rounds):
        plan.run("mine", (n,), (n + owner,))
        plan.run("ours", (n,), (2 * n,))
        if n % 10 == 3:
            plan.run_writes("write", (owner, n), 1)
            written += 1
        if n % 20 == 7:
            plan.do(f"SET LOCK_TIMEOUT {10_000 + owner + n}")
        if n % 30 == 11:  # in place, as long as the transaction lasts
            plan.put("begin")
            plan.run_writes("write", (owner, -1), 1)
            plan.run("mine", (n,), (n + owner,))
            plan.put("rollback")
        if n == rounds // 2:
            plan.put("unprepare", "ours")
            plan.prepare("ours", "SELECT @p1 * 2 AS v", "i")
    plan.rows(f"SELECT COUNT(*) AS n, MIN(n) AS least FROM dbo.moved WHERE owner = {owner}", (written, 3))
    for name in ("mine", "ours", "write"):
        plan.put("unprepare", name)
    return plan


class Movers:
    """Raw clients that use the server connections meanwhile, each checking its own statement."""

    def __init__(self, t, proxy, count):
        self.ending, self.failed, self.executions = threading.Event(), [], 0
        clients = [t.client(proxy, **({"prelogin": False, "tds_version": TDS71} if n % 3 == 2 else {})) for n in range(count)]
        self.threads = [threading.Thread(target=self.run, args=(n, client)) for n, client in enumerate(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, n, client):
        try:
            handle = client.rpc(PREPARE, handle_parameter(), "@n int", f"SELECT @n - {n} AS n").return_values[0][2]
            for round_ in range(10 ** 9):
                if self.ending.is_set():
                    break
                client.query(f"SET DATEFIRST {1 + round_ % 7}; EXEC('SELECT 1 AS n')")
                answer = client.rpc(EXECUTE, handle, round_).raise_error()
                assert answer.rows == [[round_ - n]], (answer.rows, round_, n)
                self.executions += 1
                self.ending.wait(0.005)
            client.rpc(UNPREPARE, handle).raise_error()
        except Exception as error:  # a thread's own end would not be seen
            self.failed.append(repr(error))

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.failed, self.failed
        return self.executions


def prepared_among_others(t, server_is, clients, rounds, seconds):
    server = t.sqlserver()
    if server_is == "silent":
        server.set("silent-transactions", 1)
    with t.client(server) as client:
        client.query("CREATE TABLE dbo.moved (owner int, n int)")
    bucket = t.bucket("b1", server, CONNECTIONS, health_probe="off")
    proxy = t.proxy([bucket], proxy={"pool_mode": "transaction", "queue_timeout": "120s", "login_timeout": "120s",
                                     "max_queue_size": 0})
    plays = [Play(t, driver, proxy, [prepared_plan(10_000 * i + n, rounds) for n in range(1, clients + 1)],
                  login_timeout=120, timeout=120) for i, driver in enumerate(DRIVERS)]
    movers = Movers(t, proxy, 3)
    try:
        checks = sum(play.report(seconds)["checks"] for play in plays)
    finally:
        own = movers.end()
    wait_free(proxy, "prepared statements pin nothing")
    moved = len(re.findall(MOVED, proxy.log_text()))
    print(f"    {server_is}: {checks} answers to {clients} clients of each of {len(DRIVERS)} drivers, {own} to raw ones, all right; "
          f"prepared again {moved} times; pins: {pins_so_far(proxy)}", flush=True)
    assert moved > clients * len(DRIVERS) * 3, "more often than there are statements"
    assert set(pins_so_far(proxy)) <= {"transaction"}, pins_so_far(proxy)


@timeout(120)
@cases(server_is=["announcing", "silent"])
def test_prepared_statements_of_all_drivers_move(t, server_is):
    prepared_among_others(t, server_is, 3, 40, 100)


@full
@timeout(1800)
@cases(server_is=["announcing", "silent"])
def test_prepared_statements_of_all_drivers_move_1000_times(t, server_is):
    prepared_among_others(t, server_is, 10, 1000, 1700)


# ------------------------------------------------------------------------------------------------ unprepare and reset

ABOUT_HANDLES = {**moves_prepared.MOVES, **{move: weight // 4 + 1 for move, weight in moves_options.MOVES.items()},
                 moves_session.reset: 8, moves_session.reset_twice: 3, moves_session.reset_by_name: 4}


def script_of(seed, number, server_is):
    generator = Generator(seed, number, server_is in SILENT, server_is in STAYS, requests=REQUESTS)
    generator.moves = {move: weight for move, weight in ABOUT_HANDLES.items() if move.__name__ not in LEFT_OUT.get(server_is, ())}
    generator.script()
    return generator


def compare_scripts(proxy, scripts, expected):
    """Plays them through the proxy, eight at a time. What differed, as text."""
    left, lock, found = list(scripts), threading.Lock(), []

    def play_some():
        while True:
            with lock:
                if not left:
                    return
                number = left.pop()
            generator = scripts[number]
            try:
                got = Player(proxy.port, generator.kind, number).play(generator.steps, expected[number])
                step = difference(generator.steps, expected[number], got)
            except Exception as error:  # a thread's own end would not be seen
                found.append(f"script {number}: {error!r}")
                return
            if step is not None:
                told = [f"  {i}: {one}" for i, one in enumerate(generator.steps[:step])]
                found.append("\n".join([f"script {number} ({generator.kind.name}), step {step}:", *told,
                                        *answers(expected[number][step], got[step] if step < len(got) else None)]))

    threads = [threading.Thread(target=play_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def same_answers_about_handles(t, server_is, count):
    """DIFFERENTIAL_SEED=<n> plays the same scripts again."""
    direct, behind = server_of(t, server_is), server_of(t, server_is)
    proxy = proxy_of(t, behind, "transaction", CONNECTIONS)
    seed = int(os.environ.get("DIFFERENTIAL_SEED") or random.randrange(1 << 32))
    print(f"DIFFERENTIAL_SEED={seed}", flush=True)
    scripts = {number: script_of(seed, number, server_is) for number in range(count)}
    expected = {number: Player(direct.port, one.kind, number).play(one.steps) for number, one in scripts.items()}
    found = compare_scripts(proxy, scripts, expected)
    assert not found, f"{len(found)} of {count} scripts differ, DIFFERENTIAL_SEED={seed}:\n{found[0]}"
    print(f"    {server_is}: {sum(len(one.steps) for one in scripts.values())} requests, the same answers", flush=True)


@timeout(120)
@cases(server_is=["announcing", "silent"])
def test_same_answers_about_handles(t, server_is):
    same_answers_about_handles(t, server_is, 16)


@full
@timeout(1200)
@cases(server_is=list(SWITCHES))
def test_same_answers_about_handles_to_many(t, server_is):
    same_answers_about_handles(t, server_is, 500)
