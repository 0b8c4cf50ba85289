"""Functions over Kubernetes objects alone, for the checks and the embedded cluster alike: metadata, quantities, selectors, placement, resources.

Nothing here asks a cluster, and nothing here knows who calls it.
"""

from __future__ import annotations

from typing import Any

# An API object, or a part of one, as JSON.
Object = dict[str, Any]

__all__ = ["Object"]
