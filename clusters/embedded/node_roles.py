"""The label of a node's role. A kubelet may not give it to itself (NodeRestriction); kubeadm does that as administrator (mark-control-plane)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from clusters.embedded.informer import Informer


class NodeRoles:
    """Gives each node that joins the labels that `roles` has for its name, and again when the cluster starts. `client` is an administrator's."""

    def __init__(self, client: Client, nodes: Informer, roles: Mapping[str, Mapping[str, str]]):
        self._client = client
        self._roles = roles
        self._joined: asyncio.Queue[str] = asyncio.Queue()
        nodes.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if old is None and new is not None and self._roles.get(new["metadata"]["name"]):
            self._joined.put_nowait(new["metadata"]["name"])

    async def run(self) -> None:
        while True:
            name = await self._joined.get()
            try:
                await self._client.patch("nodes", name, {"metadata": {"labels": dict(self._roles[name])}})
            except ApiError as error:
                if error.code != 404:
                    self._joined.put_nowait(name)
                    raise
