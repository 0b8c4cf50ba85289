"""Whether a value is what its schema asks for, in the words of k8s.io/kube-openapi/pkg/validation.

Also ratcheting: on an update, what was wrong already and has not changed is let through (pkg/apiserver/validation/ratcheting.go).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clusters.embedded import scalars
from clusters.embedded.apiserver.customresources import formats, patterns, structural
from clusters.embedded.apiserver.validation import field as errors
from clusters.embedded.apiserver.validation.field import Errors, Path
from clusters.embedded.errors import FieldError
from kubeobjects import Object

ABSENT = object()
_KINDS = {bool: "boolean", str: "string", int: "integer", float: "number", list: "array", dict: "object"}
_INT32 = 2**31
_FLOAT32 = 3.4028234663852886e38


@dataclass
class _Result:
    """Errors, each once, and how many checks were made: of several schemas the one with most checks tells what is wrong."""

    errors: dict[str, FieldError] = field(default_factory=dict)
    checks: int = 0

    def add(self, *found: FieldError) -> None:
        for each in found:
            # Told apart by their words, as the original does, which name the place.
            self.errors.setdefault(each.message if each.kind != "FieldValueRequired" else str(each), each)

    def merge(self, other: _Result) -> None:
        self.add(*other.errors.values())
        self.checks += other.checks


@dataclass(frozen=True)
class _Place:
    """Where a value is: `base` is the part of the path that the messages do not name (`status` in a status update)."""

    base: Path
    name: str = ""

    @property
    def path(self) -> Path:
        name = self.name.removeprefix(".")
        return self.base.child(name) if name else self.base

    def below(self, name: str) -> _Place:
        return _Place(self.base, f"{self.name}.{name}" if self.name else name)

    def item(self, index: int) -> _Place:
        return _Place(self.base, f"{self.name}[{index}]")

    @property
    def body(self) -> str:
        return f"{self.name} in body"


def check(value: Any, schema: Object, old: Any = ABSENT, base: Path | None = None) -> Errors:
    """What is wrong with `value`, at and below `base`. `old` is what it replaces."""
    return list(_check(value, schema, _Place(base or Path()), old).errors.values())


def _type_error(place: _Place, wanted: str, value: str) -> FieldError:
    told = f"{place.body} must be of type {wanted}: {errors.quote(value)}"
    return FieldError(str(place.path), "FieldValueTypeInvalid", f"Invalid value: {errors.quote(value)}: {told}")


def _plain(place: _Place, told: str) -> FieldError:
    """An error that the original makes without a field."""
    return errors.invalid(place.base, "", told)


def types(schema: Object) -> list[str]:
    if schema.get(structural.INT_OR_STRING):
        return ["integer", "string"]
    return [schema["type"]] if schema.get("type") else []


def _check(value: Any, schema: Object, place: _Place, old: Any = ABSENT) -> _Result:
    result = _Result()
    wanted, form = types(schema), formats.supported(schema)
    if wanted or form:
        result.checks += 2 if value is not None else 1
        _check_type(value, wanted, form, bool(schema.get("nullable")), place, result)
    if value is None:
        _check_enum(value, schema, place, result)
        return result
    _check_junctors(value, schema, place, result)
    result.checks += 2
    if isinstance(value, str):
        _check_text(value, schema, place, result)
        result.checks += 1
        if form and not formats.fits(form, value):
            result.add(_type_error(place, form, value))
        result.checks += bool(form)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, schema, wanted, form, place, result)
        result.checks += 2
    elif isinstance(value, list):
        _check_list(value, schema, place, old, result)
        result.checks += 2
    _check_enum(value, schema, place, result)
    result.checks += 1
    if isinstance(value, dict):
        _check_object(value, schema, place, old, result)
        result.checks += 1
    result.checks += 1
    return result


def _check_type(value: Any, wanted: list[str], form: str, nullable: bool, place: _Place, result: _Result) -> None:
    if value is None:
        if wanted and not nullable:
            result.add(_type_error(place, ",".join(wanted), "null"))
        return
    given = _KINDS[type(value)]
    numeric = {"number", "integer"} & {*wanted}
    whole = given == "number" and float(value).is_integer() and "integer" in wanted
    fits = given in wanted or whole or (given == "integer" and "number" in wanted)
    if form and not isinstance(value, str | list) and not fits:
        shown = {"integer": "int64", "number": "float64"}.get(given, "")
        result.add(_type_error(place, form, shown))
    elif form and not numeric and isinstance(value, str | list):
        return
    elif not fits:
        result.add(_type_error(place, ",".join(wanted), given))


def _check_enum(value: Any, schema: Object, place: _Place, result: _Result) -> None:
    allowed = schema.get("enum")
    if not allowed or any(each == value and isinstance(each, bool) == isinstance(value, bool) for each in allowed if each is not None):
        return
    shown = [each if isinstance(each, str) else errors.render(each) for each in allowed]
    result.add(errors.not_supported(place.path, value, shown))


def _check_text(value: str, schema: Object, place: _Place, result: _Result) -> None:
    most, least, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if most is not None and len(value) > most:
        result.add(errors.too_long(place.path, most))
    elif least is not None and len(value) < least:
        result.add(errors.invalid(place.path, value, f"{place.body} should be at least {least} chars long"))
    elif pattern and not patterns.compiled(pattern).search(value):
        result.add(errors.invalid(place.path, value, f"{place.body} should match '{pattern}'"))


def _shown(limit: float, value: float) -> str:
    return str(int(limit)) if isinstance(value, int) else scalars.go_float(float(limit))


def _check_number(value: float, schema: Object, wanted: list[str], form: str, place: _Place, result: _Result) -> None:
    single = wanted[0] if len(wanted) == 1 else ""
    if (single == "integer" and form == "int32" and not -_INT32 <= value < _INT32) or (
        single == "number" and form == "float" and abs(value) > _FLOAT32
    ):
        result.add(_plain(place, f"Checked value must be of type {single} with format {form} in {place.name}"))
    factor, least, most = schema.get("multipleOf"), schema.get("minimum"), schema.get("maximum")
    if factor is not None and value % factor:
        result.add(errors.invalid(place.path, value, f"{place.body} should be a multiple of {_shown(factor, value)}"))
    if least is not None:
        strictly = bool(schema.get("exclusiveMinimum"))
        if value < least or (strictly and value == least):
            words = "greater than" if strictly else "greater than or equal to"
            result.add(errors.invalid(place.path, value, f"{place.body} should be {words} {_shown(least, value)}"))
    if most is not None:
        strictly = bool(schema.get("exclusiveMaximum"))
        if value > most or (strictly and value == most):
            words = "less than" if strictly else "less than or equal to"
            result.add(errors.invalid(place.path, value, f"{place.body} should be {words} {_shown(most, value)}"))


def correlated(items: list[Any], schema: Object, old: Any) -> list[Any]:
    """For each item the one that it replaces: by its keys in a list that is a map, else by nothing (ABSENT)."""
    keys = schema.get(structural.LIST_KEYS) if schema.get(structural.LIST_TYPE) == "map" else None
    if not keys or not isinstance(old, list):
        return [ABSENT] * len(items)

    def identity(item: Any) -> str:
        return repr([item.get(key) for key in keys]) if isinstance(item, dict) else ""

    before = {identity(each): each for each in old}
    return [before.get(identity(each), ABSENT) for each in items]


def _check_list(value: list[Any], schema: Object, place: _Place, old: Any, result: _Result) -> None:
    items, least, most = schema.get("items"), schema.get("minItems"), schema.get("maxItems")
    if items is not None:
        for index, (item, before) in enumerate(zip(value, correlated(value, schema, old), strict=True)):
            if before is ABSENT or before != item:
                result.merge(_check(item, items, place.item(index), before))
    if least is not None and len(value) < least:
        result.add(errors.invalid(place.path, len(value), f"{place.body} should have at least {least} items"))
    if most is not None and len(value) > most:
        result.add(errors.too_many(place.path, len(value), most))


def in_turn(names: Any) -> list[str]:
    """Names in the order in which errors are told. Go walks a small map from a random place on and around: the last comes first here."""
    ordered = sorted(names)
    return ordered[-1:] + ordered[:-1]


def _check_object(value: Object, schema: Object, place: _Place, old: Any, result: _Result) -> None:
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if least is not None and len(value) < least:
        result.add(errors.invalid(place.path, len(value), f"{place.body} should have at least {least} properties"))
    if most is not None and len(value) > most:
        result.add(errors.too_many(place.path, len(value), most))
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    before = old if isinstance(old, dict) else {}
    for name in in_turn(value.keys() - properties.keys()):
        if more is False:
            told = f"{place.name}.{name} in body is a forbidden property"
            result.add(errors.invalid(place.path, name, told))
        elif isinstance(more, dict) and before.get(name, ABSENT) != value[name]:
            result.merge(_check(value[name], more, _Place(place.base, f"{place.name}.{name}"), before.get(name, ABSENT)))
    for name in in_turn(value.keys() & properties.keys()):
        if before.get(name, ABSENT) is ABSENT or before[name] != value[name]:
            result.merge(_check(value[name], properties[name] or {}, place.below(name), before.get(name, ABSENT)))
    for name in schema.get("required") or []:
        if name not in value:
            result.add(errors.required(_Place(place.base, f"{place.name}.{name}").path))


def _check_junctors(value: Any, schema: Object, place: _Place, result: _Result) -> None:
    shown = errors.quote(place.name)
    if alternatives := schema.get("anyOf"):
        found = [_check(value, each, place) for each in alternatives]
        if all(each.errors for each in found):
            result.add(_plain(place, f"{shown} must validate at least one schema (anyOf)"))
            result.merge(max(found, key=lambda each: each.checks))
        else:
            result.checks += next(each for each in found if not each.errors).checks
    if alternatives := schema.get("oneOf"):
        found = [_check(value, each, place) for each in alternatives]
        valid = sum(not each.errors for each in found)
        if valid != 1:
            how = f"Found {valid} valid alternatives" if valid else "Found none valid"
            result.add(_plain(place, f"{shown} must validate one and only one schema (oneOf). {how}"))
            if not valid:
                result.merge(max(found, key=lambda each: each.checks))
    if parts := schema.get("allOf"):
        found = [_check(value, each, place) for each in parts]
        for each in found:
            result.merge(each)
        wrong = sum(bool(each.errors) for each in found)
        if wrong:
            how = ". None validated" if wrong == len(found) else ""
            result.add(_plain(place, f"{shown} must validate all the schemas (allOf){how}"))
    if schema.get("not") is not None and not _check(value, schema["not"], place).errors:
        result.add(_plain(place, f"{shown} must not validate the schema (not)"))
