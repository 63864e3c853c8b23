"""The stand-in SQL Server's logins: accounts, password changes, routing, features, integrated and federated security.

What the proxy's login and routing tests rest on. The LOGIN7 messages are built here: the harness' own client asks for no
features.
"""

import hashlib
import hmac
import random
import ssl
import struct

from harness import *
from harness.tds import *
from test_standin_protocol import ENV_DATABASE, assert_closed
from test_standin_protocol_failures import refused_login

ENV_ROUTING = 20
PACKET_FEDAUTH, PACKET_SSPI = 0x08, 0x11
FEATURE_FEDAUTH, FEATURE_ENCRYPTION, FEATURE_CLASSIFICATION, FEATURE_UTF8, FEATURE_JSON = 0x02, 0x04, 0x09, 0x0A, 0x0D
TDS8 = 0x08000000
TYPE_READ_ONLY, FLAG2_INTEGRATED, FLAG3_CHANGE_PASSWORD, FLAG3_EXTENSION = 0x20, 0x80, 0x01, 0x10
DATABASE_OPTIONAL = 0xA0  # OptionFlags1 without fDatabase, as go-mssqldb


def login7(user, password="", database="", flags=(0xE0, 0x03, 0, 0), features=(), new_password=None, sspi=b"",
           server_name="127.0.0.1", tds_version=0x74000004, long_sspi=False, language="", packet_size=4096):
    """A LOGIN7 payload with everything that drivers put into one."""
    flags = list(flags)
    old = TDS8 < tds_version < TDS72
    fixed = 86 if old else 94
    data, table = b"", b""

    def field(raw, unit=2):
        nonlocal data
        entry = struct.pack("<HH", fixed + len(data), min(len(raw) // unit, 0xFFFF))
        data += raw
        return entry

    def text(value):
        return field(value.encode("utf-16-le"))

    if features:
        flags[3] |= FLAG3_EXTENSION
    if new_password is not None:
        flags[3] |= FLAG3_CHANGE_PASSWORD
    if sspi:
        flags[1] |= FLAG2_INTEGRATED
    table += text("harness") + text(user) + field(scramble_password(password)) + text("app") + text(server_name)
    pointer_at = len(data)
    table += field(b"\0\0\0\0", 1) if features else struct.pack("<HH", 0, 0)
    table += text("library") + text(language) + text(database) + b"\x02\0\0\0\0\x01"
    sspi_entry = field(sspi, 1)
    table += (sspi_entry[:2] + b"\xff\xff" if long_sspi else sspi_entry) + text("")
    if not old:
        table += field(scramble_password(new_password or "")) + struct.pack("<I", len(sspi) if long_sspi else 0)
    if features:
        at = struct.pack("<I", fixed + len(data))
        data = data[:pointer_at] + at + data[pointer_at + 4:]
        data += b"".join(struct.pack("<BI", kind, len(value)) + value for kind, value in features) + b"\xff"
    head = struct.pack("<IIIII4BiI", tds_version, packet_size, 0x07000000, 1, 0, *flags, 0, 0x0409)
    body = head + table + data
    assert len(head) + 4 + len(table) == fixed, (len(head), len(table))
    return struct.pack("<I", len(body) + 4) + body


class Login:
    """A connection up to the answer of LOGIN7, and further rounds where the server asks for them."""

    def __init__(self, server, fedauth=None, encrypt="off", mars=0, **keys):
        self.client = TdsClient(server.port, connect=False, encrypt=encrypt, mars=mars)
        self.session = self.client.session
        if fedauth is None:
            self.client.run(self.session.negotiate())
        else:  # PRELOGIN with FEDAUTHREQUIRED
            self.send(PACKET_PRELOGIN, self._prelogin(fedauth))
            self.session.peer_options = prelogin_options(self.receive_raw())
        login_only = encrypt == "login"
        if keys:
            self.send(PACKET_LOGIN7, login7(**keys))
        if login_only:
            self.session.tls = None

    @staticmethod
    def _prelogin(value):
        options = [(0, bytes([16, 0, 0, 0, 0, 0])), (1, bytes([ENCRYPT_NOT_SUP])), (4, b"\1"), (6, bytes([value]))]
        table, data = b"", b""
        for token, raw in options:
            table += struct.pack(">BHH", token, 5 * len(options) + 1 + len(data), len(raw))
            data += raw
        return table + b"\xff" + data

    def send(self, kind, payload):
        self.client.run(self.session.send(kind, payload))

    def receive_raw(self):
        return self.client.run(self.session.read_message())[1]

    def receive(self):
        return self.client.receive()

    def sspi_blob(self):
        """The blob of a message that holds an SSPI token and nothing else."""
        payload = self.receive_raw()
        assert payload[0] == 0xED and len(payload) == 3 + struct.unpack_from("<H", payload, 1)[0], payload[:8]
        return payload[3:]

    def close(self):
        self.client.close()


def login(server, **keys):
    """The answer to a LOGIN7, and its connection."""
    one = Login(server, **keys)
    return one.receive(), one


def outcome(server, **keys):
    """[(number, severity)] of the ERROR tokens, or "ok"."""
    answer, one = login(server, **keys)
    one.close()
    assert (answer.loginack is None) == bool(answer.errors), "an answer that is neither yes nor no"
    return [(e.number, e.severity) for e in answer.errors] or "ok"


# ---------------------------------------------------------------------------------------------------- accounts


def test_several_logins(t):
    server = t.sqlserver(args=["--login", "second:pass:word"])
    server.login("add", "third", "p3")
    assert t.client(server, user="SECOND", password="pass:word").scalar("SELECT SUSER_SNAME()") == "SECOND"
    assert t.client(server, user="third", password="p3").query("SELECT ORIGINAL_LOGIN(), USER_NAME()").rows == [
        ["third", "third"]]
    assert refused_login(server, user="third", password="P3") == [(18456, 14)]
    assert refused_login(server, user="second", password=server.password) == [(18456, 14)]
    assert {s["user"] for s in server.sessions()} == {"SECOND", "third"}
    assert server.control("login lock nobody").startswith("error") and server.control("login bend sa").startswith("error")


def test_account_states(t):
    """Number and severity as SQL Server sends them; who is connected stays."""
    server = t.sqlserver()
    server.login("add", "app", "one")
    held = t.client(server, user="app", password="one")

    def refused(password="one"):
        return refused_login(server, user="app", password=password)

    server.login("lock", "app")
    assert refused() == refused("wrong") == [(18486, 14)]
    server.login("unlock", "app")
    server.login("disable", "app")
    assert refused() == [(18470, 14)] and refused("wrong") == [(18456, 14)], "a wrong password must not learn of it"
    server.login("enable", "app")
    server.login("expire", "app")
    assert refused() == [(18487, 14)] and refused("wrong") == [(18456, 14)]
    server.login("password", "app", "two")
    assert refused("one") == [(18456, 14)]
    assert t.client(server, user="app", password="two").scalar("SELECT 1") == 1
    server.login("must-change", "app")
    assert refused("two") == [(18488, 14)]
    server.login("drop", "app")
    assert refused("two") == [(18456, 14)] and held.scalar("SELECT 1") == 1


def test_password_change_at_login(t):
    server = t.sqlserver()
    server.login("add", "app", "old")
    server.login("must-change", "app")
    keys = {"user": "app", "database": server.database}
    assert outcome(server, password="old", **keys) == [(18488, 14)]
    assert outcome(server, password="bad", new_password="new", **keys) == [(18456, 14)]
    server.login("lock", "app")
    assert outcome(server, password="old", new_password="new", **keys) == [(18486, 14)]
    server.login("unlock", "app")
    assert server.stats()["password_changes_total"] == 0
    assert outcome(server, password="old", new_password="nëw pass", **keys) == "ok"
    assert outcome(server, password="old", **keys) == [(18456, 14)]
    assert outcome(server, password="nëw pass", **keys) == "ok" and server.stats()["password_changes_total"] == 1


def test_unknown_database(t):
    """Fatal where fDatabase says so, else ERROR 4063 in front of a login that goes on in master."""
    server = t.sqlserver()
    keys = {"user": server.user, "password": server.password, "database": "nowhere"}
    assert outcome(server, **keys) == [(4060, 11), (18456, 14)]
    answer, one = login(server, flags=(DATABASE_OPTIONAL, 0x02, 0, 0), **keys)
    assert [(e.number, e.severity) for e in answer.errors] == [(4063, 11)] and answer.loginack is not None
    assert [e[1] for e in answer.env if e[0] == ENV_DATABASE] == ["master"] and answer.done_status == 0
    assert one.client.scalar("SELECT DB_NAME()") == "master"


def test_transient_login_errors(t):
    """login-error-count: so many logins fail, then all is well."""
    server = t.sqlserver()
    for number, severity in ((40613, 17), (18401, 14), (10928, 20), (17809, 20), (4060, 11)):
        server.set("login-error", number)
        server.set("login-error-count", 2)
        for _ in range(2):
            assert refused_login(server)[0] == (number, severity)
        assert t.client(server).scalar("SELECT 1") == 1
    server.set("login-error", 40613)
    assert refused_login(server) == refused_login(server) == refused_login(server) == [(40613, 17)]
    server.set("login-error", 0)
    assert t.client(server).scalar("SELECT 1") == 1
    for line in ("set login-error x", "set nonsense 1", "set route nowhere", "set route h:0", "set feature-acks 02",
                 "set feature-acks 0A,", "set sspi-nonce 3"):
        expected = "ok" if line == "set feature-acks 0A," else "error"
        assert server.control(line).startswith(expected), line


# ---------------------------------------------------------------------------------------------------- counters


def test_counters(t):
    server = t.sqlserver()
    base = server.stats()
    assert all(isinstance(value, int) for value in base.values())
    plain, wrapped, strict = (t.client(server, encrypt=encrypt) for encrypt in ("off", "login", "strict"))
    jtds = t.client(server, prelogin=False, tds_version=0x71000000)
    plain.query("SELECT 1", STATUS_RESET)
    plain.rpc(10, "SELECT 1", status=STATUS_RESET_SKIP_TRAN)
    plain.rpc("sp_reset_connection")
    wrapped.tran(TRAN_BEGIN)
    strict.query("SELECT 1")
    assert refused_login(server, password="wrong") == [(18456, 14)]
    stats = server.stats()
    grown = {name: stats[name] - base[name] for name in stats if stats[name] != base[name]}
    tls13 = strict.session.tls.version() == "TLSv1.3"
    assert grown == {"connections_now": 4, "connections_peak": grown["connections_peak"], "connections_total": 5,
                     "prelogins_total": 4, "tls_full_total": 2, "tls_1_2_total": 2 - tls13,
                     **({"tls_1_3_total": 1} if tls13 else {}), "logins_total": 4, "login_failures_total": 1,
                     "sessions": 4, "requests_total": 5, "batches_total": 2, "rpcs_total": 2, "tran_requests_total": 1,
                     "resets_total": 2, "resets_skip_tran_total": 1, "reset_calls_total": 1}, grown
    assert jtds.scalar("SELECT 1") == 1


def test_tls_resumption_is_counted(t):
    server = t.sqlserver()
    context = trusting_context()
    first = t.client(server, encrypt="full", tls_context=context)
    assert server.stats()["tls_full_total"] == 1 and server.stats()["tls_resumed_total"] == 0
    assert server.sessions()[0]["tls_resumed"] is False
    session = first.session.tls.session
    raw_in, raw_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    again = TdsClient(server.port, connect=False, encrypt="full", user=server.user, password=server.password)
    again.session.tls_in, again.session.tls_out = raw_in, raw_out

    class Resuming:
        @staticmethod
        def wrap_bio(incoming, outgoing, server_hostname):
            return context.wrap_bio(incoming, outgoing, server_hostname=server_hostname, session=session)

    again.session.context = Resuming()
    again.run(again.session.login())
    assert again.session.tls.session_reused and again.scalar("SELECT 1") == 1
    stats = server.stats()
    assert (stats["tls_full_total"], stats["tls_resumed_total"], stats["tls_1_2_total"]) == (1, 1, 2)
    assert [s["tls_resumed"] for s in sorted(server.sessions(), key=lambda s: s["id"])] == [False, True]
    again.close()


@cases(newest=["1.2", "1.3"])
def test_tls_version_in_strict(t, newest):
    server = t.sqlserver(args=["--tls-max", newest])
    client = t.client(server, encrypt="strict")
    assert client.session.tls.version() == server.sessions()[0]["tls_version"] == f"TLSv{newest}"
    assert client.scalar("SELECT 1") == 1 and server.stats()[f"tls_{newest.replace('.', '_')}_total"] == 1


def test_sessions_tell_what_was_sent(t):
    server = t.sqlserver()
    features = [(FEATURE_ENCRYPTION, b"\1"), (FEATURE_UTF8, b"\1"), (0x77, b"unknown")]
    answer, one = login(server, user=server.user, password=server.password, database=server.database,
                        flags=(0xE0, 0x01, TYPE_READ_ONLY, 0x08), features=features, server_name="tcp:db1.example,1433")
    assert answer.loginack is not None
    one.client.query("USE master")
    [session] = server.sessions()
    expected = {"user": server.user, "authentication": "sql", "login_database": server.database, "database": "master",
                "app_name": "app", "host_name": "harness", "server_name": "tcp:db1.example,1433", "library": "library",
                "tds_version": "0x74000004", "flags": "E0012018", "read_only_intent": True,
                "features": {"04": "01", "0A": "01", "77": "756E6B6E6F776E"}, "packet_size_asked": 4096,
                "packet_size": 4096, "encryption": "none", "tls_version": "", "sni": "", "mars_asked": False,
                "requests": 1, "resets": 0, "address": "127.0.0.1"}
    assert {name: session[name] for name in expected} == expected, session
    one.close()
    server.wait_connections(0)
    for encrypt, version in (("login", "TLSv1.2"), ("full", "TLSv1.2"), ("strict", None)):
        client = t.client(server, encrypt=encrypt, mars=1)
        [session] = server.sessions()
        assert session["encryption"] == encrypt and session["sni"] == "localhost" and session["mars_asked"]
        assert session["tls_version"] == (version or client.session.tls.version())
        assert client.session.peer_options[4] == b"\0", "MARS is declined"
        client.close()
        server.wait_connections(0)


# ---------------------------------------------------------------------------------------------------- routing


def routing_of(answer):
    """(protocol, port, host) of ENVCHANGE 20, or None; checks the order of the tokens."""
    found = [value for kind, value, _ in answer.env if kind == ENV_ROUTING]
    if not found:
        return None
    [value] = found
    size, protocol, port, characters = struct.unpack_from("<HBHH", value)
    assert size == 5 + 2 * characters and value[2 + size:] == b"\0\0", value
    assert answer.tokens.index(0xAD) < len(answer.tokens) - 2 and answer.tokens[-2:] == [0xE3, 0xFD], answer.tokens
    return protocol, port, value[7:7 + 2 * characters].decode("utf-16-le")


def test_routing(t):
    server = t.sqlserver()
    keys = {"user": server.user, "password": server.password, "database": server.database}
    server.set("route", "replica.example:14330")
    answer, one = login(server, **keys)
    assert answer.loginack and routing_of(answer) == (0, 14330, "replica.example") and not answer.errors
    one.send(PACKET_BATCH, batch_payload("SELECT 1"))
    assert_closed(one.client)
    assert outcome(server, **{**keys, "password": "wrong"}) == [(18456, 14)], "credentials come first"
    assert server.sessions() == [] and server.stats()["logins_routed_total"] == 1
    old, reads = {"tds_version": 0x730B0003}, {"flags": (0xE0, 0x03, TYPE_READ_ONLY, 0)}
    assert routing_of(login(server, **keys, **old)[0]) is None, "a 7.3 client knows routing for read-only intent only"
    assert routing_of(login(server, **keys, **old, **reads)[0]) is not None
    server.set("route-read-only", 1)
    assert routing_of(login(server, **keys)[0]) is None and routing_of(login(server, **keys, **reads)[0]) is not None
    server.set("route", "off")
    assert routing_of(login(server, **keys, **reads)[0]) is None


# ---------------------------------------------------------------------------------------------------- features


def test_feature_acks(t):
    """Only what was asked for, only what is switched on."""
    server = t.sqlserver()
    keys = {"user": server.user, "password": server.password}
    everything = [(0x01, b""), (0x10, "agent".encode("utf-16-le")), (FEATURE_ENCRYPTION, b"\3"), (0x05, b""),
                  (FEATURE_CLASSIFICATION, b"\2"), (FEATURE_UTF8, b"\1"), (0x0B, b""), (FEATURE_JSON, b"\1"),
                  (0x0E, b"\2"), (0x0F, b"")]

    def acks(*features):
        answer, one = login(server, features=features, **keys)
        rows = one.client.query("SELECT 1 AS a, N'x' AS b" if FEATURE_ENCRYPTION not in dict(answer.features) else "").rows
        one.close()
        assert rows in ([[1, "x"]], [])
        return dict(answer.features)

    at_first = acks(*everything)
    assert at_first.pop(0x01) and at_first == {FEATURE_UTF8: b"\1"} and acks() == {}
    server.set("feature-acks", "none")
    assert acks(*everything) == {}
    server.set("feature-acks", "09,0A,0D,0E,0F")
    assert acks(*everything) == {FEATURE_CLASSIFICATION: b"\2\1", FEATURE_UTF8: b"\1", FEATURE_JSON: b"\1",
                                 0x0E: b"\1", 0x0F: b"\0"}
    assert acks((FEATURE_CLASSIFICATION, b"\1"), (FEATURE_UTF8, b"\0")) == {FEATURE_CLASSIFICATION: b"\1\1"}
    server.set("feature-acks", "04")
    assert acks(*everything) == {FEATURE_ENCRYPTION: b"\1"}


def test_column_encryption_changes_column_metadata(t):
    server = t.sqlserver(args=["--feature-acks", "04"])
    keys = {"user": server.user, "password": server.password}
    plain, encrypting = (login(server, features=features, **keys)[1]
                         for features in ((), ((FEATURE_ENCRYPTION, b"\1"),)))
    for one in (plain, encrypting):
        one.send(PACKET_BATCH, batch_payload("SELECT 7 AS n"))
    without, with_table = plain.receive_raw(), encrypting.receive_raw()
    assert without[:3] == with_table[:3] == b"\x81\1\0" and with_table[3:5] == b"\0\0", with_table[:8]
    assert with_table[5:] == without[3:], "an empty CekTable is all that differs"


# ---------------------------------------------------------------------------------------------------- integrated security


def keyed(password, data):
    return hmac.new(password.encode(), data, hashlib.sha256).digest()


@cases(encrypt=["off", "login", "full"], nonce=[32, 9000])
def test_sspi(t, encrypt, nonce):
    """Two rounds, each of which counts; the session is the user's of the first blob."""
    server = t.sqlserver(args=["--sspi-nonce", nonce])
    server.login("add", "DOMAIN\\app", "secret")
    one = Login(server, encrypt=encrypt, user="", sspi=b"SIN1" + b"DOMAIN\\app", long_sspi=nonce > 32)
    challenge = one.sspi_blob()
    assert challenge[:4] == b"SIN2" and len(challenge) == 4 + nonce and len(set(challenge)) > 8
    assert server.sessions() == [] and server.stats()["logins_total"] == 0
    reply = b"SIN3" + keyed("secret", challenge)
    one.send(PACKET_SSPI, reply)
    payload = one.receive_raw()
    token = payload.index(b"\xed\x24\0SIN4")
    assert payload[token + 7:token + 39] == keyed("secret", reply)
    answer = Response(payload[:token] + payload[token + 39:])
    assert answer.loginack and not answer.errors
    assert one.client.query("SELECT SUSER_SNAME(), DB_NAME()").rows == [["DOMAIN\\app", "master"]]
    [session] = server.sessions()
    assert session["authentication"] == "sspi" and session["user"] == "DOMAIN\\app" and session["flags"][2:4] == "83"


def test_sspi_refused(t):
    server = t.sqlserver()
    server.login("add", "app", "secret")
    assert outcome(server, user="", sspi=b"NTLMSSP\0\1\0\0\0") == [(18452, 14)]
    for user, password in (("app", "wrong"), ("nobody", "secret")):
        one = Login(server, user="", sspi=b"SIN1" + user.encode())
        challenge = one.sspi_blob()
        one.send(PACKET_SSPI, b"SIN3" + keyed(password, challenge))
        answer = one.receive()
        assert [(e.number, e.severity) for e in answer.errors] == [(18456, 14)] and answer.loginack is None
        assert_closed(one.client)
    server.login("lock", "app")
    one = Login(server, user="", sspi=b"SIN1app")
    one.send(PACKET_SSPI, b"SIN3" + keyed("secret", one.sspi_blob()))
    assert [e.number for e in one.receive().errors] == [18486]
    for kind in (PACKET_BATCH, PACKET_FEDAUTH, PACKET_LOGIN7):
        one = Login(server, user="", sspi=b"SIN1app")
        one.sspi_blob()
        one.send(kind, b"SIN3" + bytes(32))
        assert_closed(one.client)


# ---------------------------------------------------------------------------------------------------- federated


def security_token(token, echo=1):
    raw = token.encode("utf-16-le")
    return [(FEATURE_FEDAUTH, bytes([1 << 1 | echo]) + struct.pack("<I", len(raw)) + raw)]


def test_fedauth_security_token(t):
    server = t.sqlserver(args=["--fedauth-token", "tök.en"])
    one = Login(server, fedauth=1, user="", features=security_token("tök.en"))
    assert one.session.peer_options[6] == b"\1" and one.session.peer_options[4] == b"\0"
    answer = one.receive()
    assert answer.loginack and answer.features == [(FEATURE_FEDAUTH, b"")], answer.features
    assert one.client.scalar("SELECT SUSER_SNAME()") == "fedauth@standin.invalid"
    [session] = server.sessions()
    assert session["authentication"] == "fedauth" and session["features"] == {"02": ""}, "a token is no one's business"
    one.client.query("SELECT 1", STATUS_RESET)
    wrong = Login(server, fedauth=1, user="", features=security_token("tok.en")).receive()
    assert [e.number for e in wrong.errors] == [18456] and wrong.loginack is None


def test_fedauth_echo_must_match(t):
    server = t.sqlserver(args=["--fedauth-token", "x"])
    for fedauth, echo in ((1, 0), (None, 1)):
        one = Login(server, fedauth=fedauth, user="", features=security_token("x", echo))
        assert_closed(one.client)
    assert Login(server, user="", features=security_token("x", 0)).receive().loginack, "not asked for in PRELOGIN"


def test_fedauth_is_not_offered_by_default(t):
    server = t.sqlserver()
    one = Login(server, fedauth=1, user="", features=security_token("", 0))
    assert 6 not in one.session.peer_options
    assert_closed(one.client)
    assert outcome(server, fedauth=1, user=server.user, password=server.password) == "ok", "SqlClient always asks"


def test_fedauth_adal(t):
    server = t.sqlserver()
    server.set("fedauth-token", "the token")
    server.set("fedauth-user", "someone@else")
    for given, expected in (("the token", []), ("another", [18456])):
        one = Login(server, fedauth=1, user="", features=[(FEATURE_FEDAUTH, bytes([2 << 1 | 1, 3]))])
        info = one.receive_raw()
        size, count = struct.unpack_from("<II", info, 1)
        assert info[0] == 0xEE and len(info) == 5 + size and count == 2
        texts = {}
        for number in range(count):
            kind, length, offset = struct.unpack_from("<BII", info, 9 + 9 * number)
            texts[kind] = info[5 + offset:5 + offset + length].decode("utf-16-le")
        assert set(texts) == {1, 2} and all(text.startswith("https://") for text in texts.values()), texts
        raw = given.encode("utf-16-le")
        one.send(PACKET_FEDAUTH, struct.pack("<II", len(raw) + 4, len(raw)) + raw)
        answer = one.receive()
        assert [e.number for e in answer.errors] == expected
        if not expected:
            assert answer.features == [(FEATURE_FEDAUTH, b"")]
            assert one.client.scalar("SELECT SUSER_SNAME()") == "someone@else"
    one = Login(server, fedauth=1, user="", features=[(FEATURE_FEDAUTH, b"\5\3")])
    one.receive_raw()
    one.send(PACKET_FEDAUTH, struct.pack("<II", 100, 2) + b"x\0")
    assert_closed(one.client)


def test_mutated_logins(t):
    """Whatever a LOGIN7 holds: an answer or a closed connection, and the server lives."""
    server = t.sqlserver(args=["--fedauth-token", "x"])
    chance = random.Random(7)
    good = [dict(user=server.user, password=server.password, database=server.database, new_password=server.password,
                 features=[(FEATURE_UTF8, b"\1"), (FEATURE_ENCRYPTION, b"\1")]),
            dict(user="", sspi=b"SIN1app", long_sspi=True), dict(user="", features=security_token("x", 0))]
    answers = 0
    for _ in range(300):
        payload = bytearray(login7(**chance.choice(good)))
        for _ in range(chance.randrange(1, 4)):
            payload[chance.randrange(24, len(payload))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        one = Login(server)
        try:
            one.send(PACKET_LOGIN7, bytes(payload))
            one.receive_raw()
            answers += 1
        except (TdsClosed, OSError):
            pass
        one.close()
    assert answers > 100, answers
    server.login("add", "after", "all")
    assert t.client(server, user="after", password="all").scalar("SELECT 1") == 1
