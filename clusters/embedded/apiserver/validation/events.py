"""Validation of Events (core/validation/events.go, legacyValidateEvent; those of events.k8s.io are stored as core/v1 too)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_LIMIT = 128
_MESSAGE_LIMIT = 1024


def event(obj: Object) -> Errors:
    """An Event with `eventTime` is a new one, and says who reports what."""
    named = (obj.get("involvedObject") or {}).get("namespace", "")
    own, where = obj["metadata"].get("namespace", ""), Path("involvedObject", "namespace")
    is_new = bool(obj.get("eventTime"))
    if named:
        fits = is_new or named == own
    else:
        # Events about cluster-scoped objects.
        fits = own in (("default", "kube-system") if is_new else ("", "default"))
    found = [] if fits else [field.invalid(where, named, "does not match event.namespace")]
    return found + _report(obj) if is_new else found


def _report(obj: Object) -> Errors:
    reporter, where = obj.get("reportingComponent", ""), Path("reportingComponent")
    found = [] if reporter else [field.required(where)]
    found += values.all_of(where, reporter, content.qualified_name(reporter))
    for name in ("reportingInstance", "action", "reason"):
        value = obj.get(name) or ""
        if not value:
            found.append(field.required(Path(name)))
        found += _length(value, name, _LIMIT)
    return found + _length(obj.get("message") or "", "message", _MESSAGE_LIMIT)


def _length(value: str, name: str, limit: int) -> Errors:
    return [field.invalid(Path(name), "", f"can have at most {limit} characters")] if len(value.encode()) > limit else []
