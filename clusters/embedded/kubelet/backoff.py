"""Back-off as the kubelet keeps it (k8s.io/client-go/util/flowcontrol.Backoff), and Go's way to write a duration."""

from __future__ import annotations

import time
from dataclasses import dataclass

INITIAL_SECONDS = 10.0
MAX_SECONDS = 300.0


def duration(seconds: float) -> str:
    """10 → `10s`, 80 → `1m20s`, 300 → `5m0s`, 0.5 → `500ms`."""
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


@dataclass
class _Entry:
    seconds: float
    updated: float


class Backoff:
    """How long to wait before something is tried again, by key; forgotten after twice the longest wait without a failure."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def seconds(self, key: str) -> float:
        entry = self._entries.get(key)
        return entry.seconds if entry else 0.0

    def remaining(self, key: str, since: float) -> float:
        """Seconds that are still to wait after what happened at `since` (time.time()); 0 where nothing holds it back."""
        entry = self._entries.get(key)
        if entry is None or since - entry.updated > 2 * MAX_SECONDS:
            return 0.0
        return max(0.0, since + entry.seconds - time.time())

    def next(self, key: str, since: float) -> None:
        """Notes one more try after what happened at `since`: the next wait is twice as long."""
        entry = self._entries.get(key)
        now = time.time()
        if entry is None or since - entry.updated > 2 * MAX_SECONDS:
            self._entries[key] = _Entry(INITIAL_SECONDS, now)
        else:
            entry.seconds = min(entry.seconds * 2, MAX_SECONDS)
            entry.updated = now

    def forget(self, prefix: str) -> None:
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]
