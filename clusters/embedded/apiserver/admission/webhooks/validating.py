"""Validating webhooks: all at once, and the first that refuses has the word (plugin/webhook/validating/dispatcher.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.apiserver.admission.webhooks import dispatch
from clusters.embedded.apiserver.admission.webhooks.hooks import Hook, matching_hooks
from clusters.embedded.errors import ApiError
from kubeobjects import Object

_FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/"


async def validate(configurations: Iterable[Object], request: AdmissionRequest) -> None:
    """Raises ApiError, the first that came."""
    relevant = list(matching_hooks(configurations, request))
    refusals: list[ApiError] = []

    async def ask(hook: Hook, index: int) -> None:
        try:
            await dispatch.call(hook, request, mutating=False)
        except dispatch.CallFailed as error:
            try:
                dispatch.fail(hook, request, error, f"{_FAILED_OPEN}round_0_index_{index}")
            except ApiError as refusal:
                refusals.append(refusal)
        except ApiError as refusal:
            refusals.append(refusal)

    await asyncio.gather(*(ask(hook, index) for index, hook in enumerate(relevant)))
    if refusals:
        raise refusals[0]
