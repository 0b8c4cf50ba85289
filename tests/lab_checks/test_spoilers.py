"""A notebook that gives an exercise away is found, with the cell and the word; one that does not is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lab_checks.authoring import course_check, notebooks, solution_words, spoilers
from lab_checks.authoring.attempts import Attempt
from lab_checks.engine import course, paths
from lab_checks.engine.course import Exercise

START = "spec: {replicas: 1, template: {spec: {nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM-40GB}}}}"


def exercise(**more: Any) -> Exercise:
    return Exercise(
        "99-lab", "stuck", "It is stuck", "Let the API run again.", hints=("Why?", "How?", more.pop("hint", "Look again.")), **more
    )


def found(*steps: dict[str, Any], text: str, section: str = "", **more: Any) -> list[str]:
    """What is found in a notebook whose first section is the exercise's own, with `section`, and whose second one holds `text`."""
    one = exercise(**more)
    words = solution_words.of(one, Attempt("stuck", "solution", "the solution", tuple(steps)))
    cells = [
        new_markdown_cell(f"## 1 · Stuck\n\n{section}"),
        new_code_cell('lab.check("stuck")'),
        new_markdown_cell(f"## 2 · Next\n\n{text}"),
    ]
    return spoilers.spoiled("labs/99-lab.ipynb", one, words, spoilers.passages(new_notebook(cells=cells)), lambda: START)


def test_a_place_is_named_by_notebook_cell_and_word() -> None:
    problem, *more = found({"diagnose": {"cause": "no-such-label", "evidence": "x"}}, text="It was `no-such-label`, of course.")
    assert not more
    assert problem.startswith("labs/99-lab.ipynb, cell 2 (")
    assert '"no-such-label" gives stuck away: the cause of its solution' in problem


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ({"diagnose": {"cause": "x-y", "evidence": ["3 Insufficient memory"]}}, "The line says `3   Insufficient memory`."),
        ({"answer": {"node": "ai-lab-worker2"}}, "Look at `ai-lab-worker2` again."),
        ({"answer": {"nodes": ["ai-lab-worker2", "ai-lab-worker3"]}}, "ai-lab-worker3 is the other one"),
        ({"answer": {"exit_code": 137}}, "The exit code was 137."),
        ({"answer": {"free_gpus": 2}}, "There were two free GPUs, then."),
        ({"answer": {"load_seconds": "3.0"}}, "It took 3 seconds to load."),
        ({"answer": {"allocatable": 1}}, "Allocatable: 1"),
        ({"run": "kubectl set resources deployment/x --limits=memory=192Mi"}, "So 192Mi."),
        ({"run": "kubectl scale deployment/prompt-playground --replicas=0"}, "Stop the `prompt-playground`."),
        ({"run": "kubectl scale deployment/x --replicas=0"}, "`replicas: 0` it is"),
        ({"run": "kubectl -n a set env deployment/x MAX_CONCURRENCY=2"}, "with MAX_CONCURRENCY=2"),
        ({"run": "kubectl apply -f $AI_LAB_COURSE/manifests/base/gpu-device-plugin.yaml"}, "apply gpu-device-plugin.yaml"),
        ({"run": """kubectl patch x y -p '{"spec": {"nodeSelector": {"nvidia.com/gpu.product": "Tesla-T4"}}}'"""}, "the Tesla-T4 takes it"),
        ({"run": """kubectl patch x y --type=json -p '[{"op": "add", "path": "/a/b", "value": "Recreate"}]'"""}, "recreate does it"),
        ({"run": "kubectl apply -f -", "stdin": "kind: Pod\nspec: {effect: NoSchedule}\n"}, "with the effect NoSchedule"),
    ],
)
def test_what_a_solution_says_may_stand_nowhere(step: dict[str, Any], text: str) -> None:
    assert found(step, text=text)
    assert not found(step, text="The Pod waits, because no node takes it. Two of them said so, for 10 seconds.")


def test_the_last_hint_is_a_solution_too() -> None:
    hint = "kubectl -n ai-platform set image deployment/x server=registry.example.com/api:v7; then wait"
    assert found(text="Take registry.example.com/api:v7.", hint=hint)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("""kubectl patch x y -p '{"spec": {"startupProbe": {"periodSeconds": 1}}}'""", "A startup probe holds the others back."),
        ("""kubectl patch x y -p '{"spec": {"tolerations": [{"operator": "Exists"}]}}'""", "What is a toleration?"),
        ("kubectl cordon ai-lab-worker2", "A node can be cordoned."),
        ("kubectl scale deployment/x --replicas=1", "Scale it."),
    ],
)
def test_a_field_or_a_verb_may_be_taught_elsewhere_but_not_in_the_exercise(command: str, word: str) -> None:
    assert found({"run": command}, text="", section=word)
    assert not found({"run": command}, text=word)


def test_what_the_exercise_says_itself_gives_nothing_away() -> None:
    step = {"run": "kubectl set resources x --limits=memory=192Mi"}
    assert not found(step, text="192Mi", given=("192Mi",))
    product = {"run": """kubectl patch x y -p '{"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}}'"""}
    # The start has the selector, misspelt: the field is seen on the cluster, and the right value is not.
    assert not found(product, text="", section="It has a nodeSelector with NVIDIA-A100-SXM-40GB.")
    assert found(product, text="", section="It should be NVIDIA-A100-SXM4-40GB.")


def test_the_check_of_the_course_finds_a_sentence_that_was_added_to_a_lab(tmp_path: Path) -> None:
    lab = course.load().lab("03-pending")
    (tmp_path / "tests/labs/attempts").mkdir(parents=True)
    (tmp_path / "tests/labs/attempts/03-pending.yaml").write_text((paths.root() / "tests/labs/attempts/03-pending.yaml").read_text())
    source = tmp_path / "solutions" / "03-pending.md"
    source.parent.mkdir()
    told = (paths.root() / "solutions" / "03-pending.md").read_text()
    source.write_text(told)
    assert course_check.spoiled(tmp_path, lab) == []
    source.write_text(told.replace("## 4 · The change", "**Teo:** So 192Mi it is.\n\n## 4 · The change"))
    assert [each.partition('"')[2] for each in course_check.spoiled(tmp_path, lab)] == [
        '192Mi" gives rounded-up away: a value of its solution'
    ]


def test_no_notebook_of_the_course_gives_an_exercise_away() -> None:
    for lab in course.load().labs:
        notebook = notebooks.learners(notebooks.read(paths.root() / "solutions" / f"{lab.id}.md"))
        assert spoilers.problems(paths.root(), lab, notebook) == []
