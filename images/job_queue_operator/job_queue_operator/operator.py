"""What kopf calls: a change of a queue or of a Job wakes the loop that decides; the webhook answers whether a Job may be created."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from pathlib import Path
from typing import Any

import kopf

from job_queue_operator import certificate, decision
from job_queue_operator.certificate import Pair
from job_queue_operator.cluster import Cluster, ClusterError, Object
from job_queue_operator.decision import GROUP, LABEL

log = logging.getLogger("job_queue_operator")
QUEUES = f"/apis/{GROUP}/v1/jobqueues"
_JOBS = "/apis/batch/v1"
# Changes that come together are looked at once; without any the loop looks all the same.
_TOGETHER, _AT_LEAST = 0.2, 5.0


class NotServed(Exception):
    """The API server does not know the kind that this operator is for."""


async def served(cluster: Cluster) -> list[Object]:
    """All queues. Raises NotServed and ClusterError."""
    try:
        return list((await cluster.get(QUEUES))["items"])
    except ClusterError as problem:
        if problem.code == 404:
            raise NotServed(f"the API server does not serve {GROUP}/v1 jobqueues: {problem}") from None
        raise


class Operator:
    """`wake` is set by whatever may change a decision; `told` holds what was said last of each Job that waits."""

    def __init__(self, cluster: Cluster, pair: Pair, service: str):
        self._cluster, self._pair, self._service = cluster, pair, service
        self.wake = asyncio.Event()
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Decides again and again. Raises NotServed."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), _AT_LEAST)
            await asyncio.sleep(_TOGETHER)
            self.wake.clear()
            try:
                # Somebody may have put the webhook's manifest back, which names no authority.
                await certificate.told(self._cluster, self._pair, self._service)
                await self.decide()
            except ClusterError as problem:
                # The next look sees the cluster as it is then.
                log.warning("%s", problem)

    async def decide(self) -> None:
        """Raises NotServed and ClusterError."""
        queues = await served(self._cluster)
        jobs = (await self._cluster.get(f"{_JOBS}/jobs", {"labelSelector": LABEL}))["items"]
        for queue in queues:
            namespace = queue["metadata"]["namespace"]
            here = [each for each in jobs if each["metadata"]["namespace"] == namespace]
            found = decision.decide(queue, here)
            for job in found.start:
                await self._start(queue, job)
            await self._tell(queue, found, here)
            if queue.get("status") != found.status:
                await self._cluster.patch(
                    f"/apis/{GROUP}/v1/namespaces/{namespace}/jobqueues/{queue['metadata']['name']}/status", {"status": found.status}
                )

    async def _start(self, queue: Object, job: Object) -> None:
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        # With its resourceVersion: a Job that was changed meanwhile is looked at again first.
        body = {"metadata": {"resourceVersion": job["metadata"]["resourceVersion"]}, "spec": {"suspend": False}}
        await self._cluster.patch(f"{_JOBS}/namespaces/{namespace}/jobs/{name}", body)
        message = f"queue {queue['metadata']['name']} starts it with all its Pods: {decision.needs(job)} of {queue['spec']['gpus']} GPUs"
        log.info("%s/%s: %s", namespace, name, message)
        await self._event(job, "Admitted", message)
        self._told.pop(job["metadata"]["uid"], None)

    async def _tell(self, queue: Object, found: decision.Decision, jobs: list[Object]) -> None:
        free = queue["spec"]["gpus"] - found.gpus_in_use
        room = f"queue {queue['metadata']['name']} has {free} of {queue['spec']['gpus']} free"
        for job in (each for each in jobs if each["metadata"]["name"] in found.waiting):
            message = f"needs {decision.needs(job)} GPUs with all its Pods; {room}: none of them starts"
            if self._told.get(job["metadata"]["uid"]) != message:
                self._told[job["metadata"]["uid"]] = message
                log.info("%s/%s: %s", job["metadata"]["namespace"], job["metadata"]["name"], message)
                await self._event(job, "Waiting", message)

    async def _event(self, job: Object, reason: str, message: str) -> None:
        """Raises ClusterError."""
        metadata = job["metadata"]
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}-", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "batch/v1", "kind": "Job", **{key: metadata[key] for key in ("name", "namespace", "uid")}},
            "type": "Normal",
            "reason": reason,
            "message": message,
            "source": {"component": "job-queue-operator"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._cluster.create(f"/api/v1/namespaces/{metadata['namespace']}/events", body)

    async def refusal(self, job: Object) -> str:
        """Why the Job may not be created; empty where it may. Raises ClusterError."""
        name = (job["metadata"].get("labels") or {}).get(LABEL)
        queue = None
        if name:
            try:
                queue = await self._cluster.get(f"/apis/{GROUP}/v1/namespaces/{job['metadata']['namespace']}/jobqueues/{name}")
            except ClusterError as problem:
                if problem.code != 404:
                    raise
        return decision.refusal(job, queue)


def registry(operator: Operator, chain: Path, key: Path, port: int) -> kopf.OperatorRegistry:
    """The handlers. Events alone are handled: no finalizer of this operator keeps an object from going while the operator is down."""
    found = kopf.OperatorRegistry()

    @kopf.on.login(registry=found)
    def login(**about: Any) -> Any:
        return kopf.login_with_service_account(**about)

    @kopf.on.startup(registry=found)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        # The configuration is a manifest: who reads it sees what is asked about, and what happens when nobody answers.
        settings.admission.server = kopf.WebhookServer(addr="0.0.0.0", port=port, host="localhost", certfile=chain, pkeyfile=key)

    @kopf.on.event(GROUP, "v1", "jobqueues", registry=found)
    @kopf.on.event("batch", "v1", "jobs", labels={LABEL: kopf.PRESENT}, registry=found)
    def changed(**_: Any) -> None:
        operator.wake.set()

    @kopf.on.validate("batch", "v1", "jobs", id="check-job", operations=["CREATE"], registry=found)
    async def check_job(body: kopf.Body, namespace: str | None, **_: Any) -> None:
        job = dict(body)
        job["metadata"] = {**job["metadata"], "namespace": namespace or job["metadata"].get("namespace", "default")}
        if refused := await operator.refusal(job):
            log.info("%s/%s: refused: %s", job["metadata"]["namespace"], job["metadata"].get("name", ""), refused)
            raise kopf.AdmissionError(refused, code=403)

    return found
