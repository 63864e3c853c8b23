"""Transaction mode: attentions, wherever the request is when they come. Each has one acknowledgement, a message of its own.

DESIGN.md section 4, Cancel.
"""

from harness import *
from harness.tds import *
from pooled import *
from test_session_cancel import assert_acknowledged, assert_cancelled
from test_standin_protocol import interrupt, numbers, running

WAIT = "WAITFOR DELAY '00:00:30'"
WHERE_AM_I = "SELECT @@LANGUAGE AS l, CAST(@@DATEFIRST AS int) AS d, DB_NAME() AS db, CONTEXT_INFO() AS c"


def scene(t, server_is, connections=1, bucket=None):
    server, keys = server_and_clients(t, server_is)
    with t.client(server) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    proxy = pooled(t, server, connections, bucket)
    client, other = t.client(proxy, **keys), t.client(proxy, **keys)
    client.query("SELECT 1"), other.query("SELECT 1")
    wait_free(proxy, "before")
    return server, proxy, client, other


def settled(proxy, client, other):
    """All is as before: both are served, nothing is held, no acknowledgement is left over."""
    for n in range(2):
        assert client.query(f"SELECT {n}").rows == [[n]] and other.query(f"SELECT {10 + n}").rows == [[10 + n]]
    wait_free(proxy, "in the end")
    assert proxy.metric("proxy_queue_length", bucket_id="b1") == 0


@timeout(60)
@cases(server_is=SERVERS)
def test_in_flight(t, server_is):
    """Forwarded; the connection goes back when the acknowledgement has been read."""
    server, proxy, client, other = scene(t, server_is)
    for _ in range(3):
        interrupt(server, client, f"SELECT 7; {WAIT}; SELECT 8")
        settled(proxy, client, other)
    assert server.stats()["attentions_total"] == 3


@timeout(60)
@cases(server_is=SERVERS)
def test_in_flight_while_others_wait(t, server_is):
    """The next client gets the connection, and no acknowledgement that is not its own."""
    server, proxy, client, other = scene(t, server_is)
    client.send(WAIT)
    wait_until(lambda: running(server) == 1, 5, "it runs")
    other.send("SELECT 'next' AS t")
    if MODE == "transaction":
        proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    client.attention()
    assert client.receive().done_status & DONE_ERROR
    assert_acknowledged(client)
    assert other.receive().rows == [["next"]]
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS)
def test_behind_a_complete_answer(t, server_is):
    """It crosses the answer: an acknowledgement is owed all the same, and goes to nobody else."""
    _, proxy, client, other = scene(t, server_is)
    for n in range(50):
        raw = message(PACKET_BATCH, batch_payload(f"SELECT {n}", tds=client.session.tds))
        client.run(client.session.bytes_out(raw + packet(PACKET_ATTENTION, b"")))
        other.send(f"SELECT {1000 + n}")
        answer = client.receive()
        assert answer.rows == [[n]] or answer.done_status & DONE_ERROR, answer.dones
        assert_acknowledged(client)
        assert other.receive().rows == [[1000 + n]]
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS)
def test_when_idle_and_detached(t, server_is):
    """The proxy answers: the server hears nothing of it."""
    server, proxy, client, other = scene(t, server_is)
    for count in (1, 2):
        for _ in range(count):
            client.attention()
        for _ in range(count):
            assert_acknowledged(client)
        settled(proxy, client, other)
    if MODE == "transaction":
        assert server.stats()["attentions_total"] == 0


@timeout(60)
@cases(server_is=SERVERS)
def test_when_idle_in_a_transaction(t, server_is):
    """It stays open, and stays pinned."""
    server, proxy, client, other = scene(t, server_is)
    client.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
    wait_pinned(proxy, "transaction", "begun")
    client.attention(), client.attention()
    assert_acknowledged(client), assert_acknowledged(client)
    wait_pinned(proxy, "transaction", "still")
    assert client.query("SELECT @@TRANCOUNT").rows == [[1]]
    client.query("COMMIT")
    assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 1
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS, length=[10, 30_000])
def test_in_the_queue(t, server_is, length):
    """Taken back: it never runs, and the place in the queue is free."""
    server, proxy, client, other = scene(t, server_is)
    other.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (1)")
    wait_pinned(proxy, "transaction", "the connection is taken")
    client.send("INSERT INTO dbo.kept VALUES (2) --" + "x" * length)
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    client.attention()
    assert_cancelled(client), assert_acknowledged(client)
    proxy.wait_metric("proxy_queue_length", 0, bucket_id="b1")
    assert proxy.metric("proxy_connections_total", bucket_id="b1", status="cancelled") == 1
    client.send("SELECT n FROM dbo.kept")
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    other.query("COMMIT")
    assert client.receive().rows == [[1]]
    settled(proxy, client, other)
    assert server.stats()["attentions_total"] == 0


@timeout(60)
@cases(server_is=SERVERS)
def test_during_the_replay(t, server_is):
    """The proxy's own batch runs before the request: the request is never sent, the state is still the client's."""
    server, proxy, client, other = scene(t, server_is)
    client.query(f"SET DATEFIRST 3; SET NOCOUNT ON; USE {OTHER}")
    other.query("SELECT 1")
    wait_idle(proxy, 1)
    attentions = server.stats()["attentions_total"]
    server.set("delay-request", 2000)
    client.send(f"INSERT INTO {DATABASE}.dbo.kept VALUES (1)")
    wait_until(lambda: running(server) == 1, 5, "the replay runs")
    client.attention()
    assert_cancelled(client), assert_acknowledged(client)
    server.set("delay-request", 0)
    assert client.query("SELECT CAST(@@DATEFIRST AS int), DB_NAME()").rows == [[3, OTHER]]
    assert other.query("SELECT CAST(@@DATEFIRST AS int), DB_NAME(), (SELECT COUNT(*) FROM dbo.kept)").rows == [[7, DATABASE, 0]]
    assert server.stats()["attentions_total"] <= attentions + 1, "at most the proxy's own"
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=["silent", "TDS 7.1"])
def test_during_the_question_for_trancount(t, server_is):
    """On a silent connection it follows the answer: to the client it is over, so the proxy acknowledges."""
    server, proxy, client, other = scene(t, server_is)
    server.set("delay-request", 700)
    client.send("INSERT INTO dbo.kept VALUES (1)")
    assert not client.receive().errors
    client.attention()
    assert_acknowledged(client)
    server.set("delay-request", 0)
    assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 1
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=["silent", "TDS 7.1"])
def test_a_request_that_comes_during_the_question_for_trancount(t, server_is):
    """It waits for it, and can be cancelled meanwhile."""
    server, proxy, client, other = scene(t, server_is)
    server.set("delay-request", 700)
    client.send("INSERT INTO dbo.kept VALUES (1)")
    assert not client.receive().errors
    client.send("INSERT INTO dbo.kept VALUES (2)")
    client.attention()
    answer = client.receive()
    ran = not answer.done_status & DONE_ERROR
    assert_acknowledged(client)
    server.set("delay-request", 0)
    assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 1 + ran
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS)
def test_while_last_values_are_read(t, server_is):
    """The next client's request waits for them, and is cancelled: the one whose they are gets them all the same."""
    server, proxy, client, other = scene(t, server_is)
    client.query("CREATE TABLE dbo.ids (id int IDENTITY(70, 1), n int)")
    client.query("INSERT INTO dbo.ids (n) VALUES (1)")
    wait_idle(proxy, 1)
    server.set("delay-request", 1500)
    other.send("INSERT INTO dbo.kept VALUES (1)")
    wait_until(lambda: running(server) == 1, 5, "something runs")
    other.attention()
    assert other.receive().done_status & DONE_ERROR
    assert_acknowledged(other)
    server.set("delay-request", 0)
    assert int(client.scalar("SELECT @@IDENTITY")) == 70
    assert other.scalar("SELECT @@IDENTITY") is None
    assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 0
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS)
def test_state_is_read_back_behind_an_attention(t, server_is):
    """What the cancelled batch had set by then is known, and goes with the client."""
    server, proxy, client, other = scene(t, server_is)
    for text, wanted in ((f"SET DATEFIRST 3; USE {OTHER}; {WAIT}; SET DATEFIRST 4", [3, OTHER, 0]),
                         (f"{WAIT}; SET DATEFIRST 5; USE master", [3, OTHER, 0]),
                         (f"SET NOCOUNT ON; SET LANGUAGE Deutsch; {WAIT}; SET NOCOUNT OFF", [1, OTHER, 512])):
        interrupt(server, client, text)
        assert other.query("SELECT CAST(@@DATEFIRST AS int), DB_NAME(), @@OPTIONS & 512").rows == [[7, DATABASE, 0]]
        assert client.query("SELECT CAST(@@DATEFIRST AS int), DB_NAME(), @@OPTIONS & 512").rows == [wanted], text
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS, abort=["OFF", "ON"])
def test_a_transaction_behind_an_attention(t, server_is, abort):
    """Open or not, as the server has it; the pin agrees."""
    server, proxy, client, other = scene(t, server_is)
    alone = t.client(server)
    for one in (alone, client):
        one.query(f"SET XACT_ABORT {abort}")
        one.query("BEGIN TRAN")
        one.query("SELECT 1")
        interrupt(server, one, WAIT)
        if one is alone:
            [[expected]] = one.query("SELECT @@TRANCOUNT").rows
            one.query("IF @@TRANCOUNT > 0 ROLLBACK")
    if expected:
        wait_pinned(proxy, "transaction", "it is open still")
    else:
        wait_free(proxy, "it was rolled back")
    assert client.query("SELECT @@TRANCOUNT").rows == [[expected]]
    client.query("IF @@TRANCOUNT > 0 ROLLBACK")
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS)
def test_a_temp_table_behind_an_attention(t, server_is):
    server, proxy, client, other = scene(t, server_is)
    interrupt(server, client, f"CREATE TABLE #t (n int); {WAIT}")
    wait_pinned(proxy, "temp_table", "made before the attention")
    client.query("DROP TABLE #t")
    wait_free(proxy, "dropped")
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS)
def test_a_begin_in_a_cancelled_batch(t, server_is):
    server, proxy, client, other = scene(t, server_is)
    interrupt(server, client, f"BEGIN TRAN; INSERT INTO dbo.kept VALUES (1); {WAIT}")
    wait_pinned(proxy, "transaction", "begun before the attention")
    assert client.query("SELECT @@TRANCOUNT").rows == [[1]]
    client.query("ROLLBACK")
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS, packets=[1, 3, 20])
def test_a_request_taken_back_before_its_end(t, server_is, packets):
    """IGNORE: never run; held no connection unless it was longer than 64 KiB."""
    server, proxy, client, other = scene(t, server_is)
    payload = batch_payload("INSERT INTO dbo.kept VALUES (1) --" + "x" * 100_000, tds=client.session.tds)
    room = client.session.packet_size - 8
    raw = b"".join(packet(PACKET_BATCH, payload[i * room:(i + 1) * room], 0, i + 1) for i in range(packets))
    client.socket.sendall(raw)
    if packets < 16:
        assert other.query("SELECT 1").rows == [[1]]
    client.socket.sendall(packet(PACKET_BATCH, b"", 1 | STATUS_IGNORE, packets + 1))
    assert_cancelled(client)
    assert other.scalar("SELECT COUNT(*) FROM dbo.kept") == 0
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS)
def test_a_reset_that_goes_with_a_request_that_is_taken_back(t, server_is):
    """The server does not reset the connection then, and it was another client's: none of that is seen."""
    server, proxy, client, other = scene(t, server_is)
    before = client.query(WHERE_AM_I).rows
    other.query("SET LANGUAGE Italian; SET DATEFIRST 3")
    other.query("EXEC(N'SELECT 1 AS n')")
    payload = batch_payload("SET LANGUAGE Deutsch --" + "x" * 100_000, tds=client.session.tds)
    room = client.session.packet_size - 8
    packets = [packet(PACKET_BATCH, payload[i * room:(i + 1) * room], 0, i + 1) for i in range(20)]
    client.socket.sendall(b"".join(packets) + packet(PACKET_BATCH, b"", 1 | STATUS_IGNORE, len(packets) + 1))
    assert_cancelled(client)
    assert client.query(WHERE_AM_I).rows == before
    assert other.query(WHERE_AM_I).rows != before
    settled(proxy, client, other)


@timeout(60)
@cases(server_is=SERVERS)
def test_two_attentions(t, server_is):
    server, proxy, client, other = scene(t, server_is)
    client.send(WAIT)
    wait_until(lambda: running(server) == 1, 5, "it runs")
    client.attention(), client.attention()
    assert client.receive().done_status & DONE_ERROR
    assert_acknowledged(client), assert_acknowledged(client)
    settled(proxy, client, other)
