"""The Pods that run are the Deployment's, as its template says now, and nobody put others beside them."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, asked, see
from lab_checks.engine.verdict import fail


def nothing_beside(ctx: Context, deployment: Object) -> None:
    """Nobody put another Pod beside the Deployment's: one that asks for a GPU too, or that carries the labels by which the Deployment is found."""
    known = {row["uid"] for rows in ctx.baseline["namespaces"].values() for kind in ("deployments", "statefulsets", "daemonsets", "jobs")
             for row in rows.get(kind, {}).values()}  # fmt: skip
    there = {row["uid"] for rows in ctx.baseline["namespaces"].values() for row in rows["pods"].values()}
    labels = deployment["spec"]["selector"].get("matchLabels") or {}
    suspects = []
    for pod in ctx.all_pods:
        alike = pod["metadata"]["namespace"] == ctx.namespace and labels.items() <= (pod["metadata"].get("labels") or {}).items()
        over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if pod["metadata"]["uid"] not in there and not over and (alike or asked(pod["spec"], GPU)):
            suspects.append(pod)
    sets = {each["metadata"]["uid"]: each for each in ctx.api.list("replicasets")} if suspects else {}
    for pod in suspects:
        owner: Object = next((each for each in pod["metadata"].get("ownerReferences") or [] if each.get("controller")), {})
        above = sets.get(owner.get("uid", ""))
        owners = [owner, *((above["metadata"].get("ownerReferences") or []) if above else [])]
        if not any(each.get("uid") in known for each in owners):
            top = owners[-1] if owners[-1] else {"kind": "Pod", "name": pod["metadata"]["name"]}
            gpus = asked(pod["spec"], GPU)
            raise fail(
                f"{top['kind'].lower()} {top['name']} was put beside {deployment['metadata']['name']}",
                see(pod, f"limits[{GPU}], labels", f"{gpus}, {pod['metadata'].get('labels') or {}}"),
                expected="the Deployment that was there, mended: a second one "
                + ("holds a GPU that somebody else waits for" if gpus else "answers in the first one's name"),
                next=f"kubectl -n {pod['metadata']['namespace']} delete {top['kind'].lower()} {top['name']}",
            )


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
        for key in ("image", "command", "args", "env", "envFrom"):
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
