"""Validation of `metadata` and of label selectors (k8s.io/apimachinery api/validation and apis/meta/v1/validation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.embedded.apiserver.validation import content, field
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, selectors

NameRule = Callable[[str], list[str]]

_ANNOTATIONS_SIZE = 256 * 1024
_EXISTS = ("Exists", "DoesNotExist")
_LISTED = ("In", "NotIn")
_METADATA = Path("metadata")
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_SYSTEM = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def label_name(value: str, path: Path) -> Errors:
    return [field.invalid(path, value, why) for why in content.qualified_name(value)]


def labels(values: dict[str, str] | None, path: Path) -> Errors:
    found: Errors = []
    for key, value in sorted((values or {}).items()):
        found += label_name(key, path)
        found += [field.invalid(path, value, why) for why in content.label_value(value)]
    return found


def annotation_map(values: dict[str, str] | None, path: Path) -> Errors:
    found: Errors = []
    size = 0
    for key, value in sorted((values or {}).items()):
        # Case does not matter in an annotation's key, so the rule for labels is asked about its lower case.
        found += [field.invalid(path, key, why) for why in content.qualified_name(key.lower())]
        size += len(key.encode()) + len(value.encode())
    if size > _ANNOTATIONS_SIZE:
        found.append(field.too_long(path, _ANNOTATIONS_SIZE))
    return found


def label_selector(selector: Object | None, path: Path) -> Errors:
    """A `metav1.LabelSelector`."""
    if selector is None:
        return []
    found = labels(selector.get("matchLabels"), path.child("matchLabels"))
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        found += _requirement(expression, path.child("matchExpressions")[index])
    return found


def template_labels(spec: Object) -> dict[str, str]:
    """The labels of a workload's Pod template."""
    return ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}


def selects(selector: Object | None, given: dict[str, str]) -> bool:
    """Whether a valid `metav1.LabelSelector` matches these labels: none matches nothing, an empty one everything."""
    return selectors.from_object(selector)(given)


def _requirement(expression: Object, path: Path) -> Errors:
    found: Errors = []
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator in _LISTED:
        if not values:
            found.append(field.required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in _EXISTS:
        if values:
            found.append(field.forbidden(path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    else:
        found.append(field.invalid(path.child("operator"), operator, "not a valid selector operator"))
    found += label_name(expression.get("key", ""), path.child("key"))
    for index, value in enumerate(values):
        found += [field.invalid(path.child("values")[index], value, why) for why in content.label_value(value)]
    return found


def _owner_references(owners: list[Object], path: Path) -> Errors:
    found: Errors = []
    controller = ""
    for owner in owners:
        if not owner.get("apiVersion"):
            found.append(field.invalid(path.child("apiVersion"), "", "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                found.append(field.invalid(path.child(name), "", "must not be empty"))
        if (owner.get("apiVersion"), owner.get("kind")) == ("v1", "Event"):
            found.append(field.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            this = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                why = f'Only one reference can have Controller set to true. Found "true" in references for {controller} and {this}'
                found.append(field.invalid(path, owners, why))
            else:
                controller = this
    return found


def _finalizers(names: list[str], path: Path) -> Errors:
    found: Errors = []
    for name in names:
        found += label_name(name, path)
    if "orphan" in names and "foregroundDeletion" in names:
        found.append(field.invalid(path, names, "finalizer foregroundDeletion and orphan cannot be both set"))
    return found


def is_standard_finalizer(name: str) -> bool:
    return name in _STANDARD_FINALIZERS


def standard_finalizer(name: str, path: Path) -> Errors:
    """core/validation validateKubeFinalizerName: a finalizer of Kubernetes' own, or one with a domain."""
    if "/" in name or name in _STANDARD_FINALIZERS:
        return []
    return [field.invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified")]


def standard_finalizers(metadata: Object) -> Errors:
    """What core/validation ValidateObjectMeta looks at beside the metadata of any object."""
    path = _METADATA.child("finalizers")
    return [error for index, name in enumerate(metadata.get("finalizers") or []) for error in standard_finalizer(name, path[index])]


def object_meta(metadata: Object, namespaced: bool, name_rule: NameRule, path: Path = _METADATA) -> Errors:
    """The metadata of an object that is created; `name_rule` says what is wrong with a name."""
    found: Errors = []
    name, prefix = metadata.get("name", ""), metadata.get("generateName", "")
    if prefix:
        # A prefix may end in a dash, which the generated part follows.
        probe = prefix[:-1] + "a" if prefix.endswith("-") and len(prefix) > 1 else prefix
        found += [field.invalid(path.child("generateName"), prefix, why) for why in name_rule(probe)]
    if not name:
        found.append(field.required(path.child("name"), "name or generateName is required"))
    else:
        found += [field.invalid(path.child("name"), name, why) for why in name_rule(name)]
    namespace = metadata.get("namespace", "")
    if namespaced and not namespace:
        found.append(field.required(path.child("namespace")))
    elif namespaced:
        found += [field.invalid(path.child("namespace"), namespace, why) for why in content.dns_label(namespace)]
    elif namespace:
        found.append(field.forbidden(path.child("namespace"), "not allowed on this type"))
    return found + _common(metadata, path)


def _common(metadata: Object, path: Path) -> Errors:
    found = labels(metadata.get("labels"), path.child("labels"))
    found += annotation_map(metadata.get("annotations"), path.child("annotations"))
    found += _owner_references(metadata.get("ownerReferences") or [], path.child("ownerReferences"))
    return found + _finalizers(metadata.get("finalizers") or [], path.child("finalizers"))


def object_meta_update(new: Object, old: Object, path: Path = _METADATA) -> Errors:
    found: Errors = []
    if old.get("deletionTimestamp"):
        extra = sorted(set(new.get("finalizers") or []) - set(old.get("finalizers") or []))
        if extra:
            listed = "[]string{" + ", ".join(map(field.quote, extra)) + "}"
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
            found.append(field.forbidden(path.child("finalizers"), why))
    for name in ("name", "namespace", *_SYSTEM):
        if new.get(name) != old.get(name):
            found.append(field.invalid(path.child(name), new.get(name), content.IMMUTABLE))
    return found + _common(new, path)


def immutable(new: Any, old: Any, path: Path) -> Errors:
    return [] if new == old else [field.invalid(path, new, content.IMMUTABLE)]
