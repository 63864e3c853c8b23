"""TDS 7.1 to 7.4 in plain Python, written from MS-TDS: enough of a client to log in, send requests of every kind
(batch, RPC, transaction manager, attention) and take the answers apart.

The dialogue is written once, as generators that know no socket:

    yield b"..."     send these bytes
    yield None       give me more bytes (b"" = the peer closed)

TdsClient drives them over a blocking socket, crowd.py over asyncio. `bytes_out` and friends can be used on their own
by tests that send broken packets.
"""

import socket
import ssl
import struct

from .tds_tokens import (DONE_ATTN, DONE_COUNT, DONE_ERROR, DONE_MORE, TDS71, TDS72, TDS73A, TDS73B, TDS74, Response,
                         TdsError, TdsProtocolError)

PACKET_BATCH, PACKET_RPC, PACKET_RESPONSE, PACKET_ATTENTION = 0x01, 0x03, 0x04, 0x06
PACKET_TRAN, PACKET_LOGIN7, PACKET_PRELOGIN = 0x0E, 0x10, 0x12
STATUS_EOM, STATUS_IGNORE, STATUS_RESET, STATUS_RESET_SKIP_TRAN = 0x01, 0x02, 0x08, 0x10
TRAN_BEGIN, TRAN_COMMIT, TRAN_ROLLBACK, TRAN_SAVE = 5, 7, 8, 9
ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_NOT_SUP, ENCRYPT_REQ = 0, 1, 2, 3
PACKET_SIZE = 4096


class TdsClosed(Exception):
    """The peer closed the connection where an answer was due."""


# ---------------------------------------------------------------------------------------------------- packets


def packet(kind, payload, status=1, packet_id=1, spid=0):
    return struct.pack(">BBHHBB", kind, status, len(payload) + 8, spid, packet_id & 0xFF, 0) + payload


def message(kind, payload, size=PACKET_SIZE, status=0):
    """The packets of one message: EOM on the last only, the bits of `status` (a reset) on the first only."""
    room = size - 8
    pieces = [payload[i:i + room] for i in range(0, len(payload), room)] or [b""]
    return b"".join(packet(kind, piece, (1 if i == len(pieces) - 1 else 0) | (status if i == 0 else 0), i + 1)
                    for i, piece in enumerate(pieces))


def prelogin_payload(encryption, version=(16, 0, 0, 0), mars=0):
    options = [(0, struct.pack(">BBHH", version[0], version[1], version[2], version[3])), (1, bytes([encryption])),
               (2, b"\0"), (3, struct.pack(">I", 0)), (4, bytes([mars]))]
    offset, table, data = 5 * len(options) + 1, b"", b""
    for token, value in options:
        table += struct.pack(">BHH", token, offset + len(data), len(value))
        data += value
    return table + b"\xff" + data


def prelogin_options(payload):
    """{token: data} of a PRELOGIN payload."""
    options, at = {}, 0
    while True:
        if at >= len(payload):
            raise TdsProtocolError("PRELOGIN table without terminator")
        if payload[at] == 0xFF:
            return options
        if at + 5 > len(payload):
            raise TdsProtocolError("PRELOGIN table cut short")
        token, offset, length = struct.unpack_from(">BHH", payload, at)
        if offset + length > len(payload):
            raise TdsProtocolError(f"PRELOGIN option {token} beyond the payload")
        options[token] = payload[offset:offset + length]
        at += 5


def scramble_password(password):
    return bytes((((b << 4) | (b >> 4)) & 0xFF) ^ 0xA5 for b in password.encode("utf-16-le"))


def login7_payload(user, password, database="", app_name="harness", host_name="harness", server_name="127.0.0.1",
                   tds_version=0x74000004, packet_size=PACKET_SIZE):
    fields = [(host_name, False), (user, False), (password, True), (app_name, False), (server_name, False), None,
              ("harness", False), ("", False), (database, False)]
    fixed_size, data, table = 94, b"", b""
    for field in fields:
        if field is None:  # ibExtension: no features
            table += struct.pack("<HH", 0, 0)
            continue
        text, secret = field
        raw = scramble_password(text) if secret else text.encode("utf-16-le")
        table += struct.pack("<HH", fixed_size + len(data), len(raw) // 2)
        data += raw
    end = fixed_size + len(data)
    table += b"\x02\0\0\0\0\x01" + struct.pack("<HHHHHH", end, 0, end, 0, end, 0) + struct.pack("<I", 0)
    # flags: fUseDB fDatabase(fatal) fSetLang; fLanguage fODBC; T-SQL; none
    head = struct.pack("<IIIIIBBBBiI", tds_version, packet_size, 0x07000000, 1, 0, 0xE0, 0x03, 0, 0, 0, 0x0409)
    body = head + table + data
    return struct.pack("<I", len(body) + 4) + body


def all_headers(transaction=0, tds=TDS74):
    """ALL_HEADERS with the transaction descriptor, where the version has them."""
    return struct.pack("<IIHQI", 22, 18, 2, transaction, 1) if tds >= TDS72 else b""


def batch_payload(sql, transaction=0, tds=TDS74):
    return all_headers(transaction, tds) + sql.encode("utf-16-le")


def b_varchar(text):
    return bytes([len(text.encode("utf-16-le")) // 2]) + text.encode("utf-16-le")


def plp(data, chunk=65536):
    """Partially length-prefixed bytes of unknown total, as drivers stream them."""
    pieces = [data[i:i + chunk] for i in range(0, len(data), chunk)]
    return struct.pack("<Q", 2**64 - 2) + b"".join(struct.pack("<I", len(p)) + p for p in pieces) + b"\0\0\0\0"


COLLATION = b"\x09\x04\xd0\x00\x34"


class Parameter:
    """A parameter of an RPC. The type follows from the value: int, str (nvarchar), bytes (varbinary), float, or MAX when
    it is long. `raw`: TYPE_INFO and value as bytes instead."""

    def __init__(self, value=None, name="", output=False, raw=None):
        self.value, self.name, self.output, self.raw = value, name, output, raw

    def encode(self):
        return b_varchar(self.name) + bytes([int(self.output)]) + (self.raw or self._typed())

    def _typed(self):
        value = self.value
        if isinstance(value, int):
            wide = not -2**31 <= value < 2**31
            return (b"\x26\x08\x08" if wide else b"\x26\x04\x04") + value.to_bytes(8 if wide else 4, "little", signed=True)
        if isinstance(value, float):
            return b"\x6d\x08\x08" + struct.pack("<d", value)
        if isinstance(value, bytes):
            return (struct.pack("<BHH", 0xA5, 8000, len(value)) + value if len(value) <= 8000 else
                    b"\xa5\xff\xff" + plp(value))
        if value is None:
            return struct.pack("<BH", 0xE7, 8000) + COLLATION + b"\xff\xff"
        data = value.encode("utf-16-le")
        if len(data) <= 8000:
            return struct.pack("<BH", 0xE7, 8000) + COLLATION + struct.pack("<H", len(data)) + data
        return b"\xe7\xff\xff" + COLLATION + plp(data)


def handle_parameter(value=None):
    """The @handle OUTPUT of sp_prepare and sp_prepexec: an int, NULL to begin with."""
    return Parameter(value, "", True, b"\x26\x04\x00" if value is None else None)


def rpc_payload(procedure, parameters, transaction=0, tds=TDS74):
    """`procedure`: a name, or a ProcID (10 sp_executesql ... 15 sp_unprepare)."""
    return all_headers(transaction, tds) + _rpc_call(procedure, parameters)


def rpc_batch_payload(calls, transaction=0, tds=TDS74, last=b""):
    """Several calls in one message: (procedure, parameter, ...) each. `last`: a separator behind the last one too."""
    separator = b"\xff" if tds >= TDS72 else b"\x80"
    return all_headers(transaction, tds) + separator.join(_rpc_call(name, rest) for name, *rest in calls) + last


def _rpc_call(procedure, parameters):
    if isinstance(procedure, int):
        head = struct.pack("<HHH", 0xFFFF, procedure, 0)
    else:
        head = struct.pack("<H", len(procedure)) + procedure.encode("utf-16-le") + b"\0\0"
    parameters = [p if isinstance(p, Parameter) else Parameter(p) for p in parameters]
    return head + b"".join(p.encode() for p in parameters)


def tran_payload(kind, name="", isolation=0, begin_next=False, transaction=0, tds=TDS74):
    """A transaction manager request. `begin_next`: commit or roll back, and begin the next one with `isolation`."""
    text = name.encode("utf-16-le")
    body = struct.pack("<H", kind) + (bytes([isolation]) if kind == TRAN_BEGIN else b"") + bytes([len(text)]) + text
    if kind in (TRAN_COMMIT, TRAN_ROLLBACK):
        body += bytes([1, isolation, 0]) if begin_next else b"\0"
    return all_headers(transaction, tds) + body


# ---------------------------------------------------------------------------------------------------- dialogue


def trusting_context(ca_file=None, strict=False):
    """A TLS context; without a CA file the certificate is not looked at. Wrapped TLS goes no further than 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if strict:
        context.set_alpn_protocols(["tds/8.0"])
    else:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class Session:
    """The state of one connection: bytes not yet read, the TLS engine, what the server said at login."""

    def __init__(self, user="", password="", database="", encrypt="off", ca_file=None, app_name="harness",
                 server_name="127.0.0.1", prelogin=True, tds_version=0x74000004, tls_context=None, mars=0,
                 packet_size=PACKET_SIZE):
        self.user, self.password, self.database, self.encrypt = user, password, database, encrypt
        self.app_name, self.server_name, self.prelogin, self.mars = app_name, server_name, prelogin, mars
        self.tds_version = tds_version
        self.tds = TDS74 if tds_version == 0x08000000 else tds_version  # what the tokens look like
        self.asked_packet_size = packet_size
        self.largest_packet = 0  # that came
        self.transaction = 0     # the descriptor for ALL_HEADERS
        self.context = tls_context
        self.ca_file = ca_file
        self.raw = bytearray()   # bytes from the peer, before TLS
        self.plain = bytearray() # TDS bytes
        self.tls = None          # SSLObject while this direction is encrypted
        self.tls_in, self.tls_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.peer_options = {}
        self.features = {}       # acknowledged, {id: data}
        self.packet_size = PACKET_SIZE
        self.spid = 0

    # --- bytes

    def more(self):
        data = yield None
        if not data:
            raise TdsClosed("the server closed the connection")
        if self.tls:
            self.tls_in.write(data)
            self._decrypt()
        else:
            self.plain += data

    def _decrypt(self):
        try:
            while True:
                piece = self.tls.read(65536)
                if not piece:
                    raise TdsClosed("TLS close_notify")
                self.plain += piece
        except ssl.SSLWantReadError:
            pass

    def bytes_out(self, data):
        if self.tls:
            self.tls.write(data)
            data = self.tls_out.read()
        yield data

    def read_message(self):
        """(type of the first packet, payload of the whole message)."""
        payload, kind = bytearray(), None
        while True:
            while len(self.plain) < 8:
                yield from self.more()
            first, status, length, spid = struct.unpack_from(">BBHH", self.plain)
            if length < 8:
                raise TdsProtocolError(f"packet of {length} bytes")
            while len(self.plain) < length:
                yield from self.more()
            kind = first if kind is None else kind
            self.spid = spid
            self.largest_packet = max(self.largest_packet, length)
            payload += self.plain[8:length]
            del self.plain[:length]
            if status & 1:
                return kind, bytes(payload)

    # --- login

    def tls_handshake(self, wrapped):
        context = self.context or trusting_context(self.ca_file, strict=not wrapped)
        engine = context.wrap_bio(self.tls_in, self.tls_out, server_hostname="localhost")
        while True:
            try:
                engine.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                finished = False
            flight = self.tls_out.read()
            if flight:
                yield message(PACKET_PRELOGIN, flight) if wrapped else flight
            if finished:
                break
            if wrapped:
                _, payload = yield from self.read_message()
                self.tls_in.write(payload)
            else:
                data = yield None
                if not data:
                    raise TdsClosed("closed during the TLS handshake")
                self.tls_in.write(data)
        if self.plain:  # raw records that came with the last flight
            self.tls_in.write(bytes(self.plain))
            self.plain.clear()
        self.tls = engine

    def negotiate(self):
        """PRELOGIN and TLS, up to the point where LOGIN7 is due."""
        if not self.prelogin:
            return
        if self.encrypt == "strict":
            yield from self.tls_handshake(wrapped=False)
        wish = {"off": ENCRYPT_NOT_SUP, "login": ENCRYPT_OFF, "full": ENCRYPT_ON, "strict": ENCRYPT_NOT_SUP}[self.encrypt]
        yield from self.bytes_out(message(PACKET_PRELOGIN, prelogin_payload(wish, mars=self.mars)))
        kind, payload = yield from self.read_message()
        if kind not in (PACKET_RESPONSE, PACKET_PRELOGIN):
            raise TdsProtocolError(f"PRELOGIN answered with a packet of type 0x{kind:02x}")
        self.peer_options = prelogin_options(payload)
        if self.encrypt == "strict":
            return
        answer = self.peer_options[1][0] & 0x3F
        expected = {"off": (ENCRYPT_NOT_SUP,), "login": (ENCRYPT_OFF, ENCRYPT_REQ), "full": (ENCRYPT_ON, ENCRYPT_REQ)}
        if answer not in expected[self.encrypt]:
            raise TdsProtocolError(f"encryption {self.encrypt} answered with {answer}")
        if answer != ENCRYPT_NOT_SUP:
            yield from self.tls_handshake(wrapped=True)

    def login(self):
        """The whole login. Returns the Response; TdsError if the server refuses."""
        yield from self.negotiate()
        login_only = self.tls and self.encrypt == "login" and self.peer_options[1][0] & 0x3F == ENCRYPT_OFF
        payload = login7_payload(self.user, self.password, self.database, self.app_name, server_name=self.server_name,
                                 tds_version=self.tds_version, packet_size=self.asked_packet_size)
        yield from self.bytes_out(message(PACKET_LOGIN7, payload))
        if login_only:
            self.tls = None  # the answer is plaintext from its first byte; nobody sends close_notify
        _, answer = yield from self.read_message()
        response = Response(answer, self.tds)
        self.login_errors = response.errors
        response.raise_error()
        if response.loginack is None:
            raise TdsProtocolError("login answered without LOGINACK and without ERROR")
        for kind, now, _ in response.env:
            if kind == 4:
                self.packet_size = int(now)
        return response

    # --- requests

    def send(self, kind, payload, status=0):
        """Sends a request (or an attention) without waiting for the answer. `status`: reset bits."""
        yield from self.bytes_out(message(kind, payload, self.packet_size, status))

    def receive(self):
        """The next message of the server as a Response, errors and all."""
        _, answer = yield from self.read_message()
        response = Response(answer, self.tds, self.features)
        self.features.update(response.features)
        for kind, value, _ in response.env:
            if kind == 8:
                self.transaction = int.from_bytes(value[1:9], "little")
            elif kind in (9, 10, 17):
                self.transaction = 0
        return response

    def headers(self, status):
        """Transaction and version for a payload. A reset ends the transaction before the request runs."""
        if status & STATUS_RESET:
            self.transaction = 0
        return {"transaction": self.transaction, "tds": self.tds}

    def batch(self, sql, status=0):
        """Runs a batch. Returns the Response; TdsError for its first ERROR token."""
        yield from self.send(PACKET_BATCH, batch_payload(sql, **self.headers(status)), status)
        return (yield from self.receive()).raise_error()

    def rpc(self, procedure, parameters, status=0):
        """Calls a procedure by name or ProcID. Returns the Response, errors and all."""
        yield from self.send(PACKET_RPC, rpc_payload(procedure, parameters, **self.headers(status)), status)
        return (yield from self.receive())

    def tran(self, kind, name="", isolation=0, begin_next=False, status=0):
        """A transaction manager request. Returns the Response, errors and all."""
        payload = tran_payload(kind, name, isolation, begin_next, **self.headers(status))
        yield from self.send(PACKET_TRAN, payload, status)
        return (yield from self.receive())


class TdsClient:
    """A blocking connection.

        with TdsClient(port, user, password) as c:   # TdsError if the login is refused
            c.query("SELECT 1").rows
    """

    def __init__(self, port, user="sa", password="", database="", host="127.0.0.1", timeout=30.0, connect=True, **session):
        self.session = Session(user, password, database, **session)
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.login_response = None
        if connect:
            try:
                self.login_response = self.run(self.session.login())
            except BaseException:
                self.socket.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, dialogue):
        """Drives a generator of Session to its end and returns its result."""
        try:
            step = next(dialogue)
            while True:
                if step is None:
                    try:
                        data = self.socket.recv(262144)
                    except ConnectionResetError:
                        data = b""
                    step = dialogue.send(data)
                else:
                    self.socket.sendall(step)
                    step = next(dialogue)
        except StopIteration as end:
            return end.value

    def query(self, sql, status=0):
        return self.run(self.session.batch(sql, status))

    def send(self, sql, status=0):
        """Sends a batch and does not wait; receive() takes the answer."""
        self.run(self.session.send(PACKET_BATCH, batch_payload(sql, **self.session.headers(status)), status))

    def receive(self):
        return self.run(self.session.receive())

    def ask(self, sql, status=0):
        """As query, but errors stay in the Response."""
        self.send(sql, status)
        return self.receive()

    def attention(self):
        self.run(self.session.send(PACKET_ATTENTION, b""))

    def rpc(self, procedure, *parameters, status=0):
        return self.run(self.session.rpc(procedure, parameters, status))

    def rpcs(self, *calls, status=0):
        """Several calls in one message; each is (procedure, parameter, ...)."""
        self.run(self.session.send(PACKET_RPC, rpc_batch_payload(calls, **self.session.headers(status)), status))
        return self.receive()

    def tran(self, kind, *args, **keys):
        return self.run(self.session.tran(kind, *args, **keys))

    def scalar(self, sql):
        return self.query(sql).rows[0][0]

    def close(self):
        self.socket.close()


def try_login(port, user="sa", password="", database="", **keys):
    """None when the login succeeds (the connection is closed again), else the TdsError that the server sent."""
    try:
        TdsClient(port, user, password, database, **keys).close()
        return None
    except TdsError as error:
        return error
