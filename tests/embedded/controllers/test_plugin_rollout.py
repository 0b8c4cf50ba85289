"""A DaemonSet's rollout as the controllers tell it, held against what a start waits for: an old Pod that is going is not passed over."""

from __future__ import annotations

import yaml
from hollow import HollowCluster

from lab_checks.engine import rollout
from tests.conftest import ROOT

NAME = "nvidia-device-plugin-daemonset"


async def test_the_old_plugin_that_is_going_keeps_a_rollout_unfinished_although_nodes_offer_everything(cluster: HollowCluster) -> None:
    described = next(
        each for each in yaml.safe_load_all((ROOT / "manifests/base/gpu-device-plugin.yaml").read_text()) if each["kind"] == "DaemonSet"
    )
    described["metadata"]["namespace"] = cluster.namespace
    template = described["spec"]["template"]["spec"]
    del template["serviceAccountName"], template["priorityClassName"]
    # The hollow nodes have the count of their GPUs and not the label by which the plugin finds them.
    for node in ("ai-lab-worker2", "ai-lab-worker3"):
        await cluster.client.patch("nodes", node, {"metadata": {"labels": {"nvidia.com/gpu.present": "true"}}})
    await cluster.create("daemonsets.apps", described)

    async def unfinished() -> str:
        daemonset, pods = await cluster.get("daemonsets.apps", NAME), await cluster.list("pods", "app=gpu-device-plugin")
        nodes = (await cluster.client.list("nodes")).items
        offered = {each["metadata"]["name"]: each["status"]["allocatable"].get("nvidia.com/gpu", "0") for each in nodes}
        assert (offered["ai-lab-worker2"], offered["ai-lab-worker3"]) == ("2", "1"), "what nodes offer looks right throughout"
        return rollout.unfinished(daemonset, pods, nodes, lambda pod: rollout.REGISTERED)

    async def over() -> bool:
        return not await unfinished()

    await cluster.eventually(over)
    # A finalizer stands for a container that takes its time to end.
    old = (await cluster.list("pods", "app=gpu-device-plugin"))[0]["metadata"]["name"]
    await cluster.client.patch("pods", old, {"metadata": {"finalizers": ["example.com/slow"]}}, cluster.namespace)
    await cluster.client.patch(
        "daemonsets.apps", NAME, {"spec": {"template": {"metadata": {"annotations": {"changed": "once"}}}}}, cluster.namespace
    )
    await cluster.eventually(lambda: _going(cluster, old))
    assert f"{old} is still terminating" in await unfinished()
    await cluster.client.patch("pods", old, {"metadata": {"finalizers": None}}, cluster.namespace)
    await cluster.eventually(over)
    assert old not in {pod["metadata"]["name"] for pod in await cluster.list("pods", "app=gpu-device-plugin")}


async def _going(cluster: HollowCluster, name: str) -> bool:
    return "deletionTimestamp" in (await cluster.get("pods", name))["metadata"]
