"""kube-proxy for all nodes, and cluster DNS: watches Services, EndpointSlices and Nodes, and keeps the network's table true."""

from __future__ import annotations

import asyncio

from clusters.embedded.client import Client, Object
from clusters.embedded.informer import InformerFactory
from clusters.embedded.kubeproxy import tables
from clusters.embedded.kubeproxy.pod_network import PodNetwork

# Changes that come together are written together; in seconds.
_SETTLE = 0.005


class KubeProxy:
    """`await run()` until it is cancelled. Sleeps while nothing changes."""

    def __init__(self, client: Client, network: PodNetwork):
        self._network = network
        self._informers = InformerFactory(client)
        self._changed = asyncio.Event()
        self._services = self._informers("services")
        self._slices = self._informers("endpointslices.discovery.k8s.io")
        self._nodes = self._informers("nodes")
        for informer in (self._services, self._slices, self._nodes):
            informer.on_change(self._on_change)
        self._written: Object | None = None

    def _on_change(self, old: Object | None, new: Object | None) -> None:
        self._changed.set()

    def sync(self) -> None:
        """Writes the table if it is not what was written last (a node's heartbeat changes nothing in it)."""
        table = tables.build(self._services.list(), self._slices.list(), self._nodes.list())
        if table != self._written:
            self._network.publish(table)
            self._written = table

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._informers.start(tasks)
            await self._informers.wait_for_sync()
            while True:
                self.sync()
                self._changed.clear()
                await self._changed.wait()
                await asyncio.sleep(_SETTLE)
