"""Lab 09-protect-data: what somebody finds who gets into the model's container: an account, a user, a disk, capabilities."""

from __future__ import annotations

from collections.abc import Callable

from kubeobjects import Object
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, words


def subjects_of(account: str, namespace: str = NAMESPACE) -> list[tuple[str, str]]:
    """(kind, name) of all subjects that a ServiceAccount is, but the groups of every account, which give discovery alone."""
    return [
        ("ServiceAccount", f"{namespace}/{account}"),
        ("User", f"system:serviceaccount:{namespace}:{account}"),
        ("Group", f"system:serviceaccounts:{namespace}"),
    ]


def bindings(ctx: Context, account: str) -> list[Object]:
    """The bindings that give a ServiceAccount of the course's namespace a role, anywhere; as the snapshot keeps them."""
    mine = set(subjects_of(account))
    return [
        each
        for kind in ("rolebindings", "clusterrolebindings")
        for each in ctx.everything.get(kind, {}).values()
        if any(_named(subject, each) in mine for subject in each.get("subjects") or [])
    ]


def _named(subject: Object, binding: Object) -> tuple[str, str]:
    if subject["kind"] != "ServiceAccount":
        return subject["kind"], subject["name"]
    return "ServiceAccount", f"{subject.get('namespace') or binding['metadata'].get('namespace', '')}/{subject['name']}"


def nothing_to_ask(ctx: Context, deployment: Object, rules_of: Callable[[str], list[Object]]) -> None:
    """The Pod's account has no rights, and no token of it is in the Pod. `rules_of` gives the rules of an account."""
    spec = deployment["spec"]["template"]["spec"]
    name = spec.get("serviceAccountName") or "default"
    account = ctx.get("serviceaccounts", name)
    if account is None:
        raise words.fail(ctx, "no-such-account", see(deployment, "serviceAccountName", name), name=name)
    if rules_of(name):
        found = bindings(ctx, name)
        rows = [
            Seen(f"binding {each['metadata']['name']}", "roleRef", f"{each['roleRef']['kind']} {each['roleRef']['name']}") for each in found
        ]
        raise words.fail(ctx, "account-may-something", *rows, credit=0.2, name=name)
    inside, default = spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")
    if inside or (inside is None and default is not False):
        seen = (see(deployment, "automountServiceAccountToken", inside), see(account, "automountServiceAccountToken", default))
        raise words.fail(ctx, "token-mounted", *seen, credit=0.2)
    for volume in spec.get("volumes") or []:
        if any("serviceAccountToken" in source for source in (volume.get("projected") or {}).get("sources") or []):
            raise words.fail(ctx, "token-mounted", see(deployment, "volumes", volume["name"]), credit=0.2)
        if set(volume) - {"name", "emptyDir"}:
            raise words.fail(ctx, "more-volumes", see(deployment, "volumes", volume["name"]), name=volume["name"], credit=0.2)


def hardened(ctx: Context, deployment: Object) -> None:
    """Not root and sure of it, nothing to write to, no capability and no way to get one; for every container of the Pod."""
    spec = deployment["spec"]["template"]["spec"]
    guards.not_privileged(spec, deployment)
    pod_wide = spec.get("securityContext") or {}
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        own = {**pod_wide, **(container.get("securityContext") or {})}
        field = f"containers[{container['name']}].securityContext"
        seen = see(deployment, field, {key: each for key, each in own.items() if key != "seccompProfile"})
        if own.get("runAsUser") == 0:
            raise words.fail(ctx, "runs-as-root", seen, credit=0.4)
        if own.get("runAsNonRoot") is not True:
            raise words.fail(ctx, "non-root-not-required", seen, credit=0.4)
        if own.get("readOnlyRootFilesystem") is not True:
            raise words.fail(ctx, "root-writable", seen, credit=0.5)
        capabilities = own.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or []) or capabilities.get("add"):
            raise words.fail(ctx, "capabilities-left", seen, credit=0.6)
        if own.get("allowPrivilegeEscalation") is not False:
            raise words.fail(ctx, "may-gain-more", seen, credit=0.7)
