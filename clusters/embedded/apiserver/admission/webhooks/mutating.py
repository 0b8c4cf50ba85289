"""Mutating webhooks: one after the other, each on what those before it made (plugin/webhook/mutating/dispatcher.go)."""

from __future__ import annotations

import json
from collections.abc import Iterable

from clusters.embedded import decoding
from clusters.embedded.apiserver import defaulting
from clusters.embedded.apiserver.admission import system_fields
from clusters.embedded.apiserver.admission.reinvocation import Reinvocation
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.apiserver.admission.webhooks import dispatch
from clusters.embedded.apiserver.admission.webhooks.hooks import Hook, matching_hooks
from clusters.embedded.apiserver.patch import json_patch
from clusters.embedded.errors import ApiError, internal
from kubeobjects import Object

_MUTATION = "mutation.webhook.admission.k8s.io/"
_PATCH = "patch.webhook.admission.k8s.io/"
_SECRET = frozenset({("secrets", ""), ("serviceaccounts", "token")})


async def admit(configurations: Iterable[Object], request: AdmissionRequest, reinvocation: Reinvocation) -> None:
    """Replaces `request.object`. Raises ApiError."""
    with system_fields.hidden(request):
        reinvocation.begin(request.object)
        for hook in matching_hooks(configurations, request):
            if not reinvocation.is_due(hook.key):
                continue
            place = f"round_{reinvocation.round}_index_{hook.index}"
            changed = False
            try:
                changed = await _call(hook, request, place)
            except dispatch.CallFailed as error:
                dispatch.fail(hook, request, error, f"failed-open.{_MUTATION}{place}")
            finally:
                told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed}
                request.annotations[_MUTATION + place] = json.dumps(told, separators=(",", ":"))
            reinvocation.note(hook.key, changed, hook.spec.get("reinvocationPolicy") == "IfNeeded")
        reinvocation.end(request.object)


async def _call(hook: Hook, request: AdmissionRequest, place: str) -> bool:
    """Whether the webhook changed the object."""
    answer = await dispatch.call(hook, request, mutating=True)
    if not answer.patch:
        return False
    if request.object is None:
        why = f"admission webhook {json.dumps(hook.name)} attempted to modify the object, which is not supported for this operation"
        raise dispatch.internal_error(why)
    before = request.object
    request.object = _patched(before, answer.patch)
    # The log holds the body of this request as well, unless it carries a secret.
    if (request.resource.name, request.subresource) not in _SECRET:
        told = {"configuration": hook.configuration, "webhook": hook.name, "patch": answer.patch, "patchType": "JSONPatch"}
        request.annotations[_PATCH + place] = json.dumps(told, separators=(",", ":"))
    changed = request.object != before
    defaulting.apply(request.object)
    return changed


def _patched(obj: Object, patch: list[Object]) -> Object:
    """A new object. Raises ApiError 500 for a patch that does not fit, or that makes what is no object of the kind."""
    try:
        patched = json_patch.apply(obj, patch)
        return decoding.decode(patched, obj["apiVersion"], obj["kind"], strict=False)[0]
    except decoding.DecodeError as error:
        raise dispatch.internal_error(error.why) from None
    except ApiError as error:
        raise internal(error.message) from None
