"""What the expressions of policies and webhooks may look at, and what they give (k8s.io/apiserver/pkg/admission/plugin/cel)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from clusters.embedded import cel
from clusters.embedded.apiserver import conversion
from clusters.embedded.apiserver.admission.policies import matching
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from kubeobjects import Object

_PLAIN = (
    ("object", "dyn"), ("oldObject", "dyn"), ("request", "dyn"), ("namespaceObject", "dyn"), ("params", "dyn"), ("variables", "dyn"),
)  # fmt: skip
_WITH_AUTHORIZER = (*_PLAIN, ("authorizer", "Authorizer"), ("authorizer.requestResource", "ResourceCheck"))


class Failed(ValueError):
    """An expression that could not be compiled or evaluated, in the words of a denial."""


class Inputs:
    """The variables of one request. `params` is the object that a binding names, or None; `composed` are the policy's own variables."""

    def __init__(self, request: AdmissionRequest, params: Object | None = None, composed: list[Object] | None = None):
        self._request = request
        self._params = params
        self._composed = composed or []

    def evaluate(self, text: str, *, authorizer: bool = True, messages: bool = False) -> Any:
        """The value of an expression. Raises Failed. With `messages` it may make some: see `cel/message_literals.py`."""
        from clusters.embedded.cel import message_literals
        from clusters.embedded.cel.library import authorization

        try:
            written = message_literals.as_maps(text).text if messages else text
            expression = cel.compiled(written, _WITH_AUTHORIZER if authorizer else _PLAIN)
        except cel.CompileError as error:
            raise Failed(f"compilation error: compilation failed: {error}") from None
        try:
            with authorization.asked_of(self._request.authorize):
                return expression.evaluate({**self._variables(authorizer), "variables": self._own(text)})
        except cel.EvaluationError as error:
            raise Failed(f"expression '{text}' resulted in error: {error}") from None

    def _variables(self, authorizer: bool) -> Mapping[str, Any]:
        return {**self._plain, **self._authorizers} if authorizer else self._plain

    @cached_property
    def _plain(self) -> Object:
        request = self._request
        namespace = matching.namespace_of(request)
        return {
            "object": self._versioned(request.object),
            "oldObject": self._versioned(request.old),
            "request": as_request(request),
            "namespaceObject": None
            if namespace is None
            else {key: namespace[key] for key in ("metadata", "spec", "status") if key in namespace},
            "params": self._params,
        }

    @cached_property
    def _authorizers(self) -> Object:
        from clusters.embedded.cel.library import authorization

        request = self._request
        own = {"group": request.resource.group, "resource": request.resource.plural, "subresource": request.subresource}
        own |= {"namespace": request.namespace or "", "name": request.name}
        return {
            "authorizer": authorization.authorizer(),
            "authorizer.requestResource": authorization.resource_check(**own),
        }

    def _versioned(self, obj: Object | None) -> Object | None:
        return None if obj is None else conversion.as_asked_for(self._request.resource, self._request.subresource, obj)

    def _own(self, text: str) -> Object:
        """The policy's variables that the expression names, each of which may name those before it."""
        values: Object = {}
        for each in self._composed:
            name, body = each["name"], each["expression"]
            if f"variables.{name}" not in text and not any(f"variables.{name}" in later["expression"] for later in self._composed):
                continue
            try:
                expression = cel.compiled(body, _WITH_AUTHORIZER)
                values[name] = expression.evaluate({**self._variables(True), "variables": dict(values)})
            except ValueError as error:
                if f"variables.{name}" in text:
                    raise cel.EvaluationError(f'composited variable "{name}" fails to evaluate: {error}') from None
        return values


def meets(conditions: list[Object], inputs: Inputs, failure_policy: str) -> bool:
    """Whether all matchConditions hold. One that is false decides; where others fail, the failure policy does: raises Failed, or skips."""
    failures = []
    for each in conditions:
        try:
            if inputs.evaluate(each["expression"]) is False:
                return False
        except Failed as error:
            failures.append(str(error))
    if failures and failure_policy == "Fail":
        raise Failed(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
    return not failures


def as_request(request: AdmissionRequest) -> Object:
    """The request without its objects (admission.k8s.io/v1 AdmissionRequest)."""
    resource = request.resource
    kind = {"group": resource.group, "version": resource.version, "kind": request.kind or resource.kind}
    what = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    shown: Object = {
        "kind": kind,
        "resource": what,
        "requestKind": kind,
        "requestResource": what,
        "name": request.metadata.get("name") or request.name,
        "operation": request.operation,
        "userInfo": _user(request),
        "dryRun": request.dry_run,
    }
    if request.subresource:
        shown["subResource"] = shown["requestSubResource"] = request.subresource
    if request.subresource == "scale":
        shown["kind"] = shown["requestKind"] = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    if request.namespace:
        shown["namespace"] = request.namespace
    return shown


def _user(request: AdmissionRequest) -> Object:
    shown: Object = {"username": request.user, "groups": list(request.groups)}
    if request.uid:
        shown["uid"] = request.uid
    if request.extra:
        shown["extra"] = {key: list(values) for key, values in request.extra.items()}
    return shown
