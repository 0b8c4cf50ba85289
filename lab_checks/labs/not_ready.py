"""Lab 04-not-ready: the checks. Five times requests do not reach a loaded model, each time for another reason.

Each check asks what decides about traffic and restarts, and not whether the Pod happens to be Ready at this moment.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lab_checks import guards, observe
from lab_checks.context import Context
from lab_checks.labs import pending_guards as also
from lab_checks.observe import GPU, asked, named, see
from lab_checks.registry import exercise
from lab_checks.verdict import Seen, Verdict, fail, passed, wait

Object = dict[str, Any]

API = "ai-log-summary-api"
LAB = "04-not-ready"
PORT = 8080
# Seconds. A hung server is to be found within the first; a model that does not load within the second never will here.
LIVENESS_PATIENCE = 30
STARTUP_PATIENCE = 120
_DOORS = ("hostNetwork", "hostPID", "hostIPC")


def budget(probe: Object) -> int:
    """Seconds from the container's start until a probe that always fails has given up."""
    return int(probe.get("initialDelaySeconds", 0)) + int(probe.get("periodSeconds", 10)) * int(probe.get("failureThreshold", 3))


def question(container: Object, kind: str) -> tuple[str, int] | None:
    """The path and the port that a probe asks by HTTP, named ports resolved; None for no such probe."""
    get = (container.get(kind) or {}).get("httpGet")
    if not get:
        return None
    port = get.get("port")
    named_ports = {each.get("name"): each["containerPort"] for each in container.get("ports") or []}
    return get.get("path", "/"), int(named_ports.get(port, port if str(port).isdigit() else 0))


def server(owner: Object) -> Object:
    found = observe.container(owner["spec"]["template"]["spec"], "model-server")
    if not found:
        raise fail(f"{named(owner)} has no container model-server any more", see(owner, "containers", "model-server is missing"))
    return found


def settings(container: Object) -> dict[str, Object]:
    return {each["name"]: each for each in container.get("env") or []}


def load_seconds(container: Object) -> float:
    return float(settings(container).get("MODEL_LOAD_SECONDS", {}).get("value", 0))


def begin(ctx: Context, *free: str, selector: bool = False) -> Object:
    """What holds in every exercise: the same server on the same nodes behind the same Service; only the variables `free` may differ."""
    guards.nodes_untouched(ctx)
    also.node_status_untouched(ctx)
    guards.others_untouched(ctx, f"deployments/{API}", f"services/{API}")
    deployment = guards.same_object(ctx, "deployments", API)
    guards.replicas_kept(ctx, deployment)
    guards.template_has_no_node_name(deployment)
    spec = deployment["spec"]["template"]["spec"]
    guards.not_privileged(spec, deployment)
    guards.tolerates_narrowly(spec, deployment)
    also.tolerates_only_gpus(ctx, deployment)
    for key in _DOORS:
        if spec.get(key):
            raise fail(
                f"{named(deployment)} uses {key}",
                see(deployment, key, "true"),
                expected="a Pod with walls of its own",
                next=f"remove {key}",
            )
    if any(each.get("hostPath") for each in spec.get("volumes") or []):
        raise fail(f"{named(deployment)} mounts a folder of the node", see(deployment, "volumes", "hostPath"), next="remove the volume")
    _same_program(ctx, deployment, free)
    _service(ctx, keep_selector=not selector)
    return ctx.deployment(API)


def _same_program(ctx: Context, deployment: Object, free: tuple[str, ...]) -> None:
    old = observe.container(ctx.baseline["namespaces"][ctx.namespace]["deployments"][API]["template"], "model-server")
    new = server(deployment)
    for key in ("image", "command", "args", "envFrom"):
        if new.get(key) != old.get(key):
            raise fail(
                f"{named(deployment)} no longer runs the same program",
                see(deployment, f"containers[model-server].{key}", new.get(key)),
                expected=f"{key} as it was: the program is right, what surrounds it is not",
                next=f"ai-lab reset {ctx.exercise.key}",
            )
    before, now = settings(old), settings(new)
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


def _service(ctx: Context, *, keep_selector: bool) -> Object:
    service = guards.same_object(ctx, "services", API)
    before = ctx.baseline["namespaces"][ctx.namespace]["services"][API]["spec"]
    now = service["spec"]
    if now.get("type") != "ClusterIP":
        raise fail(
            f"the Service became a {now.get('type')}",
            see(service, "spec.type", now.get("type")),
            expected="ClusterIP: opening it to the outside changes nothing about who stands behind it",
            next="set the type back to ClusterIP",
        )
    for key in ("ports", "publishNotReadyAddresses", *(("selector",) if keep_selector else ())):
        if now.get(key) != before.get(key):
            raise fail(
                f"the {key} of the Service changed", see(service, f"spec.{key}", now.get(key)), expected="the Service as it was",
                next=f"ai-lab reset {ctx.exercise.key}",
            )  # fmt: skip
    return service


def probes_are_true(ctx: Context, deployment: Object) -> None:
    """Traffic waits for the model, a hung server is found, and nobody is killed while it loads."""
    container = server(deployment)
    asks = question(container, "readinessProbe")
    if not container.get("readinessProbe"):
        raise fail(
            f"{named(deployment)} has no readiness probe",
            see(deployment, "containers[model-server].readinessProbe", "<none>"),
            expected="a probe that asks the model: without one the Pod is Ready as soon as its process runs",
            next="which path of the server answers for the model, and not for the process?",
        )
    if asks != ("/ready", PORT):
        raise fail(
            "the readiness probe does not ask the model",
            see(deployment, "containers[model-server].readinessProbe", asks or "no HTTP question"),
            expected=f"HTTP GET /ready on port {PORT}; an open port and /healthz say only that the process lives",
            next=f"kubectl -n {ctx.namespace} port-forward deployment/{API} 8080:8080, then curl -v the path",
        )
    delay = int(container["readinessProbe"].get("initialDelaySeconds", 0))
    if delay > LIVENESS_PATIENCE:
        raise fail(
            "the readiness probe starts far too late",
            see(deployment, "readinessProbe.initialDelaySeconds", delay),
            expected=f"at most {LIVENESS_PATIENCE}: every new Pod stands idle for as long, with a model that was loaded long ago",
            next="measure the load time in the log; the answer of /ready decides about the rest",
        )
    _liveness(ctx, deployment, container)


def _liveness(ctx: Context, deployment: Object, container: Object) -> None:
    liveness, startup, load = container.get("livenessProbe"), container.get("startupProbe"), load_seconds(container)
    if not liveness:
        raise fail(
            "the liveness probe is gone",
            see(deployment, "containers[model-server].livenessProbe", "<none>"),
            expected="a liveness probe: without one a hung server stays hung until a person looks",
            next="give the load time of its own with a startupProbe, and put the liveness probe back",
        )
    if question(container, "livenessProbe") not in (("/healthz", PORT), ("/ready", PORT)):
        raise fail(
            "the liveness probe asks something else now",
            see(deployment, "containers[model-server].livenessProbe", question(container, "livenessProbe") or "no HTTP question"),
            expected=f"/healthz (or /ready) on port {PORT}",
            next="put the probe back",
        )
    if budget(liveness) > LIVENESS_PATIENCE:
        raise fail(
            "the liveness probe is too patient to be of use",
            see(deployment, "livenessProbe", f"gives up after {budget(liveness)} s"),
            expected=f"at most {LIVENESS_PATIENCE} s: a delay guessed large also delays the restart of a server that hangs at its start",
            next="a startupProbe waits for the load and ends with it",
        )
    if startup and not load < budget(startup) <= STARTUP_PATIENCE:
        raise fail(
            f"the startup probe's budget is too {'small' if budget(startup) <= load else 'large'}",
            see(deployment, "startupProbe", f"{budget(startup)} s, the load takes {load:g} s"),
            expected=f"more than the load, and at most {STARTUP_PATIENCE} s",
            next="periodSeconds × failureThreshold",
        )
    if not startup and question(container, "livenessProbe") == ("/ready", PORT) and load:
        raise fail(
            "the liveness probe still asks a loading model whether it is ready",
            see(deployment, "livenessProbe", f"gives up after {budget(liveness)} s, the load takes {load:g} s"),
            expected="a startupProbe that holds it back until the model is loaded, however long that takes today",
            next=f"kubectl -n {ctx.namespace} explain deployment.spec.template.spec.containers.startupProbe",
        )


def serves(ctx: Context, deployment: Object) -> Verdict:
    """Passed where every Pod is Ready with its GPU, was not restarted, took its load time, and stands behind the Service."""
    pods = guards.running_and_ready(ctx, deployment)
    load = load_seconds(server(deployment))
    for pod in pods:
        guards.holds_gpus(ctx, pod)
        took = seconds_to_ready(pod)
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
    found = ctx.get("endpoints", API) or {}
    addresses = {each["ip"] for part in found.get("subsets") or [] for each in part.get("addresses") or []}
    missing = [pod for pod in pods if pod["status"].get("podIP") not in addresses]
    if missing:
        raise wait(
            "the Service does not list the Pod yet", Seen(f"endpoints/{API}", "addresses", ", ".join(sorted(addresses)) or "<none>"),
            expected="every Ready Pod", next=f"kubectl -n {ctx.namespace} get endpoints {API}",
        )  # fmt: skip
    return passed(
        f"{API} gets requests, and only when its model can answer",
        see(pods[0], "Ready", "True"),
        Seen(f"endpoints/{API}", "addresses", str(len(addresses))),
        see(pods[0], f"limits[{GPU}]", int(asked(pods[0]["spec"], GPU))),
    )


def seconds_to_ready(pod: Object) -> float:
    """Seconds from the container's start until the Pod was Ready."""
    started = pod["status"]["containerStatuses"][0].get("state", {}).get("running", {}).get("startedAt")
    ready = observe.condition(pod, "Ready").get("lastTransitionTime")
    if not started or not ready:
        raise wait("the container has just changed its state", see(pod, "containerStatuses", "not running"))
    return (datetime.fromisoformat(ready) - datetime.fromisoformat(started)).total_seconds()


@exercise(f"{LAB}/slow-load")
def slow_load(ctx: Context) -> Verdict:
    """A readiness probe that asks the model."""
    deployment = begin(ctx)
    probes_are_true(ctx, deployment)
    return serves(ctx, deployment)


@exercise(f"{LAB}/killed-while-loading")
def killed_while_loading(ctx: Context) -> Verdict:
    """Time to load, and a liveness probe that is still of use afterwards."""
    deployment = begin(ctx)
    probes_are_true(ctx, deployment)
    return serves(ctx, deployment)


@exercise(f"{LAB}/wrong-door")
def wrong_door(ctx: Context) -> Verdict:
    """The readiness probe at the server's own port and path."""
    deployment = begin(ctx)
    probes_are_true(ctx, deployment)
    return serves(ctx, deployment)


@exercise(f"{LAB}/missing-weights")
def missing_weights(ctx: Context) -> Verdict:
    """The path of the weights, where it is written."""
    deployment = begin(ctx, "MODEL_PATH")
    probes_are_true(ctx, deployment)
    return serves(ctx, deployment)


@exercise(f"{LAB}/nobody-behind")
def nobody_behind(ctx: Context) -> Verdict:
    """The Service's selector, and the Pod untouched."""
    deployment = begin(ctx, selector=True)
    probes_are_true(ctx, deployment)
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
