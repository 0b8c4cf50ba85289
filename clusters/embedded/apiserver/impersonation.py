"""Acting as somebody else: the Impersonate-* headers flow in, the user to act as comes out (endpoints/filters/impersonation).

Each part of the other user must be granted. The constrained modes (verbs `impersonate:<mode>` and `impersonate-on:<mode>:<verb>`) are asked
first, as by Kubernetes 1.36, then plain `impersonate`; where none allows it, the first refusal is the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from clusters.embedded.apiserver import authorization
from clusters.embedded.apiserver.attributes import Attributes
from clusters.embedded.apiserver.authentication import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, account_groups, split_account
from clusters.embedded.apiserver.authorization import Authorizer
from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError, bad_request

_EXTRA = "impersonate-extra-"
_API = "authentication.k8s.io"
_MASTERS = "system:masters"
_NODES = "system:nodes"
_NODE = re.compile(r"system:node:(?P<name>[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$")
_NODE_NAME = "authentication.kubernetes.io/node-name"
# From this many groups or extras on, one check for all of them is tried first (manyAuthorizationChecksInLoop).
_MANY = 4


def wanted(headers: CIMultiDictProxy[str]) -> User | None:
    """Whom the headers ask to act as, with nothing added; None where they do not ask. Raises ApiError 400 where they name no user."""
    name, uid = headers.get("Impersonate-User", ""), headers.get("Impersonate-Uid", "")
    groups = tuple(headers.getall("Impersonate-Group", []))
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in headers.items():
        if header.lower().startswith(_EXTRA):
            key = unquote(header.lower().removeprefix(_EXTRA))
            extra[key] = (*extra.get(key, ()), value)
    user = User(name, groups, uid, extra)
    if name:
        return user
    if groups or uid or extra:
        raise bad_request(f"requested {_as_go(user)} without impersonating a user name")
    return None


def _as_go(user: User) -> str:
    def texts(values: tuple[str, ...]) -> str:
        return "[]string{" + ", ".join(map(json.dumps, values)) + "}"

    groups = texts(user.groups) if user.groups else "[]string(nil)"
    listed = ", ".join(f"{json.dumps(key)}:{texts(values)}" for key, values in sorted(user.extra.items()))
    extra = f"map[string][]string{{{listed}}}" if user.extra else "map[string][]string(nil)"
    return f"&user.DefaultInfo{{Name:{json.dumps(user.name)}, UID:{json.dumps(user.uid)}, Groups:{groups}, Extra:{extra}}}"


def authorize(authorizer: Authorizer, requestor: User, other: User, request: Attributes) -> tuple[User, str]:
    """(the user to act as, the verb that allows it for this request; "" for plain `impersonate`). Raises ApiError 403."""
    first: ApiError | None = None
    for mode in _modes(requestor, other):
        try:
            if mode:
                _require(authorizer, requestor, replace(request, verb=f"impersonate-on:{mode}:{request.verb}"))
            return _Mode(authorizer, requestor, mode).check(other), f"impersonate:{mode}" if mode else ""
        except ApiError as error:
            first = first or error
    assert first is not None
    raise first


def _modes(requestor: User, other: User) -> Iterator[str]:
    """The modes that fit, in the order in which they are asked; "" is the one without constraints."""
    node, account = _NODE.match(other.name), split_account(other.name)
    only_name = not (other.groups or other.uid or other.extra)
    if node and only_name:
        if split_account(requestor.name) and requestor.extra.get(_NODE_NAME) == (node["name"],):
            yield "associated-node"
        yield "arbitrary-node"
    if account and only_name:
        yield "serviceaccount"
    if not node and not account:
        yield "user-info"
    yield ""


def _require(authorizer: Authorizer, user: User, attributes: Attributes) -> None:
    decision = authorizer.decide(user, attributes)
    if not decision.allowed:
        raise authorization.refusal(user, attributes, decision)


@dataclass(frozen=True)
class _Mode:
    """The checks of one mode (impersonationModeState)."""

    authorizer: Authorizer
    requestor: User
    mode: str

    def check(self, other: User) -> User:
        acting = self._name(other)
        if other.uid:
            self._ask(_API, "uids", other.uid)
        self._groups(other.groups)
        self._extra(other)
        groups = acting.groups
        if acting.name == ANONYMOUS.name:
            groups = groups if UNAUTHENTICATED in groups else (*groups, UNAUTHENTICATED)
        elif UNAUTHENTICATED not in groups and AUTHENTICATED not in groups:
            groups = (*groups, AUTHENTICATED)
        return replace(acting, groups=groups)

    def _ask(self, group: str, resource: str, name: str, *, subresource: str = "", namespace: str | None = None) -> None:
        verb = f"impersonate:{self.mode}" if self.mode else "impersonate"
        _require(self.authorizer, self.requestor, Attributes(verb, "", group, resource, subresource, namespace, name))

    def _allowed(self, group: str, resource: str, name: str, *, subresource: str = "") -> bool:
        try:
            self._ask(group, resource, name, subresource=subresource)
        except ApiError:
            return False
        return True

    def _name(self, other: User) -> User:
        group = _API if self.mode else ""
        if account := split_account(other.name):
            self._ask(group, "serviceaccounts", account[1], namespace=account[0])
            return other if other.groups else replace(other, groups=account_groups(account[0]))
        if self.mode and (node := _NODE.match(other.name)):
            self._ask(group, "nodes", "*" if self.mode == "associated-node" else node["name"])
            return replace(other, groups=(_NODES,))
        self._ask(group, "users", other.name)
        return other

    def _groups(self, groups: tuple[str, ...]) -> None:
        group = _API if self.mode else ""
        if self.mode:
            if "" in groups:
                raise self._refused("groups", "", "impersonating the empty string group is not allowed")
            if _MASTERS in groups:
                raise self._refused("groups", _MASTERS, f"impersonating the {_MASTERS} group is not allowed")
            if len(groups) >= _MANY and self._allowed(group, "groups", "*"):
                return
        for each in groups:
            self._ask(group, "groups", each)

    def _extra(self, other: User) -> None:
        if self.mode:
            for key, values in other.extra.items():
                if not key:
                    raise self._refused("userextras", "", "impersonating the empty string key in extra is not allowed")
                if "" in values:
                    raise self._refused("userextras", "", "impersonating the empty string value in extra is not allowed")
            many = sum(map(len, other.extra.values())) >= _MANY
            if many and self._allowed(_API, "userextras", "*", subresource="*"):
                return
        for key, values in other.extra.items():
            for value in values:
                self._ask(_API, "userextras", value, subresource=key)

    def _refused(self, resource: str, name: str, why: str) -> ApiError:
        attributes = Attributes(f"impersonate:{self.mode}", group=_API, resource=resource, name=name)
        return authorization.refusal(self.requestor, attributes, authorization.Decision(False, why))
