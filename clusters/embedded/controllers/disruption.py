"""PodDisruptionBudget status: how many Pods may be evicted now (pkg/controller/disruption)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller, set_condition
from kubeobjects import meta, selectors
from kubeobjects.int_or_string import scaled

_BUDGETS = "poddisruptionbudgets.policy"
# An eviction that was granted and has not been seen to happen is forgotten after that long (DeletionTimeout).
_EVICTION_TIMEOUT = timedelta(minutes=2)

NO_PODS = "No matching pods found"


def healthy_wanted(budget: Object, expected: int) -> int:
    """How many of `expected` Pods must stay healthy."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        return max(0, expected - scaled(spec["maxUnavailable"], expected, up=True))
    return scaled(spec.get("minAvailable", 1), expected, up=True)


def counts_controllers(budget: Object) -> bool:
    """Whether the expected number comes from the Pods' controllers: for percentages, and for what may be missing."""
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def calculate_status(budget: Object, matching: list[Object], expected: int, now: datetime) -> Object:
    old = budget.get("status") or {}
    present = {pod["metadata"]["name"]: pod for pod in matching}
    disrupted = {
        name: stamp
        for name, stamp in (old.get("disruptedPods") or {}).items()
        if name in present and not meta.is_deleting(present[name]) and meta.parse_time(stamp) + _EVICTION_TIMEOUT > now
    }
    healthy = sum(1 for name, pod in present.items() if pods.is_ready(pod) and not meta.is_deleting(pod) and name not in disrupted)
    desired = healthy_wanted(budget, expected)
    allowed = max(0, healthy - desired) if expected > 0 else 0
    condition = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "observedGeneration": budget["metadata"].get("generation", 0),
    }
    status = {
        "observedGeneration": budget["metadata"].get("generation", 0),
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "conditions": set_condition(old.get("conditions") or [], condition),
    }
    return status | ({"disruptedPods": disrupted} if disrupted else {})


class DisruptionController(Controller):
    name = "controllermanager"

    def __init__(self, context: Context):
        super().__init__(context)
        self._budgets = self.watch(_BUDGETS)
        self._pods = self.informers("pods")
        self._pods.on_change(self._pod_changed)
        self._owners = {kind: self.informers(resource) for kind, resource in _SCALED.items()}

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        namespace = (new or old or {})["metadata"]["namespace"]
        labels = [each["metadata"].get("labels") or {} for each in (old, new) if each is not None]
        for budget in self._budgets.list(namespace):
            matches = selectors.from_object(budget["spec"].get("selector"))
            if any(matches(each) for each in labels):
                self.enqueue(budget)

    async def reconcile(self, key: str) -> None:
        budget = self._budgets.by_key(key)
        if budget is None or meta.is_deleting(budget):
            return
        matches = selectors.from_object(budget["spec"].get("selector"))
        namespace = budget["metadata"]["namespace"]
        matching = [pod for pod in self._pods.list(namespace, matches) if not pods.is_terminal(pod)]
        if not matching:
            await self.events.event(budget, "Normal", "NoPods", NO_PODS)
        expected = self._expected(matching) if counts_controllers(budget) else len(matching)
        status = calculate_status(budget, matching, expected, datetime.now(UTC))
        await self.update_status(_BUDGETS, budget, status)
        if status.get("disruptedPods"):
            self.queue.add_after(key, _EVICTION_TIMEOUT.total_seconds())

    def _expected(self, matching: list[Object]) -> int:
        """The replicas that the Pods' controllers are meant to have; a Pod without a controller counts for itself."""
        wanted: dict[str, int] = {}
        for pod in matching:
            owner = self._scaled_owner(pod)
            if owner is None:
                wanted[pod["metadata"]["uid"]] = 1
            else:
                wanted[owner["metadata"]["uid"]] = owner["spec"].get("replicas", 1)
        return sum(wanted.values())

    def _scaled_owner(self, pod: Object) -> Object | None:
        found, obj = None, pod
        while (reference := meta.controller_of(obj)) is not None and reference["kind"] in self._owners:
            owner = self._owners[reference["kind"]].get(reference["name"], obj["metadata"]["namespace"])
            if owner is None or owner["metadata"]["uid"] != reference["uid"]:
                break
            found = obj = owner
        return found


_SCALED = {
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "StatefulSet": "statefulsets.apps",
    "ReplicationController": "replicationcontrollers",
}
