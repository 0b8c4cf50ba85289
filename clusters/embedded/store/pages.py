"""Reads the rows of a table from a database's pages one by one, where SQLite cannot: a damaged page in the middle of its tree hides all
pages below. What is found need not belong to the table any more (a freed page keeps its rows): the caller has to know which rows do.

The format is described in https://www.sqlite.org/fileformat2.html, sections 1.6 (cells and overflow pages) and 2.1 (records).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from clusters.embedded.store.files import PAGE

_LEAF_OF_TABLE = 0x0D
_MOST_IN_PAGE = PAGE - 35
_LEAST_IN_PAGE = (PAGE - 12) * 32 // 255 - 23
# Bytes of the integers of serial types 0 (NULL) to 9 (the constants 0 and 1 are 8 and 9).
_INTEGERS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


def rows(image: bytes) -> Iterator[tuple[int, list[Any]]]:
    """(rowid, values) of each cell that can be read in each leaf page of a table; texts are bytes, as blobs are."""
    for start in range(0, len(image), PAGE):
        page = image[start : start + PAGE]
        if page[0] != _LEAF_OF_TABLE:
            continue
        (count,) = struct.unpack_from(">H", page, 3)
        for number in range(min(count, PAGE // 2 - 4)):
            try:
                (place,) = struct.unpack_from(">H", page, 8 + 2 * number)
                yield _cell(image, page, place)
            except (struct.error, IndexError, ValueError):
                continue


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """(value, place after it)."""
    value = 0
    for each in range(9):
        byte = content[place + each]
        if each == 8:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + each + 1
    raise ValueError("unreachable")


def _cell(image: bytes, page: bytes, place: int) -> tuple[int, list[Any]]:
    size, place = _varint(page, place)
    rowid, place = _varint(page, place)
    if size > len(image):
        raise ValueError("longer than the database")
    if size <= _MOST_IN_PAGE:
        return rowid, _record(page[place : place + size])
    local = _LEAST_IN_PAGE + (size - _LEAST_IN_PAGE) % (PAGE - 4)
    if local > _MOST_IN_PAGE:
        local = _LEAST_IN_PAGE
    payload = bytearray(page[place : place + local])
    (following,) = struct.unpack_from(">I", page, place + local)
    while len(payload) < size:
        start = (following - 1) * PAGE
        if not 0 < start <= len(image) - PAGE:
            raise ValueError("no such page")
        (following,) = struct.unpack_from(">I", image, start)
        payload += image[start + 4 : start + PAGE]
    return rowid, _record(bytes(payload[:size]))


def _record(payload: bytes) -> list[Any]:
    end, place = _varint(payload, 0)
    body = end
    values: list[Any] = []
    while place < end:
        kind, place = _varint(payload, place)
        size = (kind - 12) // 2 if kind >= 12 else _INTEGERS[kind]
        content = payload[body : body + size]
        if len(content) < size:
            raise ValueError("the record ends early")
        body += size
        if kind >= 12:
            values.append(content)
        elif kind == 0 or kind == 7:
            values.append(None)
        else:
            values.append(kind - 8 if kind >= 8 else int.from_bytes(content, "big", signed=True))
    return values
