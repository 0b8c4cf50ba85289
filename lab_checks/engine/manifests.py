"""A folder of manifests: one with a `kustomization.yaml` is rendered by the kustomize in kubectl, any other one is the `*.yaml` in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import yaml

from kubeobjects import Object
from lab_checks.engine.api import CommandFailed, search_path


def text(folder: Path) -> str:
    """The manifests of the folder as YAML; empty where it has none. Needs no cluster. Raises CommandFailed where it cannot be rendered."""
    if not (folder / "kustomization.yaml").exists():
        return "\n---\n".join(path.read_text() for path in sorted(folder.glob("*.yaml")))
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PATH": search_path()},
    )  # fmt: skip
    if done.returncode:
        raise CommandFailed(f"kubectl kustomize {folder}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def rendering(folders: Iterable[Path]) -> Iterator[Callable[[Path], str]]:
    """Gives `text` of these folders, each rendered once and beside what else is done: kustomize takes a third of a second for a patch."""
    with ThreadPoolExecutor() as pool:
        found = {folder: pool.submit(text, folder) for folder in folders}
        yield lambda folder: found[folder].result()


def objects(folder: Path) -> list[Object]:
    """The objects of the folder as they are applied. Raises CommandFailed."""
    return [each for each in yaml.safe_load_all(text(folder)) if each]


def tree(folder: Path) -> list[Object]:
    """The objects of the folder and of those below it, such as `after/`, which a later step of a start applies. Raises CommandFailed."""
    return [each for path in sorted({found.parent for found in folder.rglob("*.yaml")}) for each in objects(path)]
