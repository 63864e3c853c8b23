"""What a session can do. A script is a list of steps; each plays itself: sends, and receives what has to come.

Texts hold {me}, the script's number, and names of handles ({h1}), whose values the player knows.
"""

import dataclasses
import socket
import struct

from harness.tds import (PACKET_BATCH, PACKET_RPC, PACKET_TRAN, STATUS_IGNORE, TDS71, TDS72, Parameter, all_headers,
                         b_varchar, batch_payload, packet, rpc_payload, tran_payload)

from .without import UNKNOWN_UNPREPARE, UNPREPARE_STATUS

PACKET_BULK = 0x07
STATUS_NAMES = {0: "", 0x08: ", RESET", 0x10: ", RESET keeping the transaction"}
EXECUTE_SQL, PREPARE, EXECUTE, PREPEXEC, UNPREPARE = 10, 11, 12, 13, 15


class Handle:
    """A parameter: the value of a handle that an earlier step got."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


class Out:
    """A parameter for output. Of None: an int that is NULL, as for a new handle."""

    def __init__(self, value=None):
        self.value = value

    def __repr__(self):
        return f"OUTPUT {self.value!r}"


class Named:
    """A parameter with a name."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def __repr__(self):
        return f"{self.name}={self.value!r}"


def parameter(player, value):
    if isinstance(value, Named):
        named = parameter(player, value.value)
        named.name = value.name
        return named
    if isinstance(value, Handle):
        return Parameter(player.value(value.name))
    if isinstance(value, Out):
        inner = player.value(value.value.name) if isinstance(value.value, Handle) else value.value
        return Parameter(inner, "", True, b"\x26\x04\x00" if inner is None else None)
    return Parameter(player.text(value) if isinstance(value, str) else value)


@dataclasses.dataclass
class Step:
    status: int = dataclasses.field(default=0, kw_only=True)  # reset bits
    slow: bool = dataclasses.field(default=False, kw_only=True)  # byte by byte

    def _how(self):
        return STATUS_NAMES[self.status] + (", byte by byte" if self.slow else "")


@dataclasses.dataclass
class Batch(Step):
    sql: str

    def play(self, player):
        sql = player.text(self.sql)
        player.request(PACKET_BATCH, lambda descriptor: batch_payload(sql, descriptor, player.tds), self)
        player.answer()

    def __str__(self):
        text = self.sql if len(self.sql) < 400 else f"{self.sql[:60]}... {len(self.sql)} characters"
        return f"BATCH{self._how()}: {text}"


@dataclasses.dataclass
class Call:
    """One call of an Rpc. `gives`: names of the handles among its return values, the first ones."""
    procedure: object
    parameters: tuple = ()
    gives: tuple = ()

    def body(self, player):
        return rpc_payload(self.procedure, [parameter(player, p) for p in self.parameters], 0, TDS71)

    def ends_nothing(self, player):
        """sp_unprepare of a handle that was not given."""
        return self.procedure in (UNPREPARE, "sp_unprepare") and self.parameters[0].name not in player.names.values

    def __str__(self):
        shown = ", ".join(f"{repr(p)[:80]}" for p in self.parameters)
        return f"{self.procedure} {shown}" + (f" -> {', '.join(self.gives)}" if self.gives else "")


@dataclasses.dataclass
class Rpc(Step):
    calls: list

    def play(self, player):
        if UNKNOWN_UNPREPARE in player.without and any(call.ends_nothing(player) for call in self.calls):
            return
        bodies = [call.body(player) for call in self.calls]
        separator = b"\xff" if player.tds >= TDS72 else b"\x80"
        player.request(PACKET_RPC, lambda descriptor: all_headers(descriptor, player.tds) + separator.join(bodies), self)
        player.answer([call.gives for call in self.calls])
        if UNPREPARE_STATUS in player.without and any(call.procedure in (UNPREPARE, "sp_unprepare") for call in self.calls):
            player.messages[-1] = [token for token in player.messages[-1] if token[0] != "RETURNSTATUS"]

    def __str__(self):
        return f"RPC{self._how()}: " + " | ".join(map(str, self.calls))


@dataclasses.dataclass
class Tran(Step):
    """A transaction manager request. `begin_next`: None, or the isolation level of the one that follows."""
    kind: int
    name: str = ""
    isolation: int = 0
    begin_next: object = None

    def play(self, player):
        def payload(descriptor):
            next_one = self.begin_next is not None
            return tran_payload(self.kind, self.name, self.begin_next if next_one else self.isolation, next_one,
                                transaction=descriptor, tds=player.tds)
        player.request(PACKET_TRAN, payload, self)
        player.answer()

    def __str__(self):
        what = {5: "begin", 7: "commit", 8: "rollback", 9: "save"}[self.kind]
        more = "" if self.begin_next is None else f", begin the next at level {self.begin_next}"
        return f"TRAN{self._how()}: {what} {self.name!r} level {self.isolation}{more}"


@dataclasses.dataclass
class Ignored(Step):
    """A request that is taken back after `packets` full packets. Never runs."""
    sql: str
    packets: int
    rest: int  # bytes of the last packet

    def play(self, player):
        room = player.wire_packet - 8
        text = player.text(self.sql) + " --" + "." * (room * (self.packets + 1) // 2)
        payload = batch_payload(text, player.names.transaction, player.tds)
        raw = b"".join(packet(PACKET_BATCH, payload[i * room:(i + 1) * room], 0, i + 1) for i in range(self.packets))
        tail = payload[self.packets * room:self.packets * room + self.rest]
        player.wire.write(raw + packet(PACKET_BATCH, tail, 1 | STATUS_IGNORE, self.packets + 1))
        player.answer()

    def __str__(self):
        return f"IGNORED after {self.packets} packets and {self.rest} bytes: {self.sql}"


@dataclasses.dataclass
class BulkData(Step):
    """What follows INSERT BULK: rows of one int. `ignored`: taken back with the last packet."""
    rows: list
    ignored: bool = False

    def play(self, player):
        user_type, count = (b"\0\0\0\0", bytes(8)) if player.tds >= TDS72 else (b"\0\0", bytes(4))
        payload = b"\x81\x01\0" + user_type + b"\x08\0\x38" + b_varchar("n")
        payload += b"".join(b"\xd1" + struct.pack("<i", n) for n in self.rows)
        if self.ignored:
            player.wire.write(packet(PACKET_BULK, payload[:player.wire_packet - 8], 1 | STATUS_IGNORE))
        else:
            player.wire.write(player.message(PACKET_BULK, payload + b"\xfd\0\0\0\0" + count))
        player.answer()

    def __str__(self):
        return f"BULK DATA, {len(self.rows)} rows{', taken back' if self.ignored else ''}"


@dataclasses.dataclass
class Cancel(Step):
    """A batch and an attention: at once, or (`seen`) when the first bytes of its answer have come."""
    sql: str
    seen: bool

    def play(self, player):
        sql = player.text(self.sql)
        player.request(PACKET_BATCH, lambda descriptor: batch_payload(sql, descriptor, player.tds), self)
        if self.seen:
            player.wait_for_bytes()
        player.wire.attention()
        player.answers_to_attention(started=self.seen)

    def __str__(self):
        return f"CANCEL {'when it answers' if self.seen else 'at once'}{self._how()}: {self.sql}"


@dataclasses.dataclass
class Overtaken(Step):
    """A short batch without effect and an attention behind it, which may come too late. Either answer is good."""
    sql: str

    def play(self, player):
        player.wire.write(player.message(PACKET_BATCH, batch_payload(self.sql, player.names.transaction, player.tds)))
        player.wire.attention()
        player.answers_to_attention(keep=False)

    def __str__(self):
        return f"OVERTAKEN: {self.sql}"


@dataclasses.dataclass
class Attention(Step):
    """Of an idle session."""

    def play(self, player):
        player.wire.attention()
        player.answers_to_attention()

    def __str__(self):
        return "ATTENTION when idle"


# How a session ends. Nothing that might or might not have been done may be seen later.
ORDERLY, RESET_BY_PEER, HALF_REQUEST, RUNNING, RUNNING_CANCELLED, MID_ANSWER = (
    "orderly", "abrupt", "half a request", "while running", "while cancelling", "in the middle of an answer")
ENDS = (ORDERLY, RESET_BY_PEER, HALF_REQUEST, RUNNING, RUNNING_CANCELLED, MID_ANSWER)
LEFT_BEHIND = "SET LANGUAGE Deutsch; SET ROWCOUNT 1; CREATE TABLE #left (n int); SET CONTEXT_INFO 0x0bad; BEGIN TRAN"


@dataclasses.dataclass
class Leave(Step):
    """The session ends, and the script goes on in a new one of the same kind."""
    how: str

    def play(self, player):
        wire = player.wire
        if self.how in (RUNNING, RUNNING_CANCELLED):
            wire.write(player.batch(f"{LEFT_BEHIND}; WAITFOR DELAY '00:00:30'"))
        if self.how == RUNNING_CANCELLED:
            wire.attention()
        if self.how == HALF_REQUEST:
            raw = player.batch(LEFT_BEHIND)
            wire.write(raw[:len(raw) // 2])
        if self.how == MID_ANSWER:
            wire.write(player.batch("SET ROWCOUNT 0; SET TEXTSIZE -1; SELECT REPLICATE(CAST('y' AS varchar(max)), 200000); "
                                    + LEFT_BEHIND))
            try:
                wire.socket.recv(100)
            except socket.timeout:
                pass
        wire.close(abrupt=self.how in (RESET_BY_PEER, MID_ANSWER))
        player.login()

    def __str__(self):
        return f"LEAVE {self.how}, and log in again"
