"""What every lab cluster starts with: the namespace and the GPU plugin of `manifests/base`, created where they are not there yet.

An object that exists is left alone: a learner may have changed it, or deleted it on purpose in a lab; a new cluster gets it afresh.
"""

from __future__ import annotations

from pathlib import Path

from clusters.base import ADDONS
from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import by_kind


def read(folder: Path) -> list[Object]:
    """The objects of the add-ons' files in `folder`, in their order."""
    # Imported here: only a start needs it.
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [obj for name in ADDONS for obj in yaml.load_all((folder / name).read_text(), loader) if obj]


async def apply(client: Client, folder: Path) -> None:
    """Creates what is missing of the folder's objects. Raises ApiError where the API server refuses one."""
    for obj in read(folder):
        resource = by_kind()[obj["apiVersion"], obj["kind"]]
        try:
            await client.create(resource.name, obj, obj["metadata"].get("namespace") if resource.namespaced else None)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
