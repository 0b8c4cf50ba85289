"""The plugin for nbval: of an output that says what it waits for, what takes its place is read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notebooks.nbval_updates import read_updates


def shown(kind: str, text: str) -> dict[str, Any]:
    return {"msg_type": kind, "content": {"data": {"text/plain": text}}}


def test_what_takes_the_place_of_a_wait_is_read_as_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = iter(
        [
            shown("display_data", "[started] x"),
            shown("display_data", "… waiting: y"),
            shown("update_display_data", "[passed] x"),
            {"msg_type": "status", "content": {}},
        ]
    )

    class Kernel:
        def get_message(self, stream: str, timeout: float | None = None) -> Any:
            return next(sent)

    read_updates(Kernel, monkeypatch)  # type: ignore[arg-type]
    read = [Kernel().get_message("iopub") for _ in range(3)]
    assert [each["msg_type"] for each in read] == ["display_data", "display_data", "status"]
    assert [each["content"].get("data", {}).get("text/plain") for each in read] == ["[started] x", "[passed] x", None]
