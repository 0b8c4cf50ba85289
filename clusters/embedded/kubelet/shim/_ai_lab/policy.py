"""What NetworkPolicies let through, judged where a connection is made: by the rules of the Pod that calls and of the Pod that is called.

`policies/<ip>` in the network's folder holds what the policies say of one Pod, as the network policy agent compiled it
(`kubeproxy/network_policies.py`); a Pod without a file is isolated in no direction. `policies/nowhere` names the ports of 127.0.0.1 that
never answer (`kubeproxy/nowhere.py`). Used by the shim.

    {"node": "172.18.0.3", "ingress": [{"peers": …, "ports": …}, …], "egress": […]}

A direction that is missing is open; one that is there lets through what one of its rules allows. `peers` is null (everybody) or
`{"pods": [ip, …], "blocks": [[first, last, [[first, last], …]], …]}`, a block with its exceptions as numbers of addresses. `ports` is null
or `[[protocol, first, last], …]`. What is open already stays open: a policy decides about new connections.
"""

from __future__ import annotations

from .etc import CLUSTER_DNS
from .json_file import JsonFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The cluster's DNS servers, which are no Pods here: what stands for one in `pods`, and the address that it would have.
DNS_PEER, DNS_ADDRESS = "dns", "10.244.0.2"


class Blocked(Exception):
    """A connection that a NetworkPolicy forbids. Nobody answers it, not even with a refusal."""


def number(ip: str) -> int:
    """An IPv4 address as a number; -1 for what is none."""
    found = 0
    parts = ip.split(".")
    if len(parts) != 4:
        return -1
    for part in parts:
        found = found << 8 | int(part)
    return found


def _is_peer(peers: dict[str, Any] | None, name: str, address: int) -> bool:
    if peers is None or name in peers["pods"]:
        return True
    return any(
        first <= address <= last and not any(low <= address <= high for low, high in exceptions)
        for first, last, exceptions in peers["blocks"]
    )


def let_through(rules: list[dict[str, Any]] | None, peer: str, port: int, protocol: str) -> bool:
    """Whether the rules of one direction allow traffic with `peer` (an address, or DNS_PEER) on the receiver's `port`."""
    if rules is None:
        return True
    address = number(DNS_ADDRESS if peer == DNS_PEER else peer)
    return any(
        (rule["ports"] is None or any(kind == protocol and first <= port <= last for kind, first, last in rule["ports"]))
        and _is_peer(rule["peers"], peer, address)
        for rule in rules
    )


class Policies:
    """The view of the Pod with the address `own`; `directory` is the network's folder."""

    def __init__(self, directory: str, own: str) -> None:
        self._directory = directory
        self._own = own
        self._files: dict[str, JsonFile] = {}

    def _of(self, name: str) -> dict[str, Any]:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = JsonFile(f"{self._directory}/policies/{name}")
        return file.content() or {}

    def nowhere(self, protocol: str) -> int | None:
        """The port of 127.0.0.1 that never answers."""
        return self._of("nowhere").get(protocol)

    def check(self, ip: str, port: int, protocol: str, *, of_pod: bool) -> None:
        """Raises Blocked where this Pod may not open a connection to `ip`:`port`, an address (`of_pod`: a Pod's) that is no Service's."""
        if ip == self._own:
            return
        if not let_through(self._of(self._own).get("egress"), ip, port, protocol):
            raise Blocked
        other = self._of(ip) if of_pod else {}
        # What comes from a Pod's own node is never kept from it: its kubelet's probes do.
        if other.get("node") != self._own and not let_through(other.get("ingress"), self._own, port, protocol):
            raise Blocked

    def allow_dns(self, server: str) -> bool:
        """Whether this Pod's questions reach a name server; the Service of the cluster's own stands for its Pods."""
        return let_through(self._of(self._own).get("egress"), DNS_PEER if server == CLUSTER_DNS else server, 53, "udp")
