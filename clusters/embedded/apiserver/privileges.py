"""RBAC's own guard: nobody grants what they do not hold (pkg/registry/rbac/*/policybased, with the verbs `escalate` and `bind`).

`check` is given what would be stored. It is called for every write over the API, before admission, as upstream's storage does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from clusters.embedded.apiserver.attributes import Attributes
from clusters.embedded.apiserver.authorization import Authorizer, rule_allows
from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError, forbidden, not_found
from clusters.embedded.resources import Resource
from clusters.embedded.store import Store
from kubeobjects import Object

_RBAC = "rbac.authorization.k8s.io"
_CERTIFICATES = "certificates.k8s.io"
_ROLES = ("roles", "clusterroles")
_BINDINGS = ("rolebindings", "clusterrolebindings")
_ROLE_KINDS = {"Role": "roles", "ClusterRole": "clusterroles"}
_EVERYTHING: list[Object] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]
# Missing permissions that are worth telling, and comparisons of one permission with one rule: a part of a second.
_MOST_MISSING, _MOST_LOOKS = 200, 100_000
_AGGREGATION = "must have cluster-admin privileges to use the aggregationRule"
# What the garbage collector changes so that an object can go (IsOnlyMutatingGCFields).
_COLLECTED = ("ownerReferences", "finalizers", "managedFields", "resourceVersion")


class Privileges:
    def __init__(self, store: Store, authorizer: Authorizer):
        self._store = store
        self._authorizer = authorizer

    def check(self, user: User, resource: Resource, namespace: str | None, obj: Object, old: Object | None = None) -> None:
        """`obj` is about to be created or to replace `old`.

        Raises ApiError 403 where it is a role or binding that gives more than `user` has, 404 for a binding to a role that is not there.
        """
        if resource.group != _RBAC or (old is not None and _is_collection(obj, old)):
            return
        if resource.plural in _ROLES:
            self._check_role(user, resource, namespace, obj, old)
        elif resource.plural in _BINDINGS:
            self._check_binding(user, resource, namespace, obj)

    def check_approval(self, user: User, request: Object) -> None:
        """Raises ApiError 403 where `user` may not approve requests to the signer of a CertificateSigningRequest."""
        signer = request["spec"].get("signerName", "")
        for name in (signer, signer.partition("/")[0] + "/*"):
            if self._authorizer.decide(user, Attributes("approve", "", _CERTIFICATES, "signers", name=name)).allowed:
                return
        why = f"user not permitted to approve requests with signerName {json.dumps(signer)}"
        raise forbidden("certificatesigningrequests", _CERTIFICATES, request["metadata"]["name"], why)

    def _check_role(self, user: User, resource: Resource, namespace: str | None, role: Object, old: Object | None) -> None:
        name = (role.get("metadata") or {}).get("name", "")
        # A request to create names no object.
        asked = Attributes("escalate", "", _RBAC, resource.plural, "", namespace, name if old is not None else "")
        if self._authorizer.decide(user, asked).allowed:
            return
        if missing := self._missing(user, namespace, role.get("rules") or []):
            raise self._refusal(user, resource, name, missing)
        # Such a role can gather anything, and changing one can keep it from being tightened.
        if (_gathers(role) or (old is not None and _gathers(old))) and self._missing(user, namespace, _EVERYTHING):
            raise forbidden(resource.plural, resource.group, name, _AGGREGATION)

    def _check_binding(self, user: User, resource: Resource, namespace: str | None, binding: Object) -> None:
        reference = binding.get("roleRef") or {}
        plural = _ROLE_KINDS.get(reference.get("kind", ""))
        if plural is None or (plural == "roles" and not namespace):
            # Validation refuses what is no reference to a role.
            return
        role_name = reference.get("name", "")
        if self._authorizer.decide(user, Attributes("bind", "", _RBAC, plural, "", namespace, role_name)).allowed:
            return
        role = self._store.get(f"{plural}.{_RBAC}", role_name, namespace if plural == "roles" else None)
        if role is None:
            raise not_found(plural, _RBAC, role_name)
        if missing := self._missing(user, namespace, self._authorizer.rules_of(role)):
            raise self._refusal(user, resource, (binding.get("metadata") or {}).get("name", ""), missing)

    def _missing(self, user: User, namespace: str | None, rules: list[Object]) -> list[Object]:
        """What of `rules` the user does not hold, as single permissions (validation.Covers)."""
        held = self._authorizer.all_rules(user, namespace)
        if all(any(_holds(have, single) for have in held) for rule in _EVERYTHING for single in _single(rule)):
            return []
        missing = []
        for count, single in enumerate(single for rule in rules for single in _single(rule)):
            if not any(_holds(have, single) for have in held):
                missing.append(single)
            # A rule of a few kilobytes can stand for millions of permissions: who asks for that many is refused with what was seen.
            if len(missing) >= _MOST_MISSING or count * max(1, len(held)) >= _MOST_LOOKS:
                return missing or [single]
        return missing

    def _refusal(self, user: User, resource: Resource, name: str, missing: list[Object]) -> ApiError:
        listed = "\n".join(_compact(missing))
        why = f'user "{user.name}" (groups={_go_list(user.groups)}) is attempting to grant RBAC permissions not currently held:\n{listed}'
        return forbidden(resource.plural, resource.group, name, why)


def _gathers(role: Object) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _is_collection(obj: Object, old: Object) -> bool:
    """Whether the only difference is in what lets `old` be deleted."""

    def rest(each: Object) -> Object:
        metadata = each.get("metadata") or {}
        return {**each, "metadata": {key: value for key, value in metadata.items() if key not in _COLLECTED}}

    return rest(obj) == rest(old)


def _single(rule: Object) -> Iterator[Object]:
    """The rule taken apart: one verb on one resource or path each."""
    for verb in rule.get("verbs") or []:
        for url in rule.get("nonResourceURLs") or []:
            yield {"verb": verb, "path": url}
        for group in rule.get("apiGroups") or []:
            for resource in rule.get("resources") or []:
                for name in rule.get("resourceNames") or [""]:
                    yield {"verb": verb, "group": group, "resource": resource, "name": name}


def _holds(rule: Object, single: Object) -> bool:
    if "path" in single:
        return rule_allows(rule, Attributes(single["verb"], single["path"]))
    resource, _, subresource = single["resource"].partition("/")
    return rule_allows(rule, Attributes(single["verb"], "", single["group"], resource, subresource, None, single["name"]))


def _go_list(texts: Sequence[str]) -> str:
    return "[" + " ".join(json.dumps(each, ensure_ascii=False) for each in texts) + "]"


def _compact(missing: list[Object]) -> list[str]:
    """Each permission in words, the verbs of one resource together, in order (CompactRules, CompactString)."""
    shown, verbs = set(), dict[tuple[str, str, str], list[str]]()
    for single in missing:
        if "path" in single:
            shown.add(f"{{NonResourceURLs:{_go_list([single['path']])}, Verbs:{_go_list([single['verb']])}}}")
        else:
            verbs.setdefault((single["group"], single["resource"], single["name"]), []).append(single["verb"])
    for (group, resource, name), each in verbs.items():
        names = f", ResourceNames:{_go_list([name])}" if name else ""
        shown.add(f"{{APIGroups:{_go_list([group])}, Resources:{_go_list([resource])}{names}, Verbs:{_go_list(each)}}}")
    return sorted(shown)
