"""Whose kubelet sends a request (pkg/auth/nodeidentifier)."""

from __future__ import annotations

from collections.abc import Sequence

GROUP = "system:nodes"
_PREFIX = "system:node:"


def node_of(user: str, groups: Sequence[str]) -> str | None:
    """The node whose kubelet the user is; empty where the name does not tell, None for whoever is no node."""
    return user.removeprefix(_PREFIX) if user.startswith(_PREFIX) and GROUP in groups else None
