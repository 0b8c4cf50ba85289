"""A pytest plugin: nbval learns that an output may be updated while its cell runs (Jupyter's messaging: `update_display_data`).

nbval reads an output's first form and passes over what takes its place. Here the first form of an output that says that it waits is passed over, and
what takes its place is read as the output. Lines of progress are passed over too: whether a start has something to clear away, and says so, depends
on what ran before.

What a failed cell showed stands in its report: nbval names the fields that differ, and a verdict says why.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from nbval.kernel import RunningKernel

from lab_checks.authoring.notebooks import without_progress

# What the cell under way has shown, as text.
_shown: list[str] = []


def read_updates(kernel: type[RunningKernel], patch: pytest.MonkeyPatch) -> None:
    plain = kernel.get_message

    def get_message(self: RunningKernel, stream: str, timeout: float | None = None) -> Any:
        while True:
            message = plain(self, stream, timeout)
            content = message["content"]
            if shown := content.get("text") or content.get("data", {}).get("text/plain"):
                _shown.append(shown)
            if message["msg_type"] == "update_display_data":
                return {**message, "msg_type": "display_data"}
            if message["msg_type"] == "stream":
                content["text"] = without_progress(content["text"])
                if content["text"]:
                    return message
            elif message["msg_type"] != "display_data" or not content["data"].get("text/plain", "").startswith("… "):
                return message

    patch.setattr(kernel, "get_message", get_message)


def pytest_runtest_setup() -> None:
    _shown.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections.append(("what the cell showed", "\n".join(_shown)))
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Here and not in a fixture: nbval's cells are no test functions, and have none."""
    patch = pytest.MonkeyPatch()
    read_updates(RunningKernel, patch)
    config.add_cleanup(patch.undo)
