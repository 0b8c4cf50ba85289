"""What a user may do: RBAC over the stored roles and bindings (plugin/pkg/auth/authorizer/rbac), and what nodes may do besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clusters.embedded.apiserver import node_authorizer
from clusters.embedded.apiserver.attributes import Attributes
from clusters.embedded.apiserver.authentication import AUTHENTICATED, account_groups
from clusters.embedded.apiserver.node_authorizer import NodeAuthorizer
from clusters.embedded.apiserver.node_identity import node_of
from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError, qualified
from clusters.embedded.store import Store
from kubeobjects import Object, selectors

_RBAC = "rbac.authorization.k8s.io"
_MASTERS = "system:masters"
_ACCOUNT = "system:serviceaccount:"
_EVERYTHING: list[Object] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


@dataclass(frozen=True)
class Decision:
    allowed: bool
    reason: str = ""


def _covers(allowed: list[str] | None, wanted: str) -> bool:
    return bool(allowed) and ("*" in allowed or wanted in allowed)  # type: ignore[operator]


def _covers_resource(rule: Object, attributes: Attributes) -> bool:
    resources = rule.get("resources") or []
    whole = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    for each in resources:
        if each in ("*", whole):
            return True
        if attributes.subresource and each == f"*/{attributes.subresource}":
            return True
    return False


def rule_allows(rule: Object, attributes: Attributes) -> bool:
    """One PolicyRule against one question (rbac.RuleAllows)."""
    if not _covers(rule.get("verbs"), attributes.verb):
        return False
    if attributes.resource is None:
        for url in rule.get("nonResourceURLs") or []:
            if url in ("*", attributes.path) or (url.endswith("*") and attributes.path.startswith(url.rstrip("*"))):
                return True
        return False
    names = rule.get("resourceNames") or []
    if names and attributes.name not in names:
        return False
    return _covers(rule.get("apiGroups"), attributes.group) and _covers_resource(rule, attributes)


def _subject_is(subject: Object, user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return user.name == name
    if kind == "Group":
        return name in user.groups
    return kind == "ServiceAccount" and user.name == f"{_ACCOUNT}{subject.get('namespace') or namespace}:{name}"


@dataclass(frozen=True)
class Grant:
    """A rule that a user has, and through which binding."""

    rule: Object
    reason: str


class Authorizer:
    def __init__(self, store: Store):
        self._store = store
        self._nodes = NodeAuthorizer(store)

    def rules(self, user: User, namespace: str | None, problems: list[str] | None = None) -> Iterator[Grant]:
        """All rules of `user`, cluster-wide and (where one is given) in `namespace`; roles that are missing are told to `problems`."""
        for binding in self._store.list(f"clusterrolebindings.{_RBAC}"):
            yield from self._through(binding, user, None, problems)
        if namespace:
            for binding in self._store.list(f"rolebindings.{_RBAC}", namespace):
                yield from self._through(binding, user, namespace, problems)

    def all_rules(self, user: User, namespace: str | None) -> list[Object]:
        """Every rule of `user` in `namespace`; of the superusers, the one that allows everything."""
        if self._is_super(user):
            return _EVERYTHING
        own = node_authorizer.RULES if node_of(user.name, user.groups) else []
        return [*own, *(grant.rule for grant in self.rules(user, namespace))]

    def _is_super(self, user: User) -> bool:
        return _MASTERS in user.groups

    def _through(self, binding: Object, user: User, namespace: str | None, problems: list[str] | None) -> Iterator[Grant]:
        subject = next((each for each in binding.get("subjects") or [] if _subject_is(each, user, namespace or "")), None)
        if subject is None:
            return
        reference = binding.get("roleRef") or {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        in_namespace = kind == "Role"
        role = self._store.get(f"{kind.lower()}s.{_RBAC}", name, namespace if in_namespace else None)
        if role is None:
            if problems is not None:
                problems.append(f'{kind.lower()}.{_RBAC} "{name}" not found')
            return
        shown = f'"{binding["metadata"]["name"]}{"/" + namespace if namespace else ""}"'
        binding_kind = "RoleBinding" if namespace else "ClusterRoleBinding"
        home = f"/{subject.get('namespace') or ''}" if subject["kind"] == "ServiceAccount" else ""
        who = f'{subject["kind"]} "{subject.get("name")}{home}"'
        reason = f'RBAC: allowed by {binding_kind} {shown} of {kind} "{name}" to {who}'
        for rule in self.rules_of(role):
            yield Grant(rule, reason)

    def rules_of(self, role: Object) -> list[Object]:
        """The role's rules; of an aggregated one, those of all ClusterRoles that its selectors choose, now."""
        gathered = list(role.get("rules") or [])
        seen = {role["metadata"]["name"]}
        pending = [role]
        while pending:
            chosen = [
                selectors.from_object(each) for each in (pending.pop().get("aggregationRule") or {}).get("clusterRoleSelectors") or []
            ]
            if not chosen:
                continue
            for other in self._store.list(f"clusterroles.{_RBAC}"):
                name, labels = other["metadata"]["name"], other["metadata"].get("labels") or {}
                if name not in seen and any(matches(labels) for matches in chosen):
                    seen.add(name)
                    gathered.extend(rule for rule in other.get("rules") or [] if rule not in gathered)
                    pending.append(other)
        return gathered

    def decide(self, user: User, attributes: Attributes) -> Decision:
        if self._is_super(user):
            return Decision(True)
        why_not = ""
        node = node_of(user.name, user.groups)
        if node == "":
            why_not = f'unknown node for user "{user.name}"'
        elif node is not None:
            allowed, why_not = self._nodes.decide(node, attributes)
            if allowed or (allowed is None and any(rule_allows(rule, attributes) for rule in node_authorizer.RULES)):
                return Decision(True)
        problems: list[str] = []
        for grant in self.rules(user, attributes.namespace, problems):
            if rule_allows(grant.rule, attributes):
                return Decision(True, grant.reason)
        if problems:
            listed = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
            return Decision(False, "\n".join(filter(None, (why_not, f"RBAC: {listed}"))))
        return Decision(False, why_not)

    def answer(self, user: User, asked: Mapping[str, str]) -> tuple[bool, str]:
        """What an expression asks of `authorizer` (k8s.io/apiserver/pkg/cel/library/authz): whether it is allowed, and why.

        `asked` has the fields of `Attributes`; `account` (namespace/name) asks for a ServiceAccount instead of the caller.
        """
        if account := asked.get("account"):
            namespace, _, name = account.partition("/")
            user = User(f"system:serviceaccount:{namespace}:{name}", (*account_groups(namespace), AUTHENTICATED))
        fields = {key: value for key, value in asked.items() if key != "account" and (value or key != "namespace")}
        decision = self.decide(user, Attributes(**fields))
        return decision.allowed, decision.reason


def refusal(user: User, attributes: Attributes, decision: Decision) -> ApiError:
    """403 in the words of responsewriters.ForbiddenStatusError."""
    why = ": " + decision.reason if decision.reason else ""
    if attributes.resource is None:
        message = f'forbidden: User "{user.name}" cannot {attributes.verb} path "{attributes.path}"{why}'
        return ApiError(403, "Forbidden", message, {})
    what = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    where = f' in the namespace "{attributes.namespace}"' if attributes.namespace else " at the cluster scope"
    message = f'User "{user.name}" cannot {attributes.verb} resource "{what}" in API group "{attributes.group}"{where}{why}'
    named = qualified(attributes.resource, attributes.group) + (f' "{attributes.name}"' if attributes.name else "")
    details = ({"name": attributes.name} if attributes.name else {}) | ({"group": attributes.group} if attributes.group else {})
    return ApiError(403, "Forbidden", f"{named} is forbidden: {message}", {**details, "kind": attributes.resource})
