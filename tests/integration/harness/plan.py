"""Programs of the real drivers that play a plan of the test's own: its lines are those of tests/clients/mix.py."""

import json
import os
import re
import sys

from .clients import CLIENTS, capabilities, command
from .waiting import wait_until

sys.path.insert(0, CLIENTS)
import mix  # noqa: E402


def plainest(driver):
    """The encryption mode that costs least."""
    return capabilities()[driver]["encrypt"][0]


class Plan:
    """The lines of one connection. `database`: another one than that of the program."""

    def __init__(self, owner, database=None):
        self.lines = []
        self.put("client", owner, *([database] if database else []))

    def put(self, *fields):
        line = "\t".join(map(str, fields))
        assert "\n" not in line, line
        self.lines.append(line)

    def do(self, text):
        """A batch of which nothing is expected but that it does not fail."""
        self.put("batch", text, "-")

    def rows(self, text, *rows):
        self.put("batch", text, mix.rows(*rows))

    def writes(self, text, values, count):
        """Rows affected by a statement with parameters @p1, @p2 ..."""
        self.put("ask", text, mix.parameters(*values), mix.affected(count))

    def prepare(self, name, text, types):
        self.put("prepare", name, text, types)

    def run(self, name, values, *rows):
        self.put("run", name, mix.parameters(*values), mix.rows(*rows))

    def run_writes(self, name, values, count):
        self.put("run", name, mix.parameters(*values), mix.affected(count))


class Play:
    """One program with a connection for each plan, all connected before the first begins."""

    def __init__(self, t, driver, target, plans, **options):
        self.driver, self.count = driver, len(plans)
        self.path = os.path.join(t.folder, f"plan-{driver}-{len(t.processes)}")
        with open(self.path, "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for plan in plans for line in plan.lines)
        keys = {**t.credentials(), "plan": self.path, **options}
        argv = command(driver, "127.0.0.1", getattr(target, "port", target), "mix", plainest(driver), **keys)
        self.process = t.process(argv, name=f"play-{driver}", env={"TDSBOUNCER_BUILD": t.build}, exit_ok=None)

    def waiting(self, word):
        """How many connections have come to this `wait`."""
        return len(re.findall(rf"^waiting {word}$", self.process.log_text(), re.M))

    def wait_all(self, word, seconds):
        wait_until(lambda: self.waiting(word) == self.count or not self.process.running, seconds,
                   lambda: f"{self.driver}: {self.waiting(word)} of {self.count} at {word}\n{self.process.log_tail()}", 0.2)
        assert self.process.running, self.process.log_tail()

    def go(self, word):
        with open(f"{self.path}.{word}", "w", encoding="utf-8"):
            pass

    def report(self, seconds):
        """Its end: what it counted. Nothing failed, and every answer was right."""
        status = self.process.wait(seconds)
        lines = self.process.log_text().strip().splitlines()
        assert lines and lines[-1].startswith("{"), self.process.log_tail()
        found = json.loads(lines[-1])
        assert (status, found["errors"], found["wrong"], found["connections"]) == (0, 0, 0, self.count), found
        return found
