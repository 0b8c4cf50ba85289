"""What kubectl shows of an exercise, now and at its start: whether a quoted line stands there, in any of kubectl's formats, and on which object.

A line stands where it is a part of what kubectl prints, or is that with its columns around it, or is made of one object's own words. A sentence of
the learner's that holds such a word is none of these: its other words stand nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kubeobjects import Object
from lab_checks.engine.api import CommandFailed, shell
from lab_checks.engine.context import Context
from lab_checks.engine.registry import at_start
from lab_checks.judging import evidence, quotes
from lab_checks.judging.quotes import Told

# Kinds of the namespace that a description or a table may be quoted of.
_HERE = (
    "deployments", "replicasets", "services", "endpoints", "endpointslices", "configmaps", "resourcequotas", "persistentvolumeclaims",
    "resourceclaims", "resourceclaimtemplates",
)  # fmt: skip
# Kinds of no namespace, beside the nodes.
_EVERYWHERE = ("resourceslices", "deviceclasses")
_DESCRIBED = (
    "nodes",
    "deployments,replicasets,pods,services,endpointslices,resourcequotas,persistentvolumeclaims -n {namespace}",
    "daemonsets -n kube-system",
)
_NAMED = re.compile(r"^Name:\s+(\S+)", re.M)
# What kubectl answers where there is nothing.
_NOTHING = re.compile(r"No resources found(?: in (?P<namespace>\S+) namespace)?\.?", re.I)
_NOT_FOUND = re.compile(r"(?:Error from server )?\(?NotFound\)?:? ?(?P<kind>[a-z.]+) \"?(?P<name>[\w.-]+)\"? not found", re.I)


@dataclass(frozen=True)
class Line:
    """A line that was shown, of the object called `name`; `at` is when an event came last."""

    name: str
    text: str
    at: str = ""


class Shown:
    """The lines and words of the cluster as it is, and as its start was noted."""

    def __init__(self, ctx: Context):
        self._ctx = ctx
        self._found: dict[str, set[str]] = {}
        noted = ctx.baseline.get("shown") or {}
        self._since = ctx.baseline.get("since", "")
        self._before = [Line(*row) for row in noted.get("lines", ())]
        self._noted = [
            (name, Told(frozenset(words), tuple(tuple(row) for row in (sentences or [[]])[0])))
            for name, words, *sentences in noted.get("words", ())
        ]

    @cached_property
    def _lines(self) -> list[Line]:
        return [*_printed(self._ctx), *self._before]

    @cached_property
    def _told(self) -> list[tuple[str, Told]]:
        """What each object says, with what was printed of it."""
        printed: dict[str, list[str]] = {}
        for line in self._lines:
            if self._is_new(line):
                printed.setdefault(line.name, []).append(line.text)
        return [(name, told.and_printed(*printed.get(name, ()))) for name, told in (*_words(self._ctx), *self._noted)]

    @cached_property
    def _described(self) -> list[Line]:
        return list(_describe(self._ctx))

    def places(self, quote: str) -> set[str]:
        """The names of the objects on which the quoted line stands; empty where it stands nowhere, or was said before the exercise began."""
        if quote not in self._found:
            self._found[quote] = self._places(quote)
        return self._found[quote]

    def _places(self, quote: str) -> set[str]:
        if (where := self._nothing(quote)) is not None:
            return where
        wanted = quotes.plain(quote)
        if not wanted:
            return set()
        if exact := {each.name for each in self._lines if self._is_new(each) and wanted in quotes.plain(each.text)}:
            return exact
        if made_of := {name for name, told in self._told if told.says(quote)}:
            return made_of
        return {each.name for each in self._described if wanted in quotes.plain(each.text)}

    def is_old(self, quote: str) -> Line | None:
        """An event from before the exercise in which the line stands; None where there is none."""
        wanted = quotes.plain(quote)
        return next((line for line, told in self._old if wanted in quotes.plain(line.text) or told.says(quote)), None)

    @cached_property
    def _old(self) -> list[tuple[Line, Told]]:
        old = [each for each in self._ctx.api.list("events") if not _is_since(each, self._since)]
        return [(line, Told.by(event)) for line, event in zip(_lines_of(old), old, strict=True)]

    def _is_new(self, line: Line) -> bool:
        return not line.at or not self._since or line.at >= self._since

    def _nothing(self, quote: str) -> set[str] | None:
        """Where the line says that there is nothing: {""} where that is so, the empty set where it is not; None for any other line."""
        if found := _NOT_FOUND.search(quote):
            return set() if any(found["name"] in (name, name.rpartition("/")[2]) for name, _ in self._told) else {""}
        if found := _NOTHING.fullmatch(quote.strip()):
            kinds = ("daemonsets", "pods", "deployments", "replicasets", "endpointslices")
            # Without a namespace it is the answer to `-A`.
            return {""} if any(not self._ctx.api.list(kind, found["namespace"]) for kind in kinds) else set()
        return None


def _lines_of(events: Iterable[Object]) -> Iterator[Line]:
    for each in evidence.event_lines(events):
        yield Line(each.source.rpartition("/")[2], each.text, each.at)


def _printed(ctx: Context) -> Iterator[Line]:
    for each in evidence.sources(ctx):
        yield Line(each.source.rpartition("/")[2], each.text, each.at)
    # Nodes have their events in another namespace; `describe` and `-A` show them.
    yield from _lines_of(each for each in ctx.api.list("events") if each["metadata"].get("namespace") != ctx.namespace)


def _is_since(event: Object, since: str) -> bool:
    return bool((event.get("lastTimestamp") or event.get("eventTime") or since) >= since)


def _objects(ctx: Context) -> list[Object]:
    events = [each for each in ctx.api.list("events") if _is_since(each, ctx.baseline.get("since", ""))]
    found = [*ctx.nodes, *ctx.all_pods, *events, *ctx.api.list("daemonsets", "kube-system")]
    found += [each for kind in _EVERYWHERE for each in ctx.api.list(kind)]
    return found + [each for kind in _HERE for each in ctx.api.list(kind, ctx.namespace)]


def _words(ctx: Context) -> list[tuple[str, Told]]:
    return [(_name(each), Told.by(each)) for each in _objects(ctx)]


def _name(obj: Object) -> str:
    """An event stands for what it is about."""
    return str((obj.get("involvedObject") or obj["metadata"])["name"])


def _describe(ctx: Context) -> Iterator[Line]:
    """What `kubectl describe` prints, line by line: sums over Pods and addresses behind a Service are no object's own words."""
    with ThreadPoolExecutor(len(_DESCRIBED)) as pool:
        # An object that goes away meanwhile takes no other's description with it.
        printed = pool.map(lambda what: _run(ctx, f"kubectl describe {what.format(namespace=ctx.namespace)} || true"), _DESCRIBED)
        for text in printed:
            parts = _NAMED.split(text)
            for name, body in zip(parts[1::2], parts[2::2], strict=True):
                yield Line(name, f"Name: {name}")
                yield from (Line(name, line) for line in body.splitlines() if line.strip())


def _run(ctx: Context, command: str) -> str:
    try:
        return shell(command, ctx.api.kubeconfig)
    except CommandFailed:
        return ""


@at_start
def note(ctx: Context) -> dict[str, Any]:
    """What the start shows: after a fix, a line of it is still evidence. Logs are left out; those of Pods that are there are read when they are needed."""
    if not ctx.exercise.diagnosis:
        return {}
    lines = [*(each for each in _printed(ctx)), *_describe(ctx)]
    kept = {(each.name, each.text): each.at for each in lines}
    return {
        "shown": {
            "lines": [[name, text, at] for (name, text), at in kept.items()],
            "words": [[name, sorted(told.words), told.sentences] for name, told in _words(ctx)],
        }
    }
