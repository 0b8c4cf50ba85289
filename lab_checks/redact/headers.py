"""Headers that authorise, and cookies: as a client prints them, in JSON, in command lines and in source code."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from lab_checks.redact import values
from lab_checks.redact.spans import COOKIE, CREDENTIALS, TOKEN, Span

_HEADER = re.compile(r"(?i)(?<![\w-])(?P<name>(?:proxy-)?authorization|(?:set-)?cookie2?)(?P<close>\\{0,15}[\"'])?[ \t]*[:=,][ \t]*")
# A scheme that is known, or any one word before the last one.
_SCHEME = re.compile(
    r"(?i)(?P<scheme>bearer|basic|token|digest|negotiate|ntlm|apikey|api-key|key|hmac|hawk|aws4-[\w-]+"
    r"|[a-z][\w-]{1,30}(?=[ \t]+\S+[ \t]*(?:$|[\"'\\])))(?:[ \t]+|%20|:[ \t]*)"
)
_BASIC = re.compile(r"(?i)\bbasic[ \t]+(?P<hide>[A-Za-z0-9+/]{8,}={0,2})(?![\w+/=])")


def find(text: str) -> Iterator[Span]:
    done = 0
    for found in _HEADER.finditer(text):
        if found.start() < done:
            continue
        span = _value(text, found)
        if span is not None and not values.innocent(text[span[0] : span[1]]):
            done = span[1]
            yield Span(*span, COOKIE if "cookie" in found["name"].lower() else TOKEN)
    for found in _BASIC.finditer(text):
        if b":" in _decoded(found["hide"]):
            yield Span(*found.span("hide"), CREDENTIALS)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def _value(text: str, found: re.Match[str]) -> tuple[int, int] | None:
    at = found.end()
    span = values.quoted(text, at)
    begin = values.line_start(text, found.start())
    before = text[max(begin, found.start() - 200) : found.start()]
    around = re.search(r"\\{0,15}[\"']$", before)
    in_sentence = False
    if span is None and around and not found["close"]:
        # The whole header is quoted: -H 'Authorization: token x'.
        span = at, values.closing(text, at, around.group(), values.line_end(text, at))
    elif span is None:
        span = values.rest_of_line(text, at)
        in_sentence = bool(re.search(r"\w[ \t]+$", before))
    if "cookie" in found["name"].lower():
        return None if in_sentence and "=" not in text[slice(*span)] else span
    scheme = _SCHEME.match(text, span[0], span[1])
    if scheme is None:
        return None if in_sentence and values.prose(text[slice(*span)]) else span
    if in_sentence and scheme["scheme"].lower() in ("bearer", "basic", "token", "apikey"):
        return values.word(text, scheme.end())
    return scheme.end(), span[1]
