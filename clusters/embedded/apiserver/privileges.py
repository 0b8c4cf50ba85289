"""RBAC's own guard: nobody grants what they do not hold (pkg/registry/rbac, escalation check and the bind verb)."""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver.authorization import Attributes, Authorizer, rule_allows
from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError, forbidden
from clusters.embedded.resources import Resource
from clusters.embedded.store import Store

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_ROLES = ("roles", "clusterroles")
_BINDINGS = ("rolebindings", "clusterrolebindings")


class Privileges:
    def __init__(self, store: Store, authorizer: Authorizer):
        self._store = store
        self._authorizer = authorizer

    def check(self, user: User, resource: Resource, namespace: str | None, obj: Object) -> None:
        """Raises ApiError 403 where `obj` is a role or binding that gives more than `user` has."""
        if resource.group != _RBAC:
            return
        name = (obj.get("metadata") or {}).get("name", "")
        if resource.plural in _ROLES:
            if self._authorizer.decide(user, Attributes("escalate", "", _RBAC, resource.plural, "", namespace, name)).allowed:
                return
            self._covered(user, resource, namespace, name, obj.get("rules") or [])
        elif resource.plural in _BINDINGS:
            reference = obj.get("roleRef") or {}
            kind = f"{str(reference.get('kind', '')).lower()}s"
            role_name = reference.get("name", "")
            if self._authorizer.decide(user, Attributes("bind", "", _RBAC, kind, "", namespace, role_name)).allowed:
                return
            role = self._store.get(f"{kind}.{_RBAC}", role_name, namespace if kind == "roles" else None)
            if role is not None:
                self._covered(user, resource, namespace, name, self._authorizer.rules_of(role))

    def _covered(self, user: User, resource: Resource, namespace: str | None, name: str, rules: list[Object]) -> None:
        held = self._authorizer.all_rules(user, namespace)
        missing = [single for rule in rules for single in _single(rule) if not any(_holds(have, single) for have in held)]
        if missing:
            raise self._refusal(user, resource, name, missing)

    def _refusal(self, user: User, resource: Resource, name: str, missing: list[Object]) -> ApiError:
        groups = ", ".join(f'"{each}"' for each in user.groups)
        listed = "\n".join(_shown(each) for each in missing)
        why = f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{listed}'
        return forbidden(resource.plural, resource.group, name, why)


def _single(rule: Object) -> list[Object]:
    """The rule taken apart: one verb on one resource or path each."""
    apart = []
    for verb in rule.get("verbs") or []:
        for url in rule.get("nonResourceURLs") or []:
            apart.append({"verb": verb, "path": url})
        for group in rule.get("apiGroups") or []:
            for resource in rule.get("resources") or []:
                for name in rule.get("resourceNames") or [""]:
                    apart.append({"verb": verb, "group": group, "resource": resource, "name": name})
    return apart


def _holds(rule: Object, single: Object) -> bool:
    if "path" in single:
        return rule_allows(rule, Attributes(single["verb"], single["path"]))
    resource, _, subresource = single["resource"].partition("/")
    return rule_allows(rule, Attributes(single["verb"], "", single["group"], resource, subresource, None, single["name"]))


def _shown(single: Object) -> str:
    if "path" in single:
        return f'{{NonResourceURLs:["{single["path"]}"], Verbs:["{single["verb"]}"]}}'
    names = f', ResourceNames:["{single["name"]}"]' if single["name"] else ""
    return f'{{APIGroups:["{single["group"]}"], Resources:["{single["resource"]}"]{names}, Verbs:["{single["verb"]}"]}}'
