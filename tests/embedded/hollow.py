"""A cluster whose control plane is real and whose kubelets are hollow: Pods run, become ready and end without any process.

For tests of the scheduler and the controllers; what a Pod does is chosen by annotations on it:
`hollow/ready: "false"` never becomes ready, `hollow/exit: "1"` ends with that code at once, `hollow/image: missing` never starts,
`hollow/lingers` does not end when it is told to.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.client import Client
from clusters.embedded.controllers import ControllerManager
from clusters.embedded.errors import ApiError
from clusters.embedded.informer import Informer
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.scheduler import Scheduler
from clusters.embedded.store import Store
from kubeobjects import Object, meta

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
NODES: tuple[tuple[str, dict[str, str], list[Object], int], ...] = (
    ("ai-lab-control-plane", {}, [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}], 0),
    ("ai-lab-worker", {}, [], 0),
    ("ai-lab-worker2", {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "2"}, [GPU_TAINT], 2),
    ("ai-lab-worker3", {"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.count": "1"}, [GPU_TAINT], 1),
)


class HollowKubelets:
    """All kubelets at once."""

    def __init__(self, client: Client):
        self._client = client
        self._addresses = itertools.count(2)
        self._pods = Informer(client, "pods")
        self._queue: asyncio.Queue[Object] = asyncio.Queue()
        self._pods.on_change(lambda old, new: self._queue.put_nowait(new) if new else None)

    async def register(self) -> None:
        for name, labels, taints, gpus in NODES:
            amounts = {"cpu": "2", "memory": "24684092Ki", "ephemeral-storage": "264212084Ki", "pods": "110"}
            if gpus:
                amounts["nvidia.com/gpu"] = str(gpus)
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **labels}},
                "spec": {"taints": taints},
                "status": {
                    "capacity": amounts,
                    "allocatable": amounts,
                    "conditions": [
                        {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
                    ],
                },
            }
            await self._client.create("nodes", node)
            await self._client.patch("nodes", name, {"status": node["status"]}, subresource="status")

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pods.run())
            while True:
                await self._sync(await self._queue.get())

    async def _sync(self, pod: Object) -> None:
        metadata, status = pod["metadata"], pod.get("status") or {}
        if not pod["spec"].get("nodeName"):
            return
        try:
            if meta.is_deleting(pod):
                if "hollow/lingers" in (metadata.get("annotations") or {}):
                    return
                await self._client.delete("pods", metadata["name"], metadata["namespace"], grace_period_seconds=0, uid=metadata["uid"])
            elif status.get("phase") == "Pending" and "startTime" not in status:
                await self._client.patch(
                    "pods", metadata["name"], {"status": self._started(pod)}, metadata["namespace"], subresource="status"
                )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _started(self, pod: Object) -> Object:
        behaviour = pod["metadata"].get("annotations") or {}
        exit_code = behaviour.get("hollow/exit")
        missing = behaviour.get("hollow/image") == "missing"
        ready = exit_code is None and not missing and behaviour.get("hollow/ready") != "false"
        phase = "Running"
        if missing:
            phase = "Pending"
        elif exit_code is not None:
            phase = "Succeeded" if exit_code == "0" else "Failed"
        state: Object = {"running": {"startedAt": meta.now()}}
        if exit_code is not None:
            state = {
                "terminated": {"exitCode": int(exit_code), "reason": "Completed" if exit_code == "0" else "Error", "finishedAt": meta.now()}
            }
        elif missing:
            state = {"waiting": {"reason": "ImagePullBackOff"}}
        conditions = [
            {"type": kind, "status": "True" if ready or kind == "PodScheduled" else "False", "lastTransitionTime": meta.now()}
            for kind in ("PodScheduled", "Ready", "ContainersReady")
        ]
        return {
            "phase": phase,
            "startTime": meta.now(),
            "podIP": f"10.244.1.{next(self._addresses) % 250}",
            "conditions": conditions,
            "containerStatuses": [
                {"name": each["name"], "image": each["image"], "imageID": "", "ready": ready, "restartCount": 0, "state": state}
                for each in pod["spec"]["containers"]
            ],
        }


class HollowCluster:
    """`client` acts as an administrator; `eventually` waits for what tests look for."""

    def __init__(self, server: ApiServer):
        self.server = server
        self.client: Client = LocalClient(server.services, "kubernetes-admin", ("system:masters",))
        self.namespace = "lab"

    async def create(self, resource: str, body: Object) -> Object:
        body = {**body, "metadata": {"namespace": self.namespace, **body["metadata"]}}
        return await self.client.create(resource, body, body["metadata"]["namespace"])

    async def get(self, resource: str, name: str, namespace: str | None = None) -> Object:
        return await self.client.get(resource, name, namespace or self.namespace)

    async def list(self, resource: str, label_selector: str = "") -> list[Object]:
        return (await self.client.list(resource, self.namespace, label_selector=label_selector)).items

    async def events(self, reason: str = "", about: str = "") -> list[str]:
        found = [
            each for each in await self.list("events") if reason in ("", each["reason"]) and about in ("", each["involvedObject"]["name"])
        ]
        return [each["message"] for each in found]

    async def eventually(self, look: Callable[[], Any], *, within: float = 60.0) -> Any:
        """What `look` (awaited) returns once it is neither empty nor false; fails with the last answer after `within` seconds."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            try:
                found = await look()
            except ApiError as error:
                found = None
                last: Any = error.message
            else:
                last = found
            if found:
                return found
            assert asyncio.get_running_loop().time() < deadline, f"never came true; last seen: {last}"
            await asyncio.sleep(0.02)


@asynccontextmanager
async def hollow_cluster(folder: Path) -> AsyncIterator[HollowCluster]:
    store = Store(folder / "store")
    server = ApiServer(store, folder, NodeConnections())
    await server.bootstrap()
    kubelets = HollowKubelets(LocalClient(server.services, "system:hollow-kubelets", ("system:masters",), manager="kubelet"))
    await kubelets.register()
    tasks = [
        asyncio.create_task(kubelets.run()),
        asyncio.create_task(Scheduler(LocalClient(server.services, "system:kube-scheduler")).run()),
        asyncio.create_task(
            ControllerManager(LocalClient(server.services, "system:kube-controller-manager"), "PEM", server.tokens.issue_for_secret).run()
        ),
    ]
    cluster = HollowCluster(server)
    try:
        await cluster.client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}})
        await cluster.eventually(lambda: cluster.get("serviceaccounts", "default"))
        yield cluster
    finally:
        for task in tasks:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        server.services.audit.close()
        store.close()
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
