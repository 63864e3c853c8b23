"""What a client is told at login: the server's own answers, from a real login and from a record of one."""

import struct
import threading
import time

from harness import *
from harness.tds import *
from test_standin_login import (DATABASE_OPTIONAL, FEATURE_CLASSIFICATION, FEATURE_ENCRYPTION, FEATURE_JSON, FEATURE_UTF8,
                                TDS8, TYPE_READ_ONLY, Login, login, outcome)

TOKEN_ENVCHANGE, TOKEN_FEATUREEXTACK, TOKEN_DONE, ENV_PACKET_SIZE = 0xE3, 0xAE, 0xFD, 4


def session_proxy(t, server, bucket=None, **proxy_keys):
    """Without probes: every connection that the server counts is a client's."""
    keys = {"max_connections": 10, "health_probe": "off", **(bucket or {})}
    return t.proxy([t.bucket("b1", server, **keys)], proxy={"pool_mode": "session", **proxy_keys})


def tokens_of(payload, wide=True):
    """The tokens of a login response, each as its bytes."""
    tokens, at = [], 0
    while at < len(payload):
        kind = payload[at]
        if kind == TOKEN_DONE:
            end = at + (13 if wide else 9)
        elif kind == TOKEN_FEATUREEXTACK:
            end = at + 1
            while payload[end] != 0xFF:
                end += 5 + struct.unpack_from("<I", payload, end + 1)[0]
            end += 1
        else:
            end = at + 3 + struct.unpack_from("<H", payload, at + 1)[0]
        tokens.append(payload[at:end])
        at = end
    assert at == len(payload), "a token that reaches beyond its message"
    return tokens


def answer_tokens(target, **keys):
    """All but the packet size, which is the client's and its own server's affair."""
    one = Login(target, **keys)
    payload = one.receive_raw()
    one.close()
    return [token for token in tokens_of(payload, keys.get("tds_version") != TDS71)
            if not (token[0] == TOKEN_ENVCHANGE and token[3] == ENV_PACKET_SIZE)]


# ---------------------------------------------------------------------------------------------------- accepted


def test_the_answer_is_the_servers_token_for_token(t):
    """From the real login, and from its record."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, bucket={"max_connections": 30})
    for version in (TDS71, TDS72, TDS73A, TDS73B, TDS74):
        assert_answers_alike(server, proxy, {"user": server.user, "password": server.password, "tds_version": version})


def assert_answers_alike(server, proxy, keys):
    for more in ({"database": server.database}, {}, {"database": server.database, "language": "Deutsch"},
                 {"flags": (DATABASE_OPTIONAL, 0x02, 0, 0), "database": server.database}):
        direct = answer_tokens(server, **keys, **more)
        assert answer_tokens(proxy, **keys, **more) == direct, f"the real login, {more}"
        before = server.stats()["logins_total"]
        assert answer_tokens(proxy, **keys, **more) == direct, f"the record, {more}"
        assert server.stats()["logins_total"] == before


def test_the_answer_does_not_tell_of_the_servers_encryption(t):
    """TDS 8.0 on one side and 7.4 on the other: each client is told its own version, from the record of the other's too."""
    cert, key = t.certificate()
    server = t.sqlserver(args=["--cert", cert, "--key", key])
    keys = {"user": server.user, "password": server.password, "database": server.database}
    strict, plain = {**keys, "encrypt": "strict", "tds_version": TDS8}, keys
    direct = {True: answer_tokens(server, **strict), False: answer_tokens(server, **plain)}
    assert direct[True] != direct[False], "LOGINACK"
    for server_tls in ("prefer", "strict"):
        for first in (True, False):
            proxy = session_proxy(t, server, bucket={"server_tls": server_tls, "server_ca_file": cert, "host": "localhost"})
            for is_strict in (first, not first, first):
                answer = answer_tokens(proxy, **(strict if is_strict else plain))
                assert answer == direct[is_strict], (server_tls, first, is_strict)
            proxy.stop()


def test_features_are_acknowledged_only_as_asked(t):
    """An acknowledgement of what was not asked for is an error to every driver; SESSIONRECOVERY is never given."""
    server = t.sqlserver(args=["--feature-acks", "04,09,0A,0D,0E"])
    proxy = session_proxy(t, server)
    keys = {"user": server.user, "password": server.password}
    everything = [(0x01, b""), (0x10, "agent".encode("utf-16-le")), (FEATURE_ENCRYPTION, b"\1"),
                  (FEATURE_CLASSIFICATION, b"\2"), (FEATURE_UTF8, b"\1"), (FEATURE_JSON, b"\1"), (0x0E, b"\1")]
    wishes = [everything, (), everything[4:5], everything[2:4], [(0x01, b""), (0x77, b"unknown")], everything]
    for features in wishes:
        direct, proxied = login(server, features=features, **keys)[0], login(proxy, features=features, **keys)[0]
        assert proxied.features == direct.features, (features, proxied.features, direct.features)
        assert {kind for kind, _ in proxied.features} <= {kind for kind, _ in features}


@cases(encrypt=["off", "full", "strict"])
def test_packet_size(t, encrypt):
    """What was asked, within 512 and 32767, or 16383 where a packet has to fit into one TLS record; kept both ways."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    largest = 32767 if encrypt == "off" else 16383
    text = "x" * 50000
    for asked, granted in ((512, 512), (4096, 4096), (8001, 8001), (16383, 16383), (16384, min(largest, 16384)),
                           (32767, largest), (0, 4096), (100, 512), (0x7FFFFFFF, largest)):
        client = t.client(proxy, packet_size=asked, encrypt=encrypt)
        assert client.session.packet_size == granted, (asked, client.session.packet_size)
        client.session.largest_packet = 0
        assert client.scalar(f"SELECT '{text}'") == text
        assert granted // 2 < client.session.largest_packet <= granted, (asked, client.session.largest_packet)
        client.close()


def test_each_side_has_its_own_packet_size(t):
    """client_packet_size_max is the clients', what the server grants is the server's."""
    server = t.sqlserver(args=["--packet-size-max", 1000])
    proxy = session_proxy(t, server, client_packet_size_max=9000)
    text = "x" * 50000
    for asked, granted in ((32767, 9000), (600, 600)):
        client = t.client(proxy, packet_size=asked)
        assert client.session.packet_size == granted
        assert client.scalar(f"SELECT '{text}'") == text
    assert {session["packet_size"] for session in server.sessions()} == {1000}


def test_login7_without_prelogin(t):
    """jTDS without encryption."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    client = t.client(proxy, prelogin=False, tds_version=TDS71)
    assert client.scalar("SELECT 41 + 1") == 42
    assert try_login(proxy.port, password="wrong", prelogin=False, tds_version=TDS71).number == 18456


def test_logins_of_many_tenants_take_turns_on_one_slot(t):
    """The idle connection of one is closed for the real login of the next."""
    server = t.sqlserver()
    for number in range(4):
        server.login("add", f"tenant{number}", f"of {number}")
    proxy = session_proxy(t, server, bucket={"max_connections": 1, "queue_timeout": "5s"})
    for _ in range(2):
        for number in range(4):
            client = t.client(proxy, user=f"tenant{number}", password=f"of {number}")
            assert client.scalar("SELECT SUSER_SNAME()") == f"tenant{number}"
            client.close()
            assert try_login(proxy.port, f"tenant{number}", "wrong", server.database).number == 18456
    assert server.peak() == 1


# ---------------------------------------------------------------------------------------------------- refused


def refused_alike(server, proxy, **keys):
    """Number, state, severity, text, server name, procedure, line: the tokens as they are. Returns the numbers."""
    direct = answer_tokens(server, **keys)
    assert answer_tokens(proxy, **keys) == direct
    return [e.number for e in Response(b"".join(direct)).errors]


def test_refusals_are_the_servers_own(t):
    server = t.sqlserver(args=["--server-name", "PROD-7"])
    server.login("add", "app", "one")
    proxy = session_proxy(t, server)
    keys = {"user": "app", "database": server.database}
    assert refused_alike(server, proxy, **keys, password="wrong") == [18456]
    assert refused_alike(server, proxy, **{**keys, "user": "nobody"}, password="one") == [18456]
    for state, number in (("lock", 18486), ("disable", 18470), ("expire", 18487)):
        server.login(state, "app")
        assert refused_alike(server, proxy, **keys, password="one") == [number]
        server.login({"lock": "unlock", "disable": "enable", "expire": "drop"}[state], "app")
    server.login("add", "app", "two")
    server.login("must-change", "app")
    assert refused_alike(server, proxy, **keys, password="two") == [18488]
    for number in (4060, 18452, 18461):
        server.set("login-error", number)
        assert number in refused_alike(server, proxy, user=server.user, password=server.password)
    wait_until(lambda: server.connections() == 0, 10, "no connection of a refused login is kept")


def test_unknown_database(t):
    """Fatal where the client says so (fDatabase); else ERROR 4063 before a login that goes on in master."""
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    keys = {"user": server.user, "password": server.password, "database": "nowhere"}
    assert refused_alike(server, proxy, **keys) == [4060, 18456]
    lenient = {**keys, "flags": (DATABASE_OPTIONAL, 0x02, 0, 0)}
    direct = answer_tokens(server, **lenient)
    for _ in range(2):
        assert answer_tokens(proxy, **lenient) == direct
        answer, one = login(proxy, **lenient)
        assert [e.number for e in answer.errors] == [4063] and answer.loginack
        assert one.client.scalar("SELECT DB_NAME()") == "master"
        one.close()
    assert refused_alike(server, proxy, **keys) == [4060, 18456], "the lenient login's record is not the strict one's"


# ---------------------------------------------------------------------------------------------------- records


class Busy:
    """Clients that log in without a pause; (when it began, error's number or None) of each login."""

    def __init__(self, proxy, count, **keys):
        self.proxy, self.keys, self.logins, self.stop = proxy, keys, [], threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                error = try_login(self.proxy.port, **self.keys)
                self.logins.append((began, error.number if error else None))
            except (OSError, TdsClosed) as error:
                self.logins.append((began, error))

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)
        return self.logins


def test_changed_password(t):
    """The old one is refused auth_cache_ttl after the change at the latest, however many log in with it meanwhile."""
    ttl = 3.0
    server = t.sqlserver()
    server.login("add", "app", "old")
    proxy = session_proxy(t, server, auth_cache_ttl="3s")
    keys = {"user": "app", "database": server.database}
    busy = Busy(proxy, 3, password="old", **keys)
    wait_until(lambda: len(busy.logins) > 30, 20, "a busy tenant")
    server.login("password", "app", "new")
    changed = time.monotonic()
    wait_until(lambda: time.monotonic() > changed + ttl + 0.5, 10, "more than the time that a record is good for")
    logins = busy.end()
    assert {error for _, error in logins} == {None, 18456}, {error for _, error in logins}
    late = [began - changed for began, error in logins if began > changed + ttl and error is None]
    assert not late, f"admitted from an old record: {late} s after the change"
    assert sum(error == 18456 for _, error in logins) > 10
    assert try_login(proxy.port, password="new", **keys) is None


def test_new_password_works_at_once_and_ends_the_old_one(t):
    """Also while the old one's record is still good; a success with another password replaces that."""
    server = t.sqlserver()
    server.login("add", "app", "old")
    proxy = session_proxy(t, server, auth_cache_ttl="1h")
    keys = {"user": "app", "database": server.database}
    held = t.client(proxy, password="old", **keys)
    server.login("password", "app", "new")
    assert try_login(proxy.port, password="old", **keys) is None, "the record's time is not over"
    assert try_login(proxy.port, password="new", **keys) is None
    for _ in range(3):
        assert try_login(proxy.port, password="old", **keys).number == 18456
    assert try_login(proxy.port, password="new", **keys) is None
    assert held.scalar("SELECT 1") == 1, "who is connected stays, as with SQL Server"


def test_a_refusal_ends_the_record(t):
    """A locked login: as soon as the server has been asked once, nobody comes in from the record."""
    server = t.sqlserver()
    server.login("add", "app", "one")
    proxy = session_proxy(t, server, auth_cache_ttl="1h")
    keys = {"user": "app", "database": server.database}
    assert try_login(proxy.port, password="one", **keys) is None
    server.login("lock", "app")
    assert try_login(proxy.port, password="one", **keys) is None, "from the record"
    assert try_login(proxy.port, password="wrong", **keys).number == 18486
    assert try_login(proxy.port, password="one", **keys).number == 18486


def test_without_records(t):
    """auth_cache_ttl 0: the server is asked about every login; its connections are shared all the same."""
    server = t.sqlserver()
    server.login("add", "app", "one")
    proxy = session_proxy(t, server, auth_cache_ttl="0")
    keys = {"user": "app", "database": server.database}
    before = server.stats()["logins_total"]
    for number in range(1, 4):
        assert try_login(proxy.port, password="one", **keys) is None
        assert server.stats()["logins_total"] - before == number
    server.login("password", "app", "two")
    assert try_login(proxy.port, password="one", **keys).number == 18456
    assert try_login(proxy.port, password="two", **keys) is None


def test_a_record_is_for_one_kind_of_login(t):
    """Another password, user, database, language, TDS version, flag or feature: the server is asked."""
    server = t.sqlserver(args=["--database", "second", "--feature-acks", "0A"])
    server.login("add", "other", server.password)
    proxy = session_proxy(t, server)

    def real_logins(**changed):
        before = server.stats()
        keys = {"user": server.user, "password": server.password, "database": server.database, **changed}
        said = outcome(proxy, **keys)
        after = server.stats()
        assert said == ("ok" if "password" not in changed else [(18456, 14)]), (changed, said)
        return sum(after[name] - before[name] for name in ("logins_total", "login_failures_total"))

    assert [real_logins(), real_logins()] == [1, 0]
    variants = [{"user": "other"}, {"database": "second"}, {"database": ""}, {"language": "Deutsch"},
                {"tds_version": 0x730B0003}, {"flags": (0xE0, 0x02, 0, 0)}, {"flags": (0xA0, 0x03, 0, 0)},
                {"flags": (0xE0, 0x03, TYPE_READ_ONLY, 0)}, {"features": [(FEATURE_UTF8, b"\1")]}]
    for variant in variants:
        assert [real_logins(**variant), real_logins(**variant)] == [1, 0], variant
    assert [real_logins(), real_logins(password="wrong"), real_logins(password="")] == [0, 1, 1]
    assert [real_logins(), real_logins()] == [1, 0], "a wrong password has ended the record: anybody may try one"


def test_a_session_from_a_record_is_what_its_login_asked_for(t):
    """The server connection may be one that was left in another database and language."""
    server = t.sqlserver(args=["--database", "second"])
    proxy = session_proxy(t, server, bucket={"max_connections": 1})
    keys = {"user": server.user, "password": server.password}
    variants = [({"database": server.database}, [server.database, "us_english", server.user]),
                ({"database": "second"}, ["second", "us_english", server.user]),
                ({"language": "Deutsch"}, ["master", "Deutsch", server.user])]
    for _ in range(3):
        for more, expected in variants:
            answer, one = login(proxy, **keys, **more)
            assert answer.loginack, answer.errors
            assert one.client.query("SELECT DB_NAME(), @@LANGUAGE, SUSER_SNAME()").rows == [expected]
            one.close()
    assert server.peak() == 1
