"""Probes and lifecycle hooks: one handler each, with sensible numbers."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_SECONDS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def _http_get(action: Object, path: Path) -> Errors:
    found = [] if action.get("path") else [field.required(path.child("path"))]
    found += values.port_number_or_name(action.get("port"), path.child("port"))
    if action.get("scheme") not in ("HTTP", "HTTPS"):
        found.append(field.not_supported(path.child("scheme"), action.get("scheme", ""), ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or []:
        name = header.get("name", "")
        found += values.all_of(path.child("httpHeaders"), name, content.header_name(name))
    return found


def _sleep(action: Object, grace: int | None, path: Path) -> Errors:
    seconds = action.get("seconds", 0)
    if grace is None or 0 <= seconds <= grace:
        return []
    return [field.invalid(path, seconds, f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")]


def _handler(owner: Object, kinds: tuple[str, ...], grace: int | None, path: Path) -> Errors:
    found: Errors = []
    given = [kind for kind in kinds if owner.get(kind) is not None]
    for position, kind in enumerate(given):
        where, action = path.child(kind), owner[kind]
        if position:
            found.append(field.forbidden(where, "may not specify more than 1 handler type"))
        elif kind == "exec":
            found += [] if action.get("command") else [field.required(where.child("command"))]
        elif kind == "httpGet":
            found += _http_get(action, where)
        elif kind == "sleep":
            found += _sleep(action, grace, where)
        elif kind == "grpc":
            found += values.port_number(action.get("port", 0), where.child("port"))
        else:
            found += values.port_number_or_name(action.get("port"), where.child("port"))
    return found if given else [field.required(path, "must specify a handler type")]


def probe(kind: str, value: Object | None, grace: int | None, path: Path) -> Errors:
    """`kind` is livenessProbe, readinessProbe or startupProbe; `path` is the probe's own."""
    if value is None:
        return []
    found = _handler(value, _PROBE_HANDLERS, grace, path)
    for name in _SECONDS:
        found += values.nonnegative(value.get(name), path.child(name))
    own_grace = value.get("terminationGracePeriodSeconds")
    if own_grace is not None and own_grace <= 0:
        found.append(field.invalid(path.child("terminationGracePeriodSeconds"), own_grace, "must be greater than 0"))
    if kind == "readinessProbe":
        if own_grace is not None:
            found.append(field.invalid(path.child("terminationGracePeriodSeconds"), own_grace, "must not be set for readinessProbes"))
    elif value.get("successThreshold") != 1:
        found.append(field.invalid(path.child("successThreshold"), value.get("successThreshold"), "must be 1"))
    return found


def lifecycle(value: Object | None, grace: int | None, path: Path) -> Errors:
    found: Errors = []
    for hook in ("postStart", "preStop"):
        if (value or {}).get(hook) is not None:
            found += _handler((value or {})[hook], _HOOK_HANDLERS, grace, path.child(hook))
    return found
