"""Notebooks from their sources: `solutions/<lab>.md` is what a writer edits; two notebooks come out of it.

`solutions/<lab>.ipynb` is the source with the outputs of its last run; `labs/<lab>.ipynb` is the learner's, without outputs and without the cells
tagged `solution`. What is marked as a debrief (`lab_checks/engine/debrief.py`) is in neither: the check that passes shows it.
The source is jupytext's Markdown: text is text, a fenced block is a cell, ```bash a `%%bash` cell, tags stand behind the language.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat

from lab_checks.engine import paths

SOLUTION = "solution"
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sources(root: Path | None = None) -> list[Path]:
    return sorted(((root or paths.root()) / "solutions").glob("[0-9]*.md"))


def read(source: Path) -> Any:
    """The notebook that a source describes, without outputs. Cells have stable ids, so that a build of the same source changes nothing."""
    import jupytext

    notebook = jupytext.read(source, fmt="md")
    notebook.cells = [cell for cell in notebook.cells if "debrief" not in cell.metadata]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem}-{number:03d}"
        cell.metadata.pop("lines_to_next_cell", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = _metadata()
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _metadata() -> Any:
    """The same in every notebook: what a kernel says of itself differs from machine to machine."""
    return nbformat.from_dict({"kernelspec": _KERNEL, "language_info": {"name": "python"}})


def learners(notebook: Any) -> Any:
    """The learner's copy: no cell tagged `solution`, no output."""
    cut = nbformat.from_dict(json.loads(json.dumps(notebook)))
    cut.cells = [cell for cell in cut.cells if SOLUTION not in cell.metadata.get("tags", [])]
    for cell in cut.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return cut


def with_outputs(notebook: Any, before: Path) -> Any:
    """The notebook with the outputs that the file `before` has for the same cells."""
    if not before.exists():
        return notebook
    # Cells of the same text (a learner's empty cell) are told apart by their order.
    kept: dict[str, list[Any]] = {}
    for cell in nbformat.read(before, as_version=4).cells:
        if cell.cell_type == "code":
            kept.setdefault(cell.source, []).append(cell)
    for cell in notebook.cells:
        if cell.cell_type == "code" and kept.get(cell.source):
            old = kept[cell.source].pop(0)
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
    return notebook


def text_of(notebook: Any) -> str:
    return str(nbformat.writes(notebook, indent=1)) + "\n"


class CellFailed(Exception):
    """A cell that ended in an error; the message is the cell and what it said."""


def execute(notebook: Any, folder: Path, timeout: int = 300) -> Any:
    """Runs the notebook in `folder` and returns it with its outputs. Raises CellFailed at the first cell that fails."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    try:
        NotebookClient(
            notebook, timeout=timeout, kernel_name="python3", coalesce_streams=True, resources={"metadata": {"path": str(folder)}}
        ).execute()
    except CellExecutionError as problem:
        raise CellFailed(str(problem).strip()) from None
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = number + 1
        cell.metadata.pop("execution", None)
        cell.outputs = tidied(cell.outputs)
    # Widgets are kept as their text; their state belongs to a kernel that is gone.
    notebook.metadata = _metadata()
    return notebook


def without_progress(text: str) -> str:
    """What a cell printed, without the lines that say what it was doing (`… clearing namespace ai-platform`): they differ from run to run."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("… "))


def tidied(outputs: list[Any]) -> list[Any]:
    """The outputs of a cell as they are kept: without what belongs to one run only. An output of which nothing is left goes."""
    kept = []
    for output in outputs:
        if output.output_type in ("display_data", "execute_result"):
            output.data.pop("application/vnd.jupyter.widget-view+json", None)
        if output.output_type == "execute_result":
            output.execution_count = None
        if output.output_type == "stream":
            output.text = without_progress(output.text)
        if output.output_type != "stream" or output.text:
            kept.append(output)
    return kept


def out_of_step(root: Path | None = None) -> list[str]:
    """The notebooks that are not what their sources make of them, in words."""
    base = root or paths.root()
    problems = []
    for source in sources(base):
        made = read(source)
        solved, cut = base / "solutions" / f"{source.stem}.ipynb", base / "labs" / f"{source.stem}.ipynb"
        if not solved.exists() or text_of(with_outputs(made, solved)) != text_of(nbformat.read(solved, as_version=4)):
            problems.append(f"{solved.relative_to(base)} is not what {source.name} says: ai-lab dev build --run")
        if not cut.exists() or cut.read_text() != text_of(learners(made)):
            problems.append(f"{cut.relative_to(base)} is not {source.name} without its solutions: ai-lab dev build")
    known = {source.stem for source in sources(base)}
    for folder in ("labs", "solutions"):
        problems += [
            f"{folder}/{path.name} has no source solutions/{path.stem}.md"
            for path in sorted((base / folder).glob("*.ipynb"))
            if path.stem not in known
        ]
    return problems
