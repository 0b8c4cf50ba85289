"""Lab 01-gpu-nodes: a learner's Pod with a GPU: how much it asks for, what it ran, and whether it lets go."""

from __future__ import annotations

import re

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, GPU_TAINT, asked, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, words
from lab_checks.judging.answers import flat
from lab_checks.labs.gpu_nodes import facts

IMAGE = "python:3.12-slim"
TIME_TO_PRINT = 15.0  # seconds that a container may run before its log has to show the device
_UUID = re.compile(r"GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TABLE_HEAD = re.compile(r"\| NVIDIA-SMI [\d.]+ +Driver Version: ")
_CALLED_IN_PYTHON = re.compile(r"(?:subprocess|os\.\w+|popen).*nvidia-smi", re.S | re.I)
# Commands beside nvidia-smi that print nothing that could be taken for its words.
_SILENT = frozenset({"nvidia-smi", "sleep", "true", ":", "exit", "set", "wait", "date", "hostname", "trap", "cd", "test", "["})


def asking(ctx: Context, name: str = "", credit: float = 0.0) -> Object:
    """The newest Pod of the namespace (with `name`: that one) with a GPU among its limits, and no more than one; one like any other."""
    pods = [pod for pod in ctx.pods if "deletionTimestamp" not in pod["metadata"] and name in ("", pod["metadata"]["name"])]
    there = Seen(f"namespace/{ctx.namespace}", "pods", ", ".join(pod["metadata"]["name"] for pod in ctx.pods) or "none")
    if not pods:
        raise words.idle(ctx, "no-pod", there, credit=credit, what=name or f"in {ctx.namespace}")
    with_gpu = [pod for pod in pods if asked(pod["spec"], GPU, "limits")]
    if not with_gpu:
        raise words.fail(ctx, "asks-for-none", see(pods[0], f"limits[{GPU}]", None), credit=credit)
    pod = max(with_gpu, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    count = int(asked(pod["spec"], GPU, "limits"))
    if count > 1:
        raise words.fail(ctx, "asks-for-more", see(pod, f"limits[{GPU}]", count), credit=credit, count=count)
    guards.tolerates_narrowly(pod["spec"], pod)
    guards.tolerates_only(pod["spec"], pod, GPU_TAINT)
    guards.isolated_from_node(pod["spec"], pod)
    guards.like_any_other(pod["spec"], pod)
    return pod


def device_shown(ctx: Context, pod: Object) -> str:
    """The line of the Pod's log in which nvidia-smi names a device of its node, by product or UUID. Ends the check where that is not what it shows."""
    every = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]
    holder = next(each for each in every if asked({"containers": [each]}, GPU, "limits"))
    image = holder["image"].removeprefix("docker.io/").removeprefix("library/")
    ran = guards.commands(holder)
    in_python = any("python" in each[0] and _CALLED_IN_PYTHON.search(" ".join(each)) for each in ran)
    written = " ".join([*(holder.get("command") or []), *(holder.get("args") or [])])
    if image != IMAGE or not (in_python or guards.runs(holder, "nvidia-smi")):
        raise words.fail(ctx, "another-program", see(pod, "image", image), see(pod, "command", written))
    guards.nothing_over_the_program(holder, pod)
    guards.no_lying_variable(holder, pod)
    log = ctx.api.log(pod, holder["name"])
    node = next(each for each in ctx.nodes if each["metadata"]["name"] == pod["spec"]["nodeName"])
    product = flat((node["metadata"].get("labels") or {}).get(f"{GPU}.product", ""))
    known = set(_UUID.findall(facts.plugin_log(ctx, node["metadata"]["name"])))
    # Where something else may have printed it, the line alone is not enough: the tool's table has a head, and its list the device's UUID.
    alone = not in_python and all(each[0].rpartition("/")[2] in _SILENT for each in ran)
    for line in log.splitlines():
        by_uuid = known & set(_UUID.findall(line))
        if not by_uuid and not (product and product in flat(line)):
            continue
        if any(each and flat(each) in flat(written) for each in (product, *known)):
            raise words.fail(ctx, "echoed", see(pod, "command", written))
        if alone or by_uuid or _TABLE_HEAD.search(log):
            return line.strip(" |")
    look = f"kubectl -n {ctx.namespace} logs {pod['metadata']['name']}"
    printed = see(pod, "log", log.splitlines()[-1][:120] if log else "empty")
    if pod["status"].get("phase") == "Running" and (not log or observe.running_for(pod, holder["name"]) < TIME_TO_PRINT):
        raise words.wait(ctx, "prints-none-yet", printed, look=look)
    raise words.fail(ctx, "shows-none", printed)


def let_go(ctx: Context, pod: Object) -> None:
    """The Pod is over, so that its GPU is free again, and no other Pod of the learner's holds one."""
    guards.no_other_holds_a_gpu(ctx, pod)
    phase, policy = pod["status"].get("phase", ""), pod["spec"].get("restartPolicy", "")
    if phase != "Succeeded":
        seen = (see(pod, "status.phase", phase), see(pod, "spec.restartPolicy", policy))
        raise (
            words.fail(ctx, "starts-for-ever", *seen, credit=0.8)
            if policy == "Always"
            else words.wait(ctx, "still-holds", *seen, credit=0.8)
        )
