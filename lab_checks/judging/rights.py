"""What somebody may do in the end, by whatever binding, group, wildcard or aggregated role: the authorizer is asked, and no Role is read for it.

A subject comes in; every right that the API server says it has comes out (SelfSubjectRulesReview, asked as the subject in every namespace), less what
everybody has. A list of what is meant says which of them are too many. A right that a RoleBinding gives on a cluster-scoped resource has no effect, so
what would be told as too much is asked for once more by itself (SubjectAccessReview).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kubeobjects import Object, selectors
from lab_checks.engine.api import Api
from lab_checks.judging.requests import Person, review

# What every account has: to ask about itself (system:basic-user), and to read the signers' certificates.
_EVERYBODY = (
    ("create", "authorization.k8s.io/selfsubjectaccessreviews"),
    ("create", "authorization.k8s.io/selfsubjectrulesreviews"),
    ("create", "authentication.k8s.io/selfsubjectreviews"),
    ("get", "certificates.k8s.io/clustertrustbundles"),
    ("list", "certificates.k8s.io/clustertrustbundles"),
    ("watch", "certificates.k8s.io/clustertrustbundles"),
)
# What stands for a wildcard where one right has to be asked for.
_STAND_IN = {"verb": "delete", "group": "", "resource": "secrets"}
_CLUSTER_SCOPED = frozenset(
    {
        "nodes", "persistentvolumes", "clusterroles", "clusterrolebindings", "priorityclasses", "storageclasses", "runtimeclasses", "csidrivers",
        "validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
        "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "customresourcedefinitions", "certificatesigningrequests",
        "ingressclasses", "apiservices", "users", "groups", "userextras", "uids", "componentstatuses", "csinodes", "volumeattachments",
        "tokenreviews", "subjectaccessreviews", "deviceclasses", "resourceslices",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Right:
    """One verb on one resource (`pods/exec`; `*` for all), in a namespace. `group` is the API group; empty for the core one."""

    verb: str
    group: str
    resource: str
    namespace: str

    @property
    def named(self) -> str:
        """`apps/deployments`, `pods/exec`: as `Meant` writes it."""
        return f"{self.group}/{self.resource}" if self.group else self.resource

    def __str__(self) -> str:
        every = "every verb on" if self.verb == "*" else self.verb
        what = "every resource" if self.resource == "*" else self.resource
        return f"{every} {what}" + ("" if self.resource.partition("/")[0] in _CLUSTER_SCOPED else f" in {self.namespace}")


@dataclass(frozen=True)
class Meant:
    """Rights that are meant: any of `verbs` on any of `resources` (patterns of `Right.named`), in any of `namespaces` (patterns)."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    namespaces: tuple[str, ...] = ("*",)

    def covers(self, right: Right) -> bool:
        return (
            right.verb in self.verbs
            and any(fnmatchcase(right.named, each) for each in self.resources)
            and any(fnmatchcase(right.namespace, each) for each in self.namespaces)
        )


def rules(api: Api, who: Person, namespace: str) -> list[Object]:
    """The rules that hold for somebody in a namespace, as the API server puts them together. Raises ApiUnreachable."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    found = api.attempt("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body, user=who.user, group=who.group)
    return list(found.body.get("status", {}).get("resourceRules") or [])


def of(api: Api, who: Person, namespaces: Sequence[str]) -> Iterator[Right]:
    """Every right that somebody has in these namespaces and at cluster scope, less what everybody has; a wildcard is one right."""
    for namespace in namespaces:
        for rule in rules(api, who, namespace):
            for group in rule.get("apiGroups") or [""]:
                for resource in rule.get("resources") or []:
                    for verb in rule["verbs"]:
                        right = Right(verb, group, resource, namespace)
                        if (verb, right.named) not in _EVERYBODY:
                            yield right


def beyond(api: Api, who: Person, namespaces: Sequence[str], meant: Sequence[Meant]) -> list[Right]:
    """The rights of somebody that are not meant, each of which the authorizer confirms."""
    found = (right for right in of(api, who, namespaces) if not any(each.covers(right) for each in meant))
    return [right for right in dict.fromkeys(found) if _holds(api, who, right)]


def _holds(api: Api, who: Person, right: Right) -> bool:
    verb, group = (_STAND_IN[key] if value == "*" else value for key, value in (("verb", right.verb), ("group", right.group)))
    resource, _, sub = right.resource.partition("/")
    if resource == "*":
        resource = "pods" if sub else _STAND_IN["resource"]
    namespace = "" if resource in _CLUSTER_SCOPED else right.namespace
    name = right.namespace if resource == "namespaces" else ""
    answer = review(api, who, verb=verb, resource=resource, sub="" if sub == "*" else sub, group=group, name=name, namespace=namespace)
    # One that holds for some names only is refused without a name.
    return answer.allowed or any(
        rule.get("resourceNames") and right.verb in rule["verbs"] and right.resource in rule.get("resources", ())
        for rule in rules(api, who, right.namespace)
    )


def given_by(api: Api, who: Person, right: Right) -> str:
    """The binding that gives a right: `clusterrolebinding/everything`; the empty text where none is found."""
    roles = {f"ClusterRole//{each['metadata']['name']}": each for each in api.list("clusterroles")}
    roles |= {f"Role/{each['metadata']['namespace']}/{each['metadata']['name']}": each for each in api.list("roles")}
    for kind, bindings in (
        ("clusterrolebinding", api.list("clusterrolebindings")),
        ("rolebinding", api.list("rolebindings", right.namespace)),
    ):
        for binding in bindings:
            reference = binding["roleRef"]
            where = binding["metadata"].get("namespace", "") if reference["kind"] == "Role" else ""
            role = roles.get(f"{reference['kind']}/{where}/{reference['name']}", {})
            if _names(binding, who) and any(_gives(rule, right) for rule in _rules_of(role, roles)):
                return f"{kind}/{binding['metadata']['name']}"
    return ""


def _rules_of(role: Object, roles: dict[str, Object]) -> list[Object]:
    """The rules of a role, with those of the ClusterRoles that it takes in by label (aggregationRule)."""
    wanted = [selectors.from_object(each) for each in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []]
    taken = [each for each in roles.values() if any(fits(each["metadata"].get("labels") or {}) for fits in wanted)]
    return [rule for each in (role, *taken) for rule in each.get("rules") or []]


def _names(binding: Object, who: Person) -> bool:
    for subject in binding.get("subjects") or []:
        match subject["kind"]:
            case "User" if subject["name"] == who.user:
                return True
            case "Group" if subject["name"] in who.groups:
                return True
            case "ServiceAccount" if who.user == f"system:serviceaccount:{subject.get('namespace', '')}:{subject['name']}":
                return True
    return False


def _gives(rule: Object, right: Right) -> bool:
    return (
        right.verb in rule.get("verbs", ())
        and right.group in (rule.get("apiGroups") or [""])
        and right.resource in (rule.get("resources") or ())
    )
