"""A sheet of answers: an exercise states its blanks, and all of them are judged at once.

The verdict names every answer that does not hold, with what speaks against it, and every blank that is still open. What is right it does not say.

    sheet.judge(ctx, [
        Blank("total", answers.count, right=3, asks="allocatable GPUs of all nodes together", look="kubectl describe nodes",
              told={2: "that is how many nodes offer some"}),
    ])
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen, fail, idle
from lab_checks.judging import answers

# What a number of GPUs may be said to count.
GPUS = ("gpu", "card", "device", "free", "left", "available")
_BLANK: tuple[Any, ...] = ("", None, [], {})
_ALL = 0.9


@dataclass(frozen=True)
class Blank:
    """One blank.

    `reads` makes a value of what was typed, None of what cannot be read. `right` is the value that holds, or says whether one holds. `asks` is what
    belongs here, in words, and `look` where it is seen. `told` says what a wrong value is instead: by value, or by a function of it. `form` is what is
    said of an answer that cannot be read; `called` are other words that may stand in front of it ("exit code 137"). Of a number, `things` are what it may
    be said to count ("2 GPUs", and not "2 nodes"), and `whole` is what it may be said to be a part of ("2 of 3").
    """

    name: str
    reads: Callable[[Any], Any]
    right: Any
    asks: str
    look: str = ""
    told: Mapping[Any, str] | Callable[[Any], str] | None = None
    form: str = "this cannot be read as one answer"
    called: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    whole: int | None = None

    def wrong(self, given: Any) -> str:
        """What speaks against an answer; empty where it holds."""
        value = self.reads(answers.unlabelled(given, (self.name, *self.called)))
        if value is None:
            return self.form
        if self.things and (others := [each for each in answers.counted(given) if each not in self.things]):
            return f"that counts something else: {others[0]}"
        if self.whole is not None and answers.out_of(given) not in (None, self.whole):
            return f"the number is not out of {answers.out_of(given)}"
        if self.right(value) if callable(self.right) else value == self.right:
            return ""
        said = self.told(value) if callable(self.told) else (self.told or {}).get(value, "")
        return said or "the cluster shows something else"


def number(
    name: str, right: Any, asks: str, look: str = "", *, reads: Callable[[Any], Any] = answers.count, told: Any = None, called: Any = (),
    things: tuple[str, ...] = (), whole: int | None = None,
) -> Blank:  # fmt: skip
    """A blank for a number: of things, unless `reads` reads something else (`answers.seconds`, `answers.mebibytes`, `answers.percent`)."""
    return Blank(name, reads, right, asks, look, told, "a number is asked for", called, things, whole)


def names(
    name: str, right: Collection[str], asks: str, look: str = "", *, known: Collection[str], kind: str = "node",
    told: Callable[[str], str] = lambda _name: "", missing: str = "one more belongs to it",
) -> Blank:  # fmt: skip
    """A blank for names out of `known`; `told` says what speaks against a name that is not `right`, `missing` what is said where one is left out."""

    def against(given: frozenset[str]) -> str:
        if any(each.isdigit() for each in given):
            return "that is a count, and names are asked for"
        for each in sorted(given - set(right)):
            return (told(each) or f"{each} is none of them") if each in known else f"there is no {kind} {each}"
        return missing

    return Blank(
        name, lambda said: answers.names(said, known), frozenset(right), asks, look, against, "names are asked for, and nothing else"
    )


def judge(ctx: Context, blanks: Sequence[Blank], *, begin: str = "", done: float = 0.0) -> None:
    """Ends the check unless every blank holds: failed with every answer that does not, else not yet with those that are still open.

    `begin` is a first command to look with; `done` is the share of the exercise (0 to 1) that is done whatever the answers are.
    """
    given = {each.name: ctx.answers.get(each.name) for each in blanks}
    open_ = [each for each in blanks if _is_blank(given[each.name])]
    against = {each.name: each.wrong(given[each.name]) for each in blanks if each not in open_}
    wrong = [each for each in blanks if against.get(each.name)]
    if not wrong and not open_:
        return
    credit = done + (_ALL - done) * (len(blanks) - len(wrong) - len(open_)) / len(blanks)
    left = f"not answered yet: {', '.join(each.name for each in open_)}"
    hand_in = f'lab.answer("{ctx.exercise.id}", {", ".join(f"{each.name}=…" for each in open_)})'
    if wrong:
        several = len(wrong) > 1
        raise fail(
            f"{len(wrong)} answers do not hold: {', '.join(each.name for each in wrong)}"
            if several
            else f"{wrong[0].name}: {against[wrong[0].name]}",
            *(Seen(f"answer {each.name}", "", shown(given[each.name]) + (f": {against[each.name]}" if several else "")) for each in wrong),
            *([Seen("answers", "", left)] if open_ else []),
            expected=_for_each(wrong, lambda each: each.asks),
            next=_for_each(wrong, lambda each: each.look),
            credit=credit,
        )
    if len(open_) == len(blanks):
        raise idle(
            "nothing has been answered yet", expected=_for_each(open_, lambda each: each.asks), next=begin or open_[0].look or hand_in,
            credit=credit,
        )  # fmt: skip
    raise idle(
        f"{len(blanks) - len(open_)} of {len(blanks)} answers hold; {left}", expected=_for_each(open_, lambda each: each.asks), next=hand_in,
        credit=credit,
    )  # fmt: skip


def _is_blank(value: Any) -> bool:
    return value in _BLANK or (isinstance(value, str) and not value.strip())


def shown(value: Any) -> str:
    """An answer as it was typed, on one line: a list as its items with commas between them."""
    said = ", ".join(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else str(value)
    return " ".join(said.split())[:120]


def _for_each(blanks: Collection[Blank], what: Callable[[Blank], str]) -> str:
    """One blank's words as they are; those of several with their names, and the same words once."""
    said: dict[str, list[str]] = {}
    for each in blanks:
        if what(each):
            said.setdefault(what(each), []).append(each.name)
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(names_)}: {words}" for words, names_ in said.items())
