"""The Eviction API: deletes a Pod where its disruption budgets allow it (registry/core/pod/storage/eviction.go)."""

from __future__ import annotations

from clusters.embedded.apiserver.deletion import DeleteOptions
from clusters.embedded.apiserver.registry import Caller, Registry
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.resources import by_name
from kubeobjects import Object, meta, selectors

_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
_BUDGETS = "poddisruptionbudgets.policy"
_MAX_DISRUPTED = 2000


async def evict(registry: Registry, caller: Caller, namespace: str | None, name: str, body: Object) -> Object:
    """Raises ApiError 429 where a budget does not allow it, 500 where several budgets claim the Pod."""
    asked = (body.get("metadata") or {}).get("name")
    if asked and asked != name:
        raise bad_request("name in URL does not match name in Eviction object")
    pod = registry.stored(by_name()["pods"], name, namespace)
    options = DeleteOptions.read(body.get("deleteOptions") or {})
    if not _needs_no_budget(pod):
        budget = _budget_of(registry, pod)
        if budget is not None and not (_may_go_unready(budget, pod)):
            await _take_one(registry, caller, budget, name)
    if not caller.dry_run:
        await _mark(registry, caller, namespace, name)
    await registry.delete(caller, by_name()["pods"], namespace, name, options)
    return _SUCCESS


async def _mark(registry: Registry, caller: Caller, namespace: str | None, name: str) -> None:
    """Notes in the Pod's status that it did not fail by itself: a Job's failure policy asks for it (addConditionAndDeletePod)."""

    def mark(current: Object) -> Object:
        status = current.get("status") or {}
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastProbeTime": None,
            "lastTransitionTime": meta.now(),
            "observedGeneration": current["metadata"].get("generation", 1),
        }
        others = [each for each in status.get("conditions") or [] if each.get("type") != condition["type"]]
        current["status"] = {**status, "conditions": [*others, condition]}
        return current

    await registry.update(caller, by_name()["pods"], namespace, name, mark, subresource="status", patched=True)


def _needs_no_budget(pod: Object) -> bool:
    """Pods that have ended, have not begun, or are going already disturb nobody."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed", "Pending") or meta.is_deleting(pod)


def _budget_of(registry: Registry, pod: Object) -> Object | None:
    labels = pod["metadata"].get("labels") or {}
    found = [
        each
        for each in registry.store.list(_BUDGETS, pod["metadata"]["namespace"])
        if selectors.from_object((each.get("spec") or {}).get("selector"))(labels)
    ]
    if len(found) > 1:
        raise ApiError(
            500, "InternalError", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    return found[0] if found else None


def _may_go_unready(budget: Object, pod: Object) -> bool:
    """A Pod that is not ready counts as no disruption while the others are healthy, or always where the policy says so."""
    if meta.is_true(pod, "Ready"):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    return status.get("desiredHealthy", 0) > 0 and status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0)


def _too_many(message: str, cause: str, retry: int) -> ApiError:
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": cause}]} if cause else {}
    if retry:
        details["retryAfterSeconds"] = retry
    return ApiError(429, "TooManyRequests", message, details)


async def _take_one(registry: Registry, caller: Caller, budget: Object, pod: str) -> None:
    """Counts the Pod against the budget at once; the disruption controller sees its end later."""
    name = budget["metadata"]["name"]

    def take(current: Object) -> Object:
        status = current.get("status") or {}
        if status.get("observedGeneration", 0) < current["metadata"].get("generation", 0):
            raise _too_many(
                "Cannot evict pod as it would violate the pod's disruption budget.",
                f"The disruption budget {name} is still being processed by the server.",
                10,
            )
        allowed = status.get("disruptionsAllowed", 0)
        if allowed <= 0:
            raise _too_many("Cannot evict pod as it would violate the pod's disruption budget.", _shortage(name, status), 0)
        disrupted = status.get("disruptedPods") or {}
        if len(disrupted) > _MAX_DISRUPTED:
            raise _too_many("Cannot evict pod as it would violate the pod's disruption budget.", "DisruptedPods map too big", 0)
        current["status"] = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": {**disrupted, pod: meta.now()}}
        return current

    resource = by_name()[_BUDGETS]
    await registry.update(caller, resource, budget["metadata"]["namespace"], name, take, subresource="status", patched=True)


def _shortage(name: str, status: Object) -> str:
    return (
        f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
        f"{status.get('currentHealthy', 0)} currently"
    )
