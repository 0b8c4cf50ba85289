"""What a caller may do: `authorizer.group("apps").resource("deployments").namespace("a").check("create").allowed()`.

A check is a message whose text is the attributes gathered so far, as JSON. Who answers is said at each evaluation, by `asked_of`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from clusters.embedded.cel.functions import method
from clusters.embedded.cel.types import value

_AUTHORIZER, _PATH, _GROUP, _RESOURCE, _DECISION = "Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision"
# Attributes of a request flow in; whether it is allowed and the reason come out.
Authorize = Callable[[dict[str, str]], tuple[bool, str]]
_answers: ContextVar[Authorize] = ContextVar("authorize")


@contextmanager
def asked_of(authorize: Authorize) -> Iterator[None]:
    """Checks made inside are answered by `authorize`."""
    token = _answers.set(authorize)
    try:
        yield
    finally:
        _answers.reset(token)


def authorizer(**attributes: str) -> Any:
    """The variable `authorizer`."""
    return value(_AUTHORIZER, json.dumps(attributes))


def resource_check(**attributes: str) -> Any:
    """The variable `authorizer.requestResource`: the request's own resource, where only the verb is left to say."""
    return value(_RESOURCE, json.dumps(attributes))


def _with(kind: str, one: Any, **more: str) -> Any:
    return value(kind, json.dumps({**json.loads(one.text or "{}"), **more}))


@method("path", _AUTHORIZER, "string", returns=_PATH)
def path(one: Any, to: str) -> Any:
    return _with(_PATH, one, path=to)


@method("group", _AUTHORIZER, "string", returns=_GROUP)
def group(one: Any, name: str) -> Any:
    return _with(_GROUP, one, group=name)


@method("serviceAccount", _AUTHORIZER, "string", "string", returns=_AUTHORIZER)
def service_account(one: Any, namespace: str, name: str) -> Any:
    return _with(_AUTHORIZER, one, account=f"{namespace}/{name}")


@method("resource", _GROUP, "string", returns=_RESOURCE)
def resource(one: Any, name: str) -> Any:
    return _with(_RESOURCE, one, resource=name)


@method("subresource", _RESOURCE, "string", returns=_RESOURCE)
def subresource(one: Any, name: str) -> Any:
    return _with(_RESOURCE, one, subresource=name)


@method("namespace", _RESOURCE, "string", returns=_RESOURCE)
def namespace(one: Any, name: str) -> Any:
    return _with(_RESOURCE, one, namespace=name)


@method("name", _RESOURCE, "string", returns=_RESOURCE)
def name(one: Any, to: str) -> Any:
    return _with(_RESOURCE, one, name=to)


@method("check", _RESOURCE, "string", returns=_DECISION)
@method("check", _PATH, "string", returns=_DECISION)
def check(one: Any, verb: str) -> Any:
    allowed, reason = _answers.get()({**json.loads(one.text), "verb": verb})
    return value(_DECISION, json.dumps({"allowed": allowed, "reason": reason}))


@method("allowed", _DECISION, returns="bool")
def allowed(one: Any) -> bool:
    return bool(json.loads(one.text)["allowed"])


@method("reason", _DECISION, returns="string")
def reason(one: Any) -> str:
    return str(json.loads(one.text)["reason"])


@method("errored", _DECISION, returns="bool")
def errored(one: Any) -> bool:
    return False


@method("error", _DECISION, returns="string")
def error(one: Any) -> str:
    return ""
