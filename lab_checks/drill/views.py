"""A check's view of the cluster from one namespace of a drill, and the learner's reads and writes there."""

from __future__ import annotations

from lab_checks.drill.generator import Drill, Laid
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.context import Context

# Requests that the API calls create and that change no object: questions about rights, and looks into a Pod.
_NO_CHANGE = frozenset(
    {
        "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectreviews", "tokenreviews",
        "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy", "events", "serviceaccounts/token",
    }
)  # fmt: skip
# What one look at a context has fetched is the same from every namespace.
_SHARED = ("nodes", "all_pods", "everything", "deeds", "gpu_facts")


def inside(ctx: Context, drill: Drill, namespace: str) -> Context:
    """The same look at the cluster, with the drill as its exercise and from this namespace."""
    found = Context(ctx.api, drill.exercise(), ctx.baseline, ctx.answers, lambda: ctx.deeds, namespace)
    _ = (ctx.nodes, ctx.all_pods)
    for name in _SHARED:
        if name in ctx.__dict__:
            found.__dict__[name] = ctx.__dict__[name]
    return found


def writes(deeds: Deeds) -> list[Deed]:
    """The learner's writes that succeeded and could change something."""
    return [each for each in deeds.changes() if each.resource not in _NO_CHANGE]


def reads(deeds: Deeds, laid: Laid) -> list[Deed]:
    """The reads that could have shown this fault."""
    near = ("", laid.service.namespace, "kube-system", "default")
    return [each for each in deeds.deeds if each.looks and each.code < 300 and each.resource in laid.fault.reads and each.namespace in near]


def touches(deed: Deed, laid: Laid) -> bool:
    """Whether a write is to what this fault is about: its namespace, or what the whole cluster shares."""
    return deed.namespace in ("", "kube-system", laid.service.namespace)
