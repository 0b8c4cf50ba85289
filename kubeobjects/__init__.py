"""Pure functions over Kubernetes objects, used by the checks and by the embedded cluster alike: quantities, selectors, placement, what a Pod asks for.

Nothing here asks a cluster, and nothing here knows who calls it.
"""

from __future__ import annotations

from typing import Any

# An API object, or a part of one, as JSON.
Object = dict[str, Any]

__all__ = ["Object"]
