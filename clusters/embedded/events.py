"""Events that components write about objects: core/v1, aggregated by count (client-go tools/record).

A repeated event (same object, type, reason, message, source) raises `count` and `lastTimestamp` of the stored one. What is too much of
the same is combined or left out, as `event_correlation.py` decides.
"""

from __future__ import annotations

import logging
import time

from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from clusters.embedded.event_correlation import Correlator, Recent
from kubeobjects import meta

log = logging.getLogger(__name__)

# The event correlator forgets an event ten minutes after it was last seen (defaultAggregateIntervalInSeconds).
_REMEMBERED = 600.0


class EventRecorder:
    """Writes events as one component: `component` and `host` are what `kubectl describe` shows under From."""

    def __init__(self, client: Client, component: str, host: str = ""):
        self._client = client
        self._component = component
        self._host = host
        self._correlator = Correlator()
        self._seen: Recent[tuple[str, str, int, float]] = Recent()

    async def event(self, obj: Object, type: str, reason: str, message: str, *, field_path: str = "", stamp: str = "") -> None:
        """Records `reason` and `message` on `obj`; `type` is Normal or Warning, `field_path` as in `spec.containers{main}`,
        `stamp` when it happened (RFC 3339), where that is not now.

        An event that cannot be written is logged and dropped: events are best effort.
        """
        metadata = obj["metadata"]
        # Events about cluster-scoped objects live in the default namespace.
        namespace = metadata.get("namespace") or "default"
        about = (metadata.get("uid", ""), obj["kind"], namespace, metadata["name"])
        message, combined = self._correlator.combine((*about, type, reason), message)
        # A combined event is one event, whatever it said last.
        identity = (*about, type, reason) if combined else (*about, type, reason, message, field_path)
        if not self._correlator.admits(about):
            return
        seen = self._seen.get(identity)
        stamp = stamp or meta.now()
        try:
            if seen is not None and time.monotonic() - seen[3] < _REMEMBERED:
                where, name, count, _ = seen
                try:
                    await self._client.patch("events", name, {"count": count + 1, "lastTimestamp": stamp, "message": message}, where)
                    self._seen.put(identity, (where, name, count + 1, time.monotonic()))
                    return
                except ApiError as error:
                    if error.code != 404:
                        raise
            name = f"{metadata['name']}.{time.time_ns():x}"
            self._seen.put(identity, (namespace, name, 1, time.monotonic()))
            reference: Object = {
                "kind": obj["kind"],
                "apiVersion": obj["apiVersion"],
                "name": metadata["name"],
                "uid": metadata.get("uid", ""),
                "resourceVersion": metadata.get("resourceVersion", ""),
            }
            if metadata.get("namespace"):
                reference["namespace"] = metadata["namespace"]
            if field_path:
                reference["fieldPath"] = field_path
            await self._client.create(
                "events",
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": name, "namespace": namespace},
                    "involvedObject": reference,
                    "reason": reason,
                    "message": message,
                    "source": {"component": self._component} | ({"host": self._host} if self._host else {}),
                    "firstTimestamp": stamp,
                    "lastTimestamp": stamp,
                    "count": 1,
                    "type": type,
                    "reportingComponent": self._component,
                    "reportingInstance": self._host,
                },
                namespace,
            )
        except ApiError as error:
            log.info("event %s on %s: %s", reason, meta.key(obj), error.message)
