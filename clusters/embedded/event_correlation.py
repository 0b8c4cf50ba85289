"""Which events are worth writing: the rules of client-go's event correlator (tools/record/events_cache.go), as decisions only.

Many events that differ only in their message become one, and a component that says too much about one object is not heard for a while.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

# defaultAggregateMaxEvents and defaultAggregateIntervalInSeconds: so many messages of one kind within that time are combined.
SIMILAR = 10
INTERVAL = 600.0
COMBINED = "(combined from similar events): {message}"
# defaultSpamBurst and defaultSpamQPS: so many events about one object at once, then one in five minutes.
BURST = 25
REFILL_SECONDS = 300.0
# maxLruCacheEntries.
ENTRIES = 4096

_Value = TypeVar("_Value")


class Recent(OrderedDict[tuple[str, ...], _Value]):
    """A table that forgets what was not written for the longest time."""

    def put(self, key: tuple[str, ...], value: _Value) -> None:
        self[key] = value
        self.move_to_end(key)
        while len(self) > ENTRIES:
            self.popitem(last=False)


class Correlator:
    """`clock` gives seconds. One for each component that writes events."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._messages: Recent[dict[str, float]] = Recent()
        self._tokens: Recent[tuple[float, float]] = Recent()

    def combine(self, kind: tuple[str, ...], message: str) -> tuple[str, bool]:
        """(message to write, whether it stands for several): `kind` is all that similar events have in common."""
        now = self._clock()
        known = {text: last for text, last in (self._messages.get(kind) or {}).items() if now - last <= INTERVAL}
        known[message] = now
        while len(known) > SIMILAR:
            del known[min(known, key=known.__getitem__)]
        self._messages.put(kind, known)
        return (COMBINED.format(message=message), True) if len(known) >= SIMILAR else (message, False)

    def admits(self, about: tuple[str, ...]) -> bool:
        """Whether one more event about this object may be written now."""
        now = self._clock()
        tokens, last = self._tokens.get(about) or (float(BURST), now)
        tokens = min(float(BURST), tokens + (now - last) / REFILL_SECONDS)
        allowed = tokens >= 1
        self._tokens.put(about, (tokens - 1 if allowed else tokens, now))
        return allowed
