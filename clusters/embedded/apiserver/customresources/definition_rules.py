"""What is only known of a definition once its schemas are put to work: defaults that its own schema refuses, rules that do not compile.

Sources: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go, pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

import re
from typing import Any

from clusters.embedded import cel
from clusters.embedded.apiserver.customresources import declared, patterns, rules, structural, values
from clusters.embedded.apiserver.validation import field as errors
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, meta

_SPEC = Path("spec")
_JUNCTORS = ("allOf", "anyOf", "oneOf")


def check(definition: Object, old: Object | None = None) -> Errors:
    """The problems of the schemas of a definition that is right otherwise; what `old` has as well is not looked at again."""
    versions = definition["spec"].get("versions") or []
    schemas = [(each.get("schema") or {}).get("openAPIV3Schema") or {} for each in versions]
    before = [(each.get("schema") or {}).get("openAPIV3Schema") or {} for each in ((old or {}).get("spec") or {}).get("versions") or []]
    found: Errors = []
    if schemas and all(each == schemas[0] for each in schemas):
        schemas, paths = schemas[:1], [_SPEC.child("validation", "openAPIV3Schema")]
    else:
        paths = [_SPEC.child("versions")[index].child("schema", "openAPIV3Schema") for index in range(len(schemas))]
    for schema, path in zip(schemas, paths, strict=True):
        if schema not in before:
            found += _patterns(schema, path) or _defaults(schema, path) or _rules(schema, path, None, root=True)
    return found


def _below(schema: Object, path: Path) -> list[tuple[Object, Path]]:
    found = [(each or {}, path.child("properties").key(name)) for name, each in (schema.get("properties") or {}).items()]
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            found.append((schema[name], path.child(name)))
    return found


def _patterns(schema: Object, path: Path) -> Errors:
    found: Errors = []
    if pattern := schema.get("pattern"):
        try:
            patterns.compiled(pattern)
        except re.error as error:
            found.append(errors.invalid(path.child("pattern"), pattern, f"must be a valid regular expression, but isn't: {error}"))
    inner = [(each, path.child(name)[index]) for name in _JUNCTORS for index, each in enumerate(schema.get(name) or [])]
    if isinstance(schema.get("not"), dict):
        inner.append((schema["not"], path.child("not")))
    for below, place in [*_below(schema, path), *inner]:
        found += _patterns(below, place)
    return found


def _defaults(schema: Object, path: Path) -> Errors:
    found: Errors = []
    default = schema.get("default")
    if default is not None:
        found += _default(default, schema, path.child("default"))
    for below, place in _below(schema, path):
        found += _defaults(below, place)
    return found


def _default(default: Any, schema: Object, path: Path) -> Errors:
    value = meta.copy({"value": default})
    holder = {"type": "object", "properties": {"value": schema}}
    if structural.prune(value, {**holder, "properties": {"value": {**schema, "default": None}}}):
        return [errors.invalid(path, default, "must be pruned")]
    structural.default(value["value"], schema)
    return values.check(value["value"], schema, base=path)


def _rules(schema: Object, path: Path, loose: Path | None, *, root: bool = False) -> Errors:
    """`loose` is where the schema begins that values cannot be told again by after an update, if this is below one."""
    found: Errors = []
    for index, rule in enumerate(schema.get(structural.RULES) or []):
        found += _rule(rule, schema, path.child(structural.RULES)[index], loose, root)
    for below, place in _below(schema, path):
        listed = below is schema.get("items") and schema.get(structural.LIST_TYPE) != "map"
        found += _rules(below, place, loose or (path if listed else None))
    return found


def _rule(rule: Object, schema: Object, path: Path, loose: Path | None, root: bool) -> Errors:
    shown = {
        "Rule": rule["rule"],
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
    optional, transition = bool(rule.get("optionalOldSelf")), rules.uses_old_self(rule["rule"])
    found: Errors = []
    try:
        returns = _compile(rule["rule"], optional)
        if returns not in ("bool", "dyn"):
            found.append(errors.invalid(path.child("rule"), shown, "cel expression must evaluate to a bool"))
        elif why := declared.undefined(rule["rule"], schema, root=root, optional=optional):
            found.append(errors.invalid(path.child("rule"), shown, f"compilation failed: {why}"))
    except cel.CompileError as error:
        found.append(errors.invalid(path.child("rule"), shown, f"compilation failed: {error}"))
    if rule.get("messageExpression") and not found:
        try:
            if _compile(rule["messageExpression"], optional) not in ("string", "dyn"):
                found.append(errors.invalid(path.child("messageExpression"), shown, "messageExpression must evaluate to a string"))
        except cel.CompileError as error:
            found.append(errors.invalid(path.child("messageExpression"), shown, f"messageExpression compilation failed: {error}"))
    if transition and loose is not None:
        why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {loose}"
        found.append(errors.invalid(path.child("rule"), rule["rule"], why))
    elif not transition and rule.get("optionalOldSelf") is not None:
        found.append(
            errors.invalid(path.child("optionalOldSelf"), rule["optionalOldSelf"], "may not be set if oldSelf is not used in rule")
        )
    return found


def _compile(text: str, optional: bool) -> str:
    """What the expression gives; the place of an error is that in the text itself."""
    if not optional:
        return cel.compiled(text, rules.VARIABLES).returns
    try:
        cel.compiled(text, rules.VARIABLES)
    except cel.CompileError:
        # An optional oldSelf has functions that no other has; what is wrong in both readings is told in the first one's words.
        try:
            return rules.compiled(text, optional=True).returns
        except cel.CompileError:
            cel.compiled(text, rules.VARIABLES)
    return rules.compiled(text, optional=True).returns
