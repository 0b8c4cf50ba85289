"""Lab 01-gpu-nodes: facts read off the nodes and the API server, against which the learner's answers are held. Nothing here is a stored answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubeobjects import Object
from lab_checks.engine import observe, paths
from lab_checks.engine.api import Api, CommandFailed, shell
from lab_checks.engine.context import Context
from lab_checks.engine.observe import NodeFacts
from lab_checks.judging import evidence
from lab_checks.labs.gpu_nodes.repair import XID

# What one node answers to a Pod that asks for GPUs and tolerates its taint.
WHYS = ("no-gpu-built-in", "no-plugin", "plugin-finds-none", "sick-device", "smaller-than-asked", "held-by-others")
_SHORTEST = 8


def plugin_pod(pods: list[Object], node: str) -> Object | None:
    """The Ready Pod of a device plugin on a node."""
    for pod in pods:
        if pod["spec"].get("nodeName") == node and observe.is_plugin({"spec": {"template": pod}}) and observe.is_ready(pod):
            return pod
    return None


def plugin_log(ctx: Context, node: str) -> str:
    pod = plugin_pod(ctx.all_pods, node)
    return ctx.api.log(pod) if pod else ""


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


def telling(why: str, facts: NodeFacts, log: str) -> list[str]:
    """The lines on the node, or in its plugin's log, that show this cause and no other."""
    gpu = observe.GPU
    offers = [f"capacity {gpu}: {facts.capacity}", f"allocatable {gpu}: {facts.allocatable}"]
    if why == "held-by-others":
        return [f"allocated resources {gpu} {facts.held} {facts.held}"]
    if why == "plugin-finds-none":
        return [line for line in log.splitlines() if "No devices found" in line]
    if why == "sick-device":
        return [line for line in log.splitlines() if "XidCriticalError" in line]
    return offers


def core(why: str, facts: NodeFacts) -> list[str]:
    """What a quote has to hold of a telling line: without it, the name of the resource or of the program alone would do."""
    if why == "held-by-others":
        return [f"{observe.GPU} {facts.held}"]
    if why == "plugin-finds-none":
        return ["No devices found"]
    if why == "sick-device":
        return ["XidCriticalError"]
    return [f"{observe.GPU}: {facts.capacity}", f"{observe.GPU}: {facts.allocatable}"]


def quoted(quote: str, lines: list[str], cores: list[str]) -> bool:
    """Whether a line of the quote stands in one of the lines, or holds one whole, and has one of the cores."""
    wanted = [evidence.plain(each) for each in cores]
    for mine in map(evidence.plain, quote.splitlines()):
        if len(mine) < _SHORTEST or not any(each in mine for each in wanted):
            continue
        if any(mine in line or line in mine for line in map(evidence.plain, lines)):
            return True
    return False


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
    return tuple(sorted(path.stem for path in _wish_folder().glob("*.yaml")))


def _wish_folder() -> Any:
    return paths.manifests("01-gpu-nodes", "half-a-gpu") / "wishes"


def refusal(api: Api, wish: str) -> str:
    """What the API server says to the wish now, by a request that lays nothing; empty where it takes it."""
    try:
        shell(f"kubectl create --dry-run=server --field-manager=ai-lab -f {_wish_folder() / f'{wish}.yaml'}", api.kubeconfig)
    except CommandFailed as problem:
        return str(problem).partition(": ")[2]
    return ""


def answers_to(quote: str, refusals: Mapping[str, str]) -> list[str]:
    """The wishes whose refusal holds the quote: none, one, or several where it has nothing but parts that they share."""
    lines = [evidence.plain(line) for line in quote.splitlines() if len(evidence.plain(line)) >= _SHORTEST]
    owners = [{wish for wish, said in refusals.items() if _says(said, line)} for line in lines]
    telling = [held for held in owners if len(held) == 1] or owners
    return sorted(set().union(*telling)) if telling else []


def _says(refusal: str, quoted: str) -> bool:
    theirs = [evidence.plain(line) for line in refusal.splitlines()]
    return any(quoted in line or (len(line) > len(quoted) / 2 and line in quoted) for line in theirs if line)
