"""The autoscaler at work, every fifteen seconds for each HorizontalPodAutoscaler.

In: the autoscaler, its target, the target's Pods and what metrics.k8s.io says of them. Out: `spec.replicas` of the target,
conditions, and events.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller, set_condition
from clusters.embedded.controllers.podautoscaler import calculator, metrics_apis
from clusters.embedded.controllers.podautoscaler.calculator import Measured, MetricError
from clusters.embedded.controllers.podautoscaler.stabilization import Memory
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import by_kind
from kubeobjects import meta, quantity, selectors

_AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
_POD_METRICS = "pods.metrics.k8s.io"
# --horizontal-pod-autoscaler-sync-period.
_PERIOD = 15.0


def _condition(kind: str, is_true: bool, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True" if is_true else "False", "reason": reason, "message": message}


class HorizontalPodAutoscalerController(Controller):
    name = "horizontal-pod-autoscaler"

    def __init__(self, context: Context):
        super().__init__(context)
        self._autoscalers = self.informers(_AUTOSCALERS)
        self._autoscalers.on_change(self._changed)
        self._pods = self.informers("pods")
        self._memory: dict[str, Memory] = {}

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (old is None or old["spec"] != new["spec"]):
            self.enqueue(new)

    async def reconcile(self, key: str) -> None:
        autoscaler = self._autoscalers.by_key(key)
        if autoscaler is None:
            self._memory.pop(key, None)
            return
        self.queue.add_after(key, _PERIOD)
        status: Object = {**(autoscaler.get("status") or {}), "observedGeneration": autoscaler["metadata"].get("generation", 1)}
        status.setdefault("currentReplicas", 0)
        status.setdefault("desiredReplicas", 0)
        await self._scale(key, autoscaler, status)
        await self.update_status(_AUTOSCALERS, autoscaler, status)

    @staticmethod
    def _set(status: Object, condition: Object) -> None:
        status["conditions"] = set_condition(status.get("conditions") or [], condition)

    async def _target(self, autoscaler: Object, status: Object) -> tuple[str, Object] | None:
        """(resource, object) that is to be scaled."""
        reference = autoscaler["spec"]["scaleTargetRef"]
        resource = by_kind().get((reference.get("apiVersion", "apps/v1"), reference["kind"]))
        try:
            if resource is None or resource.subresource("scale") is None:
                raise ApiError(404, "NotFound", f'no matches for kind "{reference["kind"]}" in group "{reference.get("apiVersion", "")}"')
            target = await self.client.get(resource.name, reference["name"], autoscaler["metadata"]["namespace"])
        except ApiError as error:
            self._set(
                status,
                _condition(
                    "AbleToScale",
                    False,
                    "FailedGetScale",
                    f"the HPA controller was unable to get the target's current scale: {error.message}",
                ),
            )
            await self.events.event(autoscaler, "Warning", "FailedGetScale", error.message)
            return None
        self._set(
            status, _condition("AbleToScale", True, "SucceededGetScale", "the HPA controller was able to get the target's current scale")
        )
        return resource.name, target

    async def _scale(self, key: str, autoscaler: Object, status: Object) -> None:
        found = await self._target(autoscaler, status)
        if found is None:
            return
        resource, target = found
        spec = autoscaler["spec"]
        size = target["spec"].get("replicas", 1)
        status["currentReplicas"] = (target.get("status") or {}).get("replicas", 0)
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        memory, now = self._memory.setdefault(key, Memory()), time.monotonic()
        reason = ""
        if size == 0 and least != 0:
            status["desiredReplicas"] = 0
            message = "scaling is disabled since the replica count of the target is zero"
            self._set(status, _condition("ScalingActive", False, "ScalingDisabled", message))
            return
        if size > most:
            wanted, reason = most, "Current number of replicas above Spec.MaxReplicas"
        elif size < least:
            wanted, reason = least, "Current number of replicas below Spec.MinReplicas"
        else:
            measured = await self._measure(autoscaler, status, target, size)
            if measured is None:
                status["desiredReplicas"] = size
                return
            proposal, metric = measured
            if proposal > size:
                reason = f"{metric} above target"
            elif proposal < size:
                reason = "All metrics below target"
            wanted = self._normalized(autoscaler, status, memory, size, proposal, now)
        status["desiredReplicas"] = wanted
        if wanted != size:
            await self._resize(autoscaler, status, resource, target, wanted, reason)
            memory.note_change(now, wanted - size)

    def _normalized(self, autoscaler: Object, status: Object, memory: Memory, size: int, proposal: int, now: float) -> int:
        spec = autoscaler["spec"]
        stable = memory.stabilized(spec, size, proposal, now)
        if stable > proposal:
            message = "recent recommendations were higher than current one, applying the highest recent recommendation"
            self._set(status, _condition("AbleToScale", True, "ScaleDownStabilized", message))
        elif stable < proposal:
            message = "recent recommendations were lower than current one, applying the lowest recent recommendation"
            self._set(status, _condition("AbleToScale", True, "ScaleUpStabilized", message))
        else:
            self._set(status, _condition("AbleToScale", True, "ReadyForNewScale", "recommended size matches current size"))
        allowed = memory.limited(spec, size, stable, now)
        limited = _condition("ScalingLimited", False, "DesiredWithinRange", "the desired count is within the acceptable range")
        if allowed != stable:
            grows = stable > allowed
            rate = "increasing faster than the maximum scale rate" if grows else "decreasing faster than the maximum scale rate"
            limited = _condition(
                "ScalingLimited", True, "ScaleUpLimit" if grows else "ScaleDownLimit", f"the desired replica count is {rate}"
            )
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if allowed > most:
            message = "the desired replica count is more than the maximum replica count"
            allowed, limited = most, _condition("ScalingLimited", True, "TooManyReplicas", message)
        elif allowed < least:
            message = "the desired replica count is less than the minimum replica count"
            allowed, limited = least, _condition("ScalingLimited", True, "TooFewReplicas", message)
        self._set(status, limited)
        return allowed

    async def _resize(self, autoscaler: Object, status: Object, resource: str, target: Object, wanted: int, reason: str) -> None:
        metadata = target["metadata"]
        try:
            await self.client.patch(resource, metadata["name"], {"spec": {"replicas": wanted}}, metadata["namespace"])
        except ApiError as error:
            message = f"the HPA controller was unable to update the target scale: {error.message}"
            self._set(status, _condition("AbleToScale", False, "FailedUpdateScale", message))
            await self.events.event(autoscaler, "Warning", "FailedRescale", f"New size: {wanted}; reason: {reason}; error: {error.message}")
            return
        message = f"the HPA controller was able to update the target scale to {wanted}"
        self._set(status, _condition("AbleToScale", True, "SucceededRescale", message))
        status["lastScaleTime"] = meta.now()
        await self.events.event(autoscaler, "Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {reason}")

    async def _measure(self, autoscaler: Object, status: Object, target: Object, size: int) -> tuple[int, str] | None:
        """(replicas that the metrics ask for, name of the metric that asks for most), or None where none can be had."""
        metrics = autoscaler["spec"].get("metrics") or []
        best: tuple[int, str] | None = None
        current: list[Object] = []
        failures: list[tuple[str, str, MetricError]] = []
        for metric in metrics:
            try:
                replicas, name, shown = await self._one(autoscaler, target, metric, size)
            except MetricError as error:
                kind = metric["type"]
                failures.append((f"FailedGet{kind}Metric", _title(metric), error))
                await self.events.event(autoscaler, "Warning", f"FailedGet{kind}Metric", str(error))
                # Each metric has its place in the list, also without a value.
                current.append({"type": ""})
                continue
            current.append(shown)
            if best is None or replicas > best[0]:
                best = (replicas, name)
        status["currentMetrics"] = current
        # Where a metric is missing the others may ask for more, but not for less.
        if failures and (best is None or best[0] < size):
            reason, title, why = failures[0]
            self._set(status, _condition("ScalingActive", False, reason, f"the HPA was unable to compute the replica count: {why}"))
            first = f"first error is: failed to get {title} metric value: {why.within}{why}"
            message = f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), {first}"
            await self.events.event(autoscaler, "Warning", "FailedComputeMetricsReplicas", message)
            return None
        if best is not None:
            message = f"the HPA was able to successfully calculate a replica count from {best[1]}"
            self._set(status, _condition("ScalingActive", True, "ValidMetricFound", message))
        return best

    async def _one(self, autoscaler: Object, target: Object, metric: Object, size: int) -> tuple[int, str, Object]:
        kind = metric["type"]
        if kind == "Pods":
            return await self._pods_metric(autoscaler, target, metric["pods"], size)
        if kind == "Object":
            return await self._object_metric(autoscaler, target, metric["object"], size)
        if kind == "External":
            return await self._external_metric(autoscaler, target, metric["external"], size)
        field = kind[0].lower() + kind[1:]
        source = metric[field]
        resource, container, goal = source["name"], source.get("container", ""), source["target"]
        try:
            measured = await self._resource(autoscaler, target, resource, container, goal, size)
        except MetricError as error:
            what = f"{resource} utilization" if goal.get("averageUtilization") is not None else f"{resource} usage"
            raise MetricError(f"failed to get {what}: {error}") from None
        shown: Object = {"averageValue": _shown(measured.average)}
        name = f"{resource} resource"
        if measured.utilization is not None:
            shown["averageUtilization"] = measured.utilization
            name = f"{resource} {'container resource' if container else 'resource'} utilization (percentage of request)"
        entry = {"name": resource, "current": shown} | ({"container": container} if container else {})
        return measured.replicas, name, {"type": kind, field: entry}

    def _of_target(self, autoscaler: Object, target: Object) -> list[Object]:
        return self._pods.list(autoscaler["metadata"]["namespace"], selectors.from_object(target["spec"].get("selector")))

    async def _pods_metric(self, autoscaler: Object, target: Object, source: Object, size: int) -> tuple[int, str, Object]:
        metric, namespace = source["metric"], autoscaler["metadata"]["namespace"]
        matching = selectors.text_of(target["spec"].get("selector"))
        try:
            values = await metrics_apis.of_pods(self.client, namespace, matching, metric)
        except MetricError as error:
            raise MetricError(f"unable to get metric {metric['name']}: {error}") from None
        measured = calculator.wanted_plain(
            size, self._of_target(autoscaler, target), values, quantity.milli(source["target"]["averageValue"])
        )
        shown = {"metric": metric, "current": {"averageValue": _shown(measured.average)}}
        return measured.replicas, f"pods metric {metric['name']}", {"type": "Pods", "pods": shown}

    async def _object_metric(self, autoscaler: Object, target: Object, source: Object, size: int) -> tuple[int, str, Object]:
        metric, described, namespace = source["metric"], source["describedObject"], autoscaler["metadata"]["namespace"]
        goal, name = source["target"], source["metric"]["name"]
        by_value = goal["type"] == "Value"
        try:
            value = await metrics_apis.of_object(self.client, namespace, described, metric)
        except MetricError as error:
            why = f"unable to get metric {name}: {error} on {described['kind']} {namespace}/{described['name']}"
            raise MetricError(why, "" if by_value else f"failed to get {name} object metric: ") from None
        replicas, current = self._shared(autoscaler, target, goal, value, size)
        what = f"{described['kind']} metric {name}" if by_value else _external_name(metric)
        return replicas, what, {"type": "Object", "object": {"metric": metric, "describedObject": described, "current": current}}

    async def _external_metric(self, autoscaler: Object, target: Object, source: Object, size: int) -> tuple[int, str, Object]:
        metric, namespace, goal = source["metric"], autoscaler["metadata"]["namespace"], source["target"]
        name = metric["name"]
        try:
            value = sum(await metrics_apis.external(self.client, namespace, metric))
        except MetricError as error:
            within = (
                f"failed to get {name} external metric: "
                if goal.get("averageValue") is not None
                else f"failed to get external metric {name}: "
            )
            selector = metrics_apis.go_selector(metric.get("selector"))
            raise MetricError(f"unable to get external metric {namespace}/{name}/{selector}: {error}", within) from None
        replicas, current = self._shared(autoscaler, target, goal, value, size)
        return replicas, _external_name(metric), {"type": "External", "external": {"metric": metric, "current": current}}

    def _shared(self, autoscaler: Object, target: Object, goal: Object, value: int, size: int) -> tuple[int, Object]:
        """(replicas, current value) for a value that is not of a Pod."""
        if goal.get("averageValue") is not None:
            there = (target.get("status") or {}).get("replicas", 0)
            replicas, each = calculator.wanted_per_pod(there, value, quantity.milli(goal["averageValue"]))
            return replicas, {"averageValue": _shown(each)}
        ratio = value / quantity.milli(goal["value"])
        return calculator.wanted_by_ratio(size, self._of_target(autoscaler, target), ratio), {"value": _shown(value)}

    async def _resource(self, autoscaler: Object, target: Object, resource: str, container: str, goal: Object, size: int) -> Measured:
        namespace = autoscaler["metadata"]["namespace"]
        matches = selectors.from_object(target["spec"].get("selector"))
        try:
            listed = await self.client.list(_POD_METRICS, namespace)
        except ApiError as error:
            why = f"unable to fetch metrics from resource metrics API: {error.message} (get {_POD_METRICS})"
            raise MetricError(f"unable to get metrics for resource {resource}: {why}") from None
        every = self._pods.list(namespace, matches)
        names = {pod["metadata"]["name"] for pod in every}
        metrics = {each["metadata"]["name"]: each for each in listed.items if each["metadata"]["name"] in names}
        if not metrics:
            raise MetricError(f"unable to get metrics for resource {resource}: no metrics returned from resource metrics API")
        return calculator.wanted(size, every, metrics, goal, resource, container, datetime.now(UTC))


def _title(metric: Object) -> str:
    kind = metric["type"]
    if kind == "Resource":
        return f"{metric['resource']['name']} resource"
    if kind == "ContainerResource":
        return f"{metric['containerResource']['container']} container"
    return f"{metric['external']['metric']['name']} external" if kind == "External" else kind.lower()


def _external_name(metric: Object) -> str:
    return f"external metric {metric['name']}({metrics_apis.go_selector(metric.get('selector'))})"


def _shown(milli: int) -> str:
    return quantity.canonical(f"{milli}m")
