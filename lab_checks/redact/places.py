"""People and machines: e-mail addresses, IP addresses, and the login name in the path of a home folder."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache

from lab_checks.redact import rules
from lab_checks.redact.spans import ADDRESS, EMAIL, USER, Span

_EMAIL = re.compile(r"(?<![\w.+%-])(?P<local>[\w.+%-]{1,64})@(?P<host>(?:[\w-]{1,63}\.){1,8}(?P<last>[A-Za-z]{2,24}))(?![\w-]|\.\w)")
# `git@` is how a repository is named, and systemd's instances look like addresses.
_NO_PERSON = frozenset(("git", "hg", "svn"))
_UNITS = frozenset(("service", "socket", "timer", "target", "mount", "slice", "scope", "path", "device"))

# Patterns begin with a plain character or a set of them, which is quick to look for; what may stand before is looked at afterwards.
_IPV4 = re.compile(r"\d\d?\d?\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\w|\.\d)")
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_GROUP = re.compile(r"(?<![0-9A-Za-z_])[0-9A-Fa-f]{0,4}\Z")
_IPV6 = re.compile(r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4})?(?![0-9A-Za-z_])(?P<zone>%[\w.-]{1,32})?")
# The same on every machine; they tell nothing and explain much.
_WELL_KNOWN = frozenset(map(ipaddress.ip_address, ("127.0.0.1", "0.0.0.0", "169.254.169.254", "::", "::1")))
_VERSION = re.compile(r"(?i)(?:[=~<>!]=|[a-z]\w*[-_]|\bversion[\"']?[:= \t]{1,3}[\"']?v?)$")
_VERSION_GOES_ON = re.compile(r"[-+_][A-Za-z]")

_HOME = re.compile(r"/(?:home|Users|export/home)/(?P<user>[\w.][\w.@-]{0,63})")
_WINDOWS = re.compile(r"(?i)\b[a-z]:(?:\\+|/)Users(?:\\+|/)(?P<user>[\w.][\w.@-]{0,63})")
# The users of images: no person is called so.
_IMAGE_USERS = rules.words("paths", "image_users")


def find(text: str) -> Iterator[Span]:
    if "@" in text:
        for found in _EMAIL.finditer(text):
            if found["last"].lower() not in _UNITS and found["local"] not in _NO_PERSON:
                yield Span(*found.span(), EMAIL)
    yield from _addresses(text)
    for pattern in (_HOME, _WINDOWS):
        for found in pattern.finditer(text):
            # Not in the middle of a path or of a URL: /api/home/feed.
            inside = pattern is _HOME and re.search(r"[\w.-]$", text[max(0, found.start() - 1) : found.start()])
            if not inside and found["user"].lower() not in _IMAGE_USERS:
                yield Span(*found.span("user"), USER)


def _addresses(text: str) -> Iterator[Span]:
    for found in _IPV4.finditer(text):
        address = _parsed(found.group())
        before = text[max(0, found.start() - 24) : found.start()]
        if address is None or address in _WELL_KNOWN or found.group().startswith("255.") or re.search(r"[\w.]$", before):
            continue
        if not _VERSION.search(before) and not _VERSION_GOES_ON.match(text, found.end()):
            yield Span(*found.span(), ADDRESS)
    done = 0
    for colons in _COLONS.finditer(text):
        group = _GROUP.search(text, max(0, colons.start() - 5, done), colons.start())
        found6 = _IPV6.match(text, group.start()) if group else None
        if found6 is None or colons.start() < done:
            continue
        done = found6.end()
        written = found6.group().removesuffix(found6["zone"] or "")
        # A colon that ends the address belongs to the sentence.
        while written.endswith(":") and _parsed(written) is None:
            written = written[:-1]
        address = _parsed(written)
        if address is not None and address not in _WELL_KNOWN and re.search(r"\d", written):
            yield Span(found6.start(), found6.end() if found6["zone"] else found6.start() + len(written), ADDRESS)


@lru_cache(maxsize=4096)
def _parsed(written: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(written)
    except ValueError:
        return None
