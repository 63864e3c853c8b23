"""Test client: Microsoft's sqlcmd (go-sqlcmd), driven through pipes.

It reads batches from stdin up to a line "GO". After each batch a marker is selected, so that its output has an end.
It shows no number with a refused login.
"""

import os
import re
import subprocess
import threading

from common import DriverError, main, patience
from tool import Tool

_ENCRYPT = {"off": "disable", "login": "optional", "full": "mandatory", "strict": "strict"}
_MESSAGE = re.compile(r"^Msg (\d+), Level (\d+), State \d+, [^\n]*\n([^\n]*)", re.M)
_REFUSED = re.compile(r"^mssql: (?:login error: )?([^\n]*)", re.M)
_COUNT = re.compile(r"^\(([\d,]+) rows? affected\)$")


class Sqlcmd(Tool):
    def __init__(self, args):
        self.args = args
        self.marker = 0

    def _argv(self):
        a = self.args
        argv = [os.environ["SQLCMD_PROGRAM"], "-S", f"{a.host},{a.port}", "-U", a.user, "-N", _ENCRYPT[a.encrypt],
                "-h", "-1", "-W", "-s", "\t", "-w", "65535", "-x"]
        if a.scenario != "startup":  # that one has the program's defaults
            argv += ["-l", str(a.login_timeout), "-t", str(a.timeout)]
        if a.database:
            argv += ["-d", a.database]
        return argv + (["-J", a.ca_file] if a.ca_file and a.encrypt in ("full", "strict") else ["-C"])

    def connect(self):
        self.connect_by_default()
        self._batch("SELECT 0 AS ready")  # the login's outcome

    def connect_by_default(self):
        a = self.args
        self.child = subprocess.Popen(self._argv(), env={**os.environ, "SQLCMDPASSWORD": a.password}, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      encoding="utf-8", errors="replace")
        self.watchdog = threading.Timer(patience(a), self.child.kill)
        self.watchdog.daemon = True
        self.watchdog.start()

    def defer(self, sql):
        self._write(f"{sql}\nGO\n")

    def _write(self, text):
        try:
            self.child.stdin.write(text)
            self.child.stdin.flush()
        except BrokenPipeError:
            pass

    def _batch(self, sql):
        """The lines that a batch puts out: rows, and how many rows it affected."""
        self.marker += 1
        end = f"#end-{self.marker}#"
        self._write(f"{sql}\nGO\nSELECT '{end}'\nGO\n")
        lines = []
        for line in self.child.stdout:
            if line.startswith(end):
                break
            lines.append(line)
        else:
            self._ended("".join(lines))
        text = "".join(lines)
        for number, level, message in _MESSAGE.findall(text):
            if int(level) > 10:
                raise DriverError(int(number), message)
        return text.splitlines()

    def _ended(self, text):
        self.watchdog.cancel()
        self.child.wait(10)
        refused = _REFUSED.search(text)
        raise DriverError(0, refused[1] if refused else text.strip() or f"sqlcmd ended with {self.child.returncode}")

    def query(self, sql):
        rows = [line.split("\t") for line in self._batch(sql) if line and not _COUNT.match(line)]
        return [[None if cell == "NULL" else cell for cell in row] for row in rows]

    def execute(self, sql):
        counts = [match[1] for match in map(_COUNT.match, self._batch(sql)) if match]
        return int(counts[-1].replace(",", ""))  # those before it: of the last marker, of what was deferred

    def insert(self, name, value):
        return self.query(f"INSERT INTO dbo.test_table (name, value) VALUES (N'{name}', {value})\n"
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


main({"sqlcmd": Sqlcmd})
