"""Ownership and strategic merges held against what the real Go libraries answered (recorded by tools/go_oracle)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import decoding
from clusters.embedded.apiserver import patching
from clusters.embedded.apiserver.patch import fieldset, managed_fields, strategic
from clusters.embedded.apiserver.patch.apply import apply
from clusters.embedded.errors import ApiError

HERE = Path(__file__).parent
HISTORIES: list[dict[str, Any]] = json.loads((HERE / "go_ownership.json").read_text())
MERGES: list[dict[str, Any]] = json.loads((HERE / "go_merges.json").read_text())
NOW = "2026-01-01T00:00:00Z"


def plain(value: Any) -> Any:
    """A value without what Go writes for fields that nobody set."""
    if isinstance(value, dict):
        cleaned = {key: plain(each) for key, each in value.items()}
        return {key: each for key, each in cleaned.items() if each not in (None, {}, [], "", 0, False)}
    return [plain(each) for each in value] if isinstance(value, list) else value


def shown(obj: dict[str, Any]) -> dict[str, Any]:
    """An object without its identity and owners, in the form in which it would be stored."""
    decoded, _ = decoding.decode(obj, obj["apiVersion"], obj["kind"])
    metadata = {key: value for key, value in decoded["metadata"].items() if key not in ("managedFields", "uid")}
    cleaned: dict[str, Any] = plain({**decoded, "metadata": metadata})
    return cleaned


def owners(obj: dict[str, Any]) -> dict[tuple[str, str], tuple[bool, set[fieldset.Path]]]:
    """By (manager, operation): whether a time is known, and the fields."""
    return {
        (each["manager"], each["operation"]): (bool(each.get("time")), fieldset.from_json(each["fieldsV1"]))
        for each in obj["metadata"].get("managedFields", [])
    }


def done(live: dict[str, Any] | None, step: dict[str, Any]) -> dict[str, Any]:
    body, manager = step["object"], step["manager"]
    if step["type"] == "update":
        return managed_fields.update(live, body, manager, "", NOW)
    applied = apply(live, body, manager, step["force"], "", NOW)
    patching.keep_last_applied(applied, body, manager)
    return applied


@pytest.mark.parametrize("number", range(len(HISTORIES)))
def test_fields_have_the_owners_that_they_have_on_a_real_server(number: int) -> None:
    live: dict[str, Any] | None = None
    for step in HISTORIES[number]["steps"]:
        expected = step["result"]
        if "error" in expected:
            with pytest.raises(ApiError) as refused:
                done(live, step)
            assert refused.value.message == expected["error"]
            continue
        result = done(live, step)
        assert owners(result) == owners(expected)
        assert shown(result) == shown(expected)
        live = expected


@pytest.mark.parametrize("number", range(len(MERGES)))
def test_a_strategic_merge_gives_what_the_real_one_gives(number: int) -> None:
    case = MERGES[number]
    version, kind, answer = case["original"]["apiVersion"], case["original"]["kind"], case["answer"]
    if "error" in answer:
        with pytest.raises(ApiError) as refused:
            strategic.merge(case["original"], case["patch"], version, kind)
        assert refused.value.message == answer["error"]
    else:
        assert strategic.merge(case["original"], case["patch"], version, kind) == answer["ok"]
