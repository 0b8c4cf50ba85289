"""The API server's audit log on a kind cluster: through the mounted folder, or through the container where the files are root's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusters import audit_lines
from clusters.kind.commands import Commands
from clusters.kind.nodes import NODES

# What is rotated away is called audit-<time>.log and sorts before audit.log, oldest first, here and in the shell.
LOGS = "audit*.log"
_INSIDE = f"LC_ALL=C; cat /var/log/kubernetes/audit/{LOGS}"


def read(folder: Path, engine: str, commands: Commands, since: float = 0.0) -> Iterator[dict[str, Any]]:
    """The audit events (audit.k8s.io/v1) written at or after `since` (seconds since the epoch), oldest first; none where there is no log.

    kube-apiserver writes the file for root only, so an ordinary user of rootful Docker reads it through the node's container; so does
    one whose cluster was made under another state folder.
    """
    try:
        found = audit_lines.read(sorted(folder.glob(LOGS)), since)
    except PermissionError:
        found = []
    if not found:
        ran = commands.run(engine, "exec", NODES[0], "sh", "-c", _INSIDE, timeout=30.0)
        lines = ran.out.encode().splitlines() if ran.ok else []
        found = [event for line in lines if not since or audit_lines.written(line) >= since for event in audit_lines.parse(line)]
    yield from found
