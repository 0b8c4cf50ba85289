"""Five labs as a learner walks them in a browser: opened from the start page, checked too early, done wrong, done right, and seen in the live panel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser import learner
from tests.browser.learner import BARS, CARDS, DARK, LIGHT, NARROW, PANEL, START_PAGE, WIDE, Learner, Terminal

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

TOLERATION = (
    """'{"spec": {"template": {"spec": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]}}}}'"""
)


def test_welcome_too_many_replicas_and_then_one(page: Any, jupyterlab: tuple[str, Path]) -> None:
    mira = Learner(page, jupyterlab[0], "walk-00", LIGHT, NARROW)
    mira.open_start_page()
    mira.picture("start-page")
    mira.finds_no_grave_fault(START_PAGE)
    mira.open_exercise("00-welcome/first-fix")
    mira.run_first()
    mira.start()
    mira.check("not yet", "wants no Pod")
    mira.picture("too-early")
    mira.type_and_run(
        "# Your fix: change the Deployment", "%%bash\nkubectl -n ai-platform scale deployment/ai-log-summary-api --replicas=3"
    )
    mira.check("failed", "was scaled to 3, and the team runs one")
    mira.picture("wrong")
    mira.finds_no_grave_fault(BARS)
    mira.type_and_run("--replicas=3", "%%bash\nkubectl -n ai-platform scale deployment/ai-log-summary-api --replicas=1")
    mira.check("passed")
    mira.sees_green()
    # The cell says the same as the button.
    assert "passed · first-fix" in mira.run(mira.cell('lab.check("first-fix")'))
    mira.picture("cell")
    mira.finds_no_grave_fault(CARDS)
    mira.open_panel()
    mira.pod("ai-log-summary-api", "ready")
    mira.picture("green")
    mira.finds_no_grave_fault(PANEL)


def test_pending_a_taint_removed_a_reset_and_a_toleration(page: Any, jupyterlab: tuple[str, Path]) -> None:
    mira, terminal = Learner(page, jupyterlab[0], "walk-03", DARK, WIDE), Terminal(page)
    mira.begin("03-pending/moved-in")
    mira.open_panel()
    mira.pod("ai-log-summary-api", "waiting")
    mira.sees("[data-filters] svg[data-stop='TaintToleration']")
    assert page.locator(f"{PANEL} [data-filters] li").count() == 4
    assert page.locator(f"{PANEL} svg[data-gpu='held']").count() == 0
    mira.check("not yet")
    mira.picture("too-early")
    mira.show_start_page()
    terminal.open()
    terminal.type("kubectl taint nodes ai-lab-worker2 nvidia.com/gpu-")
    mira.picture("terminal")
    mira.show_notebook()
    mira.check("failed", r"the taints of ai-lab-worker2 changed: nvidia\.com/gpu:NoSchedule was removed")
    mira.picture("wrong")
    mira.press("reset")
    mira.pod("ai-log-summary-api", "waiting")
    said = mira.type_and_run(
        '# lab.diagnose("moved-in"', 'lab.diagnose("moved-in", cause="taint-not-tolerated", evidence="had untolerated taint(s)")'
    )
    assert "taint-not-tolerated" in said
    # With the switch on, the fix from a terminal is enough.
    page.locator(f"{PANEL} .ai-lab-now [data-verb='watch']").check()
    mira.show_terminal()
    terminal.type(f"kubectl -n ai-platform patch deployment ai-log-summary-api --patch {TOLERATION}")
    mira.sees("svg[data-gpu='held']")
    mira.sees(".ai-lab-now .verdict.ai-lab-green")
    mira.picture("green-by-itself")
    page.locator(f"{PANEL} .ai-lab-now [data-verb='watch']").uncheck()
    mira.show_notebook()
    mira.check("passed")
    mira.sees_green()
    mira.pod("ai-log-summary-api", "ready").click()
    mira.sees("[data-details] svg")
    mira.picture("life")
    mira.finds_no_grave_fault(PANEL, BARS)


SIZED = """%%bash
kubectl -n ai-platform set resources deployment/ai-log-summary-api --requests=memory=192Mi --limits=memory={}
kubectl -n ai-platform rollout status deployment/ai-log-summary-api --timeout=120s
kubectl -n ai-platform logs deployment/ai-log-summary-api | grep peak_mib
"""


def test_out_of_memory_killed_without_a_limit_and_sized(page: Any, jupyterlab: tuple[str, Path]) -> None:
    mira = Learner(page, jupyterlab[0], "walk-05", LIGHT, WIDE)
    mira.begin("05-oom/killed-at-load")
    mira.open_panel()
    mira.pod("ai-log-summary-api", "trouble")
    mira.check("not yet")
    mira.picture("too-early")
    mira.type_and_run(
        '# lab.diagnose("killed-at-load"', 'lab.diagnose("killed-at-load", cause="memory-limit", evidence="Reason: OOMKilled")'
    )
    said = mira.type_and_run("# Your fix: measure", SIZED.format("8Gi"))
    peak = re.search(r"peak_mib=(\d+)", said)
    assert peak, said
    mira.type_and_run('lab.answer("killed-at-load", peak_mib=0)', f'lab.answer("killed-at-load", peak_mib={peak[1]})')
    mira.check("failed", "may take many times what it ever took")
    mira.picture("wrong")
    mira.type_and_run("--limits=memory=8Gi", SIZED.format("224Mi"))
    mira.check("passed")
    mira.sees_green()
    mira.pod("ai-log-summary-api", "ready")
    mira.sees("svg[data-memory]").scroll_into_view_if_needed()
    mira.picture("green")
    mira.finds_no_grave_fault(PANEL, BARS)


READ = """
import subprocess
path = "/api/v1/namespaces/ai-platform/services/ai-log-summary-api:http/proxy/metrics"
page = subprocess.run(["kubectl", "get", "--raw", path], capture_output=True, text=True).stdout
values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("model_"))}
total = {each: sum(value for name, value in values.items() if name.startswith(each)) for each in ("model_requests_total", "model_errors_total")}
spent, count = (values[f'model_request_duration_seconds_{each}{{kind="summarize"}}'] for each in ("sum", "count"))
lab.answer("metrics-page", error_percent=100 * total["model_errors_total"] / total["model_requests_total"], mean_ms=1000 * spent / count)
"""
NAMES = """
lab.answer("metrics-page", latency="model_request_duration_seconds", traffic="model_requests_total", errors="{}", saturation="{}")
lab.answer("metrics-page", gpu_metric="DCGM_FI_DEV_GPU_UTIL", requests_per_second=6.5, gpu_memory_mib=6400)
"""


def test_observe_two_signals_exchanged_and_put_right(page: Any, jupyterlab: tuple[str, Path]) -> None:
    mira = Learner(page, jupyterlab[0], "walk-06", DARK, NARROW)
    mira.open_start_page()
    mira.picture("start-page")
    mira.open_exercise("06-observe/metrics-page")
    mira.run_first()
    mira.start()
    mira.check("not yet")
    mira.picture("too-early")
    # Whoever answers before there is anything to count is told so; more requests come by themselves.
    answers = '# lab.answer("metrics-page", latency='
    mira.type_and_run(answers, NAMES.format("model_queue_depth", "model_errors_total") + READ)
    mira.check("failed", "model_queue_depth tells the saturation")
    mira.picture("wrong")
    mira.finds_no_grave_fault(BARS)
    mira.type_and_run('errors="model_queue_depth"', NAMES.format("model_errors_total", "model_queue_depth") + READ)
    mira.check("passed")
    mira.sees_green()
    mira.open_panel()
    # The notebook keeps more than half of a narrow window.
    assert mira.width_of_notebook() > NARROW / 2
    mira.pod("on-call-tools", "ready")
    mira.sees("svg[data-gpu='held']")
    mira.picture("green")
    mira.finds_no_grave_fault(PANEL)


UPDATE = "chat-router gave no answer to any request since this morning. It is restored. The next update follows in 30 minutes."
DIAGNOSIS = 'lab.answer("first-call", diagnoses={{"chat-router": {{"cause": "{}", "evidence": ["Selector: app=summary-api"]}}}})'


def test_incident_the_wrong_cause_and_then_the_right_one(page: Any, jupyterlab: tuple[str, Path]) -> None:
    mira = Learner(page, jupyterlab[0], "walk-12", LIGHT, WIDE)
    mira.begin("12-incident/first-call")
    mira.open_panel()
    assert "no ready endpoint" in mira.sees("[data-service='chat-router']").inner_text()
    mira.check("not yet")
    mira.picture("too-early")
    assert "app=summary-api" in mira.type_and_run(
        "# Follow a request from the client",
        "%%bash\nkubectl -n team-search get endpoints,pods\nkubectl -n team-search describe service chat-router",
    )
    mira.type_and_run('# lab.answer("first-call", diagnoses=', DIAGNOSIS.format("readiness-elsewhere"))
    mira.type_and_run("# Your fix.", "%%bash\nkubectl -n team-search set selector service/chat-router app=chat-router")
    mira.type_and_run('# lab.answer("first-call", update=', f'lab.answer("first-call", update="{UPDATE}")')
    mira.check("failed", "cause has 0 of 25 points.*readiness-elsewhere is not the cause")
    # A verdict is said once: where Check was pressed.
    assert page.locator(f"{PANEL} .verdict").count() == 0
    mira.picture("wrong")
    mira.type_and_run("readiness-elsewhere", DIAGNOSIS.format("service-selects-nothing"))
    mira.check("passed")
    mira.sees_green()
    learner.until(
        page,
        lambda: "✔ chat-router" in mira.sees("[data-service='chat-router']").inner_text(),
        lambda: mira.sees("[data-service='chat-router']").inner_text(),
    )
    mira.picture("green")
    mira.finds_no_grave_fault(PANEL, BARS)
