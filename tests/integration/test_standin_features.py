"""The stand-in SQL Server with features that change the token stream: SESSIONSTATE, classified, encrypted and UTF-8
columns, and fetches without metadata. test_standin_login.py has their negotiation."""

from harness import *
from harness.tds import *
from test_standin import assert_basic
from test_standin_login import FEATURE_CLASSIFICATION, FEATURE_ENCRYPTION, FEATURE_UTF8, login

FEATURE_RECOVERY = 0x01
OPTIONS, DATES, HELD, TEXTSIZE, ISOLATION, ROWCOUNT, LOCK_TIMEOUT = 0, 2, 4, 5, 7, 8, 9  # state ids
SESSIONSTATE = 0xE4
ENCRYPTED = 0x0800


def connected(server, *features, **keys):
    answer, one = login(server, user=server.user, password=server.password, database=server.database, features=features,
                        **keys)
    assert answer.loginack, answer.errors
    return one.client


# ---------------------------------------------------------------------------------------------------- SESSIONSTATE


def recovering(t):
    server = t.sqlserver(args=["--feature-acks", "01"])
    return server, connected(server, (FEATURE_RECOVERY, b""))


def reported(client, sql, status=0):
    """(recoverable, {id: value}) that a batch reports, or None."""
    answer = client.ask(sql, status)
    assert len(answer.session_states) <= 1
    if not answer.session_states:
        return None
    assert answer.tokens[-2] == SESSIONSTATE and answer.tokens[-1] in (0xFD, 0xFE), "right before the last DONE"
    return answer.session_states[0][1:]


def test_changed_settings_are_reported(t):
    _, client = recovering(t)
    assert reported(client, "SELECT 1; SET NOCOUNT OFF; DECLARE @a int = 1") is None
    assert reported(client, "SET LOCK_TIMEOUT 9000") == (True, {LOCK_TIMEOUT: (9000).to_bytes(4, "little")})
    assert reported(client, "SET LOCK_TIMEOUT 9000") is None, "only what has changed"
    assert set(reported(client, "SET TEXTSIZE 7; SET ROWCOUNT 9; SET NOCOUNT ON")[1]) == {OPTIONS, TEXTSIZE, ROWCOUNT}
    assert reported(client, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT") == (True, {ISOLATION: b"\5"})
    assert set(reported(client, "SET LANGUAGE Deutsch")[1]) == {DATES}
    answer = client.rpc(10, "SET DATEFIRST 5; SET XACT_ABORT ON")
    assert answer.session_states == [], "sp_executesql takes its SETs back"
    sequences = [client.ask(f"SET LOCK_TIMEOUT {n}").session_states[0][0] for n in (1, 2, 3)]
    assert sequences == [sequences[0], sequences[0] + 1, sequences[0] + 2]


def test_reset_goes_back_to_the_baseline(t):
    """What still differs then, the isolation level, is reported again."""
    _, client = recovering(t)
    client.query("SET LOCK_TIMEOUT 5; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; CREATE TABLE #t (n int)")
    assert reported(client, "SELECT 1", STATUS_RESET) == (True, {ISOLATION: b"\4"})
    assert reported(client, "SET LOCK_TIMEOUT -1") is None, "that is the baseline"
    assert set(reported(client, "SET LOCK_TIMEOUT 5")[1]) == {LOCK_TIMEOUT}


def test_what_cannot_be_recovered(t):
    server, client = recovering(t)
    server.login("add", "clerk", "x")
    held = {0: ("BEGIN TRAN", "COMMIT"), 1: ("CREATE TABLE #t (n int)", "DROP TABLE #t"),
            2: ("DECLARE c CURSOR FOR SELECT 1 AS n", "DEALLOCATE c"), 3: ("EXECUTE AS LOGIN = 'clerk'", "REVERT"),
            4: ("EXEC sp_getapplock 'l', 'Exclusive', 'Session'", "EXEC sp_releaseapplock 'l', 'Session'"),
            5: ("DBCC TRACEON (3604)", "DBCC TRACEOFF (3604)")}
    for bit, (begin, end) in held.items():
        assert reported(client, begin) == (False, {HELD: bytes([1 << bit])}), begin
        assert reported(client, "SELECT 1") is None and reported(client, end) == (True, {HELD: b"\0"}), end
    assert reported(client, "CREATE TABLE ##g (n int)") == (False, {HELD: b"\2"})
    client.query("SET LOCK_TIMEOUT 7")
    assert reported(client, "DROP TABLE ##g") == (True, {HELD: b"\0", LOCK_TIMEOUT: (7).to_bytes(4, "little")}), \
        "a state that was reported meanwhile comes again"
    assert reported(client, "SET CONTEXT_INFO 0x01; EXEC sp_set_session_context N'k', 1") is None, "not told"


@cases(kind=["rpc", "tran", "error", "attention"])
def test_state_in_other_answers(t, kind):
    server, client = recovering(t)
    if kind == "rpc":
        answer = client.rpc("sp_getapplock", "l", "Exclusive", "Session")
        assert answer.tokens[-2:] == [SESSIONSTATE, 0xFE]
    elif kind == "tran":
        answer = client.tran(TRAN_BEGIN, isolation=4)
        assert answer.session_states == [(0, False, {HELD: b"\1", ISOLATION: b"\4"})]
    elif kind == "error":
        answer = client.ask("SET LOCK_TIMEOUT 5; SELECT 1 / 0")
        assert answer.errors
    else:
        client.send("SET LOCK_TIMEOUT 5; WAITFOR DELAY '00:01:00'")
        wait_until(lambda: sum(s["running"] for s in server.sessions()) == 1, 5, "it runs")
        client.attention()
        answer = client.receive()
        assert client.receive().dones[0][1] == DONE_ATTN
    assert len(answer.session_states) == 1


def test_state_is_told_to_none_who_did_not_ask(t):
    server = t.sqlserver(args=["--feature-acks", "01"])
    assert connected(server).ask("SET LOCK_TIMEOUT 5").session_states == []
    answer, one = login(server, user=server.user, password=server.password, features=[(FEATURE_RECOVERY, b"recovery data")])
    assert answer.loginack and answer.features == [], "a login that wants its state back is not acknowledged"
    one.close()
    server.set("feature-acks", "0A")
    assert connected(server, (FEATURE_RECOVERY, b"")).ask("SET LOCK_TIMEOUT 5").session_states == []


def test_baseline_in_the_acknowledgement(t):
    server = t.sqlserver(args=["--feature-acks", "01"])
    first, second = (connected(server, (FEATURE_RECOVERY, b"")).session.features[FEATURE_RECOVERY] for _ in range(2))
    assert first == second and first[0] == 0 and len(first) > 20
    without_odbc = connected(server, (FEATURE_RECOVERY, b""), flags=(0xE0, 0x01, 0, 0))
    assert without_odbc.session.features[FEATURE_RECOVERY] != first, "other SET defaults"


# ---------------------------------------------------------------------------------------------------- data classification


@cases(version=[1, 2])
def test_classified_columns(t, version):
    server = t.sqlserver(args=["--feature-acks", "09", "--classify-column", "email"])
    client = connected(server, (FEATURE_CLASSIFICATION, bytes([version])))
    answer = client.query("SELECT 1 AS id, N'x' AS email UNION ALL SELECT 2, NULL; SELECT 3 AS id; SELECT N'y' AS email")
    assert answer.rows == [[1, "x"], [2, None], [3], ["y"]]
    [(labels, types, rank, columns), second] = answer.classified
    assert len(labels) == len(types) == 1 and rank == (20 if version == 2 else None)
    assert columns == [[], [(0, 0, rank)]] and second[3] == [[(0, 0, rank)]]
    at = answer.tokens.index(0xA3)
    assert answer.tokens[at - 1] == 0x81, "right behind COLMETADATA"
    assert connected(server).query("SELECT N'x' AS email").classified == []
    server.set("classify-column", "off")
    assert connected(server, (FEATURE_CLASSIFICATION, b"\2")).query("SELECT N'x' AS email").classified == []


# ---------------------------------------------------------------------------------------------------- column encryption


@cases(kind=["int", "nvarchar(40)", "varchar(max)", "datetime2(3)", "decimal(9, 2)", "varbinary(20)", "date"])
def test_encrypted_column(t, kind):
    """The type on the wire is the cipher's; the real one is in CryptoMetaData, the key in the CekTable."""
    server = t.sqlserver(args=["--feature-acks", "04", "--encrypt-column", "secret"])
    client = connected(server, (FEATURE_ENCRYPTION, b"\1"))
    client.query(f"CREATE TABLE dbo.s (id int, secret {kind}); INSERT INTO dbo.s VALUES (1, NULL)")
    value = {"int": "5", "nvarchar(40)": "N'olá'", "varchar(max)": "'long'", "datetime2(3)": "'2024-02-29'", "date": "'2024-02-29'",
             "decimal(9, 2)": "1.25", "varbinary(20)": "0x0102"}[kind]
    client.query(f"INSERT INTO dbo.s VALUES (2, {value})")
    answer = client.query("SELECT id, secret, 7 AS tail FROM dbo.s ORDER BY id")
    [[one, null, seven], [two, cipher, seven_too]] = answer.rows
    assert (one, null, seven, two, seven_too) == (1, None, 7, 2, 7)
    assert cipher[0] == 1 and len(cipher) >= 65 and (len(cipher) - 49) % 16 == 0, cipher
    plain, secret, _ = answer.types
    assert not plain["flags"] & ENCRYPTED and secret["flags"] & ENCRYPTED and secret["type"] == 0xA5
    assert len(answer.keys) == 1 and (secret["crypto"]["ordinal"], secret["crypto"]["algorithm"]) == (0, 2)
    plaintext = connected(server).query("SELECT secret FROM dbo.s WHERE id = 2").types[0]["info"]
    assert secret["crypto"]["plain"][:1] == plaintext[:1], "the type that others get"
    answer = client.query("SELECT 1 AS id")
    assert answer.keys == [] and answer.rows == [[1]], "a CekTable without keys in every other result"


def test_bulk_load_and_outputs_with_column_encryption(t):
    """The CekTable stands in a bulk load's metadata too; RETURNVALUE has none."""
    server = t.sqlserver(args=["--feature-acks", "04"])
    client = connected(server, (FEATURE_ENCRYPTION, b"\1"))
    client.query("CREATE TABLE dbo.b (n int NOT NULL)")
    client.query("INSERT BULK dbo.b (n int)")
    client.run(client.session.send(0x07, b"\x81\x01\0" + b"\0\0" + b"\0\0\0\0\x08\0\x38" + b_varchar("n") +
                                   b"\xd1\x07\0\0\0" + b"\xfd" + bytes(12)))
    assert client.receive().row_counts == [1] and client.query("SELECT n FROM dbo.b").rows == [[7]]
    answer = client.rpc(10, "SET @o = 5; SELECT @o AS o", "@o int OUTPUT", Parameter(0, "", True))
    assert answer.rows == [[5]] and answer.return_values == [(2, "", 5)]


# ---------------------------------------------------------------------------------------------------- UTF-8


def test_utf8_columns(t):
    server = t.sqlserver(args=["--utf8-columns"])
    query = "SELECT 'olá 日本語' AS v, CAST('é' AS char(3)) AS c, CAST('ü' AS varchar(max)) AS m, CAST('ß' AS text) AS t, N'ñ' AS n"
    utf8 = connected(server, (FEATURE_UTF8, b"\1")).query(query)
    assert [bool(c.get("utf8")) for c in utf8.types] == [True, True, True, False, False], "text's flag is not looked at here"
    assert utf8.rows[0][:3] == ["olá 日本語", "é  ", "ü"] and utf8.rows[0][4] == "ñ"
    plain = connected(server).query(query)
    assert plain.rows[0][0].startswith("olá ") and not any(c.get("utf8") for c in plain.types)


# ---------------------------------------------------------------------------------------------------- no metadata


@cases(honoured=[0, 1])
def test_fetch_without_metadata(t, honoured):
    """fNoMetaData: servers up to 2014 send COLMETADATA without columns, later ones ignore it."""
    server = t.sqlserver()
    server.set("honour-no-metadata", honoured)
    client = t.client(server)
    opened = client.rpc(2, handle_parameter(), "SELECT 1 AS a, N'x' AS b UNION ALL SELECT 2, N'y'", Parameter(8, "", True),
                        Parameter(1, "", True), Parameter(0, "", True))
    cursor = opened.return_values[0][2]
    payload = bytearray(rpc_payload(7, [cursor, 2, 0, 10]))
    payload[22 + 4] = 2  # OptionFlags, behind the headers and the ProcID
    client.run(client.session.send(PACKET_RPC, bytes(payload)))
    raw = client.run(client.session.read_message())[1]
    assert (raw[:3] == b"\x81\xff\xff") == bool(honoured), raw[:8]
    answer = Response(raw, columns=opened.types)
    assert [row[:2] for row in answer.rows] == [[1, "x"], [2, "y"]]


# ---------------------------------------------------------------------------------------------------- drivers


@timeout(120)
@cases(driver=["mssql-jdbc", "tedious", "tsql", "pymssql", "pyodbc"])
def test_drivers_understand_all_of_it(t, driver):
    """Those that ask for features get everything at once."""
    args = ["--feature-acks", "01,04,09,0A", "--utf8-columns", "--classify-column", "n", "--honour-no-metadata"]
    server = t.seed(t.sqlserver(args=args))
    encrypt = next(mode for mode in ("off", "login", "full") if mode in capabilities()[driver]["encrypt"])
    assert_basic(t.driver(driver, server, "basic", encrypt), driver)
