"""MutatingAdmissionPolicy: rules of the platform as expressions, which complete what is created or changed.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/mutating. A new policy holds from the next request on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clusters.embedded.apiserver.admission import system_fields
from clusters.embedded.apiserver.admission.policies import bindings, matching
from clusters.embedded.apiserver.admission.policies.inputs import Failed, Inputs, meets
from clusters.embedded.apiserver.admission.reinvocation import Reinvocation
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.errors import ApiError
from kubeobjects import Object

_POLICIES = "mutatingadmissionpolicies.admissionregistration.k8s.io"
_BINDINGS = "mutatingadmissionpolicybindings.admissionregistration.k8s.io"


@dataclass(frozen=True)
class _Problem:
    """`reason` is a `metav1.StatusReason`."""

    policy: Object
    binding: Object
    message: str
    reason: str = "Invalid"

    def __str__(self) -> str:
        names = self.policy["metadata"]["name"], self.binding["metadata"]["name"]
        return f"policy '{names[0]}' with binding '{names[1]}' denied request: {self.message}"


def admit(request: AdmissionRequest, reinvocation: Reinvocation) -> None:
    """Replaces `request.object`. Raises ApiError 403 where a policy cannot be followed and its failurePolicy is Fail."""
    policies = request.reader.list(_POLICIES)
    if not policies or request.object is None or request.operation == "DELETE" or matching.is_exempt(request):
        return
    problems: list[_Problem] = []
    with system_fields.hidden(request):
        reinvocation.begin(request.object)
        # Which policies apply is settled before the first of them changes anything.
        for policy, binding, parameter in list(_invocations(policies, request, problems)):
            _invoke(policy, binding, parameter, request, reinvocation, problems)
        reinvocation.end(request.object)
    told = [each for each in problems if each.policy["spec"].get("failurePolicy", "Fail") == "Fail"]
    if told:
        error = request.forbid("")
        causes = [{"message": str(each)} for each in told]
        raise ApiError(error.code, told[0].reason, str(told[0]), {**error.details, "causes": causes})


def _invocations(
    policies: list[Object], request: AdmissionRequest, problems: list[_Problem]
) -> Iterator[tuple[Object, Object, Object | None]]:
    known = request.reader.list(_BINDINGS)
    for policy in bindings.applying(policies, request):
        for binding, parameters, problem in bindings.of(policy, known, request):
            if problem:
                problems.append(_Problem(policy, binding, problem, "Forbidden"))
            for parameter in parameters:
                yield policy, binding, parameter


def _invoke(
    policy: Object,
    binding: Object,
    parameter: Object | None,
    request: AdmissionRequest,
    reinvocation: Reinvocation,
    problems: list[_Problem],
) -> None:
    # Here, and not at the top: few clusters have such a policy, and its patches take long to import.
    from clusters.embedded.apiserver.admission.policies import mutations

    spec = policy["spec"]
    try:
        if not meets(
            spec.get("matchConditions") or [], Inputs(request, parameter, spec.get("variables")), spec.get("failurePolicy", "Fail")
        ):
            return
    except Failed as error:
        problems.append(_Problem(policy, binding, str(error)))
        return
    named = (parameter or {}).get("metadata") or {}
    key = "/".join((policy["metadata"]["name"], binding["metadata"]["name"], named.get("namespace") or "", named.get("name") or ""))
    if not reinvocation.is_due(key):
        return
    before = request.object
    for mutation in spec.get("mutations") or []:
        # Each looks at what those before it made.
        inputs = Inputs(request, parameter, spec.get("variables"))
        try:
            request.object = mutations.apply(mutation, inputs, request)
        except Failed as error:
            problems.append(_Problem(policy, binding, str(error)))
    reinvocation.note(key, request.object != before, spec.get("reinvocationPolicy") == "IfNeeded")
