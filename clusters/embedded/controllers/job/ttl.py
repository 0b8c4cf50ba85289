"""TTL after finished: deletes a Job `ttlSecondsAfterFinished` after its end (pkg/controller/ttlafterfinished)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta


def seconds_left(job: Object, now: datetime) -> float | None:
    """How long the Job may stay, or None where it may stay for good or still runs."""
    seconds = job["spec"].get("ttlSecondsAfterFinished")
    ended = next((found for kind in ("Complete", "Failed") if (found := meta.condition(job, kind)) and found["status"] == "True"), None)
    if seconds is None or ended is None or meta.is_deleting(job):
        return None
    return (meta.parse_time(ended["lastTransitionTime"]) + timedelta(seconds=seconds) - now).total_seconds()


class TTLAfterFinishedController(Controller):
    name = "ttl-after-finished-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._jobs = self.watch("jobs.batch")

    async def reconcile(self, key: str) -> None:
        job = self._jobs.by_key(key)
        left = seconds_left(job, datetime.now(UTC)) if job else None
        if job is None or left is None:
            return
        if left > 0:
            self.queue.add_after(key, left)
            return
        metadata = job["metadata"]
        try:
            await self.client.delete(
                "jobs.batch", metadata["name"], metadata["namespace"], propagation_policy="Foreground", uid=metadata["uid"]
            )
        except ApiError as error:
            if error.code != 404:
                raise
