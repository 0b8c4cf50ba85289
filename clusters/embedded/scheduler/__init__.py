"""kube-scheduler: finds a node for each Pod, or says why there is none."""

from __future__ import annotations

from clusters.embedded.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
