"""A learner in JupyterLab, for tests that walk through a lab: what such a person sees, clicks and types, each as one method.

Nothing here reaches the cluster past the browser. All waits are for conditions, with `PATIENCE` as the limit.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from tests.browser.conftest import PATIENCE, shot

LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
NARROW, WIDE = 900, 1400  # pixels
_HEIGHT = 1000
_TAKEN_WITHIN = 5  # seconds in which a cell shows that it was told to run
_LOOKS_AGAIN_WITHIN = 10  # seconds in which a check by itself is waited for
_NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden)"
_IDLE = f"{_NOTEBOOK} .jp-Notebook-ExecutionIndicator[data-status='idle']"
PANEL = "#ai-lab-cluster"
START_PAGE = ".ai-lab-start"
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\].*?(\x07|\x1b\\))")
# What axe-core calls these keeps somebody from using the page.
_GRAVE = ("serious", "critical")


def until(page: Any, holds: Callable[[], Any], told: Callable[[], str]) -> Any:
    """Waits until `holds()` is true, and gives what it gave; fails with what `told()` says."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not (found := holds()):
        assert time.monotonic() < deadline, told()
        page.wait_for_timeout(100)
    return found


def grave_faults(page: Any, place: str) -> list[str]:
    """What axe-core finds below a selector that keeps people out, as one line each: the rule and the first element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=place).response["violations"]
    return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in _GRAVE]


def choose_look(page: Any, address: str, theme: str, width: int) -> None:
    """JupyterLab's theme, as its settings keep it, and the window's width; both are seen when a page is opened the next time."""
    page.set_viewport_size({"width": width, "height": _HEIGHT})
    base, _, query = address.partition("?")
    answer = page.request.put(
        f"{base}/api/settings/@jupyterlab/apputils-extension:themes?{query}",
        data={"raw": json.dumps({"theme": theme})}, headers={"Authorization": f"token {query.removeprefix('token=')}"},
    )  # fmt: skip
    assert answer.ok, answer.text()


def run_cell(page: Any, cell: Any) -> str:
    """Runs a code cell by Control+Enter and gives its output as text, once it has ended.

    JupyterLab takes no keys while it is still connecting a notebook with its kernel, and may forget what it took then: the prompt is that of
    before again, and the learner presses once more.
    """
    prompt = cell.locator(".jp-InputPrompt")
    # A cell that was out of view has no prompt yet: its number would be taken for that of a run.
    before = until(page, lambda: prompt.inner_text().strip(), lambda: "the cell shows no prompt")

    def waits() -> bool:
        return prompt.inner_text().strip() in (before, "[ ]:")

    def has_ended() -> bool:
        if waits():
            cell.locator(".cm-content").click()
            page.keyboard.press("Control+Enter")
            soon = time.monotonic() + _TAKEN_WITHIN
            while waits() and time.monotonic() < soon:
                page.wait_for_timeout(50)
        return bool(re.fullmatch(r"\[\d+\]:", prompt.inner_text().strip())) and not waits()

    until(page, has_ended, lambda: f"the cell has not ended: {cell.inner_text()}")
    return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())


class Terminal:
    """JupyterLab's terminal that the start page opens. Make it before it is opened: it reads what comes to the browser from then on."""

    def __init__(self, page: Any):
        self._page = page
        self._frames: list[str] = []
        page.on("websocket", self._listen)

    def _listen(self, socket: Any) -> None:
        if "/terminals/websocket/" in socket.url:
            socket.on("framereceived", lambda frame: self._frames.append(frame if isinstance(frame, str) else frame.decode()))

    @property
    def shown(self) -> str:
        """All that the shell has printed so far, without its colours."""
        frames = [json.loads(each) for each in self._frames]
        return _ESCAPES.sub("", "".join(frame[1] for frame in frames if frame[0] == "stdout"))

    def open(self) -> None:
        self._page.click(f"{START_PAGE} [data-open='terminal']", timeout=PATIENCE)
        self._page.wait_for_selector(".jp-Terminal .xterm-helper-textarea", state="attached", timeout=PATIENCE)
        self.wait_for("profile was read")

    def wait_for(self, pattern: str, since: int = 0) -> str:
        """What was printed after the first `since` characters, once `pattern` is in it."""
        until(self._page, lambda: re.search(pattern, self.shown[since:], re.S), lambda: self.shown[since:])
        return self.shown[since:]

    def type(self, command: str) -> str:
        """Types a command and Enter; what it printed, once it has ended."""
        since = len(self.shown)
        self._page.locator(".jp-Terminal:visible .xterm-helper-textarea").press_sequentially(f"{command}; echo status=$?=")
        self._page.keyboard.press("Enter")
        return self.wait_for(r"status=\d+=", since)


class Learner:
    """One person with one window. `walk` is the name that the pictures of this walk begin with."""

    def __init__(self, page: Any, address: str, walk: str, theme: str = LIGHT, width: int = WIDE):
        self.page = page
        self._base, _, self._query = address.partition("?")
        self._walk = walk
        self._theme = theme
        self._pictures = 0
        choose_look(page, address, theme, width)

    # Where to go

    def open_start_page(self) -> None:
        self.page.goto(f"{self._base}?{self._query}&reset", timeout=PATIENCE)
        self.page.wait_for_selector(f"{START_PAGE} .lab", timeout=PATIENCE)
        self.page.wait_for_selector(f"body[data-jp-theme-name='{self._theme}']", state="attached", timeout=PATIENCE)

    def open_exercise(self, key: str) -> None:
        """From the start page to an exercise of a lab: its notebook, with its kernel connected and the exercise's cell in view."""
        self.key = key
        self.page.click(f"{START_PAGE} [data-key='{key}']")
        self.page.wait_for_selector(f"{_NOTEBOOK} .jp-Spinner", state="detached", timeout=PATIENCE)
        self.page.wait_for_selector(_IDLE, timeout=PATIENCE)
        self.page.wait_for_selector(self._bar("start"), state="attached", timeout=PATIENCE)

    def begin(self, key: str) -> None:
        """From the start page to an exercise that is started, by its button."""
        self.open_start_page()
        self.open_exercise(key)
        self.run_first()
        self.start()

    def _show_tab(self, label: str) -> None:
        """Brings a tab of the main area to the front, by its label's beginning."""
        self.page.locator("#jp-main-dock-panel .lm-TabBar-tab", has_text=re.compile(rf"^{re.escape(label)}")).first.click(timeout=PATIENCE)

    def show_start_page(self) -> None:
        self._show_tab("The course")

    def show_terminal(self) -> None:
        self._show_tab("Terminal")

    def show_notebook(self) -> None:
        self._show_tab(self.key.split("/")[0])

    def open_panel(self) -> None:
        if not self.page.locator(f"{PANEL}:visible").count():
            self.page.click(".jp-SideBar [data-id='ai-lab-cluster']")
        self.page.wait_for_selector(f"{PANEL} .node:visible", timeout=PATIENCE)

    def width_of_notebook(self) -> float:
        """In pixels."""
        box = self.page.locator(_NOTEBOOK).bounding_box()
        assert box is not None
        return float(box["width"])

    # Buttons of an exercise

    def _bar(self, beside: str = "start") -> str:
        return f"{_NOTEBOOK} .ai-lab-bar[data-exercise='{self.key}'][data-beside='{beside}']"

    def press(self, verb: str) -> None:
        """One of the buttons beside the exercise's start; ends when the button can be pressed again."""
        bar = self.page.locator(self._bar()).first
        bar.scroll_into_view_if_needed(timeout=PATIENCE)
        bar.locator(f"[data-verb='{verb}']").click(timeout=PATIENCE)
        self.page.wait_for_selector(f"{self._bar()} [data-verb='{verb}']:enabled", timeout=PATIENCE)

    def start(self) -> None:
        self.press("start")
        self.page.wait_for_selector(f"{self._bar()} .chip[data-state='started']", timeout=PATIENCE)

    def check(self, mark: str, *words: str) -> str:
        """Presses Check until the verdict has this mark: there is one beside the buttons, and its text has these words (patterns). Gives the text.

        A verdict of *not yet* is no answer while something still moves: the course looks again by itself, and the learner presses once more.
        """
        verdict = self.page.locator(f"{self._bar()} .verdict")

        def settled() -> bool:
            self.press("check")
            verdict.wait_for(timeout=PATIENCE)
            soon = time.monotonic() + _LOOKS_AGAIN_WITHIN
            while (found := verdict.get_attribute("data-mark")) == "not yet" != mark and time.monotonic() < soon:
                self.page.wait_for_timeout(100)
            return found in (mark, "passed", "failed")

        until(self.page, settled, verdict.inner_text)
        said = str(verdict.inner_text())
        assert verdict.get_attribute("data-mark") == mark, said
        if mark == "failed":
            self.page.wait_for_selector(f"{self._bar()} .chip[data-state='failed']", timeout=PATIENCE)
        for each in words:
            assert re.search(each, said, re.S), f"{each!r} is not in: {said}"
        return said

    def sees_green(self) -> None:
        """The verdict, the exercise's state and its square on the map are those of a pass."""
        self.page.wait_for_selector(f"{self._bar()} .chip[data-state='passed']", timeout=PATIENCE)
        self.page.wait_for_selector(f"{START_PAGE} [data-key='{self.key}'][data-state='passed']", state="attached", timeout=PATIENCE)

    # Cells

    def cell(self, text: str, nth: int = 0) -> Any:
        """The notebook's code cell with a text in its source, scrolled into view."""
        found = self.page.locator(f"{_NOTEBOOK} .jp-CodeCell", has=self.page.locator(".cm-content", has_text=text)).nth(nth)
        found.scroll_into_view_if_needed(timeout=PATIENCE)
        return found

    def run(self, cell: Any) -> str:
        """As `run_cell`."""
        return run_cell(self.page, cell)

    def run_first(self) -> None:
        """The notebook's first cell, which opens the lab."""
        assert "ready" in self.run(self.cell("open_lab("))

    def type_and_run(self, into: str, source: str) -> str:
        """Replaces the source of the cell that has `into` in it, runs it, and gives its output."""
        cell = self.cell(into)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        # As a paste: the editor indents what is typed line by line.
        self.page.keyboard.insert_text(source)
        # The cell is found by its place from here on: its text is another one.
        return self.run(self.cell(next(line for line in reversed(source.splitlines()) if line.strip())[:60]))

    # What to look at

    def sees(self, selector: str) -> Any:
        """Something in the live panel, once it is there."""
        found = self.page.locator(f"{PANEL} {selector}").first
        found.wait_for(state="attached", timeout=PATIENCE)
        return found

    def pod(self, name: str, tone: str) -> Any:
        """A Pod in the live panel whose name begins so, once it is drawn in this tone."""
        return self.sees(f".pod[data-pod^='{name}'][data-tone='{tone}']")

    def picture(self, name: str) -> None:
        """Keeps what is on the screen, under the walk's name and the step's number."""
        self._pictures += 1
        shot(self.page, f"{self._walk}-{self._pictures}-{name}")

    def finds_no_grave_fault(self, *places: str) -> None:
        for place in places:
            assert grave_faults(self.page, place) == [], place


# What the course itself draws in a notebook: the bars beside its exercises with the verdicts in them.
BARS = f"{_NOTEBOOK} .ai-lab-bar"
# A verdict that a cell shows.
CARDS = f"{_NOTEBOOK} .jp-OutputArea-output div[role='status']"
