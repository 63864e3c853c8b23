"""Every driver in every encryption mode, direct and through the proxy: the same output, over the same version of TLS.

What was measured is the table of docs/clients.md: a row that differs fails. To write it anew:

    TDSBOUNCER_WRITE_DOCS=1 tests/integration/run -k test_matrix
"""

import fcntl
import os
import subprocess

from harness import *
from harness.clients import CLIENTS, version
from test_standin import Tap, assert_basic

DRIVERS = list(capabilities())
DOCUMENT = os.path.normpath(os.path.join(CLIENTS, "..", "..", "docs", "clients.md"))
BEGIN, END = "<!-- matrix: tests/integration/test_matrix.py -->\n", "<!-- end of matrix -->\n"
HEADER = ("| driver | version | no TLS | login only | full | strict, server up to TLS 1.2 | strict |\n"
          "| --- | --- | --- | --- | --- | --- | --- |\n")

# Both servers set their versions of TLS themselves: a protocol that the system's configuration turns off stays off.
TLS_12_ONLY = """openssl_conf = openssl_init
[openssl_init]
ssl_conf = ssl_sect
[ssl_sect]
system_default = system_default_sect
[system_default_sect]
Protocol = -TLSv1.3
"""


class TlsTap(Tap):
    """Also knows which version of TLS the server chose."""

    ENOUGH = 16384  # bytes of replies: the ServerHello is in the first few hundred

    def __init__(self, t, target):
        super().__init__(t, target)
        self.replies = bytearray()
        self.relay.on_reply = self._record_reply

    def _record_reply(self, data, _number):
        if len(self.replies) < self.ENOUGH:
            self.replies += data

    def tls(self):
        """"TLS 1.2", "TLS 1.3", or None when there was no handshake."""
        records = self.replies if self.replies[:1] == b"\x16" else self._wrapped_records()
        return tls_version_of(records) if records[:1] == b"\x16" else None

    def _wrapped_records(self):
        """What the server's PRELOGIN packets carry after its PRELOGIN answer."""
        records, at, packets = bytearray(), 0, 0
        while at + 8 <= len(self.replies):
            size = int.from_bytes(self.replies[at + 2:at + 4], "big")
            if size < 8:
                break  # not TDS any more: TLS without the wrapping
            if packets > 0:
                records += self.replies[at + 8:at + size]
            at, packets = at + size, packets + 1
        return records


def tls_version_of(records):
    """The version that a ServerHello at the head of these TLS records chose (RFC 8446, 4.1.3 and 4.2.1)."""
    hello = records[5:5 + int.from_bytes(records[3:5], "big")]
    assert hello[0] == 2, f"handshake message {hello[0]}, not a ServerHello"
    chosen = int.from_bytes(hello[4:6], "big")
    at = 38 + 1 + hello[38] + 2 + 1  # header, version, random; session id; cipher suite; compression
    end = at + 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 2
    while at + 4 <= end:
        kind, size = int.from_bytes(hello[at:at + 2], "big"), int.from_bytes(hello[at + 2:at + 4], "big")
        if kind == 43:  # supported_versions
            chosen = int.from_bytes(hello[at + 4:at + 6], "big")
        at += 4 + size
    return {0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}.get(chosen, f"TLS 0x{chosen:04x}")


class Bench:
    """A server, and a proxy in front of it, with one certificate."""

    def __init__(self, t, cert, key, openssl_conf=None):
        self.t, self.cert = t, cert
        env = {"OPENSSL_CONF": openssl_conf} if openssl_conf else {}
        self.server = t.sqlserver(args=["--cert", cert, "--key", key], start=False)
        self.server.env.update(env)
        t.seed(self.server.start())
        self.proxy = t.proxy([t.bucket("b1", self.server, max_connections=5)], env=env,
                             proxy={"pool_mode": "transaction", "tls_cert_file": cert, "tls_key_file": key})

    def options(self, encrypt):
        return {"ca_file": self.cert} if encrypt == "strict" else {}

    def measure(self, driver, encrypt):
        """The cell of the table; direct and through the proxy must be equal."""
        versions = {}
        for where, target in (("direct", self.server), ("through the proxy", self.proxy)):
            tap = TlsTap(self.t, target)
            assert_basic(self.t.driver(driver, tap, "basic", encrypt, **self.options(encrypt)),
                         f"{driver} {encrypt} {where}")
            tap.check(encrypt, self.server.password)
            versions[where] = tap.tls()
        assert len(set(versions.values())) == 1, f"{driver} {encrypt}: {versions}"
        return ", ".join(["ok"] + [found for found in [versions["direct"]] if found])

    def refuses(self, driver, encrypt):
        """Whether the driver really cannot do it: it fails, or what it does is something else."""
        tap = TlsTap(self.t, self.server)
        try:
            run = self.t.driver(driver, tap, "login", encrypt, timeout=30, login_timeout=5, **self.options(encrypt))
            if run.rc == 0:
                tap.check(encrypt, self.server.password)
        except (AssertionError, subprocess.TimeoutExpired):
            return True
        return run.rc != 0

    def cell(self, driver, encrypt):
        if encrypt in capabilities()[driver]["encrypt"]:
            return self.measure(driver, encrypt)
        unreliable = capabilities()[driver].get("unreliable", {})
        if encrypt in unreliable:  # nothing to measure: either outcome is right
            return f"unreliable: {unreliable[encrypt]}"
        assert self.refuses(driver, encrypt), f"{driver} does {encrypt}: drivers.json does not know it"
        return "not supported by the driver"

    def finish(self):
        self.server.wait_connections(0)


def measured_row(t, driver):
    cert, key = t.certificate()
    openssl_conf = os.path.join(t.folder, "openssl-tls12.cnf")
    with open(openssl_conf, "w", encoding="utf-8") as file:
        file.write(TLS_12_ONLY)
    modern, older = Bench(t, cert, key), Bench(t, cert, key, openssl_conf)
    cells = [modern.cell(driver, encrypt) for encrypt in ("off", "login", "full")]
    cells += [older.cell(driver, "strict"), modern.cell(driver, "strict")]
    assert cells[3] in ("ok, TLS 1.2", "not supported by the driver"), cells
    modern.proxy.stop()  # a pooled connection is the proxy's, not a leak
    older.proxy.stop()
    modern.finish()
    older.finish()
    return row_text([driver, version(driver), *cells])


def row_text(cells):
    return "| " + " | ".join(cells) + " |\n"


def unmeasured_row(driver):
    return row_text([driver, version(driver), f"not run: {capabilities()[driver]['not_run']}", "", "", "", ""])


# --- the document

def read_document():
    """(text before the rows, {driver: row} in the document's order, text after them)."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN + HEADER)
    table, after = rest.split(END)
    rows = {line.split("|")[1].strip(): line for line in table.splitlines(True)}
    return before + BEGIN + HEADER, rows, END + after


def write_row(driver, row):
    """Other drivers' tests may write at the same time."""
    folder = os.open(os.path.dirname(DOCUMENT), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        before, rows, after = read_document()
        rows[driver] = row
        with open(DOCUMENT, "w", encoding="utf-8") as file:
            file.write(before + "".join(rows[name] for name in DRIVERS if name in rows) + after)
    finally:
        os.close(folder)


@timeout(300)
@cases(driver=DRIVERS)
def test_driver(t, driver):
    if "not_run" in capabilities()[driver]:
        row = unmeasured_row(driver)
    else:
        row = measured_row(t, driver)
    if os.environ.get("TDSBOUNCER_WRITE_DOCS"):
        write_row(driver, row)
    _, rows, _ = read_document()
    assert rows.get(driver) == row, f"docs/clients.md says\n{rows.get(driver)}measured was\n{row}"


def test_the_document_has_every_driver_once(t):
    with open(DOCUMENT, encoding="utf-8") as file:
        table = file.read().split(BEGIN + HEADER)[1].split(END)[0]
    assert [line.split("|")[1].strip() for line in table.splitlines()] == DRIVERS, table


@timeout(120)
@cases(driver=[name for name in DRIVERS if not capabilities()[name].get("login_number", True)])
def test_driver_without_numbers_shows_the_text_of_a_login_error(t, driver):
    """The other drivers' numbers: test_standin and test_clients."""
    server = t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, max_connections=5)], proxy={"pool_mode": "transaction"})
    for target in (server, proxy):
        for encrypt in ("login", "full"):
            run = t.driver(driver, target, "login", encrypt, password="wrong")
            assert run.error == (0, f"Login failed for user '{server.user}'."), f"{driver} {encrypt}: {run}"
