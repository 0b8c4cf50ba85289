"""What differs between two versions of a Kubernetes object, path by path.

Two objects come in, as a snapshot keeps them; a list of `Change` comes out. What the API server and controllers write by themselves is no
difference. Lists are compared as the API compares them: containers, variables, volumes and ports by their key, tolerations as a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubeobjects import Object, quantity

Path = tuple[str, ...]

# List-type map keys of the API (x-kubernetes-list-map-keys, and patch merge keys where a type has none).
_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "volumeClaimTemplates": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "resourceClaims": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "ports": ("containerPort", "port", "protocol"),
    "taints": ("key", "effect"),
    "ownerReferences": ("uid",),
}
# Lists whose order means nothing.
_SETS = frozenset({"tolerations", "add", "drop", "accessModes", "finalizers", "externalIPs", "subjects", "matchFields", "matchExpressions"})
# Maps from names that people choose: their keys are written in brackets.
_NAMED = frozenset(
    {"labels", "annotations", "matchLabels", "nodeSelector", "selector", "limits", "requests", "hard", "data", "stringData", "binaryData"}
)
_QUANTITIES = frozenset({"limits", "requests", "hard"})
# Written by clients and controllers for themselves; nobody decides anything by them.
_BOOKKEEPING = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubectl.kubernetes.io/restartedAt",
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
        "kubernetes.io/change-cause",
        "autoscaling.alpha.kubernetes.io/conditions",
        "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller",
        "volume.kubernetes.io/selected-node",
        "volume.kubernetes.io/storage-provisioner",
        "volume.beta.kubernetes.io/storage-provisioner",
        "endpoints.kubernetes.io/last-change-trigger-time",
    }
)

# Labels by which a Job knows its Pods: the API server writes the Job's uid there.
_GENERATED = frozenset({"batch.kubernetes.io/controller-uid", "controller-uid"})


@dataclass(frozen=True)
class Change:
    """`path` leads to what differs; `before` and `now` are the values there, None where there is none.

    Where a whole part is there on one side only, `part` leads to that part; elsewhere it is `path`.
    """

    path: Path
    before: Any
    now: Any
    part: Path = ()

    @property
    def field(self) -> str:
        """The path as people write it: `spec.template.spec.containers[model-server].env[DEVICE].value`."""
        return written(self.path)

    @property
    def part_field(self) -> str:
        return written(self.part or self.path)


def written(path: Path) -> str:
    text = ""
    for part in path:
        text += part if part.startswith("[") else f".{part}" if text else part
    return text


def changed_paths(before: Object | None, now: Object | None) -> list[Change]:
    """Every path at which two versions of an object differ, in the order of the object; empty where they say the same.

    The objects are as a snapshot keeps them (`engine/snapshot.essence`): without status and without what the API server notes for itself.
    A missing field and an empty one are the same. A part that is there on one side only is reported field by field.
    """
    return list(_differences((), _without_uid(before), _without_uid(now)))


def _without_uid(obj: Object | None) -> Object:
    """Which object it is, and not what it says: a uid is no difference."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "uid"}} if obj else {}


def _differences(path: Path, before: Any, now: Any, part: Path = ()) -> Iterator[Change]:
    if before == now or (_empty(before) and _empty(now)):
        return
    if len(path) > 1 and path[-2] in _QUANTITIES and _amount(before) == _amount(now):
        return
    if not part and (_empty(before) or _empty(now)):
        part = path
    if isinstance(before, dict) or isinstance(now, dict):
        if _is_map(before) and _is_map(now):
            yield from _maps(path, before or {}, now or {}, part)
            return
    elif path and (key := _KEYS.get(path[-1])) and _is_list(before) and _is_list(now) and _of_maps(before, now):
        yield from _maps(path, _by_key(before or [], key), _by_key(now or [], key), part)
        return
    elif path and path[-1] in _SETS and _is_list(before) and _is_list(now):
        if sorted(map(_canonical, before or [])) != sorted(map(_canonical, now or [])):
            yield Change(path, before, now, part or path)
        return
    elif _is_list(before) and _is_list(now) and _of_maps(before, now):
        rows = [f"[{number}]" for number in range(max(len(before or []), len(now or [])))]
        for number, name in enumerate(rows):
            yield from _differences((*path, name), _at(before, number), _at(now, number), part)
        return
    yield Change(path, before, now, part or path)


def _maps(path: Path, before: Object, now: Object, part: Path) -> Iterator[Change]:
    named = bool(path) and path[-1] in _NAMED and not any(isinstance(each, dict | list) for each in (*before.values(), *now.values()))
    for key in [*before, *(key for key in now if key not in before)]:
        if named and key in {"annotations": _BOOKKEEPING, "labels": _GENERATED, "matchLabels": _GENERATED}.get(path[-1], ()):
            continue
        step = f"[{key}]" if named and not key.startswith("[") else key
        yield from _differences((*path, step), before.get(key), now.get(key), part)


def _empty(value: Any) -> bool:
    return value is None or value == {} or value == [] or value == "" or value is False


def _amount(value: Any) -> Any:
    """The number in a quantity, so that 1000m and 1 are the same; what is none as it is."""
    try:
        return quantity.parse(value)
    except (ValueError, TypeError, AttributeError):
        return value


def _is_map(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return value is None or isinstance(value, list)


def _of_maps(*lists: list[Any] | None) -> bool:
    return all(isinstance(each, dict) for rows in lists for each in rows or [])


def _by_key(rows: list[Object], keys: tuple[str, ...]) -> Object:
    """The rows of a list by their key, in brackets; a key that stands twice keeps its later rows apart by a number."""
    found: Object = {}
    for row in rows:
        name = "/".join(str(row[key]) for key in keys if key in row)
        if keys[:1] == ("containerPort",):
            name = name.removesuffix("/TCP")
        label, again = f"[{name}]", 2
        while label in found:
            label, again = f"[{name} {again}]", again + 1
        found[label] = row
    return found


def _at(rows: list[Any] | None, number: int) -> Any:
    return rows[number] if rows and number < len(rows) else None


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return str(sorted((key, _canonical(inner)) for key, inner in value.items() if not _empty(inner)))
    return str(value)
