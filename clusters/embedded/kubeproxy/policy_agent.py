"""The network policy agent for all nodes: watches NetworkPolicies, Namespaces and Pods, and keeps what each isolated Pod may do true."""

from __future__ import annotations

import asyncio

from clusters.embedded.client import Client, Object
from clusters.embedded.informer import InformerFactory
from clusters.embedded.kubeproxy import network_policies
from clusters.embedded.kubeproxy.pod_network import PodNetwork

# Changes that come together are written together; in seconds.
_SETTLE = 0.005


class PolicyAgent:
    """`await run()` until it is cancelled. Sleeps while nothing changes that a policy could look at."""

    def __init__(self, client: Client, network: PodNetwork):
        self._network = network
        self._informers = InformerFactory(client)
        self._changed = asyncio.Event()
        self._policies = self._informers("networkpolicies.networking.k8s.io")
        self._namespaces = self._informers("namespaces")
        self._pods = self._informers("pods")
        self._policies.on_change(lambda old, new: self._changed.set())
        self._namespaces.on_change(self._namespace_changed)
        self._pods.on_change(self._pod_changed)

    def _namespace_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or old["metadata"].get("labels") != new["metadata"].get("labels"):
            self._changed.set()

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        before, after = (network_policies.endpoint(each) if each is not None else None for each in (old, new))
        if before != after:
            self._changed.set()

    def sync(self) -> None:
        """Writes what has changed for any Pod."""
        policies, pods = self._policies.list(), self._pods.list()
        if not policies:
            self._network.publish_policies({})
            return
        known = frozenset(found.address for pod in pods if (found := network_policies.endpoint(pod)))
        self._network.publish_policies(network_policies.isolation(policies, self._namespaces.list(), pods), known)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._informers.start(tasks)
            await self._informers.wait_for_sync()
            while True:
                self._changed.clear()
                self.sync()
                await self._changed.wait()
                await asyncio.sleep(_SETTLE)
