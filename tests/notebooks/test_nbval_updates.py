"""The plugin for nbval: of an output that says what it waits for, what takes its place is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks.nbval_updates import read_updates

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]


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


def test_a_failed_cell_tells_what_it_showed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    source = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "print('[passed] x')", execution_count=1, outputs=[nbformat.v4.new_output("stream", text="[passed] x\n")]
            ),
            nbformat.v4.new_code_cell(
                "print('[failed] y: why')", execution_count=1, outputs=[nbformat.v4.new_output("stream", text="[passed] y\n")]
            ),
        ]
    )
    nbformat.write(source, pytester.path / "a.ipynb")
    said = pytester.runpytest_subprocess("--nbval", "--nbval-current-env", "-p", "tests.notebooks.nbval_updates", "a.ipynb")
    said.assert_outcomes(passed=1, failed=1)
    told = said.stdout.str().partition("what the cell showed")[2]
    assert "[failed] y: why" in told
    assert "[passed] x" not in told
