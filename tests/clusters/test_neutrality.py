"""What a learner reads and what checks it knows no kind of cluster."""

from __future__ import annotations

import re

from tests.conftest import ROOT

NAMES = re.compile(
    r"\bembedded cluster\b|\bkind cluster\b|\bkind load\b|--cluster[ =](kind|embedded)|\bminikube\b|clusters\.(kind|embedded)|\bon kind\b",
    re.I,
)


def test_no_notebook_manifest_or_check_names_a_kind_of_cluster() -> None:
    places = [
        *(ROOT / "labs").glob("*.ipynb"),
        *(ROOT / "solutions").glob("*.*"),
        *(ROOT / "manifests").rglob("*.*"),
        *(ROOT / "lab_checks" / "labs").glob("*.*"),
    ]
    assert len(places) > 5
    found = [f"{path.relative_to(ROOT)}: {hit.group()}" for path in places if path.is_file() for hit in NAMES.finditer(path.read_text())]
    assert found == []
