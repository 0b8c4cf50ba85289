"""Who sends a request: a client certificate, a bearer token, or nobody (system:anonymous); and whom they act as.

TLS has checked a certificate against the cluster's CA before it comes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError
from clusters.embedded.pki import TokenIssuer
from clusters.embedded.store import Store

ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
_AUTHENTICATED = "system:authenticated"
_ACCOUNT = "system:serviceaccount:"
_EXTRA = "impersonate-extra-"


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


class Authenticator:
    def __init__(self, store: Store, tokens: TokenIssuer):
        self._store = store
        self._tokens = tokens

    def authenticate(self, certificate: Mapping[str, Any] | None, authorization: str | None) -> User:
        """`certificate` is ssl's getpeercert(); `authorization` the header. Raises ApiError 401 for a token that is not good."""
        if certificate:
            return _from_certificate(certificate)
        if authorization:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "bearer" and token.strip():
                return self.from_token(token.strip())
        return ANONYMOUS

    def from_token(self, token: str) -> User:
        """The ServiceAccount of a token: it must still exist, and so must the Pod that the token is bound to."""
        claims = self._tokens.verify(token)
        if claims is None:
            raise unauthorized()
        own = claims["kubernetes.io"]
        namespace, account = own["namespace"], own["serviceaccount"]
        stored = self._store.get("serviceaccounts", account["name"], namespace)
        if stored is None or stored["metadata"]["uid"] != account["uid"]:
            raise unauthorized()
        extra: dict[str, tuple[str, ...]] = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        if "pod" in own:
            pod = self._store.get("pods", own["pod"]["name"], namespace)
            if pod is None or pod["metadata"]["uid"] != own["pod"]["uid"]:
                raise unauthorized()
            extra["authentication.kubernetes.io/pod-name"] = (own["pod"]["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (own["pod"]["uid"],)
            if "node" in own:
                extra["authentication.kubernetes.io/node-name"] = (own["node"]["name"],)
        name = f"{_ACCOUNT}{namespace}:{account['name']}"
        return User(name, (*_account_groups(namespace), _AUTHENTICATED), account["uid"], extra)


def _from_certificate(certificate: Mapping[str, Any]) -> User:
    name, groups = "", []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return User(name, (*groups, _AUTHENTICATED))


def _account_groups(namespace: str) -> tuple[str, str]:
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}"


def impersonated(headers: Mapping[str, str], groups: list[str]) -> User | None:
    """Whom the headers ask to act as, or None. `groups` are all values of Impersonate-Group. Raises ApiError 400 or 500 as upstream does.

    A ServiceAccount gets its groups where none are named; everyone but system:anonymous counts as authenticated.
    """
    lowered = {key.lower(): value for key, value in headers.items()}
    name = lowered.get("impersonate-user", "")
    uid = lowered.get("impersonate-uid", "")
    extra = {unquote(key.removeprefix(_EXTRA)): (value,) for key, value in lowered.items() if key.startswith(_EXTRA)}
    if not name:
        if groups or uid or extra:
            raise ApiError(400, "BadRequest", "requested impersonation without impersonating a user")
        return None
    found = list(groups)
    if name.startswith(_ACCOUNT) and not groups:
        parts = name.removeprefix(_ACCOUNT).split(":")
        if len(parts) == 2 and all(parts):
            found.extend(_account_groups(parts[0]))
    if name == ANONYMOUS.name:
        if "system:unauthenticated" not in found:
            found.append("system:unauthenticated")
    elif _AUTHENTICATED not in found:
        found.append(_AUTHENTICATED)
    return User(name, tuple(found), uid, extra)
