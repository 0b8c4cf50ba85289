"""Slides of a lab: the learner's notebook, a page for each of its sections; and for the instructor alone, notes with what the debriefs tell.

The notebook has no solution and no debrief (`lab_checks/authoring/notebooks.py` cuts both), so the slides have none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

from lab_checks.engine import debrief, paths
from lab_checks.engine.course import Exercise, Lab
from lab_checks.teaching import html

_SECTION = re.compile(r"^(?=## )", re.M)
_USED = re.compile(r"lab\.(?:start|check)\(\s*[\"']([\w-]+)[\"']")
_SUMMARY = re.compile(r"lab\.debrief\(\s*\)")
# Cells that only a notebook needs: opening the lab, and the learner's own standing.
_MACHINERY = re.compile(r"\bopen_lab\(|\A(?:lab\.(?:progress|debrief)\(\s*\)\s*)+\Z")
_OPENS = re.compile(r"[ \t]*<!-- [\w -]+ -->[ \t]*$", re.M)
_FORMULA = re.compile(r"\$\$(.+?)\$\$", re.S)
_WORDS = re.compile(r"\\text\{([^}]*)\}")
_SIGNS = {r"\approx": "≈", r"\times": "×", r"\le": "≤", r"\ge": "≥", r"\cdot": "·"}


@dataclass
class Slide:
    """One section: its heading, and its cells in order as (kind, text): `markdown`, `bash` or `python`. `uses` are the exercises that begin in it."""

    title: str
    cells: list[tuple[str, str]] = field(default_factory=list)
    uses: list[Exercise] = field(default_factory=list)
    ends: bool = False


def of(lab: Lab, notebook: Path | None = None) -> list[Slide]:
    """The sections of a lab's notebook for learners, in order. Raises OSError where there is none."""
    path = notebook or paths.root() / "labs" / f"{lab.id}.ipynb"
    slides = [Slide(lab.title)]
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            for part in _SECTION.split(text):
                if part.startswith("## "):
                    heading, _, part = part.partition("\n")
                    slides.append(Slide(heading.removeprefix("## ").strip()))
                if part.strip():
                    slides[-1].cells.append(("markdown", part.strip()))
        elif cell["cell_type"] == "code":
            _code(slides[-1], text.strip())
    known = {each.id: each for each in lab.exercises}
    seen: set[str] = set()
    for slide in slides:
        for name in (name for kind, text in slide.cells if kind != "markdown" for name in _USED.findall(text)):
            if name in known and name not in seen:
                seen.add(name)
                slide.uses.append(known[name])
    if not any(slide.ends for slide in slides):
        slides[-1].ends = True
    return slides


def _code(slide: Slide, text: str) -> None:
    slide.ends = slide.ends or bool(_SUMMARY.search(text))
    if not text or _MACHINERY.search(text):
        return
    first, _, rest = text.partition("\n")
    slide.cells.append(("bash", rest.strip("\n")) if first.strip() == "%%bash" else ("python", text))


def _markdown(text: str) -> str:
    """HTML of Markdown. Markup of its own, as <b>, is shown as text, and a picture as a link to it."""
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return str(renderer.render(_FORMULA.sub(lambda found: _plain(found[1]), text)))


def _plain(formula: str) -> str:
    for sign, shown in _SIGNS.items():
        formula = formula.replace(sign, shown)
    return f"*{' '.join(_WORDS.sub(lambda found: found[1], formula).split())}*"


def _lower(rendered: str, by: int) -> str:
    """Headings of a cell, `by` levels further down: the slide's own stands above them."""
    return re.sub(r"(</?h)([1-6])\b", lambda found: f"{found[1]}{min(6, int(found[2]) + by)}", rendered)


def _cell(kind: str, text: str) -> str:
    if kind == "markdown":
        return _markdown(text)
    return f"<figure><figcaption>{'shell' if kind == 'bash' else 'Python'}</figcaption><pre><code>{escape(text)}</code></pre></figure>"


def _nameless(slides: Sequence[Slide]) -> list[Slide]:
    """The first slide without the notebook's own heading, which is its title here."""
    first, *rest = slides
    cells = [(kind, re.sub(r"\A# [^\n]*\n*", "", text)) if kind == "markdown" else (kind, text) for kind, text in first.cells]
    return [Slide(first.title, [(kind, text) for kind, text in cells if text.strip()], first.uses, first.ends), *rest]


def page(lab: Lab, slides: Sequence[Slide], course: str) -> str:
    """The slides of a lab as one page: a section at a time on a screen, each on its own sheet on paper."""
    shown = _nameless(slides)
    sections = []
    for number, slide in enumerate(shown, 1):
        sections += [
            f"<section id='s{number}' aria-labelledby='t{number}'>",
            f"<h2 id='t{number}' tabindex='-1'>{escape(slide.title)}</h2>",
            *(_cell(kind, text) for kind, text in slide.cells),
            "</section>",
        ]
    body = [
        "<main>",
        f"<h1>{escape(course)} · {escape(lab.id)}</h1>",
        *sections,
        "</main>",
        "<nav aria-label='Slides' hidden>",
        "<button type='button' data-go='-1'>Back</button>",
        f"<p role='status'>1 of {len(shown)}</p>",
        "<button type='button' data-go='1'>Next</button>",
        "<p class='keys'>Left and Right change slides, Page Up and Page Down read on, P shows all</p>",
        "</nav>",
    ]
    return html.page(f"{lab.id}: {lab.title}", "\n".join(body), "slides.css", "slides.js")


def notes(lab: Lab, slides: Sequence[Slide], course: str) -> str:
    """The instructor's notes on a lab, slide by slide: what opens for learners only after their diagnosis or their pass."""
    body = [
        "<main>",
        f"<p class='lab'>{escape(course)} · {escape(lab.id)}</p>",
        f"<h1>Notes: {escape(lab.title)}</h1>",
        "<p class='warning'><strong>For the instructor only.</strong> These notes give answers away: tell them after the class has worked the exercise.</p>",
        f"<p>About {lab.minutes} minutes, {len(lab.exercises)} exercises.</p>",
    ]
    for number, slide in enumerate(slides, 1):
        told = _notes_on(slide, lab)
        if told:
            body += [
                f"<section aria-labelledby='n{number}'>",
                f"<h2 id='n{number}'>Slide {number}: {escape(slide.title)}</h2>",
                *told,
                "</section>",
            ]
    return html.page(f"Notes on {lab.id}: {lab.title}", "\n".join([*body, "</main>"]), "notes.css")


def _notes_on(slide: Slide, lab: Lab) -> list[str]:
    told = []
    for exercise in slide.uses:
        opened = debrief.of(exercise)
        told += [
            f"<h3>{escape(exercise.title)} <code>{escape(exercise.key)}</code></h3>",
            f"<div class='goal'>{_markdown(exercise.goal)}</div>",
        ]
        for when, text in (("After the diagnosis", opened.diagnosed), ("After the check", opened.passed)):
            if text:
                told += [f"<h4>{when}</h4>", _lower(_markdown(text), 4)]
    if slide.ends:
        whole, _ = debrief.summary(lab, {each.id for each in lab.exercises})
        if whole:
            told += ["<h3>The summary, when all are passed</h3>", _lower(_markdown(_OPENS.sub("", whole)), 3)]
    return told


def index(title: str, told: str, rows: Sequence[tuple[str, str]]) -> str:
    """A page that leads to others; `rows` are (file, what it is)."""
    links = [f"<li><a href='{escape(file)}'>{escape(what)}</a></li>" for file, what in rows]
    body = ["<main>", f"<h1>{escape(title)}</h1>", f"<p>{escape(told)}</p>", "<ul>", *links, "</ul>", "</main>"]
    return html.page(title, "\n".join(body), "notes.css")
