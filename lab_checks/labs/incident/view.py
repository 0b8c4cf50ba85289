"""Lab 12-incident: what a learner looks at: what clients get, the causes to choose from, the channel, the night's log, and reports of one's own calls."""

from __future__ import annotations

import time
from typing import Any

from lab_checks import drill
from lab_checks.engine.api import Api
from lab_checks.engine.session import NotStarted
from lab_checks.engine.verdict import Stop
from lab_checks.judging import said
from lab_checks.labs.incident import day, drills, night, updates
from lab_checks.labs.incident.checks import LAB, diagnoses, scored

# The notebook's face: which lies above the labs, so that its type has no name here.
LabNotebook = Any

_CLIENTS = "clients-of-"
_SECONDS = 5
_WIDTH = 26


def clients(api: Api) -> None:
    """Prints for each service of the platform what its clients got in the last seconds."""
    found = False
    for pod in sorted(api.list("pods"), key=lambda each: str(each["metadata"]["name"])):
        name = (pod["metadata"].get("labels") or {}).get("app", "")
        if not name.startswith(_CLIENTS):
            continue
        found = True
        rows = said.seconds(api.log(pod, tail=_SECONDS, timestamps=True))
        good, bad = sum(each.ok for each in rows), sum(each.errors for each in rows)
        kinds = ", ".join(sorted({kind for each in rows for kind, count in each.outcomes.items() if count and kind != "200"}))
        print(f"{name.removeprefix(_CLIENTS):<18}{pod['metadata']['namespace']:<14}{good:>3} answered {bad:>3} failed  {kinds}")
    if not found:
        print("no clients are on the cluster: start a call first")


def causes() -> None:
    """Prints the causes that a diagnosis chooses from, each with what it means."""
    for name in drill.causes():
        print(f"{name:<{_WIDTH}}{drill.fault(name).title}")


def channel() -> None:
    """Prints the incident channel of the exercise status-page."""
    print(updates.data()["channel"].strip())


def log_of_the_night() -> None:
    """Prints the audit log of the night, row by row, and what the clients' log said."""
    for row in night.rows():
        print(row)
    print(f"\nclients' log: first failed request {night.FIRST_ERROR}, last failed request {night.LAST_ERROR}")


def post_mortem_of_the_night(lab: LabNotebook) -> None:
    """Prints the post-mortem of the night with the learner's lesson, once the check has passed."""

    def show(_api: Api) -> None:
        attempt = lab._session.progress.attempt(f"{LAB}/in-the-night")
        print(night.post_mortem(attempt.answers if attempt else {}))

    lab.after("in-the-night", show)


def report(lab: LabNotebook, exercise: str, *, post_mortem: bool = False) -> None:
    """Prints the report on the call that is on the cluster, or the post-mortem that is begun from it: clock, score, timeline from the audit log."""
    try:
        ctx = lab._session.context(lab._exercise(exercise))
        laid = drills.noted(ctx)
        score = scored(ctx, laid)
    except NotStarted as problem:
        print(f'[not yet] {exercise}: {problem}; lab.start("{exercise}") begins it')
        return
    except Stop as stop:
        print("\n".join(stop.verdict.of(exercise).lines()))
        return
    found = drill.report(ctx, laid, score, diagnoses(ctx), str(ctx.answers.get("update") or ""))
    found["again"] = f"{drills.VARIABLE}={ctx.baseline['call']['seed']} ai-lab start {ctx.exercise.key}"
    print(drill.post_mortem(found) if post_mortem else drill.report_text(found))


def the_day(api: Api) -> None:
    """Prints the calls of the game day that are over."""
    rows = day.of_today(api.cluster_id())
    for each in rows:
        print(f"call {each['call']}: {each['points']:g} points, {each['time']}; {each['what']}")
    if not rows:
        print(f"no call of a game day is over yet ({time.strftime('%H:%M')})")
