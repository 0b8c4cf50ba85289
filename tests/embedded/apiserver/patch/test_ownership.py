"""Who owns which field after updates and server-side applies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.apiserver.patch import fieldset, managed_fields
from clusters.embedded.apiserver.patch.apply import apply
from clusters.embedded.errors import ApiError
from kubeobjects import meta

REFERENCE = Path(__file__).resolve().parents[3] / "fidelity" / "reference"
T1, T2 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": dict(data)}


def deployment(**container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "n"},
        "spec": {"template": {"spec": {"containers": [{"name": "main", **container}]}}},
    }


def owners(obj: dict[str, Any]) -> dict[str, set[str]]:
    return {
        f"{each['manager']}/{each['operation']}": {fieldset.spoken(path) for path in fieldset.from_json(each["fieldsV1"])}
        for each in obj["metadata"].get("managedFields", [])
    }


def test_a_created_object_belongs_to_its_creator_as_on_a_real_server() -> None:
    items = json.loads((REFERENCE / "deployment-rs-service-endpoints-events.json").read_text())["items"]
    stored = next(item for item in items if item["kind"] == "Deployment")
    recorded = next(each for each in stored["metadata"]["managedFields"] if each["manager"] == "kubectl-client-side-apply")
    fresh = meta.copy(stored)
    del fresh["metadata"]["managedFields"], fresh["status"], fresh["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    (entry,) = managed_fields.update(None, fresh, "kubectl-client-side-apply", "", recorded["time"])["metadata"]["managedFields"]
    assert entry == recorded


def test_an_update_takes_over_only_what_it_changed() -> None:
    first = managed_fields.update(None, config_map(a="1", b="1"), "alice", "", T1)
    changed = meta.copy(first)
    changed["data"] = {"a": "2", "b": "1", "c": "1"}
    second = managed_fields.update(first, changed, "bob", "", T2)
    assert owners(second) == {"alice/Update": {".data", ".data.b"}, "bob/Update": {".data.a", ".data.c"}}


def test_an_update_that_changes_nothing_leaves_owners_and_times() -> None:
    first = managed_fields.update(None, config_map(a="1"), "alice", "", T1)
    again = managed_fields.update(first, meta.copy(first), "bob", "", T2)
    assert again["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_a_removed_field_has_no_owner() -> None:
    first = managed_fields.update(None, config_map(a="1", b="1"), "alice", "", T1)
    changed = meta.copy(first)
    del changed["data"]["b"]
    assert owners(managed_fields.update(first, changed, "bob", "", T2)) == {"alice/Update": {".data", ".data.a"}}


def test_an_empty_list_of_managed_fields_resets_them() -> None:
    first = managed_fields.update(None, config_map(a="1"), "alice", "", T1)
    changed = meta.copy(first)
    changed["metadata"]["managedFields"] = []
    assert "managedFields" not in managed_fields.update(first, changed, "bob", "", T2)["metadata"]


def test_apply_removes_what_its_manager_no_longer_names() -> None:
    first = apply(None, config_map(a="1", b="1"), "alice", False, "", T1)
    second = apply(first, config_map(a="1"), "alice", False, "", T2)
    assert second["data"] == {"a": "1"}
    assert owners(second) == {"alice/Apply": {".data.a"}}


def test_apply_keeps_what_another_manager_owns_too() -> None:
    first = apply(None, config_map(a="1", b="1"), "alice", False, "", T1)
    shared = apply(first, config_map(b="1"), "bob", False, "", T1)
    third = apply(shared, config_map(a="1"), "alice", False, "", T2)
    assert third["data"] == {"a": "1", "b": "1"}
    assert owners(third) == {"alice/Apply": {".data.a"}, "bob/Apply": {".data.b"}}


def test_a_conflict_names_the_manager_the_version_and_the_field() -> None:
    first = managed_fields.update(None, deployment(image="a:1"), "kubectl-edit", "", T1)
    with pytest.raises(ApiError) as refused:
        apply(first, deployment(image="a:2"), "alice", False, "", T2)
    assert refused.value.code == 409
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.template.spec.containers[name="main"].image'
    )
    assert refused.value.details["causes"][0]["reason"] == "FieldManagerConflict"


def test_force_takes_the_field_over() -> None:
    first = managed_fields.update(None, deployment(image="a:1"), "kubectl-edit", "", T1)
    second = apply(first, deployment(image="a:2"), "alice", True, "", T2)
    image = '.spec.template.spec.containers[name="main"].image'
    assert image in owners(second)["alice/Apply"]
    assert image not in owners(second)["kubectl-edit/Update"]


def test_the_same_value_is_owned_together_without_a_conflict() -> None:
    first = managed_fields.update(None, deployment(image="a:1"), "kubectl-edit", "", T1)
    second = apply(first, deployment(image="a:1"), "alice", False, "", T2)
    image = '.spec.template.spec.containers[name="main"].image'
    assert all(image in members for members in owners(second).values())


def test_applying_the_same_twice_changes_nothing() -> None:
    first = apply(None, deployment(image="a:1", ports=[{"containerPort": 80}]), "alice", False, "", T1)
    assert apply(first, deployment(image="a:1", ports=[{"containerPort": 80}]), "alice", False, "", T2) == first


def test_the_time_of_an_entry_moves_when_its_manager_changes_a_field_again() -> None:
    first = managed_fields.update(None, config_map(a="1"), "alice", "", T1)
    second = managed_fields.update(first, {**first, "data": {"a": "2"}}, "alice", "", T2)
    assert [each["time"] for each in second["metadata"]["managedFields"]] == [T2]


def test_what_a_manager_no_longer_applies_goes_with_the_defaults_that_nobody_owns() -> None:
    probe = {"httpGet": {"path": "/", "port": 80}}
    first = apply(None, deployment(image="a:1", readinessProbe=probe), "alice", False, "", T1)
    first["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] |= {"failureThreshold": 3}
    second = apply(first, deployment(image="a:1"), "alice", False, "", T2)
    assert "readinessProbe" not in second["spec"]["template"]["spec"]["containers"][0]


def test_an_object_that_was_never_tracked_belongs_to_nobody_in_particular() -> None:
    with pytest.raises(ApiError) as refused:
        apply(config_map(a="1"), config_map(a="2"), "alice", False, "", T1)
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'


def test_a_status_is_neither_applied_nor_owned_through_the_object_itself() -> None:
    applied = {**deployment(image="a:1"), "status": {"replicas": 5}}
    result = apply(None, applied, "alice", False, "", T1)
    assert "status" not in result
    assert not any(path.startswith(".status") for path in owners(result)["alice/Apply"])


def test_the_oldest_of_many_updating_managers_become_one() -> None:
    obj = managed_fields.update(None, config_map(k0="0"), "m0", "", "2026-01-01T00:00:00Z")
    for number in range(1, 12):
        changed = {**obj, "data": {**obj["data"], f"k{number}": "x"}}
        obj = managed_fields.update(obj, changed, f"m{number}", "", f"2026-01-01T00:00:{number:02d}Z")
    assert len(owners(obj)) == 10
    assert owners(obj)["ancient-changes/Update"] == {".data", ".data.k0", ".data.k1", ".data.k2"}
