"""The checks of the baseline standard (k8s.io/pod-security-admission/policy, check_*.go)."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.admission.pod_security.finding import (
    Finding,
    containers,
    counted,
    in_user_namespace,
    named,
    quoted,
    security,
    setters,
    where,
)
from kubeobjects import Object

_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
PROFILES = ("RuntimeDefault", "Localhost")
_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
# By the minor version that each was added to the safe ones in.
_SYSCTLS = {
    "kernel.shm_rmid_forced": 0,
    "net.ipv4.ip_local_port_range": 0,
    "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.ping_group_range": 0,
    "net.ipv4.ip_unprivileged_port_start": 0,
    "net.ipv4.ip_local_reserved_ports": 27,
    "net.ipv4.tcp_keepalive_time": 29,
    "net.ipv4.tcp_fin_timeout": 29,
    "net.ipv4.tcp_keepalive_intvl": 29,
    "net.ipv4.tcp_keepalive_probes": 29,
    "net.ipv4.tcp_rmem": 32,
    "net.ipv4.tcp_wmem": 32,
}


def bad_types(spec: Object, field: str) -> tuple[bool, list[str], list[str]]:
    """Where a profile's type is neither the runtime's own nor a file of the node: (in the Pod, in which containers, which types)."""

    def bad(holder: Object) -> str | None:
        profile = security(holder).get(field)
        return None if profile is None or profile.get("type") in PROFILES else profile.get("type", "")

    own = bad(spec)
    found = {container["name"]: kind for container in containers(spec) if (kind := bad(container)) is not None}
    return own is not None, list(found), sorted({*found.values(), *([own] if own is not None else [])})


def app_armor_profile(metadata: Object, spec: Object) -> Finding | None:
    own, bad, values = bad_types(spec, "appArmorProfile")
    who = setters(spec, own, bad)
    annotations = sorted(
        f'{key}="{value}"'
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(_APP_ARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    if annotations:
        who = " and ".join(filter(None, (who, counted("annotation", "annotations", annotations))))
    if not who:
        return None
    told = [*values, *annotations]
    reason = counted("forbidden AppArmor profile", "forbidden AppArmor profiles", told)
    return Finding(reason, f"{who} must not set AppArmor profile type to {quoted(told)}")


def capabilities(metadata: Object, spec: Object) -> Finding | None:
    added = {
        container["name"]: {each for each in (security(container).get("capabilities") or {}).get("add") or [] if each not in _CAPABILITIES}
        for container in containers(spec)
    }
    bad = [name for name, more in added.items() if more]
    if not bad:
        return None
    which = sorted(set().union(*added.values()))
    return Finding("non-default capabilities", f"{named(bad)} must not include {quoted(which)} in securityContext.capabilities.add")


def host_namespaces(metadata: Object, spec: Object) -> Finding | None:
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Finding("host namespaces", ", ".join(shared)) if shared else None


def host_path_volumes(metadata: Object, spec: Object) -> Finding | None:
    bad = [volume["name"] for volume in spec.get("volumes") or [] if volume.get("hostPath") is not None]
    return Finding("hostPath volumes", named(bad, "volume")) if bad else None


def host_ports(metadata: Object, spec: Object) -> Finding | None:
    ports = {
        container["name"]: {str(port["hostPort"]) for port in container.get("ports") or [] if port.get("hostPort")}
        for container in containers(spec)
    }
    bad = [name for name, numbers in ports.items() if numbers]
    if not bad:
        return None
    numbers = sorted(set().union(*ports.values()))
    use = f"{counted('uses', 'use', bad)} {counted('hostPort', 'hostPorts', numbers)}"
    return Finding("hostPort", f"{named(bad)} {use} {', '.join(numbers)}")


def probe_hosts(metadata: Object, spec: Object) -> Finding | None:
    hosts = {container["name"]: _asked_hosts(container) for container in containers(spec)}
    bad = sorted(name for name, found in hosts.items() if found)
    if not bad:
        return None
    which = sorted(set().union(*hosts.values()))
    use = f"{counted('uses', 'use', bad)} {counted('probe or lifecycle host', 'probe or lifecycle hosts', which)}"
    return Finding("probe or lifecycle host", f"{named(bad)} {use} {quoted(which)}")


def _asked_hosts(container: Object) -> set[str]:
    lifecycle = container.get("lifecycle") or {}
    asked = [container.get(probe) for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
    asked += [lifecycle.get(hook) for hook in ("postStart", "preStop")]
    return {
        host
        for handler in asked
        for field in ("httpGet", "tcpSocket")
        if (host := ((handler or {}).get(field) or {}).get("host"))
    }  # fmt: skip


def privileged(metadata: Object, spec: Object) -> Finding | None:
    bad = where(spec, lambda container: bool(security(container).get("privileged")))
    return Finding("privileged", f"{named(bad)} must not set securityContext.privileged=true") if bad else None


def proc_mount(metadata: Object, spec: Object) -> Finding | None:
    kinds = {container["name"]: security(container).get("procMount") for container in containers(spec)}
    bad = [name for name, kind in kinds.items() if kind not in (None, "Default")]
    if not bad:
        return None
    which = sorted({str(kinds[name]) for name in bad})
    return Finding("procMount", f"{named(bad)} must not set securityContext.procMount to {quoted(which)}")


def proc_mount_outside_user_namespaces(metadata: Object, spec: Object) -> Finding | None:
    return None if in_user_namespace(spec) else proc_mount(metadata, spec)


def selinux_options_before_1_31(metadata: Object, spec: Object) -> Finding | None:
    return _selinux_options(spec, _SELINUX_TYPES)


def selinux_options(metadata: Object, spec: Object) -> Finding | None:
    return _selinux_options(spec, _SELINUX_TYPES | {"container_engine_t"})


def _selinux_options(spec: Object, types: frozenset[str]) -> Finding | None:
    def options(holder: Object) -> Object:
        found: Object = security(holder).get("seLinuxOptions") or {}
        return found

    def is_bad(holder: Object) -> bool:
        asked = options(holder)
        return asked.get("type", "") not in types or bool(asked.get("user")) or bool(asked.get("role"))

    bad = where(spec, is_bad)
    if not (bad or is_bad(spec)):
        return None
    everywhere = [options(spec), *map(options, containers(spec))]
    kinds = sorted({asked["type"] for asked in everywhere if asked.get("type", "") not in types})
    told = [f"{counted('type', 'types', kinds)} {quoted(kinds)}"] if kinds else []
    told += [f"{field} may not be set" for field in ("user", "role") if any(asked.get(field) for asked in everywhere)]
    return Finding("seLinuxOptions", f"{setters(spec, is_bad(spec), bad)} set forbidden securityContext.seLinuxOptions: {'; '.join(told)}")


def seccomp_annotations(metadata: Object, spec: Object) -> Finding | None:
    annotations = metadata.get("annotations") or {}
    asked = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + container["name"] for container in containers(spec))]
    bad = sorted(
        f'{key}="{value}"'
        for key in asked
        if (value := annotations.get(key)) is not None
        and value not in ("runtime/default", "docker/default")
        and not value.startswith("localhost/")
    )
    return Finding("seccompProfile", f"forbidden {counted('annotation', 'annotations', bad)} {', '.join(bad)}") if bad else None


def seccomp_profile(metadata: Object, spec: Object) -> Finding | None:
    own, bad, values = bad_types(spec, "seccompProfile")
    who = setters(spec, own, bad)
    return Finding("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {quoted(values)}") if who else None


def sysctls_of(minor: int) -> Callable[[Object, Object], Finding | None]:
    """The check of sysctls, with those that were safe as of the minor version."""
    safe = {name for name, since in _SYSCTLS.items() if since <= minor}

    def sysctls(metadata: Object, spec: Object) -> Finding | None:
        bad = [each["name"] for each in security(spec).get("sysctls") or [] if each["name"] not in safe]
        return Finding("forbidden sysctls", ", ".join(bad)) if bad else None

    return sysctls


def windows_host_process(metadata: Object, spec: Object) -> Finding | None:
    def is_bad(holder: Object) -> bool:
        return bool((security(holder).get("windowsOptions") or {}).get("hostProcess"))

    who = setters(spec, is_bad(spec), where(spec, is_bad))
    return Finding("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true") if who else None
