"""NetworkPolicies, Namespaces and Pods go in; what they say of each isolated Pod comes out, with selectors resolved to addresses. Pure.

The form of what comes out, and who judges a connection by it: `kubelet/shim/_ai_lab/policy.py`. The rules are those of the API
(networking/v1/types.go): policies add up, a Pod is isolated in a direction as soon as one policy for it selects the Pod.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clusters.embedded.kubelet.shim._ai_lab.policy import DNS_ADDRESS, DNS_PEER
from kubeobjects import Object, selectors

_LAST_PORT = 65535
# As CoreDNS is deployed by kubeadm: what a policy names to let lookups through.
_DNS_NAMESPACE, _DNS_LABELS = "kube-system", {"k8s-app": "kube-dns"}
_DNS_PORTS = {("dns", "UDP"): 53, ("dns-tcp", "TCP"): 53, ("metrics", "TCP"): 9153}


@dataclass(frozen=True)
class Endpoint:
    """One end of a connection; `name` is its address, `ports` are the named ones: (name, protocol) → number."""

    name: str
    address: str
    namespace: str
    labels: dict[str, str]
    ports: dict[tuple[str, str], int]
    node: str


_DNS = Endpoint(DNS_PEER, DNS_ADDRESS, _DNS_NAMESPACE, _DNS_LABELS, _DNS_PORTS, "")


def endpoint(pod: Object) -> Endpoint | None:
    """The Pod as policies see it; None for one that has no address of its own: not yet, not any more, or the node's."""
    spec, status = pod["spec"], pod.get("status") or {}
    address = status.get("podIP")
    if not address or spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    metadata = pod["metadata"]
    ports = {
        (port["name"], port.get("protocol", "TCP")): port["containerPort"]
        for container in [*spec["containers"], *(each for each in spec.get("initContainers") or [] if each.get("restartPolicy"))]
        for port in container.get("ports") or []
        if port.get("name")
    }
    return Endpoint(address, address, metadata["namespace"], metadata.get("labels") or {}, ports, status.get("hostIP") or "")


class _Peers:
    """Finds who is meant by a rule's `from` or `to`."""

    def __init__(self, endpoints: Sequence[Endpoint], namespaces: Iterable[Object]):
        self._endpoints = endpoints
        self._namespaces = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces}

    def selected(self, peers: list[Object] | None, namespace: str) -> list[Endpoint]:
        """The Pods that one of the peers names: all, where none is named."""
        if not peers:
            return list(self._endpoints)
        matchers = [self._matcher(peer, namespace) for peer in peers]
        return [each for each in self._endpoints if any(matcher(each) for matcher in matchers)]

    def _matcher(self, peer: Object, namespace: str) -> Callable[[Endpoint], bool]:
        if block := peer.get("ipBlock"):
            found = _block(block)
            return lambda one: found is not None and _contains(found, int(ipaddress.IPv4Address(one.address)))
        of_pod = selectors.from_object(peer["podSelector"]) if peer.get("podSelector") is not None else None
        if peer.get("namespaceSelector") is None:
            namespaces = {namespace}
        else:
            of_namespace = selectors.from_object(peer["namespaceSelector"])
            namespaces = {name for name, labels in self._namespaces.items() if of_namespace(labels)}
        return lambda one: one.namespace in namespaces and (of_pod is None or of_pod(one.labels))


def _block(block: Object) -> tuple[int, int, list[tuple[int, int]]] | None:
    """(first, last, exceptions) of an ipBlock, addresses as numbers; None for one of IPv6, which nothing here has."""
    whole = ipaddress.ip_network(block["cidr"], strict=False)
    if whole.version != 4:
        return None
    parts = [ipaddress.ip_network(each, strict=False) for each in block.get("except") or []]
    exceptions = [(int(each.network_address), int(each.broadcast_address)) for each in parts]
    return int(whole.network_address), int(whole.broadcast_address), exceptions


def _contains(block: tuple[int, int, list[tuple[int, int]]], address: int) -> bool:
    first, last, exceptions = block
    return first <= address <= last and not any(low <= address <= high for low, high in exceptions)


def _numbered(ports: list[Object], named: dict[tuple[str, str], int]) -> list[list[Any]]:
    """[protocol, first, last] of each port; a name that the receiver does not have stands for none."""
    found: list[list[Any]] = []
    for each in ports:
        protocol, port = each.get("protocol") or "TCP", each.get("port")
        if port is None:
            found.append([protocol.lower(), 0, _LAST_PORT])
        elif isinstance(port, int):
            found.append([protocol.lower(), port, each.get("endPort") or port])
        elif (port, protocol) in named:
            found.append([protocol.lower(), named[port, protocol], named[port, protocol]])
    return found


def _rule(endpoints: Iterable[Endpoint], peers: list[Object] | None, ports: list[list[Any]] | None) -> Object:
    if not peers:
        return {"peers": None, "ports": ports}
    blocks = [found for peer in peers if "ipBlock" in peer and (found := _block(peer["ipBlock"]))]
    return {"peers": {"pods": sorted(each.name for each in endpoints), "blocks": blocks}, "ports": ports}


def _ingress(rules: list[Object], namespace: str, known: _Peers, receivers: Iterable[Endpoint]) -> dict[str, list[Object]]:
    """The rules for each receiver, by its name: what a port's name means depends on who is called."""
    found: dict[str, list[Object]] = {each.name: [] for each in receivers}
    for rule in rules:
        ports, peers = rule.get("ports"), rule.get("from")
        senders = known.selected(peers, namespace)
        for receiver in receivers:
            numbered = _numbered(ports, receiver.ports) if ports else None
            if numbered != []:
                found[receiver.name].append(_rule(senders, peers, numbered))
    return found


def _egress(rules: list[Object], namespace: str, known: _Peers) -> list[Object]:
    found = []
    for rule in rules:
        ports, peers = rule.get("ports"), rule.get("to")
        receivers = known.selected(peers, namespace)
        if not ports:
            found.append(_rule(receivers, peers, None))
            continue
        if plain := _numbered([each for each in ports if not isinstance(each.get("port"), str)], {}):
            found.append(_rule(receivers, peers, plain))
        if by_name := [each for each in ports if isinstance(each.get("port"), str)]:
            for receiver in receivers:
                if numbered := _numbered(by_name, receiver.ports):
                    found.append({"peers": {"pods": [receiver.name], "blocks": []}, "ports": numbered})
    return found


def isolation(policies: Iterable[Object], namespaces: Iterable[Object], pods: Iterable[Object]) -> dict[str, Object]:
    """Address → `node`, `ingress`, `egress` for each Pod that a policy selects."""
    endpoints = [found for pod in pods if (found := endpoint(pod))]
    known = _Peers([*endpoints, _DNS], namespaces)
    compiled: dict[str, Object] = {}
    for policy in sorted(policies, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"])):
        namespace, spec = policy["metadata"]["namespace"], policy["spec"]
        chosen = selectors.from_object(spec.get("podSelector") or {})
        isolated = [each for each in endpoints if each.namespace == namespace and chosen(each.labels)]
        types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        ingress = _ingress(spec.get("ingress") or [], namespace, known, isolated) if "Ingress" in types else {}
        egress = _egress(spec.get("egress") or [], namespace, known) if "Egress" in types else None
        for one in isolated:
            entry = compiled.setdefault(one.name, {"node": one.node})
            if one.name in ingress:
                entry["ingress"] = entry.get("ingress", []) + ingress[one.name]
            if egress is not None:
                entry["egress"] = entry.get("egress", []) + egress
    return compiled
