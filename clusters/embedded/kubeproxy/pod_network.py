"""The Pod network as a directory: which addresses are given out, and how the control plane reaches what listens there.

<directory>/services.json          what kube-proxy knows (`proxy.py`)
<directory>/pods/<ip>/tcp-8080     who listens where in a Pod (`kubelet/shim/_ai_lab/records.py`)
<directory>/policies/<ip>          what NetworkPolicies say of a Pod (`kubelet/shim/_ai_lab/policy.py`)
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from clusters.embedded.kubelet.shim._ai_lab import records
from clusters.embedded.kubelet.shim._ai_lab.routes import POD_PREFIX, Routes
from clusters.embedded.kubeproxy.nowhere import Nowhere

SHIM = Path(__file__).resolve().parent.parent / "kubelet" / "shim"
# .0 is the network, .1 the node's gateway, .255 the broadcast address.
_FIRST, _LAST = 2, 254
_JUDGED_SECONDS = 1.0


class AddressesExhausted(Exception):
    """All Pod addresses of a node are in use; the text is the CNI plugin's (host-local)."""


class PodNetwork:
    """Implements `network.Network` in `directory`, which only this user may read."""

    def __init__(self, directory: Path):
        self.directory = directory.resolve()
        (self.directory / "pods").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._routes = Routes(str(self.directory))
        self._policies: Mapping[str, Any] = {}
        self._nowhere: Nowhere | None = None
        # The addresses that policies know of; None where there are no policies.
        self._judged: frozenset[str] | None = None
        self._published = asyncio.Event()
        self._by_uid: dict[str, str] = {}
        self._last: dict[int, int] = {}
        self._clear()

    def _clear(self) -> None:
        """Forgets policies and Pods of an earlier run, save Pods that still have a process: their addresses stay taken."""
        shutil.rmtree(self.directory / "policies", ignore_errors=True)
        (self.directory / "policies").mkdir(mode=0o700)
        for folder in (self.directory / "pods").iterdir():
            if not records.has_listeners(str(folder)):
                shutil.rmtree(folder, ignore_errors=True)

    def allocate(self, node_index: int, pod_uid: str) -> str:
        """An unused address of 10.244.<node_index>.0/24, the one after the last that was given. Raises AddressesExhausted."""
        if pod_uid in self._by_uid:
            return self._by_uid[pod_uid]
        taken = set(self._by_uid.values())
        last = self._last.get(node_index, _FIRST - 1)
        count = _LAST - _FIRST + 1
        for step in range(count):
            number = _FIRST + (last - _FIRST + 1 + step) % count
            address = f"{POD_PREFIX}{node_index}.{number}"
            if address in taken or records.has_listeners(self._routes.folder(address)):
                continue
            self._last[node_index] = number
            self._by_uid[pod_uid] = address
            self._make(address)
            return address
        whole = f"{POD_PREFIX}{node_index}.1-{POD_PREFIX}{node_index}.254"
        raise AddressesExhausted(f"failed to allocate for range 0: no IP addresses available in range set: {whole}")

    def _make(self, address: str) -> None:
        folder = self._routes.folder(address)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, exist_ok=True)

    def release(self, pod_uid: str) -> None:
        """Gives the Pod's address back; its processes have ended."""
        address = self._by_uid.pop(pod_uid, None)
        if address is not None:
            shutil.rmtree(self._routes.folder(address), ignore_errors=True)

    def environment(self, pod_ip: str, namespace: str) -> dict[str, str]:
        """What the shim needs to know. With `hostNetwork`, `pod_ip` is the node's address."""
        os.makedirs(self._routes.folder(pod_ip), exist_ok=True)
        return {
            "PYTHONPATH": str(SHIM),
            "AI_LAB_NETWORK": str(self.directory),
            "AI_LAB_POD_IP": pod_ip,
            "AI_LAB_NAMESPACE": namespace,
        }

    async def dial(self, ip: str, port: int, *, loopback: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a Pod's, a Service's or a node's `ip`:`port`, as the node sees it.

        With `loopback`, `ip` is a Pod's and the connection comes from inside it, to its localhost: what port-forward does.
        Raises OSError (ConnectionRefusedError where nothing listens).
        """
        routes = Routes(str(self.directory), ip) if loopback else self._routes
        found = routes.resolve("127.0.0.1" if loopback else ip, port)
        if found is None:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        return await asyncio.open_connection("127.0.0.1", found.real)

    def publish(self, table: Mapping[str, Any]) -> None:
        """Puts kube-proxy's table in place; the next connect of any Pod sees it."""
        self._write("services.json", table)

    def publish_policies(self, policies: Mapping[str, Any], known: frozenset[str] | None = None) -> None:
        """Puts in place what the NetworkPolicies say of each isolated Pod, by its address; the next connect of any Pod sees it.

        `known` are the addresses of all Pods that they have looked at, None where there are no policies.
        """
        if policies and self._nowhere is None:
            self._nowhere = Nowhere()
            self._write("policies/nowhere", self._nowhere.ports)
        for address in self._policies.keys() - policies.keys():
            (self.directory / "policies" / address).unlink(missing_ok=True)
        for address, rules in policies.items():
            if rules != self._policies.get(address):
                self._write(f"policies/{address}", rules)
        self._policies = policies
        self._judged = known
        published, self._published = self._published, asyncio.Event()
        published.set()

    async def until_judged(self, pod_ip: str) -> None:
        """Returns once the policies know of the Pod, so that its first call is judged by who it is; after a second in any case."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_JUDGED_SECONDS):
                while self._judged is not None and pod_ip not in self._judged:
                    await self._published.wait()

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        fresh = self.directory / ".new"
        fresh.unlink(missing_ok=True)
        # Made anew each time: a link that a Pod's program put there is not followed.
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(orjson.dumps(content))
        fresh.rename(self.directory / name)
