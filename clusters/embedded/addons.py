"""What every lab cluster starts with: the namespace and the GPU plugin of `manifests/base`, created once on a new cluster.

Afterwards they are the learner's: changed or taken away on purpose in a lab, they stay so when the cluster comes back from a stop.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from clusters.base import ADDONS
from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import by_kind
from kubeobjects import yaml_loader

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# On the namespace kube-system of a cluster that has been given its add-ons.
_GIVEN = "ai-lab.dev/addons"


def read(folder: Path) -> list[Object]:
    """The objects of the add-ons' files in `folder`, in their order."""
    # Imported here: only a start needs it.
    import yaml

    return [obj for name in ADDONS for obj in yaml.load_all((folder / name).read_text(), yaml_loader.fastest()) if obj]


async def apply(client: Client, folder: Path) -> bool:
    """Creates the folder's objects where this cluster was never given them, and says whether it did. Raises ApiError where the API server refuses one."""
    system = await client.get("namespaces", "kube-system")
    if _GIVEN in (system["metadata"].get("annotations") or {}):
        return False
    for obj in read(folder):
        resource = by_kind()[obj["apiVersion"], obj["kind"]]
        try:
            await client.create(resource.name, _applied(obj), obj["metadata"].get("namespace") if resource.namespaced else None)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    await client.patch("namespaces", "kube-system", {"metadata": {"annotations": {_GIVEN: "created"}}})
    return True


def _applied(obj: Object) -> Object:
    """The object as `kubectl apply` would have made it: a later apply of its file says nothing of a missing annotation."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    bare = {**obj, "metadata": {"annotations": annotations, **metadata}}
    noted = orjson.dumps(bare, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
    return {**obj, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: noted}}}
