"""The device plugin: a DaemonSet's Pod on every GPU node, and the kubelet offers what is built in."""

from __future__ import annotations

from typing import Any

from lab_checks import causes, observe, placement
from lab_checks.context import Context
from lab_checks.guards.scheduling import tolerates_narrowly, tolerates_only_gpus
from lab_checks.guards.walls import not_privileged
from lab_checks.observe import GPU, named, see
from lab_checks.verdict import Seen, fail, wait

Object = dict[str, Any]

_WANTED_PLUGIN = "a device plugin's Pod on every GPU node, by a DaemonSet that tolerates the taint nvidia.com/gpu"


def _serving(ctx: Context, node: str) -> tuple[bool, bool]:
    """Whether a Ready Pod of a device plugin's DaemonSet runs on the node, and whether a plugin runs there that no DaemonSet made."""
    plugins = {each["metadata"]["uid"] for each in ctx.api.list("daemonsets") if causes.is_plugin(each)}
    by_set = by_hand = False
    for pod in ctx.all_pods:
        if pod["spec"].get("nodeName") != node or not observe.is_ready(pod):
            continue
        if any(owner["uid"] in plugins for owner in pod["metadata"].get("ownerReferences") or []):
            by_set = True
        elif causes.is_plugin({"spec": {"template": pod}}):
            by_hand = True
    return by_set, by_hand


def plugin_serves(ctx: Context) -> None:
    """On every GPU node a plugin of a DaemonSet runs, and the kubelet offers what is built in."""
    for facts in ctx.gpu_facts:
        if not facts.promised:
            continue
        by_set, by_hand = _serving(ctx, facts.name)
        if not by_set:
            raise fail(
                f"the device plugin on {facts.name} is {'a Pod by hand' if by_hand else 'not running'}",
                Seen(f"node/{facts.name}", f"allocatable[{GPU}]", f"{facts.allocatable} of {facts.promised}"),
                expected="a device plugin on every GPU node, made by a DaemonSet: nodes come and go, and each needs one",
                next="kubectl -n kube-system get daemonset,pod -l app=gpu-device-plugin -o wide",
            )
        if facts.allocatable < facts.promised:
            raise wait(
                f"{facts.name} offers {facts.allocatable} of its {facts.promised} GPUs so far",
                Seen(f"node/{facts.name}", f"allocatable[{GPU}]", str(facts.allocatable)),
                next=f"kubectl describe node {facts.name}",
            )


def plugin_is_a_daemonset(ctx: Context) -> None:
    """The repaired plugin: a DaemonSet that tolerates the GPU taint narrowly, without privileges, Ready on every GPU node."""
    plugins = [each for each in ctx.api.list("daemonsets") if causes.is_plugin(each)]
    if not plugins:
        raise fail(
            "there is no DaemonSet of a device plugin",
            Seen("namespace/kube-system", "daemonsets", "none is a device plugin"),
            expected=_WANTED_PLUGIN,
            next="kubectl -n kube-system get daemonset",
        )
    for plugin in plugins:
        spec = plugin["spec"]["template"]["spec"]
        tolerates_narrowly(spec, plugin)
        tolerates_only_gpus(ctx, plugin)
        not_privileged(spec, plugin)
        status = plugin.get("status", {})
        if status.get("observedGeneration", 0) < plugin["metadata"].get("generation", 0):
            raise wait(f"{named(plugin)} has just changed", see(plugin, "status.observedGeneration", "behind metadata.generation"))
    gpu_nodes = [node for node in ctx.nodes if causes.promised(node)]
    for node in gpu_nodes:
        if not any(placement.admits(plugin["spec"]["template"]["spec"], node) for plugin in plugins):
            plugin = plugins[0]
            desired = plugin.get("status", {}).get("desiredNumberScheduled", 0)
            raise fail(
                f"{named(plugin)} is not let onto {node['metadata']['name']}",
                see(plugin, "status.desiredNumberScheduled", f"{desired}, GPU nodes: {len(gpu_nodes)}"),
                expected=_WANTED_PLUGIN,
                next="kubectl -n kube-system describe daemonset, and kubectl describe node: what keeps Pods off?",
            )
        if not _serving(ctx, node["metadata"]["name"])[0]:
            raise wait(
                f"the device plugin on {node['metadata']['name']} is not Ready yet",
                Seen("namespace/kube-system", "pods", "none of the plugin's is Ready there"),
                next="kubectl -n kube-system get pods -l app=gpu-device-plugin -o wide",
            )
