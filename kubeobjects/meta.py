"""Metadata, times, conditions and owners of API objects, and copies of them (k8s.io/apimachinery meta)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import orjson

from kubeobjects import Object

# k8s.io/apimachinery/pkg/util/rand: no vowels, no look-alikes.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def copy(obj: Object) -> Object:
    """A deep copy of a JSON object."""
    return orjson.loads(orjson.dumps(obj))


def now() -> str:
    """The current time as metav1.Time writes it."""
    return format_time(datetime.now(UTC))


def format_seconds(seconds: float) -> str:
    """Seconds since the epoch as metav1.Time writes them."""
    return format_time(datetime.fromtimestamp(seconds, UTC))


def format_time(moment: datetime) -> str:
    """As metav1.Time writes it: RFC 3339, whole seconds, UTC. `moment` knows its time zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_now() -> str:
    """The current time as metav1.MicroTime writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def suffix(length: int = 5) -> str:
    """The random end of a generated name."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def safe_encode(text: str) -> str:
    """rand.SafeEncodeString: digits of a hash in the alphabet of generated names."""
    return "".join(_ALPHABET[ord(character) % len(_ALPHABET)] for character in text)


def key(obj: Object) -> str:
    """`namespace/name`, or the name alone for a cluster-scoped object."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


def split_key(text: str) -> tuple[str | None, str]:
    namespace, _, name = text.rpartition("/")
    return namespace or None, name


def condition(obj: Object, kind: str) -> Object | None:
    for each in obj.get("status", {}).get("conditions") or []:
        if each.get("type") == kind:
            return each
    return None


def is_true(obj: Object, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def controller_of(obj: Object) -> Object | None:
    """The owner reference with `controller: true`, if there is one."""
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return owner
    return None


def owner_reference(owner: Object) -> Object:
    """A controller reference to `owner`, as metav1.NewControllerRef makes it."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_deleting(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]
