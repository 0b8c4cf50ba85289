"""SchedulingGates: a Pod with gates is not looked at until all of them have been taken away.

The condition on such a Pod is set by the API server when it is created, so there is nothing to write here.
"""

from __future__ import annotations

from clusters.embedded.client import Object


def is_gated(pod: Object) -> bool:
    return bool(pod["spec"].get("schedulingGates"))
