"""Lab 08-release: the candidate beside the stable Pods: what share of the requests it got, what it did with them, and what follows from that."""

from __future__ import annotations

from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words
from lab_checks.judging.said import Second
from lab_checks.labs.release import clients, history, serving
from lab_checks.labs.release.serving import API

NAME = f"{API}-canary"
# What the candidate answers when it has no room: the stable version, with its queue, does not.
FAILURES = "429"
# Requests from which on a share and a number of failures say something; a share of failures that is too much; points by which an answer may be off.
ENOUGH, TOO_MANY, OFF = 40, 0.05, 15
# Percent of the requests: one Pod of three gets a third of them, give or take; a trial with most of them is a release.
MOST = 60


@dataclass(frozen=True)
class Trial:
    """What clients counted while the candidate was beside the stable version: its good and failed requests, and all requests meanwhile."""

    well: int
    badly: int
    all: int

    @property
    def share(self) -> float:
        """Percent of all requests."""
        return 100 * (self.well + self.badly) / self.all if self.all else 0.0

    @property
    def good(self) -> bool:
        return self.badly <= TOO_MANY * (self.well + self.badly)

    @property
    def seen(self) -> tuple[Seen, ...]:
        name = f"deployment/{clients.CLIENT}"
        return (
            Seen(name, "requests that the candidate got", f"{self.well + self.badly} of {self.all}, {self.share:.0f} %"),
            Seen(name, "of these failed", str(self.badly)),
        )


def trial(rows: list[Second], until: float) -> Trial:
    """From the first second in which the candidate answered or refused to the last one before `until` (seconds since the epoch)."""
    earlier = [row for row in rows if row.until < until]
    met = [number for number, row in enumerate(earlier) if row.models.get("v2") or row.outcomes.get(FAILURES)]
    window = earlier[met[0] : met[-1] + 1] if met else []
    well, badly = clients.of_version(window, "v2", FAILURES)
    return Trial(well, badly, sum(sum(row.outcomes.values()) for row in window))


def tried(ctx: Context, stable: Object, rows: list[Second]) -> Trial:
    """The trial, until the stable Deployment was changed; ends the check where the candidate has met too few requests to say anything."""
    changed = min((each.made for each in history.revisions(ctx, stable) if each.tag == "v2"), default=float("inf"))
    found = trial(rows, changed)
    if not found.well + found.badly:
        raise words.idle(ctx, "canary-met-nobody", *found.seen)
    if found.share > MOST:
        raise words.fail(ctx, "all-at-the-candidate", *found.seen, share=round(found.share))
    if found.well + found.badly < ENOUGH:
        candidate = ctx.get("deployments", NAME) or {"spec": {"replicas": 0}}
        told = words.wait if candidate["spec"].get("replicas", 1) else words.fail
        raise told(ctx, "too-few-requests", *found.seen, least=ENOUGH)
    return found


def decided_rightly(ctx: Context, stable: Object, found: Trial) -> None:
    """A good candidate's image and settings are what the stable Deployment runs; after a bad one it is what it was."""
    template = stable["spec"]["template"]
    server = history.server(template)
    was = history.server(ctx.before("deployments", API)["spec"]["template"])
    candidate = history.server(ctx.before("deployments", NAME)["spec"]["template"])
    seen = (see(stable, "image", server["image"]), see(stable, "envFrom", server.get("envFrom")), *found.seen)
    same = {key: server.get(key) == was.get(key) for key in ("image", "envFrom")}
    if all(same.values()):
        if found.good:
            raise words.fail(ctx, "good-one-withdrawn", *seen, credit=0.5)
        return
    if not found.good:
        raise words.fail(ctx, "bad-one-promoted", *seen, credit=0.5)
    serving.image(ctx, stable, "v2")
    if server.get("envFrom") != candidate.get("envFrom"):
        raise words.fail(ctx, "other-settings", *seen, credit=0.6)
