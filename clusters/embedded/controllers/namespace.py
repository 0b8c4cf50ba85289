"""Namespace: empties a namespace that is being deleted, then lets it go (pkg/controller/namespace).

In: namespaces in phase Terminating. Out: everything in them deleted, conditions that say what is left, and the finalizer taken away.
"""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller, set_condition
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import by_name
from kubeobjects import meta

# Pods end in their own time; everything else that is left is looked at again soon.
_AGAIN = 1.0
_FINALIZER = "kubernetes"


def contents() -> list[str]:
    """The resources that live in namespaces and can be deleted, one for each group of versions."""
    return [name for name, resource in by_name().items() if resource.namespaced and {"list", "delete"} <= set(resource.verbs)]


class NamespaceController(Controller):
    name = "namespace-controller"
    workers = 2

    def __init__(self, context: Context):
        super().__init__(context)
        self._namespaces = self.watch("namespaces")

    async def reconcile(self, key: str) -> None:
        namespace = self._namespaces.by_key(key)
        if namespace is None or not meta.is_deleting(namespace) or _FINALIZER not in (namespace["spec"].get("finalizers") or []):
            return
        left: dict[str, int] = {}
        finalizers: dict[str, int] = {}
        for resource in contents():
            await self._empty(resource, key, left, finalizers)
        conditions = (namespace.get("status") or {}).get("conditions") or []
        for condition in describe(left, finalizers):
            conditions = set_condition(conditions, condition)
        if left:
            await self.update_status("namespaces", namespace, {"phase": "Terminating", "conditions": conditions})
            self.queue.add_after(key, _AGAIN)
            return
        spec = {**namespace["spec"], "finalizers": [each for each in namespace["spec"]["finalizers"] if each != _FINALIZER]}
        current = await self.client.get("namespaces", key)
        await self.client.update("namespaces", {**current, "spec": spec}, subresource="finalize")

    async def _empty(self, resource: str, namespace: str, left: dict[str, int], finalizers: dict[str, int]) -> None:
        listed = await self.client.list(resource, namespace)
        for each in listed.items:
            metadata = each["metadata"]
            if meta.is_deleting(each):
                continue
            try:
                await self.client.delete(resource, metadata["name"], namespace, uid=metadata["uid"], propagation_policy="Background")
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
        if not listed.items:
            return
        for each in (await self.client.list(resource, namespace)).items:
            left[resource] = left.get(resource, 0) + 1
            for finalizer in each["metadata"].get("finalizers") or []:
                finalizers[finalizer] = finalizers.get(finalizer, 0) + 1


def describe(left: dict[str, int], finalizers: dict[str, int]) -> list[Object]:
    """The conditions of a namespace that goes away: resources that are left by name, and the finalizers that hold them."""

    def condition(type: str, is_true: bool, reason: str, message: str) -> Object:
        return {"type": type, "status": "True" if is_true else "False", "reason": reason, "message": message}

    remaining = ", ".join(f"{_dotted(resource)} has {count} resource instances" for resource, count in sorted(left.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
    return [
        condition("NamespaceDeletionDiscoveryFailure", False, "ResourcesDiscovered", "All resources successfully discovered"),
        condition("NamespaceDeletionGroupVersionParsingFailure", False, "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        condition(
            "NamespaceDeletionContentFailure",
            False,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        condition(
            "NamespaceContentRemaining",
            bool(left),
            "SomeResourcesRemain" if left else "ContentRemoved",
            f"Some resources are remaining: {remaining}" if left else "All content successfully removed",
        ),
        condition(
            "NamespaceFinalizersRemaining",
            bool(finalizers),
            "SomeFinalizersRemain" if finalizers else "ContentHasNoFinalizers",
            f"Some content in the namespace has finalizers remaining: {held}"
            if finalizers
            else "All content-preserving finalizers finished",
        ),
    ]


def _dotted(resource: str) -> str:
    """`pods.`, `deployments.apps`: the group follows a dot even where it is empty."""
    return resource if "." in resource else f"{resource}."
