"""The start page, the live panel and the buttons: an exercise is started, worked in a terminal's place and checked, and the page turns green."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import PATIENCE, learner_environment, open_notebook, press_to_run, shot
from tests.conftest import BIN, ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

EXERCISE = "03-pending/moved-in"
SOLUTION = """
spec:
  template:
    spec:
      tolerations:
        - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
"""


def kubectl(home: Path, *arguments: str) -> None:
    environment = learner_environment(home)
    kubeconfig = home / "state" / "embedded" / "kubeconfig"
    subprocess.run([str(BIN / "kubectl"), "--kubeconfig", str(kubeconfig), *arguments], env=environment, check=True, timeout=60)


def start_page(page: Any, address: str) -> None:
    base, _, query = address.partition("?")
    page.goto(f"{base}?{query}&reset", timeout=PATIENCE)
    page.wait_for_selector(".ai-lab-start .lab", timeout=PATIENCE)


def test_the_start_page_is_what_opens(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, _ = jupyterlab
    start_page(page, address)
    names = page.locator(".ai-lab-start .lab > code").all_inner_texts()
    assert sorted(names) == sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
    assert page.locator(".ai-lab-start .step[data-next='yes']").count() == 1
    page.wait_for_selector(".ai-lab-start [data-part='cluster'][data-state='ready']", timeout=PATIENCE)
    # Names are shown in full: nothing of them is cut off.
    cut = "elements => elements.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"
    assert page.eval_on_selector_all(".ai-lab-start code, .ai-lab-start h3, .jp-DirListing-itemText", cut) == []
    assert not page.locator(".jp-Launcher:visible").count()


def test_the_state_is_behind_the_servers_token(jupyterlab: tuple[str, Path]) -> None:
    address, _ = jupyterlab
    base, _, query = address.partition("?")
    root = base.removesuffix("lab")
    with urllib.request.urlopen(f"{root}ai-lab/state?{query}", timeout=60) as answer:
        assert json.load(answer)["hello"]["looks"]["passed"]["sign"] == "✔"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{root}ai-lab/state", timeout=60)
    assert refused.value.code == 403


def test_an_exercise_is_started_watched_and_turns_green(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    home = folder.parent
    start_page(page, address)
    # The notebook opens at the exercise: JupyterLab makes the cells of a long one while it is read.
    page.click(f".ai-lab-start [data-key='{EXERCISE}']")
    bar = f".jp-Notebook .ai-lab-bar[data-exercise='{EXERCISE}']"
    page.wait_for_selector(f"{bar}[data-beside='start']", state="attached", timeout=PATIENCE)
    start = page.locator(f"{bar}[data-beside='start']")
    start.scroll_into_view_if_needed(timeout=PATIENCE)
    start.locator("[data-verb='start']").click()
    page.wait_for_selector(f"{bar}[data-beside='start'] .chip[data-state='started']", timeout=PATIENCE)
    # The panel: the Pod waits, and every node's answer is drawn.
    page.click(".jp-SideBar [data-id='ai-lab-cluster']")
    panel = page.locator("#ai-lab-cluster")
    page.wait_for_selector("#ai-lab-cluster .pod[data-tone='waiting']", timeout=PATIENCE)
    page.wait_for_selector("#ai-lab-cluster [data-filters] svg[data-stop='TaintToleration']", timeout=PATIENCE)
    assert panel.locator("[data-filters] li").count() == 4
    assert panel.locator("svg[data-gpu='held']").count() == 0
    shot(page, "panel-waiting")
    # A check of an untouched start is one verdict, and it is not red.
    start.locator("[data-verb='check']").click()
    page.wait_for_selector(f"{bar}[data-beside='start'] .verdict", timeout=PATIENCE)
    assert page.locator(f"{bar} .verdict").count() == 1
    assert start.locator(".verdict").get_attribute("data-mark") == "not yet"
    shot(page, "not-yet")
    # With the switch on, the diagnosis and the fix from a terminal are enough.
    panel.locator(".ai-lab-now [data-verb='watch']").check()
    subprocess.run(
        [str(BIN / "ai-lab"), "diagnose", EXERCISE, "--cause", "taint-not-tolerated", "--evidence", "3 node(s) had untolerated taint(s)"],
        env=learner_environment(home), check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    kubectl(home, "-n", "ai-platform", "patch", "deployment", "ai-log-summary-api", "--patch", SOLUTION)
    page.wait_for_selector("#ai-lab-cluster svg[data-gpu='held']", timeout=PATIENCE)
    page.wait_for_selector("#ai-lab-cluster .ai-lab-now .verdict.ai-lab-green", timeout=PATIENCE)
    page.wait_for_selector(f"{bar}[data-beside='start'] .chip[data-state='passed']", timeout=PATIENCE)
    shot(page, "green")
    panel.locator(".ai-lab-now [data-verb='watch']").uncheck()
    # And the button says the same.
    start.locator("[data-verb='check']").click()
    page.wait_for_selector(f"{bar}[data-beside='start'] .verdict.ai-lab-green", timeout=PATIENCE)
    page.wait_for_selector("#ai-lab-cluster .pod[data-tone='ready']", timeout=PATIENCE)
    panel.locator(".pod[data-tone='ready']").first.click()
    page.wait_for_selector("#ai-lab-cluster [data-details] svg", timeout=PATIENCE)
    shot(page, "life")


def test_arrow_keys_go_from_pod_to_pod(page: Any, jupyterlab: tuple[str, Path]) -> None:
    start_page(page, jupyterlab[0])
    page.click(".ai-lab-start [data-open='picture']")
    page.wait_for_selector("#ai-lab-cluster .node:visible", timeout=PATIENCE)
    page.locator("#ai-lab-cluster .ai-lab-picture > label input").check()
    first = page.locator("#ai-lab-cluster .pod[tabindex='0']")
    first.focus()
    before = page.evaluate("document.activeElement.dataset.pod")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.pod") != before
    assert page.locator("#ai-lab-cluster .pod[tabindex='0']").count() == 1


@pytest.mark.parametrize(("theme", "width"), [("JupyterLab Dark", 900), ("JupyterLab Light", 1400)])
def test_both_pages_can_be_read_by_everybody(page: Any, jupyterlab: tuple[str, Path], theme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    address, _ = jupyterlab
    page.set_viewport_size({"width": width, "height": 1000})
    base, _, query = address.partition("?")
    settings = f"{base}/api/settings/@jupyterlab/apputils-extension:themes?{query}"
    token = query.removeprefix("token=")
    answer = page.request.put(settings, data={"raw": json.dumps({"theme": theme})}, headers={"Authorization": f"token {token}"})
    assert answer.ok, answer.text()
    start_page(page, address)
    page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached", timeout=PATIENCE)
    page.click(".ai-lab-start [data-open='picture']")
    page.wait_for_selector("#ai-lab-cluster .node:visible", timeout=PATIENCE)
    shot(page, f"start-{theme.split()[-1].lower()}-{width}")
    for place in (".ai-lab-start", "#ai-lab-cluster"):
        found = Axe().run(page, context=place, options={"runOnly": ["wcag2a", "wcag2aa"]})
        assert found.violations_count == 0, found.generate_report()


def test_the_same_picture_is_a_widget_in_a_notebook(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    first = 'from lab_checks.face.notebook import open_lab\n\nopen_lab("03-pending").cluster()'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(first)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, folder / "picture.ipynb")
    open_notebook(page, address, "picture.ipynb")
    cell = page.locator(".jp-NotebookPanel:visible .jp-CodeCell").first
    drawn = page.locator(".jp-OutputArea-output .ai-lab-picture")
    deadline = time.monotonic() + PATIENCE / 1000
    while not drawn.count() and time.monotonic() < deadline:
        press_to_run(page, cell)
        page.wait_for_timeout(1000)
    page.wait_for_selector(".jp-OutputArea-output .ai-lab-picture .node[data-ready='yes']", timeout=PATIENCE)
    page.wait_for_selector(".jp-OutputArea-output .ai-lab-picture[data-state='ready']", timeout=PATIENCE)
    assert page.locator(".jp-OutputArea-output .ai-lab-picture svg[data-gpu]").count() == 3
    shot(page, "widget")


def test_the_cluster_is_stopped_and_started_from_the_page(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, _ = jupyterlab
    start_page(page, address)
    page.click(".ai-lab-start [data-part='cluster'] [data-verb='down']", timeout=PATIENCE)
    page.wait_for_selector(".ai-lab-start [data-part='cluster'][data-state='down']", timeout=PATIENCE)
    page.click(".ai-lab-start [data-part='cluster'] [data-verb='up']", timeout=PATIENCE)
    page.wait_for_selector(".ai-lab-start [data-part='cluster'][data-state='ready']", timeout=PATIENCE)
