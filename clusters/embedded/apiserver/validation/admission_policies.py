"""Validation of admission policies and their bindings (admissionregistration/validation)."""

from __future__ import annotations

import re

from clusters.embedded.apiserver.validation import content, expressions, field, metadata, values
from clusters.embedded.apiserver.validation.admission_rules import FAILURES, REINVOCATIONS, match_conditions, match_resources
from clusters.embedded.apiserver.validation.expressions import Variables
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_NOTHING_TO_DO = "validations or auditAnnotations must contain at least one item"
_MOST_ANNOTATIONS = 20
_LONGEST_VALUE_EXPRESSION = 5 * 1024
_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
# There is nothing to change where something is deleted.
_MUTATED = ("*", "CONNECT", "CREATE", "UPDATE")
_ACTIONS = ("Audit", "Deny", "Warn")
_TOLD_TWICE = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"
_NOT_FOUND = ("Deny", "Allow")
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)


def validating_admission_policy(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found, variables = _common(spec)
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        return found + [field.required(_SPEC.child(name), _NOTHING_TO_DO) for name in ("validations", "auditAnnotations")]
    for index, each in enumerate(validations):
        found += _validation(each, _SPEC.child("validations")[index], variables)
    if len(annotations) > _MOST_ANNOTATIONS:
        why = f"must not have more than {_MOST_ANNOTATIONS} auditAnnotations"
        found.append(field.invalid(_SPEC.child("auditAnnotations"), annotations, why))
    keys: set[str] = set()
    for index, each in enumerate(annotations):
        where = _SPEC.child("auditAnnotations")[index]
        found += _audit_annotation(obj["metadata"].get("name") or "", each, where, variables)
        if each.get("key", "") in keys:
            found.append(field.duplicate(where.child("key"), each.get("key", "")))
        keys.add(each.get("key", ""))
    return found


def mutating_admission_policy(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found, variables = _common(spec, mutating=True)
    mutations = spec.get("mutations") or []
    if not mutations:
        found.append(field.required(_SPEC.child("mutations"), "mutations must contain at least one item"))
    for index, each in enumerate(mutations):
        found += _mutation(each, _SPEC.child("mutations")[index], variables)
    return found + values.choice(spec.get("reinvocationPolicy"), _SPEC.child("reinvocationPolicy"), REINVOCATIONS)


def validating_admission_policy_binding(obj: Object) -> Errors:
    spec, where = obj.get("spec") or {}, _SPEC.child("validationActions")
    found = _binding(spec)
    actions = spec.get("validationActions") or []
    for index, each in enumerate(actions):
        if each not in _ACTIONS:
            found.append(field.not_supported(where[index], each, _ACTIONS))
        if each in actions[:index]:
            found.append(field.duplicate(where[index], each))
    if {"Deny", "Warn"} <= set(actions):
        found.append(field.invalid(where, actions, _TOLD_TWICE))
    if not actions:
        found.append(field.required(where, "at least one validation action is required"))
    return found


def mutating_admission_policy_binding(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    return _binding(spec) + _mutated_operations(spec.get("matchResources"), _SPEC.child("matchResources"))


def _common(spec: Object, *, mutating: bool = False) -> tuple[Errors, Variables]:
    """What is wrong with the parts that both kinds of policy have, and what their expressions may look at."""
    params, composed = spec.get("paramKind") is not None, spec.get("variables") or []
    found = values.choice(spec.get("failurePolicy"), _SPEC.child("failurePolicy"), FAILURES)
    if params:
        found += _param_kind(spec["paramKind"], _SPEC.child("paramKind"))
    match, where = spec.get("matchConstraints"), _SPEC.child("matchConstraints")
    if match is None:
        found.append(field.required(where))
    else:
        found += match_resources(match, where)
        if not match.get("resourceRules"):
            found.append(field.required(where.child("resourceRules")))
        if mutating:
            found += _mutated_operations(match, where)
    found += match_conditions(spec.get("matchConditions") or [], _SPEC.child("matchConditions"), params=params)
    for index, each in enumerate(composed):
        # The first variable has none before it, and still a place to look for some.
        found += _variable(each, _SPEC.child("variables")[index], expressions.policy(params=params, composed=True))
    return found, expressions.policy(params=params, composed=bool(composed))


def _mutated_operations(match: Object | None, path: Path) -> Errors:
    where = path.child("resourceRules").child("operations")
    operations = [each for rule in (match or {}).get("resourceRules") or [] for each in rule.get("operations") or []]
    return [field.not_supported(where, each, _MUTATED) for each in operations if each not in _MUTATED]


def _param_kind(kind: Object, path: Path) -> Errors:
    found: Errors = []
    api_version, where, name = kind.get("apiVersion", ""), path.child("apiVersion"), kind.get("kind", "")
    group, _, version = api_version.rpartition("/")
    if not api_version:
        found.append(field.required(where))
    elif "/" in group:
        found.append(field.invalid(where, api_version, f"unexpected GroupVersion string: {api_version}"))
    else:
        if group and (why := content.dns_subdomain(group)):
            found.append(field.invalid(where, group, ",".join(why)))
        if not version:
            found.append(field.invalid(where, api_version, "version must be specified"))
        elif why := content.dns_1035_label(version):
            found.append(field.invalid(where, version, ",".join(why)))
    if not name:
        found.append(field.required(path.child("kind")))
    elif why := content.dns_1035_label(name.lower()):
        found.append(field.invalid(path.child("kind"), name, f"may have mixed case, but should otherwise match: {','.join(why)}"))
    return found


def _variable(each: Object, path: Path, variables: Variables) -> Errors:
    name, text = each.get("name", ""), each.get("expression", "")
    found: Errors = []
    if not name.strip():
        found.append(field.required(path.child("name"), "name is not specified"))
    elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
        found.append(field.invalid(path.child("name"), name, "must be a valid CEL identifier"))
    if not text.strip():
        return [*found, field.required(path.child("expression"), "expression is not specified")]
    return found + expressions.of_type(text, variables, path.child("expression"))


def _mutation(each: Object, path: Path, variables: Variables) -> Errors:
    kind = each.get("patchType", "")
    if kind not in _PATCHES:
        return values.choice(kind, path.child("patchType"), tuple(_PATCHES))
    own = _PATCHES[kind]
    other = next(name for name in _PATCHES.values() if name != own)
    found: Errors = []
    if each.get(own) is None:
        found.append(field.required(path.child(own), f"must be specified when patchType is {kind}"))
    elif text := each[own].get("expression", "").strip():
        wanted = "list(JSONPatch)" if kind == "JSONPatch" else "Object"
        where = path.child(own).child("expression")
        found += expressions.of_type(text, variables, where, wanted, messages=True)
    else:
        found.append(field.required(path.child(own).child("expression")))
    if each.get(other) is not None:
        found.append(field.invalid(path.child(other), f"{{{other}}}", f"must not be specified when patchType is {kind}"))
    return found


def _audit_annotation(policy: str, each: Object, path: Path, variables: Variables) -> Errors:
    key, text = each.get("key", ""), each.get("valueExpression", "")
    if policy:
        found = metadata.label_name(f"{policy}/{key}", path.child("key"))
    else:
        found = [field.invalid(path.child("key"), key, "requires metadata.name be non-empty")]
    where = path.child("valueExpression")
    if not text.strip():
        return [*found, field.required(where, "valueExpression is not specified")]
    if len(text.strip().encode()) > _LONGEST_VALUE_EXPRESSION:
        return [*found, field.required(where, f"must not exceed {_LONGEST_VALUE_EXPRESSION} bytes in length")]
    return found + expressions.of_type(text.strip(), variables, where, "string", "null_type")


def _binding(spec: Object) -> Errors:
    name, where = spec.get("policyName", ""), _SPEC.child("policyName")
    found = values.all_of(where, name, content.dns_subdomain(name)) if name else [field.required(where)]
    if spec.get("paramRef") is not None:
        found += _param_ref(spec["paramRef"], _SPEC.child("paramRef"))
    if spec.get("matchResources") is not None:
        found += match_resources(spec["matchResources"], _SPEC.child("matchResources"))
    return found


def _param_ref(ref: Object, path: Path) -> Errors:
    name, selector, action = ref.get("name", ""), ref.get("selector"), ref.get("parameterNotFoundAction")
    both = "name and selector are mutually exclusive"
    found: Errors = []
    if name:
        found += values.all_of(path.child("name"), name, content.path_segment(name))
        if selector is not None:
            found.append(field.forbidden(path.child("name"), both))
    if selector is not None:
        found += metadata.label_selector(selector, path.child("selector"))
        if name:
            found.append(field.forbidden(path.child("selector"), both))
    if not name and selector is None:
        found.append(field.required(path, "one of name or selector must be specified"))
    return found + values.choice(action, path.child("parameterNotFoundAction"), _NOT_FOUND)


def _validation(each: Object, path: Path, variables: Variables) -> Errors:
    found: Errors = []
    message, reason = each.get("message", ""), each.get("reason")
    if not each.get("expression", "").strip():
        found.append(field.required(path.child("expression"), "expression is not specified"))
    else:
        found += expressions.of_type(each["expression"], variables, path.child("expression"), "bool")
    if said := each.get("messageExpression"):
        where = path.child("messageExpression")
        # Words are made of what is known; nobody is asked for permission.
        plain = tuple(pair for pair in variables if not pair[0].startswith("authorizer"))
        if said.strip():
            found += expressions.of_type(said, plain, where, "string")
        else:
            found.append(field.invalid(where, said, "must be non-empty if specified"))
    if message and not message.strip():
        found.append(field.invalid(path.child("message"), message, "must be non-empty if specified"))
    elif "\n" in message.strip() or "\r" in message.strip():
        found.append(field.invalid(path.child("message"), message, "must not contain line breaks"))
    if reason is not None and reason not in _REASONS:
        found.append(field.not_supported(path.child("reason"), reason, _REASONS))
    return found
