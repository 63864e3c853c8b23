"""TLS on both sides: what client_tls and server_tls allow, whom verify-* trust, certificates changed at run time."""

import os
import shutil
import ssl
import subprocess

from harness import *
from harness.tds import *
from test_login import session_proxy

POLICIES = ["disable", "prefer", "require", "verify-ca", "verify-full", "strict"]

# What protects the connection of the proxy to a server that ... ; None: the login fails
EXPECTED = {
    "none": {"disable": "none", "prefer": "none"},
    "off": {"disable": "none", "prefer": "full", "require": "full", "verify-ca": "full", "verify-full": "full",
            "strict": "strict"},
    "forced": {"prefer": "full", "require": "full", "verify-ca": "full", "verify-full": "full", "strict": "strict"},
}
WHY = {
    ("none", "require"): "server does not encrypt, server_tls demands it",
    ("none", "verify-ca"): "server does not encrypt, server_tls demands it",
    ("none", "verify-full"): "server does not encrypt, server_tls demands it",
    ("none", "strict"): "closed during login",
    ("forced", "disable"): "server requires encryption, server_tls is disable",
}


def certificate_of(t, name):
    """(certificate, key) of a server called `name`, signed by itself."""
    cert, key = (os.path.join(t.folder, f"{name}-{part}.pem") for part in ("cert", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert,
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True,
                   timeout=60)
    return cert, key


def proxy_of_policies(t, server, ca_file, policies=POLICIES, **keys):
    """One bucket for each policy, reached by its name."""
    buckets = [t.bucket(policy, server, max_connections=2, server_tls=policy, health_probe="off", host="localhost",
                        server_ca_file=ca_file if policy in ("verify-ca", "verify-full", "strict") else None, **keys)
               for policy in policies]
    return t.proxy(buckets, proxy={"pool_mode": "session"})


def protection(t, proxy, server, policy):
    """What encrypts the server connection of a login through this bucket, or the TdsError."""
    try:
        client = t.client(proxy, server_name=policy)
    except TdsError as error:
        return error
    assert client.scalar("SELECT 41 + 1") == 42
    [session] = [s for s in server.sessions() if s["requests"] > 0 and s["server_name"] == "localhost"][-1:]
    client.close()
    server.kill_all()
    server.wait_connections(0)
    return session["encryption"]


def assert_refused(error, proxy, why):
    assert isinstance(error, TdsError), error
    assert (error.number, error.severity) == (50003, 20), error
    assert why in proxy.log_text(), f"the log does not say {why!r}:\n{proxy.log_text()[-2000:]}"


@timeout(120)
@cases(mode=["none", "off", "forced"])
def test_server_tls(t, mode):
    """Every policy against every server: as configured, or refused with a reason in the log. Never less than asked."""
    cert, key = t.certificate()
    server = t.sqlserver(encrypt=mode, args=[] if mode == "none" else ["--cert", cert, "--key", key])
    proxy = proxy_of_policies(t, server, cert, connection_timeout="3s")
    for policy in POLICIES:
        found, expected = protection(t, proxy, server, policy), EXPECTED[mode].get(policy)
        if expected is None:
            assert_refused(found, proxy, WHY[mode, policy])
        else:
            assert found == expected, (policy, found)
    refused = [policy for policy in POLICIES if policy not in EXPECTED[mode]]
    wait_until(lambda: server.connections() == 0, 10, "no connection is left")
    for policy in refused:
        proxy.wait_metric("proxy_connections_active", 0, bucket_id=policy)


@timeout(120)
def test_whom_the_proxy_trusts(t):
    """verify-ca looks at who signed, verify-full and strict also at the name; require and prefer at nothing."""
    cert, key = certificate_of(t, "db.example.net")
    other, _ = t.certificate()
    server = t.sqlserver(args=["--cert", cert, "--key", key])
    right_ca = proxy_of_policies(t, server, cert)
    wrong_ca = proxy_of_policies(t, server, other)
    for policy in ("prefer", "require"):
        assert protection(t, wrong_ca, server, policy) == "full"
    for policy in ("verify-ca", "verify-full", "strict"):
        assert_refused(protection(t, wrong_ca, server, policy), wrong_ca, "certificate verify failed")
    assert protection(t, right_ca, server, "verify-ca") == "full"
    for policy in ("verify-full", "strict"):
        assert_refused(protection(t, right_ca, server, policy), right_ca, "certificate verify failed: hostname mismatch")
    for policy in ("verify-full", "strict"):
        right_ca.wait_metric("proxy_connection_errors_total", 1, bucket_id=policy, error_type="tls")
    assert server.stats()["logins_total"] == server.stats()["tls_full_total"] + server.stats()["tls_resumed_total"]


def test_a_resumed_session_is_of_the_same_trust(t):
    """Buckets that verify and buckets that do not share no TLS sessions, although host and port are the same."""
    cert, key = certificate_of(t, "db.example.net")
    server = t.sqlserver(args=["--cert", cert, "--key", key])
    proxy = proxy_of_policies(t, server, cert, ["require", "verify-full"])
    for _ in range(3):
        assert protection(t, proxy, server, "require") == "full"
        assert_refused(protection(t, proxy, server, "verify-full"), proxy, "hostname mismatch")
    assert server.stats()["tls_resumed_total"] == 2, "the lenient bucket's second and third"


def test_server_that_learns_tls(t):
    """prefer: a server without TLS is remembered, and found out about when it has it."""
    server = t.sqlserver(encrypt="none")
    port = server.port
    proxy = proxy_of_policies(t, server, None, ["prefer"])
    assert protection(t, proxy, server, "prefer") == "none"
    server.stop()
    again = t.sqlserver(encrypt="forced", port=port)
    assert wait_until(lambda: not isinstance(found := protection(t, proxy, again, "prefer"), TdsError) and found, 20) == "full"


# ---------------------------------------------------------------------------------------------------- clients


def test_client_tls_disable(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server, client_tls="disable")
    assert t.client(proxy).scalar("SELECT 1") == 1
    for encrypt in ("login", "full"):
        try:
            t.client(proxy, encrypt=encrypt)
            raise AssertionError("TLS although it is disabled")
        except TdsProtocolError as error:
            assert f"encryption {encrypt} answered with {ENCRYPT_NOT_SUP}" in str(error), error
    try:
        t.client(proxy, encrypt="strict")
        raise AssertionError("strict TLS although it is disabled")
    except (TdsClosed, ssl.SSLError, OSError):
        pass
    assert "TLS is disabled" in proxy.log_text()
    assert server.stats()["logins_total"] == 1


def test_client_tls_require(t):
    """Nobody's password is asked for in clear: PRELOGIN says REQ, a LOGIN7 that comes all the same gets 50007."""
    server = t.sqlserver()
    proxy = session_proxy(t, server, client_tls="require")
    try:
        t.client(proxy)
        raise AssertionError("no TLS although it is required")
    except TdsProtocolError as error:
        assert f"answered with {ENCRYPT_REQ}" in str(error), error
    refused = try_login(proxy.port, server.user, server.password, prelogin=False, tds_version=TDS71)
    assert refused.number == 50007 and "encryption is required" in refused.text, refused
    assert server.stats()["logins_total"] == 0
    for encrypt in ("login", "full", "strict"):
        client = t.client(proxy, encrypt=encrypt)
        assert client.scalar("SELECT 1") == 1 and client.session.tls is not None, encrypt


def test_client_tls_allow(t):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    for encrypt, encrypted in (("off", False), ("login", False), ("full", True), ("strict", True)):
        client = t.client(proxy, encrypt=encrypt)
        assert client.scalar("SELECT 1") == 1 and (client.session.tls is not None) == encrypted, encrypt


# ---------------------------------------------------------------------------------------------------- certificates


def trusts(t, proxy, ca_file):
    """Whether a client that trusts this certificate alone logs in, in both kinds of TLS."""
    found = set()
    for encrypt in ("full", "strict"):
        try:
            client = t.client(proxy, encrypt=encrypt, ca_file=ca_file)
            assert client.scalar("SELECT 1") == 1
            client.close()
            found.add(True)
        except ssl.SSLCertVerificationError:
            found.add(False)
    assert len(found) == 1, "the certificates of both kinds of TLS differ"
    return found.pop()


def test_certificate_changed_at_run_time(t):
    """SIGHUP: new logins see the new certificate, who is connected goes on; one that is no good is not taken."""
    server = t.sqlserver()
    (old_cert, old_key), (new_cert, new_key) = t.certificate("old"), t.certificate("new")
    cert, key = os.path.join(t.folder, "used-cert.pem"), os.path.join(t.folder, "used-key.pem")
    shutil.copy(old_cert, cert), shutil.copy(old_key, key)
    proxy = session_proxy(t, server, tls_cert_file=cert, tls_key_file=key)
    assert trusts(t, proxy, old_cert) and not trusts(t, proxy, new_cert)
    held = [t.client(proxy, encrypt=encrypt, ca_file=old_cert) for encrypt in ("full", "strict")]
    shutil.copy(new_cert, cert)
    proxy.reload()
    wait_until(lambda: "does not belong to" in proxy.log_text() or "key values mismatch" in proxy.log_text(), 10,
               "the log to say that the key is another's")
    assert trusts(t, proxy, old_cert), "a certificate without its key is not taken"
    shutil.copy(new_key, key)
    proxy.reload()
    wait_until(lambda: trusts(t, proxy, new_cert), 10, "the new certificate")
    assert not trusts(t, proxy, old_cert)
    assert [client.scalar("SELECT 1") for client in held] == [1, 1]


def test_a_tls_session_of_the_old_certificate(t):
    """Is not gone on with once the certificate has changed."""
    server = t.sqlserver()
    cert, key = t.certificate()
    proxy = session_proxy(t, server, tls_cert_file=cert, tls_key_file=key)
    context = trusting_context(cert)

    class Resuming:
        session = None

        def wrap_bio(self, incoming, outgoing, server_hostname):
            return context.wrap_bio(incoming, outgoing, server_hostname=server_hostname, session=self.session)

    resuming = Resuming()

    def login():
        client = t.client(proxy, encrypt="full", tls_context=resuming)
        engine = client.session.tls
        client.close()
        resuming.session = engine.session
        return engine.session_reused

    assert [login(), login()] == [False, True]
    fresh_cert, fresh_key = t.certificate("fresh")
    shutil.copy(fresh_cert, cert), shutil.copy(fresh_key, key)
    proxy.reload()
    wait_until(lambda: trusts(t, proxy, fresh_cert), 10, "the new certificate")
    context.load_verify_locations(fresh_cert)
    assert login() is False
