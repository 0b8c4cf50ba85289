"""The Pod Security Standards: which checks a level has, as of which version, and what they find in a Pod.

The list and its versions are those of k8s.io/pod-security-admission/policy, its words as well: they are in the refusals that people search for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from clusters.embedded.apiserver.admission.pod_security import baseline, restricted
from clusters.embedded.apiserver.admission.pod_security.finding import Finding
from clusters.embedded.apiserver.admission.pod_security.policy import BASELINE, PRIVILEGED, Level
from kubeobjects import Object

# The Pod's metadata and spec flow in; None comes out where nothing is wrong.
Rule = Callable[[Object, Object], Finding | None]


@dataclass(frozen=True)
class Check:
    """`revisions` are (minor version that it holds from, rule), oldest first. `instead_of` names the baseline check that it makes needless."""

    name: str
    revisions: tuple[tuple[int, Rule], ...]
    instead_of: str = ""

    def as_of(self, minor: int | None) -> Rule | None:
        held = [rule for since, rule in self.revisions if minor is None or since <= minor]
        return held[-1] if held else None


# In the order in which findings are told: by name, baseline before restricted.
_BASELINE = (
    Check("appArmorProfile", ((0, baseline.app_armor_profile),)),
    Check("capabilities_baseline", ((0, baseline.capabilities),)),
    Check("hostNamespaces", ((0, baseline.host_namespaces),)),
    Check("hostPathVolumes", ((0, baseline.host_path_volumes),)),
    Check("hostPorts", ((0, baseline.host_ports),)),
    Check("hostProbesAndHostLifecycle", ((34, baseline.probe_hosts),)),
    Check("privileged", ((0, baseline.privileged),)),
    Check("procMount", ((0, baseline.proc_mount), (35, baseline.proc_mount_outside_user_namespaces))),
    Check("seLinuxOptions", ((0, baseline.selinux_options_before_1_31), (31, baseline.selinux_options))),
    Check("seccompProfile_baseline", ((0, baseline.seccomp_annotations), (19, baseline.seccomp_profile))),
    Check(
        "sysctls",
        (
            (0, baseline.sysctls_of(0)),
            (27, baseline.sysctls_of(27)),
            (29, baseline.sysctls_of(29)),
            (32, baseline.sysctls_of(32)),
        ),
    ),
    Check("windowsHostProcess", ((0, baseline.windows_host_process),)),
)
_RESTRICTED = (
    Check("allowPrivilegeEscalation", ((8, restricted.privilege_escalation), (25, restricted.on_linux(restricted.privilege_escalation)))),
    Check(
        "capabilities_restricted",
        ((22, restricted.capabilities), (25, restricted.on_linux(restricted.capabilities))),
        instead_of="capabilities_baseline",
    ),
    Check("procMount_restricted", ((35, baseline.proc_mount),), instead_of="procMount"),
    Check("restrictedVolumes", ((0, restricted.volumes),), instead_of="hostPathVolumes"),
    Check("runAsNonRoot", ((0, restricted.run_as_non_root), (35, restricted.without_user_namespace(restricted.run_as_non_root)))),
    Check("runAsUser", ((23, restricted.run_as_user), (35, restricted.without_user_namespace(restricted.run_as_user)))),
    Check(
        "seccompProfile_restricted",
        ((19, restricted.seccomp_profile), (25, restricted.on_linux(restricted.seccomp_profile))),
        instead_of="seccompProfile_baseline",
    ),
)


@cache
def rules(level: Level) -> tuple[Rule, ...]:
    """The rules of a level, in the order in which they are told. A version newer than all rules is the newest one."""
    if level.name == PRIVILEGED:
        return ()
    strict = [] if level.name == BASELINE else [(check, rule) for check in _RESTRICTED if (rule := check.as_of(level.minor))]
    needless = {check.instead_of for check, _ in strict}
    common = [rule for check in _BASELINE if check.name not in needless and (rule := check.as_of(level.minor))]
    return (*common, *(rule for _, rule in strict))


def findings(level: Level, metadata: Object, spec: Object) -> list[Finding]:
    """What speaks against this Pod at this level; empty where it is allowed."""
    return [found for rule in rules(level) if (found := rule(metadata, spec))]
