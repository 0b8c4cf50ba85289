"""Validation of ResourceClaims, their templates, and DeviceClasses (resource/validation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from clusters.embedded.apiserver.validation import content, expressions, field, internal_types, metadata, resources, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_MODES = ("All", "ExactCount")
_MOST = 32
_MOST_ALTERNATIVES = 8
_MOST_TOLERATIONS = 16
_LONGEST_EXPRESSION = 10 * 1024
_LONGEST_IDENTIFIER = 32
_LONGEST_DRIVER = 63
_LONGEST_PARAMETERS = 10 * 1024
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_NO_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"


def resource_claim(obj: Object) -> Errors:
    return _devices((obj.get("spec") or {}).get("devices") or {}, _SPEC.child("devices"))


def resource_claim_template(obj: Object) -> Errors:
    return _devices(((obj.get("spec") or {}).get("spec") or {}).get("devices") or {}, _SPEC.child("spec", "devices"))


def spec_update(new: Object, old: Object) -> Errors:
    """What a claim asks for stays."""
    return metadata.immutable(new.get("spec"), old.get("spec"), _SPEC)


def template_update(new: Object, old: Object) -> Errors:
    """What claims are made from stays."""
    if new.get("spec") == old.get("spec"):
        return []
    return [internal_types.invalid(_SPEC, "resource.ResourceClaimTemplateSpec", new.get("spec") or {}, content.IMMUTABLE)]


def device_class(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = _selectors(spec.get("selectors") or [], _SPEC.child("selectors"))
    found += items(spec.get("config") or [], _MOST, configuration, _SPEC.child("config"))
    extended = spec.get("extendedResourceName")
    if extended is not None and not resources.is_extended(extended):
        found.append(field.invalid(_SPEC.child("extendedResourceName"), extended, "must be a valid extended resource name"))
    return found


def items(given: list[Any], most: int, check: Callable[[Any, Path], Errors], path: Path, key: Callable[[Any], str] | None = None) -> Errors:
    """Each item of a list of limited length; with `key`, what it gives may be there once (validateSlice, validateSet)."""
    if len(given) > most:
        return [field.too_many(path, len(given), most)]
    found = [error for index, each in enumerate(given) for error in check(each, path[index])]
    seen: set[str] = set()
    for index, each in enumerate(given):
        name = key(each) if key is not None else ""
        if key is not None and name in seen:
            found.append(field.duplicate(path[index], name))
        seen.add(name)
    return found


def driver_name(name: str, path: Path) -> Errors:
    if not name:
        return [field.required(path)]
    found = [field.too_long(path, _LONGEST_DRIVER)] if len(name.encode()) > _LONGEST_DRIVER else []
    return found + values.all_of(path, name, content.dns_subdomain(name.lower()))


def qualified_name(name: str, path: Path) -> Errors:
    """The name of an attribute or capacity: an identifier, behind a driver's domain or not."""
    domain, slash, own = name.rpartition("/")
    if "/" in domain:
        return []
    found: Errors = []
    if slash:
        found += driver_name(domain, path) if domain else [field.invalid(path, "", "the domain must not be empty")]
        if not own:
            return [*found, field.invalid(path, "", "the name must not be empty")]
    if len(own.encode()) > _LONGEST_IDENTIFIER:
        found.append(field.too_long(path, _LONGEST_IDENTIFIER))
    return found + values.all_of(path, own, content.c_identifier(own))


def _fully_qualified_name(name: str, path: Path) -> Errors:
    found = qualified_name(name, path)
    if "/" not in name:
        found.append(field.invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash"))
    return found


def _label(name: str, path: Path) -> Errors:
    return values.all_of(path, name, content.dns_label(name))


def request_names(devices: Object) -> set[str]:
    """What constraints, configuration and results may refer to: requests, and their alternatives as `request/alternative`."""
    known = set()
    for request in devices.get("requests") or []:
        name = request.get("name", "")
        known |= {name, *(f"{name}/{each.get('name', '')}" for each in request.get("firstAvailable") or [])}
    return known


def _devices(devices: Object, path: Path) -> Errors:
    known = request_names(devices)

    def constraint(each: Object, where: Path) -> Errors:
        return _constraint(each, known, where)

    def config(each: Object, where: Path) -> Errors:
        return references(each.get("requests") or [], known, where.child("requests")) + configuration(each, where)

    found = items(devices.get("requests") or [], _MOST, _request, path.child("requests"), lambda each: str(each.get("name", "")))
    found += items(devices.get("constraints") or [], _MOST, constraint, path.child("constraints"))
    return found + items(devices.get("config") or [], _MOST, config, path.child("config"))


def references(names: list[str], known: set[str], path: Path) -> Errors:
    """A list of requests of the claim, each once."""
    return items(names, _MOST, lambda each, where: reference(each, known, where), path, str)


def reference(name: str, known: set[str], path: Path) -> Errors:
    parts = name.split("/")
    if len(parts) > 2:
        return [field.invalid(path, name, _NO_REQUEST)]
    found = [error for part in parts for error in _label(part, path)]
    return found if name in known else [*found, field.invalid(path, name, _NO_REQUEST)]


def configuration(config: Object, path: Path) -> Errors:
    """What a driver is told about its devices."""
    opaque, where = config.get("opaque"), path.child("opaque")
    if opaque is None:
        return [field.required(where)]
    return driver_name(opaque.get("driver", ""), where.child("driver")) + raw(opaque.get("parameters"), where.child("parameters"))


def raw(value: Any, path: Path, most: int = _LONGEST_PARAMETERS) -> Errors:
    """An object whose fields are somebody else's."""
    if value is None:
        return [field.required(path)]
    if len(orjson.dumps(value)) > most:
        return [field.too_long(path, most)]
    return [] if isinstance(value, dict) else [field.invalid(path, "<value omitted>", "must be a valid JSON object")]


def _request(request: Object, path: Path) -> Errors:
    found = _label(request.get("name", ""), path.child("name"))
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable") or []
    if exactly is not None and alternatives:
        found.append(field.invalid(path, None, f"{_ONE_KIND}, but multiple fields are set"))
    elif exactly is not None:
        found += _wanted(exactly, path.child("exactly"))
    elif alternatives:
        where = path.child("firstAvailable")
        found += items(alternatives, _MOST_ALTERNATIVES, _alternative, where, lambda each: str(each.get("name", "")))
    else:
        found.append(field.required(path, _ONE_KIND))
    return found


def _alternative(request: Object, path: Path) -> Errors:
    return _label(request.get("name", ""), path.child("name")) + _wanted(request, path)


def _wanted(request: Object, path: Path) -> Errors:
    name, mode, count = request.get("deviceClassName", ""), request.get("allocationMode", ""), request.get("count", 0)
    found: Errors = []
    if name:
        found += values.all_of(path.child("deviceClassName"), name, content.dns_subdomain(name))
    else:
        found.append(field.required(path.child("deviceClassName")))
    found += _selectors(request.get("selectors") or [], path.child("selectors"))
    if mode not in _MODES:
        found.append(field.not_supported(path.child("allocationMode"), mode, _MODES))
    elif mode == "All" and count:
        found.append(field.invalid(path.child("count"), count, "must not be specified when allocationMode is 'All'"))
    elif mode == "ExactCount" and count <= 0:
        found.append(field.invalid(path.child("count"), count, "must be greater than zero"))
    return found + items(request.get("tolerations") or [], _MOST_TOLERATIONS, _toleration, path.child("tolerations"))


def _toleration(toleration: Object, path: Path) -> Errors:
    found: Errors = metadata.label_name(toleration["key"], path.child("key")) if toleration.get("key") else []
    operator, value = toleration.get("operator", ""), toleration.get("value", "")
    if operator == "Exists":
        found += [field.invalid(path.child("value"), value, "must be empty for operator `Exists`")] if value else []
    elif operator == "Equal":
        found += values.all_of(path.child("value"), value, content.label_value(value))
    else:
        found += values.choice(operator, path.child("operator"), ("Equal", "Exists"))
    if toleration.get("effect"):
        found += values.choice(toleration["effect"], path.child("effect"), _EFFECTS)
    return found


def _selectors(selectors: list[Object], path: Path) -> Errors:
    return items(selectors, _MOST, _selector, path)


def _selector(selector: Object, path: Path) -> Errors:
    if selector.get("cel") is None:
        return [field.required(path.child("cel"))]
    expression, where = selector["cel"].get("expression", ""), path.child("cel", "expression")
    if len(expression.encode()) > _LONGEST_EXPRESSION:
        return [field.too_long(where, _LONGEST_EXPRESSION)]
    return expressions.condition(expression, expressions.DEVICE, where, "must evaluate to bool or the unknown type, not {}")


def _constraint(constraint: Object, known: set[str], path: Path) -> Errors:
    found = references(constraint.get("requests") or [], known, path.child("requests"))
    for name in ("matchAttribute", "distinctAttribute"):
        if constraint.get(name) is not None:
            return found + _fully_qualified_name(constraint[name], path.child(name))
    # The words are the original's.
    why = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    return [*found, field.required(path, why)]
