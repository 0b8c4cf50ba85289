"""Lab 01-gpu-nodes: guards of its own, beside those in `lab_checks.judging.guards`. Each ends the check with the words for one tempting wrong way."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.verdict import Seen, fail, idle, wait
from lab_checks.judging import guards
from lab_checks.labs.gpu_nodes import facts
from lab_checks.labs.gpu_nodes.repair import REPAIRED, XID

_UUID = re.compile(r"GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WRITTEN = ("command", "args", "env", "image")


def cluster_untouched(ctx: Context) -> None:
    """Nodes, their status, the plugin and other workloads are as they were, and nobody bound a Pod by hand."""
    guards.nodes_untouched(ctx)
    guards.node_status_untouched(ctx)
    guards.others_untouched(ctx)
    guards.bound_by_scheduler(ctx)


def pod_with_a_gpu(ctx: Context, credit: float = 0.0) -> Object:
    """The newest Pod of the namespace that asks for a GPU; ends the check where there is none."""
    pods = [pod for pod in ctx.pods if "deletionTimestamp" not in pod["metadata"]]
    if not pods:
        raise idle(
            f"there is no Pod in {ctx.namespace}",
            Seen(f"namespace/{ctx.namespace}", "pods", "none"),
            expected=f"a Pod with the limit {GPU}: 1",
            next="kubectl apply -f your manifest",
            credit=credit,
        )
    asking = [pod for pod in pods if asked(pod["spec"], GPU, "limits")]
    if not asking:
        raise fail(
            f"no Pod in {ctx.namespace} asks for {GPU}",
            see(pods[0], f"limits[{GPU}]", "<none>"),
            expected="a limit of 1: it is the limit that asks for a device. A variable, an image or a node alone brings none",
            next="put nvidia.com/gpu: 1 under the container's resources.limits",
            credit=credit,
        )
    return max(asking, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def modest(ctx: Context, pod: Object) -> None:
    """The Pod asks for one GPU and opens no other way to the node's devices."""
    count = int(asked(pod["spec"], GPU, "limits"))
    if count > 1:
        raise fail(
            f"the Pod asks for {count} GPUs and uses one",
            see(pod, f"limits[{GPU}]", count),
            expected="1: a device that is held and not used is a device that nobody else gets",
            next="set the limit to 1; resources of a Pod that is there cannot be changed, so delete it and lay it again",
        )
    guards.tolerates_narrowly(pod["spec"], pod)
    guards.walled(pod["spec"], pod)


def took_off(ctx: Context, pod: Object) -> None:
    """The Pod has a node and its container was started; ends the check with what keeps it."""
    look = f"kubectl -n {ctx.namespace} describe pod {pod['metadata']['name']}"
    if observe.is_pending_for_a_node(pod):
        line, _reasons = ctx.why_pending(pod)
        if not line:
            raise wait("the Pod waits for the scheduler", see(pod, "status.phase", "Pending"))
        raise fail("the Pod is Pending", see(pod, "PodScheduled", line), expected="a node that takes it", next=look)
    for ending in observe.endings(pod):
        if ending.code:
            raise fail(
                f"the container ended with exit code {ending.code}",
                see(pod, f"containerStatuses[{ending.container}]", f"{ending.reason}, exit code {ending.code}"),
                expected="nvidia-smi that ends with 0",
                next=f"kubectl -n {ctx.namespace} logs {pod['metadata']['name']}",
            )
    if pod.get("status", {}).get("phase") == "Failed":
        said = pod["status"].get("message") or pod["status"].get("reason", "")
        raise fail("the Pod failed before its container ran", see(pod, "status", said), expected="a Pod that its node admits", next=look)
    for status in pod.get("status", {}).get("containerStatuses") or []:
        reason = status.get("state", {}).get("waiting", {}).get("reason", "")
        if reason.startswith(("ErrImage", "ImagePull", "InvalidImage", "CreateContainer", "RunContainer")):
            raise fail(f"the container cannot start: {reason}", see(pod, f"containerStatuses[{status['name']}]", reason), next=look)
    if pod.get("status", {}).get("phase") not in ("Running", "Succeeded"):
        raise wait("the Pod has a node, and its container starts", see(pod, "status.phase", pod.get("status", {}).get("phase", "")))


def placed(ctx: Context, pod: Object) -> None:
    """The scheduler chose the node: its event on the Pod says so, where the Pod has events at all; and by its rules it would again."""
    mine = [each for each in ctx.events if each["involvedObject"].get("uid") == pod["metadata"]["uid"]]
    if mine and not any(each["reason"] == "Scheduled" for each in mine):
        raise fail(
            "the Pod was put on its node by name",
            see(pod, "spec.nodeName", pod["spec"]["nodeName"]),
            expected="the scheduler's choice: nodeName goes around it, and around what is free on the node",
            next="remove nodeName, and tolerate the taint",
        )
    guards.would_be_placed_again(ctx, pod)


def device_shown(ctx: Context, pod: Object, node: Object) -> str:
    """The line of the Pod's log that names a device of its node, by product or UUID. Ends the check where there is none, or where it was only echoed."""
    holder = next(each for each in pod["spec"]["containers"] if asked({"containers": [each]}, GPU, "limits"))
    log = ctx.api.log(pod, holder["name"])
    product = _flat((node["metadata"].get("labels") or {}).get(f"{GPU}.product", ""))
    known = set(_UUID.findall(facts.plugin_log(ctx, node["metadata"]["name"])))
    written = _flat(json.dumps([holder.get(key) for key in _WRITTEN]))
    look = f"kubectl -n {ctx.namespace} logs {pod['metadata']['name']}"
    for line in log.splitlines():
        if (product and product in _flat(line)) or known & set(_UUID.findall(line)):
            if (product and product in written) or any(_flat(each) in written for each in known):
                raise fail(
                    "the log names a device because the Pod's own command does",
                    see(pod, "command", holder.get("command") or holder.get("args")),
                    expected="the device as nvidia-smi found it",
                    next="command: [nvidia-smi]",
                )
            return line.strip(" |")
    if pod["status"].get("phase") == "Running" and not log:
        raise wait("the Pod runs, and has printed nothing yet", see(pod, "log", "empty"), next=look)
    raise fail(
        "the Pod's log shows no device",
        see(pod, "log", log.splitlines()[-1][:120] if log else "empty"),
        expected="nvidia-smi's table, which names the device",
        next="let the container's command be nvidia-smi",
    )


def _flat(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def refusal_quoted(wish: str, quote: str, refusals: Mapping[str, str]) -> bool:
    """Whether the quote is what the API server says to this wish, and to no other. Ends the check where it is not."""
    held = facts.answers_to(quote, refusals)
    here = Seen(f"answer {wish}", "", quote.splitlines()[0][:120])
    look = f"kubectl create --dry-run=server -f $AI_LAB_COURSE/manifests/01-gpu-nodes/half-a-gpu/wishes/{wish.replace('_', '-')}.yaml"
    if wish not in held:
        others = f"it says that to {held[0]}" if held else "it says that to none of the three"
        raise fail(
            f"that is not what the API server says to {wish}: {others}", here, expected="its own words, copied", next=look, credit=0.2
        )
    if len(held) > 1:
        raise fail(
            f"what is quoted for {wish} stands in more than one refusal", here, expected="the part that says why this one is refused", next=look, credit=0.2
        )  # fmt: skip
    return True


def plugin_not_restarted(ctx: Context) -> None:
    """The plugin's Pods are the ones of the start."""
    now = {pod["metadata"]["uid"] for pod in ctx.all_pods if "deletionTimestamp" not in pod["metadata"]}
    plugin_sets = [each["metadata"]["name"] for each in ctx.api.list("daemonsets", "kube-system") if observe.is_plugin(each)]
    for name, row in ctx.baseline["namespaces"]["kube-system"]["pods"].items():
        known = row["owner"] in plugin_sets or row["labels"].get("app") == "gpu-device-plugin"
        if known and row["uid"] not in now:
            raise fail(
                f"the device plugin on {row['node']} was restarted",
                Seen(f"pod/{name}", "", "gone"),
                expected="the plugin as it was: it only reports what the driver says, and a restart takes its log away",
                next=f"ai-lab reset {ctx.exercise.key}; read the plugin's log before anything else",
            )


def repaired_by_technician(ctx: Context, node: Object) -> bool:
    """Whether the node's note of a repair names the fault of the start; that no learner wrote it is judged by who was connected (unchanged.py)."""
    before = ctx.baseline["nodes"][node["metadata"]["name"]]["faults"].get(XID)
    return before is not None and (node["metadata"].get("annotations") or {}).get(REPAIRED) == before


def fault_answered(ctx: Context, fault: facts.Fault, *, idle_when_silent: bool) -> None:
    """Node, count and Xid as the cluster had them when the exercise began."""
    given = {name: ctx.answers.get(name) for name in ctx.exercise.answers}
    missing = [name for name, value in given.items() if value in (None, "")]
    if missing:
        end = idle if idle_when_silent else wait
        raise end(
            f"not answered yet: {', '.join(missing)}",
            expected="where the sick device is, how many are left there, and what the driver reported",
            next=f'lab.answer("{ctx.exercise.id}", node="…", allocatable=…, xid=…)',
        )
    if given["node"] != fault.node:
        wrong = next((each for each in ctx.gpu_facts if each.name == given["node"]), None)
        said = f"capacity {wrong.capacity}, allocatable {wrong.allocatable}" if wrong else "there is no such node"
        raise fail(
            f"the sick device is not on {given['node']}",
            Seen(f"node/{given['node']}", GPU, said),
            expected="the node on which Allocatable was less than Capacity",
            next="kubectl describe node, for each GPU node: Capacity and Allocatable",
        )
    if _number(given["allocatable"]) != fault.left:
        capacity = ctx.node(fault.node).capacity
        why = "that is its capacity, the sick one included" if _number(given["allocatable"]) == capacity else "Allocatable said otherwise"
        raise fail(
            f"{fault.node} could not give {given['allocatable']} GPUs while one was sick: {why}",
            Seen(f"node/{fault.node}", f"capacity[{GPU}]", str(capacity)),
            expected="Allocatable: what Pods can be given",
            next=f"kubectl describe node {fault.node}: Allocatable",
            credit=0.2,
        )
    if _number(given["xid"]) != fault.xid:
        raise fail(
            f"the driver did not report Xid {given['xid']}",
            Seen(f"node/{fault.node}", "plugin's log", next((line for line in _xid_lines(ctx, fault.node)), "no Xid")),
            expected="the number behind Xid= in the plugin's log",
            next="kubectl -n kube-system logs -l app=gpu-device-plugin --prefix | grep Xid",
            credit=0.3,
        )


def _xid_lines(ctx: Context, node: str) -> list[str]:
    # The number itself is the learner's to read.
    return [re.sub(r"Xid=\d+", "Xid=…", line) for line in facts.plugin_log(ctx, node).splitlines() if "Xid" in line]


def _number(value: object) -> int | None:
    found = re.fullmatch(r"\s*(?:xid\s*=?\s*)?(\d+)\s*", str(value), re.I)
    return int(found.group(1)) if found else None


def template_untouched(ctx: Context, deployment: Object) -> None:
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][deployment["metadata"]["name"]]
    if deployment["spec"]["template"]["spec"] != before["template"] or deployment["spec"].get("replicas") != before["replicas"]:
        raise fail(
            f"{named(deployment)} was changed",
            see(deployment, "metadata.generation", deployment["metadata"].get("generation")),
            expected="the Deployment as it was: its request is right, and this exercise only looks",
            next=f"ai-lab reset {ctx.exercise.key}",
        )


def why_answered(ctx: Context, name: str, line: str, wanted: int, credit: float) -> None:
    """The cause named for one worker holds there, and the quoted line shows it."""
    node = ctx.node(f"ai-lab-{name}")
    has_plugin = facts.plugin_pod(ctx.all_pods, node.name) is not None
    truth = facts.why_not(node, wanted, has_plugin)
    given = str(ctx.answers.get(name) or "")
    numbers = Seen(
        f"node/{node.name}",
        GPU,
        f"promised {node.promised}, capacity {node.capacity}, allocatable {node.allocatable}, held {node.held}; plugin "
        + ("Ready" if has_plugin else "not there"),
    )
    if not given:
        raise wait(
            f"not answered yet: {name}",
            expected="one of " + ", ".join(facts.WHYS),
            next=f"kubectl describe node {node.name}",
            credit=credit,
        )
    if given not in facts.WHYS:
        raise fail(f'"{given}" is not one of the causes to choose from', expected=", ".join(facts.WHYS), credit=credit)
    if given != truth:
        raise fail(
            f"{given} does not hold on {node.name}",
            numbers,
            expected="the cause that these numbers show",
            next=f"kubectl describe node {node.name}: labels, Capacity, Allocatable, Allocated resources",
            credit=credit,
        )
    if not line:
        return
    quote = str(ctx.answers.get(line) or "")
    if not quote:
        raise wait(
            f"{name} is named, and nothing is quoted for it",
            expected=f"{line}: the line that shows it",
            next=f'lab.answer("{ctx.exercise.id}", {line}="…")',
            credit=credit,
        )
    if not facts.quoted(quote, facts.telling(truth, node, facts.plugin_log(ctx, node.name)), facts.core(truth, node)):
        raise fail(
            f"what is quoted for {name} does not show {given}",
            Seen(f"answer {line}", "", quote.splitlines()[0][:120]),
            expected="a line from the node, or from its plugin's log, that shows this cause and no other",
            next=f"kubectl describe node {node.name}; kubectl -n kube-system logs -l app=gpu-device-plugin --prefix",
            credit=credit,
        )
