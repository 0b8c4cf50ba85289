"""Lab 05-oom: the checks. Which memory ran out, what the server needs by its own measurement, and sizes that follow from it. What may change is in lab.toml."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import asked, named, see
from lab_checks.engine.registry import exercise, first_hint
from lab_checks.engine.verdict import Seen, Verdict, fail, idle, passed, wait
from lab_checks.judging import answers, diagnosis, guards, sheet, unchanged
from lab_checks.labs.oom import causes
from lab_checks.labs.oom import sizes as oom_sizes
from lab_checks.labs.oom.causes import API, SERVER
from lab_checks.labs.oom.sizes import Measured

TOOLS, SIDECAR = "on-call-tools", "log-shipper"
# The least that the sidecar takes, in MiB: it tells of itself nothing, and `kubectl top` shows it.
SHIPPER = Measured(8, 8, 0)
LAB = "05-oom"
# So many requests under the load, and as many seconds, before it is said to stand it.
_REQUESTS, _SECONDS = 30, 4.0
# A queue shorter than the tools are many turns some of them away.
_LEAST = {"MAX_CONCURRENCY": 1, "MAX_QUEUE": 8}

diagnosis.install(causes.ENGINE)


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


for _name in ("killed-at-load", "killed-under-load", "larger-model"):
    first_hint(f"{LAB}/{_name}")(first_question)


def begin(ctx: Context) -> Object:
    """The API's Deployment, where something was done about it and nothing that the exercise does not allow."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    if unchanged.nothing_done(ctx):
        ended = causes.endings(causes.look(ctx))
        raise idle(
            "the server still ends as it did" if ended else "nothing has been measured or sized yet",
            *ended.values(),
            expected="the cause, then the fix" if ended else "sizes that follow from a measurement",
            next=f"kubectl -n {ctx.namespace} {f'describe pod -l app={API}' if ended else 'top pod --containers'}",
        )
    return deployment


def up(ctx: Context, deployment: Object) -> list[Object]:
    """Its Pods: made from its template, and Ready."""
    guards.made_from_template(ctx, deployment)
    return guards.running_and_ready(ctx, deployment)


def sized(ctx: Context, deployment: Object, spec: Object, taken: Measured, name: str = SERVER) -> None:
    """Request and limit of a container, as a Pod's spec says them, follow from what it takes."""
    for kind in ("limits", "requests"):
        value = oom_sizes.size(spec, name, kind)
        says, expected = oom_sizes.problem(kind, value, taken.peak)
        if says:
            raise fail(
                f"{name} {says}",
                see(deployment, f"containers[{name}].{kind}[memory]", f"{value:.0f} MiB" if value else "<none>"),
                Seen(name, "takes", f"{taken.now:.0f} MiB now, {taken.peak:.0f} MiB at the most"),
                expected=expected,
                next=f"kubectl -n {ctx.namespace} set resources deployment/{API} -c {name} …",
                credit=0.4,
            )


def cpu_in_proportion(ctx: Context, deployment: Object) -> None:
    """The Pods request no less CPU than at the start, and no more than their limit was: what is set aside and idle strands the GPU beside it."""
    before = ctx.before("deployments", API)["spec"]["template"]["spec"]
    now, least, most = asked(deployment["spec"]["template"]["spec"], "cpu"), asked(before, "cpu"), asked(before, "cpu", "limits")
    if not least <= now <= most:
        raise fail(
            f"{named(deployment)} asks for {'far more CPU than it had' if now > most else 'less CPU than it had'}",
            see(deployment, "requests[cpu], of all containers", f"{now}, between {least} and {most}"),
            expected="memory ran out, and not CPU: what is requested and idle keeps others off the node, and too little starves the server",
            next=f"kubectl -n {ctx.namespace} set resources deployment/{API} -c {SERVER} --requests=cpu={least}",
        )


def peak(ctx: Context, taken: Measured) -> sheet.Blank:
    """The blank peak_mib: what the server itself tells."""
    return sheet.number(
        "peak_mib",
        lambda mib: oom_sizes.agrees(mib, taken.peak),
        "the most memory that this Pod's server has taken, in MiB (1024 × 1024 bytes)",
        f"its log (peak_mib=…), or kubectl get --raw /api/v1/namespaces/{ctx.namespace}/pods/NAME:8080/proxy/metrics | grep process_peak",
        reads=answers.mebibytes,
        told=lambda mib: f"a peak of {mib:g} MiB is not what the server tells",
        called=("peak",),
    )


def stands_the_load(ctx: Context, pod: Object) -> Measured:
    """Enough requests were served while server and tools were up together, and it was not ended: only then its peak is one under load."""
    both = [pod, *guards.running_and_ready(ctx, ctx.deployment(TOOLS))]
    since = max(observe.moment(observe.condition(each, "Ready")["lastTransitionTime"]) for each in both)
    taken = oom_sizes.measure(ctx, pod)
    if taken.served < _REQUESTS or ctx.now - since < _SECONDS:
        raise wait(
            "the server is Ready, and has not stood the load for long enough yet",
            see(pod, "model_requests_total", f"{taken.served:.0f} served"),
            expected=f"{_REQUESTS} requests and {_SECONDS:.0f} s under the tools' load without an end",
            next=f"kubectl -n {ctx.namespace} logs deployment/{TOOLS} --tail=3",
        )
    return taken


@exercise(f"{LAB}/killed-at-load")
def killed_at_load(ctx: Context) -> Verdict:
    """Sized from the peak of the load."""
    deployment = begin(ctx)
    cpu_in_proportion(ctx, deployment)
    pods = up(ctx, deployment)
    taken = oom_sizes.measure(ctx, pods[0])
    sized(ctx, deployment, deployment["spec"]["template"]["spec"], taken)
    sheet.judge(ctx, [peak(ctx, taken)], done=0.5)
    guards.diagnosed(ctx, see(pods[0], "Ready", "True"))
    return passed("the model is loaded, in a size that follows from its peak", *_sizes(deployment, taken))


@exercise(f"{LAB}/killed-under-load")
def killed_under_load(ctx: Context) -> Verdict:
    """Bounded, or sized, for what it does at once."""
    deployment = begin(ctx)
    cpu_in_proportion(ctx, deployment)
    variables = guards.variables(guards.server_container(deployment))
    for name, least in _LEAST.items():
        value = variables.get(name, {}).get("value", str(least))
        if not value.isdecimal() or int(value) < least:
            raise fail(
                f"{'MAX_CONCURRENCY lets no request run' if least == 1 else 'the queue turns the tools away'}",
                see(deployment, f"env[{name}]", value),
                expected=f"{least} or more: each of the eight tools waits for its turn and gets it",
                next=f"kubectl -n {ctx.namespace} set env deployment/{API} {name}={least if least == 1 else 64}",
            )
    pods = up(ctx, deployment)
    taken = stands_the_load(ctx, pods[0])
    sized(ctx, deployment, deployment["spec"]["template"]["spec"], taken)
    guards.diagnosed(ctx, see(pods[0], "Ready", "True"))
    return passed("the server stands the load, with room above its peak", *_sizes(deployment, taken))


@exercise(f"{LAB}/larger-model")
def larger_model(ctx: Context) -> Verdict:
    """The same model on the card that holds it."""
    deployment = begin(ctx)
    guards.admits_exactly(ctx, deployment, "NVIDIA-A100-SXM4-40GB")
    pods = up(ctx, deployment)
    guards.diagnosed(ctx, see(pods[0], "Ready", "True"))
    return passed("the model fits the memory of its card", see(pods[0], "spec.nodeName", pods[0]["spec"]["nodeName"]))


@exercise(f"{LAB}/size-it")
def size_it(ctx: Context) -> Verdict:
    """Both containers sized from what they take under load."""
    deployment = begin(ctx)
    cpu_in_proportion(ctx, deployment)
    pods = up(ctx, deployment)
    taken = stands_the_load(ctx, pods[0])
    # Each container by itself: what is said for the whole Pod keeps none of them from taking the other's.
    spec = {"containers": deployment["spec"]["template"]["spec"]["containers"]}
    sized(ctx, deployment, spec, taken)
    sized(ctx, deployment, spec, SHIPPER, SIDECAR)
    quality = pods[0]["status"].get("qosClass", "")
    qos = sheet.Blank(
        "qos",
        lambda said: answers.choice(said, ("Guaranteed", "Burstable", "BestEffort")),
        quality,
        "Guaranteed, Burstable or BestEffort, as the Pod's status says",
        f"kubectl -n {ctx.namespace} get pods -o custom-columns=POD:.metadata.name,QOS:.status.qosClass",
        lambda _said: "that is not the class that the Pod has",
        "one of the three classes is asked for",
        ("class", "qos class", "qosClass"),
    )
    sheet.judge(ctx, [peak(ctx, taken), qos], done=0.5)
    return passed(
        "both containers have sizes that follow from what they take", *_sizes(deployment, taken), see(pods[0], "status.qosClass", quality)
    )


def _sizes(deployment: Object, taken: Measured) -> tuple[Seen, ...]:
    spec = deployment["spec"]["template"]["spec"]
    request, limit = (oom_sizes.size(spec, SERVER, kind) for kind in ("requests", "limits"))
    return (
        Seen(SERVER, "measured", f"{taken.now:.0f} MiB now, {taken.peak:.0f} MiB at the most"),
        see(deployment, "requests[memory], limits[memory]", f"{request:.0f} MiB, {limit:.0f} MiB"),
    )
