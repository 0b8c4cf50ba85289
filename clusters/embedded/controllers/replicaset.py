"""ReplicaSet: keeps as many Pods as `spec.replicas` says (pkg/controller/replicaset).

In: ReplicaSets and the Pods they select. Out: Pods created and deleted, and the ReplicaSet's status.
"""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers import ownership, pods
from clusters.embedded.controllers.context import Context, Controller, set_condition, without_condition, without_zeros
from clusters.embedded.errors import ApiError
from kubeobjects import meta, selectors

# BurstReplicas: no more than this many Pods are created or deleted in one go.
_BURST = 500


class ReplicaSetController(Controller):
    name = "replicaset-controller"
    workers = 3
    resource = "replicasets.apps"
    kind = "ReplicaSet"

    def __init__(self, context: Context):
        super().__init__(context)
        self._sets = self.watch(self.resource)
        self._pods = self.watch_owned("pods", self.kind)
        self._pods.on_change(self._orphan_changed)
        self._control = pods.PodControl(self.client, self.events, self._pods, self.kind)

    def selector(self, replica_set: Object) -> selectors.Matcher:
        return selectors.from_object(replica_set["spec"].get("selector"))

    def _orphan_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or meta.controller_of(new) is not None:
            return
        for each in self._sets.list(new["metadata"]["namespace"]):
            if self.selector(each)(new["metadata"].get("labels") or {}):
                self.enqueue(each)

    async def reconcile(self, key: str) -> None:
        replica_set = self._sets.by_key(key)
        if replica_set is None:
            self._control.expectations.forget(key)
            return
        may_change = self._control.expectations.satisfied(key)
        every = self._pods.list(replica_set["metadata"]["namespace"])
        running = [pod for pod in every if pods.is_active(pod)]
        mine = await ownership.claim(self.client, "pods", replica_set, running, self.selector(replica_set))
        uid = replica_set["metadata"]["uid"]
        ending = [pod for pod in every if pods.is_terminating(pod) and (meta.controller_of(pod) or {}).get("uid") == uid]
        failure: ApiError | None = None
        if may_change and not meta.is_deleting(replica_set):
            failure = await self._manage(replica_set, mine)
        status = calculate_status(replica_set, mine, len(ending), failure)
        await self.update_status(self.resource, replica_set, status)
        wait = pods.next_available(mine, replica_set["spec"].get("minReadySeconds") or 0)
        if wait is not None:
            self.queue.add_after(key, wait)
        if failure is not None:
            raise failure

    async def _manage(self, replica_set: Object, mine: list[Object]) -> ApiError | None:
        difference = (replica_set["spec"].get("replicas", 1)) - len(mine)
        if difference > 0:
            template = replica_set["spec"]["template"]
            wanted = [pods.from_template(template, replica_set) for _ in range(min(difference, _BURST))]
            return await self._control.create_many(replica_set, wanted)
        if difference < 0:
            related = self._related(replica_set)
            victims = pods.deletion_order(mine, related)[: min(-difference, _BURST)]
            return await self._control.delete_many(replica_set, victims)
        return None

    def _related(self, replica_set: Object) -> list[Object]:
        """Pods of all ReplicaSets with the same owner: a Deployment's other generations count as neighbours on a node."""
        namespace = replica_set["metadata"]["namespace"]
        owner = (meta.controller_of(replica_set) or {}).get("uid")
        family = {replica_set["metadata"]["uid"]}
        if owner:
            family |= {
                each["metadata"]["uid"] for each in self._sets.list(namespace) if (meta.controller_of(each) or {}).get("uid") == owner
            }
        return [pod for pod in self._pods.list(namespace) if (meta.controller_of(pod) or {}).get("uid") in family]


def calculate_status(replica_set: Object, mine: list[Object], terminating: int, failure: ApiError | None) -> Object:
    """The status that follows from the Pods and from a failure to create or delete them."""
    spec, old = replica_set["spec"], replica_set.get("status") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    conditions = old.get("conditions") or []
    if failure is not None:
        reason = "FailedCreate" if spec.get("replicas", 1) > len(mine) else "FailedDelete"
        new = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": failure.message}
        known = next((each for each in conditions if each["type"] == "ReplicaFailure"), None)
        if known is None or known.get("reason") != reason:
            conditions = set_condition(conditions, new)
    elif meta.condition(replica_set, "ReplicaFailure") is not None and len(mine) == spec.get("replicas", 1):
        conditions = without_condition(conditions, "ReplicaFailure")
    return without_zeros(
        {
            "replicas": len(mine),
            "fullyLabeledReplicas": sum(1 for pod in mine if labels.items() <= (pod["metadata"].get("labels") or {}).items()),
            "readyReplicas": sum(1 for pod in mine if pods.is_ready(pod)),
            "availableReplicas": sum(1 for pod in mine if pods.is_available(pod, spec.get("minReadySeconds") or 0)),
            "terminatingReplicas": terminating,
            "observedGeneration": replica_set["metadata"].get("generation", 0),
            "conditions": conditions,
        },
        "replicas",
        "terminatingReplicas",
    )
