"""Reviews: questions about who one is and what one may do. They are answered at once and stored nowhere."""

from __future__ import annotations

from clusters.embedded.apiserver.attributes import Attributes
from clusters.embedded.apiserver.authentication import API_AUDIENCES, Unauthorized
from clusters.embedded.apiserver.request import User
from clusters.embedded.apiserver.services import Services
from clusters.embedded.errors import FieldError, bad_request, invalid
from clusters.embedded.resources import Resource
from kubeobjects import Object, meta

_GROUPS = ("authorization.k8s.io", "authentication.k8s.io")


def is_review(resource: Resource) -> bool:
    return resource.group in _GROUPS


def answer(services: Services, user: User, resource: Resource, namespace: str | None, body: Object) -> Object:
    """`body` with its status filled in. Raises ApiError 422 where the question is incomplete."""
    spec = body.get("spec") or {}
    match resource.kind:
        case "SelfSubjectReview":
            status: Object = {"userInfo": _user_info(user)}
        case "SelfSubjectAccessReview":
            status = _access(services, user, resource, spec)
        case "SubjectAccessReview" | "LocalSubjectAccessReview":
            _check_local(resource, namespace, spec)
            status = _access(services, _subject(resource, spec), resource, spec)
        case "SelfSubjectRulesReview":
            status = _rules(services, user, resource, spec)
        case _:
            status = _token(services, spec)
    metadata = {"creationTimestamp": meta.now()} if resource.kind == "SelfSubjectReview" else body.get("metadata") or {}
    shown: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    if resource.kind != "SelfSubjectReview":
        shown["spec"] = spec
    return shown | {"status": status}


def _user_info(user: User) -> Object:
    shown: Object = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {key: list(values) for key, values in user.extra.items()}
    return shown


def _subject(resource: Resource, spec: Object) -> User:
    if not spec.get("user") and not spec.get("groups"):
        why = 'Invalid value: "": at least one of user or group must be specified'
        raise invalid(resource.kind, resource.group, "", [FieldError("spec.user", "FieldValueInvalid", why)])
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _check_local(resource: Resource, namespace: str | None, spec: Object) -> None:
    asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
    if resource.namespaced and asked != namespace:
        raise bad_request(f"spec.resourceAttributes.namespace must match namespace: {asked}")


def _access(services: Services, user: User, resource: Resource, spec: Object) -> Object:
    of_resource, of_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if of_resource is not None and of_path is None:
        attributes = Attributes(
            verb=of_resource.get("verb", ""),
            group=of_resource.get("group", ""),
            resource=of_resource.get("resource", ""),
            subresource=of_resource.get("subresource", ""),
            namespace=of_resource.get("namespace") or None,
            name=of_resource.get("name", ""),
        )
    elif of_path is not None and of_resource is None:
        attributes = Attributes(verb=of_path.get("verb", ""), path=of_path.get("path", ""))
    else:
        why = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid(resource.kind, resource.group, "", [FieldError("spec.resourceAttributes", "FieldValueInvalid", why)])
    decision = services.authorizer.decide(user, attributes)
    return {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})


def _rules(services: Services, user: User, resource: Resource, spec: Object) -> Object:
    namespace = spec.get("namespace")
    if not namespace:
        raise bad_request("no namespace on request")
    of_resources: list[Object] = []
    of_paths: list[Object] = []
    for rule in services.authorizer.all_rules(user, namespace):
        if rule.get("resources"):
            kept = ("verbs", "apiGroups", "resources", "resourceNames")
            of_resources.append({key: rule[key] for key in kept if rule.get(key)})
        if rule.get("nonResourceURLs"):
            of_paths.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
    return {"resourceRules": of_resources, "nonResourceRules": of_paths, "incomplete": False}


def _token(services: Services, spec: Object) -> Object:
    if not spec.get("token"):
        raise bad_request("token is required for TokenReview in authentication")
    try:
        user, audiences = services.authenticator.review(spec["token"], spec.get("audiences") or API_AUDIENCES)
    except Unauthorized as error:
        return {"user": {}, "error": error.why}
    return {"authenticated": True, "user": _user_info(user), "audiences": audiences}
