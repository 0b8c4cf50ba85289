"""Lab 15-many-pods: the names by which the Pods of a Job find each other, and the Services that were made for it."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.judging import words


def by_full_names(ctx: Context, job: Object) -> None:
    """The Job's template gives its Pods names in a headless Service, and no other kind of Service was left beside it."""
    wanted = job["spec"]["template"]["spec"].get("subdomain")
    there = {each["metadata"]["name"]: each for each in ctx.api.list("services", ctx.namespace)}
    if _address(there.get(wanted or "")) != "None":
        raise words.fail(ctx, "met-once", see(job, "spec.template.spec.subdomain", wanted), credit=0.4)
    for name, service in sorted(there.items()):
        if not ctx.before("services", name) and _address(service) != "None":
            raise words.fail(ctx, "service-beside", see(service, "spec.clusterIP", _address(service)), name=name, credit=0.7)


def _address(service: Object | None) -> str:
    """The address of a Service: None, as a word, for a headless one; empty where there is no Service."""
    return str((service or {"spec": {}})["spec"].get("clusterIP", ""))
