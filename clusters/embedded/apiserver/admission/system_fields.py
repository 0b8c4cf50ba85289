"""What the server itself fills in after mutating admission: webhooks and policies do not see it yet (rest.FillObjectMetaSystemFields)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clusters.embedded.apiserver.admission.request import AdmissionRequest


@contextmanager
def hidden(request: AdmissionRequest) -> Iterator[None]:
    """Takes them from `request.object`, which becomes another one, and puts them into what is there in the end."""
    obj = request.object
    if obj is None or request.operation != "CREATE" or request.subresource:
        yield
        return
    names = ["uid", "creationTimestamp"]
    if request.has_generated_name:
        names.append("name")
        request.name = ""
    metadata = obj["metadata"]
    kept = {name: metadata[name] for name in names if name in metadata}
    request.object = {**obj, "metadata": {key: value for key, value in metadata.items() if key not in kept}}
    try:
        yield
    finally:
        changed = request.object["metadata"]
        # A name that was chosen stays; the others are the server's alone.
        chosen = {"name": changed["name"]} if changed.get("name") else {}
        request.object = {**request.object, "metadata": {**changed, **kept, **chosen}}
