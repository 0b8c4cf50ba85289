"""Lab 03-pending: guards of its own, beside those in `lab_checks.judging.guards`. Each ends the check with the words for one tempting wrong fix."""

from __future__ import annotations

from decimal import Decimal

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, asked, named, see
from lab_checks.engine.verdict import Seen, fail, idle, wait
from lab_checks.judging import guards
from lab_checks.labs.pending import causes

RESTARTED = "kubectl.kubernetes.io/restartedAt"
_SAME = ("image", "command", "args", "env", "envFrom")
# A scheduler looks again within a second of a change; a busy machine needs a little longer.
_SETTLE_SECONDS = 3.0


def _before(ctx: Context, name: str) -> Object:
    row: Object = ctx.baseline["namespaces"][ctx.namespace]["deployments"].get(name, {}).get("template", {})
    return row


def same_server(ctx: Context, owner: Object) -> None:
    """The containers run the same image with the same settings and the same readiness probe, and open no door to the node."""
    spec, before = owner["spec"]["template"]["spec"], _before(ctx, owner["metadata"]["name"])
    guards.walled(spec, owner, before)
    if spec.get("schedulerName", "default-scheduler") != before.get("schedulerName", "default-scheduler"):
        raise fail(
            f"{named(owner)} asks for another scheduler", see(owner, "schedulerName", spec["schedulerName"]), next="remove schedulerName"
        )
    same_program(ctx, owner)
    for old in before.get("containers") or []:
        new = observe.container(spec, old["name"])
        if asked({"containers": [old]}, GPU) and not asked({"containers": [new]}, GPU):
            raise fail(
                f"container {old['name']} of {named(owner)} no longer asks for {GPU}",
                see(owner, f"containers[{old['name']}].resources.limits", (new.get("resources") or {}).get("limits", {})),
                expected="the GPU in the container that runs the model: a device is given to one container, not to the Pod",
                next="put the limit back where it was",
            )
        if probe_question(old) != probe_question(new):
            raise fail(
                f"the readiness probe of {named(owner)} is {'gone' if not probe_question(new) else 'another'}",
                see(owner, f"containers[{old['name']}].readinessProbe", probe_question(new) or "<none>"),
                expected="the probe that asks the model: a Pod that was never placed did not fail a probe",
                next="put the readinessProbe back",
            )


def same_program(ctx: Context, owner: Object) -> None:
    """The containers run the same image with the same command and the same settings."""
    spec, before = owner["spec"]["template"]["spec"], _before(ctx, owner["metadata"]["name"])
    for old in before.get("containers") or []:
        new = observe.container(spec, old["name"])
        if not new:
            raise fail(
                f"{named(owner)} has no container {old['name']} any more", see(owner, "containers", [each["name"] for each in spec["containers"]]),
                expected="the same server", next=f"ai-lab reset {ctx.exercise.key}",
            )  # fmt: skip
        for key in _SAME:
            if new.get(key) != old.get(key):
                raise fail(
                    f"{named(owner)} no longer runs what it ran",
                    see(owner, f"containers[{old['name']}].{key}", new.get(key)),
                    expected=f"{key} as it was: the Pod is to be placed, and the program is not what kept it off the nodes",
                    next=f"ai-lab reset {ctx.exercise.key}",
                )


def probe_question(container: Object) -> Object:
    """What a readiness probe asks, without how often."""
    probe = container.get("readinessProbe") or {}
    kinds = ("httpGet", "exec", "tcpSocket", "grpc")
    return {key: {part: value for part, value in probe[key].items() if part != "scheme"} for key in kinds if key in probe}


def untouched(ctx: Context, deployment: Object) -> None:
    """Ends the check as not yet where nothing was done so far: without a word on the cause, which is the learner's to find."""
    name = deployment["metadata"]["name"]
    pods = ctx.pods_of(deployment)
    known = {row["uid"] for row in ctx.baseline["namespaces"][ctx.namespace]["pods"].values()}
    if ctx.deeds.changes() or any(pod["metadata"]["uid"] not in known or pod["spec"].get("nodeName") for pod in pods):
        return
    if deployment["spec"]["template"]["spec"] != _before(ctx, name):
        return
    if not causes.found(causes.Scene(deployment, ctx.nodes, ctx.all_pods, ctx.api.list("daemonsets"))):
        return
    seen = see(pods[0], "PodScheduled", ctx.why_pending(pods[0])[0]) if pods else see(deployment, "status.replicas", 0)
    where = f"kubectl -n {ctx.namespace} get events --sort-by=.lastTimestamp"
    if ctx.answers.get("diagnosis", {}).get("accepted"):
        raise idle(f"the cause is found, and {name} has no running Pod yet", seen, expected="now the fix", next=where, credit=0.4)
    raise idle(f"{name} has no running Pod, and nothing has been done about it yet", seen, expected="the cause, then the fix", next=where)


def still_pending(ctx: Context, deployment: Object) -> None:
    """Ends the check where a Pod waits for a node: with what was tried, as far as it can be seen."""
    pending = [pod for pod in ctx.pods_of(deployment) if observe.is_pending_for_a_node(pod)]
    if not pending:
        return
    name = deployment["metadata"]["name"]
    line, reasons = ctx.why_pending(pending[0])
    if gates := pending[0]["spec"].get("schedulingGates"):
        raise fail(
            f"the Pod of {name} has a scheduling gate",
            see(pending[0], "spec.schedulingGates", [gate["name"] for gate in gates]),
            expected="no gate: the scheduler does not even look at a Pod that has one",
            next="remove schedulingGates from the template",
        )
    if line and not on_the_move(ctx) and (others := [each.text for each in reasons if each.kind == "other"]):
        raise fail(
            f"the Pod of {name} is still Pending, for a reason that is none of the nodes' own",
            see(pending[0], "PodScheduled", line),
            expected=f"no rule in the Pod that no node can meet: {'; '.join(others)}",
            next=f"kubectl -n {ctx.namespace} get deployment {name} -o yaml: what was added to the template?",
        )
    if not line or not causes.found(causes.Scene(deployment, ctx.nodes, ctx.all_pods, ctx.api.list("daemonsets"))):
        raise wait(f"a Pod of {name} waits for the scheduler", see(pending[0], "status.phase", "Pending"))
    if moving := on_the_move(ctx):
        raise wait(f"a Pod of {name} is Pending, and something is still on the move", moving)
    seen = see(pending[0], "PodScheduled", line)
    where = f"kubectl -n {ctx.namespace} describe pod {pending[0]['metadata']['name']}"
    before = {row["uid"] for row in ctx.baseline["namespaces"][ctx.namespace]["pods"].values()}
    template = deployment["spec"]["template"]
    if _same_needs(template["spec"], _before(ctx, name)):
        if RESTARTED in (template["metadata"].get("annotations") or {}):
            raise fail(
                f"{name} was restarted, and its new Pod is Pending for the same reason",
                seen,
                expected="a change to what keeps the Pod off the nodes: a restart asks the scheduler the same question again",
                next=where,
            )
        if before and all(pod["metadata"]["uid"] not in before for pod in pending):
            raise fail(
                f"the Pod of {name} was deleted, and the next one is Pending for the same reason",
                seen,
                expected="a change to what keeps the Pod off the nodes: its ReplicaSet makes every Pod from the same template",
                next=where,
            )
    raise fail(f"the Pod of {name} is still Pending", seen, expected="a node that takes it, by the rules that are there", next=where)


def on_the_move(ctx: Context) -> Seen | None:
    """What may make room in a moment: a Pod that is going, a workload that changes its size, a command of just now."""
    for pod in ctx.pods:
        if "deletionTimestamp" in pod["metadata"]:
            return see(pod, "metadata.deletionTimestamp", pod["metadata"]["deletionTimestamp"])
    for each in ctx.api.list("deployments", ctx.namespace):
        status = each.get("status", {})
        if status.get("replicas", 0) > each["spec"].get("replicas", 1):
            return see(each, "status.replicas", f"{status['replicas']}, wants {each['spec'].get('replicas', 1)}")
    latest = max((deed.at for deed in ctx.deeds.changes()), default=0.0)
    if ctx.now - latest < _SETTLE_SECONDS:
        return Seen("cluster", "last change", f"{ctx.now - latest:.0f} s ago")
    return None


def _same_needs(spec: Object, before: Object) -> bool:
    keys = ("tolerations", "nodeSelector", "affinity")
    return all((spec.get(key) or None) == (before.get(key) or None) for key in keys) and [
        each.get("resources") for each in spec["containers"]
    ] == [each.get("resources") for each in before.get("containers") or []]


def does_not_wait_for_it(ctx: Context, name: str, owner: Object) -> None:
    """The workload that gave a GPU back does not stand in line for the same GPU, save behind one of higher priority.

    It stands there with a Pod that no node takes, or with one that a spent quota does not even let it make.
    """
    other = ctx.need("deployments", name)
    mine = max((pod["spec"].get("priority", 0) for pod in ctx.pods_of(owner)), default=0)
    theirs = ctx.pods_of(other)
    waiting = [pod for pod in theirs if observe.is_pending_for_a_node(pod) and pod["spec"].get("priority", 0) >= mine]
    wanted = other["spec"].get("replicas", 1)
    if waiting or (asked(other["spec"]["template"]["spec"], GPU) and len(theirs) < wanted):
        raise fail(
            f"{name} waits for the GPU that {owner['metadata']['name']} has now",
            see(other, "spec.replicas", f"{wanted}, and {len(theirs) - len(waiting)} of them are placed"),
            expected=f"{name} without a GPU: at the next rollout the two change places",
            next=f"kubectl -n {ctx.namespace} describe deployment {name}: what does it say may be done with it?",
        )


def quota_respected(ctx: Context) -> None:
    """The quota is what it was, was not loosened for a moment, and what runs keeps to it."""
    for deed in ctx.deeds.changes("resourcequotas", "resourcequotas/status"):
        done = "deleted" if deed.verb.startswith("delete") else "added" if deed.verb == "create" else "changed"
        raise fail(
            f"the quota {deed.name or 'of the namespace'} was {done}",
            Seen(f"resourcequota/{deed.name}", "", f"{deed.verb} by {deed.agent.split('/')[0]}"),
            expected="the platform team's quota as it was: it is what keeps one team from taking every GPU",
            next=f"ai-lab reset {ctx.exercise.key}; then find what in your own namespace uses the quota up",
        )
    for quota in ctx.api.list("resourcequotas", ctx.namespace):
        hard = quota.get("status", {}).get("hard", {}).get(f"requests.{GPU}")
        used = sum(
            (asked(pod["spec"], GPU) for pod in ctx.pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")), Decimal(0)
        )
        if hard is not None and used > amount(hard):
            raise fail(
                f"the namespace holds {used} GPUs and its quota allows {hard}",
                see(quota, f"hard[requests.{GPU}]", hard),
                expected="no more than the quota: it was lifted for a moment",
                next=f"ai-lab reset {ctx.exercise.key}",
            )


def gpus_left_in_quota(ctx: Context) -> int:
    rooms = [
        int(amount(quota["status"]["hard"][f"requests.{GPU}"]) - amount(quota["status"].get("used", {}).get(f"requests.{GPU}", "0")))
        for quota in ctx.api.list("resourcequotas", ctx.namespace)
        if f"requests.{GPU}" in quota.get("status", {}).get("hard", {})
    ]
    return min(rooms, default=99)


def no_gpu_stranded(ctx: Context, cpu: Decimal) -> None:
    """Where a GPU is free there is CPU for the server that will use it."""
    for node in ctx.nodes:
        if placement.left(node, ctx.all_pods, GPU) >= 1 and placement.left(node, ctx.all_pods, "cpu") < cpu:
            name = node["metadata"]["name"]
            raise fail(
                f"now the GPUs of {name} are stranded",
                Seen(f"node/{name}", "allocatable minus requested [cpu]", f"{placement.left(node, ctx.all_pods, 'cpu'):g}"),
                expected=f"{cpu:g} CPU left on every node with a free GPU: what needs no GPU belongs on ai-lab-worker",
                next=f"kubectl describe node {name}",
            )
