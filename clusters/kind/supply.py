"""What the container engine must have before nodes can be made of it: the node image, the lab's images, and those of others that its Pods run."""

from __future__ import annotations

from clusters import images
from clusters.base import ClusterError, Progress
from clusters.kind.engine import Engine
from clusters.kind.nodes import LAB_IMAGES_DOWNLOAD, NODE_IMAGE_DOWNLOAD, node_image

_MB = 1024**2


def to_fetch(engine: Engine) -> tuple[list[str], int]:
    """What a first start would have to fetch, in words, and how many bytes that is about. Changes nothing."""
    here = engine.image_ids((node_image(), *images.needed()))
    missing, size = [], 0
    if node_image() not in here:
        missing.append(f"the node image {node_image()} is missing")
        size += NODE_IMAGE_DOWNLOAD
    unbuilt = [image for image in images.catalogue() if image.reference not in here]
    if unbuilt:
        missing.append("the lab's images are not built")
        size += LAB_IMAGES_DOWNLOAD
    absent = [image for image in images.others() if image.reference not in here]
    if absent:
        missing.append(f"{', '.join(image.reference for image in absent)} is missing")
        # Python's image is what the lab's images are built on, and counted with them.
        size += 0 if unbuilt else sum(image.download for image in absent)
    return missing, size


def announce(engine: Engine, progress: Progress) -> None:
    missing, size = to_fetch(engine)
    if missing:
        progress.say(f"{' and '.join(missing)}: about {size // _MB} MB to fetch")


def node_image_here(engine: Engine, progress: Progress) -> None:
    """Fetches the node image where it is missing. Raises ClusterError."""
    if not engine.has_image(node_image()):
        with progress.step(f"Node image {node_image()}"):
            engine.pull(node_image(), progress.detail)


def pods_images_here(engine: Engine, wanted: list[str], progress: Progress, may_fetch: bool = True) -> list[str]:
    """Builds and fetches those of the images `wanted` that the engine lacks; returns those that it has then.

    The lab cannot be without its own, so what keeps one from being built ends this with a ClusterError. One of others that cannot be
    fetched, or may not be (`may_fetch` false), is told, with what to do, and left out: most exercises do without.
    """
    here = engine.image_ids(wanted) if wanted else {}
    for image in images.catalogue():
        if image.reference in wanted and image.reference not in here:
            if not may_fetch:
                raise ClusterError(
                    f"{image.reference} is missing; building it fetches up to {LAB_IMAGES_DOWNLOAD // _MB} MB",
                    next="ai-lab up --cluster kind",
                )
            with progress.step(f"Building {image.reference}"):
                images.build(engine, image, progress.detail)
    for other in images.others():
        # Asked again: a build brings the image that it stands on.
        if other.reference not in wanted or other.reference in here or engine.has_image(other.reference):
            continue
        try:
            if not may_fetch:
                raise ClusterError(
                    f"{other.reference} is missing, about {other.download // _MB} MB to fetch", next="ai-lab up --cluster kind"
                )
            with progress.step(f"Image {other.reference}, about {other.download // _MB} MB"):
                note = images.fetch(engine, other, progress.detail)
        except ClusterError as problem:
            progress.say(f"{problem.what}; Pods of {other.reference} will show ImagePullBackOff. Next: {problem.next}")
            wanted = [reference for reference in wanted if reference != other.reference]
        else:
            if note:
                progress.say(note)
    return wanted
