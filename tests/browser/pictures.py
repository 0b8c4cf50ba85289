"""`python -m tests.browser.pictures`: takes the documentation's pictures anew, of a course that `ai-lab open` has opened, into docs/pictures.

Each is kept below 150 kB: README and site are read over slow lines too.
"""

from __future__ import annotations

import re
from typing import Any

from tests.browser import test_jupyterlab as course
from tests.browser.conftest import PATIENCE, chromium, open_notebook, opened
from tests.browser.learner import Terminal
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "pictures"
SIZE = {"width": 1120, "height": 720}
MOST = 150_000  # bytes

# What is typed in the terminal, and what it shows at its end.
COMMANDS = (
    ("PS1='$ '; clear", ""),
    ("kubectl get nodes", "ai-lab-worker3"),
    ("kubectl -n ai-platform get pods", "ai-log-summary-api-"),
    ("ai-lab hint 03-pending/moved-in", "[hint 1"),
)


def taken(page: Any, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.png"
    page.screenshot(path=str(path))
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size // 1000} kB")
    assert size < MOST, f"{path} has {size} bytes, {MOST} at most"


def notebook_and_verdict(page: Any, address: str) -> None:
    """Lab 03's first exercise, started and checked: the talk around the picture of what each node would answer, and the verdict's card."""
    open_notebook(page, address, "03-pending.ipynb")
    course.run_to(page, "not yet · moved-in")
    for name, shown in (
        ("verdict", ".jp-OutputArea-output div[role='status']"),
        ("notebook", ".jp-MarkdownOutput:has-text('So there is no GPU!')"),
    ):
        page.locator(shown).first.evaluate("each => each.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(1000)
        taken(page, name)


def terminal(page: Any, address: str) -> None:
    base, _, query = address.partition("?")
    typed = Terminal(page)
    page.goto(f"{base}?{query}&reset", timeout=PATIENCE)
    typed.open()
    for command, shows in COMMANDS:
        since = len(typed.shown)
        page.locator(".jp-Terminal .xterm-helper-textarea").press_sequentially(command)
        page.keyboard.press("Enter")
        typed.wait_for(re.escape(shows), since)
    page.wait_for_timeout(500)
    taken(page, "terminal")


def main() -> None:
    from playwright.sync_api import sync_playwright

    executable = chromium()
    assert executable is not None, "there is no Chromium; tests/browser/get-chromium.sh finds one"
    with opened() as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable or None, args=["--no-sandbox", "--disable-gpu", "--no-first-run"])
        page = browser.new_page(viewport=SIZE)
        for take in (notebook_and_verdict, terminal):
            take(page, address)
        browser.close()


if __name__ == "__main__":
    main()
