#!/usr/bin/env python3
"""Plays a share of the scripts. The argument is JSON: seed, direct, proxied (ports), first, count, step, threads,
requests, silent, stays, without (what scripts do not do), result (the file for it). The result is JSON: scripts,
requests, sessions, what was done how often, differences [{number, step, expected, got, script}]."""

import collections
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from differential.generator import Generator
from differential.player import Begin, Player, difference
from differential.steps import Leave

DIFFERENCES_MAX = 5


class Share:
    def __init__(self, job):
        self.job, self.lock = job, threading.Lock()
        self.numbers = [job["first"] + i * job["step"] for i in range(job["count"])]
        self.scripts = {}
        self.transcripts = {}
        self.differences, self.done, self.sessions, self.requests = [], collections.Counter(), 0, 0

    def make(self, number):
        generator = Generator(self.job["seed"], number, self.job["silent"], self.job["stays"], self.job["requests"],
                              self.job["without"])
        generator.script()
        self.done.update(generator.names)
        self.sessions += 1 + sum(isinstance(step, Leave) for step in generator.steps)
        self.requests += len(generator.steps)
        return generator

    def player(self, where, kind, number):
        return Player(self.job[where], kind, number, self.job["without"])

    def play_alone(self):
        """The reference: each script on its own, directly at the server."""
        for number in self.numbers:
            generator = self.scripts[number] = self.make(number)
            transcript = self.player("direct", generator.kind, number).play(generator.steps)
            self.transcripts[number] = transcript
            lost = next((token for token in transcript[-1][-1] if token[0] == "LOST"), None)
            if lost:
                self.report(number, generator, len(transcript) - 1, None, transcript)

    def report(self, number, generator, step, expected, got):
        shown = [str(s) for s in [Begin(), *generator.steps][:step + 1]]
        with self.lock:
            self.differences.append({"number": number, "kind": generator.kind.name, "step": step, "script": shown,
                                     "expected": expected and expected[step],
                                     "got": got[step] if step < len(got) else None})

    def play_through_proxy(self):
        while True:
            with self.lock:
                if not self.numbers or len(self.differences) >= DIFFERENCES_MAX:
                    return
                number = self.numbers.pop()
            generator, expected = self.scripts[number], self.transcripts.pop(number)
            got = self.player("proxied", generator.kind, number).play(generator.steps, expected)
            step = difference(generator.steps, expected, got)
            if step is not None:
                self.report(number, generator, step, expected, got)


def main():
    job = json.loads(sys.argv[1])
    share = Share(job)
    share.play_alone()
    if not share.differences:
        threads = [threading.Thread(target=share.play_through_proxy) for _ in range(job["threads"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with open(job["result"], "w", encoding="utf-8") as file:
        json.dump({"scripts": job["count"], "requests": share.requests, "sessions": share.sessions, "done": share.done,
                   "differences": share.differences}, file, default=repr)


main()
