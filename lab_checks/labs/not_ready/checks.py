"""Lab 04-not-ready: the checks. Requests do not reach a loaded model, each time for another reason.

Each check asks what decides about traffic and restarts, and not whether the Pod happens to be Ready at this moment. What may change is in lab.toml.
"""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.registry import exercise, first_hint
from lab_checks.engine.verdict import Seen, Verdict, fail, idle, passed, wait
from lab_checks.judging import answers, diagnosis, guards, sheet, unchanged
from lab_checks.labs.not_ready import causes, gpus, hints, traffic
from lab_checks.labs.not_ready.causes import API

LAB = "04-not-ready"
EXERCISES = (
    "slow-load", "killed-while-loading", "log-says-ready", "ends-soon", "nobody-behind", "ready-yet-503", "restored-node",
    "restored-node-later",
)  # fmt: skip


diagnosis.install(causes.ENGINE)
for _each in EXERCISES:
    first_hint(f"{LAB}/{_each}")(hints.question)


def begin(ctx: Context) -> Object:
    """The API's Deployment, where something was done about it and nothing that the exercise does not allow."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    if unchanged.nothing_done(ctx):
        found = (ctx.answers.get("diagnosis") or {}).get("accepted")
        raise idle(
            "the cause is found, and nothing has been done about it yet" if found else "requests do not reach a loaded model, and nothing was done so far",
            see(deployment, "status.readyReplicas", deployment.get("status", {}).get("readyReplicas", 0)),
            expected="now the fix" if found else "the cause, then the fix",
            next=f"kubectl -n {ctx.namespace} logs deployment/{API}, describe pod, get events, get endpoints",
            credit=0.4 if found else 0.0,
        )  # fmt: skip
    return deployment


def ready(ctx: Context, deployment: Object) -> list[Object]:
    """The API's Pods: made from its template, Ready by their model's word, not restarted, and behind the Service."""
    guards.probes_are_true(deployment)
    guards.made_from_template(ctx, deployment)
    pods = guards.running_and_ready(ctx, deployment)
    for pod in pods:
        guards.ready_with_its_model(pod, guards.server_container(deployment))
    guards.listed_behind_service(ctx, API, pods)
    return pods


def done(ctx: Context, pods: list[Object], *more: Seen) -> Verdict:
    """Passed where somebody also said why it did not work."""
    seen = (
        see(pods[0], "Ready", "True"),
        Seen(f"endpoints/{API}", "addresses", str(len(pods))),
        see(pods[0], f"limits[{GPU}]", int(asked(pods[0]["spec"], GPU))),
        *more,
    )
    guards.diagnosed(ctx, *seen)
    return passed(f"{API} gets requests, and only when its model can answer", *seen)


def measured(ctx: Context, pods: list[Object]) -> Verdict:
    """The learner says how long the load takes, and the log agrees."""
    load = causes.measured(ctx.api.log(pods[0], "model-server", first_bytes=causes.START))
    if load is None:
        raise wait("the log does not say yet how long the load took", next=f"kubectl -n {ctx.namespace} logs {named(pods[0])}")
    seen = Seen(f"log of {named(pods[0])}", "model loaded seconds", f"{load:g}")
    blank = sheet.number(
        "load_seconds",
        lambda seconds: abs(seconds - load) <= max(0.5, 0.15 * load),
        "the seconds that the server measured for its load: a budget is chosen from a number, not from a feeling",
        f"kubectl -n {ctx.namespace} logs deployment/{API} | grep seconds=",
        reads=answers.seconds,
        told=lambda _seconds: "the load takes another time",
        called=("load",),
    )
    sheet.judge(ctx, [blank], done=0.5)
    return done(ctx, pods, seen)


@exercise(f"{LAB}/slow-load")
def slow_load(ctx: Context) -> Verdict:
    """A readiness probe that asks the model."""
    return measured(ctx, ready(ctx, begin(ctx)))


@exercise(f"{LAB}/killed-while-loading")
def killed_while_loading(ctx: Context) -> Verdict:
    """Time to load, and a liveness probe that is still of use afterwards."""
    return measured(ctx, ready(ctx, begin(ctx)))


@exercise(f"{LAB}/log-says-ready")
def log_says_ready(ctx: Context) -> Verdict:
    """The readiness probe at the server's own port and path."""
    return done(ctx, ready(ctx, begin(ctx)))


@exercise(f"{LAB}/ends-soon")
def ends_soon(ctx: Context) -> Verdict:
    """The path of the weights, where it is written."""
    return done(ctx, ready(ctx, begin(ctx)))


@exercise(f"{LAB}/nobody-behind")
def nobody_behind(ctx: Context) -> Verdict:
    """The Service's selector, and the Pod untouched."""
    deployment = begin(ctx)
    before = ctx.baseline["pods"][ctx.namespace]
    for pod in ctx.pods_of(deployment):
        row = before.get(pod["metadata"]["name"])
        if row is None or row["uid"] != pod["metadata"]["uid"] or row["labels"] != pod["metadata"].get("labels"):
            raise fail(
                "the healthy Pod was replaced or relabelled",
                see(pod, "metadata.labels", pod["metadata"].get("labels")),
                expected="the Pod as it was: it was Ready all the time, and the Service looked elsewhere",
                next=f"ai-lab reset {ctx.exercise.key}, then compare the Service's selector with the Pod's labels",
            )
    guards.selects_every_pod(ctx, ctx.need("services", API), deployment)
    return done(ctx, ready(ctx, deployment))


@exercise(f"{LAB}/ready-yet-503")
def ready_yet_503(ctx: Context) -> Verdict:
    """A probe that asks the model, and a whole rollout in which no request failed."""
    deployment = begin(ctx)
    pods = ready(ctx, deployment)
    return done(ctx, pods, traffic.nobody_failed(ctx, deployment, pods))


@exercise(f"{LAB}/restored-node")
def restored_node(ctx: Context) -> Verdict:
    """A program and a driver that fit each other: by the image, or by the node."""
    deployment = begin(ctx)
    gpus.same_model(ctx, deployment)
    pods = ready(ctx, deployment)
    gpus.goes_where_it_works(ctx, deployment)
    return done(ctx, pods)


@exercise(f"{LAB}/restored-node-later")
def restored_node_later(ctx: Context) -> Verdict:
    """A node that hands its devices over, and only such."""
    deployment = begin(ctx)
    pods = ready(ctx, deployment)
    gpus.goes_where_it_works(ctx, deployment)
    return done(ctx, pods)
