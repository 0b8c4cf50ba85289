"""ValidatingAdmissionPolicy: rules of the platform as expressions, which refuse a request, warn of it or note it in the audit log.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating. A new policy holds from the next request on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from clusters.embedded.apiserver.admission.policies import bindings, matching
from clusters.embedded.apiserver.admission.policies.inputs import Failed, Inputs, meets
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.errors import ApiError
from kubeobjects import Object

_POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
_BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
# Bytes of a message that an expression makes, and of an audit annotation's value.
_LONGEST_MESSAGE = 5 * 1024
_LONGEST_ANNOTATION = 10 * 1024
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


@dataclass(frozen=True)
class Denial:
    """`index` is the place of the validation in its policy; `reason` is a `metav1.StatusReason`."""

    message: str
    reason: str = "Invalid"
    index: int = 0


def validate(request: AdmissionRequest) -> None:
    """Raises ApiError with the reason of the first validation that denies; adds warnings and audit annotations."""
    policies = request.reader.list(_POLICIES)
    if not policies or matching.is_exempt(request):
        return
    known = request.reader.list(_BINDINGS)
    denials: list[tuple[str, Denial]] = []
    for policy in bindings.applying(policies, request):
        name, spec = policy["metadata"]["name"], policy["spec"]
        told: dict[str, list[str]] = {}
        for binding, parameters, problem in bindings.of(policy, known, request):
            who = f"ValidatingAdmissionPolicy '{name}' with binding '{binding['metadata']['name']}'"
            if problem and spec.get("failurePolicy", "Fail") == "Fail":
                denials.append((who, Denial(problem)))
            for parameter in parameters:
                inputs = Inputs(request, parameter, spec.get("variables"))
                for denial in _denials(spec, inputs):
                    _act(request, binding, denial, who, denials)
                for denial in _annotate(spec, inputs, told):
                    denials.append((who, denial))
        for key, values in told.items():
            request.annotations[f"{name}/{key}"] = ", ".join(dict.fromkeys(values))
    if denials:
        raise _refusal(request, *denials[0])


def _denials(spec: Object, inputs: Inputs) -> Iterator[Denial]:
    failure_policy = spec.get("failurePolicy", "Fail")
    try:
        if not meets(spec.get("matchConditions") or [], inputs, failure_policy):
            return
    except Failed as error:
        yield Denial(str(error))
        return
    for index, validation in enumerate(spec.get("validations") or []):
        try:
            if inputs.evaluate(validation["expression"]) is not True:
                yield Denial(_message(validation, inputs), validation.get("reason") or "Invalid", index)
        except Failed as error:
            if failure_policy == "Fail":
                yield Denial(str(error), index=index)


def _message(validation: Object, inputs: Inputs) -> str:
    """What the policy's author wants to be said: made by an expression, where that gives one line; written down; or the rule itself."""
    if validation.get("messageExpression"):
        try:
            made = inputs.evaluate(validation["messageExpression"], authorizer=False)
        except Failed:
            made = None
        if isinstance(made, str) and (text := made.strip()) and "\n" not in text and len(text.encode()) <= _LONGEST_MESSAGE:
            return text
    return (validation.get("message") or "").strip() or f"failed expression: {validation['expression'].strip()}"


def _act(request: AdmissionRequest, binding: Object, denial: Denial, who: str, denials: list[tuple[str, Denial]]) -> None:
    for action in binding["spec"].get("validationActions") or []:
        if action == "Deny":
            denials.append((who, denial))
        elif action == "Warn":
            request.warnings.append(f"Validation failed for {who}: {denial.message}")
        elif action == "Audit":
            failure = {
                "message": denial.message,
                "policy": binding["spec"]["policyName"],
                "binding": binding["metadata"]["name"],
                "expressionIndex": denial.index,
                "validationActions": binding["spec"]["validationActions"],
            }
            request.annotations["validation.policy.admission.k8s.io/validation_failure"] = json.dumps([failure], separators=(",", ":"))


def _annotate(spec: Object, inputs: Inputs, told: dict[str, list[str]]) -> Iterator[Denial]:
    """Collects the policy's audit annotations; where one fails and the failure policy says so, the request is denied for it."""
    for each in spec.get("auditAnnotations") or []:
        try:
            value = inputs.evaluate(each["valueExpression"])
        except Failed as error:
            if spec.get("failurePolicy", "Fail") == "Fail":
                yield Denial(str(error))
            continue
        if isinstance(value, str) and value.strip():
            told.setdefault(each["key"], []).append(value.strip()[:_LONGEST_ANNOTATION])


def _refusal(request: AdmissionRequest, who: str, denial: Denial) -> ApiError:
    message = f"{who} denied request: {denial.message}"
    error = request.forbid(message)
    details = {**error.details, "causes": [{"message": message}]}
    return ApiError(_CODES.get(denial.reason, 422), denial.reason, error.message, details)
