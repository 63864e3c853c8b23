"""Servers that offer SESSIONRECOVERY tell of changed session state (SESSIONSTATE); clients that did not ask never see it."""

from harness import *
from pooled import *

SESSIONSTATE = 0xE4
LOCKING = "CREATE PROCEDURE dbo.takes_lock AS EXEC sp_getapplock @Resource = 'r', @LockMode = 'Exclusive', @LockOwner = 'Session'"
FREEING = "CREATE PROCEDURE dbo.frees_lock AS EXEC sp_releaseapplock @Resource = 'r', @LockOwner = 'Session'"


def telling(t, **bucket):
    server = t.sqlserver()
    with t.client(server) as direct:
        direct.query(LOCKING)
        direct.query(FREEING)
    return server, pooled(t, server, 2, {"opaque_procedures": "share", **bucket})


@timeout(60)
@cases(session_state=["use", "off"])
def test_state_that_nobody_saw_pins(t, session_state):
    """A procedure whose body nobody reads takes a lock of the session's: the server says so, and only that keeps the lock its owner's."""
    server, proxy = telling(t, session_state=session_state)
    client = t.client(proxy)
    client.query("EXEC dbo.takes_lock")
    if session_state == "off":
        return wait_free(proxy, "not told")
    wait_pinned(proxy, "session_state", "told that this session could not be had elsewhere")
    assert client.scalar("SELECT APPLOCK_MODE('public', 'r', 'Session')") == "Exclusive"
    client.query("EXEC dbo.frees_lock")
    wait_free(proxy, "the lock is free")


@timeout(60)
def test_clients_see_nothing_of_it(t):
    server, proxy = telling(t)
    client = t.client(proxy)
    assert set(client.session.features) <= {0x0A}
    for text in ("SET NOCOUNT ON", "EXEC dbo.takes_lock", "SELECT 1", "EXEC dbo.frees_lock"):
        assert SESSIONSTATE not in client.query(text).tokens, text
    assert [s["features"] for s in server.sessions() if s["app_name"] == "harness"] == [{"01": ""}]


@timeout(60)
def test_known_settings_do_not_ask_again(t):
    """Each SET is told by the server too: that is no reason for a question."""
    server, proxy = telling(t)
    client = t.client(proxy)
    client.query("SELECT 1")
    wait_free(proxy, "at rest")
    before = server.stats()["requests_total"]
    for text in ("SET NOCOUNT ON", "SET DATEFIRST 3", "SET LOCK_TIMEOUT 100", "SELECT 2"):
        client.query(text)
    wait_free(proxy, "at rest")
    assert server.stats()["requests_total"] == before + 4
    other = t.client(proxy)
    assert other.scalar("SELECT @@DATEFIRST") == 7 and client.scalar("SELECT @@DATEFIRST") == 3
