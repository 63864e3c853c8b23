"""The stand-in SQL Server with real drivers, direct: every driver and encryption gives the same output.

What the proxy's tests rest on. Whether a connection was encrypted is read off the wire, by a relay in between.
"""

import os

from harness import *
from harness.clients import CLIENTS
from harness.tds import scramble_password

DRIVERS = drivers()


def expected_basic():
    with open(os.path.join(CLIENTS, "expected-basic.txt"), encoding="utf-8") as file:
        return file.read()


class Tap:
    """Records what clients send on its way to the server."""

    def __init__(self, t, target):
        self.relay = t.cutter(target)
        self.port = self.relay.port
        self.relay.on_request = self._record
        self.sent = bytearray()

    def _record(self, data, _number):
        self.sent += data

    def check(self, encrypt, password):
        """The password and a statement are readable exactly where the encryption mode says so."""
        login = scramble_password(password) in self.sent
        batch = "resultado".encode("utf-16-le") in self.sent
        assert (login, batch) == {"off": (True, True), "login": (False, True), "full": (False, False),
                                  "strict": (False, False)}[encrypt], f"{encrypt}: login {login}, batch {batch} readable"
        assert (self.sent[0] == 0x16) == (encrypt == "strict"), f"first byte 0x{self.sent[0]:02x}"


def assert_basic(run, what):
    assert run.rc == 0 and run.out == expected_basic(), f"{what}: {run}\nexpected:\n{expected_basic()}"


@timeout(120)
@cases(driver=DRIVERS)
def test_driver(t, driver):
    server = t.seed(t.sqlserver())
    for encrypt in ("off", "login", "full"):
        if encrypt in capabilities()[driver]["encrypt"]:
            tap = Tap(t, server)
            assert_basic(t.driver(driver, tap, "basic", encrypt), f"{driver} {encrypt}")
            tap.check(encrypt, server.password)
    server.wait_connections(0)


@timeout(120)
@cases(driver=drivers("strict"))
def test_driver_strict(t, driver):
    cert, key = t.certificate()
    server = t.seed(t.sqlserver(args=["--cert", cert, "--key", key]))
    tap = Tap(t, server)
    assert_basic(t.driver(driver, tap, "basic", "strict", ca_file=cert), f"{driver} strict")
    tap.check("strict", server.password)
    server.wait_connections(0)


@timeout(120)
@cases(driver=DRIVERS)
def test_driver_sees_the_number_of_a_login_error(t, driver):
    server = t.sqlserver()
    for encrypt in ("off", "login", "full"):
        if encrypt in capabilities()[driver]["encrypt"]:
            run = t.driver(driver, server, "login", encrypt, password="wrong")
            assert run.error and run.error[0] == 18456, f"{driver} {encrypt}: {run}"
    server.wait_connections(0)


@cases(driver=DRIVERS)
def test_driver_holds(t, driver):
    server = t.sqlserver()
    count = 3 if capabilities()[driver]["count"] else 1
    encrypt = "full"
    run = t.driver(driver, server, "hold", encrypt, hold=300, count=count)
    assert run.rc == 0 and run.out.count("held spid=") == count and run.out.count("closed") == count, run
    assert server.peak() == count
    server.wait_connections(0)


@cases(encrypt=["off", "login", "full", "strict"])
def test_raw_client(t, encrypt):
    server = t.sqlserver()
    tap = Tap(t, server)
    client = t.client(tap, encrypt=encrypt)
    assert client.scalar("SELECT 1 AS resultado") == 1
    assert client.query("SELECT N'olá' AS n, CAST(-12.50 AS decimal(9,2)) AS d, NULL AS x").rows[0][0] == "olá"
    assert client.login_response.loginack["tds"] in (0x74000004, 0x08000000)
    assert client.session.packet_size == 4096
    tap.check(encrypt, server.password)
    client.close()
    server.wait_connections(0)


def test_raw_client_reads_errors(t):
    server = t.sqlserver()
    error = try_login(server.port, server.user, "wrong", server.database)
    assert error is not None and error.number == 18456, error
    assert try_login(server.port, server.user, server.password, server.database) is None
    client = t.client(server)
    try:
        client.query("SELECT 1/0")
        raise AssertionError("no error")
    except TdsError as divided:
        assert divided.number == 8134
    assert client.scalar("SELECT 1") == 1


def test_server_without_tls_and_server_that_forces_it(t):
    plain, forced = t.sqlserver(encrypt="none"), t.sqlserver(encrypt="forced")
    assert try_login(plain.port, plain.user, plain.password, encrypt="off") is None
    tap = Tap(t, forced)
    client = t.client(tap, encrypt="login")  # OFF is answered with REQ: all inside TLS
    assert client.scalar("SELECT 1 AS resultado") == 1
    tap.check("full", forced.password)
    try:
        try_login(forced.port, forced.user, forced.password, encrypt="off")
        raise AssertionError("a server that forces TLS took a login without")
    except (TdsProtocolError, TdsClosed):
        pass


@timeout(120)
@cases(encrypt=["off", "login", "full"])
def test_crowd(t, encrypt):
    server = t.sqlserver()
    crowd = t.crowd(server, encrypt=encrypt)
    crowd.open(300)
    crowd.wait_state(HELD, 300, timeout=60)
    assert server.connections() == 300 and server.peak() == 300
    crowd.release(100)
    crowd.wait_state(DONE, 100)
    server.wait_connections(200)
    crowd.release()
    crowd.wait_all()
    assert crowd.count(DONE) == 300 and not crowd.errors(), crowd.summary()
    server.wait_connections(0)
