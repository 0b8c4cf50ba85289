"""Keys and certificates in PEM: whole, cut short, indented, behind a log's prefix, with line ends written as `\\n`, and as base64."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from lab_checks.redact import names, values
from lab_checks.redact.spans import CERTIFICATE, KEY, SECRET, Span

_BEGIN = re.compile(r"-----BEGIN (?P<what>[A-Z0-9 ]{1,40})-----")
_ESCAPED = re.compile(r"(?:\\{1,15}[nrt]|[A-Za-z0-9+/=])+")
_LINE = re.compile(
    r"[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9+/]{1,15}={1,2}|=[A-Za-z0-9+/]{4}|(?:Version|Comment|Proc-Type|DEK-Info|Hash|Charset): ?[^\n]*"
)
_ENCODED = re.compile(r"(?<![\w+/])LS0tLS1CRUdJTi[A-Za-z0-9+/]{10,}={0,2}")
_NAMED = re.compile(r"(?P<name>[\w.-]{1,80})\\{0,15}[\"']?[ \t]*[:=][ \t]*\\{0,15}[\"']?$")


def find(text: str) -> Iterator[Span]:
    if "-----BEGIN " in text:
        end = 0
        for found in _BEGIN.finditer(text):
            kind = _kind(found["what"])
            if found.start() >= end and kind:
                end = _end(text, found)
                yield Span(found.start(), end, kind)
    for found in _ENCODED.finditer(text):
        kind = _kind(base64.b64decode(found.group()[:72][: len(found.group()[:72]) // 4 * 4], validate=False).decode("latin-1"))
        named = _NAMED.search(text, max(0, found.start() - 100), found.start())
        if kind and not (kind == CERTIFICATE and named and names.is_authority(named["name"])):
            yield Span(*found.span(), kind)


def _kind(what: str) -> str:
    if "PUBLIC" in what:
        return ""
    return CERTIFICATE if "CERTIFICATE" in what else KEY if "PRIVATE" in what else SECRET


def _end(text: str, found: re.Match[str]) -> int:
    """Where a block ends: behind its END line, or, where that is missing, behind the last line that can belong to it."""
    closes = f"-----END {found['what']}-----"
    at = found.end()
    same_line = _ESCAPED.match(text, at)
    if same_line is not None:
        at = same_line.end()
        return at + len(closes) if text.startswith(closes, at) else at
    prefix = found.start() - values.line_start(text, found.start())
    end = at
    while True:
        begin = values.line_end(text, at) + 1
        if begin > len(text):
            return end
        at = values.line_end(text, begin)
        line = text[begin:at]
        bare = next((each for each in (line.strip().strip("\"',"), line[prefix:].strip()) if _LINE.fullmatch(each) or closes in each), None)
        if bare is None:
            # A last, short line is known by the END that follows it.
            follows = text[at + 1 : values.line_end(text, at + 1)]
            if not line.strip() or closes in follows:
                continue
            return end
        if closes in bare:
            return begin + line.index(closes) + len(closes)
        end = begin + len(line.rstrip())
