"""Scoring a drill on the live cluster: the diagnosis, what was restored, what else was changed, and the order from the audit log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lab_checks.drill import catalogue, clients, restored, update
from lab_checks.drill.generator import LAB, PLUGIN, Drill, Laid, Service
from lab_checks.drill.score import CAUSE, COLLATERAL, EVIDENCE, ORDER, POINTS, TIME, UPDATE, Line, Score, time_points
from lab_checks.drill.views import inside, reads, touches, writes
from lab_checks.engine import verdict
from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Outcome, Seen, Stop, Verdict
from lab_checks.judging import guards, shown, unchanged
from lab_checks.judging.diagnosis import Engine, Finding
from lab_checks.judging.shown import Line as ShownLine
from lab_checks.judging.shown import Shown

Diagnoses = Mapping[str, Mapping[str, Any]]


class ShownIn(Shown):
    """What kubectl shows in several namespaces: a line stands where the first of them has it."""

    def __init__(self, views: list[Context]):
        self._views = [Shown(each) for each in views]

    def places(self, quote: str) -> set[str]:
        return next((found for each in self._views if (found := each.places(quote))), set())

    def is_old(self, quote: str) -> ShownLine | None:
        return self._views[0].is_old(quote)


def _namespaces(laid: Laid) -> list[str]:
    """Where a line on this fault may stand: the plugin's own log is in kube-system."""
    plugin = any("plugin" in need.of for need in laid.fault.evidence)
    return [laid.service.namespace, *(["kube-system"] if plugin else [])]


def note(ctx: Context, drill: Drill) -> dict[str, Any]:
    """What is kept of the start for judging later: when the incident began, and what kubectl showed then."""
    lines: dict[tuple[str, str], str] = {}
    words: list[Any] = []
    for namespace in dict.fromkeys(each for laid in drill.laid for each in _namespaces(laid)):
        noted = shown.note(inside(ctx, drill, namespace))["shown"]
        lines |= {(name, text): at for name, text, at in noted["lines"]}
        words += [each for each in noted["words"] if each not in words]
    kept = [[name, text, at] for (name, text), at in lines.items()]
    return {"shown": {"lines": kept, "words": words}, "drill": {"began": time.time()}}


def began(ctx: Context) -> float:
    """When the incident began, in seconds since the epoch."""
    return float((ctx.baseline.get("drill") or {}).get("began", 0.0))


def diagnose(ctx: Context, drill: Drill, service: str, cause: str, evidence: str) -> Verdict:
    """The verdict on one diagnosis: the cause of what is wrong with that service, and lines that show it."""
    known = drill.service(service)
    if known is None:
        names = ", ".join(each.name for each in drill.services)
        bare = service.rpartition("/")[2]
        more = f"; the name alone is asked for: {bare}" if drill.service(bare) else ""
        return verdict.failed(f'"{service}" is no service of this platform{more}', expected=names).on_diagnosis("")
    if cause not in catalogue.load():
        try:
            catalogue.fault(cause)
        except catalogue.UnknownFault as problem:
            return verdict.failed(str(problem), expected="one of the causes", next="ai-lab drill causes").on_diagnosis("")
    view = inside(ctx, drill, known.namespace)
    try:
        found = _engine(ctx, drill, known).judge(view, cause, evidence)
    except Stop as stop:
        found = stop.verdict
    return _worded(ctx, drill, found).on_diagnosis("now restore the service, then ai-lab drill check")


def _engine(ctx: Context, drill: Drill, service: Service) -> Engine[None]:
    """The diagnosis engine for one service: every cause as it would show there, and which one holds."""
    faults = [drill.imagined(each, service) for each in catalogue.load().values()]
    laid = drill.laid_on(service.name)

    def rule(fault: Laid) -> Callable[[None], Finding]:
        holds = fault is laid
        if holds:
            return lambda _: Finding(True, fault.fill(fault.fault.title))
        well = (
            f"{service.name} was well when the incident began" if laid is None else f"what is wrong with {service.name} is something else"
        )
        return lambda _: Finding(False, well)

    values = {} if laid is None else laid.values
    names = {
        "workload": [service.name],
        "service": [service.name],
        "clients": [service.clients],
        "node": [service.node],
        "plugin": [PLUGIN],
        "holder": [str(values.get("holder", service.name))],
        "claim": [str(values.get("claim", service.name))],
    }
    views = [inside(ctx, drill, each) for each in (_namespaces(laid) if laid else [service.namespace])]
    return Engine(
        lab=LAB,
        look=lambda _: None,
        rules={each.fault.id: rule(each) for each in faults},
        parts=lambda _: names,
        causes=tuple(each.cause for each in faults),
        shown=lambda _: ShownIn(views),
    )


def judge(ctx: Context, drill: Drill, diagnoses: Diagnoses, message: str) -> Score:
    """The score as the cluster, the audit log and the answers stand now.

    `ctx` is any view of the cluster whose baseline holds what `note` gave. `diagnoses` maps a service's name to its `cause` and `evidence`; where
    one was accepted before, `accepted` says so and `at` when.
    """
    since = began(ctx)
    changes = writes(ctx.deeds)
    open_ = still_open(ctx, drill, diagnoses)
    lines = (
        *_diagnosed(ctx, drill, diagnoses),
        _order(ctx, drill),
        _collateral(ctx, drill),
        _time(ctx, drill, since, open_ is None),
        _update(drill, message),
    )
    idle = not changes and not diagnoses and not message and open_ is not None
    told = None if open_ is None else _worded(ctx, drill, open_)
    return Score(lines, told, idle, _again(ctx, drill), untouched(ctx))


def _again(ctx: Context, drill: Drill) -> str:
    return drill.command if ctx.exercise.lab == LAB else f"ai-lab reset {ctx.exercise.key}"


def _worded(ctx: Context, drill: Drill, found: Verdict) -> Verdict:
    """The verdict with the command that really begins this drill again."""
    own, again = drill.exercise().key, _again(ctx, drill)
    return replace(
        found, next=found.next.replace(f"ai-lab reset {own}", again), expected=found.expected.replace(f"ai-lab reset {own}", again)
    )


def still_open(ctx: Context, drill: Drill, diagnoses: Diagnoses) -> Verdict | None:
    """The first thing that keeps the platform from being restored; None where it is. What waits comes after what is wrong.

    What is wrong with a service is told once its cause is named: until then the verdict says that the service is not restored, and no more.
    """
    waits, since = None, began(ctx)
    for service in drill.services:
        laid, view = drill.laid_on(service.name), inside(ctx, drill, service.namespace)
        try:
            restored.clients_required(view, service)
            if laid is not None and (diagnoses.get(service.name) or {}).get("cause") != laid.fault.id:
                _required_unnamed(view, laid, since)
            elif laid is not None:
                restored.required(view, laid, since)
            else:
                restored.bystander_required(view, service, since)
        except Stop as stop:
            if stop.verdict.outcome is not Outcome.NOT_YET:
                return stop.verdict
            waits = waits or stop.verdict
    return waits


def _required_unnamed(view: Context, laid: Laid, since: float) -> None:
    """As `restored.required`, in words that name no cause."""
    try:
        restored.required(view, laid, since)
    except Stop as stop:
        if stop.verdict.outcome is Outcome.ERROR:
            raise
        service, space = laid.service, laid.service.namespace
        got = clients.heard(view, service, since)
        raise Stop(
            replace(
                stop.verdict,
                headline=f"{service.name} is not restored",
                seen=(Seen(f"log of deployment/{service.clients}", "", clients.told(got)),),
                expected="its cause named with the lines that show it, and then removed",
                next=f"kubectl -n {space} logs deployment/{service.clients} --tail=3; kubectl -n {space} get services,endpoints,pods,events",
            )
        ) from None


def untouched(ctx: Context) -> bool:
    """Whether the learner has changed nothing yet; no where there is no log to read."""
    return ctx.deeds.known and not writes(ctx.deeds)


def _diagnosed(ctx: Context, drill: Drill, diagnoses: Diagnoses) -> tuple[Line, Line]:
    """The lines on cause and evidence: each fault counts the same, and a service that was well and is accused takes a share back."""
    share = 1 / len(drill.laid)
    cause, evidence, why, shows = 0.0, 0.0, [], []
    for laid in drill.laid:
        given = diagnoses.get(laid.service.name)
        if not given:
            why.append(f"no cause was named for {'this incident' if len(drill.laid) == 1 else 'every fault'}")
            shows.append("no line was quoted")
            continue
        right = given.get("cause") == laid.fault.id
        cause += share * right
        why.append(f"{given.get('cause')} is {'the' if right else 'not the'} cause on {laid.service.name}")
        found = (
            None
            if given.get("accepted") and right
            else diagnose(ctx, drill, laid.service.name, str(given["cause"]), str(given["evidence"]))
        )
        proved = right and (found is None or found.passed)
        evidence += share * proved
        shows.append(
            f"{laid.service.name}: " + ("the quoted lines show it" if proved else "they show no cause" if found is None else found.headline)
        )
    for name in sorted(set(diagnoses) - {each.service.name for each in drill.laid}):
        cause = max(0.0, cause - share / 2)
        why.append(f"nothing was wrong with {name}")
    return _line(CAUSE, cause, _joined(why)), _line(EVIDENCE, evidence, _joined(shows))


def _line(name: str, share: float, why: str) -> Line:
    return Line(name, round(POINTS[name] * share, 1), POINTS[name], why)


def _joined(parts: list[str]) -> str:
    return "; ".join(dict.fromkeys(parts))


def _order(ctx: Context, drill: Drill) -> Line:
    """Read before change: for each fault, whether something that shows it was read before the first write that touches it."""
    if not ctx.deeds.known:
        return _line(ORDER, 1.0, "this cluster keeps no audit log that can be read, so nobody is blamed")
    changes = writes(ctx.deeds)
    good, said = 0, []
    for laid in drill.laid:
        first = min((each.at for each in changes if touches(each, laid)), default=None)
        looked = [each.at for each in reads(ctx.deeds, laid) if first is None or each.at <= first]
        good += bool(looked)
        if looked:
            said.append(f"{laid.service.name} was read before it was changed" if first else f"{laid.service.name} was read")
        elif first is None:
            said.append("nothing that shows a fault was read yet")
        else:
            said.append(f"the first change came before anything that shows the fault of {laid.service.namespace} was read")
    return _line(ORDER, good / len(drill.laid), _joined(said))


def _collateral(ctx: Context, drill: Drill) -> Line:
    """Nothing else was changed, stopped or restarted."""
    view = inside(ctx, drill, drill.laid[0].service.namespace)
    view.__dict__["everything"] = ctx.everything
    found = unchanged.judge(view)
    if found is None and not any(each.startswith("daemonsets/kube-system/") for each in drill.allow):
        try:
            guards.plugin_not_restarted(view)
        except Stop as stop:
            found = stop.verdict
    if found is not None:
        seen = "; ".join(str(each) for each in found.seen[:2])
        return _line(COLLATERAL, 0.0, f"{found.headline} ({seen})" if seen else found.headline)
    gone = _stopped(ctx, drill)
    if gone:
        return _line(COLLATERAL, 0.0, f"{gone} was restarted, and nothing was wrong with it")
    return _line(COLLATERAL, 1.0, "nothing else was changed, stopped or restarted")


def _stopped(ctx: Context, drill: Drill) -> str:
    """A Pod of the start that is gone although its workload had no part in the incident; the empty text where there is none."""
    touched = {key.rpartition("/")[2] for key in drill.allow if key.startswith("deployments/")} | {each.service.name for each in drill.laid}
    now = {pod["metadata"]["uid"] for pod in ctx.all_pods if "deletionTimestamp" not in pod["metadata"]}
    for namespace in drill.namespaces:
        for row in ctx.baseline.get("pods", {}).get(namespace, {}).values():
            # Of a ReplicaSet: its name without the hash of the template.
            workload = row["owner"].rpartition("-")[0]
            if row["uid"] not in now and workload not in touched:
                return f"{workload} in {namespace}"
    return ""


def _time(ctx: Context, drill: Drill, since: float, done: bool) -> Line:
    if not done:
        return _line(TIME, 0.0, f"not restored yet, {(time.time() - since) / 60:.0f} min after it began")
    minutes = (restored_at(ctx, drill, since) - since) / 60
    return Line(TIME, time_points(minutes), POINTS[TIME], f"restored {minutes:.1f} min after it began")


def restored_at(ctx: Context, drill: Drill, since: float) -> float:
    """When the last client got its last error; where none had any, when the last change was made."""
    last = [each.at for each in writes(ctx.deeds)]
    heard = [clients.heard(ctx, each.service, since).last_error for each in drill.laid]
    return max([since, *heard] if any(heard) else [since, *last])


def _update(drill: Drill, message: str) -> Line:
    if not message.strip():
        return _line(UPDATE, 0.0, "no message to the users was handed in")
    impact = tuple(word for laid in drill.laid for word in laid.fault.impact)
    lacks = update.missing(message, [each.service.name for each in drill.laid], impact)
    if not lacks:
        return _line(UPDATE, 1.0, "it says who is affected, what they see, how it stands, and when")
    return _line(UPDATE, max(0.0, 1 - len(lacks) / 4), f"it lacks {'; '.join(lacks)}")
