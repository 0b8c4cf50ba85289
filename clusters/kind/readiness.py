"""Is the cluster what the labs need: nodes Ready, GPUs allocatable? And if not, what is missing and where to look.

Pure functions from objects (as `kubectl get -o json` prints them) to what is missing.
"""

from __future__ import annotations

from kubeobjects import Object

GPU = "nvidia.com/gpu"


def nodes_missing(nodes: list[Object], expected: tuple[str, ...]) -> str:
    """What keeps the nodes from being Ready, in words; empty where nothing does."""
    by_name = {node["metadata"]["name"]: node for node in nodes}
    absent = [name for name in expected if name not in by_name]
    if absent:
        return f"not registered yet: {', '.join(absent)} (docker logs {absent[0]})"
    waiting = []
    for name in expected:
        ready: Object = next((each for each in by_name[name].get("status", {}).get("conditions", []) if each["type"] == "Ready"), {})
        if ready.get("status") != "True":
            waiting.append(f"{name}: {ready.get('reason', 'no Ready condition')}")
    return f"not Ready: {'; '.join(waiting)} (kubectl describe node {waiting[0].split(':')[0]})" if waiting else ""


def promised(nodes: list[Object]) -> dict[str, int]:
    """How many GPUs each node says on its label that it has."""
    counts = {node["metadata"]["name"]: node["metadata"].get("labels", {}).get("nvidia.com/gpu.count", "") for node in nodes}
    return {name: int(count) for name, count in counts.items() if count.isdecimal()}


def gpus_missing(nodes: list[Object], expected: dict[str, int]) -> str:
    """Which node offers fewer GPUs than it should, in words; empty where none does."""
    offered = {node["metadata"]["name"]: int(node.get("status", {}).get("allocatable", {}).get(GPU, "0")) for node in nodes}
    return "; ".join(
        f"{name} offers {offered.get(name, 0)} of {count} {GPU}" for name, count in expected.items() if offered.get(name, 0) < count
    )


def plugin_moving(daemonsets: list[Object], pods: list[Object]) -> str:
    """What of the GPU plugin's rollout is still to come, in words; empty where nothing is, or where a lab took the plugin away.

    Until it is over, what a node offers may be what the plugin before offered.
    """
    going = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]
    if going:
        return f"{', '.join(going)} is still terminating"
    for daemonset in daemonsets:
        status = daemonset.get("status") or {}
        wanted, updated, ready = (status.get(key, 0) for key in ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady"))
        seen = status.get("observedGeneration", 0) >= daemonset["metadata"].get("generation", 0)
        if not seen or not wanted == updated == ready == len(pods):
            return f"{daemonset['metadata']['name']} has {ready} of {wanted} Pods Ready (kubectl -n kube-system rollout status daemonset)"
    return ""


def plugin_state(pods: list[Object]) -> str:
    """What the GPU plugin's Pods do instead of registering, and where to look."""
    if not pods:
        return "the GPU plugin has no Pods (kubectl -n kube-system describe daemonset nvidia-device-plugin-daemonset)"
    told = []
    for pod in pods:
        states = [each.get("state", {}) for each in pod.get("status", {}).get("containerStatuses", [])]
        waiting = [state["waiting"].get("reason", "waiting") for state in states if "waiting" in state]
        told.append(f"{pod['metadata']['name']}: {', '.join(waiting) or pod.get('status', {}).get('phase', 'unknown')}")
    return f"{'; '.join(told)} (kubectl -n kube-system describe pods -l app=gpu-device-plugin; kubectl -n kube-system logs -l app=gpu-device-plugin)"
