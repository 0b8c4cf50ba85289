"""Probes: what they ask, how long they wait, and whether traffic waits for a loaded model."""

from __future__ import annotations

from datetime import datetime

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import fail, wait

PORT = 8080
# Seconds. A hung server is to be found within the first; a model that does not load within the second never will here.
LIVENESS_PATIENCE = 30
STARTUP_PATIENCE = 120


def budget(probe: Object) -> int:
    """Seconds from the container's start until a probe that never gets an answer has given up: the next question waits for the last one's timeout."""
    each = max(int(probe.get("periodSeconds", 10)), int(probe.get("timeoutSeconds", 1)))
    return int(probe.get("initialDelaySeconds", 0)) + each * int(probe.get("failureThreshold", 3))


def question(container: Object, kind: str) -> tuple[str, int] | None:
    """The path and the port that a probe asks by HTTP, named ports resolved; None for no such probe."""
    get = (container.get(kind) or {}).get("httpGet")
    if not get:
        return None
    port = get.get("port")
    named_ports = {each.get("name"): each["containerPort"] for each in container.get("ports") or []}
    return get.get("path", "/"), int(named_ports.get(port, port if str(port).isdigit() else 0))


def server(owner: Object) -> Object:
    """The container model-server of a workload's template; ends the check where there is none."""
    found = observe.container(owner["spec"]["template"]["spec"], "model-server")
    if not found:
        raise fail(f"{named(owner)} has no container model-server any more", see(owner, "containers", "model-server is missing"))
    return found


def settings(container: Object) -> dict[str, Object]:
    """A container's variables by name, as they stand in its spec."""
    return {each["name"]: each for each in container.get("env") or []}


def load_seconds(container: Object) -> float:
    """Seconds that the model server is told to take for its load."""
    return float(settings(container).get("MODEL_LOAD_SECONDS", {}).get("value", 0))


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
            next=f"kubectl -n {ctx.namespace} port-forward deployment/{deployment['metadata']['name']} 8080:8080, then curl -v the path",
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
    if int(liveness.get("terminationGracePeriodSeconds", 0)) > LIVENESS_PATIENCE:
        raise fail(
            "a hung server is given far too long to end",
            see(deployment, "livenessProbe.terminationGracePeriodSeconds", liveness["terminationGracePeriodSeconds"]),
            expected=f"at most {LIVENESS_PATIENCE} s: a server that hangs does not end by itself, and serves nobody until it is killed",
            next="remove terminationGracePeriodSeconds from the liveness probe",
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


def seconds_to_ready(pod: Object) -> float:
    """Seconds from the container's start until the Pod was Ready."""
    started = pod["status"]["containerStatuses"][0].get("state", {}).get("running", {}).get("startedAt")
    ready = observe.condition(pod, "Ready").get("lastTransitionTime")
    if not started or not ready:
        raise wait("the container has just changed its state", see(pod, "containerStatuses", "not running"))
    return (datetime.fromisoformat(ready) - datetime.fromisoformat(started)).total_seconds()
