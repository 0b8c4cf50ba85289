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
# Seconds between the read of an object and its write, where one command does both.
_MOMENT = 3.0
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
    """The reads that could have shown this fault; what kubectl reads by itself before it writes shows nobody anything."""
    changes = writes(deeds)
    return [each for each in deeds.deeds if each.looks and each.code < 300 and _shows(each, laid) and not _before_write(each, changes)]


def _shows(deed: Deed, laid: Laid) -> bool:
    """Whether a read is of a resource, and in a namespace, that shows the fault: the plugin's in kube-system, events of nodes in default."""
    near = {"", laid.service.namespace}
    if any("plugin" in need.of for need in laid.fault.evidence):
        near.add("kube-system")
    return deed.resource in laid.fault.reads and (deed.namespace in near or (deed.resource, deed.namespace) == ("events", "default"))


def _before_write(deed: Deed, changes: list[Deed]) -> bool:
    """Whether kubectl read this object to write it: by its name, in the moment before."""
    what = (deed.resource, deed.namespace, deed.name, deed.agent)
    return deed.verb == "get" and any(
        what == (each.resource.partition("/")[0], each.namespace, each.name, each.agent) and 0 <= each.at - deed.at <= _MOMENT
        for each in changes
    )


def touches(deed: Deed, laid: Laid) -> bool:
    """Whether a write is to what this fault is about: its namespace, or what the whole cluster shares."""
    return deed.namespace in ("", "kube-system", laid.service.namespace)
