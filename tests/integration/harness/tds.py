"""TDS 7.4 in plain Python, written from MS-TDS: enough of a client to log in, run a batch and read what comes back.

The dialogue is written once, as generators that know no socket:

    yield b"..."     send these bytes
    yield None       give me more bytes (b"" = the peer closed)

TdsClient drives them over a blocking socket, crowd.py over asyncio. `bytes_out` and friends can be used on their own
by tests that send broken packets.
"""

import decimal
import socket
import ssl
import struct

PACKET_BATCH, PACKET_RPC, PACKET_RESPONSE, PACKET_ATTENTION = 0x01, 0x03, 0x04, 0x06
PACKET_LOGIN7, PACKET_PRELOGIN = 0x10, 0x12
ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_NOT_SUP, ENCRYPT_REQ = 0, 1, 2, 3
PACKET_SIZE = 4096


class TdsError(Exception):
    """An ERROR token: number, state, severity, text. At login and in a batch alike."""

    def __init__(self, number, state, severity, text):
        super().__init__(f"{number}: {text}")
        self.number, self.state, self.severity, self.text = number, state, severity, text


class TdsClosed(Exception):
    """The peer closed the connection where an answer was due."""


class TdsProtocolError(Exception):
    """What came is not TDS as MS-TDS has it."""


# ---------------------------------------------------------------------------------------------------- packets


def packet(kind, payload, status=1, packet_id=1, spid=0):
    return struct.pack(">BBHHBB", kind, status, len(payload) + 8, spid, packet_id & 0xFF, 0) + payload


def message(kind, payload, size=PACKET_SIZE):
    """The packets of one message: EOM on the last only."""
    room = size - 8
    pieces = [payload[i:i + room] for i in range(0, len(payload), room)] or [b""]
    return b"".join(packet(kind, piece, 1 if i == len(pieces) - 1 else 0, i + 1) for i, piece in enumerate(pieces))


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


def batch_payload(sql, transaction=0):
    """SQLBatch with the ALL_HEADERS that TDS 7.2 and later want."""
    headers = struct.pack("<IIHQI", 22, 18, 2, transaction, 1)
    return headers + sql.encode("utf-16-le")


# ---------------------------------------------------------------------------------------------------- tokens


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise TdsProtocolError(f"token stream cut short at {self.at}")
        piece = self.data[self.at:self.at + count]
        self.at += count
        return piece

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def text(self, characters):
        return self.take(characters * 2).decode("utf-16-le")


_FIXED = {0x1F: 0, 0x30: 1, 0x32: 1, 0x34: 2, 0x38: 4, 0x3A: 4, 0x3B: 4, 0x3C: 8, 0x3D: 8, 0x3E: 8, 0x7A: 4, 0x7F: 8}
_BYTE_LENGTH = {0x24, 0x26, 0x68, 0x6A, 0x6C, 0x6D, 0x6E, 0x6F}
_SHORT_LENGTH = {0xA5, 0xA7, 0xAD, 0xAF, 0xE7, 0xEF}


def _read_column(r):
    r.take(6)  # user type, flags
    kind = r.number("B")
    column = {"type": kind, "size": 0, "scale": 0}
    if kind in _BYTE_LENGTH:
        column["size"] = r.number("B")
        if kind in (0x6A, 0x6C):
            r.take(1)
            column["scale"] = r.number("B")
    elif kind in _SHORT_LENGTH:
        column["size"] = r.number("H")
        if kind in (0xA7, 0xAF, 0xE7, 0xEF):
            r.take(5)
    elif kind in (0x29, 0x2A, 0x2B):
        column["scale"] = r.number("B")
    elif kind not in _FIXED and kind != 0x28:
        raise TdsProtocolError(f"column type 0x{kind:02x}")
    column["name"] = r.text(r.number("B"))
    return column


def _read_plp(r):
    total = r.number("Q")
    if total == 0xFFFFFFFFFFFFFFFF:
        return None
    pieces = []
    while True:
        length = r.number("I")
        if length == 0:
            return b"".join(pieces)
        pieces.append(r.take(length))


def _read_raw(r, column):
    kind = column["type"]
    if kind in _FIXED:
        return r.take(_FIXED[kind])
    if kind in _SHORT_LENGTH:
        if column["size"] == 0xFFFF:
            return _read_plp(r)
        length = r.number("H")
        return None if length == 0xFFFF else r.take(length)
    length = r.number("B")
    return r.take(length) if length else None


def _convert(raw, column):
    kind = column["type"]
    if raw is None:
        return None
    if kind in (0x30, 0x32, 0x34, 0x38, 0x7F, 0x26, 0x68):
        return int.from_bytes(raw, "little", signed=len(raw) > 1)
    if kind in (0x3B, 0x3E, 0x6D):
        return struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0]
    if kind in (0x6A, 0x6C):
        value = decimal.Decimal(int.from_bytes(raw[1:], "little")).scaleb(-column["scale"])
        return value if raw[0] else -value
    if kind in (0xE7, 0xEF):
        return raw.decode("utf-16-le")
    if kind in (0xA7, 0xAF):
        return raw.decode("latin-1")
    return raw


class Response:
    """One response message, taken apart. `rows` and `columns` are those of all result sets, in order."""

    def __init__(self, payload):
        self.errors, self.infos, self.env, self.rows, self.columns = [], [], [], [], []
        self.row_counts, self.loginack, self.features, self.done_status, self.return_status = [], None, [], None, None
        self._parse(Reader(payload))

    def _parse(self, r):
        columns = []
        while r.at < len(r.data):
            token = r.number("B")
            if token in (0xAA, 0xAB):
                self._message(token, Reader(r.take(r.number("H"))))
            elif token == 0xE3:
                self._envchange(Reader(r.take(r.number("H"))))
            elif token == 0xAD:
                ack = Reader(r.take(r.number("H")))
                self.loginack = {"interface": ack.number("B"), "tds": int.from_bytes(ack.take(4), "big"),
                                 "program": ack.text(ack.number("B")), "version": tuple(ack.take(4))}
            elif token == 0xAE:
                feature = r.number("B")
                while feature != 0xFF:
                    self.features.append((feature, r.take(r.number("I"))))
                    feature = r.number("B")
            elif token in (0xFD, 0xFE, 0xFF):
                self.done_status, _, count = r.number("H"), r.number("H"), r.number("Q")
                if self.done_status & 0x10:
                    self.row_counts.append(count)
            elif token == 0x81:
                count = r.number("H")
                columns = [] if count == 0xFFFF else [_read_column(r) for _ in range(count)]
                self.columns.append([column["name"] for column in columns])
            elif token == 0xD1:
                self.rows.append([_convert(_read_raw(r, column), column) for column in columns])
            elif token == 0xD2:
                nulls = r.take((len(columns) + 7) // 8)
                self.rows.append([None if nulls[i // 8] >> (i % 8) & 1 else _convert(_read_raw(r, column), column)
                                  for i, column in enumerate(columns)])
            elif token == 0x79:
                self.return_status = r.number("i")
            elif token in (0xA9, 0xA5, 0xA4):
                r.take(r.number("H"))
            else:
                raise TdsProtocolError(f"token 0x{token:02x} at {r.at - 1}")

    def _message(self, token, r):
        number, state, severity = r.number("i"), r.number("B"), r.number("B")
        error = TdsError(number, state, severity, r.text(r.number("H")))
        (self.errors if token == 0xAA else self.infos).append(error)

    def _envchange(self, r):
        kind = r.number("B")
        if kind in (1, 2, 3, 4, 13, 19):
            self.env.append((kind, r.text(r.number("B")), r.text(r.number("B"))))
        else:
            self.env.append((kind, r.take(len(r.data) - 1), None))

    def raise_error(self):
        if self.errors:
            raise self.errors[0]
        return self


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
                 server_name="127.0.0.1", prelogin=True, tds_version=0x74000004, tls_context=None, mars=0):
        self.user, self.password, self.database, self.encrypt = user, password, database, encrypt
        self.app_name, self.server_name, self.prelogin, self.mars = app_name, server_name, prelogin, mars
        self.tds_version = tds_version
        self.context = tls_context
        self.ca_file = ca_file
        self.raw = bytearray()   # bytes from the peer, before TLS
        self.plain = bytearray() # TDS bytes
        self.tls = None          # SSLObject while this direction is encrypted
        self.tls_in, self.tls_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.peer_options = {}
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
                                 tds_version=self.tds_version)
        yield from self.bytes_out(message(PACKET_LOGIN7, payload))
        if login_only:
            self.tls = None  # the answer is plaintext from its first byte; nobody sends close_notify
        _, answer = yield from self.read_message()
        response = Response(answer).raise_error()
        if response.loginack is None:
            raise TdsProtocolError("login answered without LOGINACK and without ERROR")
        for kind, now, _ in response.env:
            if kind == 4:
                self.packet_size = int(now)
        return response

    def batch(self, sql):
        """Runs a batch. Returns the Response; TdsError for its first ERROR token."""
        yield from self.bytes_out(message(PACKET_BATCH, batch_payload(sql), self.packet_size))
        _, answer = yield from self.read_message()
        return Response(answer).raise_error()


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

    def query(self, sql):
        return self.run(self.session.batch(sql))

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
