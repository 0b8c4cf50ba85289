"""Who may ask: the API server by its front-proxy certificate, on behalf of a user whom it may.

Follows what k8s.io/apiserver gives every extension API server: kube-system/extension-apiserver-authentication says which certificates and
headers to believe, and a SubjectAccessReview decides.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.client import HTTPMessage
from typing import Any

from metrics_adapter.api import Asked
from metrics_adapter.cluster import Cluster, ClusterError

_CONFIG = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
# How long a decision holds (DelegatingAuthorizationOptions: 10 s).
_HOLDS = 10.0
_MASTERS = "system:masters"


@dataclass(frozen=True)
class Caller:
    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Trust:
    """`ca` is PEM; an empty list of names takes every certificate of that CA."""

    ca: str
    names: tuple[str, ...]
    user_headers: tuple[str, ...]
    group_headers: tuple[str, ...]

    @classmethod
    def read(cls, cluster: Cluster) -> Trust:
        """Raises ClusterError."""
        data = cluster.get(_CONFIG).get("data") or {}

        def names(key: str, fallback: str) -> tuple[str, ...]:
            return tuple(json.loads(data.get(key) or fallback))

        if "requestheader-client-ca-file" not in data:
            raise ClusterError(f"{_CONFIG} has no requestheader-client-ca-file: this API server has no aggregation layer")
        return cls(
            ca=data["requestheader-client-ca-file"],
            names=names("requestheader-allowed-names", "[]"),
            user_headers=names("requestheader-username-headers", '["X-Remote-User"]'),
            group_headers=names("requestheader-group-headers", '["X-Remote-Group"]'),
        )

    def caller(self, certificate: Any, headers: HTTPMessage) -> Caller | None:
        """Who asks; None where the request does not come from the API server. `certificate` was verified against `ca`."""
        if not certificate:
            return None
        subject = dict(pair for part in certificate.get("subject", ()) for pair in part)
        if self.names and subject.get("commonName") not in self.names:
            return None
        name = next((headers[each] for each in self.user_headers if headers.get(each)), None)
        groups = tuple(value for each in self.group_headers for value in headers.get_all(each) or [])
        return Caller(name, groups) if name else None


class Authorizer:
    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._decided: dict[tuple[Caller, str, Asked], tuple[float, bool]] = {}
        self._lock = threading.Lock()

    def allows(self, caller: Caller, verb: str, asked: Asked) -> bool:
        """Raises ClusterError where nobody decides."""
        if _MASTERS in caller.groups:
            return True
        key, now = (caller, verb, asked), time.monotonic()
        with self._lock:
            self._decided = {each: found for each, found in self._decided.items() if now - found[0] < _HOLDS}
            if key in self._decided:
                return self._decided[key][1]
        attributes = {
            "namespace": asked.namespace, "verb": verb, "group": asked.group, "version": asked.version,
            "resource": asked.resource,
        }  # fmt: skip
        if asked.name:
            attributes |= {"name": asked.name, "subresource": asked.metric}
        elif asked.resource == "metrics":
            attributes["name"] = asked.metric
        spec = {"user": caller.name, "groups": list(caller.groups), "resourceAttributes": attributes}
        review = self._cluster.create(_REVIEWS, {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
        allowed = bool((review.get("status") or {}).get("allowed"))
        with self._lock:
            self._decided[key] = (now, allowed)
        return allowed
