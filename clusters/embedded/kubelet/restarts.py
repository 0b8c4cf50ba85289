"""Which container is to be started next, and which is to be started again: pure decisions (computePodActions of the kubelet)."""

from __future__ import annotations

from collections.abc import Sequence

from clusters.embedded.kubelet.status import ContainerView
from kubeobjects import Object


def should_restart(pod: Object, view: ContainerView) -> bool:
    """Whether a container that has ended is started again, by its own rules, its own policy, or the Pod's."""
    if view.terminated is None:
        return False
    code = view.terminated["exitCode"]
    for rule in view.spec.get("restartPolicyRules") or []:
        codes = rule.get("exitCodes") or {}
        if rule.get("action") == "Restart" and (code in codes.get("values", ())) == (codes.get("operator") == "In"):
            return True
    policy = view.spec.get("restartPolicy") or pod["spec"].get("restartPolicy") or "Always"
    if view.kind == "ephemeral":
        return False
    if view.kind == "init" and not view.is_sidecar:
        return code != 0 and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def is_initialized(init: Sequence[ContainerView], containers: Sequence[ContainerView]) -> bool:
    """Init containers run once: not again after the first of the Pod's containers was started."""
    return any(view.container_id for view in containers) or all(view.is_done for view in init)


def to_start(pod: Object, views: Sequence[ContainerView]) -> list[str]:
    """Names of the containers that are due now, in order; back-off is the caller's."""
    init = [view for view in views if view.kind == "init"]
    containers = [view for view in views if view.kind == "container"]
    initialized = is_initialized(init, containers)
    finished = is_finished(pod, views)
    due: list[str] = [view.name for view in views if view.kind == "ephemeral" and not view.container_id and not finished]
    if finished:
        return due
    for view in init:
        if view.is_sidecar:
            if view.running is None:
                due.append(view.name)
            if not initialized and not view.started:
                return due
        elif not initialized and not view.is_done:
            if view.running is None:
                due.append(view.name)
            return due
    return due + [view.name for view in containers if view.running is None and (not view.container_id or should_restart(pod, view))]


def is_finished(pod: Object, views: Sequence[ContainerView]) -> bool:
    """Whether nothing of the Pod will run any more: all containers have ended for good, or an init container has failed for good."""
    for view in views:
        ended = view.running is None and view.terminated is not None
        failed = ended and view.terminated is not None and view.terminated["exitCode"] != 0
        if view.kind == "init" and not view.is_sidecar and failed and not should_restart(pod, view):
            return True
    containers = [view for view in views if view.kind == "container"]
    return all(view.running is None and view.terminated is not None and not should_restart(pod, view) for view in containers)
