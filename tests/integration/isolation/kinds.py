"""Kinds of sessions: what is in their LOGIN7 and PRELOGIN."""

from harness.tds import ENCRYPT_NOT_SUP, PACKET_LOGIN7, PACKET_PRELOGIN, TDS71, TDS72, TDS73B, TDS74, message
from harness.tds import prelogin_payload, scramble_password
import struct

PASSWORD = "Ten4nt's {password}"
USERS = ("anna", "bert", "carl")
DATABASES = tuple(f"tenant_{n}" for n in range(6))
KEY_FEATURES = (0x04, 0x09, 0x0A, 0x0D, 0x0E)  # those that decide what may be shared
ODBC, DBLIB = (0xE0, 0x03, 0, 0), (0xE0, 0x01, 0, 0)  # defaults of ODBC, or the ANSI options off


class Kind:
    """Those of one user, TDS version and flags share server connections, whatever their database and language."""

    def __init__(self, user, database, language="", tds=TDS74, flags=ODBC, encrypt="off", weight=10, features=(),
                 password=PASSWORD):
        self.user, self.database, self.language, self.tds = user, database, language, tds
        self.flags, self.encrypt, self.weight = flags, encrypt, weight
        self.features, self.password = features, password
        self.name = f"{user}/{database}/{language or 'default'}/{tds:08x}/{encrypt}"
        self.hello = b""
        if tds >= TDS72:
            self.greet()
        self.login7 = login7(self)
        self.login = message(PACKET_LOGIN7, self.login7)

    def greet(self):
        """Logs in with PRELOGIN in front."""
        self.hello = message(PACKET_PRELOGIN, prelogin_payload(ENCRYPT_NOT_SUP))

    @classmethod
    def of_session(cls, seen, password):
        """A kind that shares server connections with a session seen at the stand-in (SqlServer.sessions())."""
        features = [(int(number, 16), bytes.fromhex(data)) for number, data in seen["features"].items()]
        return cls(seen["user"], seen["login_database"], tds=int(seen["tds_version"], 16), password=password,
                   flags=tuple(bytes.fromhex(seen["flags"])), features=[f for f in features if f[0] in KEY_FEATURES])


def login7(kind):
    fixed = 94 if kind.tds >= TDS72 else 86
    table, data = b"", b""

    def text(value, raw=None):
        nonlocal table, data
        raw = value.encode("utf-16-le") if raw is None else raw
        table += struct.pack("<HH", fixed + len(data), len(value))
        data += raw

    for value in ("isolation", kind.user):
        text(value)
    text(kind.password, scramble_password(kind.password))
    for value in ("isolation", "127.0.0.1"):
        text(value)
    pointer_at, extended = len(data), kind.flags[3] & 0x10
    if extended:
        table += struct.pack("<HH", fixed + len(data), 4)
        data += bytes(4)
    else:
        text("")
    for value in ("library", kind.language, kind.database):
        text(value)
    table += b"\x02\0\0\0\0\x01"
    for _ in range(3 if kind.tds >= TDS72 else 2):  # SSPI, AttachDBFile, new password
        text("")
    table += b"\0\0\0\0" if kind.tds >= TDS72 else b""
    if extended:
        data = data[:pointer_at] + struct.pack("<I", fixed + len(data)) + data[pointer_at + 4:]
        data += b"".join(struct.pack("<BI", number, len(raw)) + raw for number, raw in kind.features) + b"\xff"
    head = struct.pack("<IIIII4BiI", kind.tds, 4096, 0x07000000, 1, 0, *kind.flags, 0, 0x0409)
    assert len(head) + 4 + len(table) == fixed
    return struct.pack("<I", fixed + len(data)) + head + table + data


def modern():
    """Three users on several databases and in several languages; a few with TLS or an older TDS."""
    yield Kind("anna", "tenant_0", weight=50)
    yield Kind("anna", "tenant_1", "Deutsch", weight=30)
    yield Kind("anna", "tenant_2", "British")
    yield Kind("bert", "tenant_2", weight=50)
    yield Kind("bert", "tenant_3", "Deutsch", weight=20)
    yield Kind("carl", "tenant_4", flags=DBLIB, weight=30)
    yield Kind("carl", "tenant_5", "Deutsch", flags=DBLIB)
    yield Kind("anna", "tenant_1", "Deutsch", tds=TDS72, weight=2)
    yield Kind("bert", "tenant_2", tds=TDS73B, weight=2)
    yield Kind("carl", "tenant_4", flags=DBLIB, encrypt="full", weight=2)
    yield Kind("anna", "tenant_0", encrypt="login", weight=2)


def old():
    """TDS 7.1, as jTDS: no PRELOGIN, no announced transactions, no ALL_HEADERS."""
    for user, flags in zip(USERS, (ODBC, ODBC, DBLIB)):
        for n, language in enumerate(("", "Deutsch")):
            yield Kind(user, DATABASES[USERS.index(user) * 2 + n], language, tds=TDS71, flags=flags)
    yield Kind("anna", "tenant_5", weight=5)


SETS = {"modern": lambda: list(modern()), "old": lambda: list(old())}
