"""What controllers ask about Pods, and how they make and end them (k8s.io/kubernetes/pkg/controller)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from clusters.embedded.client import Client, Object
from clusters.embedded.controllers.context import owners
from clusters.embedded.controllers.expectations import Expectations
from clusters.embedded.errors import ApiError
from clusters.embedded.events import EventRecorder
from clusters.embedded.informer import Informer
from kubeobjects import meta

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def phase(pod: Object) -> str:
    return (pod.get("status") or {}).get("phase") or ""


def is_terminal(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    return not is_terminal(pod) and not meta.is_deleting(pod)


def is_terminating(pod: Object) -> bool:
    return not is_terminal(pod) and meta.is_deleting(pod)


def disruption_target(pod: Object, reason: str, message: str) -> Object:
    """The condition that says why a Pod is about to be ended by the control plane."""
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": meta.now(),
        "observedGeneration": pod["metadata"].get("generation", 1),
    }


def is_ready(pod: Object) -> bool:
    return meta.is_true(pod, "Ready")


def ready_since(pod: Object) -> datetime | None:
    condition = meta.condition(pod, "Ready")
    if condition is None or condition["status"] != "True" or not condition.get("lastTransitionTime"):
        return None
    return meta.parse_time(condition["lastTransitionTime"])


def is_available(pod: Object, min_ready_seconds: int, now: datetime | None = None) -> bool:
    """Ready for at least `min_ready_seconds`."""
    if not is_ready(pod):
        return False
    since = ready_since(pod)
    return not min_ready_seconds or (since is not None and since + timedelta(seconds=min_ready_seconds) <= (now or datetime.now(UTC)))


def next_available(pods: list[Object], min_ready_seconds: int) -> float | None:
    """Seconds until the next of the ready Pods becomes available, if one is on its way."""
    now = datetime.now(UTC)
    waits = [
        (since + timedelta(seconds=min_ready_seconds) - now).total_seconds()
        for pod in pods
        if (since := ready_since(pod)) is not None and not is_available(pod, min_ready_seconds, now)
    ]
    return max(0.0, min(waits)) if waits else None


def restarts(pod: Object) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return max((each.get("restartCount", 0) for each in statuses), default=0)


def from_template(template: Object, owner: Object, *, name: str = "") -> Object:
    """A Pod as `owner` creates it: the template's labels, annotations, finalizers and spec, and a generated name."""
    wanted = template.get("metadata") or {}
    metadata: Object = {"namespace": owner["metadata"]["namespace"], "ownerReferences": [meta.owner_reference(owner)]}
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = generate_name(owner["metadata"]["name"])
    for field in ("labels", "annotations", "finalizers"):
        if wanted.get(field):
            metadata[field] = wanted[field]
    return meta.copy({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})


def generate_name(owner: str) -> str:
    """`owner-`; an owner's name that is too long for a prefix is cut by the API server."""
    return f"{owner}-"


def deletion_order(pods: list[Object], related: list[Object]) -> list[Object]:
    """Pods in the order in which a scale-down ends them (controller.ActivePodsWithRanks).

    First those without a node, then pending, not ready, cheap, crowded (by the number of `related` Pods on the same node),
    only just ready, often restarted, and young ones.
    """
    crowd: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            node = pod["spec"].get("nodeName") or ""
            crowd[node] = crowd.get(node, 0) + 1

    def cost(pod: Object) -> int:
        try:
            return int((pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0"))
        except ValueError:
            return 0

    def order(pod: Object) -> tuple[float, ...]:
        since = ready_since(pod)
        node = pod["spec"].get("nodeName") or ""
        return (
            1 if node else 0,
            {"Pending": 0, "": 1, "Unknown": 1}.get(phase(pod), 2),
            1 if is_ready(pod) else 0,
            cost(pod),
            -crowd.get(node, 0),
            -since.timestamp() if since else 0.0,
            -restarts(pod),
            -meta.parse_time(pod["metadata"]["creationTimestamp"]).timestamp(),
        )

    return sorted(pods, key=order)


class PodControl:
    """Creates and deletes Pods for one controller, with its events, and keeps its expectations true."""

    def __init__(self, client: Client, events: EventRecorder, informer: Informer, kind: str):
        self._client = client
        self._events = events
        self._kind = kind
        self.expectations = Expectations()
        informer.on_change(self._observe)

    def _observe(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        for key in owners(self._kind, pod):
            if old is None and new is not None:
                self.expectations.created(key)
            if new is None or meta.is_deleting(new):
                self.expectations.deleted(key, pod["metadata"]["uid"])

    async def create(self, pod: Object, owner: Object) -> Object:
        try:
            created = await self._client.create("pods", pod, pod["metadata"]["namespace"])
        except ApiError as error:
            if not is_namespace_terminating(error):
                await self._events.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        await self._events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {created['metadata']['name']}")
        return created

    async def delete(self, pod: Object, owner: Object) -> None:
        metadata = pod["metadata"]
        try:
            await self._client.delete("pods", metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except ApiError as error:
            if error.code == 404:
                return
            await self._events.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        await self._events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {metadata['name']}")

    async def create_many(self, owner: Object, pods: list[Object]) -> ApiError | None:
        """Creates the Pods in batches that double in size, and stops after a batch with a failure; returns the first failure."""
        key = meta.key(owner)
        self.expectations.expect_creations(key, len(pods))
        tried, failure = await slow_start([lambda pod=pod: self.create(pod, owner) for pod in pods])  # type: ignore[misc]
        self.expectations.created(key, len(pods) - tried)
        return failure

    async def delete_many(self, owner: Object, pods: list[Object]) -> ApiError | None:
        key = meta.key(owner)
        self.expectations.expect_deletions(key, {pod["metadata"]["uid"] for pod in pods})
        failure: ApiError | None = None
        for pod in pods:
            try:
                await self.delete(pod, owner)
            except ApiError as error:
                failure = failure or error
                self.expectations.deleted(key, pod["metadata"]["uid"])
        return failure


async def slow_start(calls: list[Callable[[], Awaitable[object]]]) -> tuple[int, ApiError | None]:
    """Makes 1, 2, 4, … calls at a time as long as they succeed: (calls that succeeded, first failure)."""
    done, size = 0, 1
    while done < len(calls):
        batch = calls[done : done + size]
        answers = await asyncio.gather(*(call() for call in batch), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        done += len(batch) - len(failures)
        for failure in failures:
            if not isinstance(failure, ApiError):
                raise failure
        if failures:
            return done, next(failure for failure in failures if isinstance(failure, ApiError))
        size *= 2
    return done, None


def is_namespace_terminating(error: ApiError) -> bool:
    """The namespace is going away: nothing more is to be created in it, and nobody needs to hear of it."""
    causes = error.details.get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
