"""Whether a policy has a say in a request (k8s.io/apiserver/pkg/admission/plugin/policy/matching, webhook/predicates)."""

from __future__ import annotations

from collections.abc import Iterable

from clusters.embedded.apiserver.admission.request import AdmissionRequest
from kubeobjects import Object, selectors

# Nobody may lock himself out of what decides about requests.
_EXEMPT = frozenset(
    f"{name}.admissionregistration.k8s.io"
    for name in (
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    )
)


def is_exempt(request: AdmissionRequest) -> bool:
    return request.resource.name in _EXEMPT


def matches(constraints: Object, request: AdmissionRequest) -> bool:
    """Whether the request meets `matchConstraints` or `matchResources` (admissionregistration.k8s.io/v1 MatchResources)."""
    if not (_namespace_fits(constraints.get("namespaceSelector"), request) and _object_fits(constraints.get("objectSelector"), request)):
        return False
    equivalent = constraints.get("matchPolicy") == "Equivalent"
    if _any_rule(constraints.get("excludeResourceRules") or [], request, equivalent):
        return False
    rules = constraints.get("resourceRules") or []
    return not rules or _any_rule(rules, request, equivalent)


def namespace_of(request: AdmissionRequest) -> Object | None:
    """The namespace that the request is in; None for cluster-scoped objects, namespaces among them."""
    return request.reader.get("namespaces", request.namespace) if request.namespace else None


def _namespace_fits(selector: Object | None, request: AdmissionRequest) -> bool:
    is_namespace = request.resource.name == "namespaces"
    if not selector or not (request.namespace or is_namespace):
        return True
    namespace = (request.object or request.old) if is_namespace else namespace_of(request)
    return selectors.from_object(selector)(((namespace or {}).get("metadata") or {}).get("labels") or {})


def _object_fits(selector: Object | None, request: AdmissionRequest) -> bool:
    """What comes or what goes carries the labels."""
    if not selector:
        return True
    fits = selectors.from_object(selector)
    return any(fits((each.get("metadata") or {}).get("labels") or {}) for each in (request.object, request.old) if each is not None)


def _any_rule(rules: Iterable[Object], request: AdmissionRequest, equivalent: bool) -> bool:
    return any(_rule_fits(rule, request, equivalent) for rule in rules)


def _rule_fits(rule: Object, request: AdmissionRequest, equivalent: bool) -> bool:
    resource = request.resource
    if rule.get("resourceNames") and request.metadata.get("name", request.name) not in rule["resourceNames"]:
        return False
    # An equivalent version of the kind is as good as the one that was asked in.
    version_fits = equivalent or _names(rule.get("apiVersions"), resource.version)
    return (
        version_fits
        and _names(rule.get("apiGroups"), resource.group)
        and _names(rule.get("operations"), request.operation)
        and _scope_fits(rule.get("scope", "*"), request)
        and any(_resource_fits(each, resource.plural, request.subresource) for each in rule.get("resources") or [])
    )


def _names(wanted: list[str] | None, found: str) -> bool:
    return any(each in ("*", found) for each in wanted or [])


def _scope_fits(scope: str, request: AdmissionRequest) -> bool:
    return scope == "*" or (scope == "Namespaced") is bool(request.namespace and request.resource.name != "namespaces")


def _resource_fits(wanted: str, plural: str, subresource: str) -> bool:
    resource, _, part = wanted.partition("/")
    return resource in ("*", plural) and part in ("*", subresource)
