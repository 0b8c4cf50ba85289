"""The API server's audit log on a kind cluster: through the mounted folder, or through the container where the file is root's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusters.kind.commands import Commands
from clusters.kind.nodes import NODES

LOG = "/var/log/kubernetes/audit/audit.log"


def read(folder: Path, engine: str, commands: Commands) -> Iterator[dict[str, Any]]:
    """The audit events (audit.k8s.io/v1) in the order in which they were written; none where there is no log.

    kube-apiserver writes the file for root only, so an ordinary user of rootful Docker reads it through the node's container.
    """
    try:
        text = (folder / "audit.log").read_text(errors="replace")
    except PermissionError:
        ran = commands.run(engine, "exec", NODES[0], "cat", LOG, timeout=30.0)
        text = ran.out if ran.ok else ""
    except FileNotFoundError:
        text = ""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            # The last line may be half written; rotation may have cut the first.
            continue
