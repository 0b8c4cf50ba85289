"""Lab 04-not-ready: judging a diagnosis. A cause and quoted lines come in; the cluster says whether both hold, and whether they belong together.

A line that several causes lead to shows nothing alone: then a second line has to come from another place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen, Verdict, fail, failed, passed
from lab_checks.judging import evidence
from lab_checks.labs.not_ready import causes


@dataclass(frozen=True)
class Proof:
    """`line`: what a quote must say. `second`: what another must, where the first fits other causes as well; `where` it is found."""

    line: re.Pattern[str]
    told: str
    second: re.Pattern[str] | None = None
    where: str = ""


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.I)


_LOAD = _words(r"loading \d+%|model loaded seconds=|not ready until the model is loaded|loading model weights")
_NODE = _words(r"nvidia\.com/gpu(\.\w+)?\s*[:=]?\s*\S*\d|driver-version|allocated resources")

PROOFS: dict[str, Proof] = {
    "no-readiness-probe": Proof(
        _LOAD, "how long the load takes (the server's log)", _words(r"Liveness: |:8080|ContainersReady|Ready"),
        "what counts as Ready meanwhile: the only probe in `kubectl describe`, or the row of `kubectl get endpoints`",
    ),
    "readiness-lies": Proof(
        _words(r"\b503\b|not_ready"), "503, as clients or the server logged it", _words(r"Readiness: |readinessProbe"),
        "the probe: its line `Readiness: …` in `kubectl describe`",
    ),
    "wrong-port-or-path": Proof(
        _words(r"Readiness probe failed|statuscode: 404|connection refused"), "Readiness probe failed, with 404 or connection refused",
        _words(r"listening port=|model_server: ready|model loaded seconds="), "the server's log, which says that it listens and is ready",
    ),
    "liveness-shorter-than-load": Proof(
        _words(r"Liveness probe failed|failed liveness probe"), "Liveness probe failed, or failed liveness probe", _LOAD,
        "the server's log: how far the load had come",
    ),
    "model-file-missing": Proof(_words(r"No such file or directory|FileNotFoundError"), "No such file or directory"),
    "selector-matches-nothing": Proof(
        _words(r"<none>|Selector: "), "<none>, from `kubectl get endpoints`, or the selector of the Service"
    ),
    "driver-too-old": Proof(
        _words(r"driver version is insufficient"), "driver version is insufficient", _NODE,
        "the node, which shows that the plugin is well or which driver there is: kubectl describe node",
    ),
    "device-not-injected": Proof(
        _words(r"Found no NVIDIA driver"), "Found no NVIDIA driver", _NODE, "the node: kubectl describe node, Allocatable"
    ),
    "out-of-memory": Proof(_words(r"OOMKilled"), "OOMKilled"),
}  # fmt: skip


def judge(ctx: Context, name: str, cause: str, quotes: str) -> Verdict:
    """The verdict on one diagnosis of the Deployment `name`; `quotes` has one quoted line a line."""
    now = causes.scene(ctx, name)
    holding = causes.found(now)
    look = f"kubectl -n {ctx.namespace} logs deployment/{name}, describe pod, get events, get endpoints"
    if not holding:
        raise fail(
            "the cluster no longer shows what was wrong",
            Seen(f"deployment/{name}", "", "none of the causes holds now"),
            expected="a diagnosis while the evidence is still there",
            next=f"ai-lab reset {ctx.exercise.key} brings the broken start back; diagnose first, then mend",
        )
    lines, shown = evidence.lines_of(quotes), evidence.Shown(ctx)
    if not lines:
        raise fail("a diagnosis needs evidence", expected="a line that kubectl printed, copied as it is", next=look)
    made = now.deployment["metadata"]["creationTimestamp"]
    for line in lines:
        places = evidence.find(ctx, line)
        if not shown.stands(line):
            raise fail(
                "a quoted line is nowhere on the cluster",
                Seen("your evidence", "", line),
                expected="words that kubectl printed a moment ago, copied and not retyped",
                next=look,
            )
        if places and all(place.at and place.at < made for place in places):
            raise fail(
                "a quoted line was said before this exercise began",
                Seen(places[0].source, "last", places[0].at),
                expected=f"a line from after {made}: events stay for an hour",
                next=f"kubectl -n {ctx.namespace} get events --sort-by=.lastTimestamp",
            )
    claim = causes.CAUSES[cause](now)
    if not claim.holds:
        return failed(f"{cause} is not the cause: {claim.why}", *claim.seen, expected="the cause that the cluster shows", next=look)
    proof = PROOFS[cause]
    # A terminal wraps long lines: the words may stand on both sides of a break.
    lines = [*lines, " ".join(lines)] if len(lines) > 1 else lines
    first = [line for line in lines if proof.line.search(line)]
    if not first:
        return failed(
            f"the cause is right, and this evidence does not show it: {lines[0][:120]}",
            *claim.seen, expected=f"a line with {proof.told}", next=look, credit=0.2,
        )  # fmt: skip
    if proof.second is not None and not any(proof.second.search(line) for line in lines):
        return failed(
            "this line alone fits other causes as well",
            Seen("your evidence", "", first[0]),
            expected=f"a second line, from {proof.where}", next=look, credit=0.3,
        )  # fmt: skip
    return passed(f"the cause is {cause}, and the evidence shows it", Seen("cluster", "", claim.why), *claim.seen)
