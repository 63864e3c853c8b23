"""Plays a script against a port: what comes back is its transcript, a list with a list of messages for each step."""

import re

from harness.tds import STATUS_RESET, TdsClosed, TdsProtocolError, batch_payload, message
from isolation.wire import Wire
from .transcript import DONE_ATTENTION, Names, tokens

NO_HANDLE = 0x3ABCDEF0  # what no server and no proxy ever gave
PATIENCE = 120.0        # seconds: a request may wait for its turn


class Player:
    """`names.transaction` is the descriptor that requests carry. `without`: see without.py."""

    def __init__(self, port, kind, number, without=()):
        self.port, self.kind, self.number, self.tds = port, kind, number, kind.tds
        self.wire, self.wire_packet, self.names, self.without = None, 4096, Names(without), without
        self.messages, self.used = [], []

    # --- for steps

    def login(self):
        self.names.transaction = 0
        self.wire = Wire(self.port, self.kind, PATIENCE)
        self.messages.append(self.names.named(tokens(self.wire.login, self.tds)))

    def value(self, name):
        self.used.append(name)
        return self.names.values.get(name, NO_HANDLE)

    def text(self, template):
        def known(match):
            return f"{self.number:08}" if match[1] == "me" else str(self.value(match[1]))
        return re.sub(r"\{(me|[hc]\d+)\}", known, template)

    def message(self, kind, payload, status=0):
        return message(kind, payload, self.wire_packet, status)

    def batch(self, sql):
        return self.message(1, batch_payload(sql, self.names.transaction, self.tds))

    def request(self, kind, make_payload, step):
        """Sends a request. A reset ends the transaction before it runs."""
        if step.status & STATUS_RESET:
            self.names.transaction = 0
        raw = self.message(kind, make_payload(self.names.transaction), step.status)
        if not step.slow:
            return self.wire.write(raw)
        for i in range(len(raw)):
            self.wire.write(raw[i:i + 1])

    def answer(self, gives=()):
        """Takes one message. Returns its tokens."""
        found = self.names.named(tokens(self.wire.receive(), self.tds), gives, self.used)
        self.messages.append(found)
        return found

    def wait_for_bytes(self):
        """Until an answer has begun to come."""
        data = self.wire.socket.recv(1)
        if not data:
            raise TdsClosed("closed by the server")
        self.wire.buffer += data

    def answers_to_attention(self, keep=True, started=False):
        """Messages up to the acknowledgement. `keep` False: only that it has come is written down. Unless it is known that
        the request has `started` the server may not have seen it, and has told nothing of it then."""
        while True:
            found = self.answer()
            if not keep:
                self.messages.pop()
            elif not started:
                self.messages[-1] = [token for token in found if token[0] not in ("INFO", "ERROR")]
            if found and found[-1][0] == "DONE" and found[-1][1] & DONE_ATTENTION:
                break
        if not keep:
            self.messages.append([("acknowledged",)])

    # --- the whole

    def _step(self, step):
        self.messages, self.used = [], []
        try:
            step.play(self)
        except (TdsClosed, TdsProtocolError, OSError) as error:
            self.messages.append([("LOST", f"{type(error).__name__}: {error}")])
            return False
        return True

    def play(self, steps, expected=None):
        """The transcript. With another one to compare to it ends at the first step that differs."""
        transcript = []
        for number, step in enumerate([Begin(), *steps]):
            going_on = self._step(step)
            transcript.append(self.messages)
            if not going_on or (expected is not None and self.messages != expected[number]):
                break
        if self.wire is not None:
            self.wire.close()
        return transcript


class Begin:
    """The first step of every script."""

    def play(self, player):
        player.login()

    def __str__(self):
        return "LOGIN"


def difference(steps, expected, got):
    """None, or the number of the first step (0: the login) whose answers differ."""
    for number in range(len(steps) + 1):
        if number >= len(got) or number >= len(expected) or expected[number] != got[number]:
            return number
    return None
