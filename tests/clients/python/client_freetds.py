"""Test client: FreeTDS's command line tools tsql and bsqldb, driven through pipes.

The freetds.conf that run-client generates has a section [target] with host, port and encryption. Both tools read
batches from stdin up to a line "go". After each batch a marker is selected, so that its output has an end.
"""

import re
import subprocess
import threading

from common import TYPED, DriverError, main, patience
from tool import Tool

# tsql: Msg 8134 (severity 16, state 1) from STANDIN Line 1:\n\t"Divide by zero error encountered."
# bsqldb: Msg 8134, Level 16, State 1\nServer 'STANDIN', Line 1\n\tDivide by zero error encountered.
_TSQL_MESSAGE = re.compile(r'Msg (\d+) \(severity (\d+), state \d+\)[^\n]*:\n\t"(.*?)"', re.S)
_BSQLDB_MESSAGE = re.compile(r"Msg (\d+), Level (\d+), State \d+\n[^\n]*\n\t(.*)")


class FreeTds(Tool):
    # bsqldb knows no datetime2, tsql shows it without seconds
    typed = TYPED.replace("CAST('2024-02-29T13:14:15.123' AS datetime2(3))",
                          "CONVERT(varchar(23), CAST('2024-02-29T13:14:15.123' AS datetime2(3)), 121)")

    def __init__(self, args):
        self.args = args
        self.marker = 0

    def connect(self):
        self.connect_by_default()
        self._batch("SELECT 0 AS ready")  # the login's outcome

    def connect_by_default(self):
        a = self.args
        argv = [*self.program, "-S", "target", "-U", a.user, "-P", a.password] + (["-D", a.database] if a.database else [])
        self.child = subprocess.Popen(["stdbuf", "-oL", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace")
        self.watchdog = threading.Timer(patience(a), self.child.kill)
        self.watchdog.daemon = True
        self.watchdog.start()

    def defer(self, sql):
        self._write(f"{sql}\ngo\n")

    def _write(self, text):
        try:
            self.child.stdin.write(text)
            self.child.stdin.flush()
        except BrokenPipeError:
            pass

    def _batch(self, sql):
        """The output of a batch as text."""
        if self.child.poll() is not None:
            self.connect()  # bsqldb ends at a server error: its user would start it again
        self.marker += 1
        end = f"#end-{self.marker}#"
        self._write(f"{sql}\ngo\nSELECT '{end}'\ngo\n")
        lines = []
        for line in self.child.stdout:
            if end in line:
                break
            lines.append(line)
        else:
            text = "".join(lines)
            self.watchdog.cancel()
            self.child.wait(10)
            raise self._find_error(text) or DriverError(0, text.strip() or f"{self.args.driver} ended")
        text = "".join(lines)
        error = self._find_error(text)
        if error:
            raise error
        return text

    def _find_error(self, text):
        for match in self.message.finditer(text):
            if int(match[2]) > 10:
                return DriverError(int(match[1]), match[3])
        return None

    def query(self, sql):
        rows = []
        for line in self.rows_of(self._batch(sql)):
            cells = [cell.strip() for cell in line.split("\t")]
            rows.append([None if cell == "NULL" else cell for cell in cells])
        return rows

    def execute(self, sql):
        return int(self.query(f"SET NOCOUNT ON\n{sql}\nSELECT @@ROWCOUNT AS n")[0][0])

    def insert(self, name, value):
        return self.query(f"SET NOCOUNT ON\nINSERT INTO dbo.test_table (name, value) VALUES (N'{name}', {value})\n"
                          "SELECT CAST(SCOPE_IDENTITY() AS int) AS id")[0][0]

    def begin(self):
        self._batch("BEGIN TRANSACTION")

    def commit(self):
        self._batch("COMMIT TRANSACTION")

    def rollback(self):
        self._batch("ROLLBACK TRANSACTION")

    def parameters(self, text, number):
        return self.query("EXEC sp_executesql N'SELECT @n AS n, @v + 1 AS v', N'@n nvarchar(50), @v int', "
                          f"@n = N'{text}', @v = {number}")[0]

    def prepared(self, numbers):
        return [self.query(f"EXEC sp_executesql N'SELECT @v + 1 AS v', N'@v int', @v = {number}")[0][0]
                for number in numbers]

    def procedure(self, app_id):
        row = self.query(f"EXEC sp_get_tenant @app_id = N'{app_id}'")[0]
        return row[1], row[2]

    def close(self):
        self.child.stdin.close()
        self.child.stdout.read()
        self.child.wait(10)
        self.watchdog.cancel()


class Tsql(FreeTds):
    program = ["tsql", "-o", "fhq"]
    message = _TSQL_MESSAGE

    def rows_of(self, text):
        return [line for line in text.splitlines() if line.strip() and not re.match(r"(\d+> )+\Z", line)]


class Bsqldb(FreeTds):
    program = ["bsqldb", "-q", "-t", "\t"]
    message = _BSQLDB_MESSAGE

    def rows_of(self, text):
        return [line for line in text.splitlines() if line.strip()]


main({"tsql": Tsql, "bsqldb": Bsqldb})
