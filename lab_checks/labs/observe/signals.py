"""Lab 06-observe: the four golden signals of a model API, by hand. What each answer is held against: two pages of metrics, and what the clients send.

The signals are those of https://sre.google/sre-book/monitoring-distributed-systems/: latency, traffic, errors, saturation.
"""

from __future__ import annotations

import re

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen, wait
from lab_checks.judging import answers, guards, sheet
from lab_checks.judging.sheet import Blank
from lab_checks.labs.observe import pages
from lab_checks.labs.observe.pages import Page, family

API, TOOLS = "ai-log-summary-api", "on-call-tools"
# Which families tell which signal; of the GPU's page those that say how full it is.
SIGNALS = {
    "latency": ("model_request_duration_seconds", "model_time_to_first_token_seconds"),
    "traffic": ("model_requests", "model_tokens", "model_lines"),
    "errors": ("model_errors",),
    "saturation": ("model_queue_depth", "model_in_flight", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "model_gpu_memory_mebibytes"),
}
_ASKS = {
    "latency": "how long a request takes, or until its first token",
    "traffic": "how much is asked of the server",
    "errors": "what fails on the server's side",
    "saturation": "how full it is: what waits, what is worked on at once",
}
_PAGE = f"kubectl get --raw /api/v1/namespaces/ai-platform/services/{API}:http/proxy/metrics"
_GPU_PAGE = "kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:9400/proxy/metrics, with a Pod of the device plugin"
_FAILED_REQUESTS = re.compile(r"""model_requests_total\{.*code=~?["']\^?5""")
# Two looks at a busy server are never quite the same.
_NEAR = 0.2
# With fewer requests one more failure moves the share by more than that.
_ENOUGH = 40


def blanks(ctx: Context, pod: Object) -> list[Blank]:
    """The sheet, as the Pod, its GPU's node and the clients are now."""
    page, gpu = pages.of(ctx, pod), _gpu_page(ctx, pod)
    total = page.sum("model_requests_total")
    if total < _ENOUGH:
        raise wait("too few requests have come to tell a share", Seen(API, "model_requests_total", f"{total:.0f}, {_ENOUGH} are enough"))
    return [
        *(_signal(name, page, gpu) for name in SIGNALS),
        _rate(ctx),
        _error_percent(page),
        _mean(page),
        Blank(
            "gpu_metric", _family, lambda said: said == "DCGM_FI_DEV_GPU_UTIL",
            "the metric of the device plugin's page that says how busy a GPU is, in percent", _GPU_PAGE,
            lambda said: _told_gpu(said, gpu), form="the name of one metric is asked for",
        ),
        _gpu_memory(gpu, pod),
    ]  # fmt: skip


def facts(ctx: Context, pod: Object) -> tuple[Seen, ...]:
    """What a pass shows."""
    page = pages.of(ctx, pod)
    return (
        Seen(API, "requests that failed", f"{_failed(page):.1f} %"),
        see(pod, "DCGM_FI_DEV_FB_USED", f"{_used(_gpu_page(ctx, pod), pod):.0f} MiB"),
    )


def _family(said: object) -> str | None:
    name = answers.word(said)
    return family(name) if name else None


def _failing(said: object) -> str | None:
    """As `_family`; the requests by a code of the server's side count what model_errors_total counts."""
    name = answers.word(said)
    return "model_errors" if name and _FAILED_REQUESTS.match(name) else _family(said)


def _signal(name: str, page: Page, gpu: Page) -> Blank:
    def told(said: str) -> str:
        if said not in page.families and said not in gpu.families:
            return f"no page of metrics has the name {said}"
        other = next((each for each, families in SIGNALS.items() if said in families), "")
        return f"{said} tells the {other}" if other else f"{said} tells none of the four"

    return Blank(
        name, _failing if name == "errors" else _family, lambda said: said in SIGNALS[name] and (said in page.families or said in gpu.families), _ASKS[name],
        f"{_PAGE} | grep '^# HELP'", told, form="the name of one metric is asked for",
    )  # fmt: skip


def _told_gpu(said: str, gpu: Page) -> str:
    if said not in gpu.families:
        return f"the device plugin's page has no {said}"
    return f"{said}: {gpu.families[said].documentation.rstrip('.')}"


def _rate(ctx: Context) -> Blank:
    clients = ctx.need("deployments", TOOLS)
    variables = guards.variables(clients["spec"]["template"]["spec"]["containers"][0])
    sent = float(variables["RATE"]["value"]) * clients["spec"].get("replicas", 1)

    def told(said: float) -> str:
        if said > 3 * sent:
            return "a counter is the number since the process started: a rate is how much it grows, divided by the seconds in which it does"
        return "the counter grows faster" if said < sent else "the counter grows more slowly"

    return sheet.number(
        "requests_per_second", lambda said: abs(said - sent) <= _NEAR * sent, "how many requests come in a second",
        f"{_PAGE} | grep model_requests_total, twice, some seconds apart", reads=_per_second, told=told,
    )  # fmt: skip


def _per_second(said: object) -> float | None:
    found = answers.number(str(said).replace("/s", "").replace("per second", ""))
    return found.value if found and not found.measures else None


def _failed(page: Page) -> float:
    """The share of requests that failed on the server's side, in percent."""
    return 100 * page.sum("model_requests_total", code="5*") / (page.sum("model_requests_total") or 1)


def _error_percent(page: Page) -> Blank:
    right = _failed(page)
    return sheet.number(
        "error_percent", lambda said: abs(said - right) <= max(1.5, _NEAR * right), "requests that were answered with 5xx, in percent of all requests",
        f"{_PAGE} | grep model_requests_total", reads=answers.percent,
        told=lambda said: "that is how many have failed so far: a share is asked for" if said > 100 or said == page.sum("model_errors_total")
        else "the share is another",
    )  # fmt: skip


def _mean(page: Page) -> Blank:
    name = "model_request_duration_seconds"
    right = page.sum(f"{name}_sum") / (page.sum(f"{name}_count") or 1)

    def told(said: float) -> str:
        if abs(said - page.sum(f"{name}_sum")) <= _NEAR * said:
            return "that is the sum of all requests: what is it divided by their number?"
        if abs(said / 1000 - right) <= _NEAR * right:
            return "1000 milliseconds are a second: the answer is off by that"
        return "one request takes less on average" if said > right else "one request takes longer on average"

    return sheet.number(
        "mean_ms", lambda said: abs(said - right) <= _NEAR * right, "how long a request takes on average, in milliseconds",
        f"{_PAGE} | grep -E '{name}_(sum|count)'", reads=_milliseconds, told=told,
    )  # fmt: skip


def _milliseconds(said: object) -> float | None:
    """A time in seconds; a number without a unit is taken as milliseconds."""
    found = answers.number(said)
    if found is None or found.measures not in ("", "time"):
        return None
    return found.value if found.measures else found.value / 1000


def _gpu_page(ctx: Context, pod: Object) -> Page:
    node = pod["spec"]["nodeName"]
    plugin = observe.plugin_pod(ctx.all_pods, node)
    if plugin is None:
        raise wait(f"no Pod of the device plugin is Ready on {node}", Seen(f"node/{node}", "plugin", "<none>"))
    return pages.of(ctx, plugin, 9400)


def _used(gpu: Page, pod: Object) -> float:
    """MiB in use on the cards that a Pod holds."""
    return gpu.sum("DCGM_FI_DEV_FB_USED", namespace=pod["metadata"]["namespace"], pod=pod["metadata"]["name"])


def _gpu_memory(gpu: Page, pod: Object) -> Blank:
    right = _used(gpu, pod)
    others = {each.value for each in gpu.samples("DCGM_FI_DEV_FB_USED") if each.labels.get("pod") != pod["metadata"]["name"]}
    free = gpu.sum("DCGM_FI_DEV_FB_FREE", namespace=pod["metadata"]["namespace"], pod=pod["metadata"]["name"])

    def told(said: float) -> str:
        if said in others:
            return "that is another card of the node: the labels namespace and pod say who holds which"
        return "that is what is free on it" if abs(said - free) <= 0.05 * free else "this Pod's card shows something else"

    if not right:
        raise wait("the GPU does not show the model's memory yet", see(pod, "DCGM_FI_DEV_FB_USED", 0))
    return sheet.number(
        "gpu_memory_mib", lambda said: abs(said - right) <= 0.15 * right, "memory in use on the card that this Pod holds, in MiB", _GPU_PAGE,
        reads=answers.mebibytes, told=told,
    )  # fmt: skip
