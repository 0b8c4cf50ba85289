"""Which ReplicaSet belongs to which revision of a Deployment: template hashes, revision numbers and annotations."""

from __future__ import annotations

from typing import Any

from clusters.embedded.client import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"

# Annotations of a Deployment that its ReplicaSets do not get.
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAX,
        "deprecated.deployment.rollback.to",
    }
)


def _bare(template: Object) -> Object:
    metadata = dict(template.get("metadata") or {})
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    metadata["labels"] = labels
    return {**template, "metadata": {name: value for name, value in metadata.items() if value}}


def same_template(one: Object, other: Object) -> bool:
    """Whether two templates are the same apart from the hash label (EqualIgnoreHash)."""
    return _bare(one) == _bare(other)


def _age(replica_set: Object) -> tuple[str, str]:
    return replica_set["metadata"]["creationTimestamp"], replica_set["metadata"]["name"]


def oldest_first(replica_sets: list[Object]) -> list[Object]:
    return sorted(replica_sets, key=_age)


def find_new(deployment: Object, replica_sets: list[Object]) -> Object | None:
    """The ReplicaSet of the Deployment's current template; the oldest, should there be several."""
    template = deployment["spec"]["template"]
    return next((each for each in oldest_first(replica_sets) if same_template(each["spec"]["template"], template)), None)


def annotations_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def revision(obj: Object) -> int:
    try:
        return int(annotations_of(obj).get(REVISION, "0"))
    except ValueError:
        return 0


def latest_revision(replica_sets: list[Object]) -> int:
    return max((revision(each) for each in replica_sets), default=0)


def annotations_for(deployment: Object, replica_set: Object | None, new_revision: int) -> dict[str, str]:
    """The annotations of the new ReplicaSet: the Deployment's own, its revision, and the revisions it had before."""
    wanted: dict[str, Any] = dict(annotations_of(replica_set)) if replica_set else {}
    wanted |= {name: value for name, value in annotations_of(deployment).items() if name not in _NOT_COPIED}
    old = wanted.get(REVISION)
    if old is None or int(old) < new_revision:
        wanted[REVISION] = str(new_revision)
        if old is not None:
            history = [each for each in wanted.get(REVISION_HISTORY, "").split(",") if each]
            wanted[REVISION_HISTORY] = ",".join(each for each in [*history, old] if each != str(new_revision)) if history else old
    return wanted
