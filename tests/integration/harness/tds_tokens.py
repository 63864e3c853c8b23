"""What a server sends, taken apart: tokens, columns and values of TDS 7.1 to 7.4. See MS-TDS 2.2.5 and 2.2.7."""

import datetime
import decimal
import struct
import uuid

TDS71, TDS72, TDS73A, TDS73B, TDS74 = 0x71000001, 0x72090002, 0x730A0003, 0x730B0003, 0x74000004
DONE_MORE, DONE_ERROR, DONE_COUNT, DONE_ATTN = 0x01, 0x02, 0x10, 0x20


class TdsError(Exception):
    """An ERROR token: number, state, severity, text. At login and in a batch alike."""

    def __init__(self, number, state, severity, text):
        super().__init__(f"{number}: {text}")
        self.number, self.state, self.severity, self.text = number, state, severity, text


class TdsProtocolError(Exception):
    """What came is not TDS as MS-TDS has it."""


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
_TEXT = {0x22, 0x23, 0x63}


def _read_type(r):
    began = r.at
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
            column["utf8"] = bool(r.take(5)[3] & 0x04)
    elif kind in (0x29, 0x2A, 0x2B):
        column["scale"] = r.number("B")
    elif kind == 0xF1:
        if r.number("B"):
            raise TdsProtocolError("xml with a schema")
    elif kind in _TEXT:
        column["size"] = r.number("I")
        r.take(0 if kind == 0x22 else 5)
    elif kind == 0x62:
        column["size"] = r.number("I")
    elif kind not in _FIXED and kind != 0x28:
        raise TdsProtocolError(f"column type 0x{kind:02x}")
    column["info"] = r.data[began:r.at]
    return column


def _read_crypto(r):
    """CryptoMetaData: the type of what is encrypted."""
    ordinal, _ = r.number("H"), r.number("I")
    plain = _read_type(r)
    algorithm, kind, normalisation = r.number("B"), r.number("B"), r.number("B")
    return {"ordinal": ordinal, "plain": plain["info"], "algorithm": algorithm, "kind": kind, "version": normalisation}


def _read_key_table(r):
    """CekTable: [(key, key store, path, algorithm), ...]."""
    keys = []
    for _ in range(r.number("H")):
        r.take(20)
        for _ in range(r.number("B")):
            keys.append((r.take(r.number("H")), r.text(r.number("B")), r.text(r.number("H")), r.text(r.number("B"))))
    return keys


def _read_column(r, tds):
    r.take(4 if tds >= TDS72 else 2)  # user type
    flags = r.number("H")
    column = _read_type(r)
    column["flags"] = flags
    if flags & 0x0800:
        column["crypto"] = _read_crypto(r)
    if column["type"] in _TEXT:
        for _ in range(r.number("B") if tds >= TDS72 else 1):  # the table's name
            r.text(r.number("H"))
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
    if kind == 0xF1:
        return _read_plp(r)
    if kind == 0x62:
        length = r.number("I")
        return r.take(length) if length else None
    if kind in _TEXT:
        pointer = r.number("B")
        if not pointer:
            return None
        r.take(pointer + 8)
        return r.take(r.number("I"))
    length = r.number("B")
    return r.take(length) if length else None


def _decimal(number, scale):
    """Exact: arithmetic of Decimal would round to its context's 28 digits."""
    return decimal.Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))


def _clock(ticks, scale):
    """Units of 10**-scale s since midnight as text."""
    seconds, fraction = divmod(ticks, 10**scale)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:0{scale}}" if scale else text


def _day(raw, first=datetime.date(1, 1, 1)):
    return (first + datetime.timedelta(int.from_bytes(raw, "little", signed=first.year != 1))).isoformat()


def _convert_date(raw, kind, scale):
    """Date types as text, "2024-02-29 23:59:59.997"; datetimeoffset in UTC with its offset in minutes behind."""
    if kind == 0x28:
        return _day(raw)
    if kind in (0x3A, 0x6F) and len(raw) == 4:
        return _day(raw[:2] + b"\0", datetime.date(1900, 1, 1)) + " " + _clock(60 * int.from_bytes(raw[2:], "little"), 0)
    if kind in (0x3D, 0x6F):
        milliseconds = (int.from_bytes(raw[4:], "little") * 20 + 3) // 6  # of 1/300 s
        return _day(raw[:4], datetime.date(1900, 1, 1)) + " " + _clock(milliseconds, 3)
    tail = {0x29: 0, 0x2A: 3, 0x2B: 5}[kind]
    clock = _clock(int.from_bytes(raw[:len(raw) - tail], "little"), scale)
    if kind == 0x29:
        return clock
    text = _day(raw[len(raw) - tail:len(raw) - tail + 3]) + " " + clock
    return text if kind == 0x2A else f"{text} {struct.unpack('<h', raw[-2:])[0]:+}"


def _convert_variant(raw):
    """Base type, length of the properties, properties, data."""
    kind, size = raw[0], raw[1]
    properties, data = raw[2:2 + size], raw[2 + size:]
    scale = properties[-1] if kind in (0x29, 0x2A, 0x2B, 0x6A, 0x6C) else 0
    return _convert(data, {"type": kind, "size": len(data), "scale": scale})


def _convert(raw, column):
    kind = column["type"]
    if raw is None:
        return None
    if kind in (0x28, 0x29, 0x2A, 0x2B, 0x3A, 0x3D, 0x6F):
        return _convert_date(raw, kind, column["scale"])
    if kind in (0x3C, 0x6E, 0x7A):
        raw = raw if len(raw) == 4 else raw[4:] + raw[:4]  # the high half comes first
        return _decimal(int.from_bytes(raw, "little", signed=True), 4)
    if kind == 0x24:
        return str(uuid.UUID(bytes_le=raw)).upper()
    if kind == 0x62:
        return _convert_variant(raw)
    if kind in (0x30, 0x32, 0x34, 0x38, 0x7F, 0x26, 0x68):
        return int.from_bytes(raw, "little", signed=len(raw) > 1)
    if kind in (0x3B, 0x3E, 0x6D):
        return struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0]
    if kind in (0x6A, 0x6C):
        number = int.from_bytes(raw[1:], "little")
        return _decimal(number if raw[0] else -number, column["scale"])
    if kind in (0xE7, 0xEF, 0x63, 0xF1):
        return raw.decode("utf-16-le")
    if kind in (0xA7, 0xAF, 0x23):
        return raw.decode("utf-8" if column.get("utf8") else "latin-1")
    return raw


class Response:
    """One response message, taken apart. `rows` and `columns` are those of all result sets, in order; `raw_rows` are
    the bytes of the values; `types` the columns of the last result set; `tokens` all token ids; `dones` (token, status,
    command, count) of all DONE, DONEPROC and DONEINPROC; `return_values` (ordinal, name, value). `features` are those
    acknowledged at login, {id: data}: they change the stream. `keys` the CekTable of the last result set,
    `session_states` (sequence, recoverable, {id: bytes}) of each SESSIONSTATE, `classified` for each DATACLASSIFICATION
    (labels, information types, rank, [properties of each column]). `columns`: those of rows without COLMETADATA."""

    def __init__(self, payload, tds=TDS74, features=None, columns=None):
        self.tds = tds
        self.negotiated = features or {}
        self.session_states, self.classified, self.keys = [], [], None
        self.errors, self.infos, self.env, self.rows, self.columns = [], [], [], [], []
        self.row_counts, self.loginack, self.features, self.done_status, self.return_status = [], None, [], None, None
        self.raw_rows, self.types, self.tokens, self.dones, self.return_values = [], [], [], [], []
        self.browse = []  # what TABNAME and COLINFO say, as it is
        self._parse(Reader(payload), columns or [])

    def _row(self, raw, columns):
        self.raw_rows.append(raw)
        self.rows.append([_convert(value, column) for value, column in zip(raw, columns)])

    def _return_value(self, r):
        ordinal, name = r.number("H"), r.text(r.number("B"))
        r.take(1 + (6 if self.tds >= TDS72 else 4))  # status, user type, flags
        column = _read_type(r)
        self.return_values.append((ordinal, name, _convert(_read_raw(r, column), column)))

    def env_kinds(self):
        return [kind for kind, _, _ in self.env]

    def _parse(self, r, columns):
        while r.at < len(r.data):
            token = r.number("B")
            self.tokens.append(token)
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
                self.done_status, command = r.number("H"), r.number("H")
                count = r.number("Q" if self.tds >= TDS72 else "I")
                self.dones.append((token, self.done_status, command, count))
                if self.done_status & 0x10:
                    self.row_counts.append(count)
            elif token == 0x81:
                count = r.number("H")
                if count != 0xFFFF and 0x04 in self.negotiated:
                    self.keys = _read_key_table(r)
                if count != 0xFFFF:  # else the client has them already
                    columns = [_read_column(r, self.tds) for _ in range(count)]
                self.types = columns
                self.columns.append([column["name"] for column in columns])
            elif token == 0xD1:
                self._row([_read_raw(r, column) for column in columns], columns)
            elif token == 0xD2:
                nulls = r.take((len(columns) + 7) // 8)
                self._row([None if nulls[i // 8] >> (i % 8) & 1 else _read_raw(r, column)
                           for i, column in enumerate(columns)], columns)
            elif token == 0x79:
                self.return_status = r.number("i")
            elif token == 0xAC:
                self._return_value(r)
            elif token == 0xA9:
                r.take(r.number("H"))
            elif token in (0xA4, 0xA5):
                self.browse.append(r.take(r.number("H")))
            elif token == 0xE4:
                self._session_state(Reader(r.take(r.number("I"))))
            elif token == 0xA3 and 0x09 in self.negotiated:
                self._classification(r, self.negotiated[0x09][0] >= 2)
            else:
                raise TdsProtocolError(f"token 0x{token:02x} at {r.at - 1}")

    def _session_state(self, r):
        sequence, status, states = r.number("I"), r.number("B"), {}
        while r.at < len(r.data):
            kind, length = r.number("B"), r.number("B")
            states[kind] = r.take(r.number("I") if length == 0xFF else length)
        self.session_states.append((sequence, bool(status & 1), states))

    def _classification(self, r, ranked):
        def pairs():
            return [(r.text(r.number("B")), r.text(r.number("B"))) for _ in range(r.number("H"))]

        labels, types = pairs(), pairs()
        rank = r.number("i") if ranked else None
        columns = [[(r.number("H"), r.number("H"), r.number("i") if ranked else None) for _ in range(r.number("H"))]
                   for _ in range(r.number("H"))]
        self.classified.append((labels, types, rank, columns))

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
