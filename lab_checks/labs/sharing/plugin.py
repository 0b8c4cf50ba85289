"""Lab 14-sharing-a-gpu: how the device plugin is told to share, and whether it and the containers go by that already."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, see
from lab_checks.judging import words
from lab_checks.labs.sharing.devices import API, SCORING, TEAM_B

CONFIG = "nvidia-device-plugin-config"
_FILE = "config.yaml"
_STRATEGY = re.compile(r"strategy='(none|time-slicing|mps)', shared")


@dataclass(frozen=True)
class Sharing:
    """What the configuration file says: the way of sharing (timeSlicing, mps, or nothing), how often a card is offered, and the MIG strategy."""

    way: str
    replicas: int
    mig_strategy: str


def read(text: str) -> Sharing | None:
    """The file as the plugin reads it; None for what it cannot read."""
    try:
        found: Any = yaml.safe_load(text)
        sharing = found.get("sharing") or {}
        way = next((each for each in ("mps", "timeSlicing") if sharing.get(each)), "")
        rows = (sharing.get(way) or {}).get("resources") or []
        replicas = next((int(row["replicas"]) for row in rows if row["name"] in (GPU, "gpu")), 1)
        return Sharing(way, replicas, str((found.get("flags") or {}).get("migStrategy", "none")))
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return None


def configured(ctx: Context) -> Sharing:
    """How the plugin is told to share now; ends the check where the file cannot be read, or says another MIG strategy than at the start."""
    config = ctx.api.get("configmaps", CONFIG, "kube-system") or {"kind": "ConfigMap", "metadata": {"name": CONFIG}}
    text = (config.get("data") or {}).get(_FILE, "")
    found = read(text)
    if found is None:
        raise words.fail(ctx, "config-unreadable", see(config, f"data[{_FILE}]", " ".join(text.split())[:200]))
    before = at_start(ctx)
    if found.mig_strategy != before.mig_strategy:
        raise words.fail(
            ctx, "flags-changed", see(config, "flags.migStrategy", found.mig_strategy), wanted=f"migStrategy: {before.mig_strategy}"
        )
    return found


def at_start(ctx: Context) -> Sharing:
    """How the plugin was told to share when the exercise began."""
    text = (ctx.before("configmaps", CONFIG, "kube-system").get("data") or {}).get(_FILE, "")
    return read(text) or Sharing("", 1, "none")


def left_alone(ctx: Context) -> None:
    """Ends the check where the file says something else than at the start: who needs it for nothing leaves it to those who do."""
    config = ctx.api.get("configmaps", CONFIG, "kube-system") or {}
    now, before = (
        yaml.safe_load((each.get("data") or {}).get(_FILE, "")) for each in (config, ctx.before("configmaps", CONFIG, "kube-system"))
    )
    if now != before:
        raise words.fail(ctx, "config-for-nothing", see({"kind": "ConfigMap", **config}, f"data[{_FILE}]", str(now)[:200]), credit=0.5)


def goes_by_it(ctx: Context, pod: Object) -> None:
    """The plugin on the Pod's node works with MPS, and every server on the shared card started under it."""
    node = pod["spec"].get("nodeName", "")
    plugin = observe.plugin_pod(ctx.all_pods, node)
    log = ctx.api.log(plugin) if plugin else ""
    said = _STRATEGY.findall(log)
    if plugin is None or not said or said[-1] != "mps":
        raise words.fail(ctx, "config-not-read", see(pod, "spec.nodeName", node), credit=0.5, node=node)
    since = observe.moment(plugin["status"]["startTime"])
    for each in ctx.all_pods:
        where, app = each["metadata"]["namespace"], (each["metadata"].get("labels") or {}).get("app")
        if (where, app) not in ((ctx.namespace, API), (TEAM_B, SCORING)) or each["spec"].get("nodeName") != node:
            continue
        started = each.get("status", {}).get("startTime")
        if started and observe.moment(started) < since:
            raise words.fail(ctx, "client-from-before", see(each, "status.startTime", started), credit=0.6, pod=observe.named(each))
