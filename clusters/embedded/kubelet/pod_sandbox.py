"""The sandbox of one Pod: an address of its own and the files that its containers share (pkg/kubelet/kuberuntime/kuberuntime_sandbox.go)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from clusters.embedded.errors import ApiError, told
from clusters.embedded.kubelet.container_config import prepare_pod_files
from clusters.embedded.kubelet.node_services import NodeServices
from kubeobjects import Object

_RETRY_SECONDS = 12.0
_HANDLERS = ("", "runc", "test-handler")

# Type, reason and message of an event of the Pod.
Emit = Callable[[str, str, str], None]


class PodSandbox:
    """`addresses` gets the Pod's under `podIP` when the sandbox is made."""

    def __init__(self, services: NodeServices, pod: Object, addresses: dict[str, str], emit: Emit):
        self._services = services
        self._pod = pod
        self._addresses = addresses
        self._emit = emit
        self.is_up = False

    async def make(self, *, anew: bool) -> None:
        """Tries until it is made; `anew` says that the Pod had one before. A handler that the node does not have keeps it from being made."""
        while (handler := await self._missing_handler()) is not None:
            # Each try is another sandbox, so each has an event of its own.
            await self._fail(f'unable to get OCI runtime for sandbox "{secrets.token_hex(32)}": no runtime for "{handler}" is configured')
        if anew:
            self._emit("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        node = self._services.node
        if self._pod["spec"].get("hostNetwork"):
            self._addresses["podIP"] = node.address
        else:
            self._addresses["podIP"] = self._services.network.allocate(node.index, self._pod["metadata"]["uid"])
        while (problem := self._problem()) is not None:
            await self._fail(problem)
        self.is_up = True

    async def _fail(self, why: str) -> None:
        self._emit("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: rpc error: code = Unknown desc = {why}")
        await asyncio.sleep(_RETRY_SECONDS)

    async def _missing_handler(self) -> str | None:
        name = self._pod["spec"].get("runtimeClassName")
        if not name:
            return None
        try:
            handler = (await self._services.client.get("runtimeclasses.node.k8s.io", name))["handler"]
        except ApiError:
            return name
        return None if handler in _HANDLERS else handler

    def _problem(self) -> str | None:
        """Makes the Pod's own files; what is in the way of that."""
        try:
            prepare_pod_files(self._services, self._pod, self._addresses["podIP"])
        except OSError as error:
            return f"failed to create the sandbox's files: {told(error)}"
        return None
