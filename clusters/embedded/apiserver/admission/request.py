"""What admission is asked to judge, and what it may read to do so (k8s.io/apiserver/pkg/admission Attributes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from clusters.embedded.apiserver.reader import Reader
from clusters.embedded.errors import ApiError, forbidden, not_found
from clusters.embedded.network import Network
from clusters.embedded.resources import Resource
from kubeobjects import Object

# Characters that the server adds to `generateName`.
_GENERATED = 5


@dataclass
class AdmissionRequest:
    """One write on its way to the store.

    `operation` is CREATE, UPDATE, DELETE or CONNECT. `object` is None for DELETE and is changed in place by mutating plugins; `old` is what
    is stored (UPDATE, DELETE). For CONNECT, `object` has the options of the stream, and `kind` says what they are (PodExecOptions).
    `updates` is filled by admission: (resource name, object) pairs that the server stores together with a request that succeeds
    (a ResourceQuota with its new `status.used`). `warnings` go into the reply, `annotations` into the audit log.
    `authorize` says whether the caller may do something else: attributes of a request (verb, group, resource, …) flow in, whether it is
    allowed and why come out. `mutating` is true while mutating plugins run. `options` are those of the request, as its query or body
    has them (metav1.CreateOptions and its like); `network` leads to webhooks that run in Pods.
    """

    operation: str
    resource: Resource
    reader: Reader
    subresource: str = ""
    namespace: str | None = None
    name: str = ""
    object: Object | None = None
    old: Object | None = None
    user: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Object = field(default_factory=dict)
    network: Network | None = None
    dry_run: bool = False
    updates: list[tuple[str, Object]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    authorize: Callable[[dict[str, str]], tuple[bool, str]] = lambda attributes: (False, "nobody was asked")
    mutating: bool = False
    kind: str = ""

    @property
    def metadata(self) -> Object:
        return (self.object or self.old or {}).get("metadata") or {}

    @property
    def display_name(self) -> str:
        """The name that messages show: the object's own, or the prefix where it is not yet final.

        A real server generates names after mutating admission, so that its refusals show the prefix alone.
        """
        name, prefix = self.metadata.get("name") or "", self.metadata.get("generateName") or ""
        return prefix if self.mutating and self.has_generated_name else name or prefix or self.name

    @property
    def has_generated_name(self) -> bool:
        name, prefix = self.metadata.get("name") or "", self.metadata.get("generateName") or ""
        return bool(prefix) and name.startswith(prefix) and len(name) == len(prefix) + _GENERATED

    def forbid(self, why: str) -> ApiError:
        """403 with `why` after `pods "x" is forbidden: `."""
        return forbidden(self.resource.plural, self.resource.group, self.display_name, why)

    def stored_pod(self, name: str) -> Object:
        """A Pod of the request's namespace. Raises ApiError 404."""
        found = self.reader.get("pods", name, self.namespace)
        if found is None:
            raise not_found("pods", "", name)
        return found
