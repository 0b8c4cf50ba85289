"""Defaults of optional fields, by kind: an object as the client wrote it flows in, the object as the API server stores it comes out.

The rules are those of the `defaults.go` beside each API group's types, together with what a trip through the typed Go objects
does: quantities in canonical form, absent structs written out as `{}`.
"""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.defaulting import batch, cluster, core, extension, policy, workloads
from clusters.embedded.apiserver.defaulting.common import metadata
from clusters.embedded.resources import custom_kind
from kubeobjects import Object

_BY_KIND: dict[tuple[str, str], Callable[[Object], None]] = {
    **core.DEFAULTS,
    **workloads.DEFAULTS,
    **batch.DEFAULTS,
    **policy.DEFAULTS,
    **cluster.DEFAULTS,
    **extension.DEFAULTS,
}


def apply(obj: Object) -> None:
    """Fills `obj` in place, by its apiVersion and kind; a kind without defaults keeps everything but empty metadata."""
    metadata(obj)
    custom = custom_kind(obj)
    if custom is not None:
        custom.default(obj)
        return
    default = _BY_KIND.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    if default is not None:
        default(obj)
