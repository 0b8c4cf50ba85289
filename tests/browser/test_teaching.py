"""The pages for a class, opened from the disk: everybody can read them, they work with keys alone, on paper, and without a network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab_checks.engine import course
from lab_checks.teaching import certificate_page, slides
from tests.browser.conftest import shot
from tests.teaching.test_certificate import issued

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

COURSE = course.load()
# What a lab's pages have at most: tables, long code, and a formula in the notes.
LABS = ("00-welcome", "03-pending", "05-oom", "13-interview")
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 400)]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of a certificate, of four labs' slides and notes, and of a list."""
    folder = tmp_path_factory.mktemp("teaching")
    signed, _ = issued(folder, count=25, name="Mira Kern-Ångström")
    texts = {
        "certificate": certificate_page.page(signed, "certificate.json"),
        "list": slides.index("Slides", "For the class.", [("a.html", "A lab")]),
    }
    for name in LABS:
        lab = COURSE.lab(name)
        made = slides.of(lab)
        texts |= {f"slides {name}": slides.page(lab, made, COURSE.title), f"notes {name}": slides.notes(lab, made, COURSE.title)}
    found = {}
    for name, text in texts.items():
        found[name] = folder / f"{name.replace(' ', '-')}.html"
        found[name].write_text(text, encoding="utf-8")
    return found


@pytest.fixture
def paper(page: Any) -> Iterator[Any]:
    """The browser's page; what it asked for and what it complained of is in `asked` and `said`. Afterwards it looks as before."""
    asked: list[str] = []
    said: list[str] = []
    listeners = {
        "request": lambda each: asked.append(each.url),
        "console": lambda each: said.append(each.text),
        "pageerror": lambda each: said.append(str(each)),
    }
    # A JupyterLab that another test left open goes on asking its server.
    page.goto("about:blank")
    for name, listener in listeners.items():
        page.on(name, listener)
    page.asked, page.said = asked, said
    try:
        yield page
    finally:
        for name, listener in listeners.items():
            page.remove_listener(name, listener)
        page.emulate_media(media="screen", color_scheme="light")
        page.goto("about:blank")
        page.set_viewport_size({"width": 1280, "height": 1400})


def faults(page: Any) -> list[str]:
    """What axe-core finds, by the rules of WCAG 2.2 A and AA and of good practice."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
    return [f"{each['impact']} {each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_every_page_can_be_read_by_everybody(paper: Any, pages: dict[str, Path], scheme: str, width: int) -> None:
    paper.set_viewport_size({"width": width, "height": 900})
    paper.emulate_media(color_scheme=scheme)
    for name, path in pages.items():
        paper.goto(path.as_uri())
        shot(paper, f"{name.replace(' ', '-')}-{scheme}-{width}")
        assert faults(paper) == [], name
        # Nothing is cut off at the side, whatever the width.
        assert paper.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        if name.startswith("slides"):
            for number in itertools.count(2):
                if paper.locator("[data-go='1']").is_disabled():
                    break
                paper.keyboard.press("ArrowRight")
                assert faults(paper) == [], f"{name}, slide {number}"
                assert paper.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name}, slide {number}"
            assert number > 5
    assert [url for url in paper.asked if not url.startswith("file:")] == []
    assert paper.said == []


def shown(page: Any) -> list[str]:
    """The headings of the slides that are on the screen."""
    return [str(each) for each in page.locator("section:visible > h2").all_inner_texts()]


def test_slides_go_by_keys_and_by_buttons(paper: Any, pages: dict[str, Path]) -> None:
    titles = [slide.title for slide in slides.of(COURSE.lab("03-pending"))]
    paper.goto(pages["slides 03-pending"].as_uri())
    assert shown(paper) == titles[:1]
    for key, at in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", len(titles) - 1),
        ("ArrowRight", len(titles) - 1),
        ("Home", 0),
        ("PageUp", 0),
    ):
        paper.keyboard.press(key)
        assert shown(paper) == [titles[at]], key
        assert paper.locator("[role=status]").inner_text() == f"{at + 1} of {len(titles)}"
        assert paper.evaluate("document.activeElement.textContent") == titles[at]
    # Keys with which one reaches the buttons, and what they do there.
    paper.keyboard.press("End")
    paper.keyboard.press("Tab")
    while paper.evaluate("document.activeElement.dataset.go") != "-1":
        paper.keyboard.press("Tab")
    paper.keyboard.press("Enter")
    assert shown(paper) == [titles[-2]]
    # An address leads to a slide, and one that is read again stays there.
    paper.goto(f"{pages['slides 03-pending'].as_uri()}#s4")
    assert shown(paper) == [titles[3]]
    paper.reload()
    assert shown(paper) == [titles[3]]
    paper.keyboard.press("p")
    assert shown(paper) == titles
    paper.keyboard.press("p")
    assert shown(paper) == [titles[3]]
    assert paper.said == []


def test_a_presenters_remote_reads_every_slide_to_its_end(paper: Any, pages: dict[str, Path]) -> None:
    titles = [slide.title for slide in slides.of(COURSE.lab("03-pending"))]
    paper.set_viewport_size({"width": 1280, "height": 600})
    paper.goto(pages["slides 03-pending"].as_uri())
    seen = shown(paper)
    scrolled = 0
    while len(seen) < len(titles):
        above, below = paper.evaluate("[scrollY, document.documentElement.scrollHeight - innerHeight - scrollY]")
        paper.keyboard.press("PageDown")
        if shown(paper) == [seen[-1]]:
            scrolled += 1
            assert paper.evaluate("scrollY") > above
        else:
            assert below <= 4
            assert paper.evaluate("scrollY") == 0
            seen += shown(paper)
    assert seen == titles
    assert scrolled > 5


def test_on_paper_every_slide_is_there_on_its_own_sheet(paper: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    titles = [slide.title for slide in slides.of(COURSE.lab("03-pending"))]
    paper.goto(pages["slides 03-pending"].as_uri())
    paper.emulate_media(media="print", color_scheme="dark")
    assert shown(paper) == titles
    assert paper.locator("nav:visible").count() == 0
    assert paper.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    printed = paper.pdf(path=str(tmp_path / "slides.pdf"), format="A4")
    assert printed.count(b"/Type /Page\n") >= len(titles)
    paper.goto(pages["certificate"].as_uri())
    shot(paper, "certificate-on-paper")
    assert paper.locator("th[scope=row]:visible").count() > 25


def test_without_a_program_the_slides_stand_below_each_other(paper: Any, pages: dict[str, Path]) -> None:
    context = paper.context.browser.new_context(java_script_enabled=False)
    try:
        plain = context.new_page()
        plain.goto(pages["slides 05-oom"].as_uri())
        assert shown(plain) == [slide.title for slide in slides.of(COURSE.lab("05-oom"))]
        assert plain.locator("nav:visible").count() == 0
    finally:
        context.close()
