"""AdmissionReview: what a webhook is asked and what its answer says (plugin/webhook/request, api/admission/v1)."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from clusters.embedded.apiserver import conversion
from clusters.embedded.apiserver.admission.policies.inputs import as_request
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from kubeobjects import Object

_GROUP = "admission.k8s.io"
_VERSIONS = ("v1", "v1beta1")
_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class BadReview(ValueError):
    """An answer that is none, or a webhook that speaks no version of ours, in the words of the API server."""


@dataclass(frozen=True)
class Answer:
    """`status` is the webhook's `metav1.Status`, `patch` the operations of a JSON patch."""

    allowed: bool
    status: Object
    patch: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


def question(request: AdmissionRequest, versions: list[str]) -> Object:
    """The AdmissionReview to send, in the first of the webhook's versions that is known. Raises BadReview."""
    version = next((each for each in versions if each in _VERSIONS), None)
    if version is None:
        raise BadReview("webhook does not accept known AdmissionReview versions (v1, v1beta1)")
    asked: Object = {"uid": str(uuid.uuid4()), **as_request(request)}
    if not asked["name"]:
        del asked["name"]
    asked["object"] = _served(request, request.object)
    asked["oldObject"] = _served(request, request.old)
    options = _OPTIONS.get(request.operation)
    asked["options"] = {"kind": options, "apiVersion": "meta.k8s.io/v1", **request.options} if options else None
    return {"kind": "AdmissionReview", "apiVersion": f"{_GROUP}/{version}", "request": asked}


def _served(request: AdmissionRequest, obj: Object | None) -> Object | None:
    return None if obj is None else conversion.as_asked_for(request.resource, request.subresource, obj)


def answer(asked: Object, body: Object, *, mutating: bool) -> Answer:
    """What `body` says to the review `asked`. Raises BadReview."""
    response = body.get("response")
    if not isinstance(response, dict):
        raise BadReview("webhook response was absent")
    strict = asked["apiVersion"] == f"{_GROUP}/v1"
    if strict:
        _check(asked, body, response)
    patch = _patch(response, mutating, strict)
    status = response.get("status")
    return Answer(
        allowed=response.get("allowed") is True,
        status=status if isinstance(status, dict) else {},
        patch=patch,
        warnings=[str(each) for each in response.get("warnings") or []],
        annotations={str(key): str(value) for key, value in (response.get("auditAnnotations") or {}).items()},
    )


def _check(asked: Object, body: Object, response: Object) -> None:
    expected, given = asked["request"]["uid"], response.get("uid") or ""
    if given != expected:
        raise BadReview(f"expected response.uid={json.dumps(expected)}, got {json.dumps(given)}")
    group, _, version = str(body.get("apiVersion") or "").rpartition("/")
    kind = body.get("kind") or ""
    if (group, version, kind) != (_GROUP, "v1", "AdmissionReview"):
        raise BadReview(f"expected webhook response of {_GROUP}/v1, Kind=AdmissionReview, got {group}/{version}, Kind={kind}")


def _patch(response: Object, mutating: bool, strict: bool) -> list[Any]:
    """The operations; v1beta1 did not ask for a patchType."""
    encoded, kind = response.get("patch") or "", response.get("patchType")
    if not mutating:
        if strict and encoded:
            raise BadReview("validating webhook may not return response.patch")
        if strict and kind is not None:
            raise BadReview("validating webhook may not return response.patchType")
        return []
    if strict:
        if encoded and kind is None:
            raise BadReview("webhook returned response.patch but not response.patchType")
        if not encoded and kind is not None:
            raise BadReview("webhook returned response.patchType but not response.patch")
        if kind == "":
            raise BadReview('webhook returned invalid response.patchType of ""')
        if encoded and kind != "JSONPatch":
            raise BadReview(f"unsupported patch type {json.dumps(kind)}")
    if not encoded:
        return []
    try:
        operations = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadReview(f"received undecodable patch in webhook response: {error}") from None
    if not isinstance(operations, list):
        raise BadReview(
            "received undecodable patch in webhook response: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        )
    return operations


def refusal(webhook: str, status: Object) -> Object:
    """The Status of a request that the webhook does not allow (webhook/errors ToStatusErr)."""
    denied = f"admission webhook {json.dumps(webhook)} denied the request"
    why = status.get("message") or status.get("reason")
    code = status.get("code")
    return {
        **status,
        "code": code if isinstance(code, int) and code >= 400 else 400,
        "message": f"{denied}: {why}" if why else f"{denied} without explanation",
    }
