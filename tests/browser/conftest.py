"""One JupyterLab for all browser tests, opened as a learner opens it, and one page to drive it with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN

PATIENCE = 180_000  # milliseconds: kernels start slowly on busy machines

# What /etc/profile does on Debian, and what learners write into theirs: neither may cost them the course's commands.
PROFILE = "export PATH=/usr/local/bin:/usr/bin:/bin\nexport KUBECONFIG=/somewhere/else\necho profile was read\n"


def chromium() -> str | None:
    """A Chromium to drive: the system's, or the one that playwright fetched (the empty text then)."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return "" if Path(playwright.chromium.executable_path).exists() else None


def learner_environment(home: Path) -> dict[str, str]:
    """The environment of a learner whose shell is bash, started where no terminal is: JupyterLab's terminals are login shells then."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("AI_LAB", "JUPYTER", "KUBE"))}
    return {**others, "HOME": str(home), "AI_LAB_HOME": str(home / "state"), "SHELL": shutil.which("bash") or "", "PATH": "/usr/bin:/bin"}


@contextmanager
def opened() -> Iterator[tuple[str, Path]]:
    """(address with token, the folder with the learner's copies) of a JupyterLab that `ai-lab open` has opened."""
    home = Path(tempfile.mkdtemp(prefix="ai-lab-browser-"))
    folder = home / "my-labs"
    (home / ".bash_profile").write_text(PROFILE)
    environment = learner_environment(home)
    said = home / "said"
    with said.open("w") as output:
        process = subprocess.Popen(
            [str(BIN / "ai-lab"), "open", "--cluster", "embedded", "--no-browser", "--folder", str(folder)],
            env=environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (address := re.search(r"http://127\S+", said.read_text())):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.3)
        yield address[0], folder
    finally:
        process.terminate()
        process.wait(60)
        subprocess.run([str(BIN / "ai-lab"), "down"], env=environment, check=False, timeout=60)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def jupyterlab() -> Iterator[tuple[str, Path]]:
    """As `opened`, one for all browser tests."""
    with opened() as found:
        yield found


@pytest.fixture(scope="session")
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
    page.goto(f"{base}/tree/{name}?{query}&reset", timeout=PATIENCE)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE)
    page.wait_for_selector(".jp-NotebookPanel .jp-Spinner", state="detached", timeout=PATIENCE)
    page.wait_for_selector(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=PATIENCE)
