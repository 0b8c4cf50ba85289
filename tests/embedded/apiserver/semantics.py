"""A way through the API server's pure steps without a server: what is stored is a dictionary, what comes out an object or a refusal."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from clusters.embedded import resources
from clusters.embedded.apiserver import admission, defaulting, strategy, validation
from clusters.embedded.apiserver.admission import AdmissionRequest
from clusters.embedded.errors import ApiError, invalid
from kubeobjects import Object

REFERENCE = Path(__file__).parents[2] / "fidelity" / "reference"
RECORDINGS = Path(__file__).parents[2] / "fidelity" / "recordings"
NAMESPACE = "lab"


def reference(name: str) -> list[Object]:
    """Objects as a real server stored them."""
    read = json.loads((REFERENCE / f"{name}.json").read_text())
    return read["items"] if read["kind"] == "List" else [read]


def recorded(scenario: str) -> list[str]:
    """Everything that kubectl showed in a scenario, a line each."""
    steps = json.loads((RECORDINGS / f"{scenario}.json").read_text())
    return [line for step in steps for line in step["lines"]]


@dataclass
class Cluster:
    """Stored objects by resource name; a `Reader` for admission and strategies."""

    objects: dict[str, list[Object]] = field(default_factory=dict)

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        return next((each for each in self.list(resource, namespace) if each["metadata"]["name"] == name), None)

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        found = self.objects.get(resource, [])
        return [each for each in found if namespace is None or each["metadata"].get("namespace") == namespace]

    def store(self, obj: Object) -> None:
        kind = resources.by_kind()[obj["apiVersion"], obj["kind"]]
        kept = self.objects.setdefault(kind.name, [])
        kept[:] = [
            each
            for each in kept
            if (each["metadata"].get("namespace"), each["metadata"]["name"]) != (obj["metadata"].get("namespace"), obj["metadata"]["name"])
        ]
        kept.append(obj)

    async def create(self, manifest: str | Object) -> Object:
        """The object as it is stored, with what admission stores beside it. Raises ApiError."""
        obj: Object = yaml.safe_load(manifest) if isinstance(manifest, str) else copy.deepcopy(manifest)
        resource = resources.by_kind()[obj["apiVersion"], obj["kind"]]
        metadata = obj.setdefault("metadata", {})
        if resource.namespaced:
            metadata.setdefault("namespace", NAMESPACE)
        defaulting.apply(obj)
        metadata["uid"] = f"uid-of-{metadata.get('name')}"
        request = AdmissionRequest("CREATE", resource, self, namespace=metadata.get("namespace"), name=metadata.get("name", ""), object=obj)
        await admission.mutate(request)
        strategy.prepare_for_create(obj, strategy.Context(self))
        refuse(obj, validation.validate(obj))
        await admission.validate(request)
        self.store(obj)
        for _, changed in request.updates:
            self.store(changed)
        return obj

    def update(self, old: Object, change: Object, subresource: str = "") -> Object:
        """The object after `change` was laid over it (maps are merged, the rest replaced). Raises ApiError."""
        new = _merged(copy.deepcopy(old), change)
        defaulting.apply(new)
        strategy.prepare_for_update(new, old, subresource, strategy.Context(self))
        refuse(new, validation.validate(new, old, subresource))
        self.store(new)
        return new


def _merged(obj: Object, change: Object) -> Object:
    for name, value in change.items():
        obj[name] = _merged(obj.get(name) or {}, value) if isinstance(value, dict) else value
    return obj


def refuse(obj: Object, causes: list[Any]) -> None:
    if causes:
        raise invalid(obj["kind"], obj["apiVersion"].rpartition("/")[0], obj["metadata"].get("name", ""), causes)


def as_kubectl_shows(error: ApiError) -> list[str]:
    """The lines that `kubectl apply` prints for a refused object."""
    if error.reason != "Invalid":
        return [error.message]
    details = error.status["details"]
    causes = [f"{cause['field']}: {cause['message']}" for cause in details["causes"]]
    title = f'The {details["kind"]} "{details["name"]}" is invalid:'
    return [f"{title} {causes[0]}"] if len(causes) == 1 else [title, *(f"* {cause}" for cause in causes)]


def lab() -> Cluster:
    """A namespace with its default service account."""
    cluster = Cluster()
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}}
    cluster.store(account)
    return cluster


def pod(**spec: Any) -> Object:
    container = {"name": "main", "image": "python:3.12-slim"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "demo"}, "spec": {"containers": [container], **spec}}


def container(**fields: Any) -> Object:
    """A Pod whose one container has these fields."""
    return pod(containers=[{"name": "main", "image": "python:3.12-slim", **fields}])
