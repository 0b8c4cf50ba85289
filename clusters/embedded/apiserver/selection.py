"""Which objects a list or a watch shows: label and field selectors of the query, as one predicate.

The fields that each resource can be selected by are those of its `GetAttrs` and field label conversion in Kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clusters.embedded.apiserver.validation import content, field
from clusters.embedded.errors import bad_request
from clusters.embedded.resources import Resource
from kubeobjects import Object, selectors

_EVENT = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": _EVENT,
    "events.events.k8s.io": (*(each.replace("involvedObject", "regarding") for each in _EVENT), "reportingController"),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicationcontrollers": ("status.replicas",),
    "jobs.batch": ("status.successful",),
    "certificatesigningrequests.certificates.k8s.io": ("spec.signerName",),
    "resourceslices.resource.k8s.io": ("spec.nodeName", "spec.driver"),
}
# These answer an unknown field with their own words; the others with those of the default conversion.
_OWN_CONVERSION = frozenset(_FIELDS)
_NOT_SUPPORTED = {
    "jobs.batch": 'field label "{}" not supported for Job',
    "resourceslices.resource.k8s.io": "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}",
}
# Where a selectable field is not found under its own name, or has a default that is never written out.
_ELSEWHERE: dict[tuple[str, str], Callable[[Object], Any]] = {
    ("pods", "spec.hostNetwork"): lambda pod: pod["spec"].get("hostNetwork", False),
    ("nodes", "spec.unschedulable"): lambda node: (node.get("spec") or {}).get("unschedulable", False),
    ("jobs.batch", "status.successful"): lambda job: (job.get("status") or {}).get("succeeded", 0),
    ("events", "source"): lambda event: (event.get("source") or {}).get("component") or event.get("reportingComponent"),
    ("events.events.k8s.io", "source"): lambda event: (
        (event.get("deprecatedSource") or {}).get("component") or event.get("reportingController")
    ),
    ("events.events.k8s.io", "reportingComponent"): lambda event: event.get("reportingController"),
}
_TERM = re.compile(r"^(?P<field>[^=!]+?)(?P<op>==|!=|=)(?P<value>.*)$")
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")
_ESCAPED = re.compile(r"\\([\\,=])")


@dataclass(frozen=True)
class Selection:
    """`everything` is true where neither selector is given; `name` is the one name that a field selector asks for, if it does."""

    matches: Callable[[Object], bool]
    everything: bool
    name: str | None = None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _reader(resource: Resource, field: str) -> Callable[[Object], str]:
    elsewhere = _ELSEWHERE.get((resource.name, field))
    if elsewhere is not None:
        return lambda obj: _text(elsewhere(obj))
    path = field.split(".")

    def read(obj: Object) -> str:
        value: Any = obj
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return _text(value)

    return read


def _check_known(resource: Resource, field: str) -> None:
    known = ("metadata.name", "metadata.namespace") if resource.namespaced else ("metadata.name",)
    if field in known or field in _FIELDS.get(resource.name, ()):
        return
    if resource.custom is not None:
        if field not in resource.custom.selectable:
            raise bad_request(f"field label not supported: {field}")
        return
    if resource.name in _OWN_CONVERSION:
        raise bad_request(_NOT_SUPPORTED.get(resource.name, "field label not supported: {}").format(field))
    raise bad_request(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def _check_label(key: str, values: list[str]) -> None:
    """Raises SelectorError for a key or value that no label can have (labels.NewRequirement)."""
    if why := content.qualified_name(key):
        raise selectors.SelectorError(str(field.invalid(field.Path(), key, "; ".join(why))))
    problems = [
        str(field.invalid(field.Path("values")[position].key(key), value, "; ".join(why)))
        for position, value in enumerate(sorted(set(values)))
        if (why := content.label_value(value))
    ]
    if problems:
        raise selectors.SelectorError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def parse_fields(resource: Resource, text: str) -> list[tuple[str, bool, str]]:
    """(field, wanted, value) for each term. Raises ApiError 400 for what is no selector or names another field."""
    terms = []
    for part in _UNESCAPED_COMMA.split(text):
        if not part:
            continue
        found = _TERM.match(part)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        field = found["field"].strip()
        _check_known(resource, field)
        terms.append((field, found["op"] != "!=", _ESCAPED.sub(r"\1", found["value"])))
    return terms


def parse(resource: Resource, label_selector: str = "", field_selector: str = "") -> Selection:
    """The predicate for both selectors of a query. Raises ApiError 400."""
    try:
        labels = selectors.parse(label_selector, _check_label) if label_selector.strip() else None
    except selectors.SelectorError as error:
        raise bad_request(str(error)) from None
    terms = [(_reader(resource, field), wanted, value) for field, wanted, value in parse_fields(resource, field_selector)]
    name = next((value for field, wanted, value in parse_fields(resource, field_selector) if wanted and field == "metadata.name"), None)
    if labels is None and not terms:
        return Selection(lambda obj: True, True)

    def matches(obj: Object) -> bool:
        if labels is not None and not labels(obj["metadata"].get("labels") or {}):
            return False
        return all((read(obj) == value) is wanted for read, wanted, value in terms)

    return Selection(matches, False, name)
