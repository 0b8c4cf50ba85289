"""Lab 02-model-server: a Deployment that the learner wrote, line by line: what runs, where, with how much, and who says that it can answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from kubeobjects import Object, placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, GPU_TAINT, amount, asked, see
from lab_checks.judging import guards, words

API = "ai-log-summary-api"
IMAGE = "registry.example.com/ai-log-summary-api"
PORT = 8080
MIB = 2**20

# What a laptop can spare for a server that uses some 40 MiB. In production these numbers come from the model.
MOST_REQUEST, MOST_LIMIT = amount("512Mi"), amount("1Gi")
_BOUNDS = (
    ("no-memory-request", "memory", "requests", amount(0), MOST_REQUEST),
    ("no-memory-limit", "memory", "limits", amount(0), MOST_LIMIT),
    ("no-cpu-request", "cpu", "requests", amount("10m"), amount("1")),
    ("no-cpu-limit", "cpu", "limits", amount("10m"), amount("4")),
)
# Seconds: an initial delay, a pause between two questions, until a Pod that stopped answering leaves the Service, until one that ends is killed, and
# until a Ready Pod counts as available.
_MOST_DELAY, _MOST_PERIOD, _MOST_BUDGET, _MOST_GRACE, _MOST_MIN_READY = 30, 30, 120, 120, 30
# Variables that make the server answer something else than the truth.
_LIES = r"READY_LIES|ON_LOAD_ERROR|ERROR_RATE|MODEL_PATH|MODEL_VERSION"


def sound(ctx: Context, deployment: Object) -> None:
    """The Deployment as it should be written, whoever wrote it."""
    _container(ctx, deployment)
    _pod(ctx, deployment)
    _run(ctx, deployment)
    resources(ctx, deployment)
    _probes(ctx, deployment)


def _container(ctx: Context, deployment: Object) -> None:
    """One container model-server with the label of the API, that runs the image's own program in version v1."""
    template = deployment["spec"]["template"]
    labels, spec, server = template["metadata"].get("labels") or {}, template["spec"], guards.server_container(deployment)
    if labels.get("app") != API:
        raise words.fail(ctx, "label-missing", see(deployment, "spec.template.metadata.labels", labels))
    beside = [each["name"] for key in ("containers", "initContainers") for each in spec.get(key) or [] if each is not server]
    if beside:
        raise words.fail(ctx, "more-than-the-server", see(deployment, "containers, initContainers", beside), name=beside[0])
    if server.get("image") != f"{IMAGE}:v1":
        moving = server.get("image") in (IMAGE, f"{IMAGE}:latest")
        raise words.fail(ctx, "no-version" if moving else "another-image", see(deployment, "image", server.get("image")), version="v1")
    started = {**server, **(server.get("lifecycle") or {})}
    if odd := [key for key in ("command", "args", "postStart") if started.get(key)]:
        raise words.fail(ctx, "another-start", see(deployment, f"containers[model-server].{odd[0]}", started[odd[0]]))
    variables = _variables(ctx, server)
    guards.no_lying_variable({**server, "env": [{"name": name, "value": value} for name, value in variables.items()]}, deployment, _LIES)
    for name, value in variables.items():
        if (name == "DEVICE" and value not in ("auto", "cuda")) or (name == "PORT" and value != str(PORT)):
            raise words.fail(ctx, "another-server", see(deployment, f"env[{name}]", value), name=name)
    guards.nothing_over_the_program(server, deployment)


def _variables(ctx: Context, server: Object) -> dict[str, str]:
    """The container's variables with their values, those of ConfigMaps looked up; what cannot be looked up is `from elsewhere`."""

    def of(name: str) -> Object:
        return (ctx.get("configmaps", name) or {}).get("data") or {}

    found: dict[str, str] = {}
    for each in server.get("envFrom") or []:
        held = of(each["configMapRef"]["name"]) if "configMapRef" in each else {"envFrom": "from elsewhere"}
        found |= {each.get("prefix", "") + key: value for key, value in held.items()}
    for each in server.get("env") or []:
        key = (each.get("valueFrom") or {}).get("configMapKeyRef") or {}
        found[each["name"]] = (
            of(key["name"]).get(key["key"], "") if key else each.get("value", "from elsewhere" if "valueFrom" in each else "")
        )
    return found


def _pod(ctx: Context, deployment: Object) -> None:
    """No door to the node, and the scheduler's choice among the nodes that have a GPU."""
    spec = deployment["spec"]["template"]["spec"]
    guards.isolated_from_node(spec, deployment)
    guards.like_any_other(spec, deployment)
    guards.template_has_no_node_name(deployment)
    guards.tied_to_no_node(ctx, deployment)
    guards.tolerates_narrowly(spec, deployment)
    guards.tolerates_only(spec, deployment, GPU_TAINT)
    grace = spec.get("terminationGracePeriodSeconds", 30)
    if grace > _MOST_GRACE:
        raise words.fail(ctx, "ends-too-slowly", see(deployment, "terminationGracePeriodSeconds", grace), most=_MOST_GRACE)
    gpu_nodes = [node for node in ctx.nodes if (node["metadata"].get("labels") or {}).get(f"{GPU}.present") == "true"]
    if gpu_nodes and all(placement.untolerated(spec, node) for node in gpu_nodes):
        taint = placement.untolerated(spec, gpu_nodes[0])[0]
        seen = (
            see(deployment, "spec.template.spec.tolerations", spec.get("tolerations")),
            see(gpu_nodes[0], "spec.taints", f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"),
        )
        raise words.fail(ctx, "not-tolerated", *seen, node=gpu_nodes[0]["metadata"]["name"])


def _run(ctx: Context, deployment: Object) -> None:
    """One replica, rolled out at once."""
    spec = deployment["spec"]
    if spec.get("replicas", 1) != 1:
        raise words.fail(ctx, "not-one-replica", see(deployment, "spec.replicas", spec["replicas"]), count=spec["replicas"])
    if spec.get("paused"):
        raise words.fail(ctx, "paused", see(deployment, "spec.paused", True))
    if spec.get("minReadySeconds", 0) > _MOST_MIN_READY:
        raise words.fail(ctx, "available-too-late", see(deployment, "spec.minReadySeconds", spec["minReadySeconds"]), most=_MOST_MIN_READY)


def quantity(resource: str, value: Any) -> str:
    return f"{float(value) / MIB:,.0f}Mi" if resource == "memory" else f"{float(value):g}"


def resources(ctx: Context, deployment: Object) -> None:
    """CPU and memory requested and limited, in the size of a laptop; one GPU."""
    spec = deployment["spec"]["template"]["spec"]
    for missing, resource, kind, least, most in _BOUNDS:
        # A limit alone is a request too: the API server fills it in.
        value, what = asked(spec, resource, kind), f"{resource} {kind.removesuffix('s')}"
        seen = see(deployment, f"containers[model-server].resources.{kind}[{resource}]", quantity(resource, value) if value else None)
        if value <= 0:
            raise words.fail(ctx, missing, seen)
        if not least <= value <= most:
            bounds = f"{f'between {quantity(resource, least)} and' if least else 'at most'} {quantity(resource, most)}"
            raise words.fail(ctx, "far-off", seen, what=what, where="above" if value > most else "below", bounds=bounds)
    count = int(asked(spec, GPU, "limits"))
    if count != 1:
        raise words.fail(ctx, "more-gpus" if count else "no-gpu", see(deployment, f"limits[{GPU}]", count or None), count=count)


def _probes(ctx: Context, deployment: Object) -> None:
    """A readiness probe that asks the model, soon and often enough; and no other probe that asks nobody, or waits for ever."""
    server = guards.server_container(deployment)
    probe = server.get("readinessProbe") or {}
    if not probe:
        raise words.fail(ctx, "no-readiness", see(deployment, "containers[model-server].readinessProbe", None))
    if "exec" in probe:
        raise words.fail(
            ctx, "probe-by-command", see(deployment, "readinessProbe.exec.command", " ".join(probe["exec"].get("command") or []))
        )
    for kind, paths in (
        ("readinessProbe", ("/ready",)),
        ("livenessProbe", ("/healthz", "/ready")),
        ("startupProbe", ("/healthz", "/ready")),
    ):
        probe = server.get(kind) or {}
        if not probe:
            continue
        get, asks = probe.get("httpGet") or {}, guards.probe_question(server, kind)
        elsewhere = get.get("host") or get.get("scheme", "HTTP") != "HTTP"
        if not asks or urlsplit(asks[0]).path not in paths or asks[1] != PORT or elsewhere:
            name = "asks-not-the-model" if kind == "readinessProbe" else "asks-nobody"
            raise words.fail(ctx, name, see(deployment, kind, get or probe), probe=kind, paths=" or ".join(paths))
        delay, period, patience = probe.get("initialDelaySeconds", 0), probe.get("periodSeconds", 10), guards.probe_budget(probe)
        if delay > _MOST_DELAY or period > _MOST_PERIOD:
            seen = see(deployment, kind, f"initialDelaySeconds {delay}, periodSeconds {period}")
            raise words.fail(ctx, "asks-too-late", seen, probe=kind, most=min(_MOST_DELAY, _MOST_PERIOD))
        if patience > _MOST_BUDGET:
            seen = see(deployment, kind, f"gives up after {patience} s: periodSeconds or timeoutSeconds × failureThreshold, and the delay")
            raise words.fail(ctx, "gives-up-too-late", seen, probe=kind, most=_MOST_BUDGET)
