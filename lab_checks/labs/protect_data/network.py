"""What NetworkPolicies let through, for Pods that are here and for those that may come tomorrow. Objects in, yes or no out.

The rules are the API's (https://kubernetes.io/docs/concepts/services-networking/network-policies/): policies add up, and a Pod is isolated in a
direction as soon as one policy for it selects the Pod.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from kubeobjects import Object, selectors

NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class End:
    """One end of a connection. `namespace` holds the namespace's labels, `address` is empty for a Pod that is not there yet."""

    labels: dict[str, str]
    namespace: dict[str, str]
    address: str = ""
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return self.namespace.get(NAME_LABEL, "")


def in_namespace(name: str, labels: dict[str, str], namespaces: Sequence[Object] = (), address: str = "") -> End:
    """A Pod with these labels in a namespace; one that is not among `namespaces` is new and has only the label with its name."""
    found = next((each["metadata"].get("labels") or {} for each in namespaces if each["metadata"]["name"] == name), {})
    return End(labels, {**found, NAME_LABEL: name}, address)


def of_pod(pod: Object, namespaces: Sequence[Object]) -> End:
    named = {
        port["name"]: port["containerPort"]
        for each in pod["spec"]["containers"]
        for port in each.get("ports") or []
        if port.get("name")
    }  # fmt: skip
    end = in_namespace(pod["metadata"]["namespace"], pod["metadata"].get("labels") or {}, namespaces)
    return End(end.labels, end.namespace, pod.get("status", {}).get("podIP", ""), named)


# The cluster's resolver, as kubeadm labels it.
RESOLVER = End({"k8s-app": "kube-dns"}, {NAME_LABEL: "kube-system"}, ports={"dns": 53, "dns-tcp": 53, "metrics": 9153})


def isolating(policies: Sequence[Object], end: End, direction: str) -> list[Object]:
    """The policies that isolate a Pod in a direction (Ingress or Egress)."""
    return [
        each
        for each in policies
        if each["metadata"]["namespace"] == end.where
        and direction in _types(each["spec"])
        and selectors.from_object(each["spec"].get("podSelector") or {})(end.labels)
    ]


def _types(spec: Object) -> list[str]:
    return spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def lets_in(policies: Sequence[Object], caller: End, called: End, port: int, protocol: str = "TCP") -> bool:
    """Whether what is called accepts the connection; what the caller's own policies say of it is another question."""
    found = isolating(policies, called, "Ingress")
    return not found or any(_allows(each, "ingress", "from", caller, called, port, protocol) for each in found)


def lets_out(policies: Sequence[Object], caller: End, called: End, port: int, protocol: str = "TCP") -> bool:
    """Whether the caller may open the connection, by its own policies."""
    found = isolating(policies, caller, "Egress")
    return not found or any(_allows(each, "egress", "to", called, called, port, protocol) for each in found)


def ports(policies: Sequence[Object]) -> list[tuple[int, str]]:
    """(port, protocol) of each number that a rule of these policies names; of a range, both ends."""
    found = {
        (int(number), each.get("protocol") or "TCP")
        for each in _parts(policies, "ports")
        for number in (each.get("port"), each.get("endPort"))
        if isinstance(number, int)
    }
    return sorted(found)


def blocks(policies: Sequence[Object], direction: str) -> list[str]:
    """Each ipBlock's CIDR in the rules of one direction (Ingress or Egress)."""
    return [each["ipBlock"]["cidr"] for each in _parts(policies, "from" if direction == "Ingress" else "to") if each.get("ipBlock")]


def _parts(policies: Sequence[Object], field_name: str) -> list[Object]:
    rules = [rule for each in policies for way in ("ingress", "egress") for rule in each["spec"].get(way) or []]
    return [each for rule in rules for each in rule.get(field_name) or []]


def _allows(policy: Object, rules: str, peers: str, other: End, called: End, port: int, protocol: str) -> bool:
    return any(
        _names_port(rule.get("ports"), called, port, protocol) and _names_peer(rule.get(peers), policy["metadata"]["namespace"], other)
        for rule in policy["spec"].get(rules) or []
    )


def _names_port(ports: list[Object] | None, called: End, port: int, protocol: str) -> bool:
    if not ports:
        return True
    for each in ports:
        wanted = each.get("port")
        if (each.get("protocol") or "TCP") != protocol:
            continue
        if wanted is None or called.ports.get(str(wanted)) == port:
            return True
        if isinstance(wanted, int) and wanted <= port <= (each.get("endPort") or wanted):
            return True
    return False


def _names_peer(peers: list[Object] | None, namespace: str, other: End) -> bool:
    return not peers or any(_is(each, namespace, other) for each in peers)


def _is(peer: Object, namespace: str, other: End) -> bool:
    if block := peer.get("ipBlock"):
        return bool(other.address) and _within(other.address, block["cidr"]) and not any(
            _within(other.address, each) for each in block.get("except") or []
        )  # fmt: skip
    if peer.get("namespaceSelector") is None:
        there = other.where == namespace
    else:
        there = selectors.from_object(peer["namespaceSelector"])(other.namespace)
    return there and (peer.get("podSelector") is None or selectors.from_object(peer["podSelector"])(other.labels))


def _within(address: str, block: str) -> bool:
    network, one = ipaddress.ip_network(block, strict=False), ipaddress.ip_address(address)
    return network.version == one.version and one in network
