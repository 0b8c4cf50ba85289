"""Proving drills on a cluster: each seed breaks in the promised way, its solution solves it, and neither a restart of everything nor the tempting fix does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lab_checks.drill.desk import Desk
from lab_checks.drill.generator import Drill, Laid, generate
from lab_checks.drill.score import COLLATERAL, TIME, Score
from lab_checks.engine.api import CommandFailed, shell
from lab_checks.engine.session import Session
from lab_checks.engine.setup import LessonError

# Seconds: what a restart does not restore soon it does not restore.
_SHORT = 12.0
_SOLVED = 90.0


@dataclass(frozen=True)
class Proof:
    """What one way to work a drill showed: `problem` is empty where it behaved as it must."""

    drill: Drill
    way: str
    told: str
    seconds: float
    problem: str = ""

    def __str__(self) -> str:
        faults = " + ".join(each.fault.id for each in self.drill.laid)
        sign = "✘" if self.problem else "✔"
        return f"{sign} seed {self.drill.seed} ({faults}): {self.way}, {self.seconds:.0f} s: {self.problem or self.told}"


def message(drill: Drill) -> str:
    """A message to the users that says what it has to."""
    parts = [f"Users of {each.service.name} see this: {each.fault.impact[0]}." for each in drill.laid]
    return f"{' '.join(parts)} The cause was identified and the service is restored since 10:15. Next update in 30 minutes."


def evidence(session: Session, laid: Laid) -> str:
    """The lines that prove the fault, as kubectl prints them now. Raises CommandFailed."""
    return "\n".join(shell(each, session.learner).strip() for each in laid.commands(laid.fault.proof))


def hand_in(session: Session, drill: Drill) -> str:
    """Hands in the right answers; gives what was wrong with them, which must be nothing. Raises CommandFailed."""
    desk = Desk(session)
    problems = []
    for laid in drill.laid:
        found = desk.answer(drill, laid.service.name, laid.fault.id, evidence(session, laid))
        if not found.passed:
            # While the platform moves, the scheduler writes an event anew, and what was quoted a moment ago is no longer shown. Who looks again quotes it.
            found = desk.answer(drill, laid.service.name, laid.fault.id, evidence(session, laid))
        problems += [] if found.passed else ["; ".join(found.lines())]
    desk.update(drill, message(drill))
    return " / ".join(problems)


def solve(session: Session, drill: Drill) -> None:
    """Runs the solution of every fault. Raises CommandFailed."""
    for laid in drill.laid:
        for command in laid.commands(laid.fault.solution):
            shell(command, session.learner)


def restart_everything(session: Session, drill: Drill) -> None:
    """What somebody does who does not look: every workload and every Pod anew, the GPU plugin too."""
    for namespace in (*drill.namespaces, "kube-system"):
        kind = "daemonset/nvidia-device-plugin-daemonset" if namespace == "kube-system" else "deployments"
        with contextlib.suppress(CommandFailed):
            shell(f"kubectl -n {namespace} rollout restart {kind}", session.learner)
    for namespace in drill.namespaces:
        shell(f"kubectl -n {namespace} delete pods --all --grace-period=1 --wait=true --timeout=60s", session.learner)


def tempt(session: Session, drill: Drill) -> None:
    """The tempting wrong fix of the first fault, and the solution of the second. What the API server refuses is no problem here."""
    first, *others = drill.laid
    for command in first.commands(first.fault.tempting):
        with contextlib.suppress(CommandFailed):
            shell(command, session.learner)
    for laid in others:
        for command in laid.commands(laid.fault.solution):
            shell(command, session.learner)


def prove(session: Session, drill: Drill, ways: Iterable[str] = ("solution", "restart")) -> Iterator[Proof]:
    """Works a drill in these ways, each from a start of its own.

    `solution` must pass, `restart` of everything and the `tempting` fix must not. `both` is the restart and then the solution: half the time of the two, and
    the restart is all that is held against it.
    """
    for way in ways:
        began = time.monotonic()
        try:
            told, problem = _worked(session, drill, way)
        except (LessonError, CommandFailed) as failure:
            told, problem = "", str(failure)
        yield Proof(drill, way, told, time.monotonic() - began, " ".join(problem.split()))


def _worked(session: Session, drill: Drill, way: str) -> tuple[str, str]:
    """(what the check said, what is wrong with that)."""
    desk = Desk(session)
    desk.start(drill)
    first = desk.score(drill)
    if not first.idle or first.restored or first.passed:
        return "", f"the start is not broken, or something was done already: {_told(first)}"
    if problem := hand_in(session, drill):
        return "", f"the right diagnosis is not accepted: {problem}"
    if way == "solution":
        return _solved(session, desk, drill)
    {"restart": restart_everything, "tempting": tempt, "both": restart_everything}[way](session, drill)
    found = desk.check(drill, _SHORT)
    if found.passed or (found.restored and way != "tempting"):
        return _told(found), f"{way} restores the service, and must not: {_told(found)}"
    return _after(session, desk, drill) if way == "both" else (_told(found), "")


def _solved(session: Session, desk: Desk, drill: Drill) -> tuple[str, str]:
    solve(session, drill)
    found = desk.check(drill, _SOLVED)
    return _told(found), "" if found.passed else f"its solution does not pass: {_told(found)}"


def _after(session: Session, desk: Desk, drill: Drill) -> tuple[str, str]:
    """The solution, after a restart that did not help: it restores the service, and nothing but the restart is held against the learner."""
    solve(session, drill)
    found = desk.check(drill, _SOLVED)
    only = all(each.points == each.of for each in found.lines if each.name not in (COLLATERAL, TIME))
    good = found.restored and only and "restarted" in found.line(COLLATERAL).why and not found.passed
    return _told(found), "" if good else f"its solution does not restore it after a restart of everything: {_told(found)}"


def _told(score: Score) -> str:
    lost = [f"{each.name} {each.told}" for each in score.lines if each.points < each.of]
    return "; ".join([f"{score.total:g} points, {'restored' if score.restored else 'not restored'}: {score.verdict().headline}", *lost])


def seeds_of(text: str) -> list[int]:
    """`1-200` or `1,7,12-15` as numbers. Raises ValueError."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        found += range(int(first), int(last if dash else first) + 1)
    return found


def run(session: Session, seeds: Iterable[int], ways: Iterable[str], faults: int | None, tell: Callable[[str], None]) -> list[Proof]:
    """Proves these seeds, one after the other, and tells each proof; without a number of faults every third seed has two. Gives those that failed."""
    failed, ways, count, began = [], tuple(ways), 0, time.monotonic()
    for seed in seeds:
        count += 1
        for proof in prove(session, generate(seed, faults or (2 if seed % 3 == 0 else 1)), ways):
            tell(str(proof))
            failed += [proof] if proof.problem else []
    good = count - len({each.drill.seed for each in failed})
    tell(f"{good} of {count} seeds proved ({', '.join(ways)}) in {(time.monotonic() - began) / 60:.1f} min")
    return failed
