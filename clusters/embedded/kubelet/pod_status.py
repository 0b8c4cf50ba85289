"""Writes a Pod's status into the API when it differs from what is there (the kubelet's status manager)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from clusters.embedded.client import Client
from clusters.embedded.errors import ApiError

log = logging.getLogger(__name__)

Object = dict[str, Any]

_TRIES = 5


class StatusWriter:
    """One for a Pod. A Pod that is gone, or another one of the same name, is left alone."""

    def __init__(self, client: Client, pod: Object):
        self._client = client
        self._name: str = pod["metadata"]["name"]
        self._namespace: str = pod["metadata"]["namespace"]
        self._uid: str = pod["metadata"]["uid"]

    async def write(self, make: Callable[[Object], Object]) -> None:
        """`make(pod as the API has it)` is the new status. What others wrote meanwhile is read again, not overwritten."""
        for _ in range(_TRIES):
            try:
                pod = await self._client.get("pods", self._name, self._namespace)
                if pod["metadata"]["uid"] != self._uid:
                    return
                status = make(pod)
                if status == pod.get("status"):
                    return
                await self._client.update("pods", pod | {"status": status}, subresource="status")
                return
            except ApiError as error:
                if error.code == 404:
                    return
                if error.code != 409:
                    log.warning("status of pod %s/%s: %s", self._namespace, self._name, error.message)
                    return

    async def write_rejected(self, status: Object) -> None:
        """The Pod was not admitted: conditions and QoS class stay as they are."""
        await self.write(lambda pod: (pod.get("status") or {}) | status)
