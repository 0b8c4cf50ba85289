"""What the learner looked at and what the learner changed, read off the API server's audit log.

Audit events (audit.k8s.io/v1) come in; what the cluster's own components and the course did is left out. Who did it is told by the identity of the
connection: a client may call itself, and its field manager, anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kubeobjects import Object

# The verbs that only read.
LOOKS = frozenset({"get", "list", "watch"})
# The accounts of components, of kube-system's controllers and of kind's storage provisioner.
_COMPONENTS = (
    "system:kube-",
    "system:node:",
    "system:apiserver",
    "system:addon-manager",
    "system:serviceaccount:kube-system:",
    "system:serviceaccount:local-path-storage:",
)


@dataclass(frozen=True)
class Deed:
    """One request of the learner: `verb` as the API names it, on `resource` (plural, with the subresource after a slash).

    `body` is what was sent, where the audit policy keeps it.
    """

    at: float
    verb: str
    resource: str
    namespace: str
    name: str
    agent: str
    code: int
    user: str = ""
    body: Object | None = None

    @property
    def looks(self) -> bool:
        """Whether it only reads."""
        return self.verb in LOOKS


@dataclass(frozen=True)
class Deeds:
    """All deeds since an exercise began; `known` is False where the cluster keeps no log that can be read."""

    known: bool
    deeds: tuple[Deed, ...]

    def looked_at(self, *resources: str) -> bool:
        """Whether any of these resources was read with success; unknown counts as yes: nobody is blamed for a missing log."""
        if not self.known:
            return True
        return any(deed.looks and deed.resource in resources and deed.code < 300 for deed in self.deeds)

    def changes(self, *resources: str) -> list[Deed]:
        """Writes that succeeded, to these resources or to any."""
        return [deed for deed in self.deeds if not deed.looks and deed.code < 300 and (not resources or deed.resource in resources)]

    def deleted(self, resource: str) -> list[Deed]:
        return [deed for deed in self.changes(resource) if deed.verb in ("delete", "deletecollection")]

    def looked_before_changing(self, *resources: str) -> bool:
        """Whether one of `resources` was read before the first change of anything."""
        changes = self.changes()
        if not self.known or not changes:
            return self.looked_at(*resources)
        first = min(deed.at for deed in changes)
        return any(deed.looks and deed.resource in resources and deed.at <= first for deed in self.deeds)


# `kubectl auth can-i` and `kubectl auth whoami` create reviews, which are answered and never stored.
_REVIEWS = ("authorization.k8s.io", "authentication.k8s.io")


def _moment(event: Object) -> float:
    text = event.get("requestReceivedTimestamp") or event.get("stageTimestamp") or ""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _stores_nothing(event: Object) -> bool:
    """Whether a request stores nothing: a review, or a dry run, which is said in the address, and by deletions and evictions in their DeleteOptions.

    Other bodies are a learner's objects, in which a field of this name means nothing.
    """
    if "dryRun=" in event.get("requestURI", ""):
        return True
    body, reference = event.get("requestObject"), event.get("objectRef") or {}
    if reference.get("apiGroup") in _REVIEWS:
        return True
    if not isinstance(body, dict):
        return False
    if event.get("verb") in ("delete", "deletecollection"):
        return bool(body.get("dryRun"))
    return reference.get("subresource") == "eviction" and bool((body.get("deleteOptions") or {}).get("dryRun"))


def _deed(event: Object) -> Deed | None:
    reference = event.get("objectRef") or {}
    user = event.get("user", {}).get("username", "")
    if not reference or user.startswith(_COMPONENTS) or _stores_nothing(event):
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
        agent=event.get("userAgent", ""),
        code=(event.get("responseStatus") or {}).get("code", 200),
        user=user,
        body=event.get("requestObject") if isinstance(event.get("requestObject"), dict) else None,
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
