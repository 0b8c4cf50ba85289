"""Writes down which devices a Pod's claims got, before the Pod itself is bound (the Reserve and PreBind of DynamicResources)."""

from __future__ import annotations

import logging

from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from clusters.embedded.scheduler.cache import Cache
from clusters.embedded.scheduler.plugins.dynamicresources import Reservation
from kubeobjects import meta, resourceclaims

log = logging.getLogger(__name__)

_CLAIMS = "resourceclaims.resource.k8s.io"
# retry.DefaultRetry: so often is a claim written that somebody else has changed meanwhile.
_ATTEMPTS = 5

DELETED = "claim {claim} got deleted in the meantime"
ALLOCATED_ELSEWHERE = "claim {claim} got allocated elsewhere in the meantime"
DEALLOCATED_ELSEWHERE = "claim {claim} got deallocated elsewhere in the meantime"


class ClaimBindingError(Exception):
    """A claim could not be reserved for the Pod; the message is the scheduler's."""


class ClaimBinder:
    def __init__(self, client: Client, cache: Cache):
        self._client = client
        self._cache = cache
        # Claims by uid whose allocation the API server has: the cache forgets that it was decided on once it has seen it.
        self._written: set[str] = set()

    def assume(self, reservation: Reservation) -> None:
        """From now on nobody else gets these devices."""
        for claim, allocation in reservation.claims:
            if allocation is not None:
                self._cache.assume_allocation(claim, allocation)

    async def bind(self, pod: Object, reservation: Reservation) -> None:
        """Returns when every claim is the Pod's. Raises ClaimBindingError."""
        for claim, allocation in reservation.claims:
            if not resourceclaims.is_reserved_for(pod, claim):
                await self._reserve(pod, claim, allocation)
                self._written.add(claim["metadata"]["uid"])

    async def _reserve(self, pod: Object, claim: Object, allocation: Object | None) -> None:
        metadata, current = claim["metadata"], claim
        for attempt in range(_ATTEMPTS):
            try:
                if attempt:
                    current = await self._client.get(_CLAIMS, metadata["name"], metadata["namespace"])
                await self._write(pod, current, allocation)
                return
            except ApiError as error:
                if error.reason != "Conflict" or attempt == _ATTEMPTS - 1:
                    what = "allocation and reservation" if allocation is not None else "reservation"
                    raise ClaimBindingError(f"add {what} to claim {meta.key(claim)}: {error}") from None

    async def _write(self, pod: Object, claim: Object, allocation: Object | None) -> None:
        if meta.is_deleting(claim):
            raise ClaimBindingError(DELETED.format(claim=meta.key(claim)))
        present = resourceclaims.allocation(claim)
        if allocation is not None and present is not None:
            raise ClaimBindingError(ALLOCATED_ELSEWHERE.format(claim=meta.key(claim)))
        if allocation is None and present is None:
            raise ClaimBindingError(DEALLOCATED_ELSEWHERE.format(claim=meta.key(claim)))
        body = meta.copy(claim)
        finalizers = body["metadata"].setdefault("finalizers", [])
        if allocation is not None and resourceclaims.FINALIZER not in finalizers:
            finalizers.append(resourceclaims.FINALIZER)
            body = meta.copy(await self._client.update(_CLAIMS, body))
        status = body.setdefault("status", {})
        if allocation is not None:
            status["allocation"] = {"allocationTimestamp": meta.now(), **meta.copy(allocation)}
        status["reservedFor"] = [*resourceclaims.reserved_for(body), resourceclaims.consumer(pod)]
        await self._client.update(_CLAIMS, body, subresource="status")

    async def release(self, pod: Object, reservation: Reservation) -> None:
        """The Pod was not bound after all: its claims are free for others, those that were written down too."""
        for claim, allocation in reservation.claims:
            metadata = claim["metadata"]
            if allocation is not None and metadata["uid"] not in self._written:
                self._cache.forget_allocation(claim)
            body = {
                "metadata": {"uid": metadata["uid"]},
                "status": {"reservedFor": [{"$patch": "delete", "uid": pod["metadata"]["uid"]}]},
            }
            try:
                await self._client.patch(_CLAIMS, metadata["name"], body, metadata["namespace"], subresource="status", type="strategic")
            except ApiError as error:
                # The next attempt, or the claim controller once the Pod is gone, comes past here again.
                log.info("unreserve %s: %s", meta.key(claim), error.message)

    def settle(self, reservation: Reservation) -> None:
        """The attempt is over."""
        self._written -= {claim["metadata"]["uid"] for claim, _ in reservation.claims}

    async def deallocate(self, claim: Object) -> None:
        """Takes the devices back from a claim that no Pod uses, so that others can be tried. Raises ApiError."""
        body = meta.copy(claim)
        for name in ("allocation", "reservedFor", "devices"):
            body["status"].pop(name, None)
        await self._client.update(_CLAIMS, body, subresource="status")
