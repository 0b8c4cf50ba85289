"""Lab 08-release: who serves: the Pods of the version that is meant, and no Pod of one that was taken back."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, words
from lab_checks.judging.said import Second
from lab_checks.labs.release.clients import CLIENT
from lab_checks.labs.release.history import server, tag

API = "ai-log-summary-api"
IMAGE = f"registry.example.com/{API}"
# A request that was answered, in the server's own log.
_SERVED = re.compile(r"\bPOST /v1/\w+ \d{3} ")
# Seconds after a switch in which the last connections of the old Pods end.
_SETTLES = 2.0


def image(ctx: Context, deployment: Object, wanted: str) -> None:
    """The Deployment's template runs this version of the API."""
    have = server(deployment["spec"]["template"]).get("image", "")
    if have != f"{IMAGE}:{wanted}":
        raise words.fail(ctx, "another-image", see(deployment, "containers[model-server].image", have), tag=wanted)


def all_pods(ctx: Context, deployment: Object) -> list[Object]:
    """The Deployment's Pods, as many as asked, Ready, made from its template, each on a GPU, listed behind the Service; older ones are gone."""
    _waits_for_its_turn(ctx, deployment)
    pods = guards.running_and_ready(ctx, deployment)
    guards.made_from_template(ctx, deployment)
    for pod in pods:
        guards.holds_gpus(ctx, pod)
    for pod in _older(ctx, deployment):
        raise words.wait(ctx, "older-pod", see(pod, "status.phase", pod.get("status", {}).get("phase", "")))
    guards.listed_behind_service(ctx, API, pods)
    return pods


def _older(ctx: Context, deployment: Object) -> list[Object]:
    """Pods of the Deployment's earlier revisions, and those on their way out."""
    mine = {pod["metadata"]["uid"] for pod in ctx.pods_of(deployment)}
    selector = deployment["spec"]["selector"]["matchLabels"].items()
    # A Pod that nobody owns no rollout ends: judging/unchanged.py tells of it.
    return [
        pod
        for pod in ctx.pods
        if selector <= (pod["metadata"].get("labels") or {}).items()
        and pod["metadata"]["uid"] not in mine
        and (pod["metadata"].get("ownerReferences") or "deletionTimestamp" in pod["metadata"])
    ]


def _waits_for_its_turn(ctx: Context, deployment: Object) -> None:
    """Not yet where a new Pod has no node so far, and an older one has still to go or a GPU has just become free."""
    pending = [pod for pod in ctx.pods_of(deployment) if observe.is_pending_for_a_node(pod)]
    if pending and (_older(ctx, deployment) or _has_room(ctx, pending[0])):
        raise words.wait(ctx, "waits-for-its-gpu", see(pending[0], "status.phase", "Pending"))


def _has_room(ctx: Context, pod: Object) -> bool:
    return any(placement.admits(pod["spec"], node) and placement.left(node, ctx.all_pods, GPU) >= 1 for node in ctx.nodes)


def since(pods: list[Object]) -> float:
    """When the last of these Pods became Ready, in seconds since the epoch."""
    return max(observe.moment(observe.condition(pod, "Ready")["lastTransitionTime"]) for pod in pods)


def bad_is_gone(ctx: Context, bad: str, after: float, rows: list[Second]) -> None:
    """Since `after` (seconds since the epoch) no Pod of version `bad` has answered a request: neither by its own log nor by the clients'."""
    for pod in ctx.all_pods:
        if tag(observe.container(pod["spec"]).get("image", "")) != bad:
            continue
        lines = [line for line in ctx.api.log(pod, timestamps=True).splitlines() if _SERVED.search(line)]
        late = [line for line in lines if observe.moment(line.partition(" ")[0]) > after + _SETTLES]
        if late:
            raise words.fail(ctx, "bad-still-serves", see(pod, "log", late[-1].partition(" ")[2]), bad=bad)
        raise words.wait(ctx, "bad-still-there", see(pod, "status.phase", pod.get("status", {}).get("phase", "")), bad=bad)
    late_rows = [row for row in rows if row.until > after + _SETTLES and row.models.get(bad)]
    if late_rows:
        raise words.fail(ctx, "bad-answered-late", Seen(f"deployment/{CLIENT}", "models", observe.shown(late_rows[-1].models)), bad=bad)


def answers_again(ctx: Context, good: str, after: float, rows: list[Second], least: int = 3) -> int:
    """How many requests the version `good` answered since `after`; not yet before there are `least` seconds of them without a failure."""
    later = [row for row in rows if row.until > after + _SETTLES]
    if len(later) < least or any(row.errors for row in later[-least:]):
        raise words.wait(
            ctx, "not-seen-yet", Seen(f"deployment/{CLIENT}", "seconds since the last Pod was Ready", str(len(later))), good=good
        )
    return sum(row.models.get(good, 0) for row in later)


def one_at_a_time(ctx: Context, deployment: Object) -> None:
    """The strategy gives up at least one Pod for a new one, so that a rollout needs no further GPU, and never all of them."""
    strategy, replicas = deployment["spec"].get("strategy") or {}, deployment["spec"].get("replicas", 1)
    seen = see(deployment, "spec.strategy", strategy)
    if strategy.get("type") == "Recreate":
        raise words.fail(ctx, "all-at-once", seen)
    rolling = strategy.get("rollingUpdate") or {}
    # Kubernetes rounds maxSurge up and maxUnavailable down, and takes 1 where both come out as 0.
    surge, unavailable = (
        _share(rolling.get("maxSurge", "25%"), replicas, math.ceil),
        _share(rolling.get("maxUnavailable", "25%"), replicas, math.floor),
    )
    if not surge and not unavailable:
        unavailable = 1
    if unavailable >= replicas:
        raise words.fail(ctx, "all-at-once", seen)
    if not unavailable:
        raise words.fail(ctx, "nobody-gives-way", seen, surge=surge)


def _share(value: object, replicas: int, rounded: Callable[[float], int]) -> int:
    text = str(value)
    return rounded(replicas * float(text[:-1]) / 100) if text.endswith("%") else int(text)


_INFO = re.compile(r'^model_info\{[^}]*version="([^"]*)"', re.M)


def model_version(ctx: Context, pod: Object) -> str:
    """The version of the weights that a Pod's server has loaded, as it says on /metrics; not yet while it says nothing."""
    text = ctx.api.through("pods", f"{pod['metadata']['name']}:8080", ctx.namespace, "metrics") or ""
    found = _INFO.search(text)
    if not found:
        raise words.wait(ctx, "no-metrics-yet", see(pod, "GET :8080/metrics", "no answer"))
    return found[1]
