"""The audit log read from its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusters import audit_lines


def event(number: int) -> dict[str, Any]:
    return {"verb": f"v{number}", "stageTimestamp": f"2026-11-23T10:00:{number:02}.000000Z", "padding": "x" * (number * 7)}


def write(path: Path, *numbers: int) -> Path:
    path.write_text("".join(json.dumps(event(number)) + "\n" for number in numbers))
    return path


def verbs(found: list[dict[str, Any]]) -> list[str]:
    return [each["verb"] for each in found]


@pytest.mark.parametrize("block", [1, 3, 50, 100_000])
def test_only_what_was_written_since_is_read_and_in_order(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_lines, "_BLOCK", block)
    older, newer = write(tmp_path / "audit.log.1", 1, 2, 3), write(tmp_path / "audit.log", 4, 5)
    since = audit_lines.written(json.dumps(event(3)).encode())
    assert verbs(audit_lines.read([older, newer])) == ["v1", "v2", "v3", "v4", "v5"]
    assert verbs(audit_lines.read([older, newer], since)) == ["v3", "v4", "v5"]
    assert verbs(audit_lines.read([older, newer], since + 100)) == []


def test_a_half_written_line_is_passed_over_and_a_missing_file_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "audit.log", 1)
    path.write_text(path.read_text() + '{"verb": "v2", "stageTime')
    assert verbs(audit_lines.read([tmp_path / "none", path])) == ["v1"]
