"""The Pods that run are the Deployment's, as its template says now, and nobody put others beside them."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import amount, see
from lab_checks.engine.verdict import fail


def made_from_template(ctx: Context, deployment: Object) -> None:
    """The Deployment's Pods are what its template says now: not edited by hand, not adopted, not held back by a pause."""
    name, template = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
    for pod in ctx.pods_of(deployment):
        field = _other(template, pod["spec"])
        if not field:
            continue
        seen = (see(pod, field, _part(pod["spec"], field)), see(deployment, f"spec.template.spec.{field}", _part(template, field)))
        if deployment["spec"].get("paused"):
            raise fail(
                f"deployment {name} is paused, and its Pods are not what its template says",
                *seen,
                expected="Pods made from the template as it is: nothing is rolled out while it is paused",
                next=f"kubectl -n {ctx.namespace} rollout resume deployment/{name}",
            )
        raise fail(
            f"a Pod of {name} was changed by hand, and the Deployment's template was not",
            *seen,
            expected="the change in the template: every Pod after this one is made from it",
            next=f"kubectl -n {ctx.namespace} edit deployment/{name}",
        )


def nothing_beside(pod: Object) -> None:
    """No container of `kubectl debug` still runs in the Pod. One that has ended stays in its spec, and is no fault."""
    for each in pod.get("status", {}).get("ephemeralContainerStatuses") or []:
        if "running" in (each.get("state") or {}):
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            raise fail(
                f"a container put into a running Pod still runs there: {each['name']}",
                see(pod, "spec.ephemeralContainers", each["name"]),
                expected="the Pod as it is made from its template: a look inside ends with the look",
                next=f"let its program end: kubectl -n {namespace} attach -it {name} -c {each['name']}, or kill it there",
            )


def _own_tolerations(spec: Object) -> list[str]:
    """Tolerations without those that admission adds to every Pod."""
    return sorted(
        str(sorted(each.items())) for each in spec.get("tolerations") or [] if not each.get("key", "").startswith("node.kubernetes.io/")
    )


def _other(template: Object, spec: Object) -> str:
    """The first field in which a Pod is not what the template says; empty where it is. What admission fills in is no difference."""
    if _own_tolerations(template) != _own_tolerations(spec):
        return "tolerations"
    for key in ("nodeSelector", "affinity"):
        if (template.get(key) or None) != (spec.get(key) or None):
            return key
    for wanted in template.get("containers") or []:
        have = observe.container(spec, wanted["name"])
        for key in ("image", "command", "args", "env", "envFrom", "readinessProbe", "livenessProbe", "startupProbe"):
            if (wanted.get(key) or None) != (have.get(key) or None):
                return f"containers[{wanted['name']}].{key}"
        for kind in ("requests", "limits"):
            there = (have.get("resources") or {}).get(kind) or {}
            rows = (wanted.get("resources") or {}).get(kind) or {}
            if any(amount(value) != amount(there.get(resource)) for resource, value in rows.items()):
                return f"containers[{wanted['name']}].resources"
    return ""


def _part(spec: Object, field: str) -> object:
    """What stands at a field that `_other` named."""
    if not field.startswith("containers["):
        return spec.get(field) or "<none>"
    name, key = field.removeprefix("containers[").split("].")
    return observe.container(spec, name).get(key) or "<none>"
