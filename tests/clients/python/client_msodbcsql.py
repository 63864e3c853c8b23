"""Test client: Microsoft's ODBC driver 18, which mssql-python carries, under mssql-python itself and under pyodbc.

mssql-python shows no error numbers: that of a statement is asked for with @@ERROR, that of a login is lost.
"""

import os
import re

from common import DriverError, main
from dbapi import DbApi

_ENCRYPT = {"login": "no", "full": "yes", "strict": "strict"}


def _attributes(args):
    """The connection string without the driver. Encrypt=no still encrypts the login where the server can."""
    if args.encrypt not in _ENCRYPT:
        raise DriverError(0, f"no encryption mode {args.encrypt}")
    keys = {"SERVER": f"tcp:{args.host},{args.port}", "UID": args.user, "PWD": args.password,
            "Encrypt": _ENCRYPT[args.encrypt]}
    if args.scenario != "startup":  # that one has the driver's defaults
        keys["ConnectRetryCount"] = "0"
    if args.mars == "on":
        keys["MARS_Connection"] = "yes"
    if args.database:
        keys["DATABASE"] = args.database
    if args.encrypt != "strict":
        keys["TrustServerCertificate"] = "yes"
    elif args.ca_file:
        keys["ServerCertificate"] = args.ca_file
    return "".join("{}={{{}}};".format(key, value.replace("}", "}}")) for key, value in keys.items())


class Odbc(DbApi):
    """What both share: DB-API with question marks. A subclass has connect(), call_tenant() and failure(error, cursor)."""

    mark = "?"

    def __init__(self, args):
        self.args = args
        self.connection = None

    def _run(self, sql, *parameters):
        """The rows of the first result set, or else the rows affected."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(sql, *parameters)
            count = cursor.rowcount
            while cursor.description is None and cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else count
        except self.module.Error as error:
            raise self.failure(error, cursor) from error
        finally:
            cursor.close()

    def _guard(self, function, *args):
        try:
            return function(*args)
        except self.module.Error as error:
            raise self.failure(error, None) from error

    def table(self, text):
        cursor = self.connection.cursor()
        try:
            cursor.execute(text)
            if cursor.description is None:
                return [], []
            return [column[0] for column in cursor.description], cursor.fetchall()
        except self.module.Error as error:
            raise self.failure(error, cursor) from error
        finally:
            cursor.close()

    def query(self, sql):
        return self._run(sql)

    def execute(self, sql):
        return self._run(sql)

    def insert(self, name, value):
        return self._run("INSERT INTO dbo.test_table (name, value) VALUES (?, ?); "
                         "SELECT CAST(SCOPE_IDENTITY() AS int) AS id", name, value)[0][0]

    def set_autocommit(self, on):
        self.connection.autocommit = on

    def parameters(self, text, number):
        return self._run("SELECT ? AS n, ? + 1 AS v", text, number)[0]

    def prepared(self, numbers):
        """One cursor: from the second time on the driver hands its old handle to sp_prepexec, which replaces it."""
        cursor = self.connection.cursor()
        try:
            return [self._guard(lambda n=number: cursor.execute("SELECT ? + 1 AS v", n).fetchall()[0][0])
                    for number in numbers]
        finally:
            cursor.close()

    def procedure(self, app_id):
        row = self.call_tenant(app_id)[0]
        return row[1], row[2]

    def run_cursor(self, text, *parameters):
        cursor = self.connection.cursor()
        try:
            return self._results(cursor, text, *parameters)
        finally:
            cursor.close()

    def _results(self, cursor, text, *parameters):
        try:
            cursor.execute(text, *parameters)
        except self.module.Error as error:
            raise self.failure(error, cursor) from error
        return self.all_results(cursor)

    def prepare(self, text, _types):
        """A cursor keeps its statement prepared as long as its text stays the same."""
        return self.connection.cursor(), self.placed(text)

    def run(self, handle, parameters, _wanted):
        return self._results(*handle, tuple(parameters))

    def unprepare(self, handle):
        handle[0].close()

    def close(self):
        self._guard(self.connection.close)


class MssqlPython(Odbc):
    def connect(self):
        import mssql_python
        self.module = mssql_python
        mssql_python.pooling(enabled=False)  # close() is to close the connection
        self.connection = self._guard(lambda: mssql_python.connect(
            _attributes(self.args), autocommit=self.args.autocommit == "on", timeout=self.args.login_timeout))
        self.connection.timeout = self.args.timeout

    def connect_by_default(self):
        import mssql_python
        self.module = mssql_python
        self.connection = self._guard(lambda: mssql_python.connect(
            _attributes(self.args), autocommit=self.args.autocommit == "on"))

    def call_tenant(self, app_id):
        """An RPC by name: nothing to prepare."""
        return self._run(f"{{CALL sp_get_tenant(N'{app_id}')}}")

    def failure(self, error, cursor):
        number = self._number() if cursor is not None else 0
        return DriverError(number, re.sub(r"^(\[[^]]*\])+", "", error.ddbc_error))

    def _number(self):
        """That of the error which ended the last request; 0 when the session is gone with it."""
        try:
            with self.connection.cursor() as cursor:
                return cursor.execute("SELECT @@ERROR AS number").fetchall()[0][0]
        except self.module.Error:
            return 0


class Pyodbc(Odbc):
    def connect(self):
        import pyodbc
        self.module = pyodbc
        pyodbc.pooling = False
        self.connection = self._guard(lambda: pyodbc.connect(
            f"DRIVER={{{os.environ['MSODBCSQL']}}};" + _attributes(self.args), autocommit=self.args.autocommit == "on",
            timeout=self.args.login_timeout))
        self.connection.timeout = self.args.timeout

    def connect_by_default(self):
        import pyodbc
        self.module = pyodbc
        self.connection = self._guard(lambda: pyodbc.connect(
            f"DRIVER={{{os.environ['MSODBCSQL']}}};" + _attributes(self.args), autocommit=self.args.autocommit == "on"))

    def catalog(self):
        """SQLTables, SQLColumns and their like, in JDBC's names and order."""
        cursor = self.connection.cursor()
        calls = {
            "catalogs": lambda: cursor.tables(table="", catalog="%", schema=""),
            "tables": cursor.tables,
            "tables like po%": lambda: cursor.tables(table="po%", schema="dbo", tableType="TABLE,VIEW"),
            "tables of type TABLE": lambda: cursor.tables(tableType="TABLE"),
            "columns of pools": lambda: cursor.columns(table="pools"),
            "types": cursor.getTypeInfo,
            "primary keys of pools": lambda: cursor.primaryKeys("pools"),
            "indexes of pools": lambda: cursor.statistics("pools"),
            "foreign keys of pools": lambda: cursor.foreignKeys(foreignTable="pools"),
            "best row of pools": lambda: cursor.rowIdColumns("pools"),
            "procedures": cursor.procedures,
            "procedure columns": cursor.procedureColumns,
            "shown": lambda: cursor.execute("SELECT * FROM pools"),
        }
        for name, call in calls.items():
            yield name, self._guard(lambda call=call: call().fetchall())
        schemas = self._guard(lambda: cursor.tables(table="", catalog="", schema="%").fetchall())
        yield "schemas", [row[1:] for row in schemas]

    def call_tenant(self, app_id):
        return self._run("EXEC sp_get_tenant @app_id = ?", app_id)

    def failure(self, error, _cursor):
        """[22012] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Divide by zero. (8134) (SQLExecDirectW)"""
        text = str(error.args[1] if len(error.args) > 1 else error)
        match = re.match(r"(?:\s*\[[^]]*\])*(.*?) \((-?\d+)\)", text, re.S)
        return DriverError(max(int(match[2]), 0), match[1]) if match else DriverError(0, text)


main({"mssql-python": MssqlPython, "pyodbc": Pyodbc})
