"""Lab 04-not-ready: the checks. Five times requests do not reach a loaded model, each time for another reason.

Each check asks what decides about traffic and restarts, and not whether the Pod happens to be Ready at this moment.
"""

from __future__ import annotations

from typing import Any

from lab_checks import guards, observe
from lab_checks.context import Context
from lab_checks.observe import GPU, asked, named, see
from lab_checks.registry import exercise
from lab_checks.verdict import Seen, Verdict, fail, passed

Object = dict[str, Any]

API = "ai-log-summary-api"
LAB = "04-not-ready"


def begin(ctx: Context, *free: str, selector: bool = False) -> Object:
    """What holds in every exercise: the same server on the same nodes behind the same Service; only the variables `free` may differ."""
    guards.nodes_untouched(ctx)
    guards.node_status_untouched(ctx)
    guards.others_untouched(ctx, f"deployments/{API}", f"services/{API}")
    deployment = guards.same_object(ctx, "deployments", API)
    guards.replicas_kept(ctx, deployment)
    guards.template_has_no_node_name(deployment)
    spec = deployment["spec"]["template"]["spec"]
    guards.walled(spec, deployment)
    guards.tolerates_narrowly(spec, deployment)
    guards.tolerates_only_gpus(ctx, deployment)
    _same_program(ctx, deployment, free)
    guards.service_kept(ctx, API, keep_selector=not selector)
    return ctx.deployment(API)


def _same_program(ctx: Context, deployment: Object, free: tuple[str, ...]) -> None:
    old = observe.container(ctx.baseline["namespaces"][ctx.namespace]["deployments"][API]["template"], "model-server")
    new = guards.server(deployment)
    for key in ("image", "command", "args", "envFrom"):
        if new.get(key) != old.get(key):
            raise fail(
                f"{named(deployment)} no longer runs the same program",
                see(deployment, f"containers[model-server].{key}", new.get(key)),
                expected=f"{key} as it was: the program is right, what surrounds it is not",
                next=f"ai-lab reset {ctx.exercise.key}",
            )
    before, now = guards.settings(old), guards.settings(new)
    for name in sorted(before.keys() | now.keys()):
        if name not in free and before.get(name) != now.get(name):
            raise fail(
                f"the variable {name} of {named(deployment)} was changed",
                see(deployment, f"env[{name}]", (now.get(name) or {}).get("value", "<none>")),
                expected="the server as it was configured: this variable is not what keeps it from being ready",
                next=f"ai-lab reset {ctx.exercise.key}",
            )
    if new.get("resources") != old.get("resources"):
        raise fail(
            f"the resources of {named(deployment)} were changed",
            see(deployment, "containers[model-server].resources", new.get("resources")),
            expected="requests and limits as they were: nothing here ran out of memory, CPU or GPUs",
            next=f"kubectl -n {ctx.namespace} describe pod -l app={API}: how did the container end?",
        )


def serves(ctx: Context, deployment: Object) -> Verdict:
    """Passed where every Pod is Ready with its GPU, was not restarted, took its load time, and stands behind the Service."""
    pods = guards.running_and_ready(ctx, deployment)
    load = guards.load_seconds(guards.server(deployment))
    for pod in pods:
        guards.holds_gpus(ctx, pod)
        took = guards.seconds_to_ready(pod)
        # Timestamps are whole seconds: a load of 4 s may look like 3.
        if took < load - 1.5:
            raise fail(
                "the Pod was Ready before its model was loaded",
                see(pod, "Ready", f"after {took:g} s, the load takes {load:g} s"),
                expected="Ready when /ready says so",
                next="what does the readiness probe ask?",
            )
        if gates := pod["spec"].get("readinessGates"):
            raise fail("somebody else decides about readiness now", see(pod, "spec.readinessGates", gates), next="remove readinessGates")
    addresses = guards.listed(ctx, API, pods)
    return passed(
        f"{API} gets requests, and only when its model can answer",
        see(pods[0], "Ready", "True"),
        Seen(f"endpoints/{API}", "addresses", str(len(addresses))),
        see(pods[0], f"limits[{GPU}]", int(asked(pods[0]["spec"], GPU))),
    )


@exercise(f"{LAB}/slow-load")
def slow_load(ctx: Context) -> Verdict:
    """A readiness probe that asks the model."""
    deployment = begin(ctx)
    guards.probes_are_true(ctx, deployment)
    return serves(ctx, deployment)


@exercise(f"{LAB}/killed-while-loading")
def killed_while_loading(ctx: Context) -> Verdict:
    """Time to load, and a liveness probe that is still of use afterwards."""
    deployment = begin(ctx)
    guards.probes_are_true(ctx, deployment)
    return serves(ctx, deployment)


@exercise(f"{LAB}/wrong-door")
def wrong_door(ctx: Context) -> Verdict:
    """The readiness probe at the server's own port and path."""
    deployment = begin(ctx)
    guards.probes_are_true(ctx, deployment)
    return serves(ctx, deployment)


@exercise(f"{LAB}/missing-weights")
def missing_weights(ctx: Context) -> Verdict:
    """The path of the weights, where it is written."""
    deployment = begin(ctx, "MODEL_PATH")
    guards.probes_are_true(ctx, deployment)
    return serves(ctx, deployment)


@exercise(f"{LAB}/nobody-behind")
def nobody_behind(ctx: Context) -> Verdict:
    """The Service's selector, and the Pod untouched."""
    deployment = begin(ctx, selector=True)
    guards.probes_are_true(ctx, deployment)
    before = ctx.baseline["namespaces"][ctx.namespace]["pods"]
    for pod in ctx.pods_of(deployment):
        row = before.get(pod["metadata"]["name"])
        if row is None or row["uid"] != pod["metadata"]["uid"] or row["labels"] != pod["metadata"].get("labels"):
            raise fail(
                "the healthy Pod was replaced or relabelled",
                see(pod, "metadata.labels", pod["metadata"].get("labels")),
                expected="the Pod as it was: it was Ready all the time, and the Service looked elsewhere",
                next=f"ai-lab reset {ctx.exercise.key}, then compare the Service's selector with the Pod's labels",
            )
    service = ctx.need("services", API)
    selector, labels = service["spec"].get("selector") or {}, deployment["spec"]["template"]["metadata"]["labels"]
    if not selector or any(labels.get(key) != value for key, value in selector.items()):
        raise fail(
            "the Service selects no Pod of the API",
            see(service, "spec.selector", selector or "<none>"),
            expected="labels that the API's Pods carry",
            next=f"kubectl -n {ctx.namespace} get pods --show-labels",
        )
    return serves(ctx, deployment)
