"""Validation of Endpoints and EndpointSlices (core/validation, discovery/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import addresses, content, field, metadata, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MOST_ADDRESSES = 100


def endpoints(obj: Object) -> Errors:
    found: Errors = []
    for index, subset in enumerate(obj.get("subsets") or []):
        path = Path("subsets")[index]
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(field.required(path, "must specify `addresses` or `notReadyAddresses`"))
        for name in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(name) or []):
                found += _address(address, path.child(name)[number])
        ports = subset.get("ports") or []
        for number, port in enumerate(ports):
            found += _port(port, path.child("ports")[number], named=len(ports) > 1)
    return found


def _address(address: Object, path: Path) -> Errors:
    text = address.get("ip", "")
    found = values.ip(text, path.child("ip"))
    if address.get("hostname"):
        found += values.all_of(path.child("hostname"), address["hostname"], content.dns_label(address["hostname"]))
    if address.get("nodeName") is not None:
        found += values.all_of(path.child("nodeName"), address["nodeName"], content.dns_subdomain(address["nodeName"]))
    return found + values.all_of(path.child("ip"), text, addresses.endpoint_ip(text))


def _port(port: Object, path: Path, *, named: bool) -> Errors:
    name = port.get("name", "")
    found: Errors = []
    if name:
        found += values.all_of(path.child("name"), name, content.dns_label(name))
    elif named:
        found.append(field.required(path.child("name")))
    found += values.port_number(port.get("port", 0), path.child("port"))
    return found + values.choice(port.get("protocol"), path.child("protocol"), _PROTOCOLS) + _app_protocol(port, path)


def _app_protocol(port: Object, path: Path) -> Errors:
    text = port.get("appProtocol")
    return values.all_of(path.child("appProtocol"), text, content.qualified_name(text)) if text is not None else []


def endpoint_slice(obj: Object) -> Errors:
    kind = obj.get("addressType", "")
    found = values.choice(kind, Path("addressType"), _ADDRESS_TYPES)
    names: list[str] = []
    for index, port in enumerate(obj.get("ports") or []):
        path, name = Path("ports")[index], port.get("name") or ""
        if name:
            found += values.all_of(path.child("name"), name, content.dns_label(name))
        if name in names:
            found.append(field.duplicate(path.child("name"), name))
        names.append(name)
        protocol = port.get("protocol")
        if protocol is None:
            found.append(field.required(path.child("protocol")))
        elif protocol not in _PROTOCOLS:
            found.append(field.not_supported(path.child("protocol"), protocol, _PROTOCOLS))
        found += _app_protocol(port, path)
    for index, endpoint in enumerate(obj.get("endpoints") or []):
        found += _endpoint(endpoint, kind, Path("endpoints")[index])
    return found


def _endpoint(endpoint: Object, kind: str, path: Path) -> Errors:
    addresses, where = endpoint.get("addresses") or [], path.child("addresses")
    found: Errors = []
    if not addresses:
        found.append(field.required(where, "must contain at least 1 address"))
    elif len(addresses) > _MOST_ADDRESSES:
        found.append(field.too_many(where, len(addresses), _MOST_ADDRESSES))
    for number, address in enumerate(addresses):
        found += _slice_address(address, kind, where, number)
    if endpoint.get("nodeName") is not None:
        found += values.all_of(path.child("nodeName"), endpoint["nodeName"], content.dns_subdomain(endpoint["nodeName"]))
    found += metadata.labels(endpoint.get("deprecatedTopology"), path.child("deprecatedTopology"))
    if endpoint.get("hostname") is not None:
        found += values.all_of(path.child("hostname"), endpoint["hostname"], content.dns_label(endpoint["hostname"]))
    return found


def _slice_address(address: str, kind: str, path: Path, number: int) -> Errors:
    if kind not in ("IPv4", "IPv6"):
        return []
    found = values.ip(address, path[number])
    if found:
        return found
    # The original names the list and not the item here.
    if (":" in address) is (kind == "IPv4"):
        found.append(field.invalid(path, address, f"must be an {kind} address"))
    return found + values.all_of(path[number], address, addresses.endpoint_ip(address))


def endpoint_slice_update(new: Object, old: Object) -> Errors:
    return metadata.immutable(new.get("addressType"), old.get("addressType"), Path("addressType"))
