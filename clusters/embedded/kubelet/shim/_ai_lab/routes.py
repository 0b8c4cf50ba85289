"""Where a connection goes: from an address as the Pod names it to a port of this machine's 127.0.0.1.

Reads `services.json` (written by kube-proxy, see `kubeproxy/`) and the listener records. Used by the shim and by the control plane.
NetworkPolicy is not enforced.
"""

from __future__ import annotations

import errno
import os
import posix

from . import records

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
    """`directory` is the network's folder; `own` the address of the Pod that asks, "" for the control plane."""

    def __init__(self, directory: str, own: str = "") -> None:
        self.directory = directory
        self.own = own
        self._seen: tuple[int, int, int] | None = None
        self._table: dict[str, Any] = {}

    def table(self) -> dict[str, Any]:
        """What kube-proxy wrote last: `services`, `nodePorts`, `nodes`, `masters`, `names`, `aliases`."""
        path = f"{self.directory}/services.json"
        try:
            state = posix.stat(path)
        except OSError:
            return self._table
        seen = (state.st_mtime_ns, state.st_ino, state.st_size)
        if seen != self._seen:
            import json

            fd = posix.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                text = b""
                while True:
                    part = posix.read(fd, 1 << 20)
                    if not part:
                        break
                    text += part
            finally:
                posix.close(fd)
            self._table, self._seen = json.loads(text), seen
        return self._table

    def folder(self, ip: str) -> str:
        return f"{self.directory}/pods/{ip}"

    def is_loopback(self, ip: str) -> bool:
        return ip.startswith("127.") or ip in ("0.0.0.0", "::1", "::")

    def resolve(self, ip: str, port: int, protocol: str = "tcp") -> records.Listener | None:
        """What stands behind `ip`:`port`; None for an address outside the cluster. Raises OSError as a connect there would."""
        if self.is_loopback(ip):
            return self.loopback(ip, port, protocol)
        if ip.startswith(POD_PREFIX) or ip == self.own:
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
