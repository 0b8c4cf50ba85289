"""The start page, the live panel and its widget: what they show, what they keep to themselves, and whether everybody can read them."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import PATIENCE, learner_environment, open_notebook, shot
from tests.browser.learner import DARK, LIGHT, NARROW, WIDE, choose_look, grave_faults, run_cell
from tests.conftest import BIN, ROOT

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


def device(name: str, kind: str, memory: str, **more: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "attributes": {"type": {"string": kind}, **more}, "capacity": {"memory": {"value": memory}}}


def test_cards_that_a_dra_driver_offers_are_drawn_by_their_names(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    environment = learner_environment(folder.parent)
    kubeconfig = folder.parent / "state" / "embedded" / "kubeconfig"

    def kubectl(*arguments: str, given: object = None) -> None:
        command = [str(BIN / "kubectl"), "--kubeconfig", str(kubeconfig), *arguments]
        subprocess.run(command, input=json.dumps(given) if given else None, env=environment, text=True, check=True, timeout=60)

    devices = [
        device("gpu-0", "gpu", "40Gi", uuid={"string": "GPU-0"}),
        device("gpu-0-mig-2g10gb-0", "mig", "10Gi", parentUUID={"string": "GPU-0"}),
    ]
    pool = {"name": "ai-lab-worker", "generation": 1, "resourceSliceCount": 1}
    offered = {
        "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": "drawn"},
        "spec": {"driver": "gpu.nvidia.com", "nodeName": "ai-lab-worker", "pool": pool, "devices": devices},
    }  # fmt: skip
    request = {"name": "part", "exactly": {"deviceClassName": "mig.nvidia.com"}}
    claim = {
        "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "drawn", "namespace": "default"},
        "spec": {"devices": {"requests": [request]}},
    }  # fmt: skip
    given = {"request": "part", "driver": "gpu.nvidia.com", "pool": "ai-lab-worker", "device": "gpu-0-mig-2g10gb-0"}
    start_page(page, address)
    page.click(".ai-lab-start [data-open='picture']")
    node = "#ai-lab-cluster .node[data-node='ai-lab-worker']"
    page.wait_for_selector(node, timeout=PATIENCE)
    assert page.locator(f"{node} svg[data-gpu]").count() == 0
    try:
        kubectl("create", "-f", "-", given=offered)
        page.wait_for_selector(f"{node} svg[data-device='gpu-0'][data-gpu='free']", timeout=PATIENCE)
        kubectl("create", "-f", "-", given=claim)
        allocated = json.dumps({"status": {"allocation": {"devices": {"results": [given]}}}})
        kubectl("patch", "resourceclaim", "drawn", "--subresource=status", "--type=merge", "--patch", allocated)
        drawn = page.wait_for_selector(f"{node} svg[data-device='gpu-0'][data-gpu='part']", timeout=PATIENCE)
        assert "25% of its memory" in drawn.get_attribute("aria-label")
        shot(page, "dra-part")
    finally:
        kubectl("delete", "resourceclaim", "drawn", "--ignore-not-found", "--wait=false")
        kubectl("delete", "resourceslice", "drawn", "--ignore-not-found")
    page.wait_for_selector(f"{node} svg[data-gpu]", state="detached", timeout=PATIENCE)


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
