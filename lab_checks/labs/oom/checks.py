"""Lab 05-oom: the checks. Which memory ran out, what the server needs by its own measurement, and sizes that follow from it."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, see
from lab_checks.engine.registry import diagnosis, exercise, first_hint
from lab_checks.engine.verdict import Seen, Verdict, fail, idle, passed, wait
from lab_checks.judging import guards
from lab_checks.labs.oom import causes as oom_causes
from lab_checks.labs.oom import guards as oom_guards
from lab_checks.labs.oom import sizes as oom_sizes
from lab_checks.labs.oom.guards import API, SERVER, TOOLS
from lab_checks.labs.oom.sizes import Measured

LAB = "05-oom"
SIDECAR = "log-shipper"
# So many requests under the load, and as many seconds, before it is said to stand it.
_REQUESTS, _SECONDS = 30, 4.0

for _name in ("killed-at-load", "killed-under-load", "gpu-memory"):
    diagnosis(f"{LAB}/{_name}")(oom_causes.judge)


def first_question(ctx: Context) -> str:
    """The first hint: about what was not looked at, else about how the container ended."""
    deployment = ctx.need("deployments", API)
    endings = [ending for pod in ctx.pods_of(deployment) for ending in observe.endings(pod)]
    if not endings:
        return "No container of the API has ended since the last change. What does the check still miss?"
    if not ctx.deeds.looked_at("pods"):
        return f"Its container has ended {endings[0].restarts} times. Which command shows how it ended the last time, with reason and exit code?"
    if not ctx.deeds.looked_at("pods/log"):
        return f"It ended with exit code {endings[0].code}. Is that a kill from outside or the program's own word, and what did its log say last?"
    return f"Reason {endings[0].reason or 'Error'}, exit code {endings[0].code}: which of the memories does that speak of?"


for _name in ("killed-at-load", "killed-under-load", "gpu-memory"):
    first_hint(f"{LAB}/{_name}")(first_question)


def container(deployment: Object, name: str = SERVER) -> Object:
    return observe.container(deployment["spec"]["template"]["spec"], name)


def up(ctx: Context, deployment: Object) -> list[Object]:
    """Its Pods, Ready and with a GPU, and not ended since; a container that ended leads to the words for how."""
    for pod in ctx.pods_of(deployment):
        for ending in observe.endings(pod):
            if observe.restarted_by_itself(pod, ending.container, 0.0):
                continue
            known = {row["uid"] for row in ctx.baseline["namespaces"][ctx.namespace]["pods"].values()}
            if pod["metadata"]["uid"] in known:
                seen = see(pod, "lastState", f"{ending.reason}, exit code {ending.code}, {ending.restarts} restarts")
                raise idle(
                    "the server still ends as it did",
                    seen,
                    expected="the cause, then the fix",
                    next=f"kubectl -n {ctx.namespace} describe pod -l app={API}",
                )
    pods = guards.running_and_ready(ctx, deployment)
    for pod in pods:
        guards.holds_gpus(ctx, pod)
        guards.would_be_placed_again(ctx, pod)
    return pods


def sized(deployment: Object, taken: Measured, name: str = SERVER) -> None:
    """Request and limit of a container follow from what it takes."""
    limit, request = oom_sizes.size(container(deployment, name), "limits"), oom_sizes.size(container(deployment, name), "requests")
    where = f"kubectl -n {deployment['metadata']['namespace']} set resources deployment/{deployment['metadata']['name']} -c {name} …"
    for problem, kind, value in (
        (oom_sizes.limit_problem(limit, taken.peak), "limits", limit),
        (oom_sizes.request_problem(request, taken.peak), "requests", request),
    ):
        if problem[0]:
            raise fail(
                f"{name} {problem[0]}",
                see(deployment, f"containers[{name}].{kind}[memory]", f"{value:.0f} MiB" if value else "<none>"),
                Seen(name, "measured", f"{taken.now:.0f} MiB now, {taken.peak:.0f} MiB at the most"),
                expected=problem[1],
                next=where,
                credit=0.4,
            )


def measured_by_learner(ctx: Context, taken: Measured) -> None:
    """The answer peak_mib is what the server itself tells."""
    given = ctx.answers.get("peak_mib")
    if given in (None, ""):
        raise idle(
            "it runs, and its peak has not been measured yet",
            expected="peak_mib: the most memory that it has taken, in MiB",
            next=f'its log (peak_mib=…) or process_peak_resident_memory_bytes of /metrics; then lab.answer("{ctx.exercise.id}", peak_mib=…)',
            credit=0.5,
        )
    if not oom_sizes.agrees(given, taken.peak):
        raise fail(
            f"a peak of {given} is not what the server tells",
            Seen("answer peak_mib", "", str(given)),
            expected="process_peak_resident_memory_bytes of this Pod, in MiB (1024 × 1024 bytes)",
            next=f"kubectl get --raw /api/v1/namespaces/{ctx.namespace}/pods/NAME:8080/proxy/metrics | grep process_peak",
            credit=0.5,
        )


def stands_the_load(ctx: Context, pods: list[Object]) -> Measured:
    """Enough requests were served since the server came up, and it was not ended: only then its peak is one under load."""
    most = Measured(0, 0, 0)
    for pod in pods:
        taken = oom_sizes.measure(ctx, pod)
        up_for = ctx.now - _ready_since(pod)
        if taken.served < _REQUESTS or up_for < _SECONDS:
            raise wait(
                "the server is Ready, and has not stood the load for long enough yet",
                see(pod, "model_requests_total", f"{taken.served:.0f} served"),
                expected=f"{_REQUESTS} requests and {_SECONDS:.0f} s under load without an end",
                next=f"kubectl -n {ctx.namespace} logs deployment/{TOOLS} --tail=3",
            )
        most = max(most, taken, key=lambda each: each.peak)
    return most


def _ready_since(pod: Object) -> float:
    from datetime import datetime

    return datetime.fromisoformat(observe.condition(pod, "Ready")["lastTransitionTime"]).timestamp()


@exercise(f"{LAB}/killed-at-load")
def killed_at_load(ctx: Context) -> Verdict:
    """Sized from the peak of the load."""
    deployment = oom_guards.begin(ctx)
    pods = up(ctx, deployment)
    taken = oom_sizes.measure(ctx, pods[0])
    sized(deployment, taken)
    measured_by_learner(ctx, taken)
    guards.diagnosed(ctx, see(pods[0], "Ready", "True"))
    return passed("the model is loaded, in a size that follows from its peak", *_sizes(deployment, taken))


@exercise(f"{LAB}/killed-under-load")
def killed_under_load(ctx: Context) -> Verdict:
    """Bounded, or sized, for what it does at once."""
    deployment = oom_guards.begin(ctx, "MAX_CONCURRENCY", "MAX_QUEUE", service=True, tools=True)
    at_once = guards.settings(container(deployment)).get("MAX_CONCURRENCY", {}).get("value", "4")
    if not str(at_once).isdigit() or int(at_once) < 1:
        raise fail(
            "MAX_CONCURRENCY lets no request run",
            see(deployment, "env[MAX_CONCURRENCY]", at_once),
            expected="1 or more",
            next=f"ai-lab reset {ctx.exercise.key}",
        )
    queue = guards.settings(container(deployment)).get("MAX_QUEUE", {}).get("value", "64")
    if not str(queue).isdigit() or int(queue) < 8:
        raise fail(
            "the queue turns the tools away", see(deployment, "env[MAX_QUEUE]", queue), expected="requests that wait for their turn, eight at the least",
            next=f"kubectl -n {ctx.namespace} set env deployment/{API} MAX_QUEUE-",
        )  # fmt: skip
    pods = up(ctx, deployment)
    taken = stands_the_load(ctx, pods)
    sized(deployment, taken)
    guards.diagnosed(ctx, see(pods[0], "Ready", "True"))
    return passed("the server stands the load, with room above its peak", *_sizes(deployment, taken))


@exercise(f"{LAB}/gpu-memory")
def gpu_memory(ctx: Context) -> Verdict:
    """The same model on the card that holds it."""
    deployment = oom_guards.begin(ctx)
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][API]["template"]
    old, new = container({"spec": {"template": {"spec": before}}}), container(deployment)
    if asked({"containers": [new]}, GPU, "limits") > asked({"containers": [old]}, GPU, "limits"):
        raise fail(
            "a second GPU does not make the first one larger", see(deployment, f"limits[{GPU}]", asked({"containers": [new]}, GPU, "limits")),
            expected="one GPU: this server puts its model on one card", next=f"kubectl -n {ctx.namespace} set resources deployment/{API} --limits={GPU}=1",
        )  # fmt: skip
    for kind in ("requests", "limits"):
        if oom_sizes.size(new, kind) != oom_sizes.size(old, kind):
            raise fail(
                "the container's memory was changed, and it was not what ran out",
                see(deployment, f"{kind}[memory]", f"{oom_sizes.size(new, kind):.0f} MiB"),
                expected="request and limit as they were: the card has a memory of its own, and Kubernetes counts cards and not their memory",
                next=f"kubectl -n {ctx.namespace} logs deployment/{API} --previous: which memory does it speak of?",
            )
    if not (ctx.deeds.changes() or deployment["spec"]["template"]["spec"] != before):
        up(ctx, deployment)
    guards.admits_exactly(ctx, deployment, "NVIDIA-A100-SXM4-40GB")
    pods = up(ctx, deployment)
    guards.diagnosed(ctx, see(pods[0], "Ready", "True"))
    return passed("the model fits the memory of its card", see(pods[0], "spec.nodeName", pods[0]["spec"]["nodeName"]))


@exercise(f"{LAB}/size-it")
def size_it(ctx: Context) -> Verdict:
    """Both containers sized from what they take under load."""
    deployment = oom_guards.begin(ctx, service=True, tools=True)
    spec = deployment["spec"]["template"]["spec"]
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][API]["template"]
    if spec == before and not ctx.answers.get("peak_mib"):
        raise idle(
            "nothing has been measured or sized yet",
            see(deployment, "requests[memory]", f"{oom_sizes.size(container(deployment), 'requests'):.0f} MiB for {SERVER}"),
            expected="sizes that follow from a measurement",
            next=f"kubectl -n {ctx.namespace} top pod --containers",
        )
    pods = up(ctx, deployment)
    taken = stands_the_load(ctx, pods)
    sized(deployment, taken)
    shipper = container(deployment, SIDECAR)
    limit, request = oom_sizes.size(shipper, "limits"), oom_sizes.size(shipper, "requests")
    if not 12 <= limit <= 128 or not 6 <= request <= 64:
        words = "has no memory request and limit" if not limit or not request else "is sized out of proportion"
        raise fail(
            f"{SIDECAR} {words}",
            see(deployment, f"containers[{SIDECAR}].resources", shipper.get("resources") or "<none>"),
            expected="some 10 MiB are in use: a request between 6 and 64 MiB, a limit between 12 and 128",
            next=f"kubectl -n {ctx.namespace} top pod --containers",
            credit=0.6,
        )
    measured_by_learner(ctx, taken)
    quality = pods[0]["status"].get("qosClass", "")
    if str(ctx.answers.get("qos", "")).strip().lower() != quality.lower():
        raise fail(
            "that is not the class that the Pod has" if ctx.answers.get("qos") else "the class of the Pod is not answered yet",
            Seen("answer qos", "", str(ctx.answers.get("qos") or "<none>")),
            expected="Guaranteed, Burstable or BestEffort, as the Pod's status says",
            next=f"kubectl -n {ctx.namespace} get pods -o custom-columns=POD:.metadata.name,QOS:.status.qosClass",
            credit=0.8,
        )
    return passed(
        "both containers have sizes that follow from what they take", *_sizes(deployment, taken), see(pods[0], "status.qosClass", quality)
    )


def _sizes(deployment: Object, taken: Measured) -> tuple[Seen, ...]:
    each = container(deployment)
    return (
        Seen(SERVER, "measured", f"{taken.now:.0f} MiB now, {taken.peak:.0f} MiB at the most"),
        see(
            deployment,
            "requests[memory], limits[memory]",
            f"{oom_sizes.size(each, 'requests'):.0f} MiB, {oom_sizes.size(each, 'limits'):.0f} MiB",
        ),
    )
