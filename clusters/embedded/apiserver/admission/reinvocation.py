"""What has changed an object is asked again where something else changed it afterwards (admission/reinvocation.go)."""

from __future__ import annotations

from kubeobjects import Object, meta


class Reinvocation:
    """The two rounds of one plugin over one request. Its hooks (webhooks, policies) are told apart by a text of their own."""

    def __init__(self) -> None:
        self.round = 0
        # A hook changed the object: there has to be a second round.
        self.changed = False
        self._invoked: set[str] = set()
        self._again: set[str] = set()
        self._left: Object | None = None

    def begin(self, obj: Object | None) -> None:
        """In the second round, what other plugins did meanwhile counts as a change."""
        if self.round and obj != self._left:
            self._ask_again()

    def is_due(self, hook: str) -> bool:
        """In the second round only hooks are asked that want it, that were asked in the first, and after which something changed."""
        return not self.round or hook in self._again

    def note(self, hook: str, changed: bool, wants_more: bool) -> None:
        """The hook was asked. `wants_more` is its reinvocationPolicy IfNeeded."""
        if changed:
            self.changed = True
            self._ask_again()
        if wants_more:
            self._invoked.add(hook)

    def end(self, obj: Object | None) -> None:
        self._left = None if obj is None else meta.copy(obj)

    def _ask_again(self) -> None:
        self._again |= self._invoked
        self._invoked.clear()
