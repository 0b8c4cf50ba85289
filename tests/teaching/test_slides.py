"""Slides say what the learner's notebook says and give nothing away; the notes say all that the debriefs say."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab_checks.engine import course, debrief
from lab_checks.engine.course import Lab
from lab_checks.teaching import slides
from tests.cli.test_command import run
from tests.conftest import ROOT

COURSE = course.load()
LABS = pytest.mark.parametrize("lab", COURSE.labs, ids=[lab.id for lab in COURSE.labs])
_VOID = {"meta", "br", "hr", "img"}


class Page(HTMLParser):
    """What a page shows, its headings, what it would load, and whether its tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.sections = 0
        self._told: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in _VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
        self.sections += tag == "section"
        self.loads += [each for each in (given.get("src"), given.get("srcset")) if each] + [
            tag for _ in "x" if tag in ("link", "iframe", "object", "img")
        ]
        if tag == "a":
            self.links.append(given.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            return
        if any(re.fullmatch("h[1-6]", tag) for tag in self.open):
            level, text = self.headings[-1]
            self.headings[-1] = level, text + data
        self._told.append(data)

    @property
    def told(self) -> str:
        return plain("".join(self._told))


def plain(text: str) -> str:
    """The letters and digits of a text: Markdown and HTML mark it up differently."""
    return "".join(each for each in text if each.isalnum())


def sentences(markdown: str) -> list[str]:
    """The lines of a debrief that are long enough to stand in one place only."""
    text = re.sub(r"<!--.*?-->|\]\([^)]*\)|\$\$.*?\$\$|```\w*|^[ ]*\d+\. ", "", markdown, flags=re.S | re.M)
    return [each for line in text.splitlines() for cell in line.split("|") if len(each := plain(cell)) > 25]


def notebook(lab: Lab) -> list[dict[str, object]]:
    cells: list[dict[str, object]] = json.loads((ROOT / "labs" / f"{lab.id}.ipynb").read_text())["cells"]
    return cells


@LABS
def test_there_is_a_page_for_each_section_with_all_of_its_text(lab: Lab) -> None:
    text = "\n\n".join("".join(cell["source"]) for cell in notebook(lab) if cell["cell_type"] == "markdown")  # type: ignore[arg-type]
    page = Page(slides.page(lab, slides.of(lab), COURSE.title))
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert page.sections == len(headings) + 1
    assert [plain(told) for level, told in page.headings if level == 2] == [plain(lab.title), *map(plain, headings)]
    assert [told for level, told in page.headings if level == 1] == [f"{COURSE.title} · {lab.id}"]
    for line in sentences(text):
        if not line.startswith(plain(lab.id[:2])):
            assert line in page.told


@LABS
def test_no_slide_gives_anything_away(lab: Lab) -> None:
    told = Page(slides.page(lab, slides.of(lab), COURSE.title)).told
    # What learners read before they work an exercise gives nothing away: `ai-lab dev check --files` proves it.
    read = plain("".join("".join(cell["source"]) for cell in notebook(lab)))  # type: ignore[arg-type]
    held = 0
    for name, _, text in debrief.regions(debrief.source(lab.id).read_text()):
        for line in sentences(text):
            if line not in read:
                held += 1
                assert line not in told, f"{name}: {line}"
    assert held
    solved = json.loads((ROOT / "solutions" / f"{lab.id}.ipynb").read_text())["cells"]
    solutions = [plain("".join(cell["source"])) for cell in solved if "solution" in cell["metadata"].get("tags", [])]
    held = sum(cell not in read for cell in solutions)
    assert held
    assert [cell for cell in solutions if cell not in read and cell in told] == []


@LABS
def test_the_notes_hold_every_debrief_under_its_slide(lab: Lab) -> None:
    made = slides.of(lab)
    page = Page(slides.notes(lab, made, COURSE.title))
    for name, _, text in debrief.regions(debrief.source(lab.id).read_text()):
        for line in sentences(text):
            assert line in page.told, f"{name}: {line}"
    assert [each.key for slide in made for each in slide.uses] == [each.key for each in lab.exercises]
    assert "Fortheinstructoronly" in page.told


@LABS
def test_pages_load_nothing_and_their_headings_are_in_order(lab: Lab) -> None:
    made = slides.of(lab)
    for text in (slides.page(lab, made, COURSE.title), slides.notes(lab, made, COURSE.title)):
        page = Page(text)
        assert page.loads == []
        assert "default-src 'none'" in text
        levels = [level for level, _ in page.headings]
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_markup_and_programs_in_a_labs_text_are_shown_and_not_run(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> [x](javascript:alert(1)) ![x](https://example.com/x.png)"
    cells = [{"cell_type": "markdown", "source": [hostile]}, {"cell_type": "code", "source": ["%%bash\necho '</code><b>'"]}]
    (tmp_path / "it.ipynb").write_text(json.dumps({"cells": cells}))
    page = Page(slides.page(COURSE.labs[0], slides.of(COURSE.labs[0], tmp_path / "it.ipynb"), "A course"))
    assert "scriptalert1script" in page.told
    assert (page.links, page.loads) == (["https://example.com/x.png"], [])
    assert "codeb" in page.told


def test_the_command_writes_both_folders_and_their_lists(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(tmp_path, "teach", "slides", "03-pending", "--out", str(out)).returncode == 0
    assert run(tmp_path, "teach", "slides", "05", "--out", str(out)).returncode == 0
    for folder in ("slides", "instructor"):
        assert sorted(path.name for path in (out / folder).iterdir()) == ["03-pending.html", "05-oom.html", "index.html"]
        assert Page((out / folder / "index.html").read_text()).links == ["03-pending.html", "05-oom.html"]
    refused = run(tmp_path, "teach", "slides", "03-pendng", "--out", str(out))
    assert refused.returncode == 2
    assert "did you mean 03-pending?" in refused.stderr
