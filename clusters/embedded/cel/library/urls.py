"""Addresses of the web: `url("https://example.com:80/a?b=c").getHost()`."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from clusters.embedded.cel.functions import function, method
from clusters.embedded.cel.types import value


def _parse(text: str) -> SplitResult:
    """An absolute address, or an absolute path (net/url ParseRequestURI). Raises ValueError."""
    found = urlsplit(text)
    # Reading the port is what checks it.
    if not (found.scheme or text.startswith("/")) or any(ord(each) < 32 or ord(each) == 127 for each in text) or (found.port or 0) < 0:
        raise ValueError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    return found


@function("url", "string", returns="URL")
def read(text: str) -> Any:
    _parse(text)
    return value("URL", text)


@function("isURL", "string", returns="bool")
def is_url(text: str) -> bool:
    try:
        _parse(text)
    except ValueError:
        return False
    return True


@method("getScheme", "URL", returns="string")
def scheme(one: Any) -> str:
    return urlsplit(one.text).scheme


@method("getHost", "URL", returns="string")
def host(one: Any) -> str:
    return urlsplit(one.text).netloc.rpartition("@")[2]


@method("getHostname", "URL", returns="string")
def hostname(one: Any) -> str:
    return urlsplit(one.text).hostname or ""


@method("getPort", "URL", returns="string")
def port(one: Any) -> str:
    found = urlsplit(one.text).port
    return "" if found is None else str(found)


@method("getEscapedPath", "URL", returns="string")
def path(one: Any) -> str:
    return quote(urlsplit(one.text).path, safe="/%:@!$&'()*+,;=~-._")


@method("getQuery", "URL", returns="map(string, list(string))")
def query(one: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(one.text).query, keep_blank_values=True)
