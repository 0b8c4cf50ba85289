"""What Go's encoding/json says of text that is no JSON (its scanner.go): bytes flow in, the words of the complaint out."""

from __future__ import annotations

from typing import Any

_SPACE = b" \t\r\n"
_DIGITS = frozenset(b"0123456789")
_HEX = _DIGITS | frozenset(b"abcdefABCDEF")
_ESCAPED = frozenset(b'bfnrt\\/"')
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_SHORT = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\v": r"\v", "\n": r"\n", "\r": r"\r", "\t": r"\t", "'": r"\'", "\\": r"\\"}
_END = "unexpected end of JSON input"
_VALUE, _VALUE_OR_END, _KEY, _KEY_OR_END, _COLON, _AFTER = range(6)


class _Unreadable(Exception):
    pass


def complaint(text: bytes) -> str:
    """Why `text` is not one JSON value; "" where it is one."""
    try:
        _Scanner(text).scan()
    except _Unreadable as error:
        return str(error)
    return ""


def go_type(value: Any) -> str:
    """What encoding/json calls a value where it cannot be what is wanted."""
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "number"


def _quoted(byte: int) -> str:
    """A byte as Go shows it, each as a character of its own (quoteChar)."""
    character = chr(byte)
    if character in _SHORT:
        return f"'{_SHORT[character]}'"
    if character.isprintable():
        return f"'{character}'"
    return f"'\\x{byte:02x}'" if byte < 0x80 else f"'\\u{byte:04x}'"


class _Scanner:
    """Reads on until a character cannot follow; `_open` holds the objects and lists around it."""

    def __init__(self, text: bytes):
        self._text = text
        self._at = 0
        self._open: list[int] = []

    def scan(self) -> None:
        expected = _VALUE
        while (byte := self._skip_space()) is not None:
            expected = self._token(byte, expected)
        if expected != _AFTER or self._open:
            raise _Unreadable(_END)

    def _skip_space(self) -> int | None:
        while self._at < len(self._text):
            byte = self._text[self._at]
            if byte not in _SPACE:
                self._at += 1
                return byte
            self._at += 1
        return None

    def _next(self) -> int:
        if self._at >= len(self._text):
            raise _Unreadable(_END)
        self._at += 1
        return self._text[self._at - 1]

    def _token(self, byte: int, expected: int) -> int:
        """Reads what `byte` begins; what may come next flows out."""
        if expected == _AFTER:
            return self._after(byte)
        if expected == _COLON:
            if byte != ord(":"):
                raise _refused(byte, "after object key")
            return _VALUE
        if (expected, byte) in ((_VALUE_OR_END, ord("]")), (_KEY_OR_END, ord("}"))):
            self._open.pop()
            return _AFTER
        if expected in (_KEY, _KEY_OR_END):
            if byte != ord('"'):
                raise _refused(byte, "looking for beginning of object key string")
            self._string()
            return _COLON
        return self._value(byte)

    def _after(self, byte: int) -> int:
        if not self._open:
            raise _refused(byte, "after top-level value")
        in_object = self._open[-1] == ord("{")
        if byte == ord(","):
            return _KEY if in_object else _VALUE
        if byte != ord("}" if in_object else "]"):
            raise _refused(byte, "after object key:value pair" if in_object else "after array element")
        self._open.pop()
        return _AFTER

    def _value(self, byte: int) -> int:
        if byte in b"{[":
            self._open.append(byte)
            return _KEY_OR_END if byte == ord("{") else _VALUE_OR_END
        if byte == ord('"'):
            self._string()
        elif byte in _LITERALS:
            self._literal(_LITERALS[byte])
        elif byte == ord("-") or byte in _DIGITS:
            self._number(byte)
        else:
            raise _refused(byte, "looking for beginning of value")
        return _AFTER

    def _string(self) -> None:
        while (byte := self._next()) != ord('"'):
            if byte < 0x20:
                raise _refused(byte, "in string literal")
            if byte == ord("\\"):
                self._escape(self._next())

    def _escape(self, byte: int) -> None:
        if byte == ord("u"):
            for _ in range(4):
                digit = self._next()
                if digit not in _HEX:
                    raise _refused(digit, "in \\u hexadecimal character escape")
        elif byte not in _ESCAPED:
            raise _refused(byte, "in string escape code")

    def _literal(self, word: bytes) -> None:
        for wanted in word[1:]:
            byte = self._next()
            if byte != wanted:
                raise _refused(byte, f"in literal {word.decode()} (expecting {_quoted(wanted)})")

    def _number(self, byte: int) -> None:
        if byte == ord("-"):
            byte = self._digit("in numeric literal")
        if byte != ord("0"):
            self._digits()
        if self._peek(b"."):
            self._digit("after decimal point in numeric literal")
            self._digits()
        if self._peek(b"eE"):
            self._peek(b"+-")
            self._digit("in exponent of numeric literal")
            self._digits()

    def _digit(self, where: str) -> int:
        byte = self._next()
        if byte not in _DIGITS:
            raise _refused(byte, where)
        return byte

    def _digits(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _DIGITS:
            self._at += 1

    def _peek(self, wanted: bytes) -> bool:
        """Takes the next byte where it is one of these."""
        found = self._at < len(self._text) and self._text[self._at] in wanted
        self._at += found
        return found


def _refused(byte: int, where: str) -> _Unreadable:
    return _Unreadable(f"invalid character {_quoted(byte)} {where}")
