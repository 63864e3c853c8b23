"""Scenario `mix` in Python: plays the plan of ../mix.py on many connections at once and compares every answer.

Beyond what common.py asks of a driver: batch(text, wanted) and ask(text, parameters, wanted) -> (rows of all results, rows
affected), prepare(text, types) -> handle, run(handle, parameters, wanted) -> as ask, unprepare(handle), save(name),
back(name), call(procedure, names, parameters, output name) -> (rows, output, status). `wanted` is `=` for rows, `#` for rows
affected, `-` for neither: what this did is asked for by the next request, so none of the client's own may come between.
"""

import argparse
import collections
import json
import os
import re
import threading
import time

from common import DriverError, canonical, say

US, RS = "\x1f", "\x1e"


def read_plan(path):
    """[[fields of a step, ...] of a connection, ...]"""
    connections = []
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if fields[0] == "client":
                connections.append([])
            connections[-1].append(fields)
    return connections


class Tally:
    """What all connections count together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.operations = collections.Counter()
        self.requests = self.checks = self.wrong = self.errors = self.connections = 0
        self.first = ""

    def add(self, name, text=""):
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)
            self.first = self.first or text

    def operation(self, kind):
        if kind != "verify":
            with self.lock:
                self.operations[kind] += 1

    def report(self, driver):
        return json.dumps({"driver": driver, "connections": self.connections, "operations": self.operations,
                           "requests": self.requests, "checks": self.checks, "wrong": self.wrong, "errors": self.errors,
                           "first": self.first}, ensure_ascii=False)


class Player:
    """One connection."""

    def __init__(self, driver, steps, tally):
        self.driver, self.steps, self.tally = driver, steps, tally
        self.captured, self.handles, self.owner = {}, {}, 0

    def text(self, text):
        return re.sub(r"\{(\w+)\}", lambda match: str(self.captured[match[1]]), text)

    def parameter(self, word):
        if word == "n":
            return None
        return {"i": int, "s": str, "$": lambda name: int(self.captured[name])}[word[0]](word[1:])

    def parameters(self, field):
        return [self.parameter(word) for word in field.split(US)]

    def fits(self, cell, value):
        """Whether a value is what the plan says; captures it if the plan says so."""
        if cell[0] == ">":
            self.captured[cell[1:]] = canonical(value)
            return value is not None
        if cell[0] == "n":
            return value is None
        wanted = self.captured.get(cell[1:]) if cell[0] == "$" else cell[1:]
        return value is not None and canonical(value) == wanted

    def check(self, step, good, got):
        self.tally.add("checks")
        if not good:
            self.tally.add("wrong", f"owner {self.owner}: {' '.join(step)}: got {got}")

    def compare(self, step, expected, answer):
        rows, affected = answer
        if expected[0] == "#":
            self.check(step, affected == int(expected[1:]), affected)
        elif expected[0] == "=":
            self.compare_rows(step, expected[1:], rows)

    def compare_rows(self, step, wanted, rows):
        cells = [row.split(US) for row in wanted.split(RS)] if wanted else []
        good = len(cells) == len(rows) and all(
            len(row) == len(found) and all(map(self.fits, row, found)) for row, found in zip(cells, rows))
        self.check(step, good, [list(map(canonical, row)) for row in rows])

    # --- steps

    def do_client(self, step):
        self.owner = int(step[1])

    def do_wait(self, step):
        say(f"waiting {step[1]}")
        while not os.path.exists(f"{self.driver.args.plan}.{step[1]}"):
            time.sleep(0.2)

    def do_operation(self, step):
        self.tally.operation(step[1])
        time.sleep(self.driver.args.think / 1000)

    def do_batch(self, step):
        self.compare(step, step[2], self.driver.batch(self.text(step[1]), step[2][0]))

    def do_ask(self, step):
        self.compare(step, step[3], self.driver.ask(self.text(step[1]), self.parameters(step[2]), step[3][0]))

    def do_prepare(self, step):
        self.handles[step[1]] = self.driver.prepare(step[2], step[3])

    def do_run(self, step):
        self.compare(step, step[3], self.driver.run(self.handles[step[1]], self.parameters(step[2]), step[3][0]))

    def do_unprepare(self, step):
        self.driver.unprepare(self.handles.pop(step[1]))

    def do_call(self, step):
        _, procedure, names, values, expected, output_name, output, status = step
        rows, got_output, got_status = self.driver.call(procedure, names.split(","), self.parameters(values), output_name)
        self.compare_rows(step, expected[1:], rows)
        for cell, got in ((output, got_output), (status, got_status)):
            if cell != "-":
                self.check(step, self.fits(cell, got), got)

    def do_fail(self, step):
        number = 0
        try:
            self.driver.batch(step[1], "=")
        except DriverError as error:
            number = error.number
        self.check(step, number == int(step[2]), number)

    def do_begin(self, _step):
        self.driver.begin()

    def do_commit(self, _step):
        self.driver.commit()

    def do_rollback(self, _step):
        self.driver.rollback()

    def do_save(self, step):
        self.driver.save(step[1])

    def do_back(self, step):
        self.driver.back(step[1])

    def play(self, barrier):
        step = ["connect"]
        try:
            try:
                self.driver.connect()
                self.tally.add("connections")
            finally:
                barrier.wait()  # none begins before all are connected
            for step in self.steps:
                getattr(self, f"do_{step[0]}")(step)
                if step[0] not in ("client", "operation", "wait"):
                    self.tally.add("requests")
            step = ["close"]
            self.driver.close()
        except DriverError as error:
            self.tally.add("errors", f"owner {self.owner}: {' '.join(step)}: {error.number} {error.text}")
        except Exception as error:  # the driver's own way to fail, or the client's: it must not go unnoticed in a thread
            self.tally.add("errors", f"owner {self.owner}: {' '.join(step)}: {error!r}")


def arguments_of(args, steps):
    """With the database of its own that a connection may have."""
    return argparse.Namespace(**{**vars(args), "database": steps[0][2]}) if len(steps[0]) > 2 else args


def scenario_mix(make, args):
    """The exit status."""
    plan, tally = read_plan(args.plan), Tally()
    barrier = threading.Barrier(len(plan))
    threads = [threading.Thread(target=Player(make(arguments_of(args, steps)), steps, tally).play, args=(barrier,)) for steps in plan]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(tally.report(args.driver))
    return 3 if tally.errors or tally.wrong else 0
