"""The instructor's page in a browser, fed over HTTP as learners' machines feed it: with a dozen learners and with a hundred, light and dark."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.classroom import report, roll, wire
from lab_checks.engine import course
from tests.browser.conftest import PATIENCE, chromium, shot
from tests.browser.learner import NARROW, WIDE, grave_faults, until
from tests.classroom.command import Serving, serving
from tests.classroom.served import row, told

pytestmark = pytest.mark.browser

PEOPLE = (
    "Adaeze",
    "Benedikt",
    "Chiamaka",
    "Dmitri",
    "Evelyn",
    "Farid",
    "Grace",
    "Hana",
    "Ines",
    "Jun",
    "Mira",
    "<script>document.title='taken'</script>",
)
KEYS = [each.key for each in course.load().exercises]
WORDS = (
    "the Pod still asks for 2 GPUs, and no node has 2 that are free",
    "the taint of the node is gone; it was there before the exercise",
    "the readiness probe asks /healthz, which answers before the model is loaded",
)
HEIGHT = 1000


class Machine:
    """A learner's machine that joined."""

    def __init__(self, room: Serving, name: str):
        self.name = name
        self._url, secret = wire.read_link(room.join)
        self._key = wire.post(self._url, wire.TO_JOIN, secret, {"format": report.FORMAT, "name": name})["key"]

    def tell(self, *rows: Object) -> None:
        wire.post(self._url, wire.TO_REPORT, self._key, told(self.name, *rows, at=time.time()))


def standing(number: int) -> list[Object]:
    """A learner after some exercises: every third one just passed the newest, the others began it, a few of them long ago."""
    now, at = time.time(), number % 7 + 3
    rows = [row(KEYS[each], passed=True, started=now - 9000, checked=now - 9000 + each) for each in range(at)]
    failures = [WORDS[each] for each in range(3) if number % (each + 2) == 0]
    newest = row(KEYS[at], *failures, passed=number % 3 == 0, started=now - 60 * (number * 7 % 40), checked=now - 5, hints=number % 4)
    return [*rows, newest]


def gathered(home: Path, names: list[str]) -> None:
    """A class whose learners joined three quarters of an hour ago, as its server has kept it."""
    now, found = time.time(), roll.Roll(home)
    found.secrets()
    people = [roll.Learner(number, f"key {number}", name, now - 2700, now, now - 2700) for number, name in enumerate(names, 1)]
    for number, each in enumerate(people):
        each.heard(report.checked(told(each.name, *standing(number), at=now)), now)
    found.write([roll.saved(each) for each in people])


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A class with a dozen learners; one for the tests of this file."""
    home = tmp_path_factory.mktemp("class")
    gathered(home, list(PEOPLE))
    with serving(home) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = chromium()
    if executable is None:
        pytest.skip("left out: no Chromium on this machine, and none could be fetched")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable or None, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield found
        finally:
            found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A window of a browser that was never signed in. Whatever it asks another address for fails the test, and so does an error of the page."""
    context = browser.new_context(viewport={"width": WIDE, "height": HEIGHT})
    found = context.new_page()
    found.set_default_timeout(PATIENCE)
    asked: list[str] = []
    faults: list[str] = []
    found.on("request", lambda request: asked.append(request.url))
    found.on("pageerror", lambda error: faults.append(str(error)))
    try:
        yield found
        assert len({each.split("/")[2] for each in asked if each.startswith("http")}) == 1
        assert faults == []
    finally:
        context.close()


def signed_in(page: Any, room: Serving) -> None:
    page.goto(room.view)
    page.wait_for_selector("#learners tbody tr")


def names(page: Any) -> list[str]:
    return [str(each) for each in page.locator("#learners tbody th > :first-child").all_inner_texts()]


def test_without_the_token_the_page_holds_no_name(page: Any, room: Serving) -> None:
    address = room.view.partition("#")[0]
    for link in (address, f"{address}#view=wrong", room.join):
        page.goto("about:blank")
        page.goto(link)
        page.wait_for_selector("#closed:visible")
        assert not page.locator("#open").is_visible()
        content = page.content()
        assert not [each for each in PEOPLE if each in content]
        assert grave_faults(page, "body") == []
    assert f"ai-lab class join '{room.join}'" in page.inner_text("#closed-command")
    shot(page, "class-learners-link")


def test_the_link_signs_in_and_leaves_no_secret_in_the_address(page: Any, room: Serving) -> None:
    signed_in(page, room)
    assert page.url == room.view.partition("#")[0]
    assert page.evaluate("document.cookie") == ""
    page.reload()
    page.wait_for_selector("#learners tbody tr")
    page.click("#out")
    page.wait_for_selector("#closed:visible")
    assert page.locator("#learners tbody tr").count() == 0


@pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)])
def test_a_dozen_learners(scheme: str, width: int, page: Any, room: Serving) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": HEIGHT})
    signed_in(page, room)
    assert set(PEOPLE) <= set(names(page))
    assert page.title() != "taken"
    marks = [each.get_attribute("data-mark") for each in page.locator("#learners tbody tr").all()]
    assert marks == sorted(marks, key=["stuck", "working", "passed"].index)
    assert {"stuck", "passed"} <= set(marks)
    assert f"{marks.count('stuck')} stuck" in page.inner_text("#now")
    assert WORDS[0] in page.inner_text("#wrong tbody tr:first-child")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert grave_faults(page, "body") == []
    shot(page, f"class-dozen-{scheme}-{width}")


def test_a_report_changes_its_row_and_leaves_what_is_selected(page: Any, room: Serving) -> None:
    mira = Machine(room, "Mira Kern")
    mira.tell(row(KEYS[0], started=time.time()))
    signed_in(page, room)
    mine = page.locator("#learners tbody tr", has_text="Mira Kern")
    page.evaluate("row => getSelection().selectAllChildren(row)", mine.locator("th").element_handle())
    mira.tell(row(KEYS[0], WORDS[2], started=time.time(), checked=time.time(), hints=3))
    until(page, lambda: WORDS[2] in mine.inner_text(), mine.inner_text)
    assert "failed" in mine.inner_text()
    assert "Mira Kern" in page.evaluate("getSelection().toString()")
    mira.tell(row(KEYS[0], passed=True, started=time.time(), checked=time.time()))
    page.wait_for_selector("#learners tbody tr[data-mark='passed']:has-text('Mira Kern')")


def test_the_page_is_used_by_keyboard(page: Any, room: Serving) -> None:
    signed_in(page, room)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "order"
    page.select_option("#order", "name")
    found = [each for each in names(page) if each in PEOPLE[:-1]]
    assert found == sorted(found)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("mir")
    until(page, lambda: all("Mir" in each for each in names(page)) and names(page), lambda: names(page))
    assert re.match(r"\d+ of \d+ learners", page.inner_text("#learners-caption"))
    with page.expect_download() as download:
        page.click("text=CSV")
    assert "Chiamaka" in Path(download.value.path()).read_text()


def test_a_server_that_ends_is_told_and_what_is_shown_stays(page: Any, tmp_path: Path) -> None:
    with serving(tmp_path) as room:
        Machine(room, "Mira").tell(row(KEYS[0]))
        signed_in(page, room)
        assert room.interrupt() == 0
        page.wait_for_selector("#now[data-away='yes']")
        assert "does not answer" in page.inner_text("#now")
        assert names(page) == ["Mira"]
        assert grave_faults(page, "body") == []
        shot(page, "class-away")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hundred_learners(scheme: str, page: Any, tmp_path: Path) -> None:
    gathered(tmp_path, [f"{PEOPLE[number % 11]} {number}" for number in range(100)])
    with serving(tmp_path) as room:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": NARROW, "height": HEIGHT})
        signed_in(page, room)
        assert len(names(page)) == 100
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert grave_faults(page, "body") == []
        shot(page, f"class-hundred-{scheme}")
