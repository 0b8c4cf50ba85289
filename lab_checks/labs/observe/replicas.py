"""Lab 06-observe: three Ready replicas, one of them sick: told apart by what each of them measures of itself."""

from __future__ import annotations

from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import Seen, wait
from lab_checks.judging import answers, sheet
from lab_checks.judging.sheet import Blank
from lab_checks.labs.observe import measured
from lab_checks.labs.observe.measured import LATENCY, WINDOWS, Span

# A replica stands out where its 95th percentile is so many times that of every other one.
_STANDS_OUT = 1.5


@dataclass(frozen=True)
class Replica:
    """A Pod with its 95th percentile, in seconds: since it started, and over the windows that somebody may have asked for."""

    pod: Object
    overall: float
    p95: Span

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])


def measure(ctx: Context, pods: list[Object]) -> tuple[Replica, list[Replica]]:
    """(the sick one, the others); not yet while none stands out."""
    found = [_replica(ctx, pod) for pod in pods]
    sick, *others = sorted(found, key=lambda each: -each.overall)
    if len(found) < 3 or sick.overall < _STANDS_OUT * others[0].overall:
        raise wait(
            "no replica stands out yet: too little has been scraped",
            *(see(each.pod, "95th percentile, in seconds", f"{each.overall:.3g}") for each in found),
        )
    return sick, others


def _replica(ctx: Context, pod: Object) -> Replica:
    promql = measured.quantile(0.95, LATENCY, f"{{{measured.one_of([pod])}}}")
    overall = measured.span(sample.value for sample in ctx.query(promql.replace("{window}", WINDOWS[-1])))
    if overall is None:
        raise wait("a replica has not been asked yet", see(pod, "95th percentile, in seconds", "<none>"))
    return Replica(pod, overall.most, measured.over_windows(ctx, promql))


def blanks(ctx: Context, pods: list[Object]) -> list[Blank]:
    sick, others = measure(ctx, pods)
    together = measured.over_windows(ctx, measured.quantile(0.95, LATENCY))
    healthy = Span(min(each.p95.least for each in others), max(each.p95.most for each in others))
    by_name = {each.name: each for each in others}
    youngest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))["metadata"]["name"]

    def told_pod(name: str) -> str:
        other = by_name.get(name)
        why = ", young as it is" if name == youngest else ""
        return f"{name} answers 95 % of its requests within {other.overall:.2g} s{why}: another one does not" if other else ""

    def told_sick(said: float) -> str:
        if together.around(said, 0.1) and not healthy.around(said):
            return "that is the percentile of all three together"
        return "that is what the healthy ones take" if healthy.around(said) else "this Pod's percentile is another"

    look = f"lab.query('histogram_quantile(0.95, sum by (le, pod) (rate({LATENCY}_bucket[1m])))')"
    return [
        sheet.names(
            "pod", [sick.name], "the Pod that is sick, by its name", look, known=[each["metadata"]["name"] for each in pods], kind="Pod", told=told_pod,
        ),
        sheet.number(
            "p95_seconds", lambda said: sick.p95.around(said, 0.3), "the 95th percentile of this Pod's requests, in seconds", look,
            reads=answers.seconds, told=told_sick,
        ),
        sheet.number(
            "others_p95_seconds", lambda said: healthy.around(said, 0.3), "the 95th percentile of one of the other two, in seconds", look,
            reads=answers.seconds, told=lambda said: "that is the sick one's" if sick.p95.around(said, 0.3) else "the others' percentile is another",
        ),
    ]  # fmt: skip


def facts(ctx: Context, pods: list[Object]) -> tuple[Seen, ...]:
    sick, others = measure(ctx, pods)
    return tuple(Seen(named(each.pod), "95th percentile, in seconds", f"{each.overall:.3g}") for each in (sick, *others))
