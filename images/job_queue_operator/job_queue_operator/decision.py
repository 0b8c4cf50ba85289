"""Which Jobs of a queue may start, and which may not be created at all. Objects in, decisions out; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
GROUP = "queues.ai-lab.dev"
LABEL = f"{GROUP}/queue"
_GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Decision:
    """Of one queue: the Jobs to start now, the names of all that it has started, of those that wait, and the GPUs that are given out then."""

    start: tuple[Object, ...]
    admitted: tuple[str, ...]
    waiting: tuple[str, ...]
    gpus_in_use: int

    @property
    def status(self) -> Object:
        return {"gpusInUse": self.gpus_in_use, "admitted": list(self.admitted), "waiting": list(self.waiting)}


def gpus_of_a_pod(job: Object) -> int:
    """GPUs that one Pod of the Job asks for: of its containers together, or of an init container where that is more."""
    spec = job["spec"]["template"]["spec"]
    return max(sum(map(_limit, spec.get("containers") or [])), *map(_limit, spec.get("initContainers") or []), 0)


def _limit(container: Object) -> int:
    resources = container.get("resources") or {}
    return int((resources.get("limits") or {}).get(_GPU) or (resources.get("requests") or {}).get(_GPU) or 0)


def needs(job: Object) -> int:
    """GPUs that the Job needs with all its Pods."""
    return int(job["spec"].get("parallelism", 1)) * gpus_of_a_pod(job)


def is_over(job: Object) -> bool:
    return any(
        each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in (job.get("status") or {}).get("conditions") or []
    )


def holds(job: Object) -> int:
    """GPUs that the Job has of its queue: all that it needs while it may run, and while it may not those of the Pods that are still there."""
    if is_over(job):
        return 0
    status = job.get("status") or {}
    there = int(status.get("active") or 0) + int(status.get("terminating") or 0)
    return there * gpus_of_a_pod(job) if job["spec"].get("suspend") else needs(job)


def decide(queue: Object, jobs: Iterable[Object]) -> Decision:
    """What a queue does with the Jobs that name it: the oldest that waits starts once it has room with all its Pods; no younger one passes it."""
    mine = sorted(
        (each for each in jobs if (each["metadata"].get("labels") or {}).get(LABEL) == queue["metadata"]["name"]),
        key=lambda each: (each["metadata"].get("creationTimestamp", ""), each["metadata"]["name"]),
    )
    in_use = sum(map(holds, mine))
    admitted = [each["metadata"]["name"] for each in mine if not each["spec"].get("suspend") and not is_over(each)]
    start, waiting = [], []
    for job in mine:
        if is_over(job) or not job["spec"].get("suspend"):
            continue
        if not waiting and not holds(job) and in_use + needs(job) <= queue["spec"]["gpus"]:
            in_use += needs(job)
            start.append(job)
            admitted.append(job["metadata"]["name"])
        else:
            waiting.append(job["metadata"]["name"])
    return Decision(tuple(start), tuple(admitted), tuple(waiting), in_use)


def refusal(job: Object, queue: Object | None) -> str:
    """Why a Job may not be created; empty where it may. `queue` is the one that its label names, None where there is none of that name."""
    name = (job["metadata"].get("labels") or {}).get(LABEL)
    if not name:
        return ""
    if queue is None:
        return f"there is no JobQueue {name} in namespace {job['metadata'].get('namespace', 'default')}"
    if not job["spec"].get("suspend"):
        return f"a Job of queue {name} has to be created with spec.suspend: true; the queue starts it when all its Pods have room"
    if needs(job) > queue["spec"]["gpus"]:
        return f"the Job needs {needs(job)} GPUs with all its Pods, and queue {name} has {queue['spec']['gpus']}"
    return ""
