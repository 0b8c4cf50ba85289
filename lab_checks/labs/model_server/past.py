"""Lab 02-model-server: the Deployment against what it was at the start, and what the learner tried in between.

A part that was taken away and put back is gone from the Deployment; its older ReplicaSet and the events of that one's Pods are not.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, asked, named, see
from lab_checks.engine.verdict import Stop, fail, idle, wait
from lab_checks.judging import answers, guards
from lab_checks.labs.model_server import live
from lab_checks.labs.model_server.guards import API, MIB

# 128 and SIGKILL.
KILLED = 128 + 9
_ASSIGNED = re.compile(r"Successfully assigned \S+?/(\S+) to (\S+)")


def same_server(ctx: Context, *free: str) -> Object:
    """The Deployment of the start, with nothing changed but `free`: image, memory; strategy and probes are judged elsewhere. Returns it."""
    deployment = guards.same_object(ctx, "deployments", API)
    deployment = ctx.deployment(API)
    new = deployment["spec"]["template"]["spec"]
    old: Object = ctx.baseline["namespaces"][ctx.namespace]["deployments"][API]["template"]
    for key in sorted(new.keys() | old.keys()):
        if key != "containers" and new.get(key) != old.get(key):
            raise _changed(ctx, deployment, key, new.get(key))
    container, before = guards.server(deployment), observe.container(old, "model-server")
    if extra := [each["name"] for each in new["containers"] if each is not container]:
        raise _changed(ctx, deployment, "containers", ", ".join(extra))
    for key in sorted(container.keys() | before.keys()):
        if key not in ("resources", "readinessProbe", *free) and container.get(key) != before.get(key):
            raise _changed(ctx, deployment, f"containers[model-server].{key}", container.get(key))
    for resource in ("cpu", "memory", GPU):
        for kind in ("requests", "limits"):
            now, was = asked(new, resource, kind), asked(old, resource, kind)
            if resource not in free and now != was:
                missing = resource == GPU and not now
                raise fail(
                    "the GPU limit is still away" if missing else f"the {resource} {kind.removesuffix('s')} is not what it was",
                    see(deployment, f"resources.{kind}[{resource}]", f"{now:g}, was {was:g}"),
                    expected="put back as it was: the exercise ends with the server whole again",
                    next=f"kubectl -n {ctx.namespace} rollout history deployment/{API}; the first revision has it",
                )
    return deployment


def _changed(ctx: Context, deployment: Object, key: str, value: object) -> Stop:
    return fail(
        f"{key} of {named(deployment)} was changed",
        see(deployment, f"spec.template.spec.{key}", value if value not in (None, [], {}) else "<none>"),
        expected="nothing but the part that the exercise is about: two changes at once explain nothing",
        next=f"ai-lab reset {ctx.exercise.key}",
    )


def revisions(ctx: Context, deployment: Object) -> list[Object]:
    """The Deployment's ReplicaSets."""
    uid = deployment["metadata"]["uid"]
    found = ctx.api.list("replicasets", deployment["metadata"]["namespace"])
    return [each for each in found if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences") or [])]


def without(ctx: Context, deployment: Object, part: str) -> list[Object]:
    """The revisions in which the server had no `part`: gpu or readinessProbe."""

    def lacks(each: Object) -> bool:
        container = observe.container(each["spec"]["template"]["spec"], "model-server")
        return not asked({"containers": [container]}, GPU, "limits") if part == "gpu" else not container.get(part)

    return [each for each in revisions(ctx, deployment) if lacks(each)]


def of_revisions(ctx: Context, sets: list[Object], reason: str) -> list[Object]:
    """Events with this reason of the Pods that these ReplicaSets made."""
    found = []
    for each in sets:
        # An earlier start of the exercise made a ReplicaSet of the same name: its events are older than this one.
        name, since = f"{each['metadata']['name']}-", each["metadata"]["creationTimestamp"][:19]
        for event in ctx.events:
            at = event.get("lastTimestamp") or event.get("eventTime") or ""
            if event["reason"] == reason and at[:19] >= since and event["involvedObject"].get("name", "").startswith(name):
                found.append(event)
    return found


def landed(ctx: Context, sets: list[Object]) -> set[str]:
    """The nodes on which the scheduler put Pods of these ReplicaSets."""
    found = (_ASSIGNED.search(each.get("message") or "") for each in of_revisions(ctx, sets, "Scheduled"))
    return {each[2] for each in found if each}


def devices(sets: list[Object]) -> set[str]:
    """What the log of a server without a GPU names as its device, given its variable DEVICE; cuda ends with an error instead."""
    found = set()
    for each in sets:
        container = observe.container(each["spec"]["template"]["spec"], "model-server")
        wanted = guards.settings(container).get("DEVICE", {})
        found.add("cpu" if not isinstance(wanted, dict) or wanted.get("value", "auto") != "cuda" else "none")
    return found


def limit_mib(replica_set: Object) -> float:
    limit = asked(replica_set["spec"]["template"]["spec"], "memory", "limits")
    return float(limit) / MIB if limit else math.inf


# Rollouts


def lets_go_first(deployment: Object) -> None:
    """The strategy ends the old Pod before it makes the new one."""
    if not live.lets_go_first(deployment):
        raise fail(
            "the rollout makes the new Pod before the old one may go",
            see(deployment, "spec.strategy", strategy_words(deployment)),
            expected="the old Pod lets go of its GPU first: there is no second T4, and the next release would stand still again",
            next=f"kubectl explain deployment.spec.strategy.rollingUpdate; then patch the strategy of {API}",
        )


def strategy_words(deployment: Object) -> str:
    strategy = deployment["spec"].get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    return ", ".join([strategy.get("type", "RollingUpdate"), *(f"{key} {value}" for key, value in sorted(rolling.items()))])


def most_replicas(ctx: Context, deployment: Object) -> int:
    """How many Pods of this template the cluster could run at once, by the GPUs of the nodes that it admits."""
    spec = deployment["spec"]["template"]["spec"]
    mine = {pod["metadata"]["uid"] for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == API}
    others = [pod for pod in ctx.all_pods if pod["metadata"]["uid"] not in mine]
    free = (placement.left(node, others, GPU) for node in ctx.nodes if placement.admits(spec, node))
    return int(sum(free, amount("0")) // asked(spec, GPU, "limits"))


def answered(ctx: Context, *names: str) -> None:
    """Every answer was handed in; what is missing is asked for."""
    missing = [name for name in names if str(ctx.answers.get(name, "")).strip() == ""]
    if missing:
        raise idle(
            f"the answer is missing: {', '.join(missing)}",
            see(ctx.need("deployments", API), "answers", ", ".join(sorted(set(names) - set(missing))) or "<none>"),
            expected="what you saw on the cluster",
            next=f'lab.answer("{ctx.exercise.id}", {", ".join(f"{name}=…" for name in missing)})',
            credit=0.5,
        )


def number(ctx: Context, name: str) -> float:
    """A number that was handed in, in whatever form it was typed; of a size the MiB, of a time the seconds."""
    found = answers.number(ctx.answers[name])
    if found is None:
        raise wrong(ctx, name, "a number")
    return found.value / MIB if found.measures == "size" else found.value


def wrong(ctx: Context, name: str, expected: str, where: str = "") -> Stop:
    """The end of a check whose answer does not hold; says what to look at and not what is right."""
    return fail(
        f"the answer {name} is not what the cluster shows",
        see(ctx.need("deployments", API), f"answer {name}", ctx.answers.get(name)),
        expected=expected,
        next=where or f"kubectl -n {ctx.namespace} get pods -o wide",
        credit=0.5,
    )


# The client's count


def counted(log: str) -> tuple[int, Counter[str]]:
    """(how many requests failed, how often with what), from the load generator's lines, one a second."""
    errors, outcomes = 0, Counter[str]()
    for line in log.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict) or "errors" not in row:
            continue
        errors += row["errors"]
        outcomes.update({name: count for name, count in row.get("outcomes", {}).items() if not re.fullmatch("[123]..", name)})
    return errors, outcomes


def client_log(ctx: Context, name: str) -> str:
    """What the client that the start laid has counted since."""
    guards.goes_on(ctx, name, "it counts what failed")
    pods = [pod for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == name]
    if not pods:
        raise wait(f"{name} has no Pod", see(ctx.need("deployments", name), "status.replicas", 0))
    return ctx.api.log(pods[0])
