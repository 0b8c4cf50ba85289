"""The audit log: one `audit.k8s.io/v1` Event a line, for every request that the policy wants to remember.

Requests flow in as they begin; a line flows out when the answer is known (ResponseComplete), and for those that last (watches, exec, logs)
another when the answer starts (ResponseStarted). What the log holds is what the learner and others asked of the cluster: of the control
plane's own components only their writes to workloads are kept, as kube-up's audit policy does.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import Resource
from kubeobjects import Object, meta

log = logging.getLogger(__name__)

_MAX_BYTES = 20_000_000
_COMPONENTS = ("system:kube-", "system:node:", "system:apiserver")
_READS = frozenset({"get", "list", "watch"})
# Too many and of no interest: heartbeats and events of components.
_UNREMARKABLE = frozenset({"leases", "events", "endpoints", "endpointslices"})
# Bodies of these never reach the log.
_SECRET = frozenset({"secrets", "tokenreviews", "serviceaccounts/token"})
_MAX_BODY = 100_000
_BLOCK = 64 * 1024
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


@dataclass
class Record:
    """One request. The server fills it as it learns more; `object_ref` has the fields of audit's ObjectReference."""

    verb: str
    uri: str
    user: User | None = None
    impersonated: User | None = None
    # The verb that allowed it, where that was one of constrained impersonation.
    constraint: str = ""
    user_agent: str = ""
    source: str = "127.0.0.1"
    object_ref: Object | None = None
    request_object: Object | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    audit_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    received: str = field(default_factory=meta.micro_now)

    def line(self, stage: str, code: int, error: ApiError | None = None) -> bytes:
        level = "Request" if self.request_object is not None else "Metadata"
        event: Object = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": level,
            "auditID": self.audit_id,
            "stage": stage,
            "requestURI": self.uri,
            "verb": self.verb,
            "user": _user(self.user),
        }
        if self.impersonated is not None:
            event["impersonatedUser"] = _user(self.impersonated)
        if self.constraint:
            event["authenticationMetadata"] = {"impersonationConstraint": self.constraint}
        event["sourceIPs"] = [self.source]
        if self.user_agent:
            event["userAgent"] = self.user_agent
        if self.object_ref:
            event["objectRef"] = self.object_ref
        status: Object = {"metadata": {}}
        if error is not None:
            status |= {"status": "Failure", "message": error.message, "reason": error.reason}
            if error.details:
                status["details"] = error.details
        event["responseStatus"] = {**status, "code": code}
        if self.request_object is not None:
            event["requestObject"] = self.request_object
        event["requestReceivedTimestamp"] = self.received
        event["stageTimestamp"] = meta.micro_now()
        if self.annotations:
            event["annotations"] = self.annotations
        return orjson.dumps(event) + b"\n"


def _user(user: User | None) -> Object:
    if user is None:
        return {}
    shown: Object = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {key: list(values) for key, values in user.extra.items()}
    return shown


def object_ref(group: str, version: str, resource: str, subresource: str, namespace: str | None, name: str) -> Object:
    parts = {
        "resource": resource,
        "namespace": namespace or "",
        "name": name,
        "apiGroup": group,
        "apiVersion": version,
        "subresource": subresource,
    }
    return {key: value for key, value in parts.items() if value}


def loggable(resource: str, subresource: str, body: Any, size: int) -> Object | None:
    """The request body as the log may hold it: none that carries a secret, none that is very long."""
    if resource in _SECRET or f"{resource}/{subresource}" in _SECRET or size > _MAX_BODY or not isinstance(body, dict | list):
        return None
    return body  # type: ignore[return-value]


class AuditLog:
    """Appends whole lines to `path`; beyond 20 MB the file becomes `<path>.1` and a new one begins.

    A disk that takes no line keeps no request from being answered: the line is left out, the log says once that lines are missing, and
    goes on with the first one that fits again.
    """

    def __init__(self, path: Path):
        self.path = path
        self._left_out = 0
        self._file = os.open(self.path, _FLAGS, 0o600)
        self._size = self._trim()

    def _trim(self) -> int:
        """Cuts off the half line that a server leaves behind that was killed in the middle of it; returns the size in bytes."""
        size = os.fstat(self._file).st_size
        end = size
        while end:
            start = max(0, end - _BLOCK)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._file, end)
        return end

    def write(self, record: Record, stage: str, code: int, error: ApiError | None = None) -> None:
        if not _wanted(record):
            return
        try:
            self._append(record.line(stage, code, error))
        except OSError as problem:
            if not self._left_out:
                log.warning("%s cannot be written, and lines are left out: %s", self.path, problem.strerror)
            self._left_out += 1
            return
        if self._left_out:
            log.warning("%s is written again; %d lines were left out", self.path, self._left_out)
            self._left_out = 0

    def _append(self, line: bytes) -> None:
        if self._size > _MAX_BYTES:
            # Where no new file can be made, lines go on to the old one.
            with contextlib.suppress(OSError):
                self._rotate()
        written = os.write(self._file, line)
        if written < len(line):
            # The disk took a part: without it the next line does not begin in the middle of this one.
            os.ftruncate(self._file, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _rotate(self) -> None:
        following = self.path.with_name(self.path.name + ".new")
        file = os.open(following, _FLAGS | os.O_TRUNC, 0o600)
        try:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            following.replace(self.path)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self._size = file, 0

    def local(
        self, user: User, agent: str, verb: str, resource: Resource, namespace: str | None, name: str, subresource: str
    ) -> LocalRequest:
        """A context manager around a component's write."""
        return LocalRequest(self, user, agent, verb, resource, namespace, name, subresource)

    def close(self) -> None:
        os.close(self._file)


def _wanted(record: Record) -> bool:
    user = record.impersonated or record.user
    if user is None or not user.name.startswith(_COMPONENTS):
        return True
    ref = record.object_ref or {}
    return record.verb not in _READS and ref.get("resource") not in _UNREMARKABLE and ref.get("subresource") != "status"


class LocalRequest:
    """Writes the line of a write that came from a component of this process, when it has ended."""

    __slots__ = ("_agent", "_log", "_name", "_namespace", "_resource", "_subresource", "_user", "_verb")

    def __init__(
        self,
        log: AuditLog,
        user: User,
        agent: str,
        verb: str,
        resource: Resource,
        namespace: str | None,
        name: str,
        subresource: str,
    ):
        self._log = log
        self._user = user
        self._agent = agent
        self._verb = verb
        self._resource = resource
        self._namespace = namespace
        self._name = name
        self._subresource = subresource

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        resource, subresource = self._resource, self._subresource
        if resource.plural in _UNREMARKABLE or subresource == "status":
            return
        prefix = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
        uri = prefix + (f"/namespaces/{self._namespace}" if self._namespace and resource.namespaced else "") + f"/{resource.plural}"
        if self._name and (self._verb != "create" or subresource):
            uri += f"/{self._name}" + (f"/{subresource}" if subresource else "")
        ref = object_ref(resource.group, resource.version, resource.plural, subresource, self._namespace, self._name)
        record = Record(self._verb, uri, self._user, user_agent=self._agent, object_ref=ref)
        record.annotations = {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}
        if error is not None and not isinstance(error, ApiError):
            return
        failed = error
        code = failed.code if failed else 201 if self._verb == "create" else 200
        self._log.write(record, "ResponseComplete", code, failed)
