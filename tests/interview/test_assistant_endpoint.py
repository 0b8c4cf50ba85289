"""The course's assistant asks through the same settings as the interview, and only when they are set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab_checks.engine import course
from lab_checks.face.assistant import Assistant
from lab_checks.redact import redact
from tests.interview.fake_endpoint import fails, fake, says


@pytest.fixture
def assistant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assistant:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    for name in ("URL", "MODEL", "KEY"):
        monkeypatch.delenv(f"AI_LAB_ASSISTANT_{name}", raising=False)
    session: Any = None
    found = Assistant(session, course.load().lab("03-pending"))
    monkeypatch.setattr(found, "build", lambda: redact("Why is it Pending? password: Hunter2-aa17-zz"))
    return found


def test_it_asks_the_configured_endpoint_with_what_is_masked(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake(says("Read the events.")) as running:
        monkeypatch.setenv("AI_LAB_ASSISTANT_URL", running.endpoint.url)
        monkeypatch.setenv("AI_LAB_ASSISTANT_KEY", "sesame")
        assistant.ask()
        assert "Hunter2" not in str(running.sent)
        assert running.keys == ["Bearer sesame"]
    assert capsys.readouterr().out.splitlines()[-1] == "Read the events."


def test_an_error_is_a_sentence(assistant: Assistant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with fake(fails(401)) as running:
        monkeypatch.setenv("AI_LAB_ASSISTANT_URL", running.endpoint.url)
        assistant.ask()
    assert "refused the key (401)" in capsys.readouterr().out


def test_without_settings_it_says_how(assistant: Assistant, capsys: pytest.CaptureFixture[str]) -> None:
    assistant.ask()
    assert "none is needed" in capsys.readouterr().out
