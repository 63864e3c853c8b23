"""What of a script is enough to show a difference: played alone, beside one other session on the same connection."""

import itertools
import threading
import time

from harness.tds import TdsClosed, TdsProtocolError
from isolation.wire import Wire
from .player import Begin, Player, difference

NUISANCES = ["SET ROWCOUNT 1; SET DATEFIRST 2; SET LANGUAGE Svenska; SET NOCOUNT ON", "SELECT 1/0 AS other", "USE master",
             "EXEC('SET DATEFIRST 3')", "DECLARE @t TABLE (i int IDENTITY(777, 1), n int); INSERT INTO @t (n) VALUES (1)",
             "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT 'other' AS t"]

SHOWN = 200  # characters of a token


class Nuisance:
    """A session that uses the connection between the script's requests, whenever it is free."""

    def __init__(self, port, kind):
        self.port, self.kind, self.over = port, kind, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(30)

    def _run(self):
        try:
            wire = Wire(self.port, self.kind)
            for text in itertools.cycle(NUISANCES):
                if self.over.is_set():
                    break
                wire.ask(text)
            wire.close()
        except (TdsClosed, TdsProtocolError, OSError):
            pass


class Shrinker:
    """`direct`, `narrow`: ports of a server and of a proxy that has one connection to another one."""

    def __init__(self, direct, narrow, kind, seconds=20.0):
        self.direct, self.narrow, self.kind = direct, narrow, kind
        self.deadline = time.monotonic() + seconds
        self.number = 90_000_000  # every try has tables of its own
        self.last = None

    def differs(self, steps):
        """The step that differs, or None. Remembers both answers."""
        self.number += 1
        expected = Player(self.direct, self.kind, self.number).play(steps)
        with Nuisance(self.narrow, self.kind):
            got = Player(self.narrow, self.kind, self.number).play(steps, expected)
        step = difference(steps, expected, got)
        if step is not None:
            self.last = (step, expected[step], got[step] if step < len(got) else None)
        return step

    def shortest(self, steps):
        """A shorter script that differs as well, or None if it does not when played here."""
        step = self.differs(steps)
        if step is None:
            return None
        steps, last = steps[:step], self.last
        size = max(1, len(steps) // 2)
        while size >= 1 and time.monotonic() < self.deadline:
            at = 0
            while at < len(steps) and time.monotonic() < self.deadline:
                fewer = steps[:at] + steps[at + size:]
                step = self.differs(fewer)
                if step is None:
                    at += size
                else:
                    steps, last = fewer[:step], self.last
            size = size // 2
        self.last = last
        return steps


def report(steps, last):
    step, expected, got = last
    lines = [str(s) for s in [Begin(), *steps]]
    return "\n".join([*(f"  {i}: {line}" for i, line in enumerate(lines)), f"  step {step}", *answers(expected, got)])


def answers(expected, got):
    """Both answers, token by token, and where they part."""
    lines = []
    for what, messages in (("direct", expected), ("proxied", got)):
        lines.append(f"    {what}:")
        for i, found in enumerate(messages or [["nothing"]]):
            lines += [f"      message {i + 1}: {str(token)[:SHOWN]}" for token in found] or [f"      message {i + 1}: empty"]
    flat = [[tuple(token) for message in messages or [] for token in message] for messages in (expected, got)]
    parting = next((i for i, (a, b) in enumerate(zip(*flat)) if a != b), min(map(len, flat)))
    lines.append(f"    they part at token {parting + 1}")
    lines += [f"      {tokens[parting]}" for tokens in flat if parting < len(tokens)]
    return lines
