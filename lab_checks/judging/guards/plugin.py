"""The device plugin: a DaemonSet's Pod on every GPU node, and the kubelet offers what is built in."""

from __future__ import annotations

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, named, see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging.guards.pod_security import isolated_from_node
from lab_checks.judging.guards.scheduling import next_of_its_kind, tolerates_narrowly, tolerates_only_gpus

_WANTED_PLUGIN = "a device plugin's Pod on every GPU node, by a DaemonSet that tolerates the taint nvidia.com/gpu"


# Where the kubelet listens for plugins, says who holds what, and where this plugin keeps what it shows containers.
_FOLDERS = ("/var/lib/kubelet/device-plugins", "/var/lib/kubelet/pod-resources", "/var/lib/ai-lab-gpu")


def _plugins(ctx: Context) -> list[Object]:
    return [each for each in ctx.api.list("daemonsets") if observe.is_plugin(each)]


def _serving(ctx: Context, plugins: list[Object], node: str) -> tuple[set[str], bool]:
    """The plugins' DaemonSets, by UID, that have a Ready Pod on the node, and whether a plugin runs there that no DaemonSet made."""
    uids = {each["metadata"]["uid"] for each in plugins}
    sets: set[str] = set()
    by_hand = False
    for pod in ctx.all_pods:
        if pod["spec"].get("nodeName") != node or not observe.is_ready(pod):
            continue
        owners = pod["metadata"].get("ownerReferences") or []
        # A Pod whose DaemonSet was deleted a moment ago is going too.
        going = "deletionTimestamp" in pod["metadata"] or any(owner["kind"] == "DaemonSet" for owner in owners)
        if above := uids & {owner["uid"] for owner in owners}:
            sets |= above
        elif observe.is_plugin({"spec": {"template": pod}}) and not going:
            by_hand = True
    return sets, by_hand


def _served_once(ctx: Context, plugins: list[Object], node: str) -> bool:
    """Whether a DaemonSet's plugin runs on the node; ends the check where there is another one beside it."""
    sets, by_hand = _serving(ctx, plugins, node)
    if sets and (by_hand or len(sets) > 1):
        names = sorted(each["metadata"]["name"] for each in plugins if each["metadata"]["uid"] in sets)
        raise fail(
            f"more than one device plugin runs on {node}",
            Seen(f"node/{node}", "device plugins", ", ".join([*names, *(["a Pod that no DaemonSet made"] if by_hand else [])])),
            expected="one plugin on each GPU node, a DaemonSet's: two of them fight over the devices",
            next="kubectl get daemonsets,pods -A -o wide: which one is new? Delete it",
        )
    return bool(sets)


def plugin_serves(ctx: Context) -> None:
    """On every GPU node one plugin of a DaemonSet runs, and the kubelet offers what is built in."""
    plugins = _plugins(ctx)
    for facts in ctx.gpu_facts:
        if not facts.promised:
            continue
        if not _served_once(ctx, plugins, facts.name):
            by_hand = _serving(ctx, plugins, facts.name)[1]
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


def _chosen(plugin: Object) -> object:
    spec = plugin["spec"]["template"]["spec"]
    return spec.get("nodeSelector") or placement.required_terms(spec) or "<none>"


def _each_gets_somewhere(plugins: list[Object], gpu_nodes: list[Object]) -> None:
    """Ends the check where one of several plugins goes nowhere: the broken one is still there."""
    if len(plugins) < 2:
        return
    for plugin in plugins:
        if not any(placement.admits(plugin["spec"]["template"]["spec"], node) for node in gpu_nodes):
            raise fail(
                f"{named(plugin)} still gets onto no GPU node, and another one was put beside it",
                see(plugin, "status.desiredNumberScheduled", plugin.get("status", {}).get("desiredNumberScheduled", 0)),
                expected="the plugin that is there, repaired",
                next=f"kubectl -n {plugin['metadata']['namespace']} describe daemonset {plugin['metadata']['name']}",
            )


def _goes_nowhere_else(ctx: Context, plugins: list[Object]) -> None:
    """Ends the check where a plugin is let onto a node that is not said to have GPUs."""
    for plugin in plugins:
        for node in ctx.nodes:
            if not observe.promised(node) and placement.admits(plugin["spec"]["template"]["spec"], node):
                raise fail(
                    f"{named(plugin)} goes to {node['metadata']['name']} too, which has no GPU",
                    see(plugin, "nodeSelector, affinity", _chosen(plugin)),
                    expected="a selector by a label that GPU nodes alone carry (nvidia.com/gpu.present): it sits on the kubelet's sockets wherever it runs",
                    next="kubectl get nodes --show-labels",
                )


def _tomorrow(ctx: Context, node: Object) -> list[Object]:
    """Nodes that may join: one like this, and one with a card that the cluster does not have yet."""
    twin = next_of_its_kind(ctx, node)
    labels = {**twin["metadata"]["labels"], f"{GPU}.product": "another-card"}
    return [twin, {**twin, "metadata": {**twin["metadata"], "labels": labels}}]


def _alone(plugin: Object) -> None:
    """Ends the check where another container runs in the plugin's Pods: on every GPU node, with its account and its priority."""
    spec = plugin["spec"]["template"]["spec"]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        if not any(each["mountPath"].rstrip("/") in _FOLDERS for each in container.get("volumeMounts") or []):
            raise fail(
                f"container {container['name']} runs beside the plugin in {named(plugin)}",
                see(plugin, f"containers[{container['name']}].image", container.get("image")),
                expected="the plugin's own container: what else goes to every GPU node has a DaemonSet of its own",
                next=f"kubectl -n {plugin['metadata']['namespace']} edit daemonset {plugin['metadata']['name']}: remove {container['name']}",
            )


def plugin_is_hardened(ctx: Context) -> None:
    """What mounts the kubelet's folders is alone, asks for nothing more, is not the first to be evicted, and is renewed when it is changed."""
    for plugin in _plugins(ctx):
        _alone(plugin)
        spec = plugin["spec"]["template"]["spec"]
        for container in spec["containers"]:
            own = {**(spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
            lax = own.get("allowPrivilegeEscalation") is not False or "ALL" not in (own.get("capabilities") or {}).get("drop", ())
            if lax or own.get("runAsUser") == 0 or (own.get("seccompProfile") or {}).get("type") == "Unconfined":
                raise fail(
                    f"container {container['name']} of {named(plugin)} may do more than it needs",
                    see(plugin, f"containers[{container['name']}].securityContext", own or "<none>"),
                    expected="no privilege escalation and all capabilities dropped: it sits on the kubelet's sockets",
                    next="the course's manifests/base/gpu-device-plugin.yaml has its securityContext",
                )
        if not str(spec.get("priorityClassName", "")).startswith("system-"):
            raise fail(
                f"{named(plugin)} is among the first to be evicted",
                see(plugin, "priorityClassName", spec.get("priorityClassName") or "<none>"),
                expected="system-node-critical: without the plugin its node offers no GPU",
                next="set priorityClassName in the template",
            )
        if (plugin["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
            raise fail(
                f"{named(plugin)} is not renewed when it is changed",
                see(plugin, "spec.updateStrategy.type", "OnDelete"),
                expected="RollingUpdate: a fix has to reach every node by itself",
                next="remove updateStrategy",
            )


def plugin_is_a_daemonset(ctx: Context) -> None:
    """The repaired plugin: a DaemonSet that tolerates the GPU taint narrowly, without privileges, Ready on every GPU node."""
    plugins = _plugins(ctx)
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
        isolated_from_node(spec, plugin, folders=_FOLDERS)
        status = plugin.get("status", {})
        if status.get("observedGeneration", 0) < plugin["metadata"].get("generation", 0):
            raise wait(f"{named(plugin)} has just changed", see(plugin, "status.observedGeneration", "behind metadata.generation"))
    gpu_nodes = [node for node in ctx.nodes if observe.promised(node)]
    _each_gets_somewhere(plugins, gpu_nodes)
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
    _goes_nowhere_else(ctx, plugins)
    for node in gpu_nodes:
        if not all(any(placement.admits(plugin["spec"]["template"]["spec"], each) for plugin in plugins) for each in _tomorrow(ctx, node)):
            raise fail(
                f"the device plugin would not go to the next node like {node['metadata']['name']}",
                see(plugins[0], "nodeSelector, affinity", _chosen(plugins[0])),
                expected="a selector by a label that every GPU node carries from its first day (nvidia.com/gpu.present), not by names or labels of one's own",
                next="kubectl get nodes --show-labels",
            )
        if not _served_once(ctx, plugins, node["metadata"]["name"]):
            raise wait(
                f"the device plugin on {node['metadata']['name']} is not Ready yet",
                Seen("namespace/kube-system", "pods", "none of the plugin's is Ready there"),
                next="kubectl -n kube-system get pods -l app=gpu-device-plugin -o wide",
            )
