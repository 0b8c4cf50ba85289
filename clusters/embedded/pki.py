"""Keys and certificates of the cluster, made once and kept in the state folder; and tokens of ServiceAccounts.

`ensure(folder)` gives the paths of CA, server and admin certificate. A warm start only reads their names: cryptography is imported
where something has to be made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from kubeobjects import Object, meta

ADMIN_NAME = "kubernetes-admin"
FRONT_PROXY_NAME = "front-proxy-client"
ADMIN_GROUPS = ("kubeadm:cluster-admins", "system:masters")
_SERVER_NAMES = (
    "127.0.0.1",
    "localhost",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
ISSUER = "https://kubernetes.default.svc.cluster.local"
# Of the tokens that Secrets hold, which are older than TokenRequests and name no audience.
SECRET_ISSUER = "kubernetes/serviceaccount"
# What the names of their claims begin with.
SECRET_CLAIM = "kubernetes.io/serviceaccount/"
_VALID_DAYS = 3650


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files. Keys are readable by their owner only."""

    ca: Path
    server: Path
    server_key: Path
    admin: Path
    admin_key: Path
    token_key: Path
    # What the API server shows to other API servers that stand behind it, and who they may believe.
    front_proxy_ca: Path
    front_proxy: Path
    front_proxy_key: Path


class PkiError(Exception):
    """Keys that cannot be read or made; the message says what to do."""


def ensure(folder: Path) -> Certificates:
    """The cluster's certificates, made where they are missing. Raises PkiError."""
    paths = Certificates(
        ca=folder / "ca.crt",
        server=folder / "server.crt",
        server_key=folder / "server.key",
        admin=folder / "admin.crt",
        admin_key=folder / "admin.key",
        token_key=folder / "sa.key",
        front_proxy_ca=folder / "front-proxy-ca.crt",
        front_proxy=folder / "front-proxy-client.crt",
        front_proxy_key=folder / "front-proxy-client.key",
    )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        issued = (paths.ca, paths.server, paths.server_key, paths.admin, paths.admin_key)
        if not all(each.exists() and each.stat().st_size for each in issued):
            _issue(paths)
        front = (paths.front_proxy_ca, paths.front_proxy, paths.front_proxy_key)
        if not all(each.exists() and each.stat().st_size for each in front):
            _issue_front_proxy(paths)
        if not paths.token_key.exists() or paths.token_key.stat().st_size < 32:
            _write(paths.token_key, secrets.token_bytes(32))
    except OSError as error:
        raise PkiError(f"the cluster's keys in {folder} cannot be used: {error}. Move the folder away and start again.") from None
    return paths


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a start that is killed half-way must not leave half a key."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _issue(paths: Certificates) -> None:
    """A CA that is forgotten as soon as it has signed both certificates: nobody can sign more with it."""
    from clusters.embedded import certificates

    for path, content in zip(
        (paths.server_key, paths.server, paths.admin_key, paths.admin, paths.ca),
        certificates.issue(_SERVER_NAMES, ADMIN_NAME, ADMIN_GROUPS, _VALID_DAYS),
        strict=True,
    ):
        _write(path, content)


def _issue_front_proxy(paths: Certificates) -> None:
    from clusters.embedded import certificates

    made = certificates.issue_client("front-proxy-ca", FRONT_PROXY_NAME, _VALID_DAYS)
    for path, content in zip((paths.front_proxy_key, paths.front_proxy, paths.front_proxy_ca), made, strict=True):
        _write(path, content)


class TokenIssuer:
    """Bearer tokens of ServiceAccounts: JSON Web Tokens, signed with a key that only the API server reads (HS256).

    The claims are those of a real cluster's; only the signature differs, which nobody outside the API server checks.
    """

    def __init__(self, key: bytes):
        self._key = key

    def issue(self, account: Object, spec: Object, bound: Object | None) -> tuple[str, str]:
        """(token, expiry in RFC 3339) for a TokenRequest's `spec`; `bound` is the object that the token is to end with."""
        metadata, now = account["metadata"], int(time.time())
        seconds = int(spec.get("expirationSeconds") or 3600)
        own: Object = {"namespace": metadata["namespace"], "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]}}
        if bound is not None:
            kind = bound["kind"].lower()
            own[kind] = {"name": bound["metadata"]["name"], "uid": bound["metadata"]["uid"]}
            if kind == "pod" and (bound.get("spec") or {}).get("nodeName"):
                own["node"] = {"name": bound["spec"]["nodeName"]}
        claims = {
            "aud": spec.get("audiences") or [ISSUER],
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": secrets.token_hex(16),
            "kubernetes.io": own,
            "nbf": now,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        return self._signed(claims), meta.format_time(datetime.fromtimestamp(now + seconds, UTC))

    def issue_for_secret(self, account: Object, secret: Object) -> str:
        """The token that a Secret of type kubernetes.io/service-account-token holds: it lasts as long as the Secret (serviceaccount.LegacyClaims)."""
        metadata = account["metadata"]
        return self._signed(
            {
                "iss": SECRET_ISSUER,
                f"{SECRET_CLAIM}namespace": metadata["namespace"],
                f"{SECRET_CLAIM}secret.name": secret["metadata"]["name"],
                f"{SECRET_CLAIM}service-account.name": metadata["name"],
                f"{SECRET_CLAIM}service-account.uid": metadata["uid"],
                "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
            }
        )

    def verify(self, token: str) -> Object | None:
        """The claims of a token that this cluster issued and that has not expired, or None."""
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(self._sign(signed).encode(), signature.encode(errors="replace")):
            return None
        try:
            claims = orjson.loads(_decode(signed.partition(".")[2]))
        except (ValueError, binascii.Error):
            return None
        if claims.get("iss") == SECRET_ISSUER:
            return claims
        now = time.time()
        return claims if claims.get("nbf", 0) <= now + 60 and now < claims.get("exp", 0) else None

    def _signed(self, claims: Object) -> str:
        head = _encode(orjson.dumps({"alg": "HS256", "kid": hashlib.sha256(self._key).hexdigest()[:16], "typ": "JWT"}))
        body = _encode(orjson.dumps(claims))
        return f"{head}.{body}.{self._sign(f'{head}.{body}')}"

    def _sign(self, text: str) -> str:
        return _encode(hmac.new(self._key, text.encode(errors="replace"), hashlib.sha256).digest())


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
