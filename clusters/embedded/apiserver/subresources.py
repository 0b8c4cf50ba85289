"""Subresources that are more than a part of their object: scale, binding, eviction, token, finalize, approval.

The others (status, ephemeralcontainers, resize) are updates of the object and stay with the generic registry.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from clusters.embedded.apiserver import conversion, eviction
from clusters.embedded.apiserver.authentication import API_AUDIENCES
from clusters.embedded.apiserver.registry import Caller, Registry
from clusters.embedded.errors import ApiError, FieldError, bad_request, conflict, invalid, method_not_allowed
from clusters.embedded.resources import Resource, by_name
from kubeobjects import Object, meta

Transform = Callable[[Object], Object]
# From (ServiceAccount, TokenRequest, bound object or None) to the token and its expiry.
Issuer = Callable[[Object, Object, Object | None], tuple[str, str]]

# Updates that are answered here rather than by the generic registry.
OWN_UPDATE = ("scale", "finalize", "approval")
_MIN_TOKEN_SECONDS = 600
_MAX_TOKEN_SECONDS = 2**32


class Subresources:
    def __init__(self, registry: Registry, issue_token: Issuer):
        self._registry = registry
        self._issue_token = issue_token

    def get(self, resource: Resource, namespace: str | None, name: str, subresource: str) -> Object:
        obj = self._registry.get(resource, name, namespace)
        return conversion.to_scale(resource, obj) if subresource == "scale" else obj

    async def create(self, caller: Caller, resource: Resource, namespace: str | None, name: str, subresource: str, body: Object) -> Object:
        """A POST to `resource/name/subresource`; returns what the client is shown."""
        if subresource == "binding":
            return await self.bind(caller, namespace, name, body)
        if subresource not in ("eviction", "token"):
            raise method_not_allowed()
        await self._registry.admit(caller, resource, namespace, name, subresource, body)
        if subresource == "eviction":
            return await eviction.evict(self._registry, caller, namespace, name, body)
        return self._token(namespace, name, body)

    async def update(
        self,
        caller: Caller,
        resource: Resource,
        namespace: str | None,
        name: str,
        subresource: str,
        transform: Transform,
        *,
        patched: bool = False,
    ) -> Object:
        if subresource == "scale":
            return await self._rescale(caller, resource, namespace, name, transform)
        if subresource == "finalize":
            return await self._registry.update(caller, resource, namespace, name, transform, subresource="finalize", patched=patched)
        if subresource == "approval":
            return await self._approve(caller, resource, name, transform)
        raise method_not_allowed()

    async def bind(self, caller: Caller, namespace: str | None, name: str, body: Object) -> Object:
        """Assigns a Pod to `body.target.name` (registry/core/pod/storage BindingREST.assignPod)."""
        pods, target = by_name()["pods"], body.get("target") or {}
        if target.get("kind") not in (None, "", "Node"):
            why = f'Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"'
            raise invalid("Binding", "", name, [FieldError("target.kind", "FieldValueNotSupported", why)])
        node = target.get("name")
        if not node:
            raise invalid("Binding", "", name, [FieldError("target.name", "FieldValueRequired", "Required value")])
        annotations = (body.get("metadata") or {}).get("annotations") or {}

        def assign(pod: Object) -> Object:
            if meta.is_deleting(pod):
                raise conflict("pods/binding", "", name, f"pod {name} is being deleted, cannot be assigned to a host")
            if pod["spec"].get("nodeName"):
                why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
                raise conflict("pods/binding", "", name, why)
            if pod["spec"].get("schedulingGates"):
                raise conflict("pods/binding", "", name, f"pod {name} has non-empty .spec.schedulingGates")
            pod["spec"]["nodeName"] = node
            if annotations:
                pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **annotations}
            _set_scheduled(pod)
            return pod

        await self._registry.update(caller, pods, namespace, name, assign, subresource="binding", patched=True)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    async def _rescale(self, caller: Caller, resource: Resource, namespace: str | None, name: str, transform: Transform) -> Object:
        def rescaled(obj: Object) -> Object:
            wanted = transform(conversion.to_scale(resource, obj))
            replicas = (wanted.get("spec") or {}).get("replicas", 0)
            if not isinstance(replicas, int) or isinstance(replicas, bool):
                raise bad_request('Scale in version "v1" cannot be handled as a Scale: spec.replicas must be a whole number')
            if replicas < 0:
                why = f"Invalid value: {replicas}: must be greater than or equal to 0"
                raise invalid("Scale", "autoscaling", name, [FieldError("spec.replicas", "FieldValueInvalid", why)])
            version = (wanted.get("metadata") or {}).get("resourceVersion")
            if version:
                obj["metadata"]["resourceVersion"] = version
            if resource.custom is not None:
                resource.custom.rescale(obj, replicas)
            else:
                obj["spec"]["replicas"] = replicas
            return obj

        updated = await self._registry.update(caller, resource, namespace, name, rescaled, subresource="scale", patched=True)
        return conversion.to_scale(resource, updated)

    async def _approve(self, caller: Caller, resource: Resource, name: str, transform: Transform) -> Object:
        def approved(old: Object) -> Object:
            wanted = transform(meta.copy(old))
            conditions = (wanted.get("status") or {}).get("conditions") or []
            return {**old, "status": {**(old.get("status") or {}), "conditions": conditions}}

        return await self._registry.update(caller, resource, None, name, approved, subresource="status", patched=True)

    def _token(self, namespace: str | None, name: str, body: Object) -> Object:
        """A TokenRequest answered (pkg/registry/core/serviceaccount/storage TokenREST.Create)."""
        asked = body.get("metadata") or {}
        for field_name, own, what in (("name", name, "name"), ("namespace", namespace, "namespace")):
            if asked.get(field_name) and asked[field_name] != own:
                why = f'Invalid value: "{asked[field_name]}": must match the service account {what} if specified'
                raise _invalid_token_request(name, f"metadata.{field_name}", why)
        account = self._registry.stored(by_name()["serviceaccounts"], name, namespace)
        uid = account["metadata"]["uid"]
        if asked.get("uid") and asked["uid"] != uid:
            why = f"the UID in the token request ({asked['uid']}) does not match the UID of the service account ({uid})"
            raise conflict("TokenRequest", "authentication.k8s.io", name, why)
        spec = dict(body.get("spec") or {})
        seconds = spec.get("expirationSeconds")
        seconds = 3600 if seconds is None else seconds
        if not isinstance(seconds, int) or seconds < _MIN_TOKEN_SECONDS:
            why = f"Invalid value: {json.dumps(seconds)}: may not specify a duration less than 10 minutes"
            raise _invalid_token_request("", "spec.expirationSeconds", why)
        if seconds > _MAX_TOKEN_SECONDS:
            why = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
            raise _invalid_token_request("", "spec.expirationSeconds", why)
        spec["expirationSeconds"] = seconds
        spec["audiences"] = spec.get("audiences") or list(API_AUDIENCES)
        bound = self._bound_object(namespace, name, spec.get("boundObjectRef"))
        token, expires = self._issue_token(account, spec, bound)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": meta.now()},
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": expires},
        }

    def _bound_object(self, namespace: str | None, account: str, reference: Object | None) -> Object | None:
        if not reference:
            return None
        plural = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}.get(reference.get("kind", ""))
        if plural is None:
            group, _, version = (reference.get("apiVersion") or "").rpartition("/")
            shown = f"{group}/{version}, Kind={reference.get('kind', '')}"
            raise bad_request(f"cannot bind token to object of type {shown}")
        resource = by_name()[plural]
        found = self._registry.stored(resource, reference.get("name", ""), namespace if resource.namespaced else None)
        if plural == "pods" and account != found["spec"].get("serviceAccountName"):
            raise bad_request(f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.')
        if reference.get("uid") and reference["uid"] != found["metadata"]["uid"]:
            why = (
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise conflict(plural, "", reference.get("name", ""), why)
        return found


def _invalid_token_request(name: str, path: str, why: str) -> ApiError:
    return invalid("TokenRequest", "authentication.k8s.io", name, [FieldError(path, "FieldValueInvalid", why)])


def _set_scheduled(pod: Object) -> None:
    conditions = [each for each in (pod.get("status") or {}).get("conditions") or [] if each["type"] != "PodScheduled"]
    scheduled: Object = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": meta.now()}
    if pod["metadata"].get("generation"):
        scheduled["observedGeneration"] = pod["metadata"]["generation"]
    pod.setdefault("status", {})["conditions"] = [*conditions, scheduled]


__all__ = ["OWN_UPDATE", "Subresources", "Transform"]
