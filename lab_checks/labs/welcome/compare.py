"""Lab 00-welcome: the web app and the model side by side. What each row of the comparison is held against: two Pods, a log, two pages of metrics."""

from __future__ import annotations

import re
from collections.abc import Callable

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, moment, named, see
from lab_checks.engine.verdict import wait
from lab_checks.judging import answers, said, sheet
from lab_checks.judging.said import MIB
from lab_checks.judging.sheet import Blank
from lab_checks.labs.welcome.map import product

API, WEB = "ai-log-summary-api", "runbook-pages"

# Signals that a web app has under other names: how many requests, how long, which process.
_SHARED = re.compile(r"^(?:python_|process_|model_(?:requests|request_duration|info)|http_)")
_SUFFIX = re.compile(r"_(?:bucket|count|sum|total|created)$")
_WEIGHTS = re.compile(r"loading model weights path=(\S+)")
_LOADED = re.compile(r"model loaded seconds=([\d.]+)")
# Timestamps are whole seconds on both ends, so that a difference of two is off by up to one.
_SECOND = 1.01
# What is resident differs from one look to the next.
_LESS, _MORE = 0.75, 1.25


def metric_names(page: str) -> frozenset[str]:
    """The names on a page of metrics, those that are only announced (no request came yet) among them."""
    found = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    found |= set(re.findall(r"^([A-Za-z_:][\w:]*)(?:\{| )", page, re.M))
    return frozenset(found)


def family(name: str) -> str:
    return _SUFFIX.sub("", name.partition("{")[0].strip())


def seconds_to_ready(pod: Object, load: float = 0.0) -> tuple[float, float]:
    """The shortest and the longest time that may rightly be called a Pod's start: from container or creation, or the load alone."""
    status = (pod["status"].get("containerStatuses") or [{}])[0]
    started = status.get("state", {}).get("running", {}).get("startedAt")
    ready = observe.condition(pod, "Ready").get("lastTransitionTime")
    if not started or not ready:
        raise wait("a container has just changed its state", see(pod, "containerStatuses", "not running"))
    from_start = moment(ready) - moment(started)
    # A container that was restarted says nothing about when its Pod was made.
    from_creation = from_start if status.get("restartCount") else moment(ready) - moment(pod["metadata"]["creationTimestamp"])
    return max(0.0, min(from_start, load or from_start) - _SECOND), max(from_start, from_creation) + _SECOND


def blanks(ctx: Context, web: Object, model: Object) -> list[Blank]:
    """The sheet of the comparison, as the two Pods are now."""
    log = ctx.api.log(model, "model-server")
    pages = {API: page(ctx, model), WEB: page(ctx, web)}
    loaded, weights = _LOADED.findall(log), _WEIGHTS.findall(log)
    if not weights:
        raise wait("the model server's log does not speak of its weights", see(model, "log", "no line with path="))
    spans = {API: seconds_to_ready(model, float(loaded[-1]) if loaded else 0.0), WEB: seconds_to_ready(web)}
    node = ctx.node(model["spec"]["nodeName"])
    return [
        product(
            "product", {node.product}, {each.product: each.name for each in ctx.gpu_facts},
            "the GPU that the model runs on: the product of its Pod's node",
            f"kubectl -n {ctx.namespace} get pods -o wide, then kubectl get nodes -L nvidia.com/gpu.product",
        ),
        _seconds("web_seconds", web, WEB, spans),
        _seconds("model_seconds", model, API, spans),
        _memory("web_mib", web, pages[WEB]),
        _memory("model_mib", model, pages[API]),
        Blank(
            "weights", answers.word, lambda file: file.removeprefix("path=") in (weights[-1], weights[-1].rpartition("/")[2]),
            "the file of weights, as the model server's log names it", f"kubectl -n {ctx.namespace} logs deployment/{API} | grep weights",
            lambda file: "that is what the web app reads, a few hundred bytes out of a ConfigMap" if re.search(r"runbook|server\.py|/srv", file)
            else "that is not the file that the model server reads", form="the name of one file is asked for", called=("path",),
        ),
        _signals(pages, lambda: _gpu_metrics(ctx, node.name)),
        _share(ctx, model, node),
    ]  # fmt: skip


def page(ctx: Context, pod: Object) -> str:
    """What a Pod says on /metrics; not yet while it does not answer."""
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    found = ctx.api.through("pods", f"{pod['metadata']['name']}:{port}", ctx.namespace, "metrics")
    if not found:
        raise wait(f"{named(pod)} does not answer on /metrics", see(pod, "port", port), next=f"kubectl -n {ctx.namespace} get pods")
    return found


def _seconds(name: str, pod: Object, app: str, spans: dict[str, tuple[float, float]]) -> Blank:
    (least, most), (other, (low, high)) = spans[app], next(each for each in spans.items() if each[0] != app)
    return sheet.number(
        name, lambda given: least <= given <= most, "seconds from the container's start (startedAt) until the Pod was Ready (lastTransitionTime)",
        f"kubectl -n {pod['metadata']['namespace']} get pod {pod['metadata']['name']} -o yaml: startedAt", reads=answers.seconds,
        told=lambda given: f"{app} did not take {given:g} s" + (f": that is {other}" if low <= given <= high else ""),
    )  # fmt: skip


def _memory(name: str, pod: Object, page: str) -> Blank:
    app, spec = pod["metadata"]["labels"]["app"], pod["spec"]
    sizes = [said.resident_mib(page), said.peak_mib(page)]
    least, most = _LESS * min(filter(None, sizes), default=0.0), _MORE * max(sizes)
    sized = [float(asked(spec, "memory", kind)) / MIB for kind in ("requests", "limits")]

    def told(given: float) -> str:
        if least <= given / MIB <= most:
            return "those are bytes: a MiB is 1024 × 1024 of them"
        return (
            f"that is what {app} asks for or may use at most, and not what it uses"
            if given in sized
            else f"{app} does not use {given:g} MiB"
        )

    look = f"kubectl get --raw /api/v1/namespaces/{pod['metadata']['namespace']}/services/{app}:http/proxy/metrics | grep resident"
    return sheet.number(
        name, lambda given: least <= given <= most, "the memory that is resident now, in MiB", look, reads=answers.mebibytes, told=told
    )


def _signals(pages: dict[str, str], gpu_metrics: Callable[[], frozenset[str]]) -> Blank:
    model, web = ({family(each) for each in metric_names(pages[app])} for app in (API, WEB))

    def wrong(given: frozenset[str]) -> str:
        for name in sorted(given):
            if name in web:
                return f"{name} is on the web app's page too"
            if name not in model and not (name.startswith("DCGM_") and name in gpu_metrics()):
                return f"no page of metrics has the name {name}"
            if _SHARED.match(name):
                return f"{name} tells what any web app tells, under another name"
        return "" if len(given) > 1 else "one name is there, and two are asked for"

    def reads(said: object) -> frozenset[str] | None:
        return frozenset(map(family, found)) if (found := answers.names(said)) else None

    return Blank(
        "signals", reads, lambda given: not wrong(given), "two names as they stand on the model's page: of its GPU, its queue, its tokens or its load",
        f"kubectl get --raw /api/v1/namespaces/ai-platform/services/{API}:http/proxy/metrics | grep '^# TYPE'", wrong,
        form="names of metrics are asked for",
    )  # fmt: skip


def _gpu_metrics(ctx: Context, node: str) -> frozenset[str]:
    """The names of the GPU metrics that the device plugin's Pod on a node serves."""
    pod = observe.plugin_pod(ctx.all_pods, node)
    page = ctx.api.through("pods", f"{pod['metadata']['name']}:9400", pod["metadata"]["namespace"], "metrics") if pod else ""
    return frozenset(family(each) for each in metric_names(page or ""))


def _share(ctx: Context, model: Object, node: observe.NodeFacts) -> Blank:
    held, total = int(asked(model["spec"], GPU)), sum(each.allocatable for each in ctx.gpu_facts)

    def is_part(given: float, of: int) -> bool:
        return bool(of) and abs(given - 100 * held / of) <= 1.5

    def told(given: float) -> str:
        if given == held:
            return "that is the number of GPUs, and the share of all is asked for"
        return f"that is the share of {node.name} alone" if is_part(given, node.allocatable) else "the share is another"

    return sheet.number(
        "gpu_percent", lambda given: is_part(given, total), "GPUs that the model's Pod holds, in percent of what all nodes can give",
        "kubectl get nodes -o custom-columns='NODE:.metadata.name,GPUS:.status.allocatable.nvidia\\.com/gpu'", reads=answers.percent, told=told,
        things=("percent",),
    )  # fmt: skip
