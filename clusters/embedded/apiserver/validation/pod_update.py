"""What may change in a stored Pod (core/validation ValidatePodUpdate and its siblings for subresources)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, internal_types, metadata, placement, pods, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, meta, qos
from kubeobjects.equality import same

_SPEC = Path("spec")
_MAX_INT = 2147483647
_MUTABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)


def update(new: Object, old: Object) -> Errors:
    found = metadata.object_meta_update(new["metadata"], old["metadata"]) + pods.metadata_and_spec(new)
    spec, before = new["spec"], old["spec"]
    for name in ("containers", "initContainers"):
        if len(spec.get(name) or []) != len(before.get(name) or []):
            found.append(field.forbidden(_SPEC.child(name), "pod updates may not add or remove containers"))
            return found
    deadline, had = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    where = _SPEC.child("activeDeadlineSeconds")
    if deadline is not None:
        if not 0 <= deadline <= _MAX_INT:
            return [*found, field.invalid(where, deadline, content.between(0, _MAX_INT))]
        if had is not None and had < deadline:
            return [*found, field.invalid(where, deadline, "must be less than or equal to previous value")]
    elif had is not None:
        found.append(field.invalid(where, None, "must not update from a positive integer to nil value"))
    found += _only_added_tolerations(spec.get("tolerations") or [], before.get("tolerations") or [])
    gates = {gate["name"] for gate in before.get("schedulingGates") or []}
    for index, gate in enumerate(spec.get("schedulingGates") or []):
        if gate.get("name") not in gates:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            found.append(field.forbidden(_SPEC.child("schedulingGates")[index].child("name"), why))
    frozen = _without_mutable(spec, before)
    if not same(frozen, before):
        shown = internal_types.difference("core.PodSpec", before, frozen)
        found.append(field.forbidden(_SPEC, f"pod updates may not change fields other than {','.join(_MUTABLE)}\n{shown}"))
    return found


def _only_added_tolerations(new: list[Object], old: list[Object]) -> Errors:
    path = _SPEC.child("tolerations")

    def fixed(each: Object) -> Object:
        return {name: value for name, value in each.items() if name != "tolerationSeconds"}

    if any(not any(same(fixed(each), fixed(other)) for other in new) for each in old):
        return [field.forbidden(path, "existing toleration can not be modified except its tolerationSeconds")]
    return placement.tolerations(new, path)


def _without_mutable(spec: Object, before: Object) -> Object:
    """The new spec with every field that may change put back to what it was."""
    frozen = meta.copy(spec)
    for name in ("containers", "initContainers"):
        for container, old in zip(frozen.get(name) or [], before.get(name) or [], strict=True):
            container["image"] = old.get("image")
    kept = ["activeDeadlineSeconds", "schedulingGates", "tolerations"]
    if (before.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        kept.append("terminationGracePeriodSeconds")
    if before.get("schedulingGates"):
        # A gated Pod's placement may still be narrowed down.
        selector, had = frozen.get("nodeSelector") or {}, before.get("nodeSelector") or {}
        if had.items() <= selector.items():
            kept.append("nodeSelector")
    for name in kept:
        frozen.pop(name, None)
        if name in before:
            frozen[name] = before[name]
    return frozen


def status_update(new: Object, old: Object) -> Errors:
    path = Path("status")
    found = metadata.object_meta_update(new["metadata"], old["metadata"])
    status, before = new.get("status") or {}, old.get("status") or {}
    if before.get("qosClass") and status.get("qosClass") != before["qosClass"]:
        found.append(field.invalid(path.child("qosClass"), status.get("qosClass"), content.IMMUTABLE))
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        found += values.all_of(path.child("nominatedNodeName"), nominated, content.dns_subdomain(nominated))
    policy = old["spec"].get("restartPolicy")
    sidecars = {each["name"] for each in old["spec"].get("initContainers") or [] if each.get("restartPolicy") == "Always"}
    for name, free in (("containerStatuses", set()), ("initContainerStatuses", sidecars)):
        found += _transitions(status.get(name) or [], before.get(name) or [], policy, free, path.child(name))
    return found


def _transitions(new: list[Object], old: list[Object], policy: str | None, free: set[str], path: Path) -> Errors:
    """A container that ended for good stays ended."""
    if policy == "Always":
        return []
    found: Errors = []
    now = {each.get("name"): each.get("state") or {} for each in new}
    for index, each in enumerate(old):
        ended = (each.get("state") or {}).get("terminated")
        if not ended or each.get("name") in free or (ended.get("exitCode") and policy == "OnFailure"):
            continue
        if each.get("name") in now and "terminated" not in now[each["name"]]:
            found.append(field.forbidden(path[index].child("state"), "may not be transitioned to non-terminated state"))
    return found


def binding(new: Object, old: Object) -> Errors:
    """The node's name is set once, by the server: only metadata is the client's."""
    return metadata.object_meta_update(new["metadata"], old["metadata"])


def ephemeral_containers_update(new: Object, old: Object) -> Errors:
    found = metadata.object_meta_update(new["metadata"], old["metadata"]) + pods.metadata_and_spec(new)
    now = {each.get("name"): each for each in new["spec"].get("ephemeralContainers") or []}
    for each in old["spec"].get("ephemeralContainers") or []:
        name = each.get("name", "")
        if name not in now:
            found.append(
                field.forbidden(_SPEC.child("ephemeralContainers"), f'existing ephemeral containers "{name}" may not be removed\n')
            )
        elif not same(now[name], each):
            shown = internal_types.difference("core.EphemeralContainer", each, now[name])
            why = f'existing ephemeral containers "{name}" may not be changed\n{shown}'
            found.append(field.forbidden(_SPEC.child("ephemeralContainers"), why))
    return found


def resize(new: Object, old: Object) -> Errors:
    """CPU and memory of running containers may change; the Pod's QoS class may not."""
    found = metadata.object_meta_update(new["metadata"], old["metadata"]) + pods.metadata_and_spec(new)
    if qos.qos_class(new["spec"]) != qos.qos_class(old["spec"]):
        found.append(field.invalid(_SPEC, qos.qos_class(new["spec"]), "Pod QOS Class may not change as a result of resizing"))
    for name in ("containers", "initContainers"):
        for index, (container, before) in enumerate(zip(new["spec"].get(name) or [], old["spec"].get(name) or [], strict=False)):
            where = _SPEC.child(name)[index].child("resources")
            for part in ("limits", "requests"):
                now, had = (container.get("resources") or {}).get(part) or {}, (before.get("resources") or {}).get(part) or {}
                fixed = {k: v for k, v in now.items() if k not in ("cpu", "memory")}
                if not same(fixed, {k: v for k, v in had.items() if k not in ("cpu", "memory")}):
                    found.append(field.forbidden(where, "only cpu and memory resources are mutable"))
                for resource in had.keys() - now.keys():
                    if resource in ("cpu", "memory"):
                        found.append(field.forbidden(where, f"resource {part} cannot be removed"))
    return found
