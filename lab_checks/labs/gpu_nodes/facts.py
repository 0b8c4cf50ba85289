"""Lab 01-gpu-nodes: facts read off the nodes and the API server, against which the learner's answers are held. Nothing here is a stored answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe, paths
from lab_checks.engine.api import Api, CommandFailed, shell
from lab_checks.engine.context import Context
from lab_checks.engine.observe import NodeFacts
from lab_checks.judging import quotes
from lab_checks.labs.gpu_nodes.repair import XID

# What one node answers to a Pod that asks for GPUs and tolerates its taint.
WHYS = ("no-gpu-built-in", "no-plugin", "plugin-finds-none", "sick-device", "smaller-than-asked", "held-by-others")
_SHORTEST = 8
_WISHES = paths.manifests("01-gpu-nodes", "half-a-gpu") / "wishes"


def plugin_log(ctx: Context, node: str) -> str:
    pod = observe.plugin_pod(ctx.all_pods, node)
    return ctx.api.log(pod) if pod else ""


def counts(facts: NodeFacts) -> str:
    return (
        f"its label promises {facts.promised}, Capacity says {facts.capacity}, Allocatable {facts.allocatable}, and Pods hold {facts.held}"
    )


def why_not(facts: NodeFacts, wanted: int, has_plugin: bool) -> str:
    """Which of WHYS keeps a Pod that asks for `wanted` GPUs off the node; empty where none does."""
    if facts.free >= wanted:
        return ""
    if not facts.promised:
        return "no-gpu-built-in"
    if not has_plugin:
        return "no-plugin"
    if facts.capacity == 0:
        return "plugin-finds-none"
    if facts.capacity < wanted:
        return "smaller-than-asked"
    if facts.allocatable < facts.capacity and facts.capacity - facts.held >= wanted:
        return "sick-device"
    return "held-by-others"


def evidence_lines(why: str, facts: NodeFacts, log: str) -> list[tuple[str, str]]:
    """The lines on the node, or in its plugin's log, that show this cause and no other, each with what a quote must at least hold of it."""
    said = {"plugin-finds-none": "No devices found", "sick-device": "XidCriticalError"}.get(why)
    if said:
        return [(line, said) for line in log.splitlines() if said in line]
    if why == "held-by-others":
        held = f"{observe.GPU} {facts.held}"
        return [(f"allocated resources {held} {facts.held}", held)]
    offers = {"capacity": facts.capacity, "allocatable": facts.allocatable}
    return [(f"{section} {observe.GPU}: {count}", f"{observe.GPU}: {count}") for section, count in offers.items()]


def shows(quote: str, lines: list[tuple[str, str]]) -> bool:
    """Whether a line of the quote stands in one of the lines, or is one with no other words around it than kubectl's, with what it must hold."""
    wanted = [(quotes.plain(line), quotes.plain(core)) for line, core in lines]
    mine = [each for each in map(quotes.plain, quote.splitlines()) if len(each) >= _SHORTEST]
    return any(core in each and (each in line or _is_whole(line, each)) for each in mine for line, core in wanted)


def _is_whole(line: str, quoted: str) -> bool:
    return line in quoted and not quotes.foreign(quoted.replace(line, " "), frozenset())


@dataclass(frozen=True)
class Fault:
    """A sick device as the exercise began: on which node, which Xid, and how many devices were left."""

    node: str
    xid: int
    left: int


def fault(nodes: Mapping[str, Object]) -> Fault | None:
    """The fault among the nodes of a baseline; None where every device was well. The forms are `79`, `0=79,1=48` and `all=79`."""
    for name, row in nodes.items():
        written = row["faults"].get(XID)
        if not written:
            continue
        count = int(row["labels"].get(f"{observe.GPU}.count", "0"))
        parts = str(written).split(",")
        sick = count if parts[0].startswith("all") else len(parts)
        return Fault(name, int(re.sub(r".*=", "", parts[0])), count - sick)
    return None


def wishes() -> tuple[str, ...]:
    """The names of the Pods that exercise half-a-gpu hands to the API server."""
    return tuple(sorted(path.stem for path in _WISHES.glob("*.yaml")))


def refusal(api: Api, wish: str) -> str:
    """What the API server says to the wish now, by a request that creates nothing; empty where it takes it."""
    try:
        shell(f"kubectl create --dry-run=server --field-manager=ai-lab -f {_WISHES / f'{wish}.yaml'}", api.kubeconfig)
    except CommandFailed as problem:
        return str(problem).partition(": ")[2]
    return ""


def answers_to(quote: str, refusals: Mapping[str, str]) -> list[str]:
    """The wishes whose refusal holds the quote: none, one, or several where it has nothing but parts that they share."""
    lines = [quotes.plain(line) for line in quote.splitlines() if len(quotes.plain(line)) >= _SHORTEST]
    owners = [{wish for wish, said in refusals.items() if _says(said, line)} for line in lines]
    telling = [held for held in owners if len(held) == 1] or owners
    return sorted(set().union(*telling)) if telling else []


def _says(refusal: str, quoted: str) -> bool:
    theirs = [quotes.plain(line) for line in refusal.splitlines()]
    return any(quoted in line or _is_whole(line, quoted) for line in theirs if line)
