"""What a workload asks for: not less than it needs, and not more than it was."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import amount, asked, see
from lab_checks.engine.verdict import fail


def at_start(ctx: Context, deployment: str) -> Object:
    """The Pod's spec in the Deployment's template as the exercise began; {} where it was not there."""
    found: Object = ctx.before("deployments", deployment).get("spec", {}).get("template", {}).get("spec", {})
    return found


def requests_kept(ctx: Context, deployment: Object, resource: str, at_least: str = "") -> None:
    """The Deployment still asks for as much of `resource` as at the start, or for `at_least` where the exercise lets it ask for less."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
    before = at_start(ctx, name)
    for old in before.get("containers") or []:
        wanted = amount(at_least) if at_least else asked({"containers": [old]}, resource)
        # What another container asks for does not feed this one; what is said for the whole Pod does.
        own = {"containers": [observe.container(spec, old["name"])], "resources": spec.get("resources") or {}}
        have = asked(own, resource)
        if have < wanted:
            what = "no longer asks for" if have == 0 else "asks for too little"
            raise fail(
                f"deployment {name} {what} {resource}",
                see(deployment, f"containers[{old['name']}].resources {resource}", f"{have}, wants at least {wanted}"),
                expected="a workload that says what it needs: without a request the scheduler packs it where it will starve or be killed",
                next="size the request from what the server really uses, and do not drop it",
            )


# A workload may ask for a little more than before (a small sidecar, a request as large as the limit), not for many times as much.
_GROWTH = 4


def asks_no_more(ctx: Context, deployment: Object, resource: str) -> None:
    """The Deployment does not ask for far more of `resource` than at the start; for devices: not for one more."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
    before = at_start(ctx, name)
    most = asked(before, resource) if "/" in resource else max(_GROWTH * asked(before, resource), asked(before, resource, "limits"))
    have = asked(spec, resource)
    if have > most:
        raise fail(
            f"deployment {name} asks for more {resource} than it needs",
            see(deployment, f"requests[{resource}], of all containers", f"{have}, was {asked(before, resource)}"),
            expected="what it asked for before: what a Pod requests and does not use nobody else gets",
            next="set it back to what it was",
        )


def memory_limited(ctx: Context, deployment: Object) -> None:
    """Every container that had a memory limit still has one, of the same order."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
    before = at_start(ctx, name)
    for old in before.get("containers") or []:
        was = asked({"containers": [old]}, "memory", "limits")
        now = asked({"containers": [observe.container(spec, old["name"])], "resources": spec.get("resources") or {}}, "memory", "limits")
        if was and not 0 < now <= _GROWTH * was:
            raise fail(
                f"deployment {name} has {'no' if not now else 'a far larger'} memory limit {'any more' if not now else 'than before'}",
                see(deployment, f"containers[{old['name']}].limits[memory]", now or "<none>"),
                expected=f"a limit of about {float(was) / 2**20:,.0f}Mi, as it was: without one a leak takes the node's memory from everybody on it",
                next="put the limit back",
            )
