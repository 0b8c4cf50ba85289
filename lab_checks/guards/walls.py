"""A Pod with walls of its own: no privileges, none of the node's namespaces, none of its folders."""

from __future__ import annotations

from typing import Any

from lab_checks.observe import named, see
from lab_checks.verdict import fail

Object = dict[str, Any]

_DOORS = ("hostNetwork", "hostPID", "hostIPC")


def not_privileged(pod_spec: Object, owner: Object) -> None:
    """No container runs privileged."""
    for each in pod_spec.get("containers") or []:
        if (each.get("securityContext") or {}).get("privileged"):
            raise fail(
                f"{named(owner)} runs privileged",
                see(owner, f"containers[{each['name']}].securityContext.privileged", "true"),
                expected="an unprivileged container: privileged opens the whole node, its devices included, to whoever gets into the model server",
                next="remove it; the device plugin hands the container its GPU",
            )


def walled(pod_spec: Object, owner: Object, before: Object | None = None) -> None:
    """Not privileged, in none of the node's namespaces, with none of its folders; `before` is the Pod's spec at the start, which may have had them."""
    was = before or {}
    not_privileged(pod_spec, owner)
    for key in _DOORS:
        if pod_spec.get(key) and not was.get(key):
            raise fail(f"{named(owner)} uses {key}", see(owner, key, "true"), expected="a Pod with walls of its own", next=f"remove {key}")
    if _host_paths(pod_spec) and not _host_paths(was):
        raise fail(
            f"{named(owner)} mounts a folder of the node",
            see(owner, "volumes", "hostPath"),
            expected="no hostPath: a device reaches a container through the device plugin, not through a folder",
            next="remove the volume",
        )


def _host_paths(pod_spec: Object) -> bool:
    return any(each.get("hostPath") for each in pod_spec.get("volumes") or [])
