"""Services, EndpointSlices and Nodes go in; the table comes out that every Pod routes and resolves names by. Pure.

Rules follow pkg/proxy (iptables mode) and CoreDNS' kubernetes plugin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from kubeobjects import Object

_SERVICE_LABEL = "kubernetes.io/service-name"


def _slices_by_service(slices: Iterable[Object]) -> dict[tuple[str, str], list[Object]]:
    found: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for each in slices:
        metadata = each["metadata"]
        name = (metadata.get("labels") or {}).get(_SERVICE_LABEL)
        if name and each.get("addressType", "IPv4") == "IPv4":
            found[metadata["namespace"], name].append(each)
    return found


def _is_ready(endpoint: Object) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _serves_until_gone(endpoint: Object) -> bool:
    conditions = endpoint.get("conditions") or {}
    return bool(conditions.get("serving") and conditions.get("terminating"))


def _port_number(slice_: Object, service_port: Object) -> int | None:
    """The slice's port that stands for a Service's port: they share name and protocol."""
    for port in slice_.get("ports") or []:
        same = (port.get("name") or "") == (service_port.get("name") or "")
        if same and port.get("protocol", "TCP") == service_port.get("protocol", "TCP"):
            number: int | None = port.get("port")
            return number
    return None


def _targets(slices: list[Object], service_port: Object) -> list[str]:
    """`ip:port` of the ready endpoints; where none is ready, of those that still serve while they terminate."""
    ready: list[str] = []
    leaving: list[str] = []
    for slice_ in slices:
        number = _port_number(slice_, service_port)
        if number is None:
            continue
        for endpoint in slice_.get("endpoints") or []:
            kind = ready if _is_ready(endpoint) else leaving if _serves_until_gone(endpoint) else None
            if kind is not None:
                kind.append(f"{endpoint['addresses'][0]}:{number}")
    return sorted(set(ready or leaving))


def _service_addresses(service: Object) -> list[str]:
    spec = service["spec"]
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    found = [*(spec.get("clusterIPs") or [spec.get("clusterIP") or ""]), *(spec.get("externalIPs") or [])]
    found += [each["ip"] for each in ingress if each.get("ip")]
    return [each for each in found if each and each != "None" and ":" not in each]


def _headless_names(key: str, slices: list[Object]) -> dict[str, list[str]]:
    """The Service's own name leads to all of its ready endpoints, and each endpoint with a hostname has a name of its own."""
    names: dict[str, list[str]] = defaultdict(list)
    for slice_ in slices:
        for endpoint in slice_.get("endpoints") or []:
            if _is_ready(endpoint):
                names[key].append(endpoint["addresses"][0])
                if endpoint.get("hostname"):
                    names[f"{endpoint['hostname']}.{key}"].append(endpoint["addresses"][0])
    return {name: sorted(set(addresses)) for name, addresses in names.items()}


def build(services: Iterable[Object], slices: Iterable[Object], nodes: Iterable[Object]) -> Object:
    """`services` (address → `tcp-80` → where to), `nodePorts`, `nodes`, `masters` (the API server's endpoints), `names` and `aliases`."""
    by_service = _slices_by_service(slices)
    table: Object = {"services": {}, "nodePorts": {}, "nodes": {}, "masters": [], "names": {}, "aliases": {}}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        key = f"{metadata['name']}.{metadata['namespace']}"
        own = by_service[metadata["namespace"], metadata["name"]]
        if spec.get("type") == "ExternalName":
            table["aliases"][key] = spec.get("externalName", "")
            continue
        if (spec.get("clusterIP") or "None") == "None":
            table["names"] |= _headless_names(key, own)
            continue
        table["names"][key] = [spec["clusterIP"]]
        for port in spec.get("ports") or []:
            rule: Object = {"to": _targets(own, port)} | ({"sticky": True} if spec.get("sessionAffinity") == "ClientIP" else {})
            name = f"{port.get('protocol', 'TCP').lower()}-{port['port']}"
            for address in _service_addresses(service):
                table["services"].setdefault(address, {})[name] = rule
            if port.get("nodePort"):
                table["nodePorts"][f"{port.get('protocol', 'TCP').lower()}-{port['nodePort']}"] = rule
            if key == "kubernetes.default":
                table["masters"] += rule["to"]
    for node in nodes:
        for address in (node.get("status") or {}).get("addresses") or []:
            if address["type"] == "InternalIP":
                table["nodes"][node["metadata"]["name"]] = address["address"]
    return table
