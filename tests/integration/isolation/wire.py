"""A TDS client as lean as Python allows: messages go out ready-made, answers are looked at only when they are new."""

import functools
import socket
import struct

from harness.tds import (PACKET_ATTENTION, PACKET_BATCH, PACKET_RPC, PACKET_TRAN, STATUS_RESET, STATUS_RESET_SKIP_TRAN,
                         TdsClient, TdsClosed, batch_payload, message, rpc_payload, tran_payload)
from harness.tds_tokens import Response

LINGER_RST = struct.pack("ii", 1, 0)


@functools.lru_cache(maxsize=20000)
def parsed(payload, tds):
    return Response(payload, tds)


class Wire:
    """One connection, logged in: `login` is the payload of the answer. TdsClosed, OSError."""

    def __init__(self, port, kind, timeout=60.0):
        self.kind, self.transaction, self.buffer = kind, 0, b""
        self.tls = None
        if kind.encrypt != "off":
            self._connect_with_tls(port, timeout)
            return
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if kind.hello:
                self.socket.sendall(kind.hello)
                self.receive()
            self.socket.sendall(kind.login)
            self.login = self.receive()
        except BaseException:
            self.socket.close()
            raise

    def _connect_with_tls(self, port, timeout):
        client = TdsClient(port, self.kind.user, self.kind.password, self.kind.database, timeout=timeout, connect=False,
                           encrypt=self.kind.encrypt)
        self.tls, self.socket = client, client.socket
        client.run(client.session.negotiate())
        client.run(client.session.send(0x10, self.kind.login7))
        if self.kind.encrypt == "login":
            client.session.tls = None
        self.login = client.run(client.session.read_message())[1]

    # --- messages

    def write(self, raw):
        if self.tls is None:
            self.socket.sendall(raw)
        else:
            self.tls.run(self.tls.session.bytes_out(raw))

    def receive(self):
        """The payload of the next message."""
        if self.tls is not None:
            return self.tls.run(self.tls.session.read_message())[1]
        payload, buffer = b"", self.buffer
        while True:
            while len(buffer) < 8 or len(buffer) < (buffer[2] << 8 | buffer[3]):
                more = self.socket.recv(262144)
                if not more:
                    raise TdsClosed("closed by the server")
                buffer += more
            length = buffer[2] << 8 | buffer[3]
            payload += buffer[8:length]
            ended = buffer[1] & 1
            buffer = buffer[length:]
            if ended:
                self.buffer = buffer
                return payload

    # --- requests

    def batch(self, sql, status=0):
        return message(PACKET_BATCH, batch_payload(sql, self._transaction(status), self.kind.tds), status=status)

    def call(self, procedure, *parameters, status=0):
        payload = rpc_payload(procedure, parameters, self._transaction(status), self.kind.tds)
        return message(PACKET_RPC, payload, status=status)

    def tran(self, *args, **keys):
        return message(PACKET_TRAN, tran_payload(*args, transaction=self.transaction, tds=self.kind.tds, **keys))

    def attention(self):
        self.write(message(PACKET_ATTENTION, b""))

    def _transaction(self, status):
        if status & STATUS_RESET:
            self.transaction = 0
        return self.transaction

    def exchange(self, request):
        """Sends a request and returns its answer's payload."""
        self.write(request)
        return self.receive()

    def ask(self, request):
        """Sends a request (text: a batch) and returns its answer, taken apart."""
        return self.taken_apart(self.exchange(self.batch(request) if isinstance(request, str) else request))

    def taken_apart(self, payload):
        answer = parsed(payload, self.kind.tds)
        for kind, value, _ in answer.env:
            if kind == 8:
                self.transaction = int.from_bytes(value[1:9], "little")
            elif kind in (9, 10):
                self.transaction = 0
        return answer

    # --- the end

    def close(self, abrupt=False):
        if abrupt:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
        self.socket.close()
