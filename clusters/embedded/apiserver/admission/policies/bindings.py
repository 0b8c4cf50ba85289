"""Which policies apply to a request, with which of their bindings and parameters (admission/plugin/policy/generic)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clusters.embedded.apiserver.admission.policies import matching
from clusters.embedded.apiserver.admission.policies.params import BadBinding, collect
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from kubeobjects import Object


def applying(policies: Iterable[Object], request: AdmissionRequest) -> Iterator[Object]:
    """The policies whose constraints the request meets, by name."""
    for policy in sorted(policies, key=lambda each: str(each["metadata"]["name"])):
        if matching.matches(policy["spec"].get("matchConstraints") or {}, request):
            yield policy


def of(policy: Object, bindings: Iterable[Object], request: AdmissionRequest) -> Iterator[tuple[Object, list[Object | None], str]]:
    """(binding, parameters, problem) for each binding of the policy that the request meets; no parameters where there is a problem.

    A policy without parameters has None for its only one.
    """
    for binding in bindings:
        bound = binding["spec"]
        if bound["policyName"] != policy["metadata"]["name"] or not matching.matches(bound.get("matchResources") or {}, request):
            continue
        parameters, problem = [], ""
        try:
            parameters = collect(policy["spec"].get("paramKind"), bound.get("paramRef"), request)
        except BadBinding as error:
            problem = f"failed to configure binding: {error}"
        yield binding, parameters, problem
