"""What a controller has asked for and not yet seen in its cache (client-go's controller expectations).

A controller that creates a Pod and looks at its cache again at once would not find the Pod, and would create another.
So it writes down how many creations and which deletions it waits for, and does not create or delete more until they were seen.
"""

from __future__ import annotations

import time

# ExpectationsTimeout: after that long a watch event is taken to be lost.
_TIMEOUT = 300.0


class Expectations:
    """By key of the owner. `satisfied` is true when nothing is waited for."""

    def __init__(self) -> None:
        self._creations: dict[str, int] = {}
        self._deletions: dict[str, set[str]] = {}
        self._since: dict[str, float] = {}

    def satisfied(self, key: str) -> bool:
        if self._creations.get(key, 0) <= 0 and not self._deletions.get(key):
            return True
        return time.monotonic() - self._since.get(key, 0.0) > _TIMEOUT

    def expect_creations(self, key: str, count: int) -> None:
        self._creations[key] = count
        self._since[key] = time.monotonic()

    def expect_deletions(self, key: str, uids: set[str]) -> None:
        self._deletions[key] = uids
        self._since[key] = time.monotonic()

    def created(self, key: str, count: int = 1) -> None:
        """Seen, or failed and no longer to be expected."""
        if key in self._creations:
            self._creations[key] -= count

    def deleted(self, key: str, uid: str) -> None:
        self._deletions.get(key, set()).discard(uid)

    def forget(self, key: str) -> None:
        for table in (self._creations, self._deletions, self._since):
            table.pop(key, None)
