"""What the devices of one claim must have in common (matchAttribute) or not in common (distinctAttribute).

Source: matchAttributeConstraint and distinctAttributeConstraint of structured/internal/incubating.
"""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.scheduler.structured.taken import DeviceId

_KINDS = ("string", "int", "bool", "version")
Value = tuple[str, object]


class Constraint:
    """`add` says whether a device may join those that were added; each that was is taken out by `remove`, last first."""

    def __init__(self, constraint: Object):
        self._requests = set(constraint.get("requests") or [])
        self._distinct = constraint.get("distinctAttribute") is not None
        self._attribute: str = constraint["distinctAttribute" if self._distinct else "matchAttribute"]
        self._seen: list[Value] = []

    def concerns(self, request: str, alternative: str) -> bool:
        """Whether it is about this request (all, where it names none), or about this one alternative of it."""
        return not self._requests or request in self._requests or (bool(alternative) and f"{request}/{alternative}" in self._requests)

    def add(self, ident: DeviceId, device: Object) -> bool:
        value = _value(self._attribute, ident[0], device)
        if value is None or (self._seen and (value in self._seen) is self._distinct):
            return False
        self._seen.append(value)
        return True

    def remove(self) -> None:
        self._seen.pop()


def _value(name: str, driver: str, device: Object) -> Value | None:
    """The attribute with its kind. A name of the driver's own domain may stand in the device without the domain."""
    attributes = device.get("attributes") or {}
    attribute = attributes.get(name)
    domain, _, own = name.partition("/")
    if attribute is None and domain == driver:
        attribute = attributes.get(own)
    return next(((kind, attribute[kind]) for kind in _KINDS if attribute.get(kind) is not None), None) if attribute else None
