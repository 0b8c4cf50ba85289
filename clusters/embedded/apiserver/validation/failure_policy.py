"""Validation of a Job's `podFailurePolicy` (batch/validation)."""

from __future__ import annotations

from collections.abc import Iterable

from clusters.embedded.apiserver.validation import content, field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUS = ("False", "True", "Unknown")
_MOST_RULES = 20
_MOST_CODES = 255


def check(policy: Object, spec: Object, path: Path) -> Errors:
    """`spec` is the Job's: rules refer to its containers and to its limits."""
    rules, where = policy.get("rules") or [], path.child("rules")
    found = [field.too_many(where, len(rules), _MOST_RULES)] if len(rules) > _MOST_RULES else []
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {each.get("name", "") for kind in ("containers", "initContainers") for each in pod.get(kind) or []}
    for index, rule in enumerate(rules):
        found += _rule(rule, spec, names, where[index])
    return found


def _rule(rule: Object, spec: Object, names: set[str], path: Path) -> Errors:
    action, codes, conditions = rule.get("action", ""), rule.get("onExitCodes"), rule.get("onPodConditions") or []
    if action == "FailIndex":
        lacking = spec.get("backoffLimitPerIndex") is None
        why = "requires the backoffLimitPerIndex to be set"
        found = [field.invalid(path.child("action"), action, why)] if lacking else []
    else:
        found = _one_of(action, path.child("action"), _ACTIONS)
    if codes is not None:
        found += _exit_codes(codes, names, path.child("onExitCodes"))
    for index, pattern in enumerate(conditions):
        where = path.child("onPodConditions")[index]
        kind = pattern.get("type", "")
        found += values.all_of(where.child("type"), kind, content.qualified_name(kind))
        found += _one_of(pattern.get("status", ""), where.child("status"), _STATUS)
    if codes is not None and conditions:
        found.append(field.invalid_as_such(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not conditions:
        found.append(field.invalid_as_such(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return found


def _one_of(value: str, path: Path, known: Iterable[str]) -> Errors:
    if not value:
        return [field.required(path, f"valid values: [{' '.join(map(field.quote, known))}]")]
    return [] if value in known else [field.not_supported(path, value, known)]


def _exit_codes(codes: Object, names: set[str], path: Path) -> Errors:
    found = _one_of(codes.get("operator", ""), path.child("operator"), _OPERATORS)
    container, given, where = codes.get("containerName"), codes.get("values"), path.child("values")
    if container is not None and container not in names:
        why = "must be one of the container or initContainer names in the pod template"
        found.append(field.invalid(path.child("containerName"), container, why))
    if not given:
        return [*found, field.invalid(where, given, "at least one value is required")]
    if len(given) > _MOST_CODES:
        found.append(field.too_many(where, len(given), _MOST_CODES))
    for index, code in enumerate(given):
        if code == 0 and codes.get("operator") == "In":
            found.append(field.invalid(where[index], code, "must not be 0 for the In operator"))
        if code in given[:index]:
            found.append(field.duplicate(where[index], code))
    if any(given[index] > given[index + 1] for index in range(len(given) - 1)):
        found.append(field.invalid(where, given, "must be ordered"))
    return found
