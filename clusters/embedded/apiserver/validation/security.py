"""Security contexts of Pods and containers."""

from __future__ import annotations

import re

from clusters.embedded.apiserver.validation import field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_LONGEST_SYSCTL = 253
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")


def _profile(profile: Object | None, what: str, path: Path) -> Errors:
    """A seccomp or AppArmor profile; `what` is its name in messages."""
    if profile is None:
        return []
    kind = profile.get("type", "")
    local = profile.get("localhostProfile")
    if not kind:
        owner = "seccompProfile" if what == "seccomp" else "appArmorProfile"
        return [field.required(path.child("type"), f"type is required when {owner} is set")]
    if kind not in _PROFILES:
        return [field.not_supported(path.child("type"), kind, _PROFILES)]
    if kind == "Localhost":
        if not local:
            return [field.required(path.child("localhostProfile"), f"must be set when {what} type is Localhost")]
        return values.descending_path(local, path.child("localhostProfile")) if what == "seccomp" else []
    if local is not None:
        return [field.invalid(path.child("localhostProfile"), local, f"can only be set when {what} type is Localhost")]
    return []


def pod(context: Object | None, path: Path) -> Errors:
    if context is None:
        return []
    found: Errors = []
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        found += values.user_or_group(context.get(name), path.child(name))
    for index, group in enumerate(context.get("supplementalGroups") or []):
        found += values.user_or_group(group, path.child("supplementalGroups")[index])
    names: list[str] = []
    for index, sysctl in enumerate(context.get("sysctls") or []):
        name, where = sysctl.get("name", ""), path.child("sysctls")[index].child("name")
        if not name:
            found.append(field.required(where))
        elif len(name) > _LONGEST_SYSCTL or not re.fullmatch(_SYSCTL, name):
            found.append(field.invalid(where, name, f"must have at most {_LONGEST_SYSCTL} characters and match regex ^{_SYSCTL}$"))
        elif name in names:
            found.append(field.duplicate(where, name))
        names.append(name)
    policy = context.get("fsGroupChangePolicy")
    if policy is not None and policy not in ("Always", "OnRootMismatch"):
        found.append(field.not_supported(path.child("fsGroupChangePolicy"), policy, ("Always", "OnRootMismatch")))
    found += _profile(context.get("seccompProfile"), "seccomp", path.child("seccompProfile"))
    found += _profile(context.get("appArmorProfile"), "AppArmor", path.child("appArmorProfile"))
    policy = context.get("supplementalGroupsPolicy")
    if policy is not None and policy not in ("Merge", "Strict"):
        found.append(field.not_supported(path.child("supplementalGroupsPolicy"), policy, ("Merge", "Strict")))
    return found


def container(context: Object | None, path: Path) -> Errors:
    if context is None:
        return []
    found: Errors = []
    for name in ("runAsUser", "runAsGroup"):
        found += values.user_or_group(context.get(name), path.child(name))
    mount = context.get("procMount")
    if mount is not None and mount not in ("Default", "Unmasked"):
        found.append(field.not_supported(path.child("procMount"), mount, ("Default", "Unmasked")))
    found += _profile(context.get("seccompProfile"), "seccomp", path.child("seccompProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        added = (context.get("capabilities") or {}).get("add") or []
        if context.get("privileged"):
            found.append(field.invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
        if "CAP_SYS_ADMIN" in added:
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            found.append(field.invalid(path, context, why))
    return found + _profile(context.get("appArmorProfile"), "AppArmor", path.child("appArmorProfile"))
