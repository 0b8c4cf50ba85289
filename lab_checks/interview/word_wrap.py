"""Breaks what is typed at words where a line is longer than the terminal is wide; prompt_toolkit itself breaks anywhere.

A word that does not fit any more is moved to the next row by spaces that are shown and are not part of the text.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.utils import get_cwidth


def places(text: str, room: int) -> list[int]:
    """For each character of `text`, and for its end, the cell at which it is shown, in rows of `room` cells that are counted on.

    A space that falls between two rows is shown nowhere: it has the cell of what comes after it.
    """
    found, at = [], 0
    for index, each in enumerate(text):
        first = each != " " and (index == 0 or text[index - 1] == " ")
        if first and room > 0:
            word = text[index : index + room + 1].partition(" ")[0]
            wide, used = sum(map(get_cwidth, word)), at % room
            if used and wide <= room and used + wide > room:
                at += room - used
        hidden = each == " " and room > 0 and at > 0 and at % room == 0 and 0 < index < len(text) - 1 and text[index - 1] != " "
        found.append(at)
        at += 0 if hidden else get_cwidth(each)
    return [*found, at]


class WordWrap(Processor):
    """`prefix` is how many cells of each row are taken by the prompt or its continuation."""

    def __init__(self, prefix: int):
        self._prefix = prefix

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = explode_text_fragments(transformation_input.fragments)
        text = "".join(fragment[1] for fragment in fragments)
        room = transformation_input.width - self._prefix
        cells = places(text, room)
        shown: StyleAndTextTuples = []
        starts: list[int] = []
        at = 0
        for index, fragment in enumerate(fragments):
            for _ in range(cells[index] - at):
                shown.append(("", " "))
            at = max(at, cells[index])
            starts.append(len(shown))
            if cells[index + 1] > cells[index]:
                shown.append(fragment)
                at += get_cwidth(fragment[1])
        starts.append(len(shown))
        return Transformation(
            shown, source_to_display=lambda index: _start(starts, index), display_to_source=lambda index: _index(starts, index)
        )


def _start(starts: Sequence[int], index: int) -> int:
    """Where the character is shown; what is beyond the text's end follows it."""
    return starts[index] if index < len(starts) else starts[-1] + index - len(starts) + 1


def _index(starts: Sequence[int], shown: int) -> int:
    return max(0, bisect.bisect_right(starts, shown) - 1)
