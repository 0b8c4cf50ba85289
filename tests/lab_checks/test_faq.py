"""The page of errors quotes what the course really says: a message that is worded anew is worded anew there too."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

SECTION = (ROOT / "docs" / "faq.md").read_text().partition("## What the commands say")[2].partition("\n## ")[0]
QUOTED = [each for line in SECTION.splitlines() if line.startswith("**`") for each in re.findall(r"`([^`]+)`", line.partition(".**")[0])]


def test_messages_are_quoted() -> None:
    assert len(QUOTED) > 6


@pytest.mark.parametrize("message", QUOTED)
def test_what_the_page_quotes_is_said_somewhere(message: str) -> None:
    sources = [path.read_text() for folder in ("lab_checks", "clusters") for path in (ROOT / folder).rglob("*.py")]
    for part in message.split(" … "):
        assert any(part in source for source in sources), f"nothing says {part!r}"
