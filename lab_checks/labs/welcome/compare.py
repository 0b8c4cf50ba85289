"""Lab 00-welcome: the web app and the model side by side. What each row of the comparison is held against: two Pods, a log, two pages of metrics."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cached_property
from typing import Any

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.verdict import Seen, wait
from lab_checks.labs.welcome.answers import Judge, Wrong, flat, names, number, percent

API, WEB = "ai-log-summary-api", "runbook-pages"
MIB = 1024 * 1024

# Signals that a web app has under other names: how many requests, how long, which process.
_SHARED = re.compile(r"^(?:python_|process_|model_(?:requests|request_duration|info)|http_)")
_SUFFIX = re.compile(r"_(?:bucket|count|sum|total|created)$")
_WEIGHTS = re.compile(r"loading model weights path=(\S+)")
_LOADED = re.compile(r"model loaded seconds=([\d.]+)")
# Timestamps are whole seconds on both ends, so that a difference of two is off by up to one.
_SECOND = 1.01


def metric_names(page: str) -> frozenset[str]:
    """The names on a page of metrics, those that are only announced (no request came yet) among them."""
    found = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    found |= set(re.findall(r"^([A-Za-z_:][\w:]*)(?:\{| )", page, re.M))
    return frozenset(found)


def metric(page: str, name: str) -> float | None:
    found = re.search(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)", page, re.M)
    return float(found.group(1)) if found else None


def family(name: str) -> str:
    return _SUFFIX.sub("", name.partition("{")[0].strip())


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


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


class Pair:
    """The two Pods as they are now, row by row."""

    def __init__(self, ctx: Context, web: Object, model: Object):
        self._ctx, self._web, self._model = ctx, web, model
        self._log = ctx.api.log(model, "model-server")

    def judges(self) -> dict[str, Judge]:
        return {
            "product": self.product,
            "web_seconds": lambda value: self._seconds(value, self._web, self._model),
            "model_seconds": lambda value: self._seconds(value, self._model, self._web),
            "web_mib": lambda value: self._memory(value, self._web),
            "model_mib": lambda value: self._memory(value, self._model),
            "weights": self.weights,
            "signals": self.signals,
            "gpu_percent": self.gpu_percent,
        }

    def rows(self) -> list[Seen]:
        """What the cluster shows, for the card of one who passed."""
        return [
            see(self._model, f"limits[{GPU}]", f"{self._held} of {self._total}"),
            see(self._model, "memory", f"{(self._resident(self._model) or 0) / MIB:.0f} MiB"),
            see(self._web, "memory", f"{(self._resident(self._web) or 0) / MIB:.0f} MiB"),
        ]

    # Compute

    def product(self, value: Any) -> Wrong | None:
        node = self._ctx.node(self._model["spec"]["nodeName"])
        true, given = flat(node.product), flat(value)
        others = {flat(each.product): each.name for each in self._ctx.gpu_facts if each.product and flat(each.product) != true}
        if given == true or (len(given) > 1 and given in true and not any(given in each for each in others)):
            return None
        why = "the node of the model's Pod has another product"
        if given.startswith("cuda"):
            why = "that is what the device is called inside the container"
        elif given in others:
            why = f"that sits in {others[given]}, and the Pod runs elsewhere"
        return Wrong(
            why,
            (see(self._model, "spec.nodeName", node.name),),
            "the GPU that the model runs on: the product of its Pod's node",
            f"kubectl -n {self._ctx.namespace} get pods -o wide, then kubectl get nodes -L nvidia.com/gpu.product",
        )

    # Startup

    def _seconds(self, value: Any, pod: Object, other: Object) -> Wrong | None:
        given = number(value)
        least, most = self._span(pod)
        if given is not None and least <= given <= most:
            return None
        low, high = self._span(other)
        swapped = given is not None and low <= given <= high
        ready = observe.condition(pod, "Ready").get("lastTransitionTime", "")
        return Wrong(
            f"{_app(pod)} did not take {value} seconds" + (f": that is {_app(other)}" if swapped else ""),
            (see(pod, "status.conditions[Ready].lastTransitionTime", ready),),
            "seconds from the container's start (startedAt) until the Pod was Ready (lastTransitionTime)",
            f"kubectl -n {self._ctx.namespace} get pod {pod['metadata']['name']} -o yaml: startedAt",
        )

    def _span(self, pod: Object) -> tuple[float, float]:
        found = _LOADED.findall(self._log) if pod is self._model else []
        return seconds_to_ready(pod, float(found[-1]) if found else 0.0)

    # Memory

    @cached_property
    def _pages(self) -> dict[str, str]:
        return {_app(pod): self._page(pod) for pod in (self._web, self._model)}

    def _page(self, pod: Object) -> str:
        port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
        found = self._ctx.api.through("pods", f"{pod['metadata']['name']}:{port}", self._ctx.namespace, "metrics")
        if not found:
            raise wait(
                f"{_app(pod)} does not answer on /metrics", see(pod, "port", port), next=f"kubectl -n {self._ctx.namespace} get pods"
            )
        return found

    def _resident(self, pod: Object) -> float | None:
        return metric(self._pages[_app(pod)], "process_resident_memory_bytes")

    def _memory(self, value: Any, pod: Object) -> Wrong | None:
        given, page = number(value), self._pages[_app(pod)]
        sizes = [
            found / MIB for name in ("process_resident_memory_bytes", "process_peak_resident_memory_bytes") if (found := metric(page, name))
        ]
        if given is not None and sizes and 0.75 * min(sizes) <= given <= 1.25 * max(sizes):
            return None
        spec = pod["spec"]
        why = f"{_app(pod)} does not use {value} MiB"
        if given is not None and sizes and 0.75 * min(sizes) <= given / MIB <= 1.25 * max(sizes):
            why = "those are bytes: a MiB is 1024 × 1024 of them"
        elif given is not None and given * MIB in (float(asked(spec, "memory")), float(asked(spec, "memory", "limits"))):
            why = f"that is what {_app(pod)} asks for or may use at most, and not what it uses"
        return Wrong(
            why,
            (see(pod, "requests.memory", f"{float(asked(spec, 'memory')) / MIB:.0f} MiB"),),
            "the memory that is resident now, in MiB",
            f"kubectl get --raw /api/v1/namespaces/{self._ctx.namespace}/services/{_app(pod)}:http/proxy/metrics | grep resident",
        )

    # Storage

    def weights(self, value: Any) -> Wrong | None:
        found = _WEIGHTS.findall(self._log)
        if not found:
            raise wait("the model server's log does not speak of its weights", see(self._model, "log", "no line with path="))
        given = str(value).strip().strip("'\"")
        if given in (found[-1], found[-1].rpartition("/")[2]):
            return None
        why = "that is not the file that the model server reads"
        if re.search(r"runbook|server\.py|/srv", given):
            why = "that is what the web app reads, a few hundred bytes out of a ConfigMap"
        return Wrong(
            why,
            (see(self._model, "log", "loading model weights path=…"),),
            "the file of weights, as the model server's log names it",
            f"kubectl -n {self._ctx.namespace} logs deployment/{API} | grep weights",
        )

    # Observability

    def signals(self, value: Any) -> Wrong | None:
        given = sorted({family(each) for each in names(value)})
        model = {family(each) for each in metric_names(self._pages[API])}
        web = {family(each) for each in metric_names(self._pages[WEB])}
        look = f"kubectl get --raw /api/v1/namespaces/{self._ctx.namespace}/services/{API}:http/proxy/metrics | grep '^# TYPE'"
        for name in given:
            if name in web:
                return Wrong(f"{name} is on the web app's page too", expected="names that only the model has", next=look)
            if name not in model and not (name.startswith("DCGM_") and name in self._dcgm):
                return Wrong(f"no page of metrics has the name {name}", expected="names as they stand on /metrics", next=look)
            if _SHARED.match(name):
                return Wrong(
                    f"{name} tells what any web app tells, under another name",
                    expected="signals of the model: its GPU, its queue, its tokens, its load",
                    next=look,
                )
        if len(given) < 2:
            return Wrong("one name is there, and two are asked for", expected="two signals that a web app has no word for", next=look)
        return None

    @cached_property
    def _dcgm(self) -> frozenset[str]:
        """The names of the GPU metrics that the device plugin's Pod on the model's node serves."""
        for pod in self._ctx.all_pods:
            on_node = pod["spec"].get("nodeName") == self._model["spec"]["nodeName"]
            if on_node and observe.is_plugin({"spec": {"template": pod}}) and observe.is_ready(pod):
                page = self._ctx.api.through("pods", f"{pod['metadata']['name']}:9400", pod["metadata"]["namespace"], "metrics")
                return frozenset(family(each) for each in metric_names(page or ""))
        return frozenset()

    # Cost

    @property
    def _held(self) -> int:
        return int(asked(self._model["spec"], GPU))

    @property
    def _total(self) -> int:
        return sum(each.allocatable for each in self._ctx.gpu_facts)

    def gpu_percent(self, value: Any) -> Wrong | None:
        given = percent(value)
        if given is not None and self._total and abs(given - 100 * self._held / self._total) <= 1.5:
            return None
        why = "the share is another"
        node = self._ctx.node(self._model["spec"]["nodeName"])
        if given == self._held:
            why = "that is the number of GPUs, and the share of all is asked for"
        elif given is not None and node.allocatable and abs(given - 100 * self._held / node.allocatable) <= 1.5:
            why = f"that is the share of {node.name} alone"
        return Wrong(
            why,
            (see(self._model, f"limits[{GPU}]", self._held),),
            "GPUs that the model's Pod holds, in percent of what all nodes can give",
            "kubectl get nodes -o custom-columns='NODE:.metadata.name,GPUS:.status.allocatable.nvidia\\.com/gpu'",
        )


def _app(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get("app", named(pod)))
