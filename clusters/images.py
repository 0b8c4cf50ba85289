"""The images that the lab's Pods run on real nodes: its own, from `images/*/Dockerfile` with one row of `image.toml` a tag, and others' (`others.toml`).

`build` takes a row to an image in the engine, with progress; BASE_IMAGE, PIP_INDEX_URL and their like are handed on from the environment.
`fetch` pulls one of the others. `save` writes the archive that a classroom without a network starts from.
"""

from __future__ import annotations

import os
import tomllib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters import files

if TYPE_CHECKING:
    from clusters.kind.engine import Engine as ImageEngine

ROOT = files.root() / "images"

# Build arguments that every Dockerfile of ours takes from the environment of whoever builds.
HANDED_ON = ("BASE_IMAGE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

# Names the network that build steps use; `host` where only the host itself reaches the package index.
NETWORK = "AI_LAB_BUILD_NETWORK"

_BUILD = 1800.0


@dataclass(frozen=True)
class LabImage:
    """One image to build: `reference` is its name and tag, `context` the build's folder, `dockerfile` the file's path there."""

    reference: str
    context: Path
    dockerfile: str = "Dockerfile"
    args: dict[str, str] = field(default_factory=dict)

    def build_args(self) -> dict[str, str]:
        return {name: os.environ[name] for name in HANDED_ON if os.environ.get(name)} | self.args


@dataclass(frozen=True)
class OtherImage:
    """An image that somebody else builds: `download` is about how many bytes a pull fetches."""

    reference: str
    download: int


@cache
def catalogue(root: Path = ROOT) -> tuple[LabImage, ...]:
    """All images of the lab, in the order of their folders and rows."""
    found = []
    for described in sorted(root.glob("*/image.toml")):
        for row in tomllib.loads(described.read_text())["image"]:
            context = (described.parent / row.get("context", ".")).resolve()
            file = described.parent.resolve() / row.get("dockerfile", "Dockerfile")
            found.append(LabImage(row["name"], context, str(file.relative_to(context)), row.get("args") or {}))
    return tuple(found)


@cache
def others(root: Path = ROOT) -> tuple[OtherImage, ...]:
    """The images of others that Pods of the course run."""
    rows = tomllib.loads((root / "others.toml").read_text())["image"]
    return tuple(OtherImage(row["name"], row["megabytes"] * 1024**2) for row in rows)


@cache
def missing_on_purpose(root: Path = ROOT) -> dict[str, str]:
    """Names of images that exercises use although no node has them, each with the reason."""
    return {row["name"]: row["why"] for row in tomllib.loads((root / "others.toml").read_text())["missing"]}


def needed() -> tuple[str, ...]:
    """Every image that a node must have, by name and tag."""
    return (*(image.reference for image in catalogue()), *(image.reference for image in others()))


def fetch(engine: ImageEngine, image: OtherImage, say: Callable[[str], None]) -> str:
    """Brings one of the others into the engine; returns a note for people, empty where it was pulled.

    Where it cannot be pulled and BASE_IMAGE, which the lab's images are built on in its place, is here, that one is given its name as well.
    Raises ClusterError.
    """
    from clusters.base import ClusterError

    try:
        engine.pull(image.reference, say)
    except ClusterError:
        base = os.environ.get("BASE_IMAGE", "")
        if not base or not engine.has_image(base):
            raise
        engine.tag(base, image.reference)
        return f"{image.reference} cannot be fetched: {base} (BASE_IMAGE) takes its place"
    return ""


def save(engine: ImageEngine, archive: Path, node_image: bool = True) -> list[str]:
    """Writes all images of the lab's Pods, and the node image where the engine has it, into one archive; returns what is in it. Raises ClusterError."""
    from clusters.base import ClusterError
    from clusters.kind.nodes import node_image as wanted_node_image

    wanted = list(needed())
    missing = [reference for reference in wanted if not engine.has_image(reference)]
    if missing:
        raise ClusterError(f"not built or fetched yet: {', '.join(missing)}", next="ai-lab images build")
    if node_image and engine.has_image(wanted_node_image()):
        wanted.append(wanted_node_image())
    engine.save(wanted, str(archive))
    return wanted


def engine() -> ImageEngine:
    """The container engine that images are built in. Raises ClusterError where none answers."""
    from clusters.kind.commands import Commands
    from clusters.kind.engine import choose

    chosen = choose(Commands())
    chosen.info()
    return chosen


def build(engine: ImageEngine, image: LabImage, say: Callable[[str], None]) -> None:
    """Builds one image in the engine; `say` hears each step. Raises ClusterError with the builder's last words where it fails."""
    if engine.name == "docker":
        _build_with_docker(image, _docker_host(engine), say)
        return
    arguments = [part for name, value in image.build_args().items() for part in ("--build-arg", f"{name}={value}")]
    if os.environ.get(NETWORK):
        arguments += ["--network", os.environ[NETWORK]]
    ran = engine.commands.run(
        engine.name, "build", "--tag", image.reference, "--file", str(image.context / image.dockerfile), *arguments, str(image.context),
        timeout=_BUILD, on_line=say,
    )  # fmt: skip
    if not ran.ok:
        from clusters.kind.commands import explain

        raise explain(ran, f"building {image.reference}")


def _docker_host(engine: ImageEngine) -> str | None:
    """Where the `docker` command finds its daemon: its context may name another socket than the SDK would take. None leaves it to the environment."""
    if os.environ.get("DOCKER_HOST"):
        return None
    ran = engine.commands.run("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}", timeout=20.0)
    return ran.out.strip() or None if ran.ok else None


def _build_with_docker(image: LabImage, host: str | None, say: Callable[[str], None]) -> None:
    # Imported here: the docker SDK takes longer to load than most commands of the course take to run.
    import docker
    from docker.errors import DockerException

    from clusters.kind.commands import Ran, explain

    doing = f"building {image.reference}"
    command = ("docker", "build", image.reference)
    # The error of a build step says only that the step failed; why is in what the step printed before.
    last: deque[str] = deque(maxlen=12)
    try:
        client = docker.from_env(timeout=int(_BUILD)) if host is None else docker.DockerClient(base_url=host, timeout=int(_BUILD))
        steps: Any = client.api.build(
            path=str(image.context),
            dockerfile=image.dockerfile,
            tag=image.reference,
            buildargs=image.build_args(),
            network_mode=os.environ.get(NETWORK),
            rm=True,
            forcerm=True,
            decode=True,
        )
        for step in steps:
            if "error" in step:
                raise explain(Ran(command, 1, "", "\n".join([*last, str(step["error"])])), doing)
            line = str(step.get("stream") or step.get("status") or "").strip()
            if line:
                last.append(line)
                say(line)
    except (DockerException, OSError) as error:
        raise explain(Ran(command, 1, "", str(error)), doing) from error
