"""The API server's audit log on a kind cluster: through the mounted folder, or through the container where the files are root's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusters.kind.commands import Commands
from clusters.kind.nodes import NODES

# What is rotated away is called audit-<time>.log and sorts before audit.log, oldest first, here and in the shell.
LOGS = "audit*.log"
_INSIDE = f"LC_ALL=C; cat /var/log/kubernetes/audit/{LOGS}"


def read(folder: Path, engine: str, commands: Commands) -> Iterator[dict[str, Any]]:
    """The audit events (audit.k8s.io/v1) in the order in which they were written; none where there is no log.

    kube-apiserver writes the file for root only, so an ordinary user of rootful Docker reads it through the node's container; so does
    one whose cluster was made under another state folder.
    """
    try:
        text = "".join(path.read_text(errors="replace") for path in sorted(folder.glob(LOGS)))
    except PermissionError:
        text = ""
    if not text:
        ran = commands.run(engine, "exec", NODES[0], "sh", "-c", _INSIDE, timeout=30.0)
        text = ran.out if ran.ok else ""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            # The last line may be half written; rotation may have cut the first.
            continue
