"""Logins that are relayed to the server as they come: integrated security, federated tokens, changed passwords."""

import struct

from harness import *
from harness.tds import *
from test_login import answer_tokens, session_proxy, tokens_of
from test_standin_login import (FEATURE_FEDAUTH, PACKET_FEDAUTH, PACKET_SSPI, Login, keyed, login, outcome,
                                security_token)
from test_standin_protocol import assert_closed


def pinned(proxy):
    return proxy.metric("proxy_connections_pinned", bucket_id="b1", pin_reason="auth")


def gone(t, server, proxy):
    """Its connection is of no use to anybody else: it ends with the session."""
    wait_until(lambda: server.connections() == 0, 10, "the connection of its own to be closed")
    proxy.wait_metric("proxy_connections_active", 0, bucket_id="b1")
    wait_until(lambda: pinned(proxy) == 0, 10, "the pin to be gone from the metrics")


def sspi_server(t, *args):
    server = t.sqlserver(args=args)
    server.login("add", "DOMAIN\\app", "secret")
    return server


def sspi_login(target, password="secret", encrypt="off", long_sspi=False, mars=0):
    """Both rounds: (tokens of the last answer without the blob that is another each time, connection)."""
    one = Login(target, encrypt=encrypt, mars=mars, user="", sspi=b"SIN1" + b"DOMAIN\\app", long_sspi=long_sspi)
    reply = b"SIN3" + keyed(password, one.sspi_blob())
    one.send(PACKET_SSPI, reply)
    tokens = tokens_of(one.receive_raw())
    blobs = [token for token in tokens if token[0] == 0xED]
    if password == "secret":
        assert [blob[3:] for blob in blobs] == [b"SIN4" + keyed(password, reply)], "the client checks the server, too"
    return [t for t in tokens if t[0] != 0xED and not (t[0] == 0xE3 and t[3] == 4)], one


@cases(encrypt=["off", "login", "full", "strict"])
def test_integrated_security(t, encrypt):
    """Each round's token reaches the other side as it is; the connection is the session's alone."""
    nonce = {"off": 32, "login": 9000, "full": 9000, "strict": 32}[encrypt]  # longer than a packet, too
    server = sspi_server(t, "--sspi-nonce", nonce)
    proxy = session_proxy(t, server)
    direct = sspi_login(server, encrypt=encrypt, long_sspi=nonce > 32)
    direct[1].close()
    server.wait_connections(0)
    tokens, one = sspi_login(proxy, encrypt=encrypt, long_sspi=nonce > 32)
    assert tokens == direct[0]
    assert one.client.query("SELECT SUSER_SNAME(), DB_NAME()").rows == [["DOMAIN\\app", "master"]]
    wait_until(lambda: pinned(proxy) == 1, 10, "the pin in the metrics")
    second = sspi_login(proxy, encrypt=encrypt, long_sspi=nonce > 32)[1]
    assert server.connections() == 2 and one.client.scalar("SELECT @@SPID") != second.client.scalar("SELECT @@SPID")
    one.close()
    second.close()
    gone(t, server, proxy)


def test_integrated_security_refused(t):
    server = sspi_server(t)
    proxy = session_proxy(t, server)
    direct, proxied = (sspi_login(target, "wrong") for target in (server, proxy))
    assert proxied[0] == direct[0] and proxied[0][0][0] == 0xAA
    assert_closed(proxied[1].client)
    assert outcome(proxy, user="", sspi=b"NTLMSSP\0\1\0\0\0") == [(18452, 14)]
    gone(t, server, proxy)


def test_a_transient_refusal_after_tokens_is_told(t):
    """The dialogue cannot begin again: the client has answered the challenge of a connection that is no more."""
    server = sspi_server(t)
    proxy = session_proxy(t, server)
    one = Login(proxy, user="", sspi=b"SIN1" + b"DOMAIN\\app")
    challenge = one.sspi_blob()
    server.set("login-error", 40613)
    server.set("login-error-count", 1)
    one.send(PACKET_SSPI, b"SIN3" + keyed("secret", challenge))
    assert [e.number for e in one.receive().errors] == [40613]
    assert_closed(one.client)
    assert sspi_login(proxy)[1].client.scalar("SELECT 1") == 1


def test_a_server_lost_after_tokens(t):
    server = sspi_server(t)
    proxy = session_proxy(t, server)
    one = Login(proxy, user="", sspi=b"SIN1" + b"DOMAIN\\app")
    challenge = one.sspi_blob()
    server.kill_all()
    one.send(PACKET_SSPI, b"SIN3" + keyed("secret", challenge))
    answer = one.receive()
    assert [(e.number, e.severity) for e in answer.errors] == [(50003, 20)]
    gone(t, server, proxy)


def test_routing_after_tokens_cannot_be_followed(t):
    """The other server would want tokens of its own; the client is told, and no address."""
    server, other = sspi_server(t), t.sqlserver()
    server.set("route", f"127.0.0.1:{other.port}")
    proxy = session_proxy(t, server)
    tokens, one = sspi_login(proxy, "wrong")
    assert tokens[0][0] == 0xAA, "a refusal comes first"
    one = Login(proxy, user="", sspi=b"SIN1" + b"DOMAIN\\app")
    one.send(PACKET_SSPI, b"SIN3" + keyed("secret", one.sspi_blob()))
    assert [e.number for e in one.receive().errors] == [50003] and "routed after" in proxy.log_text()
    assert other.stats()["prelogins_total"] == 0
    gone(t, server, proxy)


def test_clients_that_leave_between_tokens(t):
    server = sspi_server(t)
    proxy = session_proxy(t, server, bucket={"max_connections": 2, "max_concurrent_logins": 2})
    for _ in range(3):
        ones = [Login(proxy, user="", sspi=b"SIN1" + b"DOMAIN\\app") for _ in range(2)]
        for one in ones:
            one.sspi_blob()
            one.close()
    assert sspi_login(proxy)[1].client.scalar("SELECT 1") == 1, "neither slots nor places among the logins are lost"


def test_a_client_that_is_silent_between_tokens(t):
    """It is the client's fault alone: closed after login_timeout, and the server is not held to be down for it."""
    server = sspi_server(t)
    proxy = session_proxy(t, server, bucket={"connection_timeout": "500ms"}, login_timeout="1s")
    silent = [Login(proxy, user="", sspi=b"SIN1" + b"DOMAIN\\app") for _ in range(4)]
    for one in silent:
        one.sspi_blob()
    for one in silent:
        assert_closed(one.client)
    gone(t, server, proxy)
    assert "circuit open" not in proxy.log_text() and "login_timeout" in proxy.log_text()
    assert sspi_login(proxy)[1].client.scalar("SELECT 1") == 1


def test_tokens_of_the_wrong_kind(t):
    server = sspi_server(t)
    proxy = session_proxy(t, server)
    for send in (lambda one: one.send(PACKET_BATCH, batch_payload("SELECT 1")),
                 lambda one: one.send(PACKET_SSPI, b"x" * 200_000),
                 lambda one: one.client.socket.sendall(packet(PACKET_SSPI, b"one") + packet(PACKET_SSPI, b"two"))):
        one = Login(proxy, user="", sspi=b"SIN1" + b"DOMAIN\\app")
        one.sspi_blob()
        try:
            send(one)
            assert_closed(one.client)
        except OSError:
            pass
    gone(t, server, proxy)
    assert sspi_login(proxy)[1].client.scalar("SELECT 1") == 1


# ---------------------------------------------------------------------------------------------------- federated


def test_federated_security_token(t):
    """The library that sends its token in LOGIN7."""
    server = t.sqlserver(args=["--fedauth-token", "tök.en"])
    proxy = session_proxy(t, server)
    keys = {"user": "", "features": security_token("tök.en", 0)}
    assert answer_tokens(proxy, **keys) == answer_tokens(server, **keys)
    gone(t, server, proxy)
    answer, one = login(proxy, **keys)
    assert answer.loginack and answer.features == [(FEATURE_FEDAUTH, b"")]
    assert one.client.scalar("SELECT SUSER_SNAME()") == "fedauth@standin.invalid"
    wait_until(lambda: pinned(proxy) == 1, 10, "the pin in the metrics")
    wrong = {"user": "", "features": security_token("tok.en", 0)}
    assert answer_tokens(proxy, **wrong) == answer_tokens(server, **wrong)
    one.close()
    gone(t, server, proxy)


def adal_login(target, given):
    """The library that is told by the server where to get its token: (FEDAUTHINFO's message, final answer, connection)."""
    one = Login(target, fedauth=1, user="", features=[(FEATURE_FEDAUTH, b"\x04\x03")])
    echo = one.session.peer_options.get(6, b"\0")
    one.close()
    one = Login(target, fedauth=1, user="", features=[(FEATURE_FEDAUTH, bytes([2 << 1 | echo[0], 3]))])
    info = one.receive_raw()
    raw = given.encode("utf-16-le")
    one.send(PACKET_FEDAUTH, struct.pack("<II", len(raw) + 4, len(raw)) + raw)
    return info, one.receive(), one


def test_federated_two_rounds(t):
    server = t.sqlserver(args=["--fedauth-token", "the token", "--fedauth-user", "someone@else"])
    proxy = session_proxy(t, server)
    for given, expected in (("the token", []), ("another", [18456])):
        direct, proxied = adal_login(server, given), adal_login(proxy, given)
        assert proxied[0] == direct[0], "FEDAUTHINFO"
        assert [e.number for e in proxied[1].errors] == [e.number for e in direct[1].errors] == expected
        assert proxied[1].features == direct[1].features
        if not expected:
            assert proxied[2].client.scalar("SELECT SUSER_SNAME()") == "someone@else"
        direct[2].close()
        proxied[2].close()
    gone(t, server, proxy)


# ---------------------------------------------------------------------------------------------------- password change


def test_password_change_is_relayed(t):
    server = t.sqlserver()
    server.login("add", "app", "old")
    server.login("must-change", "app")
    proxy = session_proxy(t, server)
    keys = {"user": "app", "database": server.database}
    assert outcome(proxy, password="old", **keys) == [(18488, 14)]
    assert outcome(proxy, password="bad", new_password="new", **keys) == [(18456, 14)]
    assert outcome(proxy, password="old", new_password="nëw pass", **keys) == "ok"
    assert server.stats()["password_changes_total"] == 1
    assert outcome(proxy, password="old", **keys) == [(18456, 14)]
    assert outcome(proxy, password="nëw pass", **keys) == "ok"


# ---------------------------------------------------------------------------------------------------- secrets


def test_secrets_are_never_logged(t):
    """At level debug, whatever becomes of the login."""
    server = t.sqlserver(args=["--fedauth-token", "fedauth-SECRET-1"])
    server.login("add", "DOMAIN\\app", "sspi-SECRET-2")
    server.login("add", "app", "old-SECRET-3")
    proxy = session_proxy(t, server, log_level="debug")
    keys = {"user": "app", "database": server.database}
    for encrypt in ("off", "login", "full", "strict"):
        client = t.client(proxy, password="old-SECRET-3", encrypt=encrypt, user="app")
        assert client.scalar("SELECT 'query-SECRET-9'") == "query-SECRET-9"
        client.close()
    assert outcome(proxy, password="wrong-SECRET-4", **keys) == [(18456, 14)]
    assert outcome(proxy, password="old-SECRET-3", new_password="new-SECRET-5", **keys) == "ok"
    server.set("login-error", 40613)
    server.set("login-error-count", 1)
    assert outcome(proxy, password="new-SECRET-5", **keys) == "ok"
    server.set("drop-at-login", 1)
    assert outcome(proxy, password="lost-SECRET-6", **keys) == [(50003, 20)]
    server.set("drop-at-login", 0)
    login(proxy, user="", features=security_token("fedauth-SECRET-1", 0))[1].close()
    login(proxy, user="", features=security_token("other-SECRET-7", 0))[1].close()
    one = Login(proxy, user="", sspi=b"SIN1" + b"DOMAIN\\app")
    one.send(PACKET_SSPI, b"SIN3" + keyed("sspi-SECRET-2", one.sspi_blob()))
    one.receive_raw()
    one.close()
    proxy.stop()
    log = proxy.log_text()
    assert "session logged in" in log and "server refused the login" in log, "level debug was not on"
    assert "SECRET" not in log and server.password not in log
    assert "S\0E\0C\0R\0E\0T" not in log and b"SECRET".hex() not in log.lower()
