"""What a check is given: the cluster as it is, the cluster as it was when the exercise began, and what the learner answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from kubeobjects import Object
from lab_checks.engine import observe, snapshot
from lab_checks.engine.api import Api
from lab_checks.engine.audit import Deeds
from lab_checks.engine.course import Exercise
from lab_checks.engine.metrics import Alert, Metrics, MetricsError, NoMonitoring, QueryRefused, Sample, Series
from lab_checks.engine.observe import NodeFacts
from lab_checks.engine.snapshot import Snapshot
from lab_checks.engine.verdict import Seen, fail, wait

NAMESPACE = "ai-platform"

T = TypeVar("T")


class Context:
    """One look at the cluster. What it fetched once it keeps: a check sees one moment."""

    def __init__(
        self, api: Api, exercise: Exercise, baseline: Object, answers: Object, deeds: Callable[[], Deeds], namespace: str = NAMESPACE
    ):
        self.api = api
        self.exercise = exercise
        self.baseline = baseline
        self.answers = answers
        self.namespace = namespace
        self._deeds = deeds

    @cached_property
    def deeds(self) -> Deeds:
        """What the learner looked at and changed since the exercise began, from the audit log."""
        return self._deeds()

    # As it was

    @property
    def start(self) -> Snapshot:
        """Every object as the exercise began."""
        found: Snapshot = self.baseline.get("objects", {})
        return found

    def before(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """An object as the exercise began: `before("deployments", "api")`; {} where it was not there. At cluster scope `namespace` is empty."""
        where = self.namespace if namespace is None else namespace
        return self.start.get(kind, {}).get(f"{where}/{name}" if where else name, {})

    @cached_property
    def everything(self) -> Snapshot:
        """Every object as it is now."""
        return snapshot.take(self.api)

    # Objects

    @cached_property
    def nodes(self) -> list[Object]:
        return self.api.list("nodes")

    @cached_property
    def all_pods(self) -> list[Object]:
        return self.api.list("pods")

    @cached_property
    def pods(self) -> list[Object]:
        """The Pods of the exercise's namespace."""
        return [pod for pod in self.all_pods if pod["metadata"]["namespace"] == self.namespace]

    @cached_property
    def events(self) -> list[Object]:
        """The events of the exercise's namespace, oldest first."""
        found = self.api.list("events", self.namespace)
        return sorted(found, key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "")

    def get(self, kind: str, name: str) -> Object | None:
        return self.api.get(kind, name, self.namespace)

    def need(self, kind: str, name: str) -> Object:
        """The object, or the end of the check: without it there is nothing to judge."""
        found = self.get(kind, name)
        if found is None:
            raise fail(
                f"{kind.removesuffix('s')} {name} is gone",
                Seen(f"{kind.removesuffix('s')}/{name}", "", f"not found in namespace {self.namespace}"),
                expected="the object that the exercise is about, repaired and not removed",
                next=f"ai-lab reset {self.exercise.key} brings the start back",
            )
        return found

    def deployment(self, name: str) -> Object:
        """The Deployment; not yet while its controller has not seen the latest change."""
        found = self.need("deployments", name)
        if found.get("status", {}).get("observedGeneration", 0) < found["metadata"].get("generation", 0):
            raise wait(f"deployment {name} has just changed", observe.see(found, "status.observedGeneration", "behind metadata.generation"))
        return found

    def pods_of(self, deployment: Object) -> list[Object]:
        """The Pods that a Deployment's newest ReplicaSet owns, by owner references; those on their way out are left out."""
        uid = deployment["metadata"]["uid"]
        revision = (deployment["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision")
        sets = {
            each["metadata"]["uid"]
            for each in self.api.list("replicasets", deployment["metadata"]["namespace"])
            if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences") or [])
            and (each["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision") == revision
        }
        return [
            pod
            for pod in self.all_pods
            if any(owner["uid"] in sets for owner in pod["metadata"].get("ownerReferences") or [])
            and "deletionTimestamp" not in pod["metadata"]
        ]

    def node(self, name: str) -> NodeFacts:
        return next(each for each in self.gpu_facts if each.name == name)

    @cached_property
    def gpu_facts(self) -> list[NodeFacts]:
        """Every node's devices, taints and state."""
        return [observe.node_facts(node, self.all_pods) for node in self.nodes]

    # Events

    def failed_scheduling(self, pod: Object) -> Object | None:
        """The newest FailedScheduling event of a Pod."""
        found = [
            each
            for each in self.events
            if each["reason"] == "FailedScheduling" and each["involvedObject"].get("uid") == pod["metadata"]["uid"]
        ]
        return found[-1] if found else None

    def told(self, reason: str, namespace: str | None = None) -> list[Object]:
        """The events of this reason since the exercise began, oldest first: neither what was left of an earlier start, nor what the learner wrote."""
        events = self.events if namespace in (None, self.namespace) else self.api.list("events", namespace)
        since, written = self.baseline.get("since", ""), {deed.name for deed in self.deeds.changes("events")}
        return [
            each
            for each in events
            if each.get("reason") == reason
            and (each.get("lastTimestamp") or each.get("eventTime") or since)[:19] >= since[:19]
            and each["metadata"]["name"] not in written
        ]

    def why_pending(self, pod: Object) -> tuple[str, list[observe.Reason]]:
        """The scheduler's own line on a Pod and its reasons: from the condition, which is always the newest, else from the event."""
        line = observe.scheduled_condition(pod).get("message", "")
        if not line:
            event = self.failed_scheduling(pod)
            line = event["message"] if event else ""
        return line, observe.reasons(line)

    def first_refusal(self, pods: list[Object]) -> str:
        """The first sentence of what the scheduler says of the first of these Pods that waits for a node; empty where none does."""
        lines = (self.why_pending(pod)[0] for pod in pods if observe.is_pending_for_a_node(pod))
        return next((line.split(". ")[0] for line in lines if line), "")

    # Metrics

    @cached_property
    def metrics(self) -> Metrics:
        """The cluster's monitoring. What it raises is not a verdict yet: `query`, `query_range` and `alerts` are for checks."""
        return Metrics(self.api)

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """The samples of a PromQL expression now, or `at` seconds since 1970; ends the check where monitoring cannot answer."""
        return self._measured(promql, lambda: self.metrics.query(promql, at))

    def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """The values of a PromQL expression from `start` to `end`, every `step` seconds; ends the check where monitoring cannot answer."""
        return self._measured(promql, lambda: self.metrics.query_range(promql, start, end, step))

    def alerts(self) -> list[Alert]:
        """The alerts that are pending or firing; ends the check where monitoring cannot answer."""
        return self._measured("", self.metrics.alerts)

    def _measured(self, promql: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except QueryRefused as problem:
            raise fail(
                "the query has no answer", Seen("query", "", promql), Seen("the server", "", str(problem)), next=problem.next
            ) from None
        except NoMonitoring as problem:
            raise fail(str(problem), next=problem.next) from None
        except MetricsError as problem:
            raise wait(str(problem), next=problem.next) from None

    @property
    def now(self) -> float:
        return time.time()
