"""Deployment: replaces the Pods of one template by those of the next, through ReplicaSets (pkg/controller/deployment)."""

from __future__ import annotations

from clusters.embedded.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
