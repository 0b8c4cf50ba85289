"""Every image that the course's Pods are given is one that nodes have: ours, one of `images/others.toml`, or declared there as missing on purpose.

Looked for wherever a Pod may come from: manifests, notebooks' cells and their sources, ways to work an exercise, hints and checks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import images
from tests.conftest import ROOT

PLACES = (
    "manifests/**/*.yaml",
    "manifests/**/*.toml",
    "solutions/*.md",
    "labs/*.ipynb",
    "tests/labs/attempts/*.yaml",
    "lab_checks/**/*.py",
    "lab_checks/**/*.toml",
)

_NAME = r"(?P<name>[^\s\"'`,;\\(){}\[\]<>…]+)"
_PATTERNS = (
    # image: x · "image": "x" · image="x" · --image=x · --image x
    re.compile(rf"\bimage[\"']?\s*[:=]\s*[\"']?{_NAME}"),
    re.compile(rf"--image\s+[\"']?{_NAME}"),
    # kubectl set image deployment/api model-server=x
    re.compile(rf"\bset image\b[^\n]*?\s[\w*-]+={_NAME}"),
    # a JSON patch of a container's image
    re.compile(rf"/image[\"'],\s*[\"']value[\"']:\s*[\"']{_NAME}"),
    # a name of ours, wherever it stands
    re.compile(r"(?P<name>registry\.example\.com/[\w./-]+:[\w.-]*\w)"),
)
# Python says `image: str` of a variable, a table why an image stays; a name that a Pod is given has a tag there.
_CODE = {".py", ".toml"}


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """(place, text) of what people wrote in a file: of a notebook each cell's source."""
    if path.suffix != ".ipynb":
        yield path.name, path.read_text()
        return
    for number, cell in enumerate(json.loads(path.read_text())["cells"]):
        yield f"{path.name}, cell {number}", "".join(cell["source"])


def names(text: str, *, code: bool = False) -> Iterator[tuple[int, str]]:
    """(line, image) of every image that the text gives to a Pod."""
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in _PATTERNS:
            for hit in pattern.finditer(line):
                name = hit["name"].rstrip(".:")
                if not re.fullmatch(r"[a-z0-9][\w./:@-]*", name) or (code and ":" not in name):
                    continue
                found.add((number, name))
    return iter(sorted(found))


def allowed(name: str) -> bool:
    # The same image with its registry written out.
    name = name.removeprefix("docker.io/library/")
    return name in images.needed() or name in images.missing_on_purpose()


def test_every_image_that_a_pod_is_given_is_in_the_nodes_or_missing_on_purpose() -> None:
    files = [path for place in PLACES for path in sorted(ROOT.glob(place))]
    assert {path.suffix for path in files} == {".yaml", ".toml", ".md", ".ipynb", ".py"}
    used: dict[str, str] = {}
    strangers = []
    for path in files:
        for place, text in texts(path):
            for line, name in names(text, code=path.suffix in _CODE):
                used.setdefault(name, place)
                if not allowed(name):
                    strangers.append(f"{path.relative_to(ROOT).parent}/{place}, line {line}: {name}")
    assert strangers == [], "build it (images/*/image.toml), name it in images/others.toml, or declare it there as missing on purpose"
    # And nothing is carried into every classroom that no Pod runs.
    assert {image.reference for image in images.others()} <= set(used)
    assert set(images.missing_on_purpose()) <= set(used)


@pytest.mark.parametrize(
    "line",
    [
        "        image: nginx",
        '  {"name": "x", "image": "nginx:1.27"}',
        "kubectl run web --image=nginx:1.27 --restart=Never",
        "kubectl debug node/x -it --image nginx:1.27",
        "kubectl -n ai-platform set image deployment/api model-server=nginx:1.27",
        """-p '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx:1.27"}]'""",
        "Release registry.example.com/ai-log-summary-api:v7, and look again.",
    ],
)
def test_an_image_that_no_node_has_is_found(line: str) -> None:
    found = [name for _, name in names(line)]
    assert found
    assert not any(allowed(name) for name in found)


@pytest.mark.parametrize(
    "line",
    ["image: LabImage", "def row(name: str, image: str) -> tuple[str, str]:", 'f"model-server={also.IMAGE}:v2"', "the image is large"],
)
def test_code_and_prose_that_name_none_are_passed_over(line: str) -> None:
    assert list(names(line, code=True)) == []


def test_a_place_is_told_with_its_line() -> None:
    assert list(names("containers:\n- name: x\n  image: busybox:1.36\n")) == [(3, "busybox:1.36")]


@pytest.mark.parametrize("image", images.others(), ids=lambda each: each.reference)
def test_an_image_of_others_has_a_version_and_a_size(image: images.OtherImage) -> None:
    # `latest` means the pull policy Always: a node would ask a registry for it although it has it.
    assert re.search(r":(?!latest$)[\w.-]+$", image.reference)
    assert 0 < image.download < 1024**3
