"""What the drivers of Python's DB-API share in scenario `mix` (player.py). The class has connection, args, _guard(function, ...) and
set_autocommit(on)."""

import re

CALL_AS_TEXT = ("DECLARE @status int, @out int; EXEC @status = {procedure} {arguments}, @{output} = @out OUTPUT; "
                "SELECT @out AS output, @status AS status")


def call_text(procedure, names, output_name):
    """A batch with parameters @p1 ... for a driver that cannot take output parameters: the last row is output and status."""
    arguments = ", ".join(f"@{name} = @p{number}" for number, name in enumerate(names, 1))
    return CALL_AS_TEXT.format(procedure=procedure, arguments=arguments, output=output_name)


class DbApi:
    mark = "%s"  # how the driver writes a parameter

    def begin(self):
        self.set_autocommit(False)

    def commit(self):
        self._guard(self.connection.commit)
        self.set_autocommit(self.args.autocommit == "on")

    def rollback(self):
        self._guard(self.connection.rollback)
        self.set_autocommit(self.args.autocommit == "on")

    def placed(self, text):
        """@p1, @p2 ... as this driver wants them."""
        return re.sub(r"@p\d+\b", self.mark, text)

    def all_results(self, cursor):
        """(rows of all results, rows affected by the last statement that has no rows)."""
        rows, affected = [], None
        while True:
            if cursor.description:
                rows += self._guard(cursor.fetchall)
            else:
                affected = cursor.rowcount
            if not self._guard(cursor.nextset):
                return rows, affected

    def run_cursor(self, text, *parameters):
        with self.connection.cursor() as cursor:
            self._guard(cursor.execute, text, *parameters)
            return self.all_results(cursor)

    def two_results(self, count, every):
        """(rows read so far, what another cursor says) after every so many rows of a result that stays open."""
        with self.connection.cursor() as long, self.connection.cursor() as short:
            self._guard(long.execute, f"SELECT TOP {count} i, REPLICATE('x', 500) AS x FROM dbo.numbers ORDER BY i")
            for read in range(1, count + 1):
                assert self._guard(long.fetchone) is not None
                if read % every == 0:
                    self._guard(short.execute, f"SELECT {read} + @@TRANCOUNT AS n")
                    yield read, self._guard(short.fetchall)[0][0]
            assert self._guard(long.fetchone) is None

    def batch(self, text, _wanted):
        return self.run_cursor(text)

    def ask(self, text, parameters, _wanted):
        return self.run_cursor(self.placed(text), tuple(parameters))

    def prepare(self, text, _types):
        """No prepared statements in this driver: parameters each time."""
        return text

    def run(self, handle, parameters, wanted):
        return self.ask(handle, parameters, wanted)

    def unprepare(self, handle):
        pass

    def save(self, name):
        self.batch(f"SAVE TRANSACTION {name}", "-")

    def back(self, name):
        self.batch(f"ROLLBACK TRANSACTION {name}", "-")

    def call(self, procedure, names, parameters, output_name):
        rows, _ = self.ask(call_text(procedure, names, output_name), parameters, "=")
        return rows[:-1], *rows[-1]
