"""The hash by which a template's ReplicaSet or ControllerRevision is named (pkg/controller ComputeHash)."""

from __future__ import annotations

import orjson

from clusters.embedded.client import Object
from kubeobjects import meta


def template_hash(template: Object, collision_count: int | None) -> str:
    """The pod-template-hash: 32-bit FNV-1a over the template, in the alphabet of generated names."""
    data = orjson.dumps(template, option=orjson.OPT_SORT_KEYS) + (str(collision_count).encode() if collision_count is not None else b"")
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return meta.safe_encode(str(value))
