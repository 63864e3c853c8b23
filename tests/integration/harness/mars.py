"""MARS on a raw client: the sessions of MC-SMP, each with its window.

    client = t.client(proxy, mars=1)
    mars = Mars(client)
    one, two = mars.open(), mars.open()
    one.send("SELECT ..."); two.query("SELECT 1"); one.receive()
"""

import struct

from .tds import PACKET_ATTENTION, PACKET_BATCH, batch_payload, message
from .tds_tokens import Response, TdsProtocolError

SMP_SYN, SMP_ACK, SMP_FIN, SMP_DATA = 1, 2, 4, 8
WINDOW = 4


def smp(flags, sid, sequence=0, window=WINDOW, payload=b"", length=None, smid=0x53):
    return struct.pack("<BBHIII", smid, flags, sid, 16 + len(payload) if length is None else length, sequence, window) + payload


class Mars:
    """The connection. `acks`, `fins`: how many of the server's have come, for all sessions."""

    def __init__(self, client):
        self.client, self.tds = client, client.session
        assert self.tds.peer_options[4] == b"\1", "MARS was not granted"
        self.sessions, self.next_sid, self.acks, self.order = {}, 0, 0, []

    def write(self, data):
        self.client.run(self.tds.bytes_out(data))

    def open(self, sid=None, **keys):
        sid = self.next_sid if sid is None else sid
        self.next_sid = max(self.next_sid, sid) + 1
        self.sessions[sid] = MarsSession(self, sid, **keys)
        self.write(smp(SMP_SYN, sid))
        return self.sessions[sid]

    def pump(self):
        """Takes the next SMP packet of the server."""
        plain = self.tds.plain
        self._have(16)
        smid, flags, sid, length, sequence, window = struct.unpack_from("<BBHIII", plain)
        if smid != 0x53 or length < 16 or (flags != SMP_DATA and length != 16):
            raise TdsProtocolError(f"SMP header {bytes(plain[:16]).hex()}")
        self._have(length)
        payload = bytes(plain[16:length])
        del plain[:length]
        self.sessions[sid].taken(flags, sequence, window, payload)

    def _have(self, size):
        def read():
            while len(self.tds.plain) < size:
                yield from self.tds.more()
        self.client.run(read())


class MarsSession:
    """One of them. `lazy`: it never tells the server of a larger window by itself."""

    def __init__(self, mars, sid, lazy=False):
        self.mars, self.tds, self.sid, self.lazy = mars, mars.tds, sid, lazy
        self.sent, self.may_send, self.received, self.granted = 0, WINDOW, 0, WINDOW
        self.packets, self.ended = [], False

    def _put(self, flags, payload=b""):
        self.mars.write(smp(flags, self.sid, self.sent, self.granted, payload))

    def taken(self, flags, sequence, window, payload):
        if self.ended:
            raise TdsProtocolError("SMP packet behind FIN")
        if window < self.may_send or sequence != self.received + (flags == SMP_DATA):
            raise TdsProtocolError(f"SMP session {self.sid}: sequence {sequence} behind {self.received}, window {window}")
        self.may_send = window
        self.mars.acks += flags == SMP_ACK
        self.ended = flags == SMP_FIN
        if flags != SMP_DATA:
            return
        self.received = sequence
        if sequence > self.granted:
            raise TdsProtocolError("the server has sent beyond the window")
        self.packets.append(payload)
        self.mars.order.append(self.sid)
        if not self.lazy and self.received + WINDOW - self.granted >= 2:
            self.acknowledge()

    def acknowledge(self):
        """All that has come is done with."""
        self.granted = self.received + WINDOW
        self._put(SMP_ACK)

    def send_message(self, kind, payload):
        raw = message(kind, payload, self.tds.packet_size)
        while raw:
            length = struct.unpack_from(">H", raw, 2)[0]
            while self.sent >= self.may_send:
                self.mars.pump()
            self.sent += 1
            self._put(SMP_DATA, raw[:length])
            raw = raw[length:]

    def send(self, sql):
        self.send_message(PACKET_BATCH, batch_payload(sql, **self.tds.headers(0)))

    def attention(self):
        self.send_message(PACKET_ATTENTION, b"")

    def receive(self):
        """The next message as a Response, errors and all."""
        payload = b""
        while True:
            while not self.packets:
                self.mars.pump()
            one = self.packets.pop(0)
            kind, status, length = struct.unpack_from(">BBH", one)
            if kind != 4 or length != len(one):
                raise TdsProtocolError(f"TDS packet of {length} bytes in an SMP packet of {len(one)}")
            self.tds.largest_packet = max(self.tds.largest_packet, length)
            payload += one[8:]
            if status & 1:
                return Response(payload, self.tds.tds, self.tds.features)

    def query(self, sql):
        self.send(sql)
        return self.receive().raise_error()

    def scalar(self, sql):
        return self.query(sql).rows[0][0]

    def close(self):
        """FIN from both sides."""
        self._put(SMP_FIN)
        while not self.ended:
            self.mars.pump()
        del self.mars.sessions[self.sid]
