"""Validation of CustomResourceDefinitions (k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation).

The original validates its internal type, where what all versions share has moved to the top: so `spec.validation` is in the messages.
"""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.validation import content, crd_schemas, crd_versions, field, metadata
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_NAMES = ("plural", "singular", "kind", "listKind")
_SCOPES = ("Cluster", "Namespaced")


def name(definition: Object) -> Callable[[str], list[str]]:
    """The rule of a definition's name, which follows from its names and group."""
    spec = definition.get("spec") or {}
    wanted = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"

    def rule(value: str) -> list[str]:
        wrong = [] if value == wanted else ['must be spec.names.plural+"."+spec.group']
        return content.dns_subdomain(value) + wrong

    return rule


def custom_resource_definition(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    versions, shared = spec.get("versions") or [], _shared_schema(spec.get("versions") or [])
    found = _group(spec.get("group", "")) + _scope(spec.get("scope", ""))
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            found.append(field.required(_SPEC.child("versions")[index].child("schema", "openAPIV3Schema")))
    found += _versions(versions, shared)
    names, where = spec.get("names") or {}, _SPEC.child("names")
    found += [field.required(where.child(each)) for each in _NAMES if not names.get(each)]
    found += _names(names, where)
    if shared is not None:
        found += crd_schemas.schema(shared, _SPEC.child("validation", "openAPIV3Schema"))
    found += crd_versions.versions(spec, _SPEC)
    status = obj.get("status") or {}
    found += _names(status.get("acceptedNames") or {}, Path("status", "acceptedNames"))
    return found + _stored(status.get("storedVersions") or [], versions)


def custom_resource_definition_update(new: Object, old: Object) -> Errors:
    """What may not change: the group and plural never, scope and kind not once the kind is served."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    names, names_before = spec.get("names") or {}, before.get("names") or {}
    found: Errors = []
    conditions = (old.get("status") or {}).get("conditions") or []
    if any(each["type"] == "Established" and each["status"] == "True" for each in conditions):
        found += metadata.immutable(spec.get("scope"), before.get("scope"), _SPEC.child("scope"))
        found += metadata.immutable(names.get("kind"), names_before.get("kind"), _SPEC.child("names", "kind"))
    found += metadata.immutable(spec.get("group"), before.get("group"), _SPEC.child("group"))
    return found + metadata.immutable(names.get("plural"), names_before.get("plural"), _SPEC.child("names", "plural"))


def _group(group: str) -> Errors:
    where = _SPEC.child("group")
    if not group:
        return [field.required(where)]
    if why := content.dns_subdomain(group):
        return [field.invalid(where, group, ",".join(why))]
    return [] if "." in group else [field.invalid(where, group, "should be a domain with at least one dot")]


def _scope(scope: str) -> Errors:
    if not scope:
        return [field.required(_SPEC.child("scope"))]
    return [] if scope in _SCOPES else [field.not_supported(_SPEC.child("scope"), scope, _SCOPES)]


def _shared_schema(versions: list[Object]) -> Object | None:
    """The schema of all versions, where it is the same (v1/conversion.go)."""
    schemas = [(each.get("schema") or {}).get("openAPIV3Schema") for each in versions]
    return schemas[0] if schemas and all(each == schemas[0] for each in schemas) else None


def _versions(versions: list[Object], shared: Object | None) -> Errors:
    found: Errors = []
    where = _SPEC.child("versions")
    for index, version in enumerate(versions):
        if why := content.dns_1035_label(version.get("name", "")):
            found.append(field.invalid(where[index].child("name"), version.get("name", ""), ",".join(why)))
        own = (version.get("schema") or {}).get("openAPIV3Schema")
        if shared is None and own is not None:
            found += crd_schemas.schema(own, where[index].child("schema", "openAPIV3Schema"))
    shown = [_internal(each) for each in versions] or None
    names = [each.get("name", "") for each in versions]
    if len(set(names)) < len(names):
        found.append(field.invalid(where, shown, "must contain unique version names"))
    if sum(bool(each.get("storage")) for each in versions) != 1:
        found.append(field.invalid(where, shown, "must have exactly one version marked as storage version"))
    if names and names[0] and (why := content.dns_1035_label(names[0])):
        found.append(field.invalid(_SPEC.child("version"), names[0], ",".join(why)))
    return found


def _internal(version: Object) -> Object:
    """A version as the internal type shows itself, its schema at the top."""
    plain = {"Name": version.get("name", ""), "Served": version.get("served", False), "Storage": version.get("storage", False)}
    nothing = dict.fromkeys(("DeprecationWarning", "Schema", "Subresources", "AdditionalPrinterColumns", "SelectableFields"))
    return {**plain, "Deprecated": version.get("deprecated", False), **nothing}


def _names(names: Object, path: Path) -> Errors:
    found: Errors = []
    for each in _NAMES:
        given = names.get(each, "")
        mixed = each in ("kind", "listKind")
        why = content.dns_1035_label(given.lower() if mixed else given) if given else []
        if why:
            told = ",".join(why)
            found.append(
                field.invalid(path.child(each), given, f"may have mixed case, but should otherwise match: {told}" if mixed else told)
            )
    for each in ("shortNames", "categories"):
        for index, given in enumerate(names.get(each) or []):
            if why := content.dns_1035_label(given):
                found.append(field.invalid(path.child(each)[index], given, ",".join(why)))
        if each == "shortNames" and names.get("kind") and names["kind"] == names.get("listKind"):
            found.append(field.invalid(path.child("listKind"), names["listKind"], "kind and listKind may not be the same"))
    return found


def _stored(stored: list[str], versions: list[Object]) -> Errors:
    path = Path("status", "storedVersions")
    if not stored:
        return [field.invalid(path, None, "must have at least one stored version")]
    missing = [each.get("name", "") for each in versions if each.get("storage") and each.get("name", "") not in stored]
    found = [field.invalid(path, stored, f"must have the storage version {each}") for each in missing]
    known = {each.get("name", "") for each in versions}
    for index, each in enumerate(stored):
        if each not in known:
            why = (
                f"missing from spec.versions; {each} was previously a storage version, and must remain in spec.versions until a "
                f"storage migration ensures no data remains persisted in {each} and removes {each} from status.storedVersions"
            )
            found.append(field.invalid(path[index], each, why))
    return found
