"""A Pod with walls of its own: no privileges, none of the node's namespaces, none of its folders."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import fail

_DOORS = ("hostNetwork", "hostPID", "hostIPC")
# What every container has by default, and what a port below 1024 needs: they open nothing of the node.
_HARMLESS = {"NET_BIND_SERVICE"}


def not_privileged(pod_spec: Object, owner: Object) -> None:
    """No container, init container or sidecar runs privileged or with capabilities that were added."""
    for each in [*(pod_spec.get("initContainers") or []), *(pod_spec.get("containers") or [])]:
        context = each.get("securityContext") or {}
        if added := set((context.get("capabilities") or {}).get("add") or []) - _HARMLESS:
            raise fail(
                f"{named(owner)} has capabilities that it had not",
                see(owner, f"containers[{each['name']}].securityContext.capabilities.add", ", ".join(sorted(added))),
                expected="none: a capability opens a part of the node, and none of them makes a device appear",
                next="remove them from the securityContext",
            )
        if context.get("privileged"):
            raise fail(
                f"{named(owner)} runs privileged",
                see(owner, f"containers[{each['name']}].securityContext.privileged", "true"),
                expected="an unprivileged container: privileged opens the whole node, its devices included, to whoever gets into the model server",
                next="remove it; the device plugin hands the container its GPU",
            )


def isolated_from_node(pod_spec: Object, owner: Object, before: Object | None = None, *, folders: tuple[str, ...] = ()) -> None:
    """Not privileged, in none of the node's namespaces, with none of its folders but `folders`.

    `before` is the Pod's spec at the start, which may have had what else would be a fault.
    """
    was = before or {}
    not_privileged(pod_spec, owner)
    for key in _DOORS:
        if pod_spec.get(key) and not was.get(key):
            raise fail(f"{named(owner)} uses {key}", see(owner, key, "true"), expected="a Pod with walls of its own", next=f"remove {key}")
    if opened := _host_paths(pod_spec) - _host_paths(was) - set(folders):
        raise fail(
            f"{named(owner)} mounts a folder of the node",
            see(owner, "volumes", f"hostPath {', '.join(sorted(opened))}"),
            expected=f"no other than {', '.join(folders)}"
            if folders
            else "no hostPath: a device reaches a container through the device plugin, not through a folder",
            next="remove the volume",
        )


# What a Pod has where nobody writes anything; admission fills some of it in.
_PLAIN: dict[str, tuple[object, ...]] = {
    "schedulerName": (None, "default-scheduler"),
    "priorityClassName": (None, ""),
    "priority": (None, 0),
    "runtimeClassName": (None, ""),
    "readinessGates": (None, []),
    "schedulingGates": (None, []),
    "serviceAccountName": (None, "", "default"),
    "shareProcessNamespace": (None, False),
}


def like_any_other(pod_spec: Object, owner: Object) -> None:
    """The default scheduler, priority, runtime and account, no gates, and no port of the node."""
    for key, plain in _PLAIN.items():
        if pod_spec.get(key) not in plain:
            raise fail(
                f"{named(owner)} sets {key}",
                see(owner, key, pod_spec[key]),
                expected="a Pod like any other: the default scheduler, runtime, account and priority, Ready when its probe says so",
                next=f"remove {key}",
            )
    for each in [*(pod_spec.get("initContainers") or []), *(pod_spec.get("containers") or [])]:
        for port in each.get("ports") or []:
            if port.get("hostPort"):
                raise fail(
                    "the Pod opens a port of its node",
                    see(owner, f"containers[{each['name']}].ports.hostPort", port["hostPort"]),
                    expected="containerPort alone: hostPort puts the program on the node's address, past every Service and its rules",
                    next="remove hostPort",
                )


def _host_paths(pod_spec: Object) -> set[str]:
    paths = [(each.get("hostPath") or {}).get("path", "") for each in pod_spec.get("volumes") or []]
    return {path.rstrip("/") or "/" for path in paths if path}
