"""Failures that the API server answers with, each a `metav1.Status`.

Words follow k8s.io/apimachinery/pkg/api/errors and k8s.io/apimachinery/pkg/util/validation/field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class ApiError(Exception):
    """A request that failed; `status` is the `metav1.Status` to send, `code` its HTTP status."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None):
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        # Some errors have details that say nothing, and show that.
        self.has_details = details is not None

    @property
    def status(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.has_details:
            body["details"] = self.details
        body["code"] = self.code
        return body


@dataclass(frozen=True)
class FieldError:
    """One field that validation refuses, as `field.Error` has it.

    `kind` is the `metav1.CauseType` (FieldValueInvalid, FieldValueRequired, FieldValueNotSupported,
    FieldValueForbidden, FieldValueDuplicate, FieldValueNotFound); `message` is the text after the field's path.
    """

    field: str
    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def qualified(plural: str, group: str) -> str:
    """`deployments.apps`, or `pods` for the core group: schema.GroupResource.String()."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> ApiError:
    details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    return ApiError(404, "NotFound", f'{qualified(plural, group)} "{name}" not found', details)


def already_exists(plural: str, group: str, name: str) -> ApiError:
    details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    return ApiError(409, "AlreadyExists", f'{qualified(plural, group)} "{name}" already exists', details)


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}', details)


def modified(plural: str, group: str, name: str) -> ApiError:
    return conflict(plural, group, name, "the object has been modified; please apply your changes to the latest version and try again")


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(plural: str, group: str, name: str, why: str) -> ApiError:
    details = ({"name": name} if name else {}) | {"kind": plural} | ({"group": group} if group else {})
    named = f'{qualified(plural, group)} "{name}"' if name else qualified(plural, group)
    return ApiError(403, "Forbidden", f"{named} is forbidden: {why}", details)


def invalid(kind: str, group: str, name: str, causes: Iterable[FieldError]) -> ApiError:
    """422 for an object that validation refuses; `causes` in the order in which they are to be read."""
    listed = list(causes)
    # The message says each thing once; the causes say all (ErrorList.ToAggregate).
    told = list(dict.fromkeys(map(str, listed)))
    body = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    details: dict[str, Any] = {"name": name} | ({"group": group} if group else {})
    details["kind"] = kind
    details["causes"] = [{"reason": cause.kind, "message": cause.message, "field": cause.field} for cause in listed]
    named = f'{kind}.{group} "{name}"' if group else f'{kind} "{name}"'
    return ApiError(422, "Invalid", f"{named} is invalid: {body}", details)


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def expired(asked: int, oldest: int) -> ApiError:
    """410 for a watch or a continue token that starts before what the store still remembers."""
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def internal(message: str) -> ApiError:
    return ApiError(500, "InternalError", f"Internal error occurred: {message}")


def told(error: OSError) -> str:
    """An error of the system as Go's programs show it: `mkdir /a/b: no space left on device`, here without the call's name."""
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
