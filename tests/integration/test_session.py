"""Session mode: TLS and login with the proxy, a server connection of the pool for the client's whole session."""

from harness import *


def session_proxy(t, server, **proxy_keys):
    bucket = t.bucket("b1", server, max_connections=5)
    return t.proxy([bucket], proxy={"pool_mode": "session", **proxy_keys})


@timeout(60)
@cases(encrypt=["off", "login", "full", "strict"])
def test_login_and_query(t, encrypt):
    server = t.sqlserver()
    proxy = session_proxy(t, server)
    for _ in range(3):
        client = t.client(proxy, encrypt=encrypt)
        assert client.scalar("SELECT 41 + 1") == 42
        client.close()
    wait_until(lambda: proxy.metric("proxy_connections_idle", bucket_id="b1") == 1, 5, "one idle connection")
    assert server.connections() == 1, server.stats()
