"""What the scheduler tries when no node takes a Pod: making room by evicting Pods of lower priority (DefaultPreemption).

Decides only: `find` names the node and its victims, or says in the scheduler's words why evicting would not help.
"""

from __future__ import annotations

from dataclasses import dataclass

from clusters.embedded.client import Object
from clusters.embedded.scheduler import algorithm
from clusters.embedded.scheduler.framework import Code, NodeInfo, PodInfo, Snapshot, Status, unresolvable
from clusters.embedded.scheduler.plugins import dynamicresources
from kubeobjects import meta, selectors

NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"

# DynamicResources tries first. Where the Pod was refused before that plugin had looked at it, it finds no state of its own, and that
# error is all there is to say.
NO_STATE = "not found"

BY_SCHEDULER = "PreemptionByScheduler"

# Victims' priorities may be negative; adding this keeps a sum of few from beating a sum of many.
_OFFSET = 2**31


@dataclass(frozen=True)
class Candidate:
    node: str
    victims: tuple[PodInfo, ...]
    violations: int


@dataclass(frozen=True)
class Outcome:
    """`candidate` to carry out, or `message`, the end of the FailedScheduling text. `clear` takes a nomination back."""

    candidate: Candidate | None = None
    message: str = ""
    clear: bool = False


def find(
    pod: PodInfo,
    snapshot: Snapshot,
    diagnosis: algorithm.Diagnosis,
    nominated: dict[str, list[PodInfo]],
    budgets: list[Object],
    claims: str = dynamicresources.NO_CLAIMS,
) -> Outcome:
    """`claims` is what DynamicResources had to say before."""
    if not snapshot.nodes:
        return Outcome()
    if diagnosis.pre_filter is not None and diagnosis.pre_filter.plugin != dynamicresources.NAME:
        return Outcome(message=NO_STATE)
    why_not = _not_eligible(pod, snapshot, diagnosis)
    if why_not:
        return Outcome(message=f"{claims}, preemption: {why_not}")
    candidates: list[Candidate] = []
    refused: dict[str, Status] = {}
    for name, status in diagnosis.statuses.items():
        if status.code is not Code.UNSCHEDULABLE:
            continue
        found = select_victims(pod, snapshot, snapshot.nodes[name], nominated.get(name, []), budgets)
        if isinstance(found, Status):
            refused[name] = found
        else:
            candidates.append(found)
    if candidates:
        return Outcome(candidate=pick(candidates))
    why = algorithm.Diagnosis(len(snapshot.nodes), refused, unresolvable(NOT_HELPFUL)).message()
    return Outcome(message=f"{claims}, preemption: {why}", clear=True)


def _not_eligible(pod: PodInfo, snapshot: Snapshot, diagnosis: algorithm.Diagnosis) -> str:
    if pod.pod["spec"].get("preemptionPolicy") == "Never":
        return NEVER
    name = (pod.pod.get("status") or {}).get("nominatedNodeName")
    node = snapshot.nodes.get(name or "")
    status = diagnosis.statuses.get(name or "", diagnosis.absent)
    if node is None or (status is not None and status.code is Code.UNRESOLVABLE):
        return ""
    return TERMINATING if any(each.priority < pod.priority and _ends_by_preemption(each.pod) for each in node.pods) else ""


def _ends_by_preemption(pod: Object) -> bool:
    condition = meta.condition(pod, "DisruptionTarget")
    return meta.is_deleting(pod) and condition is not None and condition.get("reason") == BY_SCHEDULER


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts the more important Pod first: higher priority, then the one that has run longer."""
    status = pod.pod.get("status") or {}
    return (-pod.priority, status.get("startTime") or "9999")


def select_victims(pod: PodInfo, snapshot: Snapshot, node: NodeInfo, nominated: list[PodInfo], budgets: list[Object]) -> Candidate | Status:
    """The smallest set of Pods to evict from `node`: all lower ones go, then as many as fit come back, budgeted ones first."""
    lower = sorted((each for each in node.pods if each.priority < pod.priority), key=_importance)
    if not lower:
        return unresolvable(NO_VICTIMS)
    rivals = [each for each in nominated if each.uid != pod.uid and each.priority >= pod.priority]
    empty = node.without(lower).with_pods(rivals)
    status = algorithm.fits(pod, snapshot.replace(empty), node.name)
    if status is not None:
        return status
    violating, others = split_by_budget(lower, budgets)
    kept, victims, violations = empty, [], 0
    for each in [*violating, *others]:
        fuller = kept.with_pods([each])
        if algorithm.fits(pod, snapshot.replace(fuller), node.name) is None:
            kept = fuller
        else:
            victims.append(each)
            violations += each in violating
    return Candidate(node.name, tuple(sorted(victims, key=_importance)), violations)


def split_by_budget(pods: list[PodInfo], budgets: list[Object]) -> tuple[list[PodInfo], list[PodInfo]]:
    """(Pods whose eviction would break a PodDisruptionBudget, the others), each in the given order."""
    left = [(budget.get("status") or {}).get("disruptionsAllowed", 0) for budget in budgets]
    violating: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        broken = False
        for index, budget in enumerate(budgets):
            selector = budget["spec"].get("selector")
            if budget["metadata"]["namespace"] != pod.namespace or not selector or not pod.labels:
                continue
            if pod.pod["metadata"]["name"] in ((budget.get("status") or {}).get("disruptedPods") or {}):
                continue
            if selectors.from_object(selector)(pod.labels):
                left[index] -= 1
                broken = broken or left[index] < 0
        (violating if broken else others).append(pod)
    return violating, others


def pick(candidates: list[Candidate]) -> Candidate:
    """Fewest broken budgets, lowest highest priority, smallest sum of priorities, fewest victims, then the youngest."""

    def order(candidate: Candidate) -> tuple[int, int, int, int]:
        if not candidate.victims:
            return (candidate.violations, -_OFFSET, 0, 0)
        return (
            candidate.violations,
            candidate.victims[0].priority,
            sum(each.priority + _OFFSET for each in candidate.victims),
            len(candidate.victims),
        )

    best = min(order(each) for each in candidates)
    equal = [each for each in candidates if order(each) == best]
    return max(equal, key=_earliest_start)


def _earliest_start(candidate: Candidate) -> str:
    highest = max((each.priority for each in candidate.victims), default=0)
    starts = [(each.pod.get("status") or {}).get("startTime") or "" for each in candidate.victims if each.priority == highest]
    return min(starts, default="")
