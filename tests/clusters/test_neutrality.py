"""What a learner reads and what checks it knows no kind of cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# `kind` alone is a field of every manifest; what is looked for is the program and its clusters.
NAMES = re.compile(
    r"\bembedded\b|\bminikube\b|\bk3[sd]\b|\bkind[ -](clusters?|nodes?|load|create|delete|get|0\.\d+)\b|--cluster[ =]|clusters\.(kind|embedded|current)"
    r"|\b(on|in|with|under) kind\b|\bkindest\b|\bdocker (exec|ps|logs|run|load)\b|KIND_EXPERIMENTAL|\bname ?== ?['\"](kind|embedded|current)['\"]",
    re.I,
)
PLACES = ("labs", "solutions", "manifests", "lab_checks/labs")
TEXT = {".ipynb", ".md", ".py", ".toml", ".yaml", ".yml", ".json", ".sh", ".txt"}


def texts(path: Path) -> Iterator[str]:
    """What people wrote in a file: of a notebook its cells' sources, not what running them printed."""
    if path.suffix != ".ipynb":
        yield path.read_text()
        return
    for cell in json.loads(path.read_text())["cells"]:
        yield "".join(cell["source"])


@pytest.mark.parametrize("place", PLACES)
def test_no_notebook_manifest_or_check_names_a_kind_of_cluster(place: str) -> None:
    files = [path for path in (ROOT / place).rglob("*") if path.is_file() and path.suffix in TEXT]
    assert files, f"nothing to read in {place}"
    found = [f"{path.relative_to(ROOT)}: {hit.group()}" for path in files for text in texts(path) for hit in NAMES.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "on kind, wait longer",
        "the embedded cluster",
        'if cluster.name == "kind":',
        "kind load docker-image x",
        "docker exec ai-lab-worker ls",
    ],
)
def test_a_line_that_names_one_is_found(line: str) -> None:
    assert NAMES.search(line)


@pytest.mark.parametrize("line", ["kind: Pod", "what kind of GPU is it?", 'row["kind"] == "Pod"', "each kind of failure"])
def test_the_word_itself_is_allowed(line: str) -> None:
    assert not NAMES.search(line)
