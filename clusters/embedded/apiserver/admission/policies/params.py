"""The objects that parametrise a policy: what a binding's paramRef names, of the policy's paramKind (policy/generic CollectParams)."""

from __future__ import annotations

from clusters.embedded import resources
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from kubeobjects import Object, selectors


class BadBinding(ValueError):
    """A binding that cannot be followed."""


def collect(kind: Object | None, ref: Object | None, request: AdmissionRequest) -> list[Object | None]:
    """The parameters that the policy is evaluated with, one after the other; [None] where it has none.

    An empty list means that the binding allows what has no parameters. Raises BadBinding.
    """
    if kind is None or ref is None:
        return [None]
    resource = next(
        (each for each in resources.all_resources() if each.api_version == kind["apiVersion"] and each.kind == kind["kind"]), None
    )
    if resource is None:
        raise BadBinding(f"paramKind kind `{kind['apiVersion']}, Kind={kind['kind']}` not known")
    namespace = None
    if resource.namespaced:
        namespace = ref.get("namespace") or request.namespace
        if not namespace:
            raise BadBinding("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    elif ref.get("namespace"):
        raise BadBinding("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    found: list[Object | None]
    if ref.get("name"):
        one = request.reader.get(resource.name, ref["name"], namespace)
        found = [one] if one is not None else []
    else:
        fits = selectors.from_object(ref.get("selector") or {})
        found = [each for each in request.reader.list(resource.name, namespace) if fits(each["metadata"].get("labels") or {})]
    if not found and ref.get("parameterNotFoundAction") == "Deny":
        raise BadBinding("no params found for policy binding with `Deny` parameterNotFoundAction")
    return found
