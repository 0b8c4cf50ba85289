"""The Pod network as the kubelet, kube-proxy and the API server see it; `kubeproxy/` makes it so.

Pods have addresses in 10.244.<node>.0/24 and Services in 10.96.0.0/16, on every platform. A Python process in a Pod carries a shim
(`kubelet/shim/`) that turns a bind on any port into a port of 127.0.0.1 and writes down which, and that finds Pods, Services and DNS
names by what is written down. `Network` is the directory where it is written.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Network(Protocol):
    def allocate(self, node_index: int, pod_uid: str) -> str:
        """An unused Pod address (the same one again for a uid that still holds one)."""
        ...

    def release(self, pod_uid: str) -> None: ...

    def environment(self, pod_ip: str, namespace: str) -> dict[str, str]:
        """Variables that the shim needs inside the Pod (not visible as the learner's own: the kubelet adds them last)."""
        ...

    async def until_judged(self, pod_ip: str) -> None:
        """Returns once NetworkPolicies know of the Pod with this address, or after a second: nothing of it is to run before."""
        ...

    async def dial(self, ip: str, port: int, *, loopback: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a Pod's or a Service's address and port. Raises ConnectionRefusedError where nothing listens.

        With `loopback`, `ip` is a Pod's and the connection is made inside it to its localhost, as port-forward does; a server that is
        bound to 127.0.0.1 is reached that way and no other.
        """
        ...
