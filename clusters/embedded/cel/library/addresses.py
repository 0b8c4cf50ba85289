"""IP addresses and networks: `ip("10.0.0.1").family()`, `cidr("10.0.0.0/8").containsIP("10.1.2.3")`."""

from __future__ import annotations

import ipaddress
from typing import Any

from clusters.embedded.cel.functions import function, method
from clusters.embedded.cel.types import value

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _ip(text: str) -> _Address:
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped or found.scope_id):
        raise ValueError(f"IPv4-mapped IPv6 addresses and zones are not allowed: {text}")
    return found


@function("ip", "string", returns="IP")
def read_ip(text: str) -> Any:
    _ip(text)
    return value("IP", text)


@function("isIP", "string", returns="bool")
def is_ip(text: str) -> bool:
    try:
        _ip(text)
    except ValueError:
        return False
    return True


@function("ip.isCanonical", "string", returns="bool")
def is_canonical(text: str) -> bool:
    return str(_ip(text)) == text


@method("family", "IP", returns="int")
def family(one: Any) -> int:
    return _ip(one.text).version


@method("isUnspecified", "IP", returns="bool")
def is_unspecified(one: Any) -> bool:
    return _ip(one.text).is_unspecified


@method("isLoopback", "IP", returns="bool")
def is_loopback(one: Any) -> bool:
    return _ip(one.text).is_loopback


@method("isLinkLocalMulticast", "IP", returns="bool")
def is_link_local_multicast(one: Any) -> bool:
    found = _ip(one.text)
    network = "224.0.0.0/24" if found.version == 4 else "ff02::/16"
    return found in ipaddress.ip_network(network)


@method("isLinkLocalUnicast", "IP", returns="bool")
def is_link_local_unicast(one: Any) -> bool:
    return _ip(one.text).is_link_local


@method("isGlobalUnicast", "IP", returns="bool")
def is_global_unicast(one: Any) -> bool:
    found = _ip(one.text)
    special = found.is_unspecified or found.is_loopback or found.is_multicast or found.is_link_local
    return not special and str(found) != "255.255.255.255"


def _network(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    if "/" not in text:
        raise ValueError(f"network address parse error during conversion from string: netip.ParsePrefix(\"{text}\"): no '/'")
    return ipaddress.ip_interface(text)


@function("cidr", "string", returns="CIDR")
def read_cidr(text: str) -> Any:
    _network(text)
    return value("CIDR", text)


@function("isCIDR", "string", returns="bool")
def is_cidr(text: str) -> bool:
    try:
        _network(text)
    except ValueError:
        return False
    return True


@method("containsIP", "CIDR", "string", returns="bool")
def contains_ip_text(one: Any, other: str) -> bool:
    return _ip(other) in _network(one.text).network


@method("containsIP", "CIDR", "IP", returns="bool")
def contains_ip(one: Any, other: Any) -> bool:
    return contains_ip_text(one, other.text)


@method("containsCIDR", "CIDR", "string", returns="bool")
def contains_cidr_text(one: Any, other: str) -> bool:
    outer, inner = _network(one.text).network, _network(other).network
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


@method("containsCIDR", "CIDR", "CIDR", returns="bool")
def contains_cidr(one: Any, other: Any) -> bool:
    return contains_cidr_text(one, other.text)


@method("ip", "CIDR", returns="IP")
def cidr_ip(one: Any) -> Any:
    return value("IP", str(_network(one.text).ip))


@method("prefixLength", "CIDR", returns="int")
def prefix_length(one: Any) -> int:
    return _network(one.text).network.prefixlen


@method("masked", "CIDR", returns="CIDR")
def masked(one: Any) -> Any:
    return value("CIDR", str(_network(one.text).network))
