"""What every lab cluster starts with: the objects of `manifests/base/addons`, created where they are not there yet.

An object that exists is left alone: a learner may have changed it, or deleted it on purpose in a lab; a new cluster gets it afresh.
"""

from __future__ import annotations

from pathlib import Path

from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import by_kind


def read(folder: Path) -> list[Object]:
    """All objects in the folder's YAML files, in the order of the files' names."""
    # Imported here: only a start needs it.
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [obj for path in sorted(folder.glob("*.yaml")) for obj in yaml.load_all(path.read_text(), loader) if obj]


async def apply(client: Client, folder: Path) -> None:
    """Creates what is missing of the folder's objects. Raises ApiError where the API server refuses one."""
    for obj in read(folder):
        resource = by_kind()[obj["apiVersion"], obj["kind"]]
        try:
            await client.create(resource.name, obj, obj["metadata"].get("namespace") if resource.namespaced else None)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
