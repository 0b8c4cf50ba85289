"""Warnings of amounts of bytes that are no whole number (pkg/api/pod/warnings.go, pkg/api/persistentvolumeclaim/util.go)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation.field import Path, quote
from clusters.embedded.apiserver.validation.values import amount
from kubeobjects import Object


def fractional(amounts: Object, names: tuple[str, ...], path: Path) -> list[str]:
    found = []
    for name in names:
        parsed = amount(amounts[name]) if name in amounts else None
        if parsed is not None and parsed != parsed.to_integral_value():
            found.append(f"{path.key(name)}: fractional byte value {quote(str(amounts[name]))} is invalid, must be an integer")
    return found


def of_claim(spec: Object, path: Path) -> list[str]:
    resources = spec.get("resources") or {}
    return [
        each
        for part in ("requests", "limits")
        for each in fractional(resources.get(part) or {}, ("storage",), path.child("resources", part))
    ]
