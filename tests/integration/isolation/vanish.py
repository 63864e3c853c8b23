"""How a session ends: at any point of a request, with FIN or RST. Each takes (session, chance) and leaves it closed."""

from harness.tds import STATUS_RESET
from .check import LOOK

SLOW = "WAITFOR DELAY '00:00:30'"
LEAVES_STATE = "SET LANGUAGE Deutsch; SET ROWCOUNT 1; CREATE TABLE #t (n int); BEGIN TRAN; SET CONTEXT_INFO 0x0badbeef"


def at_rest(s, chance):
    """Between two requests, whatever is open."""


def orderly(s, chance):
    s.ask("IF @@TRANCOUNT > 0 ROLLBACK")


def half_request(s, chance):
    request = s.wire.batch(chance.choice((LEAVES_STATE, "SELECT '" + "z" * 20000 + "'")))
    s.wire.write(request[:chance.randrange(1, len(request))])


def request_unread(s, chance):
    s.wire.write(s.wire.batch(LEAVES_STATE))


def two_requests(s, chance):
    """The second one is read ahead."""
    s.wire.write(s.wire.batch(LEAVES_STATE) + s.wire.batch("USE master; SET DATEFIRST 2"))


def running(s, chance):
    s.wire.write(s.wire.batch(f"{LEAVES_STATE}; {SLOW}"))


def running_then_next(s, chance):
    s.wire.write(s.wire.batch(SLOW) + s.wire.batch(LEAVES_STATE))


def mid_answer(s, chance):
    s.wire.write(s.wire.batch("SET ROWCOUNT 0; SET TEXTSIZE -1; SELECT REPLICATE(CAST('y' AS varchar(max)), 100000), 1; "
                              "SELECT REPLICATE(CAST('y' AS varchar(max)), 200000); " + LEAVES_STATE))
    s.wire.socket.recv(chance.choice((1, 100, 5000)))


def attention_outstanding(s, chance):
    s.wire.write(s.wire.batch(f"{LEAVES_STATE}; {SLOW}"))
    s.wire.attention()
    if chance.random() < 0.3:
        s.wire.attention()


def attention_at_rest(s, chance):
    s.wire.attention()


def reset_unread(s, chance):
    s.wire.write(s.wire.batch(chance.choice((LOOK, LEAVES_STATE)), STATUS_RESET))


def half_login(s, chance):
    """Another connection of the kind, cut in its login; then this one."""
    s.half_login(chance)


ENDS = {at_rest: 30, orderly: 10, half_request: 6, request_unread: 10, two_requests: 6, running: 6,
        running_then_next: 3, mid_answer: 6, attention_outstanding: 6, attention_at_rest: 4, reset_unread: 6, half_login: 3}
