"""What the quotas of a namespace leave of a resource, all of them together."""

from __future__ import annotations

from fractions import Fraction

from kubeobjects import quantity
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.judging import words

# (namespace, the quota's name for it, how many): what was agreed.
AGREED = (
    ("research", "requests.nvidia.com/gpu", 2),
    ("ai-platform", "requests.nvidia.com/gpu", 1),
    ("research", "count/jobs.batch", 4),
)
# What the requests of the exercise try: no Service that opens the namespace to the outside.
_CLOSED = ("services.nodeports", "services.loadbalancers")


def counted(ctx: Context, *namespaces: str) -> None:
    """Ends the check as not yet while the quota controller has not counted a quota: until then it refuses nothing."""
    for namespace in namespaces:
        for quota in ctx.api.list("resourcequotas", namespace):
            status = quota.get("status", {})
            if status.get("hard") != quota["spec"].get("hard") or set(status.get("used", {})) != set(quota["spec"].get("hard", {})):
                raise words.wait(
                    ctx,
                    "quota-not-counted",
                    see(quota, "status.hard", status.get("hard")),
                    name=quota["metadata"]["name"],
                    namespace_of=namespace,
                )


def most(ctx: Context, namespace: str, resource: str) -> int | None:
    """The smallest number that a quota without a scope allows; None where no quota counts the resource."""
    numbers = [
        Fraction(quantity.parse(quota["spec"]["hard"][resource]))
        for quota in ctx.api.list("resourcequotas", namespace)
        if resource in quota["spec"].get("hard", {}) and not quota["spec"].get("scopes") and not quota["spec"].get("scopeSelector")
    ]
    return int(min(numbers)) if numbers else None


def nothing_else(ctx: Context, *namespaces: str) -> None:
    """Ends the check as failed at a quota that counts what was not agreed, however loose its number is today."""
    for namespace in namespaces:
        agreed = {*_CLOSED, *(resource for team, resource, _ in AGREED if team == namespace)}
        for quota in ctx.api.list("resourcequotas", namespace):
            if besides := sorted(set(quota["spec"].get("hard", {})) - agreed):
                raise words.fail(
                    ctx,
                    "also-counted",
                    see(quota, f"hard[{besides[0]}]", quota["spec"]["hard"][besides[0]]),
                    name=quota["metadata"]["name"],
                    namespace_of=namespace,
                    resource=besides[0],
                )
