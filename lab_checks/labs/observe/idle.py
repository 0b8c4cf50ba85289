"""Lab 06-observe: a GPU that is held and idle. Who holds it, since when, and what it costs: from DCGM's metrics, the Pod and the price list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import Seen, wait
from lab_checks.judging import answers, sheet, words
from lab_checks.judging.sheet import Blank

_USED = 'max by (exported_namespace, exported_pod) (max_over_time(DCGM_FI_DEV_GPU_UTIL{exported_pod!=""}[30m]))'
# Seconds by which a time that was read off a table may be off.
_MINUTE = 60.0


@dataclass(frozen=True)
class Held:
    """A card that somebody holds: its Pod, the most that it was busy (percent), and its price (euros an hour)."""

    pod: Object
    busiest: float
    price: float

    @property
    def owner(self) -> str:
        return str(self.pod["metadata"]["labels"]["owner"])

    @property
    def since(self) -> datetime:
        return datetime.fromisoformat(self.pod["status"]["startTime"])


def held(ctx: Context) -> list[Held]:
    """Every card that a Pod holds, the one that was used least first; not yet while the others have not been seen at work."""
    prices = ctx.need("configmaps", "gpu-prices")["data"]
    products = {each.name: each.product for each in ctx.gpu_facts}
    pods = {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in ctx.all_pods}
    found = []
    for sample in ctx.query(_USED):
        pod = pods.get((sample.labels["exported_namespace"], sample.labels["exported_pod"]))
        if pod is not None:
            found.append(Held(pod, sample.value, float(prices[products[pod["spec"]["nodeName"]]])))
    found.sort(key=lambda each: each.busiest)
    if len(found) < 2 or found[0].busiest or not found[1].busiest:
        raise wait(
            "the cards have not been watched for long enough", *(see(each.pod, "busiest, in percent", each.busiest) for each in found)
        )
    return found


def nobody_was_stopped(ctx: Context) -> None:
    """Ends the check where a Pod of another team is no longer the one that it was."""
    now = {pod["metadata"]["uid"] for pod in ctx.all_pods if "deletionTimestamp" not in pod["metadata"]}
    for namespace, pods in ctx.baseline["pods"].items():
        for name, row in pods.items() if namespace.startswith("team-") else ():
            if row["uid"] not in now:
                raise words.fail(ctx, "stopped", Seen(f"pod/{name}", "", f"gone from namespace {namespace}"), whose=namespace)


def blanks(ctx: Context) -> list[Blank]:
    idle, *others = held(ctx)
    pods = {each.pod["metadata"]["name"]: each for each in (idle, *others)}
    asks_cards = "lab.query('max_over_time(DCGM_FI_DEV_GPU_UTIL[10m])')"

    def told_owner(said: str) -> str:
        if said == idle.pod["metadata"]["namespace"].lower():
            return "that is the namespace: whom do you ask?"
        return (
            "that one's card is at work, now and then"
            if said in {each.owner.lower() for each in others}
            else "the Pod's labels say another"
        )

    def told_cost(said: float) -> str:
        if abs(said - idle.price) < 0.01:
            return "that is an hour, and a day is asked for"
        if any(abs(said - 24 * each.price) < 0.05 for each in others):
            return "that is a day of another card"
        return "a day has 24 hours, and one card is idle"

    return [
        sheet.names(
            "pod", [idle.pod["metadata"]["name"]], "the Pod whose GPU did nothing all the time, by its name", asks_cards,
            known=list(pods), kind="Pod with a GPU",
            told=lambda name: f"its card was at {pods[name].busiest:.0f} % at times: what it shows at one moment is not what it does",
        ),
        Blank(
            "owner", lambda said: word.lower() if (word := answers.word(said)) else None, idle.owner.lower(),
            "whom to ask: the owner, as the labels of the Pod say", "kubectl -n NAMESPACE get pod NAME --show-labels", told_owner, form="one name is asked for",
        ),
        Blank(
            "held_since", lambda said: moment(said, idle.since), lambda said: abs((said - idle.since).total_seconds()) <= _MINUTE,
            "since when this Pod has held its GPU: its start, as a time", "kubectl -n NAMESPACE get pod NAME -o jsonpath='{.status.startTime}'",
            lambda said: "that is when another Pod started" if any(abs((said - each.since).total_seconds()) <= _MINUTE for each in others)
            else "the Pod has held its GPU since another time", form="a time is asked for, such as 2026-11-27T02:10:00Z or 02:10:00 in UTC",
        ),
        sheet.number(
            "cost_per_day", lambda said: abs(said - 24 * idle.price) < 0.05, "what this one card costs in a day, in euros",
            f"kubectl -n {ctx.namespace} get configmap gpu-prices -o yaml: euros an hour, by product", reads=euros, told=told_cost,
        ),
    ]  # fmt: skip


def moment(said: object, day: datetime) -> datetime | None:
    """A time with its date, or a time of `day`, in UTC."""
    text = answers.text(said)
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?Z?", text):
        text = f"{day:%Y-%m-%d}T{text.rstrip('Z').zfill(5)}"
    try:
        found = datetime.fromisoformat(text.replace(" UTC", ""))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def euros(said: object) -> float | None:
    found = answers.number(re.sub(r"(?i)€|\beuros?\b|\beur\b|(?:a|per|/) ?day", "", str(said)))
    return found.value if found and not found.measures else None


def facts(ctx: Context) -> tuple[Seen, ...]:
    return tuple(Seen(named(each.pod), "busiest, in percent", f"{each.busiest:.0f}") for each in held(ctx))
