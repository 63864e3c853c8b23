#!/usr/bin/env python3
"""Plays a share of the sessions. The argument is JSON: seed, server, ports, kinds, first, count, step, threads, silent,
result (the file for it). The result is JSON: sessions, failures, what was done how often."""

import collections
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from isolation import kinds as kinds_module
from isolation.check import Reference
from isolation.player import play

FAILURES_MAX = 20


class Share:
    def __init__(self, job):
        self.job = job
        self.kinds = kinds_module.SETS[job["kinds"]]()
        self.references = {kind.name: Reference(job["server"], kind) for kind in self.kinds}
        self.lock = threading.Lock()
        self.next = 0
        self.played, self.failures, self.done = 0, [], collections.Counter()

    def take(self):
        """The number of the next session, or None."""
        with self.lock:
            if self.next >= self.job["count"] or len(self.failures) >= FAILURES_MAX:
                return None
            self.next += 1
            return self.job["first"] + (self.next - 1) * self.job["step"]

    def report(self, session, complaint):
        with self.lock:
            self.played += 1
            self.done.update(session.history)
            if complaint:
                self.failures.append(f"session {session.number} ({session.kind.name}, {' '.join(session.history)}): "
                                     f"{complaint}")

    def run(self):
        left = []
        while (number := self.take()) is not None:
            complaint, session = play(self.job["seed"], number, self.kinds, self.references, self.job["ports"],
                                      self.job["silent"], left)
            left = session.leaves
            self.report(session, complaint)


def main():
    job = json.loads(sys.argv[1])
    share = Share(job)
    threads = [threading.Thread(target=share.run) for _ in range(job["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open(job["result"], "w", encoding="utf-8") as file:
        json.dump({"sessions": share.played, "failures": share.failures, "done": share.done}, file)


main()
