"""The CustomResourceDefinition strategy: what its status says before any controller has looked."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.strategy.context import Context
from kubeobjects import Object


def create_custom_resource_definition(obj: Object, _: Context) -> None:
    stored = [each["name"] for each in obj["spec"].get("versions") or [] if each.get("storage") and each.get("name")]
    obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


CREATE: dict[tuple[str, str], Callable[[Object, Context], None]] = {
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): create_custom_resource_definition,
}
