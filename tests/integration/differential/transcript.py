"""A server's message as a list of tokens in order, each a tuple of plain values. See MS-TDS 2.2.7.

Left out is what may differ between two servers or connections: packet borders, the SPID, ENVCHANGE 4. Transaction
descriptors are still in: Names gives them names.
"""

import functools
import hashlib
import re

from harness.tds_tokens import TDS72, Reader, TdsProtocolError, _convert, _read_column, _read_raw, _read_type
from .without import NUMBERS_IN_WORDS, WORDS_OF_8179

LONG = 120  # characters or bytes of a value that are kept as they are
DONE = {0xFD: "DONE", 0xFE: "DONEPROC", 0xFF: "DONEINPROC"}
DONE_COUNT, DONE_ATTENTION = 0x10, 0x20
ENV_PACKET_SIZE = 4
NAMES_A_TRANSACTION = (3971,)  # the descriptor, a number of the server's
NO_SUCH_HANDLE = 8179
MEASURED = (3612, 3613, 3615)  # numbers of INFOs of STATISTICS TIME and IO
ENV_TRANSACTIONS = (8, 9, 10, 11, 12, 17)


def short(value):
    """Long values by their length and digest."""
    if not isinstance(value, (str, bytes)) or len(value) <= LONG:
        return value.hex() if isinstance(value, bytes) else value
    raw = value.encode("utf-16-le", "surrogatepass") if isinstance(value, str) else value
    return f"{value[:20]!r}... {len(value)} long, {hashlib.sha256(raw).hexdigest()[:16]}"


class _Tokens:
    def __init__(self, payload, tds):
        self.r, self.tds, self.columns = Reader(payload), tds, []

    def all(self):
        found = []
        while self.r.at < len(self.r.data):
            token = self._next(self.r.number("B"))
            if token is not None:
                found.append(token)
        return tuple(found)

    def _next(self, token):
        r = self.r
        if token in (0xD1, 0xD2):
            return self._row(token)
        if token in DONE:
            return self._done(DONE[token])
        if token == 0x81:
            return self._columns()
        if token in (0xAA, 0xAB):
            return self._message("ERROR" if token == 0xAA else "INFO", Reader(r.take(r.number("H"))))
        if token == 0xE3:
            return self._envchange(Reader(r.take(r.number("H"))))
        if token == 0x79:
            return ("RETURNSTATUS", r.number("i"))
        if token == 0xAC:
            return self._return_value()
        if token in (0xA9, 0xA5, 0xA4):
            return ({0xA9: "ORDER", 0xA5: "COLINFO", 0xA4: "TABNAME"}[token], r.take(r.number("H")).hex())
        if token == 0xAD:
            return ("LOGINACK", short(r.take(r.number("H"))))
        if token == 0xAE:
            return self._features()
        raise TdsProtocolError(f"token 0x{token:02x} at {r.at - 1}")

    def _columns(self):
        count = self.r.number("H")
        if count == 0xFFFF:
            return ("COLUMNS", "as before")
        self.columns, seen = [], []
        for _ in range(count):
            began = self.r.at
            self.columns.append(_read_column(self.r, self.tds))
            seen.append((self.columns[-1]["name"], self.r.data[began:self.r.at].hex()))
        return ("COLUMNS", *seen)

    def _row(self, token):
        nulls = self.r.take((len(self.columns) + 7) // 8) if token == 0xD2 else b""
        values = []
        for i, column in enumerate(self.columns):
            null = nulls and nulls[i // 8] >> (i % 8) & 1
            values.append(None if null else short(_convert(_read_raw(self.r, column), column)))
        return ("NBCROW" if nulls else "ROW", *values)

    def _done(self, name):
        status, _ = self.r.number("H"), self.r.number("H")
        count = self.r.number("Q" if self.tds >= TDS72 else "I")
        return (name, status, count if status & DONE_COUNT else None)

    def _message(self, name, r):
        number, state, severity = r.number("i"), r.number("B"), r.number("B")
        text, server, procedure = r.text(r.number("H")), r.text(r.number("B")), r.text(r.number("B"))
        return (name, number, state, severity, text, server, procedure, r.number("I" if self.tds >= TDS72 else "H"))

    def _envchange(self, r):
        kind = r.number("B")
        if kind == ENV_PACKET_SIZE:
            return None
        if kind in (1, 2, 3, 13, 19):
            return ("ENVCHANGE", kind, r.text(r.number("B")), r.text(r.number("B")))
        if kind == 7 or kind in ENV_TRANSACTIONS or kind == 18:
            now = r.take(r.number("B"))
            return ("ENVCHANGE", kind, now.hex(), r.take(r.number("B")).hex())
        return ("ENVCHANGE", kind, r.take(len(r.data) - 1).hex(), "")

    def _return_value(self):
        r = self.r
        ordinal, name = r.number("H"), r.text(r.number("B"))
        status = r.number("B")
        r.take(6 if self.tds >= TDS72 else 4)  # user type, flags
        column = _read_type(r)
        return ("RETURNVALUE", ordinal, name, status, short(_convert(_read_raw(r, column), column)))

    def _features(self):
        seen = []
        while (feature := self.r.number("B")) != 0xFF:
            seen.append((feature, self.r.take(self.r.number("I")).hex()))
        return ("FEATURES", *seen)


@functools.lru_cache(maxsize=4096)
def tokens(payload, tds):
    return _Tokens(payload, tds).all()


class Names:
    """Names of what the server numbers: transactions, and the handles that a script asked for, by when they came up.

    `transaction`: the descriptor that the next request has to carry. `values`: name of a handle -> its value.
    """

    def __init__(self, without=()):
        self.without = without
        self.transaction = 0
        self.values = {}
        self._transactions = {}

    def named(self, found, expected=(), used=()):
        """Tokens with names for numbers. `expected`: for each RPC of the request the names of its first return values;
        `used`: names of handles that the request holds, whose numbers an error may tell."""
        out, call, taken = [], 0, 0
        for token in found:
            if token[0] == "ENVCHANGE" and token[1] in ENV_TRANSACTIONS:
                token = self._transaction(token)
            elif token[0] == "RETURNVALUE" and call < len(expected) and taken < len(expected[call]):
                name = expected[call][taken]
                self.values[name], taken = token[4], taken + 1
                token = (*token[:4], name)
            elif token[0] == "DONEPROC":
                call, taken = call + 1, 0
            elif token[0] in ("ERROR", "INFO"):
                token = self._message(token, used)
            elif token[0] in ("DONEINPROC", "RETURNSTATUS") and out and out[-1] == ("ERROR", NO_SUCH_HANDLE):
                continue
            out.append(token)
        return out

    def _transaction(self, token):
        _, kind, now, before = token
        if kind in (8, 11):
            self.transaction = int.from_bytes(bytes.fromhex(now), "little")
            now = self._transactions.setdefault(now, f"transaction {len(self._transactions) + 1}")
            return ("ENVCHANGE", kind, now, before)
        self.transaction = 0
        return ("ENVCHANGE", kind, now, self._transactions.get(before, "none that began"))

    def _message(self, token, used):
        text = token[4]
        if token[1] == NO_SUCH_HANDLE and WORDS_OF_8179 in self.without:
            return token[:2]
        if NUMBERS_IN_WORDS in self.without:
            used = ()
        for name in used if token[1] not in MEASURED else ():
            if isinstance(self.values.get(name), int):
                number = self.values[name]
                text = re.sub(rf"\b({number}|{number:x})\b", name, text)
        if token[1] in NAMES_A_TRANSACTION:
            text = re.sub(r"Desc:[0-9a-f]+", "Desc:N", text)
        if token[1] in MEASURED:
            text = re.sub(r"\d+", "N", text)
        return (*token[:4], text, *token[5:])
