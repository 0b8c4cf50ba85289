"""Lab 03-pending: the checks. Nine times the log-summary API has no running Pod, each time for another reason.

Each check asks why the Pod runs, and not whether: what it asks for, whether the rules would place it there again, and what else was changed.
"""

from __future__ import annotations

from typing import Any

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, asked, named, see
from lab_checks.engine.registry import exercise, first_hint
from lab_checks.engine.verdict import Seen, Stop, Verdict, fail, idle, passed, wait
from lab_checks.judging import diagnosis, guards, unchanged
from lab_checks.labs.pending import causes
from lab_checks.labs.pending import guards as pending
from lab_checks.labs.pending.causes import API

LAB = "03-pending"
EXERCISES = (
    "moved-in", "new-card", "rounded-up", "friday-change", "rebuilt-nodes", "hardened-platform", "busy-day", "no-pod", "free-gpu",
)  # fmt: skip
# More causes than this, named one after the other, are guesses: it passes, and the verdict says so.
_GUESSES = 3


def first_question(ctx: Context) -> str:
    """The first hint: a question about what was not looked at yet, else about what the cluster shows now."""
    if not causes.ENGINE.holding(ctx):
        return "None of the causes holds any more: the Pod can be placed. What does the check still miss?"
    pods = ctx.pods_of(ctx.need("deployments", API))
    if not pods:
        return f"`kubectl -n {ctx.namespace} get pods` shows no Pod of {API} at all. Who was to make it, and what do its events say?"
    if not ctx.deeds.looked_at("events", "pods"):
        return "Nothing was looked at yet. What does the scheduler say about the Pod, and in which command's output does it stand?"
    _line, reasons = ctx.why_pending(pods[0])
    parts = "; ".join(f"{each.nodes} × {each.text}" for each in reasons)
    if not ctx.deeds.looked_at("nodes"):
        return f"The scheduler counts {len(ctx.nodes)} nodes: {parts}. Which node is which? What do the nodes themselves say about it?"
    return f"The scheduler counts {len(ctx.nodes)} nodes: {parts}. Which of these is the part that a GPU node said?"


diagnosis.install(causes.ENGINE)
for _each in EXERCISES:
    first_hint(f"{LAB}/{_each}")(first_question)


def begin(ctx: Context, sized: str = "") -> Object:
    """The API's Deployment, where something was done and nothing that the exercise does not allow.

    Where its `sized` resource may be changed, the others could be as well: it asks for as much of them as it did.
    """
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    if unchanged.nothing_done(ctx) and causes.ENGINE.holding(ctx):
        raise _nothing_done(ctx, deployment)
    keeps_its_place(ctx, deployment)
    for resource in {GPU, "cpu", "memory"} - {sized} if sized else ():
        guards.requests_kept(ctx, deployment, resource)
        guards.asks_no_more(ctx, deployment, resource)
    if sized == GPU:
        guards.memory_limited(ctx, deployment)
    return deployment


def keeps_its_place(ctx: Context, owner: Object) -> None:
    """What it says of nodes it says of every node of the kind: it tolerates the GPU taint and no other, and is tied to no node."""
    guards.tolerates_narrowly(owner["spec"]["template"]["spec"], owner)
    guards.tolerates_only_gpus(ctx, owner)
    guards.tied_to_no_node(ctx, owner)


def _nothing_done(ctx: Context, deployment: Object) -> Stop:
    """Not yet, without a word on the cause, which is the learner's to find."""
    pods = ctx.pods_of(deployment)
    seen = see(pods[0], "PodScheduled", ctx.why_pending(pods[0])[0]) if pods else see(deployment, "status.replicas", 0)
    where = f"kubectl -n {ctx.namespace} get events --sort-by=.lastTimestamp"
    if ctx.answers.get("diagnosis", {}).get("accepted"):
        return idle(f"the cause is found, and {API} has no running Pod yet", seen, expected="now the fix", next=where, credit=0.4)
    return idle(f"{API} has no running Pod, and nothing has been done about it yet", seen, expected="the cause, then the fix", next=where)


def runs(ctx: Context, deployment: Object) -> list[Object]:
    """The API's Pods, made from its template, placed and Ready."""
    guards.made_from_template(ctx, deployment)
    pending.still_pending(ctx, deployment)
    return guards.running_and_ready(ctx, deployment)


def done(ctx: Context, pods: list[Object]) -> Verdict:
    """Passed where somebody also said why it did not run."""
    node = ctx.node(pods[0]["spec"]["nodeName"])
    seen = (
        see(pods[0], "spec.nodeName", node.name),
        see(pods[0], f"limits[{GPU}]", int(asked(pods[0]["spec"], GPU))),
        Seen(f"node/{node.name}", f"requested [{GPU}]", f"{node.held} of {node.allocatable}"),
    )
    guards.diagnosed(ctx, *seen)
    tried = ctx.answers["diagnosis"].get("tried", ())
    of = f"{len(tried)} of {len(ctx.exercise.causes)}: read first, name then"
    told = (Seen("your diagnosis", "causes named until one was right", of),) if len(tried) > _GUESSES else ()
    return passed(f"{API} runs, placed by the scheduler, with 1 GPU", *seen, *told)


@exercise(f"{LAB}/moved-in")
def moved_in(ctx: Context) -> Verdict:
    """A toleration for the GPU taint."""
    return done(ctx, runs(ctx, begin(ctx)))


@exercise(f"{LAB}/friday-change")
def friday_change(ctx: Context) -> Verdict:
    """One GPU: what the server can use, and what a node has."""
    deployment = begin(ctx, sized=GPU)
    guards.requests_kept(ctx, deployment, GPU, at_least="1")
    count = int(asked(deployment["spec"]["template"]["spec"], GPU))
    most = max(node.allocatable for node in ctx.gpu_facts)
    if 1 < count <= most:
        raise fail(
            f"the server uses one GPU and asks for {count}",
            see(deployment, f"limits[{GPU}]", count),
            expected="1: a GPU that is held and not used is a GPU that nobody else gets",
            next="how many does the program use? its log says which device it took",
        )
    return done(ctx, runs(ctx, deployment))


@exercise(f"{LAB}/new-card")
def new_card(ctx: Context) -> Verdict:
    """A selector that every A100 node meets and no other node."""
    deployment = begin(ctx)
    guards.admits_exactly(ctx, deployment, "NVIDIA-A100-SXM4-40GB")
    return done(ctx, runs(ctx, deployment))


@exercise(f"{LAB}/rounded-up")
def rounded_up(ctx: Context) -> Verdict:
    """Request and limit in the size of what the server uses."""
    deployment = begin(ctx, sized="memory")
    spec = deployment["spec"]["template"]["spec"]
    # The server's own: what a sidecar asks for does not feed it. What is said for the whole Pod does.
    own = {"containers": [observe.container(spec, "model-server")], "resources": spec.get("resources") or {}}
    request, limit = asked(own, "memory"), asked(own, "memory", "limits")
    if request < amount("64Mi"):
        raise fail(
            f"deployment {API} requests {'no memory' if not request else 'less memory than the server uses'}",
            see(deployment, "requests[memory]", _mib(request)),
            expected="at least 64Mi, which it has in use when idle: a Pod that requests less is the first to be evicted",
            next=f"kubectl -n {ctx.namespace} top pod, once it runs, then size the request from it",
        )
    if limit < amount("96Mi"):
        raise fail(
            f"deployment {API} has {'no memory limit any more' if not limit else 'a memory limit without room above what it uses'}",
            see(deployment, "limits[memory]", _mib(limit) if limit else "<none>"),
            expected="a limit with room for requests in flight: without one a leak takes the node's memory, with too small a one the server is killed",
            next="a limit of some two times the request leaves room for requests in flight",
        )
    if any(request <= placement.allocatable(node, "memory") for node in ctx.nodes) and max(request, limit) > amount("512Mi"):
        raise fail(
            f"deployment {API} still asks for far more memory than it uses",
            see(deployment, "requests[memory], limits[memory]", f"{_mib(request)}, {_mib(limit)}"),
            expected="at most 512Mi: it was written for 192 MiB, and what is requested and not used nobody else can have",
            next="compare the number with the one before the change: which unit was meant?",
        )
    return done(ctx, runs(ctx, deployment))


def _mib(size: Any) -> str:
    return f"{float(size) / 2**20:,.0f}Mi"


@exercise(f"{LAB}/rebuilt-nodes")
def rebuilt_nodes(ctx: Context) -> Verdict:
    """The device plugin on every GPU node, by a DaemonSet, with the rights that it needs and no others."""
    deployment = begin(ctx)
    pending.plugin_reads_nodes_only(ctx)
    guards.plugin_is_a_daemonset(ctx)
    guards.plugin_is_hardened(ctx)
    pods = runs(ctx, deployment)
    guards.plugin_serves(ctx)
    return done(ctx, pods)


@exercise(f"{LAB}/hardened-platform")
def hardened_platform(ctx: Context) -> Verdict:
    """The plugin's DaemonSet tolerates the GPU taint, and that one only."""
    deployment = begin(ctx)
    guards.plugin_is_a_daemonset(ctx)
    guards.plugin_is_hardened(ctx)
    pods = runs(ctx, deployment)
    guards.plugin_serves(ctx)
    return done(ctx, pods)


@exercise(f"{LAB}/busy-day")
def busy_day(ctx: Context) -> Verdict:
    """A GPU that our own idle workload gave back, and research's run goes on undisturbed."""
    guards.pods_kept_running(ctx, "nightly-fine-tune", "it belongs to research, and a restart throws it back by nine hours")
    deployment = begin(ctx)
    pods = runs(ctx, deployment)
    pending.gave_its_gpu_back(ctx, "prompt-playground", deployment)
    return done(ctx, pods)


@exercise(f"{LAB}/no-pod")
def no_pod(ctx: Context) -> Verdict:
    """The budget as the platform team set it, and its one GPU with the API."""
    deployment = begin(ctx)
    if not ctx.pods_of(deployment):
        failure = observe.condition(deployment, "ReplicaFailure")
        room = pending.gpus_left_in_quota(ctx)
        if failure and room < 1 and (moving := pending.on_the_move(ctx) or pending.quota_is_behind(ctx)):
            raise wait(f"there is still no Pod of {API}, and something is still on the move", moving)
        if failure and room < 1:
            raise fail(
                f"there is still no Pod of {API}: admission refuses it",
                see(deployment, "ReplicaFailure", failure.get("message", "")),
                expected="room for one GPU in the quota gpu-budget",
                next=f"kubectl -n {ctx.namespace} describe quota, then: who uses it up?",
            )
        raise wait(
            f"the quota has room for {room} GPU, and the ReplicaSet has not tried again yet",
            see(deployment, "status.replicas", 0),
            expected="it tries again by itself, after longer and longer pauses",
            next=f"wait, or kubectl -n {ctx.namespace} rollout restart deployment/{API}",
        )
    pods = runs(ctx, deployment)
    pending.gave_its_gpu_back(ctx, "ai-log-summary-canary", deployment)
    return done(ctx, pods)


@exercise(f"{LAB}/free-gpu")
def free_gpu(ctx: Context) -> Verdict:
    """The T4's node has CPU again for what needs a GPU, and the indexer works on."""
    deployment, indexer = begin(ctx), ctx.deployment("log-indexer")
    keeps_its_place(ctx, indexer)
    spec = indexer["spec"]["template"]["spec"]
    guards.requests_kept(ctx, indexer, "memory")
    guards.asks_no_more(ctx, indexer, "memory")
    guards.memory_limited(ctx, indexer)
    if asked(spec, "cpu") < amount("40m"):
        raise fail(
            f"{named(indexer)} asks for less CPU than it uses",
            see(indexer, "requests[cpu]", f"{asked(spec, 'cpu'):g}"),
            expected="at least 40m for each worker, which was measured: a request below the use slows it down when the node is busy",
            next="read its annotation: what was measured?",
        )
    pods = runs(ctx, deployment)
    guards.made_from_template(ctx, indexer)
    guards.running_and_ready(ctx, indexer)
    pending.strands_no_gpu_tomorrow(ctx, indexer, amount("500m"))
    return done(ctx, pods)
