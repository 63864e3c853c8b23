"""Test client: pymssql (FreeTDS db-lib inside). Encryption comes from the freetds.conf that run-client generates."""

import re

import pymssql

from common import DriverError, main
from dbapi import DbApi


def _error(error):
    """pymssql puts the server's message and db-lib's own into one text, in args or nested in args."""
    args = error.args[0] if error.args and isinstance(error.args[0], tuple) else error.args
    number = args[0] if args and isinstance(args[0], int) else 0
    if 20000 <= number < 21000:  # db-lib's own numbers
        number = 0
    text = args[1] if len(args) > 1 else str(error)
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return DriverError(number, re.split(r"DB-Lib error message", text)[0] or text)


class Pymssql(DbApi):
    def __init__(self, args):
        self.args = args
        self.connection = None

    def _guard(self, function, *args):
        try:
            return function(*args)
        except pymssql.Error as error:
            raise _error(error) from error

    def connect(self):
        a = self.args
        self.connection = self._guard(lambda: pymssql.connect(
            server=a.host, port=str(a.port), user=a.user, password=a.password, database=a.database,
            login_timeout=a.login_timeout, timeout=a.timeout, charset="UTF-8", tds_version="7.4", autocommit=a.autocommit == "on"))

    def connect_by_default(self):
        a = self.args
        self.connection = self._guard(lambda: pymssql.connect(
            server=a.host, port=str(a.port), user=a.user, password=a.password, database=a.database,
            autocommit=a.autocommit == "on"))

    def _cursor(self, sql, params=None, rows=True):
        with self.connection.cursor() as cursor:
            self._guard(cursor.execute, sql, params)
            return self._guard(cursor.fetchall) if rows else cursor.rowcount

    def query(self, sql):
        return self._cursor(sql)

    def execute(self, sql):
        return self._cursor(sql, rows=False)

    def insert(self, name, value):
        sql = "INSERT INTO dbo.test_table (name, value) VALUES (%s, %s); SELECT CAST(SCOPE_IDENTITY() AS int) AS id"
        return self._cursor(sql, (name, value))[0][0]

    def set_autocommit(self, on):
        self._guard(self.connection.autocommit, on)

    def parameters(self, text, number):
        return self._cursor("SELECT %s AS n, %d + 1 AS v", (text, number))[0]

    def prepared(self, numbers):
        return [self._cursor("SELECT %d + 1 AS v", (number,))[0][0] for number in numbers]

    def procedure(self, app_id):
        with self.connection.cursor(as_dict=True) as cursor:
            self._guard(cursor.callproc, "sp_get_tenant", (app_id,))
            row = next(iter(cursor))
            return row["app_id"], row["name"]

    def call(self, procedure, _names, parameters, _output_name):
        with self.connection.cursor() as cursor:
            values = self._guard(cursor.callproc, procedure, (pymssql.output(int), *parameters))
            rows, _ = self.all_results(cursor)
            return rows, values[0], cursor.returnvalue  # the driver has them only where there are no rows

    def close(self):
        self.connection.close()


main({"pymssql": Pymssql})
