"""Servers on which what a text sets that an RPC runs outlives the call, and USE and #tables of dynamic SQL as well, as with
Babelfish: it goes with the client in transaction mode all the same. The stand-in's switch inner-outlives."""

from harness import *
from harness.tds import *
from isolation.kinds import Kind
from isolation.wire import Wire
from pooled import *

SERVERS = {"as Babelfish": {"silent-transactions": 1, "no-database-reset": 1}, "TDS 7.1": {}}
LOOK = "SELECT @@OPTIONS AS o, CAST(@@DATEFIRST AS int) AS d, @@LANGUAGE AS l, @@LOCK_TIMEOUT AS t, DB_NAME() AS db"
TEXTS = {"options": "SET DATEFIRST 3; SET NOCOUNT ON; SET LOCK_TIMEOUT 77000", "database": f"USE {OTHER}",
         "language": "SET LANGUAGE Deutsch", "language and order": "SET LANGUAGE Deutsch; SET DATEFIRST 2",
         "maybe": "IF DB_NAME() = ''nowhere'' SET DATEFIRST 3 ELSE SET DATEFIRST 4",
         "before an error": "SET DATEFIRST 2; SELECT CAST(''x'' AS int)"}


def plain(text):
    return text.replace("''", "'")


def prepared(client, text):
    """Nothing of the text is in the request that runs it, nor in the one behind which the handle no longer pins."""
    handle = client.rpc(11, NEW_HANDLE, None, plain(text)).return_values[0][2]
    client.rpcs((12, handle))
    client.rpc(15, handle)


def executed_again(client, text):
    handle = client.rpcs((13, NEW_HANDLE, None, plain(text))).return_values[0][2]
    client.query("SET DATEFIRST 1; SET NOCOUNT OFF; SET LOCK_TIMEOUT 1000; SET LANGUAGE us_english")
    client.rpcs((12, handle))
    client.rpc(15, handle)


NEW_HANDLE = Parameter(None, "", True, b"\x26\x04\x00")
HOW = {
    "EXEC": lambda c, text: c.ask(f"EXEC('{text}')"),
    "sp_executesql": lambda c, text: c.ask(f"EXEC sp_executesql N'{text}'"),
    "inside of another": lambda c, text: c.ask("EXEC('EXEC(''" + text.replace("'", "''") + "'')')"),
    "RPC": lambda c, text: c.rpcs((10, plain(text))),
    "prepared": prepared, "executed again": executed_again,
    "procedure": lambda c, text: c.rpcs(("dbo.p_text",)),
}

# No USE in a procedure; a change of database with a handle pins; no handle behind an error.
IMPOSSIBLE = {"database": ("prepared", "executed again", "procedure"),
              "before an error": ("executed again",)}


@timeout(60)
def test_a_level_that_nobody_knows_stays_behind_a_reset(t):
    """Behind an error nobody knows whether the level was set, and Babelfish has nothing to ask for it with. A reset leaves it alone:
    the session keeps its connection until it is set again; then that is closed, for what else may be left there."""
    server, keys = server_where_it_outlives(t, "as Babelfish")
    server.set("no-table-variable-identity", 1)
    server.set("no-useroptions", 1)
    proxy = pooled(t, server, 2, {"session_state": "off"})  # nor has it that
    client = t.client(proxy, **keys)
    client.ask("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1/0")
    level = "SELECT CAST(transaction_isolation_level AS int) AS n FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
    for _ in range(2):
        reset(client)
        assert client.scalar(level) == 4
        wait_pinned(proxy, "session_state", "the level is there only")
    client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    wait_free(proxy, "the level is known")
    assert client.scalar(level) == 3
    assert t.client(proxy, **keys).scalar(level) == 2
    if MODE == "transaction":
        wait_until(lambda: proxy.log_text().count("slot released") == 1, 10, "not used again")


def server_where_it_outlives(t, server_is):
    server, keys = server_and_clients(t, server_is)
    for name, value in {**SERVERS[server_is], "inner-outlives": 1}.items():
        server.set(name, value)
    return server, keys


@timeout(60)
@cases(server_is=list(SERVERS), what=list(TEXTS))
def test_what_is_set_inside_goes_with_the_client(t, server_is, what):
    """One server connection, and a neighbour in quite another state."""
    server, keys = server_where_it_outlives(t, server_is)
    text = TEXTS[what]
    if "USE" not in text:
        t.client(server, **keys).query(f"CREATE PROCEDURE dbo.p_text AS {plain(text)}")
    proxy = pooled(t, server)
    neighbour = t.client(proxy, **keys)
    neighbour.query("SET DATEFIRST 6; SET LANGUAGE Svenska; SET LOCK_TIMEOUT 5000")
    before = neighbour.query(LOOK).rows
    for how, run in HOW.items():
        if how in IMPOSSIBLE.get(what, ()):
            continue
        direct, client = t.client(server, **keys), t.client(proxy, **keys)
        fresh = client.query(LOOK).rows
        run(direct, text), run(client, text)
        assert neighbour.query(LOOK).rows == before, how
        expected = direct.query(LOOK).rows
        assert client.query(LOOK).rows == expected, how
        assert neighbour.query(LOOK).rows == before, how
        assert expected != fresh or (how not in ("RPC", "prepared", "executed again") and what != "database"), \
            f"{how}: the switch does nothing"
        wait_free(proxy, how)


@timeout(60)
@cases(server_is=list(SERVERS))
def test_what_cannot_be_replayed_pins(t, server_is):
    """A #table until it is dropped; an option that nobody can read back until the session's end."""
    server, keys = server_where_it_outlives(t, server_is)
    proxy = pooled(t, server)
    for how in ("EXEC", "RPC", "executed again"):
        client = t.client(proxy, **keys)
        HOW[how](client, "IF OBJECT_ID(''tempdb..#inside'') IS NULL CREATE TABLE #inside (n int)")
        wait_pinned(proxy, "temp_table", how)
        assert client.query("SELECT COUNT(*) AS c FROM #inside").rows == [[0]]
        client.query("DROP TABLE #inside")
        wait_free(proxy, f"{how}: dropped")
        if how != "EXEC":
            HOW[how](client, "SET ROWCOUNT 1")
            wait_pinned(proxy, "session_state", how)
            assert len(client.query("SELECT n FROM (VALUES (1), (2)) v (n)").rows) == 1
        client.close()
        wait_free(proxy, f"{how}: closed")
        assert len(t.client(proxy, **keys).query("SELECT n FROM (VALUES (1), (2)) v (n)").rows) == 2


@timeout(60)
@cases(server_is=list(SERVERS))
def test_a_language_that_leaves_the_first_day_alone(t, server_is):
    """Babelfish's SET LANGUAGE takes no DATEFIRST back: another client's must not stay, nor one's own get lost."""
    server, keys = server_where_it_outlives(t, server_is)
    server.set("language-alone", 1)
    proxy = pooled(t, server)
    client, neighbour = t.client(proxy, **keys), t.client(proxy, **keys)
    neighbour.query("SET DATEFIRST 4")
    assert client.query(LOOK).rows[0][1] == 7
    neighbour.query("SET LANGUAGE Deutsch")
    assert client.query(LOOK).rows[0][1] == 7
    assert neighbour.query(LOOK).rows[0][1:3] == [4, "Deutsch"]
    wait_free(proxy, "nothing of it pins")


@timeout(60)
@cases(server_is=list(SERVERS))
def test_a_login_that_is_told_no_language(t, server_is):
    """Its request goes to the connection of a client whose login was told one: that was reset again and again for it."""
    server, keys = server_where_it_outlives(t, server_is)
    server.set("language-alone", 1)
    proxy = pooled(t, server, 2)

    def login(language=""):
        tds = keys.get("tds_version", TDS74)
        return Wire(proxy.port, Kind(server.user, server.database, language, tds=tds, password=server.password))

    with_language, other = login("Deutsch"), login()
    with_language.ask("SELECT 1")
    other.ask("BEGIN TRAN")
    client = login()
    assert client.ask("SELECT 41 + 1 AS n").rows == [[42]]
    assert with_language.ask("SELECT 41 + 1 AS n").rows == [[42]]
    for wire in (other, client, with_language):
        wire.close()
    wait_free(proxy, "all have left")


@timeout(60)
@cases(server_is=list(SERVERS))
def test_a_statement_moves_though_its_values_have_no_names(t, server_is):
    """Babelfish's sp_prepexec wants names, which its sp_execute does not: where a statement has to be prepared again, that is
    done by a batch first."""
    server, keys = server_where_it_outlives(t, server_is)
    server.set("prepexec-wants-names", 1)
    server.set("prepare-tells-columns", 1)
    direct = t.client(server, **keys)
    assert [e.number for e in direct.rpc(13, NEW_HANDLE, "@n int", "SELECT @n + 1 AS n", 5).errors] == [33557097]
    proxy = pooled(t, server, 2)
    client, neighbour = t.client(proxy, **keys), t.client(proxy, **keys)
    handle = client.rpc(11, NEW_HANDLE, "@n int", "SELECT @n + 1 AS n").return_values[0][2]
    neighbour.query("BEGIN TRAN; SELECT 1 AS n")
    wait_pinned(proxy, "transaction", "where it was prepared")
    for n in range(3):
        assert client.rpcs((12, handle, n)).rows == [[n + 1]]
    assert server.stats()["logins_total"] == 3, "it has moved: a direct client, and two connections of the proxy's"
    neighbour.query("ROLLBACK")
    wait_free(proxy, "in the end")


@timeout(60)
@cases(mode=["session", "transaction"], tds=["7.4", "7.1"])
def test_a_reset_ends_a_transaction(t, mode, tds):
    """Babelfish's reset leaves @@TRANCOUNT, and what a client of a driver's pool wrote next was never committed, nor could
    its ROLLBACK work: session mode passed the reset on as it came, and lost the server connection behind it, too."""
    server = t.sqlserver()
    for name in ("silent-transactions", "reset-keeps-count"):
        server.set(name, 1)
    admin = t.client(server)
    admin.query("CREATE TABLE dbo.written (n int)")
    proxy = t.proxy([t.bucket("b1", server, 1, health_probe="off")], proxy={"pool_mode": mode})
    t.client(proxy).close()  # from a login at TDS 7.2 or later it is known what the server does not tell
    keys = {"prelogin": False, "tds_version": TDS71} if tds == "7.1" else {}

    def written_after_a_reset(target):
        with t.client(target, **keys) as client:
            client.query("BEGIN TRAN; INSERT INTO dbo.written VALUES (1)")
            count = reset(client, "SELECT @@TRANCOUNT AS t").rows
            refused = [e.number for e in client.ask("IF @@TRANCOUNT > 0 ROLLBACK").errors]
            client.query("INSERT INTO dbo.written VALUES (2)")
        return count, refused

    def rows():
        return admin.query("SELECT n FROM dbo.written").rows

    assert (written_after_a_reset(server), rows()) == (([[1]], [3903]), []), "the switch does nothing"
    for _ in range(2):
        logins = server.stats()["logins_total"]
        assert (written_after_a_reset(proxy), rows()) == (([[0]], []), [[2]])
        admin.query("DELETE FROM dbo.written")
    assert server.stats()["logins_total"] == logins, "the connection is still there"


@timeout(60)
@cases(silent=[0, 1])
def test_a_reset_that_comes_in_pieces(t, silent):
    """On the connection of its own login, while a batch of the proxy's runs for it: what came of the request meanwhile was
    taken for bytes of the login, and ended the session."""
    server = t.sqlserver(args=["--database", OTHER])
    server.set("silent-transactions", silent)
    proxy = t.proxy([t.bucket("b1", server, 1, health_probe="off")], proxy={"pool_mode": "session"})
    wire = Wire(proxy.port, Kind(server.user, server.database, password=server.password))
    wire.ask(f"USE {OTHER}; SET LANGUAGE Deutsch")
    raw = wire.batch("SELECT DB_NAME() AS d, @@LANGUAGE AS l", STATUS_RESET)
    for i in range(len(raw)):
        wire.write(raw[i:i + 1])
    assert wire.taken_apart(wire.receive()).rows == [[server.database, "us_english"]]
    wire.close()


@timeout(60)
@cases(mode=["session", "transaction"], tds=["7.4", "7.1"])
def test_a_level_is_taken_back(t, mode, tds):
    """Babelfish sets the isolation level only ahead of what reads: at TDS 7.1 the proxy looked first whether there had been
    a reset, and lost the connection of each client that had set a level."""
    server = t.sqlserver()
    for name in ("silent-transactions", "isolation-first"):
        server.set(name, 1)
    keys = {"prelogin": False, "tds_version": TDS71} if tds == "7.1" else {"tds_version": TDS74}
    change = "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"
    assert [e.number for e in t.client(server).ask(f"SELECT 1 AS n; {change}").errors] == [33557097]
    proxy = t.proxy([t.bucket("b1", server, 1, health_probe="off")], proxy={"pool_mode": mode, "health_check_interval": "1h"})
    for _ in range(3):
        with t.client(proxy, **keys) as client:
            assert level(client) == "read committed"
            client.query(change)
            assert level(client) == "read uncommitted"
    assert server.stats()["logins_total"] == 2, "the direct client's, and the proxy's"


@timeout(60)
@cases(server_is=list(SERVERS), how=["SET CONTEXT_INFO 0x0b5e", "EXEC sp_set_session_context N'key', N'its own'"])
def test_what_a_reset_leaves_stays_with_nobody(t, server_is, how):
    """Babelfish's reset leaves CONTEXT_INFO and SESSION_CONTEXT, whatever the TDS version: the connection is given up."""
    server, keys = server_where_it_outlives(t, server_is)
    server.set("reset-keeps-context", 1)
    proxy = pooled(t, server)
    look = "SELECT CONTEXT_INFO() AS c, SESSION_CONTEXT(N'key') AS k"
    for _ in range(2):
        client, neighbour = t.client(proxy, **keys), t.client(proxy, **keys)
        client.query(how)
        assert client.query(look).rows != [[None, None]]
        client.close()
        assert neighbour.query(look).rows == [[None, None]]
        neighbour.query(how)
        assert reset(neighbour, look).rows == [[None, None]], "its own reset takes it away, as with SQL Server"
        neighbour.close()
    wait_free(proxy, "all have left")
