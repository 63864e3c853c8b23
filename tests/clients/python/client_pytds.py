"""Test client: python-tds (TDS in Python, TLS by pyOpenSSL)."""

import OpenSSL.SSL
import pytds
import pytds.tls

from common import DriverError, main
from dbapi import DbApi


def _trusting_context(_ca_file):
    """The driver knows no "trust any certificate": its own context, without verification."""
    context = OpenSSL.SSL.Context(OpenSSL.SSL.TLSv1_2_METHOD)
    context.set_verify(OpenSSL.SSL.VERIFY_NONE, lambda *_: True)
    return context


class PythonTds(DbApi):
    def __init__(self, args):
        self.args = args
        self.connection = None

    def _guard(self, function, *args, **keys):
        try:
            return function(*args, **keys)
        except (pytds.Error, OSError, OpenSSL.SSL.Error) as error:
            # A login that is refused with an error it does not know is tried again until login_timeout is over, then
            # the driver raises TimeoutError from the last refusal.
            if isinstance(error, TimeoutError) and isinstance(error.__cause__, pytds.Error):
                error = error.__cause__
            number = getattr(error, "number", None) or getattr(error, "msg_no", None) or 0
            raise DriverError(number, getattr(error, "text", "") or str(error) or repr(error)) from error

    def connect(self):
        a = self.args
        self._connect(login_timeout=a.login_timeout, timeout=a.timeout, autocommit=a.autocommit == "on")

    def connect_by_default(self):
        self._connect(autocommit=self.args.autocommit == "on")

    def _connect(self, **keys):
        a = self.args
        if a.encrypt != "off" and not a.ca_file:
            pytds.tls.create_context = _trusting_context
        self.connection = self._guard(
            pytds.connect, dsn=a.host, port=a.port, user=a.user, password=a.password, database=a.database,
            cafile=None if a.encrypt == "off" else a.ca_file or "any", validate_host=False,
            enc_login_only=a.encrypt == "login", use_mars=a.mars == "on", **keys)

    def _cursor(self, sql, params=(), rows=True):
        with self.connection.cursor() as cursor:
            self._guard(cursor.execute, sql, params)
            return self._guard(cursor.fetchall) if rows else cursor.rowcount

    def query(self, sql):
        return self._cursor(sql)

    def execute(self, sql):
        return self._cursor(sql, rows=False)

    def insert(self, name, value):
        sql = "INSERT INTO dbo.test_table (name, value) VALUES (%s, %s); SELECT CAST(SCOPE_IDENTITY() AS int) AS id"
        with self.connection.cursor() as cursor:
            self._guard(cursor.execute, sql, (name, value))
            while not cursor.description:
                self._guard(cursor.nextset)
            return self._guard(cursor.fetchall)[0][0]

    def set_autocommit(self, on):
        self._guard(setattr, self.connection, "autocommit", on)

    def parameters(self, text, number):
        return self._cursor("SELECT %s AS n, %s + 1 AS v", (text, number))[0]

    def prepared(self, numbers):
        return [self._cursor("SELECT %s + 1 AS v", (number,))[0][0] for number in numbers]

    def procedure(self, app_id):
        with self.connection.cursor() as cursor:
            self._guard(cursor.callproc, "sp_get_tenant", (app_id,))
            names = [column[0] for column in cursor.description]
            row = self._guard(cursor.fetchone)
            return row[names.index("app_id")], row[names.index("name")]

    def call(self, procedure, _names, parameters, _output_name):
        with self.connection.cursor() as cursor:
            self._guard(cursor.callproc, procedure, (pytds.output(param_type="int"), *parameters))
            rows, _ = self.all_results(cursor)
            return rows, self._guard(cursor.get_proc_outputs)[0], cursor.get_proc_return_status()

    def close(self):
        self._guard(self.connection.close)


main({"python-tds": PythonTds})
