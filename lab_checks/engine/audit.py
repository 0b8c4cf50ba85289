"""What the learner looked at and what the learner changed, read off the API server's audit log.

Audit events (audit.k8s.io/v1) come in; what components, service accounts and the course itself did is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kubeobjects import Object

_LOOKS = frozenset({"get", "list", "watch"})
_NOT_LEARNERS = ("system:kube-", "system:node:", "system:serviceaccount:", "system:apiserver", "system:addon-manager")
# The course reads through the Python client and writes through kubectl under this field manager.
_COURSE_AGENTS = ("ai-lab", "OpenAPI-Generator", "kubernetes-client", "python-urllib")
COURSE_MANAGER = "ai-lab"


@dataclass(frozen=True)
class Deed:
    """One request of the learner: `verb` as the API names it, on `resource` (plural, with the subresource after a slash)."""

    at: float
    verb: str
    resource: str
    namespace: str
    name: str
    agent: str
    code: int


@dataclass(frozen=True)
class Deeds:
    """All deeds since an exercise began; `known` is False where the cluster keeps no log that can be read."""

    known: bool
    deeds: tuple[Deed, ...]

    def looked_at(self, *resources: str) -> bool:
        """Whether any of these resources was read with success; unknown counts as yes: nobody is blamed for a missing log."""
        if not self.known:
            return True
        return any(deed.verb in _LOOKS and deed.resource in resources and deed.code < 300 for deed in self.deeds)

    def changes(self, *resources: str) -> list[Deed]:
        """Writes that succeeded, to these resources or to any."""
        return [
            deed for deed in self.deeds if deed.verb not in _LOOKS and deed.code < 300 and (not resources or deed.resource in resources)
        ]

    def deleted(self, resource: str) -> list[Deed]:
        return [deed for deed in self.changes(resource) if deed.verb in ("delete", "deletecollection")]

    def looked_before_changing(self, *resources: str) -> bool:
        """Whether one of `resources` was read before the first change of anything."""
        changes = self.changes()
        if not self.known or not changes:
            return self.looked_at(*resources)
        first = min(deed.at for deed in changes)
        return any(deed.verb in _LOOKS and deed.resource in resources and deed.at <= first for deed in self.deeds)


def _moment(event: Object) -> float:
    text = event.get("requestReceivedTimestamp") or event.get("stageTimestamp") or ""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _deed(event: Object) -> Deed | None:
    reference = event.get("objectRef") or {}
    agent = event.get("userAgent", "")
    user = event.get("user", {}).get("username", "")
    if not reference or user.startswith(_NOT_LEARNERS) or any(each in agent for each in _COURSE_AGENTS):
        return None
    if f"fieldManager={COURSE_MANAGER}" in event.get("requestURI", ""):
        return None
    resource = reference.get("resource", "")
    if reference.get("subresource"):
        resource += f"/{reference['subresource']}"
    return Deed(
        at=_moment(event),
        verb=event.get("verb", ""),
        resource=resource,
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        agent=agent,
        code=(event.get("responseStatus") or {}).get("code", 200),
    )


def read(events: Iterable[Object], since: float) -> Deeds:
    """The learner's deeds after `since` (seconds since the epoch)."""
    found = []
    any_event = False
    for event in events:
        any_event = True
        # A watch that lasts is written when it begins and when it ends; once is enough.
        if event.get("stage") == "RequestReceived":
            continue
        if _moment(event) < since:
            continue
        deed = _deed(event)
        if deed is not None:
            found.append(deed)
    return Deeds(any_event, tuple(found))
