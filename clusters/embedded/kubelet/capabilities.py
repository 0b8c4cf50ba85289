"""Linux capabilities of a container: what its security context makes of those that containerd gives to every container.

In a root of its own they are powers over that root alone: what belongs to this machine is in another user namespace.
"""

from __future__ import annotations

from kubeobjects import Object

# In the order of their numbers (linux/capability.h).
NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE"),
    *("NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT"),
    *("SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE"),
    *("AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
    *("PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
# containerd's defaultUnixCaps.
DEFAULT = frozenset(
    {
        *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE"),
        *("SYS_CHROOT", "KILL", "AUDIT_WRITE"),
    }
)


def of(security: Object) -> frozenset[str]:
    """The capabilities of a container with this `securityContext`, as names without `CAP_`; names that Linux does not have are left out."""
    if security.get("privileged"):
        return frozenset(NAMES)
    chosen = security.get("capabilities") or {}
    added, dropped = ({name.upper().removeprefix("CAP_") for name in chosen.get(field) or []} for field in ("add", "drop"))
    # ALL is looked at first, so that one capability can be taken from all, or added to none.
    start = frozenset() if "ALL" in dropped else frozenset(NAMES) if "ALL" in added else DEFAULT
    return (start | added & set(NAMES)) - dropped
