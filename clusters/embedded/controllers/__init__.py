"""kube-controller-manager: the loops that bring the cluster's objects to what their specs say."""

from __future__ import annotations

from clusters.embedded.controllers.manager import ControllerManager

__all__ = ["ControllerManager"]
