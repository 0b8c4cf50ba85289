"""What messages tell people to type: the command as it works in the shell that they are in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab_checks.face import terminal


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    terminal.command.cache_clear()
    yield
    terminal.command.cache_clear()


def installed_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with the command, which runs this process; returns its folder of programs."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "ai-lab"):
        (programs / name).touch(0o755)
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.delenv("AI_LAB_COURSE", raising=False)
    return programs


def test_by_name_where_path_leads_to_it_and_by_path_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = installed_in(tmp_path / "venv", monkeypatch)
    monkeypatch.setenv("PATH", str(programs))
    assert terminal.typable("next: ai-lab up") == "next: ai-lab up"
    terminal.command.cache_clear()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert terminal.typable("next: ai-lab up") == f"next: {programs}/ai-lab up"


def test_what_uvx_runs_is_typed_by_uvx_again_but_in_the_courses_own_shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = installed_in(tmp_path / "uv" / "archive-v0" / "DgQ2ngu36gYC", monkeypatch)
    monkeypatch.setenv("PATH", str(programs))
    assert terminal.typable("stop it with: ai-lab down") == "stop it with: uvx --from ai-lab ai-lab down"
    terminal.command.cache_clear()
    monkeypatch.setenv("AI_LAB_COURSE", "/course")
    assert terminal.typable("stop it with: ai-lab down") == "stop it with: ai-lab down"
