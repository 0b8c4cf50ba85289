"""Names of compute resources (pkg/apis/core/v1/helper)."""

from __future__ import annotations

HUGE_PAGES = "hugepages-"


def is_huge_page(name: str) -> bool:
    return name.startswith(HUGE_PAGES)


def is_native(name: str) -> bool:
    """A resource of Kubernetes' own: no domain, or one under kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name
