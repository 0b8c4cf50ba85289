"""Validation of roles and their bindings (rbac/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, metadata, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object
from kubeobjects.equality import same

_RBAC = "rbac.authorization.k8s.io"


def _rules(rules: list[Object], *, namespaced: bool) -> Errors:
    found: Errors = []
    for index, rule in enumerate(rules):
        path = Path("rules")[index]
        if not rule.get("verbs"):
            found.append(field.required(path.child("verbs"), "verbs must contain at least one value"))
        urls = rule.get("nonResourceURLs") or []
        if urls:
            if namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                found.append(field.invalid(path.child("nonResourceURLs"), urls, why))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                found.append(field.invalid(path.child("nonResourceURLs"), urls, why))
            continue
        if not rule.get("apiGroups"):
            found.append(field.required(path.child("apiGroups"), "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            found.append(field.required(path.child("resources"), "resource rules must supply at least one resource"))
    return found


def role(obj: Object) -> Errors:
    return _rules(obj.get("rules") or [], namespaced=True)


def cluster_role(obj: Object) -> Errors:
    found = _rules(obj.get("rules") or [], namespaced=False)
    aggregation, path = obj.get("aggregationRule"), Path("aggregationRule", "clusterRoleSelectors")
    if aggregation is None:
        return found
    selectors = aggregation.get("clusterRoleSelectors") or []
    if not selectors:
        found.append(field.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for index, selector in enumerate(selectors):
        refused = metadata.label_selector(selector, path[index])
        found += refused
        if refused:
            found.append(field.invalid(path[index], None, "invalid label selector."))
    return found


def _binding(obj: Object, kinds: tuple[str, ...], *, namespaced: bool) -> Errors:
    found: Errors = []
    reference, path = obj.get("roleRef") or {}, Path("roleRef")
    if reference.get("apiGroup") != _RBAC:
        found.append(field.not_supported(path.child("apiGroup"), reference.get("apiGroup", ""), (_RBAC,)))
    if reference.get("kind") not in kinds:
        found.append(field.not_supported(path.child("kind"), reference.get("kind", ""), kinds))
    if not reference.get("name"):
        found.append(field.required(path.child("name")))
    else:
        found += values.all_of(path.child("name"), reference["name"], content.path_segment(reference["name"]))
    for index, subject in enumerate(obj.get("subjects") or []):
        found += _subject(subject, Path("subjects")[index], namespaced=namespaced)
    return found


def _subject(subject: Object, path: Path, *, namespaced: bool) -> Errors:
    """A service account of no namespace is one of the binding's own, where the binding has one."""
    found: Errors = []
    kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
    if not name:
        found.append(field.required(path.child("name")))
    if kind == "ServiceAccount":
        if name:
            found += values.all_of(path.child("name"), name, content.dns_subdomain(name))
        if group:
            found.append(field.not_supported(path.child("apiGroup"), group, ("",)))
        if not namespaced and not subject.get("namespace"):
            found.append(field.required(path.child("namespace")))
    elif kind in ("User", "Group"):
        if group != _RBAC:
            found.append(field.not_supported(path.child("apiGroup"), group, (_RBAC,)))
    else:
        found.append(field.not_supported(path.child("kind"), kind, ("ServiceAccount", "User", "Group")))
    return found


def role_binding(obj: Object) -> Errors:
    return _binding(obj, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding(obj: Object) -> Errors:
    return _binding(obj, ("ClusterRole",), namespaced=False)


def binding_update(new: Object, old: Object) -> Errors:
    if same(new.get("roleRef"), old.get("roleRef")):
        return []
    # As the internal type is written.
    reference = new.get("roleRef") or {}
    shown = {"APIGroup": reference.get("apiGroup", ""), "Kind": reference.get("kind", ""), "Name": reference.get("name", "")}
    return [field.invalid(Path("roleRef"), shown, "cannot change roleRef")]
