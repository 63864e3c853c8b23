"""One session: it looks, it does, it vanishes."""

import random
import socket
import time

from harness.tds import TdsClosed, TdsProtocolError
from . import check, moves, vanish
from .wire import Wire

PATIENCE = 20.0  # seconds that the cleaning after a session may take


def pick(chance, weights):
    return chance.choices(list(weights), list(weights.values()))[0]


class Failed(Exception):
    """What a session has seen is not as it should be."""


class Session:
    """`leaves`: [(what, number, database)] that must be gone once it has gone."""

    def __init__(self, number, chance, kind, reference, ports, silent):
        self.number, self.kind, self.reference, self.silent = number, kind, reference, silent
        self.port = chance.choice(ports)
        self.wire, self.leaves, self.history = None, [], []
        self.forget()
        self.level = "READ COMMITTED"
        self.database = kind.database

    def forget(self):
        """What a reset takes away; the isolation level stays."""
        self.context, self.blind, self.resettable, self.database = None, False, True, self.kind.database

    def fail(self, text):
        raise Failed(text)

    def leave(self, what):
        self.leaves.append((what, self.number, self.database))

    def ask(self, request):
        answer = self.wire.ask(request)
        for kind, value, _ in answer.env:
            if kind == 1:
                self.database = value
        own = [e for e in answer.errors if 50000 <= e.number <= 50010 or e.severity >= 20]
        if own:
            self.fail(f"{own[0].number} {own[0].text}")
        return answer

    # --- first

    def look(self, chance):
        """Nothing here may differ from what the server tells a new session."""
        steps = list(check.STEPS)
        for step in steps if chance.random() < 0.3 else steps[:2]:
            got = self.wire.exchange(check.STEPS[step](self.wire))
            if got != self.reference.steps[step]:
                self.fail(f"TRACE in {step}: " + check.difference(got, self.reference.steps[step], self.kind.tds))
            self.history.append(step)

    def look_with_reset(self):
        """As drivers with a pool do: the reset bit on the very first request."""
        payload = self.wire.exchange(self.wire.batch(check.LOOK, check.STATUS_RESET))
        seen = check.rows(self.wire, payload)
        if seen != self.reference.with_reset:
            self.fail("TRACE behind a reset: " + check.row_difference(seen, self.reference.with_reset))

    def look_for_left(self, left):
        """What an earlier session had is gone, or goes now."""
        for what, number, database in left:
            if what == "lock":
                answer = self.ask(f"USE {database}; DECLARE @r int; EXEC @r = sp_getapplock 'own-{number}', 'Exclusive', "
                                  f"'Session', {int(PATIENCE * 1000)}; SELECT @r; "
                                  f"IF @r >= 0 EXEC sp_releaseapplock 'own-{number}', 'Session'")
                if not answer.rows or answer.rows[0][0] < 0:
                    self.fail(f"TRACE: the lock of session {number}, which is gone, is still held")
                continue
            until = time.monotonic() + PATIENCE
            while self.ask(f"SELECT OBJECT_ID('tempdb..##g_{number}')").rows != [[None]]:
                if time.monotonic() > until:
                    self.fail(f"TRACE: ##g_{number} of a session that is gone is still there")
                time.sleep(0.01)

    # --- then

    def act(self, chance):
        for _ in range(chance.randrange(5)):
            move = pick(chance, moves.MOVES)
            self.history.append(move.__name__)
            move(self, chance)
        if self.context is not None and not self.blind and chance.random() < 0.5:
            seen = self.ask("SET ROWCOUNT 0; SELECT CONTEXT_INFO()").rows
            if seen and seen[0][0][:4] != self.context.to_bytes(4, "big"):
                self.fail(f"its own CONTEXT_INFO is {seen}")

    def half_login(self, chance):
        """A stranger who never finishes."""
        data = self.kind.hello + self.kind.login
        with socket.create_connection(("127.0.0.1", self.port), 20) as other:
            other.sendall(data[:chance.randrange(len(data))])

    def end(self, chance):
        how = pick(chance, vanish.ENDS)
        self.history.append(how.__name__)
        if not self.blind or how is not vanish.mid_answer:  # NOEXEC: there is no answer to be in the middle of
            how(self, chance)

    def play(self, chance, left):
        """None, or what was wrong."""
        abrupt = chance.random() < 0.4
        try:
            self.wire = Wire(self.port, self.kind)
            facts = check.login_facts(self.wire)
            if facts != self.reference.login:
                self.fail(f"login answer {facts} instead of {self.reference.login}")
            first = chance.random()
            if first < 0.08:
                self.history.append("look with reset")
                self.look_with_reset()
            elif first < 0.95:  # the others do their work, or vanish, without
                self.look(chance)
            self.look_for_left(left)
            self.act(chance)
            self.end(chance)
            return None
        except Failed as failed:
            return str(failed)
        except (TdsClosed, TdsProtocolError, OSError) as error:
            return repr(error)
        finally:
            if self.wire is not None:
                self.wire.close(abrupt)


def play(seed, number, kinds, references, ports, silent, left):
    """Returns (complaint or None, the Session)."""
    chance = random.Random(f"{seed}/{number}")
    kind = chance.choices(kinds, [k.weight for k in kinds])[0]
    session = Session(number, chance, kind, references[kind.name], ports, silent)
    return session.play(chance, left), session
