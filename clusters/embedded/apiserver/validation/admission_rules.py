"""What admission policies and webhooks say alike: which requests they are about (admissionregistration/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, expressions, field, metadata, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

FAILURES = ("Fail", "Ignore")
MATCHES = ("Equivalent", "Exact")
REINVOCATIONS = ("IfNeeded", "Never")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_MOST_CONDITIONS = 64


def match_resources(match: Object, path: Path) -> Errors:
    found = values.choice(match.get("matchPolicy"), path.child("matchPolicy"), MATCHES)
    for name in ("namespaceSelector", "objectSelector"):
        found += metadata.label_selector(match.get(name), path.child(name))
    for name in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(name) or []):
            found += _named_rule(rule, path.child(name)[index])
    return found


def _named_rule(rule: Object, path: Path) -> Errors:
    found: Errors = []
    names = rule.get("resourceNames") or []
    for index, name in enumerate(names):
        found += values.all_of(path.child("resourceNames")[index], name, content.path_segment(name))
        if name in names[:index]:
            found.append(field.duplicate(path.child("resourceNames")[index], name))
    return found + rule_with_operations(rule, path)


def rule_with_operations(rule: Object, path: Path) -> Errors:
    found: Errors = []
    operations, where = rule.get("operations") or [], path.child("operations")
    found += _all_or_some(operations, where, "operations")
    found += [field.not_supported(where[index], each, _OPERATIONS) for index, each in enumerate(operations) if each not in _OPERATIONS]
    found += _all_or_some(rule.get("apiGroups") or [], path.child("apiGroups"), "API groups")
    versions, where = rule.get("apiVersions") or [], path.child("apiVersions")
    found += _all_or_some(versions, where, "API versions")
    found += [field.required(where[index]) for index, each in enumerate(versions) if not each]
    found += _resources(rule.get("resources") or [], path.child("resources"))
    scope = rule.get("scope")
    if scope is not None and scope not in _SCOPES:
        found.append(field.not_supported(path.child("scope"), scope, _SCOPES))
    return found


def _all_or_some(given: list[str], path: Path, words: str) -> Errors:
    """A list that must have something, and nothing beside `*`."""
    if not given:
        return [field.required(path)]
    if len(given) > 1 and "*" in given:
        return [field.invalid(path, given, f"if '*' is present, must not specify other {words}")]
    return []


def _resources(given: list[str], path: Path) -> Errors:
    found = [] if given else [field.required(path)]
    every_subresource: set[str] = set()
    every_resource: set[str] = set()
    plain = False
    for index, each in enumerate(given):
        resource, slash, subresource = each.partition("/")
        if not each:
            found.append(field.required(path[index]))
            continue
        if not slash:
            plain = each != "*"
            continue
        if resource in every_subresource:
            found.append(field.invalid(path[index], each, f"if '{resource}/*' is present, must not specify {each}"))
        if subresource in every_resource:
            found.append(field.invalid(path[index], each, f"if '*/{subresource}' is present, must not specify {each}"))
        if subresource == "*":
            every_subresource.add(resource)
        if resource == "*":
            every_resource.add(subresource)
    if len(given) > 1 and "*/*" in given:
        found.append(field.invalid(path, given, "if '*/*' is present, must not specify other resources"))
    if "*" in given and plain:
        found.append(field.invalid(path, given, "if '*' is present, must not specify other resources without subresources"))
    return found


def match_conditions(conditions: list[Object], path: Path, *, params: bool = False) -> Errors:
    """`params` says that they may look at the parameters of a policy."""
    found = [field.too_many(path, len(conditions), _MOST_CONDITIONS)] if len(conditions) > _MOST_CONDITIONS else []
    seen: set[str] = set()
    for index, each in enumerate(conditions):
        name, where = each.get("name", ""), path[index]
        text = each.get("expression", "").strip()
        if text:
            found += expressions.of_type(text, expressions.policy(params=params), where.child("expression"), "bool")
        else:
            found.append(field.required(where.child("expression")))
        found += metadata.label_name(name, where.child("name")) if name else [field.required(where.child("name"))]
        if name and name in seen:
            found.append(field.duplicate(where.child("name"), name))
        seen.add(name)
    return found
