"""What mutating and validating webhooks have in common: a call, what its answer means, and what happens where there is none."""

from __future__ import annotations

import json
import logging

from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.apiserver.admission.webhooks import review
from clusters.embedded.apiserver.admission.webhooks.call import CallFailed, ask
from clusters.embedded.apiserver.admission.webhooks.hooks import Hook
from clusters.embedded.errors import ApiError, bad_request, internal

__all__ = ["CallFailed", "call", "fail", "internal_error"]

log = logging.getLogger(__name__)

_DRY = ("None", "NoneOnDryRun")
# A webhook's answer may name no more seconds than the API allows; this is the default of v1.
_SECONDS = 10


async def call(hook: Hook, request: AdmissionRequest, *, mutating: bool) -> review.Answer:
    """The answer of a webhook that allows the request. Raises ApiError where it does not, CallFailed where it gives no answer."""
    if request.dry_run and hook.spec.get("sideEffects") not in _DRY:
        raise bad_request(f"admission webhook {json.dumps(hook.name)} does not support dry run")
    try:
        asked = review.question(request, hook.spec.get("admissionReviewVersions") or [])
    except review.BadReview as error:
        raise CallFailed(f"could not create admission objects: {error}") from None
    seconds = hook.spec.get("timeoutSeconds") or _SECONDS
    body = await ask(hook.spec.get("clientConfig") or {}, asked, seconds, request.reader, request.network)
    try:
        answer = review.answer(asked, body, mutating=mutating)
    except review.BadReview as error:
        raise CallFailed(f"received invalid webhook response: {error}") from None
    for key, value in answer.annotations.items():
        request.annotations[f"{hook.name}/{key}"] = value
    request.warnings.extend(answer.warnings)
    if not answer.allowed:
        status = review.refusal(hook.name, answer.status)
        raise ApiError(status["code"], status.get("reason") or "", status["message"], status.get("details"))
    return answer


def fail(hook: Hook, request: AdmissionRequest, error: CallFailed, annotation: str) -> None:
    """A webhook gave no answer: its failurePolicy says whether the request fails (ApiError 500) or goes on, with an audit annotation."""
    why = f"failed calling webhook {json.dumps(hook.name)}: {error}"
    if not hook.fails_open:
        log.warning("%s", why)
        raise internal_error(why)
    log.warning("%s; the request goes on without it", why)
    request.annotations[annotation] = hook.name


def internal_error(why: str) -> ApiError:
    """500 (apierrors.NewInternalError), with its cause."""
    error = internal(why)
    return ApiError(error.code, error.reason, error.message, {"causes": [{"message": why}]})
