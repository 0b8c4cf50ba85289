"""Is the cluster what the labs need: nodes Ready, GPUs allocatable? And if not, what is missing and where to look.

Pure functions from objects (as `kubectl get -o json` prints them) to what is missing.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

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


def gpus_missing(nodes: list[Object]) -> str:
    """Which node offers fewer GPUs than its label promises, in words; empty where none does."""
    short = []
    for node in nodes:
        promised = int(node["metadata"].get("labels", {}).get("nvidia.com/gpu.count", "0"))
        offered = int(node.get("status", {}).get("allocatable", {}).get(GPU, "0"))
        if offered < promised:
            short.append(f"{node['metadata']['name']} offers {offered} of {promised} {GPU}")
    return (
        f"{'; '.join(short)} (kubectl -n kube-system get pods -l app=gpu-device-plugin -o wide; kubectl -n kube-system logs -l app=gpu-device-plugin)"
        if short
        else ""
    )
