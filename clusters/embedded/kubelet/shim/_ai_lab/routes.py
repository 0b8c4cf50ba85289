"""Where a connection goes: from an address as the Pod names it to a port of this machine's 127.0.0.1.

Reads `services.json` (written by kube-proxy, see `kubeproxy/`) and the listener records. Used by the shim, which asks NetworkPolicies
(`policy`) once a Service's address has become its Pod's, and by the control plane, which asks nobody.
"""

from __future__ import annotations

import errno
import os
import posix

from . import records
from .json_file import JsonFile
from .policy import Policies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POD_PREFIX = "10.244."
SERVICE_PREFIX = "10.96."


def refusal(number: int) -> OSError:
    """The error that the kernel would have reported."""
    return OSError(number, os.strerror(number))


def _pick(count: int) -> int:
    return int.from_bytes(posix.urandom(4), "little") % count


class Routes:
    """`directory` is the network's folder; `own` the address of the Pod that asks, "" for the control plane; `policies` its NetworkPolicies."""

    def __init__(self, directory: str, own: str = "", policies: Policies | None = None) -> None:
        self.directory = directory
        self.own = own
        self._policies = policies
        self._file = JsonFile(f"{directory}/services.json")

    def table(self) -> dict[str, Any]:
        """What kube-proxy wrote last: `services`, `nodePorts`, `nodes`, `masters`, `names`, `aliases`."""
        return self._file.content() or {}

    def nowhere(self, protocol: str) -> int:
        """The port of 127.0.0.1 that never answers. Raises OSError where there is none."""
        port = self._policies.nowhere(protocol) if self._policies is not None else None
        if port is None:
            raise refusal(errno.ETIMEDOUT)
        return port

    def answers_dns(self, server: str) -> bool:
        """Whether a name server can be asked."""
        return self._policies is None or self._policies.allow_dns(server)

    def _judge(self, ip: str, port: int, protocol: str, *, of_pod: bool = False) -> None:
        if self._policies is not None:
            self._policies.check(ip, port, protocol, of_pod=of_pod)

    def folder(self, ip: str) -> str:
        return f"{self.directory}/pods/{ip}"

    def is_loopback(self, ip: str) -> bool:
        return ip.startswith("127.") or ip in ("0.0.0.0", "::1", "::")

    def resolve(self, ip: str, port: int, protocol: str = "tcp") -> records.Listener | None:
        """What stands behind `ip`:`port`; None for an address outside the cluster.

        Raises OSError as a connect there would, and `policy.Blocked` where none would get an answer.
        """
        if self.is_loopback(ip):
            return self.loopback(ip, port, protocol)
        if ip.startswith(POD_PREFIX) or ip == self.own:
            self._judge(ip, port, protocol, of_pod=True)
            return self._pod(ip, port, protocol)
        table = self.table()
        if ip.startswith(SERVICE_PREFIX) or ip in (table.get("services") or {}):
            service = (table.get("services") or {}).get(ip, {}).get(f"{protocol}-{port}")
            if service is None:
                # No rule matches: the packets leave by the default route and nobody answers.
                raise refusal(errno.ETIMEDOUT)
            return self._backend(service, protocol)
        if ip in (table.get("nodes") or {}).values():
            return self._node(ip, port, protocol, table)
        self._judge(ip, port, protocol)
        return None

    def loopback(self, ip: str, port: int, protocol: str) -> records.Listener:
        """A listener of the Pod itself, reached through localhost."""
        scopes = (records.LOOPBACK6, records.ANY) if ":" in ip else (records.LOOPBACK, records.ANY)
        found = records.find(self.folder(self.own), protocol, port, *scopes) if self.own else None
        if found is None or (":" in ip and not found.six):
            raise refusal(errno.ECONNREFUSED)
        return found

    def _pod(self, ip: str, port: int, protocol: str) -> records.Listener:
        folder = self.folder(ip)
        found = records.find(folder, protocol, port, records.ADDRESS, records.ANY)
        if found is not None:
            return found
        try:
            posix.stat(folder)
        except OSError:
            raise refusal(errno.EHOSTUNREACH) from None
        raise refusal(errno.ECONNREFUSED)

    def _node(self, ip: str, port: int, protocol: str, table: dict[str, Any]) -> records.Listener:
        service = (table.get("nodePorts") or {}).get(f"{protocol}-{port}")
        if service is not None:
            return self._backend(service, protocol)
        self._judge(ip, port, protocol)
        if f"{ip}:{port}" in (table.get("masters") or ()):
            return records.Listener(port, False, False)
        found = records.find(self.folder(ip), protocol, port, records.ADDRESS, records.ANY)
        if found is None:
            raise refusal(errno.ECONNREFUSED)
        return found

    def _backend(self, service: dict[str, Any], protocol: str) -> records.Listener:
        """One of a Service's endpoints, each as likely as the other; with ClientIP affinity always the same for this Pod."""
        endpoints = service["to"]
        if not endpoints:
            raise refusal(errno.ECONNREFUSED)
        index = sum(self.own.encode()) % len(endpoints) if service.get("sticky") else _pick(len(endpoints))
        ip, _, port = endpoints[index].rpartition(":")
        found = self.resolve(ip, int(port), protocol)
        if found is None:
            raise refusal(errno.EHOSTUNREACH)
        return found
