"""Defaults of what extends the API: CustomResourceDefinitions, webhooks, admission policies, aggregated APIs."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.defaulting.common import Object, default, default_empty, struct


def custom_resource_definition(obj: Object) -> None:
    spec = struct(obj, "spec")
    default_empty(struct(spec, "conversion"), "strategy", "None")
    names = struct(spec, "names")
    kind = names.get("kind") or ""
    default_empty(names, "singular", kind.lower())
    default_empty(names, "listKind", f"{kind}List" if kind else "")
    struct(obj, "status")


def _webhook(each: Object) -> None:
    default(each, "failurePolicy", "Fail")
    default(each, "matchPolicy", "Equivalent")
    default(each, "namespaceSelector", {})
    default(each, "objectSelector", {})
    default(each, "timeoutSeconds", 10)
    service = struct(each, "clientConfig").get("service")
    if service:
        default(service, "port", 443)
    for rule in each.get("rules") or []:
        default(rule, "scope", "*")


def validating_webhook_configuration(obj: Object) -> None:
    for each in obj.get("webhooks") or []:
        _webhook(each)


def mutating_webhook_configuration(obj: Object) -> None:
    for each in obj.get("webhooks") or []:
        _webhook(each)
        default(each, "reinvocationPolicy", "Never")


def validating_admission_policy(obj: Object) -> None:
    spec = struct(obj, "spec")
    default(spec, "failurePolicy", "Fail")
    if spec.get("matchConstraints") is not None:
        _match_resources(spec["matchConstraints"])
    struct(obj, "status")


def mutating_admission_policy(obj: Object) -> None:
    spec = struct(obj, "spec")
    default(spec, "failurePolicy", "Fail")
    if spec.get("matchConstraints") is not None:
        _match_resources(spec["matchConstraints"])


def admission_policy_binding(obj: Object) -> None:
    if struct(obj, "spec").get("matchResources") is not None:
        _match_resources(obj["spec"]["matchResources"])


def _match_resources(match: Object) -> None:
    default(match, "matchPolicy", "Equivalent")
    default(match, "namespaceSelector", {})
    default(match, "objectSelector", {})
    for rule in [*(match.get("resourceRules") or []), *(match.get("excludeResourceRules") or [])]:
        default(rule, "scope", "*")


def api_service(obj: Object) -> None:
    service = struct(obj, "spec").get("service")
    if service:
        default(service, "port", 443)
    struct(obj, "status")


DEFAULTS: dict[tuple[str, str], Callable[[Object], None]] = {
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): custom_resource_definition,
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"): validating_webhook_configuration,
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"): mutating_webhook_configuration,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): validating_admission_policy,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): admission_policy_binding,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"): mutating_admission_policy,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding"): admission_policy_binding,
    ("apiregistration.k8s.io/v1", "APIService"): api_service,
}
