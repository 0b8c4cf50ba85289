"""A learner's first minute: `ai-lab open`, JupyterLab in a real browser, the first exercise started and checked there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab_checks.face import jupyter
from tests.conftest import BIN, ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PATIENCE = 180_000  # milliseconds: kernels start slowly on busy machines


def chromium() -> str | None:
    """A Chromium to drive: the system's, or the one that playwright fetched (the empty text then)."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return "" if Path(playwright.chromium.executable_path).exists() else None


@pytest.fixture(scope="module")
def jupyterlab() -> Iterator[tuple[str, Path]]:
    """(address with token, the folder with the learner's copies) of a JupyterLab that `ai-lab open` has opened."""
    home = Path(tempfile.mkdtemp(prefix="ai-lab-browser-"))
    folder = home / "my-labs"
    environment = {**os.environ, "AI_LAB_HOME": str(home)}
    log = (home / "open.log").open("w")
    process = subprocess.Popen(
        [str(BIN / "ai-lab"), "open", "--cluster", "embedded", "--no-browser", "--folder", str(folder)],
        env=environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (address := jupyter.running(folder)):
            assert process.poll() is None, (home / "open.log").read_text()
            assert time.monotonic() < deadline, (home / "open.log").read_text()
            time.sleep(0.3)
        yield address, folder
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.5)
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
        subprocess.run([str(BIN / "ai-lab"), "down"], env=environment, check=False, timeout=60)
        log.close()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def page(jupyterlab: tuple[str, Path]) -> Iterator[Any]:
    executable = chromium()
    if executable is None:
        pytest.skip("left out: no Chromium on this machine, and none could be fetched")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable or None,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 1400})
        finally:
            browser.close()


def shot(page: Any, name: str) -> None:
    """Keeps a picture to be looked at, where AI_LAB_SCREENSHOTS says so."""
    folder = os.environ.get("AI_LAB_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def open_notebook(page: Any, address: str, name: str) -> None:
    base, _, query = address.partition("?")
    page.goto(f"{base}/tree/{name}?{query}", timeout=PATIENCE)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE)
    page.wait_for_selector(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=PATIENCE)


def run_to(page: Any, marker: str) -> None:
    """Runs cell after cell, as a learner does with Shift+Enter, until an output shows `marker`."""
    page.click(".jp-Notebook .jp-Cell >> nth=0")
    page.keyboard.press("Escape")
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    for _ in range(cells + 2):
        page.keyboard.press("Shift+Enter")
        page.wait_for_selector(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=PATIENCE)
        if page.locator(f".jp-OutputArea-output:has-text('{marker}')").count():
            return
    raise AssertionError(f"no output ever showed {marker!r}")


def test_the_first_exercise_is_started_and_checked_in_the_browser(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    assert sorted(path.name for path in folder.glob("*.ipynb")) == sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
    open_notebook(page, address, "03-pending.ipynb")
    shot(page, "opened")
    run_to(page, "[started]")
    shot(page, "started")
    run_to(page, "[not yet]") if page.locator(".jp-OutputArea-output:has-text('[failed]')").count() == 0 else None
    card = page.locator(".jp-OutputArea-output div[role='status']").first
    card.scroll_into_view_if_needed()
    shot(page, "verdict")
    assert "Seen:" in card.inner_text() or "Look next" in card.inner_text()


def test_opening_twice_says_where_it_is_open_and_starts_nothing(jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    done = subprocess.run(
        [str(BIN / "ai-lab"), "open", "--cluster", "embedded", "--no-browser", "--folder", str(folder)],
        env={**os.environ, "AI_LAB_HOME": str(folder.parent)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert address in done.stdout
