"""The start page, the live panel and its widget: what they show, what they keep to themselves, and whether everybody can read them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import PATIENCE, open_notebook, shot
from tests.browser.learner import DARK, LIGHT, NARROW, WIDE, choose_look, grave_faults, run_cell
from tests.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# Texts that go on in a second line.
WRAPPED = """elements => elements.filter((each) => {
  const text = document.createRange();
  text.selectNodeContents(each.firstChild);
  return text.getClientRects().length > 1;
}).map((each) => each.textContent)"""
CUT = "elements => elements.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"


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
    assert page.eval_on_selector_all(".ai-lab-start code, .ai-lab-start h3, .jp-DirListing-itemText", CUT) == []
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


@pytest.mark.parametrize(("theme", "width"), [(DARK, NARROW), (LIGHT, WIDE)])
def test_both_pages_can_be_read_by_everybody(page: Any, jupyterlab: tuple[str, Path], theme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    address, _ = jupyterlab
    choose_look(page, address, theme, width)
    start_page(page, address)
    page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached", timeout=PATIENCE)
    page.click(".ai-lab-start [data-open='picture']")
    page.wait_for_selector("#ai-lab-cluster .node:visible", timeout=PATIENCE)
    shot(page, f"start-{theme.split()[-1].lower()}-{width}")
    for place in (".ai-lab-start", "#ai-lab-cluster"):
        found = Axe().run(page, context=place, options={"runOnly": ["wcag2a", "wcag2aa"]})
        assert found.violations_count == 0, found.generate_report()
    assert page.eval_on_selector_all(".ai-lab-start *, #ai-lab-cluster h3, #ai-lab-cluster .quiet, #ai-lab-cluster .pod", CUT) == []
    assert page.eval_on_selector_all("#ai-lab-cluster .meters > .quiet, #ai-lab-cluster .legend > span", WRAPPED) == []


def test_the_same_picture_is_a_widget_in_a_notebook(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    first = 'from lab_checks.face.notebook import open_lab\n\nopen_lab("03-pending").cluster()'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(first)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, folder / "picture.ipynb")
    open_notebook(page, address, "picture.ipynb")
    run_cell(page, page.locator(".jp-NotebookPanel:visible .jp-CodeCell").first)
    page.wait_for_selector(".jp-OutputArea-output .ai-lab-picture .node[data-ready='yes']", timeout=PATIENCE)
    page.wait_for_selector(".jp-OutputArea-output .ai-lab-picture[data-state='ready']", timeout=PATIENCE)
    assert page.locator(".jp-OutputArea-output .ai-lab-picture svg[data-gpu]").count() == 3
    shot(page, "widget")
    assert grave_faults(page, ".jp-OutputArea-output .ai-lab-picture") == []


def test_the_cluster_is_stopped_and_started_from_the_page(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, _ = jupyterlab
    start_page(page, address)
    page.click(".ai-lab-start [data-part='cluster'] [data-verb='down']", timeout=PATIENCE)
    page.wait_for_selector(".ai-lab-start [data-part='cluster'][data-state='down']", timeout=PATIENCE)
    page.click(".ai-lab-start [data-part='cluster'] [data-verb='up']", timeout=PATIENCE)
    page.wait_for_selector(".ai-lab-start [data-part='cluster'][data-state='ready']", timeout=PATIENCE)
