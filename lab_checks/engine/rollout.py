"""Is the GPU plugin's rollout over, so that what nodes offer can be believed? And which Pods were refused before it was?

A node's allocatable in the API is as old as the kubelet's last status: while the plugin's Pod is replaced it may still show what the old one
offered, and a Pod that is placed by it ends in UnexpectedAdmissionError. So the rollout is held against the DaemonSet and its Pods first.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeobjects import Object
from lab_checks.engine import observe

# What the plugin logs when the kubelet has taken its registration (images/gpu_device_plugin, as NVIDIA's plugin does).
REGISTERED = "Registered device plugin for 'nvidia.com/gpu' with Kubelet"


def unfinished(daemonset: Object | None, pods: list[Object], nodes: list[Object], log_of: Callable[[Object], str]) -> str:
    """What of the plugin's rollout is still to come, in words; empty where every GPU node has one Pod of the template, Ready and registered.

    `pods` are all of the DaemonSet's namespace; `log_of` gives what a Pod's container has printed.
    """
    if daemonset is None:
        return "the GPU plugin's DaemonSet does not exist yet"
    name, status = daemonset["metadata"]["name"], daemonset.get("status") or {}
    wanted = {node["metadata"]["name"] for node in nodes if observe.promised(node)}
    if status.get("observedGeneration", 0) < daemonset["metadata"].get("generation", 0):
        return f"{name}: the controller has not seen its template yet"
    mine = [pod for pod in pods if _belongs(pod, daemonset)]
    going = [pod["metadata"]["name"] for pod in mine if "deletionTimestamp" in pod["metadata"]]
    if going:
        return f"{', '.join(going)} is still terminating"
    scheduled, updated, ready = (status.get(key, 0) for key in ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady"))
    if not scheduled == updated == ready == len(wanted) or status.get("numberMisscheduled", 0):
        return f"{name}: {ready} of {len(wanted)} Pods are Ready, {updated} of them of the current template"
    serving = {pod["spec"].get("nodeName"): pod for pod in mine if observe.is_ready(pod)}
    if set(serving) != wanted or len(mine) != len(wanted):
        return f"{name}: its Pods are on {', '.join(sorted(filter(None, serving))) or 'no node'}"
    silent = [node for node, pod in serving.items() if REGISTERED not in log_of(pod)]
    return f"the plugin on {', '.join(sorted(silent))} has not registered with the kubelet yet" if silent else ""


def _belongs(pod: Object, daemonset: Object) -> bool:
    """Whether the Pod is the DaemonSet's, or looks like it: one of a DaemonSet that was deleted under the same name goes on for a while."""
    labels = pod["metadata"].get("labels") or {}
    selector = daemonset["spec"]["selector"].get("matchLabels") or {}
    return bool(selector) and selector.items() <= labels.items()


def refused(pod: Object) -> bool:
    """Whether a kubelet refused the Pod or put it off its node (UnexpectedAdmissionError, OutOfcpu, Evicted, Terminated): it says why in status.reason.

    A container that ended by itself leaves that empty.
    """
    status = pod.get("status") or {}
    return status.get("phase") == "Failed" and bool(status.get("reason"))
