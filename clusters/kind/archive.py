"""The lab's images in one archive, kept in the state folder until one of them changes, so that a new cluster need not wait for it.

Beside it stands what is in it: per image the engine's id, by which the archive is known to be up to date, and the digest of the image's
configuration, which is the id that a node's containerd shows.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters.base import ClusterError
from clusters.kind.engine import Engine

Contents = dict[str, "Content"]


@dataclass(frozen=True)
class Content:
    """One image of the archive: the engine's id of it, and its id in a node; both without `sha256:`, the second empty where it is not known."""

    engine_id: str
    node_id: str


def plain(identity: str) -> str:
    """An id as all programs can compare it: Podman writes none of the `sha256:` that the others begin with."""
    return identity.removeprefix("sha256:")


def canonical(reference: str) -> str:
    """`python:3.12-slim` → `docker.io/library/python:3.12-slim`, the name under which a node's containerd has it."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"


def node_ids(archive: Path) -> dict[str, str]:
    """Canonical name to configuration digest, from the archive's manifest.json (https://github.com/moby/docker-image-spec, "Combined image JSON").

    Nothing for an archive that has no such file.
    """
    with tarfile.open(archive) as tar:
        try:
            member = tar.extractfile("manifest.json")
        except KeyError:
            return {}
        entries = json.load(member) if member else []
    # "blobs/sha256/<digest>" since Docker 25, "<digest>.json" before and from Podman.
    return {canonical(tag): Path(entry["Config"]).name.removesuffix(".json") for entry in entries for tag in entry.get("RepoTags") or ()}


class Archive:
    """`folder` is where it is kept."""

    def __init__(self, folder: Path):
        self.path = folder / "images.tar"
        self._described = folder / "images.json"

    def contents(self) -> Contents:
        """What was written last, also where the archive itself is gone."""
        try:
            return {name: Content(**row) for name, row in json.loads(self._described.read_text()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def bring_up_to_date(self, engine: Engine, references: Sequence[str]) -> Contents:
        """Writes the archive anew where it lacks an image or has an older build; returns what is in it. Raises ClusterError."""
        here = {reference: plain(number) for reference, number in engine.image_ids(references).items()}
        if missing := [reference for reference in references if reference not in here]:
            raise ClusterError(f"not in {engine.name}: {', '.join(missing)}", next="ai-lab images build")
        known = self.contents()
        if self.path.exists() and all(reference in known and known[reference].engine_id == number for reference, number in here.items()):
            return known
        # Not over the old one: Podman adds to no archive that is there, and what breaks off half-way must not pass for a whole one.
        fresh = self.path.with_name("images.tar.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.remove()
            fresh.unlink(missing_ok=True)
            engine.save(list(references), str(fresh))
            inside = node_ids(fresh)
            found = {reference: Content(number, inside.get(canonical(reference), "")) for reference, number in here.items()}
            self._describe(found)
            fresh.replace(self.path)
        except (OSError, tarfile.TarError, ValueError, KeyError) as error:
            raise ClusterError(
                f"the archive of images cannot be written to {fresh}: {error}", next="ai-lab doctor, then try again"
            ) from None
        finally:
            fresh.unlink(missing_ok=True)
        return found

    def learn(self, inside: dict[str, str]) -> None:
        """Notes the ids that a node shows (canonical name to id) for what is in the archive."""
        known = self.contents()
        self._describe({name: Content(each.engine_id, inside.get(canonical(name), each.node_id)) for name, each in known.items()})

    def _describe(self, contents: Contents) -> None:
        self._described.write_text(json.dumps({name: vars(content) for name, content in contents.items()}, indent=1))

    def remove(self) -> None:
        for path in (self.path, self._described):
            path.unlink(missing_ok=True)
