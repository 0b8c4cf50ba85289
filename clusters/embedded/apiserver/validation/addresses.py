"""IP addresses and networks in the strict form that 1.36 asks for (k8s.io/apimachinery/pkg/util/validation/ip.go).

Every function takes a value and returns what is wrong with it, as those of `content` do.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_interface, ip_network

_LINK_LOCAL_MULTICAST = {4: ip_network("224.0.0.0/24"), 6: ip_network("ff02::/16")}


def ip(value: str) -> list[str]:
    """An address of any family, in the strict form that 1.36 asks for (util/validation/ip.go, parseIP)."""
    try:
        address = ip_address(_without_zeros(value))
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if value != _without_zeros(value):
        return ["must not have leading 0s"]
    return ["must not be an IPv4-mapped IPv6 address"] if getattr(address, "ipv4_mapped", None) else []


def is_cidr(value: str) -> bool:
    """Whether Go's ParseCIDRSloppy reads it."""
    address, slash, length = _without_zeros(value).partition("/")
    try:
        network = ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        return False
    return bool(slash) and length.isdecimal() and int(length) <= network.max_prefixlen


def cidr(value: str) -> list[str]:
    """A network in the strict form that 1.36 asks for (util/validation/ip.go, parseCIDR)."""
    if not is_cidr(value):
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    if value != _without_zeros(value):
        return ["must not have leading 0s in IP or prefix length"]
    interface = ip_interface(value)
    if getattr(interface.ip, "ipv4_mapped", None):
        return ["must not have an IPv4-mapped IPv6 address"]
    return [] if interface.ip == interface.network.network_address else ["must not have bits set beyond the prefix length"]


def _without_zeros(value: str) -> str:
    """Numbers of an IPv4 address without their leading zeros, which Go's old parser overlooked."""
    return value if ":" in value else re.sub(r"(?<![0-9])0+(?=[0-9])", "", value)


def endpoint_ip(value: str) -> list[str]:
    """What an address must not be to be an endpoint's (core/validation, ValidateEndpointIP)."""
    try:
        address = ip_address(value)
    except ValueError:
        return ["must be a valid IP address"]
    if address.is_unspecified:
        return [f"may not be unspecified ({value})"]
    if address.is_loopback:
        return ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]
    if address.is_link_local:
        return ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]
    if address in _LINK_LOCAL_MULTICAST[address.version]:
        return ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]
    return []
