"""Lab 09-protect-data: what an account of the namespace may do, read from roles and bindings as they are now."""

from __future__ import annotations

from collections.abc import Iterator

from kubeobjects import Object
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.labs.protect_data import account

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_READS = frozenset({"get", "list", "watch"})
# Who creates or changes one of these runs a Pod with whatever Secret of the namespace is named in it.
_RUN_PODS = (
    ("", "pods"),
    *(("apps", each) for each in ("deployments", "statefulsets", "daemonsets", "replicasets")),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
)


def rules(ctx: Context, name: str) -> list[Object]:
    """Every rule that a ServiceAccount of the namespace has, wherever it holds."""
    found: list[Object] = []
    for binding in account.bindings(ctx, name):
        role, where = binding["roleRef"], binding["metadata"].get("namespace", "")
        inside = f"/namespaces/{where}/roles" if role["kind"] == "Role" else "/clusterroles"
        found += (ctx.api.raw(f"{_RBAC}{inside}/{role['name']}") or {}).get("rules") or []
    return found


def may(given: list[Object], verbs: set[str], group: str, resource: str) -> bool:
    """Whether the rules allow one of these verbs on a resource of a group (empty for the core)."""
    return any(
        {"*", *verbs} & set(rule.get("verbs") or [])
        and {"*", group} & set(rule.get("apiGroups") or [])
        and {"*", resource, f"*/{resource.partition('/')[2] or '-'}"} & set(rule.get("resources") or [])
        for rule in given
    )


def accounts(ctx: Context) -> list[str]:
    return sorted(each["metadata"]["name"] for each in ctx.api.list("serviceaccounts", NAMESPACE))


def reads_secrets(given: list[Object]) -> bool:
    return may(given, {"get", "list", "watch"}, "", "secrets")


def runs_commands(given: list[Object]) -> bool:
    """Whether a program can be started in a running container: exec (a POST, or a GET over a websocket), or a container put beside it."""
    return may(given, {"create", "get"}, "", "pods/exec") or may(given, {"patch", "update"}, "", "pods/ephemeralcontainers")


def reaches_into_pods(given: list[Object]) -> str:
    """The first subresource by which even a GET does something inside of a Pod, or sends something to it; empty for none."""
    paths = ("pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy")
    return next((each for each in paths if may(given, {"create", "get"}, "", each)), "")


def runs_pods(given: list[Object]) -> bool:
    return any(may(given, {"create", "patch", "update"}, group, resource) for group, resource in _RUN_PODS)


def writes(given: list[Object]) -> Iterator[str]:
    """Each verb on a resource that is more than reading."""
    for rule in given:
        for verb in rule.get("verbs") or []:
            if verb not in _READS:
                yield f"{verb} {','.join(rule.get('resources') or rule.get('nonResourceURLs') or [])}"
