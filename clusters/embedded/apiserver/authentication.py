"""Who sends a request: a client certificate, a bearer token, or nobody (system:anonymous).

TLS has checked a certificate against the cluster's CA before it comes here.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError
from clusters.embedded.pki import ISSUER, SECRET_CLAIM, SECRET_ISSUER, TokenIssuer
from clusters.embedded.store import Store
from kubeobjects import meta

UNAUTHENTICATED = "system:unauthenticated"
AUTHENTICATED = "system:authenticated"
ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))
# Whom a token must be meant for to be good here (--api-audiences, by default the issuer).
API_AUDIENCES = (ISSUER,)
_ACCOUNT = "system:serviceaccount:"


class Unauthorized(ApiError):
    """401. `why` is for a TokenReview: a client is told no more than the word."""

    def __init__(self, why: str):
        super().__init__(401, "Unauthorized", "Unauthorized")
        self.why = why


def unauthorized(why: str = "invalid bearer token") -> Unauthorized:
    return Unauthorized(why)


def split_account(name: str) -> tuple[str, str] | None:
    """(namespace, name) of a ServiceAccount's user name, None for another user's (serviceaccount.SplitUsername)."""
    parts = name.removeprefix(_ACCOUNT).split(":")
    return (parts[0], parts[1]) if name.startswith(_ACCOUNT) and len(parts) == 2 and all(parts) else None


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
        """The ServiceAccount of a token that is meant for this API. Raises Unauthorized."""
        return self.review(token, API_AUDIENCES)[0]

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """(the ServiceAccount, those of `audiences` that the token is meant for).

        The account must still exist, and so must the object that the token is bound to. Raises Unauthorized.
        """
        claims = self._tokens.verify(token)
        if claims is None:
            raise unauthorized()
        if claims.get("iss") == SECRET_ISSUER:
            return self._of_secret(claims, token), [each for each in API_AUDIENCES if each in audiences]
        meant_for = claims.get("aud") or []
        shared = [each for each in meant_for if each in audiences]
        if not shared:
            raise unauthorized(f"token audiences {_listed(meant_for)} is invalid for the target audiences {_listed(audiences)}")
        return self._account(claims), shared

    def _account(self, claims: Mapping[str, Any]) -> User:
        own = claims["kubernetes.io"]
        namespace, account = own["namespace"], own["serviceaccount"]
        stored = self._store.get("serviceaccounts", account["name"], namespace)
        if stored is None or stored["metadata"]["uid"] != account["uid"]:
            raise unauthorized("service account token has been invalidated")
        extra: dict[str, tuple[str, ...]] = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        self._check_bound(own, namespace)
        if "pod" in own:
            extra["authentication.kubernetes.io/pod-name"] = (own["pod"]["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (own["pod"]["uid"],)
        if "node" in own:
            extra["authentication.kubernetes.io/node-name"] = (own["node"]["name"],)
        name = f"{_ACCOUNT}{namespace}:{account['name']}"
        return User(name, (*account_groups(namespace), AUTHENTICATED), account["uid"], extra)

    def _of_secret(self, claims: Mapping[str, Any], token: str) -> User:
        """The account of a token out of a Secret, which must still hold it (pkg/serviceaccount/legacy.go)."""
        namespace, account = claims[f"{SECRET_CLAIM}namespace"], claims[f"{SECRET_CLAIM}service-account.name"]
        held = self._store.get("secrets", claims[f"{SECRET_CLAIM}secret.name"], namespace)
        if held is None or meta.is_deleting(held) or (held.get("data") or {}).get("token") != b64encode(token.encode()).decode():
            raise unauthorized("service account token has been invalidated")
        stored = self._store.get("serviceaccounts", account, namespace)
        if stored is None or stored["metadata"]["uid"] != claims[f"{SECRET_CLAIM}service-account.uid"]:
            raise unauthorized("service account token has been invalidated")
        return User(f"{_ACCOUNT}{namespace}:{account}", (*account_groups(namespace), AUTHENTICATED), stored["metadata"]["uid"])

    def _check_bound(self, own: Mapping[str, Any], namespace: str) -> None:
        """Raises Unauthorized where the object that the token is bound to has gone. A Pod's node is only told, not bound to."""
        for kind in ("pod", "secret", "node"):
            bound = own.get(kind)
            if bound is None or (kind == "node" and "pod" in own):
                continue
            stored = self._store.get(f"{kind}s", bound["name"], None if kind == "node" else namespace)
            if stored is None or stored["metadata"]["uid"] != bound["uid"]:
                raise unauthorized("service account token has been invalidated")


def _from_certificate(certificate: Mapping[str, Any]) -> User:
    name, groups = "", []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return User(name, (*groups, AUTHENTICATED))


def _listed(texts: Sequence[str]) -> str:
    """A list as Go's %q writes it."""
    return "[" + " ".join(json.dumps(each) for each in texts) + "]"


def account_groups(namespace: str) -> tuple[str, str]:
    """The groups that every ServiceAccount of the namespace is in."""
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}"
