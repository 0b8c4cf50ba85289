"""The webhooks of all configurations, in the order in which they are asked, and whether one has a say in a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clusters.embedded.apiserver.admission.policies import matching
from clusters.embedded.apiserver.admission.policies.inputs import Failed, Inputs, meets
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from kubeobjects import Object


@dataclass(frozen=True)
class Hook:
    """One entry of `webhooks`; `index` is its place among all of its sort."""

    configuration: str
    index: int
    spec: Object

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def key(self) -> str:
        return f"{self.configuration}/{self.name}/{self.index}"

    @property
    def fails_open(self) -> bool:
        return self.spec.get("failurePolicy") == "Ignore"


def matching_hooks(configurations: Iterable[Object], request: AdmissionRequest) -> Iterator[Hook]:
    """Each is looked at when it is its turn: one before it may have changed the object. Raises ApiError 403."""
    index = 0
    for configuration in sorted(configurations, key=lambda each: str(each["metadata"]["name"])):
        for spec in configuration.get("webhooks") or []:
            hook = Hook(configuration["metadata"]["name"], index, spec)
            index += 1
            if _has_say(hook.spec, request):
                yield hook


def _has_say(spec: Object, request: AdmissionRequest) -> bool:
    rules = spec.get("rules")
    if not rules or not matching.matches({**spec, "resourceRules": rules}, request):
        return False
    conditions = spec.get("matchConditions")
    if not conditions:
        return True
    try:
        return meets(conditions, Inputs(request), spec.get("failurePolicy", "Fail"))
    except Failed as error:
        raise request.forbid(str(error)) from None
