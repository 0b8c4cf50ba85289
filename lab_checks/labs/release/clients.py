"""Lab 08-release: what clients got, second by second, from the log of the load generator that runs all the time."""

from __future__ import annotations

from lab_checks.engine.context import Context
from lab_checks.engine.observe import restarts, see
from lab_checks.judging import guards, words
from lab_checks.judging.said import Second, seconds

CLIENT = "on-call-tooling"
LOG = f"kubectl -n ai-platform logs deployment/{CLIENT} --tail=20"


def counted(ctx: Context) -> list[Second]:
    """What the clients of this exercise have counted since its start; ends the check where they were stopped or started anew."""
    guards.pods_kept_running(ctx, CLIENT, "it counts what users get")
    pods = [
        pod for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == CLIENT and "deletionTimestamp" not in pod["metadata"]
    ]
    if len(pods) != 1 or restarts(pods[0]):
        seen = [see(pod, "restartCount", restarts(pod)) for pod in pods]
        raise words.fail(ctx, "clients-restarted", *seen)
    return seconds(ctx.api.log(pods[0], timestamps=True))


def of_version(rows: list[Second], tag: str, failures: str) -> tuple[int, int]:
    """(requests that a version answered, requests that it failed): a failure names no version, so it is told by the status that only this one gives."""
    return sum(row.models.get(tag, 0) for row in rows), sum(row.outcomes.get(failures, 0) for row in rows)


def gap(rows: list[Second], old: str, new: str) -> tuple[int, float]:
    """(seconds without a good answer, seconds from the last good second of `old` to the first of `new`) at the first switch from one to the other."""
    first = next((number for number, row in enumerate(rows) if row.models.get(new)), len(rows))
    last = max((number for number, row in enumerate(rows[:first]) if row.models.get(old)), default=0)
    between = rows[last + 1 : first]
    end = rows[first] if first < len(rows) else rows[-1]
    return sum(not row.ok for row in between), end.until - rows[last].until
