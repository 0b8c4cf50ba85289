"""Lab 04-not-ready: guards of its own. The Pod stays what it was but for what an exercise is about, and nobody but the API answers for it."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import Outcome, Seen, Stop, Verdict, fail, idle, wait
from lab_checks.judging import answers, guards
from lab_checks.labs.not_ready import causes

PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_PROGRAM = ("image", "command", "args", "envFrom")
# Judged by guards with words of their own.
_ELSEWHERE = ("containers", "tolerations", "nodeName")
# Variables that claim something, and what is so nevertheless.
_CLAIMS = {
    "CUDA_VERSION": "the value that the image was built with: a variable tells what is inside, and rebuilds nothing",
    "NVIDIA_DISABLE_REQUIRE": "no such variable: it switches off the warning, and the driver stays as old as it is",
    "READY_LIES": "/ready as the server means it",
    "DEVICE": "the device that is held for it: a GPU is allocated to this container, used or not",
}
# A startup budget leaves a slow day this much room over the load that was measured.
ROOM = 1.2
# Seconds. Longer, and new Pods stand idle although they can answer.
MIN_READY = 30


def template_kept(ctx: Context, deployment: Object, *, variables: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> None:
    """The Pod's template is the one of the start, but for its probes, the named variables, and the named keys (`image`, `nodeSelector`)."""
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][deployment["metadata"]["name"]]["template"]
    now = deployment["spec"]["template"]["spec"]
    _alone(ctx, deployment, before, now)
    old, new = observe.container(before, "model-server"), guards.server(deployment)
    _container_kept(ctx, deployment, old, new, variables, keys)
    for key in sorted(before.keys() | now.keys()):
        if key in (*_ELSEWHERE, *keys) or (before.get(key) or None) == (now.get(key) or None):
            continue
        raise fail(
            f"the {key} of {named(deployment)}'s Pods was changed",
            see(deployment, f"spec.template.spec.{key}", now.get(key, "<none>")),
            expected=f"{before.get(key, '<none>')}, as it was: it is not what keeps requests from a loaded model",
            next=f"ai-lab reset {ctx.exercise.key}",
        )


def _alone(ctx: Context, deployment: Object, before: Object, now: Object) -> None:
    for kind in ("initContainers", "containers"):
        names = [each["name"] for each in now.get(kind) or []]
        if names != [each["name"] for each in before.get(kind) or []]:
            raise fail(
                f"{named(deployment)} has other {kind} than it had",
                see(deployment, f"spec.template.spec.{kind}", ", ".join(names) or "<none>"),
                expected="the server alone: a container beside it that says yes, or one before it that waits, knows nothing of the model",
                next=f"ai-lab reset {ctx.exercise.key}",
            )


def _container_kept(ctx: Context, deployment: Object, old: Object, new: Object, variables: tuple[str, ...], keys: tuple[str, ...]) -> None:
    if new.get("lifecycle"):
        raise fail(
            f"{named(deployment)} has a lifecycle hook that it had not",
            see(deployment, "containers[model-server].lifecycle", new["lifecycle"]),
            expected="no pause of a guessed length: a hook that sleeps asks nobody, and the next load takes longer",
            next="which probe decides whether the Pod gets requests, and what does it ask?",
        )
    for key in _PROGRAM:
        if key not in keys and new.get(key) != old.get(key):
            raise fail(
                f"{named(deployment)} no longer runs the same program",
                see(deployment, f"containers[model-server].{key}", new.get(key)),
                expected=f"{key} as it was: the program is right, what surrounds it is not",
                next=f"ai-lab reset {ctx.exercise.key}",
            )
    before, now = guards.settings(old), guards.settings(new)
    for name in sorted(before.keys() | now.keys()):
        if name not in variables and before.get(name) != now.get(name):
            raise fail(
                f"the variable {name} of {named(deployment)} was changed",
                see(deployment, f"env[{name}]", (now.get(name) or {}).get("value", "<none>")),
                expected=_CLAIMS.get(name, "the server as it was configured: this variable is not what keeps it from being ready"),
                next=f"ai-lab reset {ctx.exercise.key}",
            )
    for key in sorted(old.keys() | new.keys()):
        if key in (*PROBES, *_PROGRAM, "env", *keys) or (old.get(key) or None) == (new.get(key) or None):
            continue
        what = f"the {key} of {named(deployment)} were changed" if key.endswith("s") else f"the {key} of {named(deployment)} was changed"
        raise fail(
            what,
            see(deployment, f"containers[model-server].{key}", new.get(key, "<none>")),
            expected="as it was: nothing here ran out of memory, CPU or GPUs, and no door of the Pod was too narrow",
            next=f"kubectl -n {ctx.namespace} describe pod -l app={deployment['metadata']['name']}: how did the container end?",
        )


def untouched(ctx: Context, deployment: Object) -> None:
    """Ends the check as not yet where nothing was done so far: without a word on the cause, which is the learner's to find."""
    name = deployment["metadata"]["name"]
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][name]["template"]
    if ctx.deeds.changes() or deployment["spec"]["template"]["spec"] != before or not causes.found(causes.scene(ctx, name)):
        return
    where = f"kubectl -n {ctx.namespace} logs deployment/{name}, describe pod, get events, get endpoints"
    seen = see(deployment, "status.readyReplicas", deployment.get("status", {}).get("readyReplicas", 0))
    if (ctx.answers.get("diagnosis") or {}).get("accepted"):
        raise idle("the cause is found, and nothing has been done about it yet", seen, expected="now the fix", next=where, credit=0.4)
    raise idle(
        "requests do not reach a loaded model, and nothing has been done about it yet", seen, expected="the cause, then the fix", next=where
    )


def room_is_being_made(ctx: Context, pods: list[Object]) -> None:
    """Ends the check as not yet while a Pod waits for the GPU of one that is on its way out."""
    going = [pod for pod in ctx.pods if "deletionTimestamp" in pod["metadata"]]
    if going and any(observe.is_pending_for_a_node(pod) for pod in pods):
        raise wait(
            "a new Pod waits for the GPU of an old one that is stopping",
            see(going[0], "metadata.deletionTimestamp", going[0]["metadata"]["deletionTimestamp"]),
        )


def rolled_out(ctx: Context, deployment: Object, pods: list[Object]) -> None:
    """What the Deployment says is what its Pods are: it is not paused, and waits for no second thoughts of its own."""
    spec = deployment["spec"]
    name = deployment["metadata"]["name"]
    if spec.get("paused"):
        raise fail(
            f"the rollout of {named(deployment)} is paused", see(deployment, "spec.paused", "true"),
            expected="Pods made from the template as it is now", next=f"kubectl -n {ctx.namespace} rollout resume deployment/{name}",
        )  # fmt: skip
    if int(spec.get("minReadySeconds", 0)) > MIN_READY:
        raise fail(
            f"{named(deployment)} waits far too long for Pods that are Ready",
            see(deployment, "spec.minReadySeconds", spec["minReadySeconds"]),
            expected=f"at most {MIN_READY}: it counts seconds and asks nobody, and a Pod gets requests from its first Ready second all the same",
            next="the readiness probe decides about requests: what does it ask?",
        )
    wanted = guards.server(deployment)
    for pod in pods:
        have = observe.container(pod["spec"], "model-server")
        if any(have.get(key) != wanted.get(key) for key in (*PROBES, "image", "env")):
            raise wait(f"a Pod of {name} was made before the latest change", see(pod, "metadata.creationTimestamp", "an older template"))
        if gates := pod["spec"].get("readinessGates"):
            raise fail("somebody else decides about readiness now", see(pod, "spec.readinessGates", gates), next="remove readinessGates")


def only_the_api_answers(ctx: Context, service: str, pods: list[Object]) -> None:
    """Behind the Service stand the API's Pods and nobody else, put there by Kubernetes and not by hand."""
    own = {pod["status"].get("podIP") for pod in pods}
    going = {pod["status"].get("podIP") for pod in ctx.pods if "deletionTimestamp" in pod["metadata"]}
    for part in ctx.api.list("endpointslices", ctx.namespace, labels=f"kubernetes.io/service-name={service}"):
        by = (part["metadata"].get("labels") or {}).get("endpointslice.kubernetes.io/managed-by", "nobody")
        addresses = {address for each in part.get("endpoints") or [] for address in each.get("addresses") or []}
        if by != "endpointslice-controller.k8s.io" and addresses:
            raise fail(
                "addresses were put behind the Service by hand",
                see(part, "managed-by", by),
                Seen(f"service/{service}", "addresses", ", ".join(sorted(addresses))),
                expected="the Pods that the selector finds: an address by hand stays when its Pod is gone",
                next=f"kubectl -n {ctx.namespace} get endpointslices, and delete the one that somebody wrote",
            )
        if others := sorted(addresses - own - going):
            who = next((pod for pod in ctx.pods if pod["status"].get("podIP") in others), None)
            raise fail(
                f"somebody else answers for {service} as well",
                see(who, "status.podIP", others[0]) if who else Seen(f"service/{service}", "addresses", ", ".join(others)),
                expected=f"the Pods of deployment {service}, and no others with their labels",
                next=f"kubectl -n {ctx.namespace} get pods -o wide --show-labels",
            )


def probes_are_bounded(deployment: Object) -> None:
    """Probes that ask this Pod and can still say no: no other host, no readiness that never ends, no startup question that anybody can answer."""
    container = guards.server(deployment)
    for kind in PROBES:
        get = (container.get(kind) or {}).get("httpGet") or {}
        if get.get("host") or get.get("scheme", "HTTP") != "HTTP":
            raise fail(
                f"the {kind} asks somebody else",
                see(deployment, f"{kind}.httpGet", get),
                expected="no host and plain HTTP: the Pod that gets the requests is the one to be asked",
                next="remove host and scheme",
            )
    readiness, startup = container.get("readinessProbe") or {}, container.get("startupProbe")
    stays = max(int(readiness.get("periodSeconds", 10)), int(readiness.get("timeoutSeconds", 1))) * int(
        readiness.get("failureThreshold", 3)
    )
    if stays > 60:
        raise fail(
            "the readiness probe leaves a Pod in traffic long after it stopped answering",
            see(deployment, "readinessProbe", f"period or timeout × failureThreshold = {stays} s"),
            expected="at most 60 s",
            next="periodSeconds, timeoutSeconds, failureThreshold",
        )
    liveness = guards.question(container, "livenessProbe")
    if startup and liveness == ("/ready", guards.probes.PORT) and guards.question(container, "startupProbe") != liveness:
        raise fail(
            "the startup probe does not ask the model",
            see(deployment, "startupProbe", guards.question(container, "startupProbe") or "no HTTP question"),
            expected="/ready: a startup probe that is content too early hands over to a liveness probe that is not",
            next="what do the two probes ask, one after the other, while the model loads?",
        )


def load_of(ctx: Context, pods: list[Object]) -> float:
    """Seconds that the longest load of these Pods took, by their own logs; not yet where none says so."""
    found = [causes.measured(ctx.api.log(pod, "model-server", first_bytes=24 * 1024)) for pod in pods]
    if not found or None in found:
        raise wait("the log does not say yet how long the load took", next=f"kubectl -n {ctx.namespace} logs {named(pods[0])}")
    return max(each for each in found if each is not None)


def budget_has_room(deployment: Object, load: float) -> None:
    """A startup probe, where there is one, waits longer than the load that was measured, with room."""
    startup = guards.server(deployment).get("startupProbe")
    if startup and guards.budget(startup) < load * ROOM:
        raise fail(
            "the startup probe's budget is too small for the load that was measured",
            see(deployment, "startupProbe", f"{guards.budget(startup)} s"),
            Seen("log", "model loaded seconds", f"{load:g}"),
            expected=f"at least {load * ROOM:.1f} s: on a slow day the load takes longer, and then every start is killed",
            next="periodSeconds × failureThreshold",
        )


def load_was_measured(ctx: Context, load: float, *seen: Seen) -> None:
    """The learner says how long the load takes, and the log agrees."""
    given = ctx.answers.get("load_seconds")
    where = f'kubectl -n {ctx.namespace} logs deployment/ai-log-summary-api | grep seconds=, then lab.answer("{ctx.exercise.id}", load_seconds=…)'
    if given is None:
        raise Stop(
            Verdict(
                Outcome.NOT_YET,
                "it works, and nobody has said yet how long the load takes",
                seen,
                expected="the seconds that were measured: a budget is chosen from a number, not from a feeling",
                next=where,
                credit=0.6,
                idle=True,
            )
        )
    seconds = answers.seconds(given)
    if seconds is None:
        raise fail(
            "the answer load_seconds is no number of seconds", Seen("your answer", "load_seconds", str(given)), next=where, credit=0.5
        )
    if abs(seconds - load) > max(0.5, 0.15 * load):
        raise fail(
            "the load takes another time than your answer says",
            Seen("your answer", "load_seconds", f"{seconds:g}"),
            *seen,
            expected="what the server measured, in seconds",
            next=where,
            credit=0.5,
        )
