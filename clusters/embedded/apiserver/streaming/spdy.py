"""SPDY/3.1 frames, as far as Kubernetes uses them. Pure: bytes flow in, frames come out, and the other way round.

Streams are flow-controlled by what carries them: neither client-go nor this side looks at window sizes.
The layout of frames and the dictionary that headers are compressed with are those of the SPDY protocol, draft 3.1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL = 1, 2, 3, 5

_CONTROL = 0x8003
_LARGEST_DATA = 0xFFFFFF
# What Kubernetes sends takes a few hundred bytes; what is compressed may stand for gigabytes.
_LARGEST_HEADERS = 64 * 1024
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization "
    "cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range "
    "content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified "
    "location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding "
    "upgrade user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information"
    "204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error"
    "501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, "
    "Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = [word.replace("_", " ").encode() for word in _WORDS.split(" ")]
    return b"".join(struct.pack("!I", len(word)) + word for word in words) + _TAIL.encode()


class SpdyError(Exception):
    """Bytes that are no SPDY/3.1; the connection cannot go on."""


@dataclass(frozen=True)
class Frame:
    """A control frame (`type` is one of the constants) or, with type 0, data. `code` is a PING's number or a RST_STREAM's status."""

    type: int
    stream: int = 0
    fin: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    code: int = 0


class Framer:
    """One side of a connection. Header compression keeps its state: frames must be sent in the order in which they were made."""

    def __init__(self) -> None:
        dictionary = _dictionary()
        self._inflate = zlib.decompressobj(zdict=dictionary)
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, 15, 8, zlib.Z_DEFAULT_STRATEGY, dictionary)
        self._buffer = bytearray()

    # Reading

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with `data`. Raises SpdyError."""
        self._buffer += data
        while len(self._buffer) >= 8:
            word, length = struct.unpack_from("!II", self._buffer)
            flags, length = length >> 24, length & 0xFFFFFF
            if len(self._buffer) < 8 + length:
                return
            payload = bytes(memoryview(self._buffer)[8 : 8 + length])
            del self._buffer[: 8 + length]
            if word & 0x80000000:
                if word >> 16 != _CONTROL:
                    raise SpdyError(f"unsupported version {(word >> 16) & 0x7FFF}")
                yield self._control(word & 0xFFFF, flags, payload)
            else:
                yield Frame(0, word & 0x7FFFFFFF, bool(flags & FIN), data=payload)

    def _control(self, kind: int, flags: int, payload: bytes) -> Frame:
        fin = bool(flags & FIN)
        try:
            if kind in (SYN_STREAM, SYN_REPLY, HEADERS):
                stream = struct.unpack_from("!I", payload)[0] & 0x7FFFFFFF
                return Frame(kind, stream, fin, self._headers(payload[10 if kind == SYN_STREAM else 4 :]))
            if kind == RST_STREAM:
                stream, code = struct.unpack("!II", payload)
                return Frame(kind, stream & 0x7FFFFFFF, code=code)
            if kind == PING:
                return Frame(kind, code=struct.unpack("!I", payload)[0])
        except struct.error:
            raise SpdyError("frame too short") from None
        return Frame(kind, data=payload)

    def _headers(self, compressed: bytes) -> dict[str, str]:
        try:
            raw = self._inflate.decompress(compressed, _LARGEST_HEADERS)
            if self._inflate.unconsumed_tail:
                raise SpdyError("headers too long")
            position, found = 4, {}
            for _ in range(struct.unpack_from("!I", raw)[0]):
                pair = []
                for _ in range(2):
                    length = struct.unpack_from("!I", raw, position)[0]
                    pair.append(raw[position + 4 : position + 4 + length].decode())
                    position += 4 + length
                found[pair[0].lower()] = pair[1].partition("\0")[0]
        except (zlib.error, struct.error, UnicodeDecodeError):
            raise SpdyError("corrupt headers") from None
        return found

    # Writing

    def syn_stream(self, stream: int, headers: dict[str, str], *, fin: bool = False) -> bytes:
        return self._frame(SYN_STREAM, FIN if fin else 0, struct.pack("!IIH", stream, 0, 0) + self._compressed(headers))

    def syn_reply(self, stream: int, headers: dict[str, str]) -> bytes:
        return self._frame(SYN_REPLY, 0, struct.pack("!I", stream) + self._compressed(headers))

    def _compressed(self, headers: dict[str, str]) -> bytes:
        raw = struct.pack("!I", len(headers))
        for name, value in headers.items():
            for text in (name.encode(), value.encode()):
                raw += struct.pack("!I", len(text)) + text
        return self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    @staticmethod
    def _frame(kind: int, flags: int, payload: bytes) -> bytes:
        return struct.pack("!HHI", _CONTROL, kind, flags << 24 | len(payload)) + payload

    @classmethod
    def data(cls, stream: int, data: bytes = b"", *, fin: bool = False) -> bytes:
        assert len(data) <= _LARGEST_DATA
        return struct.pack("!II", stream, (FIN if fin else 0) << 24 | len(data)) + data

    @classmethod
    def rst_stream(cls, stream: int, code: int) -> bytes:
        return cls._frame(RST_STREAM, 0, struct.pack("!II", stream, code))

    @classmethod
    def ping(cls, number: int) -> bytes:
        return cls._frame(PING, 0, struct.pack("!I", number))

    @classmethod
    def goaway(cls, last_stream: int) -> bytes:
        return cls._frame(GOAWAY, 0, struct.pack("!II", last_stream, 0))
