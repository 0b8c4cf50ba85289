"""Lab 14-sharing-a-gpu: which devices nodes offer, which one a Pod asks for, and which one its server found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeobjects import Object
from kubeobjects.podresources import asked
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, see
from lab_checks.judging import guards, words

API, SERVER = "ai-log-summary-api", "model-server"
SCORING, TEAM_B = "nightly-scoring", "team-b"
SHARED = f"{GPU}.shared"
PART = "nvidia.com/mig-"
_VENDOR = "nvidia.com/"
# What the model server logs once it has found its device.
_FOUND = re.compile(r"device=cuda:0 gpu=(.+?) uuid=(\S+) memory_mib=(\d+)")
_PROFILE = re.compile(r"mig-\d+g\.(\d+)gb$")


@dataclass(frozen=True)
class Card:
    """The device that a server found in its container: `memory` in MiB."""

    name: str
    uuid: str
    memory: int


def offered(ctx: Context) -> dict[str, int]:
    """How many devices of each name the nodes offer now, all nodes together; names with none left out."""
    found: dict[str, int] = {}
    for node in ctx.nodes:
        for name, value in (node.get("status", {}).get("allocatable") or {}).items():
            if name.startswith(_VENDOR) and int(value):
                found[name] = found.get(name, 0) + int(value)
    return found


def asked_for(spec: Object) -> dict[str, int]:
    """How many devices of each name a Pod's spec asks for."""
    names = {name for each in spec.get("containers") or [] for name in ((each.get("resources") or {}).get("limits") or {})}
    return {name: int(asked(spec, name, "limits")) for name in sorted(names) if name.startswith(_VENDOR) and asked(spec, name, "limits")}


def needed(deployment: Object) -> int:
    """The GPU memory (MiB) that a server's model takes, by its own setting."""
    variables = guards.variables(deployment["spec"]["template"]["spec"]["containers"][0])
    return observe.whole(variables.get("GPU_MEMORY_MIB", {}).get("value", "0"))


def gigabytes(name: str) -> int:
    """`nvidia.com/mig-2g.10gb` has 10; 0 for what is no partition."""
    found = _PROFILE.search(name)
    return int(found[1]) if found else 0


def smallest(names: dict[str, int], mebibytes: int) -> str:
    """The name of the smallest partition that is offered and holds so much; empty where none does."""
    # A profile's name is rounded up: mig-2g.10gb has 9856 MiB.
    fitting = sorted((each for each in names if gigabytes(each) * 1000 >= mebibytes), key=gigabytes)
    return fitting[0] if fitting else ""


def card(ctx: Context, pod: Object) -> Card | None:
    """The device that the Pod's server found, by its log: of this container, or of the one before."""
    container = pod["spec"]["containers"][0]["name"]
    for previous in (False, True):
        rows = _FOUND.findall(ctx.api.log(pod, container, previous=previous))
        if rows:
            name, uuid, memory = rows[-1]
            return Card(name, uuid, int(memory))
    return None


def its_card(ctx: Context, pod: Object) -> Card:
    """The same; not yet where the server has said nothing."""
    found = card(ctx, pod)
    if found is None:
        raise words.wait(ctx, "no-log-yet", see(pod, "log", "no device so far"))
    return found


def fits(ctx: Context, deployment: Object) -> None:
    """Ends the check where a server of the Deployment found a device with less memory than its model takes."""
    mib = needed(deployment)
    for pod in ctx.pods_of(deployment):
        found = card(ctx, pod)
        if found and found.memory < mib:
            raise words.fail(ctx, "too-small", see(pod, "memory_mib, by its log", found.memory), needed=mib)


def up(ctx: Context, deployment: Object) -> list[Object]:
    """The Deployment's Pods, all of them Ready. A container that failed while the card was full and runs by now is no fault."""
    pods = ctx.pods_of(deployment)
    if len(pods) == deployment["spec"].get("replicas", 1) and all(map(observe.is_ready, pods)):
        guards.made_from_template(ctx, deployment)
        return pods
    for pod in pods:
        # In its back-off: what ended it may be over, and it is started again by itself.
        if any(ending.code for ending in observe.endings(pod)):
            seen = [see(pod, f"containerStatuses[{each.container}]", each.told) for each in observe.endings(pod)]
            raise words.wait(ctx, "not-up", *seen, credit=0.4, name=deployment["metadata"]["name"])
    return guards.running_and_ready(ctx, deployment)
