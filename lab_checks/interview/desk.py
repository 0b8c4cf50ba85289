"""Answers typed on a terminal: several lines, edited freely, kept while they are typed.

prompt_toolkit reads the keys: unlike the terminal's own line discipline it takes lines of any length, and pasted text as it is.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab_checks.interview.drafts import Draft

HOW = "Type your answer below; Enter begins a new line. Ctrl-D ends the answer. Ctrl-C stops, and what you typed is kept."
_PROMPT = "> "
_MARK = "# ---- your answer goes above this line ----"


class NoEditor(Exception):
    """The learner's editor could not be run; the message says which and why."""


def editor() -> str:
    """The editor that the learner has chosen; the empty text where there is none."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""


def write(keep: Callable[[str], None], text: str = "") -> str:
    """What is typed until Ctrl-D, beginning from `text`. `keep` hears all of it whenever it was shown, and before anything ends it.

    Raises KeyboardInterrupt for Ctrl-C, SystemExit (129, 143) where the terminal or the process is ended.
    """
    # Asking the terminal where its cursor is helps drawing menus, of which there are none here; one that cannot answer would be warned about.
    os.environ.setdefault("PROMPT_TOOLKIT_NO_CPR", "1")
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.layout.processors import TabsProcessor
    from prompt_toolkit.output import create_output

    from lab_checks.interview.word_wrap import WordWrap

    keys = KeyBindings()

    @keys.add("enter")
    @keys.add("c-j")
    def _(event: Any) -> None:
        # Not the library's own: it indents a new line as the one before.
        event.current_buffer.insert_text("\n")

    @keys.add("tab")
    def _(event: Any) -> None:
        event.current_buffer.insert_text("\t")

    @keys.add("c-d")
    def _(event: Any) -> None:
        event.current_buffer.validate_and_handle()

    session: PromptSession[str] = PromptSession(
        multiline=True,
        key_bindings=keys,
        input_processors=[TabsProcessor(char1=" ", char2=" "), WordWrap(len(_PROMPT))],
        output=create_output(always_prefer_tty=True),
    )

    def typed() -> str:
        return session.default_buffer.text

    session.app.after_render += lambda _: keep(typed())

    def end(number: int, frame: object) -> None:
        keep(typed())
        loop = session.app.loop
        if loop is None:
            raise SystemExit(128 + number)
        loop.call_soon_threadsafe(lambda: session.app.exit(exception=SystemExit(128 + number)))

    begun: list[bool] = []
    with _signals(end):
        try:
            return session.prompt(_PROMPT, default=text, prompt_continuation=" " * len(_PROMPT), pre_run=lambda: begun.append(True))
        except (EOFError, OSError):
            # The terminal is gone.
            raise SystemExit(128 + signal.SIGHUP) from None
        finally:
            if begun:
                keep(typed())


@contextlib.contextmanager
def _signals(end: Callable[[int, object], None]) -> Iterator[None]:
    before = {number: signal.signal(number, end) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def edit(draft: Draft, asks: str) -> str:
    """What the learner's editor leaves of the draft. The page is beside the draft, so that no crash takes it away. Raises NoEditor, OSError."""
    page = draft.path.with_suffix(".md")
    page.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if page.exists():
        # The editor outlived an earlier command.
        draft.keep(_answer(page))
    page.write_text(f"{draft.text}\n\n{_MARK}\n# {asks}\n")
    try:
        subprocess.run([*shlex.split(editor()), str(page)], check=False)
    except (OSError, ValueError) as problem:
        page.unlink(missing_ok=True)
        raise NoEditor(f"your editor ({editor()}) cannot be run: {problem}") from None
    finally:
        if page.exists():
            draft.keep(_answer(page))
    page.unlink()
    return draft.text


def _answer(page: Path) -> str:
    return page.read_text(errors="replace").partition(_MARK)[0].strip("\n")
