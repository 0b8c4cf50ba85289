"""Lab 06-observe: a model that answers wrongly while everything else is green. Which kinds it finds, before a release and after it."""

from __future__ import annotations

from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging import answers, sheet
from lab_checks.judging.sheet import Blank
from lab_checks.labs.observe import measured
from lab_checks.labs.observe.pages import family

# Lines that are enough to say which kinds a server finds, and percent by which the mix of the same lines may differ.
_ENOUGH, _NEAR = 80, 6.0


@dataclass(frozen=True)
class Mix:
    """The share of each kind among the lines that were classified, in percent, and how many these were."""

    percent: dict[str, float]
    lines: float

    def of(self, kind: str) -> float:
        return self.percent.get(kind, 0.0)


def _mix(counts: dict[str, float]) -> Mix:
    total = sum(counts.values())
    return Mix({kind: 100 * count / total for kind, count in counts.items()} if total else {}, total)


def by_version(ctx: Context, version: str) -> Mix:
    """What all servers of a version have found since the exercise began."""
    promql = f'sum by (kind) (max_over_time(model_lines_total[1h]) and on (pod) max_over_time(model_info{{version="{version}"}}[1h]))'
    found = _mix({each.labels["kind"]: each.value for each in ctx.query(promql)})
    if found.lines < _ENOUGH:
        raise wait(f"too few lines were classified by {version}", Seen("monitoring", "model_lines_total", f"{found.lines:.0f}"))
    return found


def before_and_after(ctx: Context) -> tuple[Mix, Mix, str]:
    """The mix of v1, that of v3, and the kind that grew most between them."""
    before, after = by_version(ctx, "v1"), by_version(ctx, "v3")
    return before, after, max(after.percent, key=lambda kind: after.of(kind) - before.of(kind))


def blanks(ctx: Context) -> list[Blank]:
    before, after, grew = before_and_after(ctx)
    kinds = sorted({*before.percent, *after.percent})

    def told_kind(kind: str) -> str:
        return f"{kind} went from {before.of(kind):.0f} % to {after.of(kind):.0f} %: another kind grew more"

    def share(name: str, right: float, other: float, asks: str) -> Blank:
        return sheet.number(
            name, lambda said: abs(said - right) <= _NEAR, asks, "lab.plot('sum by (kind) (rate(model_lines_total[20s]))', minutes=5)",
            reads=answers.percent, told=lambda said: "before and after are exchanged" if abs(said - other) <= _NEAR else "the share is another",
        )  # fmt: skip

    return [
        Blank(
            "metric", lambda said: family(word) if (word := answers.word(said)) else None, "model_lines",
            "the one metric in which the release shows", "the model's page of metrics: what does it count besides requests?",
            lambda said: f"{said} is as it was before the release", form="the name of one metric is asked for",
        ),
        sheet.names("kind", [grew], "the kind of lines of which the model suddenly finds most", known=kinds, kind="kind of lines", told=told_kind),
        share("before_percent", before.of(grew), after.of(grew), "this kind's share of all lines before the release, in percent"),
        share("after_percent", after.of(grew), before.of(grew), "this kind's share of all lines after the release, in percent"),
    ]  # fmt: skip


def mended(ctx: Context, deployment: Object, pods: list[Object]) -> tuple[Seen, ...]:
    """The servers that answer now find the mix of before; ends the check where they do not, and not yet while they have hardly been asked."""
    before, _, grew = before_and_after(ctx)
    series = f"model_lines_total{{{measured.one_of(pods)}}}"
    now = _mix({each.labels["kind"]: each.value for each in ctx.query(f"sum by (kind) ({series})")})
    if now.lines < _ENOUGH:
        raise wait("the servers that answer now have classified too few lines yet", Seen("monitoring", series, f"{now.lines:.0f}"))
    image = next(each["image"] for each in deployment["spec"]["template"]["spec"]["containers"] if each["name"] == "model-server")
    if abs(now.of(grew) - before.of(grew)) > 2 * _NEAR:
        raise fail(
            f"{now.of(grew):.0f} % of the lines are still called {grew}",
            see(deployment, "containers[model-server].image", image),
            Seen("monitoring", f"share of {grew} before the release", f"{before.of(grew):.0f} %"),
            expected="the mix that the same lines gave before the release: nothing of the server's settings or of its clients changed",
            next=f"kubectl -n {ctx.namespace} rollout history deployment/{deployment['metadata']['name']}",
            credit=0.7,
        )
    return see(deployment, "containers[model-server].image", image), Seen("monitoring", f"share of {grew}", f"{now.of(grew):.0f} %")
