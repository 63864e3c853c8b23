"""What the command line tools share in scenario `mix` (player.py): everything is text in a batch. The class has query(text),
execute(text) -> rows affected, and defer(text): a batch whose output comes with that of the next one."""

import re

from dbapi import call_text
from mix import literal


def _literals(text, parameters):
    """@p1, @p2 ... replaced by the values themselves."""
    return re.sub(r"@p(\d+)\b", lambda match: _literal(parameters[int(match[1]) - 1]), text)


def _literal(value):
    return str(value) if isinstance(value, int) else literal(value)


class Tool:
    def batch(self, text, wanted):
        if wanted == "-":
            self.defer(text)
            return [], None
        if wanted == "#":
            return [], self.execute(text)
        return self.query(text), None

    def ask(self, text, parameters, wanted):
        types = ", ".join(f"@p{i} {'int' if isinstance(value, int) else 'nvarchar(60)'}"
                          for i, value in enumerate(parameters, 1))
        values = ", ".join(f"@p{i} = {_literal(value)}" for i, value in enumerate(parameters, 1))
        return self.batch(f"EXEC sp_executesql {literal(text)}, {literal(types)}, {values}", wanted)

    def prepare(self, text, _types):
        """No prepared statements: parameters each time."""
        return text

    def run(self, handle, parameters, wanted):
        return self.ask(handle, parameters, wanted)

    def unprepare(self, handle):
        pass

    def save(self, name):
        self.query(f"SAVE TRANSACTION {name}")

    def back(self, name):
        self.query(f"ROLLBACK TRANSACTION {name}")

    def call(self, procedure, names, parameters, output_name):
        rows = self.query(_literals(call_text(procedure, names, output_name), parameters))
        return rows[:-1], *rows[-1]
