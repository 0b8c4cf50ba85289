"""HorizontalPodAutoscaler: sizes a workload by what its Pods use (pkg/controller/podautoscaler)."""

from __future__ import annotations

from clusters.embedded.controllers.podautoscaler.controller import HorizontalPodAutoscalerController

__all__ = ["HorizontalPodAutoscalerController"]
