"""Brings a container's image: finds it in the catalogue by the rules of the pull policy, or fails as a pull without a registry does.

Words follow pkg/kubelet/images and containerd.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from clusters.embedded.images import Catalogue, Image, InvalidImageName, default_pull_policy, normalise
from clusters.embedded.kubelet.backoff import Backoff, duration
from kubeobjects import Object

# Records an event on the container: (type, reason, message).
Emit = Callable[[str, str, str], None]


class ImageError(Exception):
    """Why the container waits: `reason` is what `kubectl get pods` shows, the message stands in the status."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason
        self.message = message


def pull_failure(name: str) -> str:
    """What containerd says of an image (by its full name) when the registry's name cannot be resolved."""
    registry, _, rest = name.partition("/")
    repository, separator, reference = rest.rpartition("@") if "@" in rest else rest.rpartition(":")
    host = "registry-1.docker.io" if registry == "docker.io" else registry
    lookup = host.partition(":")[0]
    shown = f"{registry}/{repository}{separator}{reference}"
    return (
        f'failed to pull and unpack image "{shown}": failed to resolve reference "{shown}": failed to do request: '
        f'Head "https://{host}/v2/{repository}/manifests/{reference}": dial tcp: lookup {lookup}: no such host'
    )


class ImageManager:
    """One for a node."""

    def __init__(self, catalogue: Catalogue):
        self._catalogue = catalogue
        self._backoff = Backoff()
        # Pod and image → (time of the last try, what it said).
        self._failures: dict[str, tuple[float, str]] = {}

    def ensure(self, pod: Object, spec: Object, emit: Emit) -> Image:
        """The image of a container. Raises ImageError; what happened has been recorded as events by then."""
        asked = spec["image"]
        try:
            name = normalise(asked)
            image = self._catalogue.find(asked)
        except InvalidImageName as error:
            message = f'Failed to apply default image tag "{asked}": couldn\'t parse image name "{asked}": {error}'
            emit("Warning", "InspectFailed", message)
            raise ImageError("InvalidImageName", message) from None
        policy = spec.get("imagePullPolicy") or default_pull_policy(asked)
        if image is not None and policy != "Always":
            emit("Normal", "Pulled", f'Container image "{asked}" already present on machine and can be accessed by the pod')
            return image
        if image is None and policy == "Never":
            message = f'Container image "{asked}" is not present with pull policy of Never'
            emit("Warning", "ErrImageNeverPull", message)
            raise ImageError("ErrImageNeverPull", message)
        return self._pull(pod, asked, name, image, emit)

    def _pull(self, pod: Object, asked: str, name: str, image: Image | None, emit: Emit) -> Image:
        key = f"{pod['metadata']['uid']}/{asked}"
        if key in self._failures:
            tried, failure = self._failures[key]
            if self._backoff.remaining(key, tried):
                emit("Normal", "BackOff", f'Back-off pulling image "{asked}"')
                raise ImageError("ImagePullBackOff", f'Back-off pulling image "{asked}": ErrImagePull: {failure}')
        emit("Normal", "Pulling", f'Pulling image "{asked}"')
        now = time.time()
        if image is not None:
            took = duration(0.001)
            emit(
                "Normal",
                "Pulled",
                f'Successfully pulled image "{asked}" in {took} ({took} including waiting). Image size: {image.size} bytes.',
            )
            return image
        failure = pull_failure(name)
        emit("Warning", "Failed", f'Failed to pull image "{asked}": {failure}')
        self._failures[key] = (now, failure)
        self._backoff.next(key, now)
        raise ImageError("ErrImagePull", failure)

    def forget(self, uid: str) -> None:
        """The Pod is gone."""
        self._backoff.forget(uid)
        for key in [key for key in self._failures if key.startswith(uid)]:
            del self._failures[key]
