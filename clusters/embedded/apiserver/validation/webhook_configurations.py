"""Validation of webhook configurations (admissionregistration/validation, apiserver/pkg/util/webhook/validation.go)."""

from __future__ import annotations

from urllib.parse import urlsplit

from clusters.embedded.apiserver.validation import content, field, metadata, values
from clusters.embedded.apiserver.validation.admission_rules import FAILURES, MATCHES, REINVOCATIONS, match_conditions, rule_with_operations
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_EFFECTS = ("None", "NoneOnDryRun")
_REVIEWS = ("v1", "v1beta1")
_FORM = "; desired format: https://host[/path]"


def validating_webhook_configuration(obj: Object) -> Errors:
    return _configuration(obj, mutating=False)


def mutating_webhook_configuration(obj: Object) -> Errors:
    return _configuration(obj, mutating=True)


def _configuration(obj: Object, *, mutating: bool) -> Errors:
    found: Errors = []
    names: set[str] = set()
    for index, each in enumerate(obj.get("webhooks") or []):
        where, name = Path("webhooks")[index], each.get("name", "")
        found += _webhook(each, where, mutating)
        found += _review_versions(each.get("admissionReviewVersions") or [], where.child("admissionReviewVersions"))
        if name and name in names:
            found.append(field.duplicate(where.child("name"), name))
        names.add(name)
    return found


def _webhook(each: Object, path: Path, mutating: bool) -> Errors:
    found = _name(each.get("name", ""), path.child("name"))
    for index, rule in enumerate(each.get("rules") or []):
        found += rule_with_operations(rule, path.child("rules")[index])
    found += values.choice(each.get("failurePolicy"), path.child("failurePolicy"), FAILURES)
    found += values.choice(each.get("matchPolicy"), path.child("matchPolicy"), MATCHES)
    effects, where = each.get("sideEffects"), path.child("sideEffects")
    if effects is None:
        found.append(field.required(where, f"must specify one of {', '.join(_EFFECTS)}"))
    elif effects not in _EFFECTS:
        found.append(field.not_supported(where, effects, _EFFECTS))
    seconds = each.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        found.append(field.invalid(path.child("timeoutSeconds"), seconds, "the timeout value must be between 1 and 30 seconds"))
    for name in ("namespaceSelector", "objectSelector"):
        found += metadata.label_selector(each.get(name), path.child(name))
    if mutating:
        found += values.choice(each.get("reinvocationPolicy"), path.child("reinvocationPolicy"), REINVOCATIONS)
    found += _client(each.get("clientConfig") or {}, path.child("clientConfig"))
    return found + match_conditions(each.get("matchConditions") or [], path.child("matchConditions"))


def _name(name: str, path: Path) -> Errors:
    if not name:
        return [field.required(path)]
    if why := content.dns_subdomain(name):
        return [field.invalid(path, name, ",".join(why))]
    if name.count(".") < 2:
        return [field.invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


def _review_versions(versions: list[str], path: Path) -> Errors:
    listed = ", ".join(_REVIEWS)
    if not versions:
        return [field.required(path, f"must specify one of {listed}")]
    found: Errors = []
    for index, each in enumerate(versions):
        if each in versions[:index]:
            found.append(field.invalid(path[index], each, "duplicate version"))
        else:
            found += values.all_of(path[index], each, content.dns_1035_label(each))
    if not set(versions) & set(_REVIEWS):
        found.append(field.invalid(path, versions, f"must include at least one of {listed}"))
    return found


def _client(config: Object, path: Path) -> Errors:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [field.required(path, "exactly one of url or service is required")]
    return _url(url, path.child("url")) if url is not None else _service(service or {}, path.child("service"))


def _url(url: str, path: Path) -> Errors:
    try:
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
    except ValueError as error:
        return [field.required(path, f"url must be a valid URL: {error}{_FORM}")]
    found: Errors = []
    if parts.scheme != "https":
        found.append(field.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}"))
    if not host:
        found.append(field.invalid(path, host, f"host must be specified{_FORM}"))
    if user:
        found.append(field.invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        found.append(field.invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        found.append(field.invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return found


def _service(service: Object, path: Path) -> Errors:
    found = [field.required(path.child(name)) for name in ("name", "namespace") if not service.get(name)]
    if why := content.port_number(service.get("port", 0)):
        found.append(field.invalid(path.child("port"), service.get("port", 0), f"port is not valid: {', '.join(why)}"))
    given, where = service.get("path") or "/", path.child("path")
    if given == "/":
        return found
    if given == "//":
        return [*found, field.invalid(where, given, "segment[0] may not be empty")]
    if not given.startswith("/"):
        found.append(field.invalid(where, given, "must start with a '/'"))
    for index, step in enumerate(given[1:].removesuffix("/").split("/")):
        if not step:
            found.append(field.invalid(where, given, f"segment[{index}] may not be empty"))
        else:
            found += [field.invalid(where, given, f"segment[{index}]: {why}") for why in content.dns_subdomain(step)]
    return found
