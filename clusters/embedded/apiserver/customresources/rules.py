"""`x-kubernetes-validations`: rules in CEL over a value and, on an update, the value before (pkg/apiserver/schema/cel).

The CEL engine is loaded with the first rule.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from clusters.embedded import cel
from clusters.embedded.apiserver.customresources import structural, values
from clusters.embedded.apiserver.customresources.values import ABSENT
from clusters.embedded.apiserver.validation import field as errors
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, meta

VARIABLES = (("self", "dyn"), ("oldSelf", "dyn"))
# A rule whose oldSelf may be missing sees it as an optional, which is made of these.
_MAYBE = (("self", "dyn"), ("__old", "dyn"), ("__had", "bool"))
_LITERAL = re.compile(r"""[rR]?(\"{3}.*?\"{3}|'{3}.*?'{3}|"(\\.|[^"\\])*"|'(\\.|[^'\\])*')""", re.DOTALL)
_OLD_SELF = re.compile(r"(?<![\w.])oldSelf\b")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_MESSAGE = 5 * 1024


def uses_old_self(rule: str) -> bool:
    return _OLD_SELF.search(_LITERAL.sub("''", rule)) is not None


def has_rules(schema: Any) -> bool:
    """Whether there is a rule in the schema, at any level."""
    if isinstance(schema, list):
        return any(map(has_rules, schema))
    return isinstance(schema, dict) and (bool(schema.get(structural.RULES)) or any(map(has_rules, schema.values())))


def visible(value: Any, schema: Object | None) -> Any:
    """A value as expressions see it: names escaped, times, durations and bytes as such."""
    schema = schema or {}
    if isinstance(value, dict):
        declared = schema.get("properties") or {}
        found = {}
        for name, each in value.items():
            shown = cel.escaped(name) if name in declared else name
            if shown is not None:
                found[shown] = visible(each, structural.field(schema, name))
        return found
    if isinstance(value, list):
        return [visible(each, schema.get("items")) for each in value]
    return _scalar(value, schema.get("format") or "") if isinstance(value, str) and schema.get("type") == "string" else value


def _scalar(text: str, form: str) -> Any:
    try:
        if form in ("date-time", "datetime"):
            return _timestamp(meta.parse_time(text))
        if form == "date":
            return _timestamp(datetime.fromisoformat(text).replace(tzinfo=UTC))
        if form == "duration":
            from google.protobuf import duration_pb2

            length = duration_pb2.Duration()
            length.FromTimedelta(timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, _, unit in _DURATION.findall(text))))
            return length
        if form == "byte":
            import base64

            return base64.b64decode(text)
    except ValueError:
        # The format's own check tells of it.
        return text
    return text


def _timestamp(moment: datetime) -> Any:
    from google.protobuf import timestamp_pb2

    found = timestamp_pb2.Timestamp()
    found.FromDatetime(moment)
    return found


_DURATION = re.compile(r"([+-]?\d+(\.\d*)?)(ns|us|µs|ms|s|m|h)")


def check(value: Any, schema: Object, path: Path, old: Any = ABSENT, *, above: bool = False) -> Errors:
    """What the rules at and below `path` say against `value`.

    `old` is the value before, where there is one that can be told to be the same. `above` says that a value around this one has not
    changed: what a rule without oldSelf says then was so before, and is let through.
    """
    if value is None:
        return []
    same = above or (old is not ABSENT and old == value)
    found = _own(value, schema, path, old, same)
    for each in schema.get("allOf") or []:
        found += _own(value, {**schema, structural.RULES: each.get(structural.RULES)}, path, old, above)
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name in values.in_turn(value):
            below = structural.field(schema, name)
            if below is not None:
                place = path.child(name) if name in (schema.get("properties") or {}) else path.key(name)
                found += check(value[name], below, place, before.get(name, ABSENT), above=same)
    elif isinstance(value, list) and schema.get("items"):
        for index, (item, before) in enumerate(zip(value, values.correlated(value, schema, old), strict=True)):
            found += check(item, schema["items"], path[index], before, above=same)
    return found


def _own(value: Any, schema: Object, path: Path, old: Any, same: bool) -> Errors:
    found: Errors = []
    rules = schema.get(structural.RULES) or []
    if not rules:
        return found
    seen = {"self": visible(value, schema), "oldSelf": None if old is ABSENT else visible(old, schema)}
    for rule in rules:
        transition, optional = uses_old_self(rule["rule"]), bool(rule.get("optionalOldSelf"))
        if transition and old is ABSENT and not optional:
            continue
        variables = {"self": seen["self"], "__old": seen["oldSelf"], "__had": old is not ABSENT} if optional else seen
        kind = schema.get("type") or ""
        try:
            held = compiled(rule["rule"], optional=optional).evaluate(variables)
        except cel.CompileError as error:
            found.append(errors.invalid(path, kind, f"rule compile error: compilation failed: {error}"))
            continue
        except cel.EvaluationError as error:
            found.append(errors.invalid(path, kind, _failed(str(error), _shown(rule))))
            continue
        if held is True or (same and not transition):
            continue
        place = path.child(normal(rule["fieldPath"])) if rule.get("fieldPath") else path
        found.append(_refusal(place, value, kind, _message(rule, variables, optional), rule.get("reason")))
    return found


def compiled(text: str, *, optional: bool) -> cel.Expression:
    """Raises CompileError."""
    if not optional:
        return cel.compiled(text, VARIABLES)
    return cel.compiled(f"cel.bind(oldSelf, __had ? optional.of(__old) : optional.none(), {text})", _MAYBE)


def normal(path: str) -> str:
    """A rule's fieldPath (`.a['b']`) as a field is named in messages (`a.b`)."""
    return re.sub(r"\['((?:\\.|[^'\\])*)'\]", r".\1", path).lstrip(".")


def _failed(error: str, shown: str) -> str:
    if error.startswith("no such overload"):
        return f"'{error}': call arguments did not match a supported operator, function or macro signature for rule: {shown}"
    return f"{error} evaluating rule: {shown}"


def _shown(rule: Object) -> str:
    return (rule.get("message") or "").strip() or rule["rule"].strip()


def _message(rule: Object, variables: Object, optional: bool) -> str:
    if rule.get("messageExpression"):
        try:
            told = compiled(rule["messageExpression"], optional=optional).evaluate(variables)
        except (cel.CompileError, cel.EvaluationError):
            told = None
        text = told.strip() if isinstance(told, str) else ""
        if text and "\n" not in text and len(text) <= _LONGEST_MESSAGE:
            return text
    return (rule.get("message") or "").strip() or f"failed rule: {_shown(rule)}"


def _refusal(path: Path, value: Any, kind: str, told: str, reason: str | None) -> errors.FieldError:
    whole = kind in ("object", "array")
    if reason == "FieldValueForbidden":
        return errors.forbidden(path, told)
    if reason == "FieldValueRequired":
        return errors.required(path, told)
    if reason == "FieldValueDuplicate":
        return errors.FieldError(str(path), reason, "Duplicate value") if whole else errors.duplicate(path, value)
    return errors.invalid_as_such(path, told) if whole else errors.invalid(path, value, told)
