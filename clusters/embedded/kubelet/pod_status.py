"""Writes a Pod's status into the API when it differs from what is there, and ends the Pod there (pkg/kubelet/status/status_manager.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from clusters.embedded.client import Client
from clusters.embedded.errors import ApiError
from kubeobjects import Object

log = logging.getLogger(__name__)


_TRIES = 5
_RETRY_SECONDS = 1.0


class StatusManager:
    """One for a Pod. A Pod that is gone, or another one of the same name, is left alone."""

    def __init__(self, client: Client, pod: Object):
        self._client = client
        self._name: str = pod["metadata"]["name"]
        self._namespace: str = pod["metadata"]["namespace"]
        self._uid: str = pod["metadata"]["uid"]

    async def write(self, make: Callable[[Object], Object]) -> None:
        """`make(pod as the API has it)` is the new status. What others wrote meanwhile is read again, not overwritten.

        A server that cannot write now (its disk is full) is asked again until it can: a status that is not told is never seen.
        """
        while True:
            if await self._tried(make):
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _tried(self, make: Callable[[Object], Object]) -> bool:
        """False where it is to be tried again later."""
        for _ in range(_TRIES):
            try:
                pod = await self._client.get("pods", self._name, self._namespace)
                if pod["metadata"]["uid"] != self._uid:
                    return True
                status = make(pod)
                if status == pod.get("status"):
                    return True
                await self._client.update("pods", pod | {"status": status}, subresource="status")
                return True
            except ApiError as error:
                if error.code == 404:
                    return True
                if error.code != 409:
                    log.warning("status of pod %s/%s: %s", self._namespace, self._name, error.message)
                    return error.code < 500
        return True

    async def write_rejected(self, status: Object) -> None:
        """The Pod was not admitted: conditions and QoS class stay as they are."""
        await self.write(lambda pod: (pod.get("status") or {}) | status)

    async def delete_pod(self, gone: asyncio.Event) -> None:
        """Tells the API that the Pod's end is complete, again and again where it cannot write, until the Pod is `gone` from it."""
        while not gone.is_set():
            try:
                await self._client.delete("pods", self._name, self._namespace, grace_period_seconds=0, uid=self._uid)
                return
            except ApiError as error:
                if error.code in (404, 409):
                    return
                log.warning("pod %s/%s: %s", self._namespace, self._name, error.message)
                if error.code < 500:
                    return
            # The disk is full: the Pod stays in the API until the server can write again.
            await asyncio.sleep(_RETRY_SECONDS)
