"""The starts as manifests: a healthy base and patches, rendered by the kustomize in kubectl, without a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab_checks.authoring import course_check
from lab_checks.engine import course, manifests, paths
from lab_checks.engine.api import CommandFailed
from lab_checks.engine.setup import LABEL, start_of

MANIFESTS = paths.root() / "manifests"
STARTS = [each for each in course.load().exercises if paths.manifests(each.lab, each.id).is_dir()]
SERVER = "ai-log-summary-api"


@pytest.mark.parametrize("exercise", STARTS, ids=lambda each: each.key)
def test_every_start_renders_to_whole_objects_with_a_namespace(exercise: course.Exercise) -> None:
    start = start_of(exercise)
    folders = [start.folder, *(step.apply for step in start.steps if step.apply)]
    with manifests.rendering(folders) as rendered:
        applied = [[each for each in yaml.safe_load_all(rendered(folder)) if each] for folder in folders]
    found = [each for together in applied for each in together]
    # One starts from steps alone, one from an empty namespace, and the calls of lab 12 are drawn by their seed.
    assert found or exercise.id in ("install-the-plugin", "half-a-gpu") or exercise.lab == "12-incident"
    # What the whole cluster shares carries the course's label, by which the next start takes it away.
    assert all(each["apiVersion"] and (each["metadata"].get("namespace") or LABEL in each["metadata"]["labels"]) for each in found)
    for together in applied:
        names = [(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in together]
        assert len(set(names)) == len(names)


def test_the_server_is_written_down_once_and_patched_where_a_start_needs_another_one() -> None:
    whole = [path for path in MANIFESTS.rglob("*.yaml") for each in yaml.safe_load_all(path.read_text()) if _is_server(each)]
    assert [path.relative_to(MANIFESTS).as_posix() for path in whole] == ["base/model-server/deployment.yaml"]
    patches = [path for path in MANIFESTS.glob("0*/**/kustomization.yaml") if "patches:" in path.read_text()]
    assert len(patches) > 15


def _is_server(found: object) -> bool:
    """Whether this is the whole Deployment; a patch has no selector of the server's own label."""
    return (
        isinstance(found, dict)
        and found.get("kind") == "Deployment"
        and found["metadata"]["name"] == SERVER
        and "app" in found["spec"].get("selector", {}).get("matchLabels", {})
    )


def test_a_patch_shows_in_the_rendered_object_and_the_rest_is_the_base() -> None:
    (base,) = manifests.objects(MANIFESTS / "base" / "model-server")
    (start,) = manifests.objects(MANIFESTS / "03-pending" / "moved-in")
    assert base["spec"]["template"]["spec"].pop("tolerations")
    assert start == base


def test_a_folder_without_a_kustomization_is_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("kind: B\n")
    (tmp_path / "a.yaml").write_text("# first\nkind: A\n---\nkind: AA\n")
    assert [each["kind"] for each in manifests.objects(tmp_path)] == ["A", "AA", "B"]
    assert manifests.text(tmp_path / "nothing") == ""


def test_a_patch_for_nothing_is_told_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("patches:\n  - path: patch.yaml\n")
    (tmp_path / "patch.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: gone}\n")
    with (
        pytest.raises(CommandFailed, match=f"kubectl kustomize {tmp_path}: .*no resource matches"),
        manifests.rendering([tmp_path]) as rendered,
    ):
        rendered(tmp_path)


def test_a_file_that_no_kustomization_names_is_found(tmp_path: Path) -> None:
    lab = course.load().lab("03-pending")
    folder = tmp_path / "manifests" / lab.id / "moved-in"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text("resources:\n  - ../../base/model-server\npatches:\n  - path: patch.yaml\n")
    (folder / "patch.yaml").write_text("kind: Deployment\n")
    assert course_check.stray(tmp_path, lab) == []
    (folder / "old.yaml").write_text("kind: Deployment\n")
    assert course_check.stray(tmp_path, lab) == [f"manifests/{lab.id}/moved-in/old.yaml is not named in the kustomization.yaml beside it"]
