"""Events last an hour, as with a kube-apiserver's default `--event-ttl`; a loop of the server removes the older ones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from clusters.embedded.store import Conflict, Delete, Store, StoreError
from kubeobjects import Object, meta

_EVENT_TTL = timedelta(hours=1)
_EVERY_SECONDS = 60.0
# One batch is one commit; the loop goes on with other work between them.
_BATCH = 100


def last_seen(event: Object) -> datetime:
    """When an event was last written: its series', its own, or its creation's time."""
    times = ((event.get("series") or {}).get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    newest = max((each for each in times if each), default=event["metadata"]["creationTimestamp"])
    return meta.parse_time(newest)


def expired(events: list[Object], now: datetime) -> list[Object]:
    return [event for event in events if now - last_seen(event) > _EVENT_TTL]


async def run(store: Store) -> None:
    """Removes expired events until it is cancelled."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        gone = expired(store.list("events"), datetime.now(UTC))
        for start in range(0, len(gone), _BATCH):
            operations = [
                Delete("events", {**event, "metadata": dict(event["metadata"])}, event["metadata"]["resourceVersion"])
                for event in gone[start : start + _BATCH]
            ]
            try:
                store.write(operations)
            except (Conflict, StoreError):
                # One of them was written just now, or the disk is full: the rest can wait for the next round.
                break
            await asyncio.sleep(0)
