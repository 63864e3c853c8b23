"""Makes scripts. A move (moves_*.py) takes the Generator and adds steps; the Generator knows roughly in what state the
session is, as far as that decides what may come next. What a script does to the server is exact all the same: it is
compared, not predicted.

Rules that keep a script's answers the same whenever it runs, and whatever others do:
  - tables, global names and locks carry the script's number ({me}), those that end with the session its count too;
  - no LOCK_TIMEOUT shorter than minutes; no write in a second database while a transaction is open;
  - what may or may not have run (cancelled at once, cut off) has no effect;
  - a handle that a reset or a disconnect took is not used again once another was made: numbers may repeat.
"""

import random

from harness.tds import STATUS_RESET, STATUS_RESET_SKIP_TRAN
from harness.tds_tokens import TDS72, TDS73A
from . import (moves_cursors, moves_objects, moves_options, moves_prepared, moves_session, moves_transactions, moves_values,
               moves_wire)
from .kinds import kind_of
from .steps import Batch, Rpc, Tran
from .without import BARE_LOGIN, KEEPING_RESET

MOVES = {**moves_options.MOVES, **moves_transactions.MOVES, **moves_objects.MOVES, **moves_prepared.MOVES,
         **moves_cursors.MOVES, **moves_values.MOVES, **moves_session.MOVES, **moves_wire.MOVES}
GOING_ON = (moves_objects.use_temp_table, moves_objects.drop_temp_table, moves_prepared.execute, moves_prepared.unprepare,
            moves_prepared.execute_in_text, moves_prepared.wrong_parameters, moves_cursors.close, moves_cursors.fetch_again,
            moves_cursors.end_language_cursor, moves_transactions.work, moves_transactions.savepoint)


class Handles:
    """Prepared handles or cursors by name: alive, and gone but safe to ask for."""

    def __init__(self, letter):
        self.letter, self.made = letter, 0
        self.alive, self.gone = {}, []

    def new(self, what):
        self.made += 1
        name = f"{self.letter}{self.made}"
        self.alive[name] = what
        self.gone = []
        return name

    def drop(self, name):
        del self.alive[name]
        self.gone = [name]

    def drop_all(self):
        self.gone = list(self.alive)[-1:]
        self.alive = {}


class Generator:
    """`tran`: 0 none, above: open, None: maybe. `silent`: the server does not tell of transactions. `stays`: a reset
    leaves the database as it is. `without`: names of moves that are left out, and what without.py has."""

    def __init__(self, seed, number, silent=False, stays=False, requests=40, without=()):
        self.chance = random.Random(f"{seed}/{number}")
        self.kind = kind_of(self.chance)
        if BARE_LOGIN in without:
            self.kind.greet()
        self.tds, self.home = self.kind.tds, self.kind.database
        self.silent, self.stays, self.requests, self.without = silent, stays, requests, without
        self.moves = {move: weight for move, weight in MOVES.items() if move.__name__ not in without}
        self.steps, self.names = [], []
        self.session = 0
        self.handles, self.cursors = Handles("h"), Handles("c")
        self.new_session()

    # --- what is known

    def new_session(self):
        self.session += 1
        self.after_reset(keep_tran=False)

    def after_reset(self, keep_tran):
        if not keep_tran:
            self.tran = 0
        self.db, self.implicit = self.home, False
        self.temps, self.locks = set(), 0
        self.read_only_context = self.language_cursor = False
        self.handles.drop_all(), self.cursors.drop_all()
        self.next_reset = 0

    @property
    def modern(self):
        return self.tds >= TDS72

    @property
    def table(self):
        """The script's own table, which is at home."""
        return "dbo.t_{me}" if self.db == self.home else self.home + ".dbo.t_{me}"

    @property
    def own(self):
        """Part of names of what ends with the session."""
        return "{me}_" + str(self.session)

    @property
    def unique(self):
        """Another one, which takes every number once."""
        return "dbo.u_{me}" if self.db == self.home else self.home + ".dbo.u_{me}"

    def may_write(self):
        """Writes in another database than the one a transaction began in wait for each other."""
        return self.db == self.home or self.tran == 0

    def maybe(self, probability):
        return self.chance.random() < probability

    def pick(self, *choices):
        return self.chance.choice(choices)

    # --- adding steps

    def add(self, step):
        """A request takes the reset bit that is due."""
        if self.next_reset and isinstance(step, (Batch, Rpc, Tran)):
            step.status = self.next_reset
            self.next_reset = 0
        if isinstance(step, (Batch, Rpc, Tran)) and not step.slow and self.maybe(0.01) and "z" * 200 not in repr(step):
            step.slow = True
        self.steps.append(step)

    def batch(self, sql, **keys):
        self.add(Batch(sql, **keys))

    def rpc(self, *calls):
        self.add(Rpc(list(calls)))

    def settle(self):
        """No transaction after this."""
        if self.tran != 0 or self.implicit:
            self.batch("IF @@TRANCOUNT > 0 ROLLBACK")
        self.tran = 0

    def go_home(self):
        if self.db != self.home:
            self.batch(f"USE {self.home}")
            self.db = self.home

    def due_reset(self):
        """The next request carries a reset bit."""
        keep = (self.tds >= TDS73A and self.maybe(0.3) and not (self.silent and self.tran != 0)
                and KEEPING_RESET not in self.without)
        if self.stays:
            self.settle()
            self.go_home()
        tran = self.tran
        self.after_reset(keep)
        self.tran = tran if keep else 0
        self.next_reset = STATUS_RESET_SKIP_TRAN if keep else STATUS_RESET

    # --- the script

    def begin(self):
        first, step = self.pick((1, 1), (1, 2), (100, 10), (-5, 3))
        self.batch(f"CREATE TABLE dbo.t_{{me}} (id int IDENTITY({first}, {step}), n int NULL); "
                   "CREATE TABLE dbo.u_{me} (n int NOT NULL CONSTRAINT pk_{me} PRIMARY KEY)")

    def script(self):
        self.begin()
        weights = list(self.moves.values())
        functions = list(self.moves)
        while len(self.steps) < self.requests:
            if self.tran != 0 and self.maybe(0.3):
                move = moves_transactions.end
            elif self.maybe(0.35):  # most of them are refused: there is nothing to go on with
                move = self.pick(*GOING_ON)
            else:
                move = self.chance.choices(functions, weights)[0]
            if move.__name__ not in self.without and move(self) is not False:
                self.names.append(move.__name__)
        return self.steps
