"""Judging a diagnosis of a Pod that is not there or not placed: a cause, and lines quoted from the cluster.

Three things have to be so: each quoted line stands on the cluster, the cause holds now, and the lines show this cause and no other. Where the
scheduler says the same of several causes, its line alone shows nothing: a second line has to come from the node or from the plugin.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kubeobjects import placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked
from lab_checks.engine.verdict import Seen, Verdict, fail, failed, passed
from lab_checks.judging import evidence
from lab_checks.labs.pending import causes


@dataclass(frozen=True)
class Proof:
    """`line`: what the first quote must say, in words that no version of the scheduler does without. `second`: whether a line is further proof."""

    line: re.Pattern[str]
    told: str
    second: Callable[[causes.Scene, str], bool] | None = None
    where: str = ""


def _gpu_numbers(line: str) -> list[int]:
    """The numbers that a line gives for GPUs: `nvidia.com/gpu:  2`, or the two columns of a node's allocated resources."""
    found = re.search(rf"{re.escape(GPU)}\s*[:=]?\s+(\d+)(?:\s+(\d+))?\s*$", line.strip())
    return [int(each) for each in found.groups() if each is not None] if found else []


def _has_most(scene: causes.Scene, line: str) -> bool:
    return _gpu_numbers(line) == [scene.most] or _row(scene, line) == scene.most


def _row(scene: causes.Scene, line: str) -> int | None:
    """What a GPU node offers, where the line is its name beside that number: a table of one's own columns."""
    for node in scene.gpu_nodes:
        found = re.fullmatch(rf"{re.escape(node['metadata']['name'])}\s+(\d+|<none>)", line.strip())
        offers = int(placement.allocatable(node, GPU))
        if found and found.group(1) == (str(offers) if offers or found.group(1) != "<none>" else "<none>"):
            return offers
    return None


def _held(scene: causes.Scene, line: str) -> bool:
    held = {int(placement.requested(node, scene.pods, GPU)) for node in scene.gpu_nodes} - {0}
    numbers = _gpu_numbers(line)
    return (len(numbers) == 2 and numbers[0] in held) or any(name in line for name in _holders(scene))


def _holders(scene: causes.Scene) -> list[str]:
    """The names of the Pods that hold GPUs."""
    return [pod["metadata"]["name"] for pod in scene.pods if pod["spec"].get("nodeName") and asked(pod["spec"], GPU)]


def _offers_none(scene: causes.Scene, line: str) -> bool:
    return _gpu_numbers(line) == [0] or _row(scene, line) == 0 or bool(_ABSENT.search(line))


def _plugin_nowhere(scene: causes.Scene, line: str) -> bool:
    names = [plugin["metadata"]["name"] for plugin in scene.plugins]
    row = any(re.match(rf"\S*\s*{re.escape(name)}\s+\d+\s+\d+", line.strip()) for name in names)
    return row or bool(re.search(r"(desiredNumberScheduled|Desired Number of Nodes Scheduled)\s*:\s*\d+|Tolerations:\s*<none>", line, re.I))


_ABSENT = re.compile(r"NotFound|No resources found|no daemonset", re.I)
_NO_GPU = re.compile(rf"Insufficient {re.escape(GPU)}")

PROOFS: dict[str, Proof] = {
    "more-than-any-node": Proof(_NO_GPU, f"Insufficient {GPU}", _has_most, "the node with most GPUs: its line `nvidia.com/gpu: …` under Allocatable"),
    "held-by-others": Proof(_NO_GPU, f"Insufficient {GPU}", _held, "the node: its row nvidia.com/gpu under Allocated resources"),
    "taint-not-tolerated": Proof(re.compile(r"had untolerated taint"), "had untolerated taint"),
    "selector-matches-no-node": Proof(
        re.compile(r"didn't match Pod's node affinity/selector"), "didn't match Pod's node affinity/selector"
    ),
    "memory-too-large": Proof(re.compile(r"Insufficient memory"), "Insufficient memory"),
    "cpu-used-up": Proof(re.compile(r"Insufficient cpu"), "Insufficient cpu"),
    "no-device-plugin": Proof(
        _NO_GPU, f"Insufficient {GPU}", _offers_none, "the node's Allocatable, or what kube-system answers when asked for the plugin"
    ),
    "plugin-kept-off": Proof(
        _NO_GPU, f"Insufficient {GPU}", _plugin_nowhere, "the plugin's DaemonSet: kubectl -n kube-system get daemonset"
    ),
    "quota-spent": Proof(re.compile(r"exceeded quota"), "exceeded quota"),
}  # fmt: skip


def judge(ctx: Context, scene: causes.Scene, cause: str, quotes: str) -> Verdict:
    """The verdict on one diagnosis; `quotes` has one quoted line a line."""
    holding = causes.found(scene)
    given = ctx.answers.get("diagnosis") or {}
    if not holding and given.get("accepted") and given.get("cause") == cause:
        return passed(f"the cause was {cause}: it is mended, and what you said before stands")
    if not holding:
        raise fail(
            "the cluster no longer shows what was wrong",
            Seen(f"deployment/{scene.deployment['metadata']['name']}", "", "none of the causes holds now"),
            expected="a diagnosis while the evidence is still there",
            next=f"ai-lab reset {ctx.exercise.key} brings the broken start back; diagnose first, then mend",
        )
    lines = evidence.lines_of(quotes.replace('"', ""))
    if not lines:
        raise fail(
            "a diagnosis needs evidence",
            expected="a line that kubectl printed, copied as it is",
            next=f"kubectl -n {ctx.namespace} get events --sort-by=.lastTimestamp",
        )
    for line in lines:
        if not _stands(ctx, scene, line):
            raise fail(
                "a quoted line is nowhere on the cluster",
                Seen("your evidence", "", line),
                expected="words that kubectl printed a moment ago, copied and not retyped",
                next=f"kubectl -n {ctx.namespace} get events --sort-by=.lastTimestamp",
            )
    claim = causes.CAUSES[cause](scene)
    if not claim.holds:
        return failed(
            f"{cause} is not the cause: {claim.why}",
            *claim.seen,
            expected="the cause that the cluster shows",
            next="hold each part of the line against the nodes: kubectl describe node",
        )
    return _proved(ctx, scene, cause, lines, claim)


def _proved(ctx: Context, scene: causes.Scene, cause: str, lines: list[str], claim: causes.Finding) -> Verdict:
    proof = PROOFS[cause]
    # A terminal wraps long lines: the words may stand on both sides of a break.
    whole = [*lines, " ".join(lines)] if len(lines) > 1 else lines
    first = [line for line in whole if proof.line.search(line) and _said_of(ctx, scene, line)]
    if not first:
        return failed(
            f"the cause is right, and this evidence does not show it: {lines[0][:120]}",
            *claim.seen,
            expected=f"the line with the words `{proof.told}`, as it was said of this workload",
            next=f"kubectl -n {ctx.namespace} get events --sort-by=.lastTimestamp",
            credit=0.2,
        )
    if proof.second is not None and not any(proof.second(scene, line) for line in lines):
        return failed(
            f"`{proof.told}` alone shows nothing yet: the scheduler says the same where GPUs are too few, held, or not offered at all",
            Seen("your evidence", "", first[0]),
            expected=f"a second line, from {proof.where}",
            next="kubectl describe node -l nvidia.com/gpu.present=true",
            credit=0.3,
        )
    return passed(f"the cause is {cause}, and the evidence shows it", Seen("cluster", "", claim.why), *claim.seen)


def _stands(ctx: Context, scene: causes.Scene, line: str) -> bool:
    """Whether the cluster shows the line; that something is not there is shown by its absence.

    A line is a part of what the cluster says, or what it says with kubectl's columns around it, or made of one object's own words.
    """
    if _ABSENT.search(line):
        return not scene.plugins
    objects = [*ctx.nodes, *scene.pods, scene.deployment, *scene.daemonsets, *ctx.events]
    objects += [each for kind in ("replicasets", "resourcequotas") for each in ctx.api.list(kind, ctx.namespace)]
    if found := evidence.find(ctx, line):
        wanted = evidence.plain(line)
        return any(wanted in evidence.plain(each.text) for each in found) or not evidence.foreign(line, evidence.words(*objects))
    if _gpu_numbers(line):
        return False
    return any(not evidence.foreign(line, evidence.words(each)) for each in objects)


def _said_of(ctx: Context, scene: causes.Scene, line: str) -> bool:
    """Whether the line was said of this workload since it was made: events of earlier exercises stay for an hour."""
    name, made = scene.deployment["metadata"]["name"], scene.deployment["metadata"]["creationTimestamp"]
    wanted = evidence.plain(line)
    for event in ctx.events:
        about = event["involvedObject"].get("name", "")
        when = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
        if (about == name or about.startswith(f"{name}-")) and when >= made and _same(wanted, event.get("message", "")):
            return True
    conditions = [
        each for pod in scene.pods if pod["metadata"]["name"].startswith(f"{name}-") for each in pod["status"].get("conditions") or []
    ]
    conditions += scene.deployment.get("status", {}).get("conditions") or []
    return any(_same(wanted, each.get("message", "")) for each in conditions)


def _same(wanted: str, message: str) -> bool:
    said = evidence.plain(message)
    return bool(said) and (wanted in said or said in wanted)
