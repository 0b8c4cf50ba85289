"""The images that the embedded cluster has: what `docker images` would list on a node.

Our own come from `images/*/Dockerfile`, the files that kind builds: entry point, command, environment, user, port, working directory and
copied files are read there. Each such folder also holds an `image.toml` that names the tags and the build arguments of each:

    [[image]]
    name = "registry.example.com/ai-log-summary-api:v1"
    args = { MODEL_VERSION = "v1" }

A row's `context` is the folder that the Dockerfile copies from, where it is not its own.

Everything else (Python, a shell toolbox) is data in `images.toml`. `Catalogue.find` answers a name as a Pod has it, or None: not here,
so that it would have to be pulled.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clusters.embedded import dockerfile

_SEPARATED = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::\d+)?"
_REFERENCE = re.compile(
    rf"^(?P<name>(?:{_HOST}/)?{_SEPARATED}(?:/{_SEPARATED})*)(?::(?P<tag>[\w][\w.-]{{0,127}}))?(?:@(?P<digest>[A-Za-z][\w+.-]*:[0-9a-fA-F]{{32,}}))?$"
)


class InvalidImageName(ValueError):
    """Text that is no image reference; the message is the parser's (github.com/distribution/reference)."""


def normalise(text: str) -> str:
    """`python:3.12-slim` → `docker.io/library/python:3.12-slim`, the name by which a runtime knows it. Raises InvalidImageName."""
    found = _REFERENCE.match(text)
    if not found:
        name = text.partition("@")[0].partition(":")[0]
        if name and _REFERENCE.match(text.replace(name, name.lower(), 1)):
            shown = name if "/" in name else f"library/{name}"
            raise InvalidImageName(f"invalid reference format: repository name ({shown}) must be lowercase")
        raise InvalidImageName("invalid reference format")
    name, tag, digest = found["name"], found["tag"], found["digest"]
    first, _, rest = name.partition("/")
    if not rest or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        first, rest = "docker.io", name
    if first in ("docker.io", "index.docker.io"):
        first = "docker.io"
        if "/" not in rest:
            rest = f"library/{rest}"
    if digest:
        return f"{first}/{rest}@{digest}"
    return f"{first}/{rest}:{tag or 'latest'}"


def default_pull_policy(text: str) -> str:
    return "Always" if text.endswith(":latest") or ":" not in text.rpartition("/")[2] else "IfNotPresent"


@dataclass(frozen=True)
class Image:
    """One image. `files` are (path in the container, file or folder of this machine); `python` is bare, packages or empty.

    `compiled`: the modules among its files are there in compiled form, too.
    `tools` are programs of this machine, `applets` are ours (`kubelet/applets`).
    """

    name: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    user: str = ""
    files: tuple[tuple[str, Path], ...] = ()
    python: str = ""
    compiled: bool = False
    tools: frozenset[str] = frozenset()
    applets: frozenset[str] = frozenset()
    size: int = 0
    stop_signal: str = "SIGTERM"

    @property
    def id(self) -> str:
        """The digest that status shows as imageID: the same as long as name and content are."""
        return "sha256:" + hashlib.sha256(repr((self.name, self.entrypoint, self.cmd, sorted(self.env.items()))).encode()).hexdigest()

    @property
    def path(self) -> list[str]:
        """The folders of the image's PATH."""
        return self.env.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").split(":")

    @property
    def uid(self) -> int | None:
        """The numeric user it runs as; None where USER is a name other than root."""
        user = self.user.partition(":")[0]
        if user in ("", "root"):
            return 0
        return int(user) if user.isdigit() else None


class Catalogue:
    """All images, read once. `folder` holds our own images, one folder with a Dockerfile and an image.toml each."""

    def __init__(self, folder: Path | None = None):
        data = tomllib.loads(Path(__file__).with_name("images.toml").read_text())
        tools = {name: frozenset(text.split()) for name, text in data["tools"].items()}
        self._patterns: list[tuple[str, re.Pattern[str], Image]] = []
        self._images: dict[str, Image] = {}
        for row in data["image"]:
            image = Image(
                name="",
                entrypoint=tuple(row.get("entrypoint", ())),
                cmd=tuple(row.get("cmd", ())),
                env=dict(row["env"]),
                python=row["python"],
                tools=tools[row["tools"]],
                applets=frozenset(row.get("applets", ())),
                size=row["size"],
            )
            self._patterns.append((row["repository"], re.compile(row["tags"]), image))
            for tag in row["listed"]:
                self.find(f"{row['repository']}:{tag}")
        for described in sorted(folder.glob("*/image.toml")) if folder else ():
            self._read(described)

    def _read(self, described: Path) -> None:
        folder = described.parent
        for row in tomllib.loads(described.read_text())["image"]:
            self._images[normalise(row["name"])] = self._built(folder, row)

    def _built(self, folder: Path, row: dict[str, Any]) -> Image:
        file, context = folder / row.get("dockerfile", "Dockerfile"), folder / row.get("context", ".")
        built = dockerfile.read(file, row.get("args") or {}, context=context)
        base = self.find(built.base)
        if base is None:
            raise ValueError(f"{folder / 'Dockerfile'}: the base image {built.base} is not in the catalogue")
        env = base.env | built.env
        name = normalise(row["name"])
        return replace(
            base,
            name=name,
            entrypoint=built.entrypoint if built.entrypoint is not None else base.entrypoint,
            cmd=built.cmd if built.cmd is not None else (() if built.entrypoint is not None else base.cmd),
            env=env,
            working_dir=built.working_dir or base.working_dir,
            user=built.user or base.user,
            files=base.files + tuple(built.files),
            python="packages" if built.installs_packages and base.python else base.python,
            compiled=base.compiled or built.compiles,
            size=int(row.get("size", base.size + 22_000_000)),
            stop_signal=built.stop_signal or base.stop_signal,
        )

    def find(self, text: str) -> Image | None:
        """The image of that name, or None where no such image is on the machine. Raises InvalidImageName."""
        name = normalise(text)
        if name in self._images:
            return self._images[name]
        repository, _, tag = name.rpartition(":")
        for known, tags, image in self._patterns:
            if known == repository and tags.fullmatch(tag):
                self._images[name] = replace(image, name=name)
                return self._images[name]
        return None

    def compiled(self) -> set[Path]:
        """The files and folders of this machine whose modules stand compiled in some image."""
        return {
            source
            for image in self._images.values()
            if image.compiled
            for _, source in image.files
            if source.suffix == ".py" or source.is_dir()
        }

    def images(self) -> list[Image]:
        """What a node reports under `status.images`, the largest first."""
        return sorted(self._images.values(), key=lambda image: (-image.size, image.name))
