"""What the test clients in Python share: the command line, the scenarios and the canonical output (see ../README.md).

A driver is a class with connect(), query(sql) -> rows, execute(sql) -> rows affected, insert(name, value) -> identity,
begin(), commit(), rollback(), parameters(text, number) -> row, prepared(numbers) -> values, procedure(app_id) -> row,
close(); its errors are DriverError. Values are Python's own. `typed` replaces the statement TYPED where a driver cannot show
a datetime2. For scenario `startup`: connect_by_default(); for `mix`: player.py.
"""

import argparse
import datetime
import decimal
import os
import sys
import threading
import time

TYPED = ("SELECT CAST(42 AS int) AS i, N'olá – 日本語' AS n, CAST(12345.67 AS decimal(18,2)) AS d, "
         "CAST('2024-02-29T13:14:15.123' AS datetime2(3)) AS t, CAST(NULL AS int) AS x")


class DriverError(Exception):
    """number is 0 when the error is the driver's own and not the server's."""

    def __init__(self, number, text):
        super().__init__(text)
        self.number, self.text = number, " ".join(str(text).split())


def arguments(drivers):
    parser = argparse.ArgumentParser()
    parser.add_argument("driver", choices=drivers)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--database", default="")
    parser.add_argument("--encrypt", choices=["off", "login", "full", "strict"], default="off")
    parser.add_argument("--scenario", choices=["basic", "login", "hold", "startup", "mix", "mars", "ask", "catalog"], default="login")
    parser.add_argument("--count", type=int, default=1, help="hold, startup: connections at once")
    parser.add_argument("--hold", type=int, default=0, metavar="MS")
    parser.add_argument("--login-timeout", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--timeout", type=int, default=60, metavar="SECONDS", help="of a query")
    parser.add_argument("--ca-file", default="")
    parser.add_argument("--autocommit", choices=["on", "off"], default="on", help="startup, mix, ask")
    parser.add_argument("--mars", choices=["on", "off"], default="off", help="ask for multiple active result sets")
    parser.add_argument("--ask", default="", help="ask: the file with its statements, one a line")
    parser.add_argument("--plan", default="", help="mix: the file that run-client made")
    parser.add_argument("--think", type=int, default=0, metavar="MS", help="mix: pause before each operation")
    return parser.parse_known_args()[0]  # the rest was for the plan


def patience(args):
    """Seconds after which a program that is driven through pipes is ended."""
    return args.login_timeout + args.timeout + args.hold / 1000 + (600 if args.scenario == "mix" else 0)


_output = threading.Lock()


def say(text):
    with _output:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def canonical(value):
    if value is None:
        return "NULL"
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.decode()
    return str(value)


def scenario_login(driver):
    driver.connect()
    say("connected")
    say(f"resultado={canonical(driver.query('SELECT 1 AS resultado')[0][0])}")
    driver.close()
    say("closed")


def scenario_basic(driver):
    driver.connect()
    say("connected")
    say(f"database={driver.query('SELECT DB_NAME() AS name')[0][0]}")
    say(f"resultado={canonical(driver.query('SELECT 1 AS resultado')[0][0])}")
    typed = driver.query(getattr(driver, "typed", TYPED))[0]
    say("typed int={} nvarchar={} decimal={} datetime2={} null={}".format(*map(canonical, typed)))
    rows = driver.query("SELECT i, name FROM dbo.numbers ORDER BY i")
    say(f"rows={len(rows)} sum={sum(int(i) for i, _ in rows)} characters={sum(len(name) for _, name in rows)}")
    _basic_writes(driver, f"{driver.args.driver}-{os.getpid()}")
    say("parameters n={} v={}".format(*map(canonical, driver.parameters("ação", 7))))
    for value in driver.prepared([8, 9, 10]):
        say(f"prepared v={canonical(value)}")
    say("procedure app_id={} name={}".format(*map(canonical, driver.procedure("APP-000001"))))
    try:
        driver.query("SELECT 1/0 AS impossible")
        say("no error")
    except DriverError as error:
        say(f"error number={error.number} text={error.text}")
    say(f"after_error={canonical(driver.query('SELECT 1 AS resultado')[0][0])}")
    driver.close()
    say("closed")


def _basic_writes(driver, mark):
    def left():
        return canonical(driver.query(f"SELECT COUNT(*) AS n FROM dbo.test_table WHERE name = N'{mark}'")[0][0])

    identity = driver.insert(mark, 1)
    found = driver.query(f"SELECT id FROM dbo.test_table WHERE name = N'{mark}'")[0][0]
    say("insert identity=" + ("match" if int(identity) == int(found) else f"{identity} but the row has {found}"))
    updated = driver.execute(f"UPDATE dbo.test_table SET value = value + 1 WHERE name = N'{mark}'")
    value = driver.query(f"SELECT value FROM dbo.test_table WHERE name = N'{mark}'")[0][0]
    say(f"update rows={updated} value={canonical(value)}")
    deleted = driver.execute(f"DELETE FROM dbo.test_table WHERE name = N'{mark}'")
    say(f"delete rows={deleted} left={left()}")
    driver.begin()
    driver.execute(f"INSERT INTO dbo.test_table (name, value) VALUES (N'{mark}', 5)")
    driver.commit()
    say(f"commit left={left()}")
    driver.begin()
    driver.execute(f"DELETE FROM dbo.test_table WHERE name = N'{mark}'")
    driver.rollback()
    say(f"rollback left={left()}")
    driver.execute(f"DELETE FROM dbo.test_table WHERE name = N'{mark}'")


def _hold_one(driver, failures):
    try:
        driver.connect()
        say(f"held spid={canonical(driver.query('SELECT @@SPID AS spid')[0][0])}")
        time.sleep(driver.args.hold / 1000)
        say(f"resultado={canonical(driver.query('SELECT 1 AS resultado')[0][0])}")
        driver.close()
        say("closed")
    except DriverError as error:
        say(f"ERROR number={error.number} text={error.text}")
        failures.append(error)


def _startup_one(driver, failures):
    """As an application that connects with the driver's defaults and then has nothing to do."""
    try:
        driver.connect_by_default()
        say(f"resultado={canonical(driver.query('SELECT 1 AS resultado')[0][0])}")
        time.sleep(driver.args.hold / 1000)
        driver.close()
        say("closed")
    except DriverError as error:
        say(f"ERROR number={error.number} text={error.text}")
        failures.append(error)


def scenario_many(make, args, one):
    failures = []
    threads = [threading.Thread(target=one, args=(make(args), failures)) for _ in range(args.count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 3 if failures else 0


def scenario_ask(driver):
    """The statements of a file on one connection: columns and rows of each, or its error."""
    driver.connect_by_default()
    with open(driver.args.ask, encoding="utf-8") as file:
        statements = file.read().splitlines()
    for statement in statements:
        say(f"> {statement}")
        try:
            columns, rows = driver.table(statement)
        except DriverError as error:
            say(f"! {error.number} {error.text}")
            continue
        for sign, row in [("#", columns)] * bool(columns) + [("=", row) for row in rows]:
            say(sign + " " + "\t".join(map(canonical, row)))
    driver.close()
    say("closed")


def scenario_catalog(driver):
    """What the driver's catalog functions say: the name of each, and its rows."""
    driver.connect_by_default()
    for name, rows in driver.catalog():
        say(f"> {name}")
        for row in rows:
            say("= " + "\t".join(" ".join(canonical(value).split()) for value in row))
    driver.close()
    say("closed")


def scenario_mars(driver):
    """Two results at once on one connection: one is read while the other's requests run."""
    driver.connect()
    say("connected")
    for rows, between in driver.two_results(1000, 97):
        say(f"rows={rows} between={canonical(between)}")
    driver.close()
    say("closed")


def main(drivers):
    """drivers: name -> class. Ends the process."""
    sys.stdout.reconfigure(encoding="utf-8")
    args = arguments(list(drivers))
    make = drivers[args.driver]
    if args.scenario in ("hold", "startup"):
        sys.exit(scenario_many(make, args, _hold_one if args.scenario == "hold" else _startup_one))
    if args.scenario == "mix":
        from player import scenario_mix
        sys.exit(scenario_mix(make, args))
    try:
        {"basic": scenario_basic, "login": scenario_login, "mars": scenario_mars, "ask": scenario_ask,
         "catalog": scenario_catalog}[args.scenario](make(args))
    except DriverError as error:
        say(f"ERROR number={error.number} text={error.text}")
        sys.exit(3)
