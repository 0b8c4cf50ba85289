"""A namespace's labels become the levels that its Pods are held against (k8s.io/pod-security-admission/api, PolicyToEvaluate)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from clusters.embedded.errors import FieldError
from kubeobjects import Object

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
_STRICTNESS = (PRIVILEGED, BASELINE, RESTRICTED)
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")
# Newer than every minor version.
LATEST = None


@dataclass(frozen=True)
class Level:
    """One of the three standards, as of a minor version of Kubernetes 1; None means the latest."""

    name: str = PRIVILEGED
    minor: int | None = LATEST

    def __str__(self) -> str:
        return f"{self.name}:{'latest' if self.minor is None else f'v1.{self.minor}'}"

    @property
    def strictness(self) -> int:
        return _STRICTNESS.index(self.name)


@dataclass(frozen=True)
class Policy:
    """What is refused, what is noted in the audit log, and what is answered with a warning."""

    enforce: Level = Level()
    audit: Level = Level()
    warn: Level = Level()

    @property
    def asks_nothing(self) -> bool:
        return self.enforce.name == self.audit.name == self.warn.name == PRIVILEGED


def of_namespace(namespace: Object) -> tuple[Policy, list[FieldError]]:
    """The policy that the namespace's labels ask for, and what is wrong with them.

    A label that cannot be read enforces the strictest level; audit and warn let everything pass then.
    """
    labels: dict[str, str] = namespace["metadata"].get("labels") or {}
    causes: list[FieldError] = []
    levels = {}
    for mode in ("enforce", "audit", "warn"):
        levels[mode] = _level(labels, mode, causes)
    read = not any(cause.field.endswith(f"[{PREFIX}enforce]") for cause in causes)
    policy = Policy(**levels)
    # A namespace that enforces more than it warns of warns of what it enforces.
    if f"{PREFIX}enforce" in labels and read and f"{PREFIX}warn" not in labels and policy.enforce.strictness > policy.warn.strictness:
        minor = policy.warn.minor if f"{PREFIX}warn-version" in labels else policy.enforce.minor
        policy = replace(policy, warn=Level(policy.enforce.name, minor))
    return policy, causes


def _level(labels: dict[str, str], mode: str, causes: list[FieldError]) -> Level:
    name, minor = PRIVILEGED, LATEST
    if (asked := labels.get(PREFIX + mode)) is not None:
        name = asked
        if asked not in _STRICTNESS:
            causes.append(_invalid(PREFIX + mode, asked, f"must be one of {', '.join(_STRICTNESS)}"))
            name = RESTRICTED if mode == "enforce" else PRIVILEGED
    if (asked := labels.get(f"{PREFIX}{mode}-version")) is not None and asked != "latest":
        if found := _VERSION.fullmatch(asked):
            minor = int(found[1])
        else:
            causes.append(_invalid(f"{PREFIX}{mode}-version", asked, 'must be "latest" or "v1.x"'))
    return Level(name, minor)


def _invalid(label: str, value: str, why: str) -> FieldError:
    return FieldError(f"metadata.labels[{label}]", "FieldValueInvalid", f'Invalid value: "{value}": {why}')
