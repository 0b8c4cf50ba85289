"""Warnings of Pods and Pod templates (pkg/api/pod/warnings.go, pkg/api/node/util.go)."""

from __future__ import annotations

from clusters.embedded.apiserver.object_warnings import paths, quantities
from clusters.embedded.apiserver.validation import content
from clusters.embedded.apiserver.validation.field import Path, quote
from kubeobjects import Object

Warnings = list[str]

DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
_DEPRECATED_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_MATCHES_NOTHING = "a null labelSelector results in matching no pod"
_BYTES = ("memory", "ephemeral-storage")


def of(spec: Object, metadata: Object, path: Path) -> Warnings:
    """`path` is the template's, or empty for a Pod."""
    where = path.child("spec")
    found = [
        f"{where.child('nodeSelector').key(each)}: {DEPRECATED_LABELS[each]}"
        for each in sorted(spec.get("nodeSelector") or {})
        if each in DEPRECATED_LABELS
    ]
    found += _node_affinity((spec.get("affinity") or {}).get("nodeAffinity") or {}, where.child("affinity", "nodeAffinity"))
    found += _spread(spec.get("topologySpreadConstraints") or [], where.child("topologySpreadConstraints"))
    for name, why in _DEPRECATED_ANNOTATIONS.items():
        if name in (metadata.get("annotations") or {}):
            found.append(f"{path.child('metadata', 'annotations').key(name)}: {why}")
    for index, volume in enumerate(spec.get("volumes") or []):
        claim = ((volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}).get("spec") or {}
        found += quantities.of_claim(claim, where.child("volumes")[index].child("ephemeral", "volumeClaimTemplate", "spec"))
    found += paths.overlapping(spec.get("volumes") or []) + _repeated(spec, where)
    found += quantities.fractional(spec.get("overhead") or {}, _BYTES, where.child("overhead"))
    containers = _containers(spec, where)
    for container, each in containers:
        found += _amounts(container, each) + _variables(container.get("env") or [], each.child("env"))
    found += _ports(containers)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{where.child('terminationGracePeriodSeconds')}: {why}")
    return found + _pod_affinity(spec.get("affinity") or {}, where.child("affinity"))


def _containers(spec: Object, path: Path) -> list[tuple[Object, Path]]:
    """Every container with its path, in the order in which they are visited."""
    return [
        (container, path.child(kind)[index])
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for index, container in enumerate(spec.get(kind) or [])
    ]


def of_node_term(term: Object, path: Path, *, values: bool) -> Warnings:
    """A node selector term; `values` says whether its values are looked at, where validation lets them through."""
    found: Warnings = []
    for index, each in enumerate(term.get("matchExpressions") or []):
        where, key = path.child("matchExpressions")[index], each.get("key", "")
        if key in DEPRECATED_LABELS:
            found.append(f"{where.child('key')}: {key} is {DEPRECATED_LABELS[key]}")
        for number, value in enumerate(each.get("values") or [] if values else []):
            found += [f"{where.child('values')[number]}: {value} is invalid, {why}" for why in content.label_value(value)]
    return found


def _node_affinity(affinity: Object, path: Path) -> Warnings:
    found: Warnings = []
    where = path.child(_REQUIRED, "nodeSelectorTerms")
    for index, term in enumerate((affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []):
        found += of_node_term(term, where[index], values=False)
    for index, term in enumerate(affinity.get(_PREFERRED) or []):
        found += of_node_term(term.get("preference") or {}, path.child(_PREFERRED)[index].child("preference"), values=True)
    return found


def _spread(constraints: list[Object], path: Path) -> Warnings:
    found: Warnings = []
    for index, each in enumerate(constraints):
        key = each.get("topologyKey", "")
        if key in DEPRECATED_LABELS:
            found.append(f"{path[index].child('topologyKey')}: {key} is {DEPRECATED_LABELS[key]}")
        if each.get("labelSelector") is None:
            found.append(f"{path[index].child('labelSelector')}: {_MATCHES_NOTHING}")
    return found


def _pod_affinity(affinity: Object, path: Path) -> Warnings:
    found: Warnings = []
    for kind in ("podAffinity", "podAntiAffinity"):
        terms, where = affinity.get(kind) or {}, path.child(kind)
        for index, term in enumerate(terms.get(_REQUIRED) or []):
            if term.get("labelSelector") is None:
                found.append(f"{where.child(_REQUIRED)[index].child('labelSelector')}: {_MATCHES_NOTHING}")
        for index, term in enumerate(terms.get(_PREFERRED) or []):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                found.append(f"{where.child(_PREFERRED)[index].child('podAffinityTerm', 'labelSelector')}: {_MATCHES_NOTHING}")
    return found


def _repeated(spec: Object, path: Path) -> Warnings:
    found: Warnings = []
    for kind, name in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen: set[str] = set()
        for index, each in enumerate(spec.get(kind) or []):
            value = each.get(name, "")
            if value in seen:
                found.append(f"{path.child(kind)[index].child(name)}: duplicate {name} {quote(value)}")
            seen.add(value)
    for index, each in enumerate(spec.get("imagePullSecrets") or []):
        if not each.get("name"):
            found.append(f'{path.child("imagePullSecrets")[index].child("name")}: invalid empty name ""')
    return found


def _amounts(container: Object, path: Path) -> Warnings:
    resources = container.get("resources") or {}
    return [
        each
        for name in _BYTES
        for part in ("limits", "requests")
        for each in quantities.fractional(resources.get(part) or {}, (name,), path.child("resources", part))
    ]


def _variables(variables: list[Object], path: Path) -> Warnings:
    found: Warnings = []
    seen: set[str] = set()
    for index, each in enumerate(variables):
        name, value = each.get("name", ""), each.get("value", "")
        reference = f"$({name})"
        # A variable may be built from its earlier self.
        if name in seen and (each.get("valueFrom") is not None or value == reference or reference not in value):
            found.append(f"{path[index]}: hides previous definition of {quote(name)}, which may be dropped when using apply")
        seen.add(name)
    return found


def _ports(containers: list[tuple[Object, Path]]) -> Warnings:
    found: Warnings = []
    taken: dict[tuple[int, str], list[tuple[Path, Object]]] = {}
    names: dict[str, Path] = {}
    repeated: Warnings = []
    for container, path in containers:
        for index, port in enumerate(container.get("ports") or []):
            where = path.child("ports")[index]
            others = taken.setdefault((port.get("containerPort", 0), port.get("protocol", "")), [])
            found += [each for other in others if (each := _overlap(where, port, *other))]
            others.append((where, port))
            name = port.get("name", "")
            if name in names:
                why = f"services and probes that select ports by name will use {names[name]}"
                repeated.append(f"{where}: duplicate port name {quote(name)} with {names[name]}, {why}")
            elif name:
                names[name] = where
    return found + repeated


def _overlap(where: Path, port: Object, other: Path, theirs: Object) -> str:
    address, their_address = port.get("hostIP", ""), theirs.get("hostIP", "")
    number, their_number = port.get("hostPort", 0), theirs.get("hostPort", 0)
    if (address, number) == (their_address, their_number):
        return f"{where}: duplicate port definition with {other}"
    if not number or not their_number:
        return f"{where}: overlapping port definition with {other}"
    if number == their_number and bool(address) is not bool(their_address):
        return f"{where}: dangerously ambiguous port definition with {other}"
    return ""
