"""What a node is before its kubelet starts: name, addresses, labels and taints, read from the topology of the cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from clusters.embedded.open_files import MAX_PODS

_ROLE = "node-role.kubernetes.io/"


@dataclass(frozen=True)
class NodeSpec:
    """One node. `index` is its place in the topology and the third number of its Pods' addresses.

    `roles` are labels that an administrator gives the node, not its kubelet. `cpu` and `memory` (quantities) replace what the machine has, where
    they are given; `pods` is the kubelet's --max-pods.
    """

    name: str
    index: int
    address: str
    pod_cidr: str
    labels: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    taints: tuple[dict[str, str], ...] = ()
    cpu: str | None = None
    memory: str | None = None
    pods: int = MAX_PODS


def load_topology(path: Path) -> list[NodeSpec]:
    """The nodes of a topology file (`{"nodes": [{"name", "address", "podCIDR", "labels", "taints"}, …]}`), in its order."""
    rows: list[dict[str, Any]] = orjson.loads(path.read_bytes())["nodes"]
    return [
        NodeSpec(
            name=row["name"],
            index=index,
            address=row["address"],
            pod_cidr=row["podCIDR"],
            labels={name: value for name, value in (row.get("labels") or {}).items() if not name.startswith(_ROLE)},
            roles={name: value for name, value in (row.get("labels") or {}).items() if name.startswith(_ROLE)},
            taints=tuple(row.get("taints") or ()),
            cpu=row.get("cpu"),
            memory=row.get("memory"),
        )
        for index, row in enumerate(rows)
    ]
