"""Puts placeholders in the place of what the finders found, the same one for the same value everywhere in a text."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lab_checks.redact import headers, named, objects, pem, places, tokens
from lab_checks.redact.spans import CREDENTIALS, EMAIL, SECRET, TOKEN, Span

_FINDERS = (pem.find, objects.find, headers.find, tokens.find, named.find, places.find)
_PLACEHOLDER = re.compile(r"<[a-z-]{3,12}-\d+>")
# Pieces of text between which a value that was found once is looked for again.
_PIECE = re.compile(r"[^\s\"'`,;:=&?<>(){}\[\]|\\]{8,}")


@dataclass(frozen=True)
class Redacted:
    """`masked` counts what was replaced, by kind. `values` is what each placeholder stands for; it stays on this machine."""

    text: str
    masked: dict[str, int]
    values: dict[str, str] = field(default_factory=dict, repr=False)

    def summary(self) -> str:
        """What was masked, for the learner and for the model."""
        if not self.masked:
            return "nothing had to be masked"
        return ", ".join(f"{count} x {kind.replace('-', ' ')}" for kind, count in sorted(self.masked.items()))

    def restore(self, text: str) -> str:
        """A text that holds placeholders of this one, with what they stand for; for use on this machine only."""
        return _PLACEHOLDER.sub(lambda found: self.values.get(found.group(), found.group()), text)


def redact(text: str) -> Redacted:
    """Replaces each secret by `<kind-n>`; the same secret gets the same placeholder everywhere, so that the text still makes sense."""
    spans = _joined(span for find in _FINDERS for span in find(text))
    spans = [each for each in _joined([*spans, *_again(text, spans)]) if not _PLACEHOLDER.fullmatch(text, each.start, each.end)]
    taken = set(_PLACEHOLDER.findall(text))
    values: dict[str, str] = {}
    names: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    masked: Counter[str] = Counter()
    parts, end = [], 0
    for span in spans:
        value = text[span.start : span.end]
        if value not in names:
            numbers[span.kind] += 1
            while f"<{span.kind}-{numbers[span.kind]}>" in taken:
                numbers[span.kind] += 1
            names[value] = f"<{span.kind}-{numbers[span.kind]}>"
            values[names[value]] = value
        masked[span.kind] += 1
        parts += [text[end : span.start], names[value]]
        end = span.end
    return Redacted("".join([*parts, text[end:]]), dict(masked), values)


def _joined(found: Iterable[Span]) -> list[Span]:
    """The spans in order, those that overlap made one: of the kind of the first one, or of the longest where they begin together."""
    joined: list[Span] = []
    for span in sorted(found, key=lambda each: (each.start, -each.end)):
        if span.start >= span.end:
            continue
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            # The end of a password and a host look like an e-mail address: `scott:x7@db.internal`.
            if span.kind == EMAIL and last.kind == CREDENTIALS:
                continue
            joined[-1] = Span(last.start, max(last.end, span.end), last.kind)
        else:
            joined.append(span)
    return joined


def _again(text: str, spans: list[Span]) -> Iterator[Span]:
    """Other places where a value stands that was found once: bare in a log line, or as base64."""
    kinds: dict[str, str] = {}
    for span in spans:
        value = text[span.start : span.end].strip()
        if span.kind in (SECRET, TOKEN, CREDENTIALS) and len(value) >= 8 and _unlike_words(value):
            kinds.setdefault(value, span.kind)
            kinds.setdefault(base64.b64encode(value.encode()).decode().rstrip("="), span.kind)
    whole = {value: kind for value, kind in kinds.items() if _PIECE.fullmatch(value)}
    if whole:
        for found in _PIECE.finditer(text):
            if kind := whole.get(found.group()):
                yield Span(*found.span(), kind)
    for value, kind in kinds.items():
        if value not in whole:
            at = text.find(value)
            while at >= 0:
                yield Span(at, at + len(value), kind)
                at = text.find(value, at + len(value))


def _unlike_words(value: str) -> bool:
    """Whether the value can hardly be a word that the text needs elsewhere: it mixes digits with letters."""
    return bool(re.search(r"\d", value)) and bool(re.search(r"[A-Za-z]", value))
