"""Lab 10-storage: an emptyDir with a bound, a program that stays below it, and a Pod that was not evicted since."""

from __future__ import annotations

from decimal import Decimal

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import amount, see
from lab_checks.judging import guards, words
from lab_checks.labs.storage import claims

VOLUME, PROGRAM = "cache", "answer-cache"
# MiB: what the volume may take of its node at most, what the cache keeps at least, and what is to spare between the two.
MOST, LEAST, SPARE = 16, 2, 1
# Seconds in which the kubelet has measured twice (it does every ten) and said so.
MEASURED = 25.0
_MIB = Decimal(2**20)


def limit(deployment: Object) -> str:
    """The volume's sizeLimit as it is written; empty where it has none."""
    return str((claims.volume(deployment, VOLUME).get("emptyDir") or {}).get("sizeLimit") or "")


def _keeps(deployment: Object) -> int:
    """MiB that the program keeps."""
    program = observe.container(deployment["spec"]["template"]["spec"], PROGRAM)
    return observe.whole(guards.variables(program).get("CACHE_MIB", {}).get("value", "0"))


def bounded(ctx: Context, deployment: Object) -> None:
    """The volume has a bound, no larger than agreed, and the program keeps less than that."""
    source, keeps = claims.volume(deployment, VOLUME).get("emptyDir") or {}, _keeps(deployment)
    seen = (see(deployment, "volumes[cache].emptyDir", source), see(deployment, "containers[answer-cache].env[CACHE_MIB]", keeps))
    if source.get("medium") == "Memory":
        raise words.fail(ctx, "cache-in-memory", *seen)
    if not limit(deployment) or not amount(limit(deployment)):
        raise words.fail(ctx, "cache-without-bound", *seen)
    if amount(limit(deployment)) > MOST * _MIB:
        raise words.fail(ctx, "cache-too-large", *seen)
    if keeps < LEAST:
        raise words.fail(ctx, "no-cache", *seen)
    if (keeps + SPARE) * _MIB > amount(limit(deployment)):
        told = words.idle if unchanged_setting(ctx, keeps, source) else words.fail
        raise told(ctx, "cache-outgrows-limit", *seen, credit=0.3)


def unchanged_setting(ctx: Context, keeps: int, source: Object) -> bool:
    """Whether both numbers are those of the start."""
    before = ctx.before("deployments", "ai-log-summary-api")
    return keeps == _keeps(before) and source == (claims.volume(before, VOLUME).get("emptyDir") or {})


def stays(ctx: Context, deployment: Object) -> Object:
    """The Ready Pod, once the kubelet has measured it twice and let it be; ends the check before that, and where one was evicted."""
    for pod in ctx.pods_of(deployment):
        if pod.get("status", {}).get("reason") == "Evicted":
            raise words.fail(ctx, "evicted-since", see(pod, "status.message", pod["status"].get("message", "")), credit=0.5)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    since = observe.running_for(pod, PROGRAM)
    if since < MEASURED:
        raise words.wait(ctx, "kubelet-measures", see(pod, f"containerStatuses[{PROGRAM}]", "running for less than 25 s"), credit=0.8)
    return pod
