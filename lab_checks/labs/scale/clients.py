"""Lab 11-scale-and-cost: what clients get now, from the log of a load generator, and what a server says on /metrics."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, said, words
from lab_checks.judging.said import Second

CLIENT = "on-call-tooling"
# Seconds of the newest rows that say how things are now, and those after a change that still belong to what was before it.
WINDOW, SETTLES = 6, 3.0


def all_rows(ctx: Context, name: str = CLIENT) -> list[Second]:
    """Every second that the newest Pod of these clients has counted; not yet while there is none that is Ready."""
    pods = [pod for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == name]
    newest = observe.newest(pods)
    if newest is None or not observe.is_ready(newest):
        raise words.wait(ctx, "clients-not-there", Seen(f"deployment/{name}", "Pods", "none that is Ready"), of=name)
    return said.seconds(ctx.api.log(newest, timestamps=True))


def since_ready(ctx: Context, pods: list[Object], name: str = CLIENT) -> list[Second]:
    """The seconds in which all of `pods` were Ready; not yet before there are enough of them."""
    since = max(observe.moment(observe.condition(pod, "Ready")["lastTransitionTime"]) for pod in pods) + SETTLES
    found = [row for row in all_rows(ctx, name) if row.until > since]
    if len(found) < WINDOW:
        raise words.wait(ctx, "not-seen-yet", Seen(f"deployment/{name}", "seconds counted", f"{len(found)} of {WINDOW}"), of=name)
    return found


def now(ctx: Context, pods: list[Object], name: str = CLIENT) -> list[Second]:
    """The newest of the seconds in which all of `pods` were Ready; not yet before there are enough of them."""
    return since_ready(ctx, pods, name)[-WINDOW:]


def good_at_times(rows: list[Second]) -> tuple[float, float]:
    """(least, most) good answers a second over each few seconds among the rows: what somebody may have read off at one time or another."""
    found = [good_a_second(rows[at : at + WINDOW]) for at in range(len(rows) - WINDOW + 1)]
    return min(found), max(found)


def good_a_second(rows: list[Second]) -> float:
    return sum(row.ok for row in rows) / len(rows)


def failures(rows: list[Second]) -> dict[str, int]:
    """How often which failure came back: a status, or what went wrong before there was one."""
    found: dict[str, int] = {}
    for row in rows:
        for outcome, count in row.outcomes.items():
            if not outcome.startswith("2"):
                found[outcome] = found.get(outcome, 0) + count
    return found


def rate(deployment: Object) -> float:
    """Requests a second that a load generator's Deployment sends."""
    variables = guards.variables(observe.container(deployment["spec"]["template"]["spec"]))
    return float(variables["RATE"]["value"])


def page(ctx: Context, pod: Object) -> str:
    """A server's /metrics; not yet while it says nothing."""
    text = ctx.api.through("pods", f"{pod['metadata']['name']}:8080", ctx.namespace, "metrics")
    if not text:
        raise words.wait(ctx, "no-metrics-yet", see(pod, "GET :8080/metrics", "no answer"))
    return text


def within_a_second(text: str) -> tuple[float, int]:
    """(percent of all requests that were answered within one second, how many requests) from a page of metrics."""
    every = said.total(text, "model_request_duration_seconds_count")
    soon = said.total(text, "model_request_duration_seconds_bucket", le="1.0")
    return (100 * soon / every if every else 0.0), int(every)
