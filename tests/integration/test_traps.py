"""Transaction mode: five mistakes that poolers of SQL Server connections make. Each on servers that announce transactions,
on silent ones, and at TDS 7.1.

DESIGN.md section 4: Reset, Transactions, Last values, the isolation level, the token stream.
"""

import struct
import threading

from harness import *
from harness.tds import *
from pooled import *

RESETS = {"reset": STATUS_RESET, "reset that keeps transactions": STATUS_RESET_SKIP_TRAN}
LEVELS = {1: "read uncommitted", 2: "read committed", 3: "repeatable read", 4: "serializable", 5: "snapshot"}


def opened_by(t, proxy, keys, database, language=None):
    """The one server connection is one that a client of this database has opened, and nobody uses it."""
    with t.client(proxy, database=database, **keys) as client:
        if language:
            client.query(f"SET LANGUAGE {language}")
        assert client.scalar("SELECT DB_NAME()") == database
    wait_free(proxy, "the opener has left")


# ---------------------------------------------------------------------------------------------------- (a) the reset


REQUESTS = {
    "batch": lambda c, text, status: c.query(text, status),
    "rpc": lambda c, text, status: c.rpc("sp_executesql", text, status=status),
    "rpc by number": lambda c, text, status: c.rpc(10, text, status=status),
}
WHERE = "SELECT DB_NAME(), @@LANGUAGE, CAST(@@DATEFIRST AS int), @@OPTIONS & 512, @@TRANCOUNT"


@timeout(60)
@cases(server_is=SERVERS, bit=list(RESETS), request=list(REQUESTS))
def test_a_clients_reset_leads_to_its_own_login(t, server_is, bit, request):
    """RESETCONNECTION takes a server connection to the database of the client that opened it, and tells nobody."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    status = RESETS[bit]
    client, ask = t.client(proxy, **keys), REQUESTS[request]
    fresh = [server.database, "us_english", 7, 0, 0]
    for spoiled in (False, True):
        if spoiled:
            client.query(f"USE {OTHER}; SET LANGUAGE German; SET NOCOUNT ON; SET DATEFIRST 3")
        opened_by(t, proxy, keys, OTHER, "French")
        answer = ask(client, WHERE, status)
        assert answer.rows == [fresh], f"{'after changes' if spoiled else 'at first'}: {answer.rows}"
        kinds = answer.env_kinds()
        assert kinds.count(ENV_RESET) == 1 and kinds[0] == ENV_RESET, answer.env
        assert not {1, 2} & set(kinds) and not answer.infos, "SQL Server tells of neither database nor language"
        assert client.query(WHERE).rows == [fresh]
        assert ENV_RESET not in client.query(WHERE).env_kinds()
    with t.client(proxy, database=OTHER, **keys) as other:
        assert other.query(WHERE).rows == [[OTHER, "us_english", 7, 0, 0]]
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=["announcing", "silent"])
def test_a_clients_reset_on_a_transaction_request(t, server_is):
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client = t.client(proxy, **keys)
    client.query(f"USE {OTHER}; SET NOCOUNT ON")
    opened_by(t, proxy, keys, OTHER)
    answer = client.tran(TRAN_BEGIN, status=STATUS_RESET)
    assert answer.env_kinds() == [ENV_RESET, 8] and not answer.errors, answer.env
    assert client.query(WHERE).rows == [[server.database, "us_english", 7, 0, 1]]
    assert not client.tran(TRAN_ROLLBACK).errors
    wait_free(proxy, "rolled back")


@timeout(60)
@cases(server_is=SERVERS)
def test_a_server_that_leaves_the_database_at_a_reset(t, server_is):
    """As Babelfish."""
    server, keys = server_and_clients(t, server_is)
    server.set("no-database-reset", 1)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, database=OTHER, **keys)
    for _ in range(3):
        client.query(f"USE {OTHER}")
        assert reset(client, "SELECT DB_NAME()").rows == [[server.database]]
        other.query(f"USE {server.database}; EXEC('SELECT 1')")
        assert reset(other, "SELECT DB_NAME()").rows == [[OTHER]]
    wait_free(proxy, "in the end")


# ---------------------------------------------------------------------------------------------------- (b) autocommit off


@timeout(60)
@cases(server_is=SERVERS, first=["SELECT n FROM dbo.kept", "INSERT INTO dbo.kept VALUES (7)", "DELETE FROM dbo.kept WHERE n < 0"])
def test_implicit_transaction_keeps_its_connection(t, server_is, first):
    """SET IMPLICIT_TRANSACTIONS ON, one statement, idle: the transaction is open though nobody was told. Others get
    another connection or wait."""
    server, keys = server_and_clients(t, server_is)
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    proxy = pooled(t, server, 2)
    client = t.client(proxy, **keys)
    client.query("SET IMPLICIT_TRANSACTIONS ON")
    wait_free(proxy, "the option alone begins nothing")
    client.query("SELECT 1")
    wait_free(proxy, "nor does a SELECT without FROM")
    client.query(first)
    wait_pinned(proxy, "transaction", f"after {first}")
    others = [t.client(proxy, **keys) for _ in range(4)]
    for _ in range(3):
        for other in others:
            assert other.query("SELECT @@TRANCOUNT, @@OPTIONS & 2, (SELECT COUNT(*) FROM dbo.kept)").rows == [[0, 0, 0]]
    wait_pinned(proxy, "transaction", "others came and went")
    assert client.query("SELECT @@TRANCOUNT, @@OPTIONS & 2").rows == [[1, 2]]
    client.query("COMMIT")
    wait_free(proxy, "after COMMIT")
    assert others[0].scalar("SELECT COUNT(*) FROM dbo.kept") == int(first.startswith("INSERT"))
    client.query("SELECT n FROM dbo.kept")  # and the next one begins at once
    wait_pinned(proxy, "transaction", "after the next statement")
    client.close()
    wait_free(proxy, "the client left, its transaction was rolled back")
    assert others[0].query("SELECT @@TRANCOUNT, @@OPTIONS & 2").rows == [[0, 0]]


@timeout(60)
@cases(server_is=SERVERS)
def test_others_wait_while_an_implicit_transaction_has_the_only_connection(t, server_is):
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.kept (n int); SET IMPLICIT_TRANSACTIONS ON")
    client.query("INSERT INTO dbo.kept VALUES (1)")
    other.send("SELECT @@TRANCOUNT, @@OPTIONS & 2, COUNT(*) FROM dbo.kept")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    client.query("ROLLBACK")
    assert other.receive().rows == [[0, 0, 0]]
    wait_free(proxy, "after both")


@timeout(120)
@cases(server_is=["announcing", "silent"])
def test_jtds_with_autocommit_off(t, server_is):
    """The driver itself: an INSERT, a pause, a ROLLBACK. Meanwhile others use what is left of two connections."""
    server, keys = server_and_clients(t, server_is)
    t.seed(server)
    proxy = pooled(t, server, 2)
    driver = threading.Thread(target=lambda: results.append(t.driver("jtds", proxy, "uncommitted", "off", hold=1500)))
    results = []
    driver.start()
    if MODE == "transaction":
        wait_until(lambda: held(proxy) == (1, {"transaction": 1}), 60, "the driver's transaction is open")
    else:
        wait_until(lambda: server.stats()["requests_total"] > 5, 60, "the driver is at work")
    others = [t.client(proxy, **keys) for _ in range(3)] + [t.client(proxy, tds_version=TDS71, prelogin=False)]
    while driver.is_alive():
        for other in others:
            row = other.query("SELECT @@TRANCOUNT, @@OPTIONS & 2, (SELECT COUNT(*) FROM dbo.test_table WHERE value = 4711)").rows
            assert row == [[0, 0, 0]], row
    driver.join()
    assert results[0].rc == 0 and "uncommitted=1 left=0" in results[0].out, results[0]
    wait_free(proxy, "the driver has left")


# ---------------------------------------------------------------------------------------------------- (c) last values


def inserter(t, proxy, keys, n, rounds, complaints):
    """A client whose identity values nobody else has, and who asks for them one request later."""
    base, wrong = n * 1_000_000, []

    def expect(what, seen, wanted):
        if seen != wanted:
            wrong.append(f"client {n}: {what}: {seen} instead of {wanted}")

    with t.client(proxy, **keys) as client:
        client.query(f"CREATE TABLE dbo.own_{n} (id int IDENTITY({base}, 1), n int)")
        for i in range(rounds):
            last = base + 2 * i + 1
            client.query(f"INSERT INTO dbo.own_{n} (n) VALUES (1)")
            expect("@@IDENTITY", int(client.scalar("SELECT @@IDENTITY")), last - 1)
            client.query(f"INSERT INTO dbo.own_{n} (n) VALUES (1)")
            how = i % 5
            if how == 0:
                expect("SCOPE_IDENTITY()", int(client.scalar("SELECT SCOPE_IDENTITY() AS id")), last)
            elif how == 1:
                expect("@@ROWCOUNT", client.scalar("SELECT @@ROWCOUNT AS n"), 1)
            elif how == 2:
                row = client.query("SELECT @@ERROR, @@ROWCOUNT, @@IDENTITY, SCOPE_IDENTITY()").rows[0]
                expect("all four", list(map(int, row)), [0, 1, last, last])
            elif how == 3:
                expect("in an expression", client.scalar("SELECT CAST(SCOPE_IDENTITY() AS int) + 1 AS next_id"), last + 1)
            else:
                client.query(f"BEGIN TRAN; UPDATE dbo.own_{n} SET n = 2")
                client.query("COMMIT")
                expect("behind COMMIT", int(client.scalar("SELECT @@IDENTITY AS id")), last)
            client.ask(f"INSERT INTO dbo.own_{n} (id) VALUES (1)")
            expect("@@ERROR", client.scalar("SELECT @@ERROR AS e"), 544)
            client.query(f"UPDATE dbo.own_{n} SET n = 3")
            expect("@@ROWCOUNT of an UPDATE", client.scalar("SELECT @@ROWCOUNT AS n"), last - base + 1)
            if wrong:
                break
    complaints += wrong[:3]


@timeout(120)
@cases(server_is=SERVERS)
def test_last_values_are_the_clients_own(t, server_is):
    """Twelve clients insert through two connections; each asks for @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT and @@ERROR in
    the next request. Never another's value, never an older one of its own."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 2, {"queue_timeout": "100s"})
    complaints = []
    threads = [threading.Thread(target=inserter, args=(t, proxy, keys, n, 20, complaints)) for n in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not complaints, "\n".join(complaints)
    wait_free(proxy, "all have left", 20)


@timeout(60)
@cases(server_is=SERVERS, ask=["SELECT @@IDENTITY", "SELECT SCOPE_IDENTITY()"])
def test_last_values_of_a_new_session(t, server_is, ask):
    """Who has inserted nothing gets NULL, whatever was inserted before on the connection."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(55, 1), n int)")
    for n in range(3):
        client.query("INSERT INTO dbo.ids (n) VALUES (1)")
        assert other.scalar(ask) is None, "another client's identity"
        assert int(client.scalar(ask)) == 55 + n
        assert int(client.scalar(ask)) == 55 + n, "once more"
    wait_free(proxy, "in the end")


# ---------------------------------------------------------------------------------------------------- (d) isolation level


def by_text(client, number):
    client.query(f"SET TRANSACTION ISOLATION LEVEL {LEVELS[number].upper()}")


def by_transaction_request(client, number):
    """The level of a transaction that is begun so stays for good."""
    assert not client.tran(TRAN_BEGIN, isolation=number).errors
    client.query("INSERT INTO dbo.kept VALUES (1)")
    assert not client.tran(TRAN_COMMIT).errors


def by_deferred_transaction_request(client, number):
    """Nothing runs in it."""
    assert not client.tran(TRAN_BEGIN, isolation=number).errors
    assert not client.tran(TRAN_ROLLBACK).errors


SETTERS = {f.__name__: f for f in (by_text, by_transaction_request, by_deferred_transaction_request)}


@timeout(60)
@cases(server_is=["announcing", "silent"], setter=list(SETTERS), number=[1, 3, 4])
def test_isolation_level_goes_with_the_client(t, server_is, setter, number):
    """No reset of the server takes it back, so it has to be sent."""
    goes_with_the_client(t, server_is, SETTERS[setter], number)


@timeout(60)
@cases(number=[1, 3, 4])
def test_isolation_level_goes_with_the_client_at_tds_71(t, number):
    goes_with_the_client(t, "TDS 7.1", by_text, number)


def goes_with_the_client(t, server_is, setter, number):
    server, keys = server_and_clients(t, server_is)
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    setter(client, number)
    for _ in range(2):
        assert level(other) == "read committed", "another client's level"
        assert level(client) == LEVELS[number], "its own level"
    reset(other, "SELECT 1")
    assert level(other) == "read committed"
    reset(client, "SELECT 1")
    assert level(other) == "read committed"
    assert level(client) == LEVELS[number], "a client's reset keeps it, as SQL Server does"
    client.close()
    with t.client(proxy, **keys) as late:
        assert level(late) == "read committed", "of a client that has left"
    assert level(other) == "read committed"
    wait_free(proxy, "in the end")


@timeout(60)
@cases(server_is=SERVERS)
def test_isolation_level_of_inner_text_ends_with_it(t, server_is):
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    by_text(client, 3)
    client.rpc(10, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1")
    client.query("EXEC('SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED')")
    assert level(other) == "read committed" and level(client) == "repeatable read"
    wait_free(proxy, "in the end")


# ---------------------------------------------------------------------------------------------------- (e) bytes in rows


def b(text):
    return bytes([len(text)]) + text.encode("utf-16-le")


def env(kind, rest):
    body = bytes([kind]) + rest
    return b"\xe3" + struct.pack("<H", len(body)) + body


def done(status, token=0xFD):
    return struct.pack("<BHHQ", token, status, 0xC1, 1)


FAKES = {
    "begin": env(8, b"\x08" + b"\x01\0\0\0\0\0\0\x07" + b"\0"),
    "commit": env(9, b"\0\x08" + b"\x01\0\0\0\0\0\0\x07"),
    "rollback": env(10, b"\0\x08" + b"\x01\0\0\0\0\0\0\x07"),
    "database": env(1, b("master") + b("tenant_db")),
    "language": env(2, b("Deutsch") + b("us_english")),
    "reset": env(18, b"\0\0"),
    "packet size": env(4, b("512") + b("4096")),
    "routing": env(20, b"\x0b\0\0\xbe\x06\x05\0" + "other".encode("utf-16-le") + b"\0\0"),
    "done": done(0), "done with error": done(2), "done of an attention": done(0x20), "done in transaction": done(4),
    "procedure done": done(0, 0xFE), "more": done(1), "session state": b"\xe4\x06\0\0\0\x01\0\0\0\x01",
}
ALL_FAKES = b"".join(FAKES.values())


def shapes(raw):
    """SELECTs that send these bytes in values of many types, and what they must give."""
    text = raw.decode("latin-1")
    wide = (raw + b"\0" * (len(raw) % 2)).decode("utf-16-le", "replace")
    literal = "0x" + raw.hex()
    yield f"SELECT {literal} AS v", [[raw]]
    yield f"SELECT CAST({literal} AS varbinary(max)) AS v, 1 AS n", [[raw, 1]]
    yield f"SELECT CAST({literal} AS varchar(8000)) AS v", None
    yield f"SELECT n, {literal} AS v FROM (VALUES (1), (2), (3)) v (n)", [[n, raw] for n in (1, 2, 3)]
    if "\ufffd" not in wide and "'" not in wide:
        yield f"SELECT N'{wide}' AS v", [[wide]]
    yield f"SELECT CAST({literal} AS sql_variant) AS v", None
    if text.isprintable():
        yield f"SELECT '{text}' AS v", None


@timeout(90)
@cases(server_is=SERVERS)
def test_row_data_that_looks_like_tokens(t, server_is):
    """Only the walk over the whole token stream tells; who looks for bytes believes these."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client, other, direct = t.client(proxy, **keys), t.client(proxy, **keys), t.client(server, **keys)
    fresh = look(client)
    for name, raw in {**FAKES, "all": ALL_FAKES, "again and again": ALL_FAKES * 12}.items():
        for sql, expected in shapes(raw):
            seen = client.ask(sql)
            assert outcome(seen) == outcome(direct.ask(sql)), f"{name}: {sql[:60]}"
            assert expected is None or seen.rows == expected
            assert other.scalar("SELECT @@TRANCOUNT") == 0
        wait_free(proxy, f"after bytes of {name}")
        assert look(client) == fresh and look(other) == fresh, name
    assert pins_so_far(proxy) == {}


@timeout(60)
@cases(server_is=SERVERS)
def test_data_that_looks_like_tokens_inside_a_transaction(t, server_is):
    """It is not ended by it."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 2)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("CREATE TABLE dbo.kept (n int)")
    client.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
    for name, raw in FAKES.items():
        client.query(f"SELECT 0x{raw.hex()} AS v")
        wait_pinned(proxy, "transaction", f"after bytes of {name}")
    assert other.query("SELECT COUNT(*), @@TRANCOUNT FROM dbo.kept").rows == [[0, 0]]
    client.query("ROLLBACK")
    wait_free(proxy, "after ROLLBACK")


@timeout(60)
@cases(server_is=SERVERS)
def test_parameters_and_texts_that_look_like_statements(t, server_is):
    """Values of an RPC, comments, quoted names: nothing of it runs, nothing of it pins."""
    server, keys = server_and_clients(t, server_is)
    proxy = pooled(t, server, 1)
    client = t.client(proxy, **keys)
    fresh = look(client)
    for text in ("BEGIN TRAN", "SET CONTEXT_INFO 0x01", "CREATE TABLE #t (n int)", "'; BEGIN TRAN --", "USE master"):
        assert client.rpc(10, "SELECT @t AS t", "@t nvarchar(100)", text).rows == [[text]]
        quoted = text.replace("'", "''")
        assert client.query(f"SELECT N'{quoted}' AS [BEGIN TRAN] /* {text} /* nested */ */ -- {text}").rows == [[text]]
        wait_free(proxy, f"after {text} in data")
    assert look(client) == fresh and pins_so_far(proxy) == {}
