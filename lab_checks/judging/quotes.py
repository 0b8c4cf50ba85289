"""Quoted lines as text: what kubectl puts around a fact, and whether a line is nothing but an object's own words in kubectl's columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from kubeobjects import Object

# What kubectl puts over and beside the facts in tables and descriptions.
_HEADINGS = frozenset(
    re.findall(
        r"\S+",
        """name namespace ready status restarts age ip node nominated readiness gates type reason from message events event object last seen first
        count taints tolerations node-selectors nodeselector labels annotations conditions limits requests capacity allocatable allocated resources
        resource used hard desired current number of nodes pods scheduled with up-to-date available misscheduled selector containers images image map
        key value effect operator op for none warning normal true false kubelet default-scheduler kube-scheduler non-terminated in total over x ago
        combined similar node-selector ports port unset state last system info version kernel runtime os-image may be 100 percent i.e overcommitted
        started finished exit code ready restart endpoints external-ip cluster-ip port(s) protocol tcp udp ips families null nil list items configmapoptional
        control-plane kube-proxy subsets running pending waiting terminated terminating crashloopbackoff containercreating podinitializing""",
    )
)
# The head of a table with columns of one's own (`-o custom-columns`, `-L`): nothing but capitals, after one of these or in several columns.
_TABLE_HEAD = re.compile(
    r"(NAME|NAMESPACE|NODE|POD|LAST SEEN|REASON|STATUS|TYPE|READY)\b[A-Z0-9 ._:/()-]*|[A-Z]+(\s{2,}[A-Z][A-Z0-9._:/()-]*)+"
)
# A line of YAML or JSON that says nothing of its object: the wrapper of a list, or what changes while one looks. A key that is empty may say a lot.
_FRAME = re.compile(
    r"""[-\s]*"?(kind"?:\s*"?List"?|apiVersion"?:\s*"?v1"?|(items|metadata)"?:\s*[\[{]?|eventTime"?:\s*null
    |(resourceVersion|observedGeneration|generation|count|uid)"?:\s*"?[\w-]*"?|\w*(Time|Timestamp|time)"?:\s*"?"?),?""",
    re.X,
)
# What makes a fact of a heading: `Tolerations: <none>`, `Ready  True`.
_FACT = re.compile(r"\d|<(none|unset|unknown)>|\b(true|false)\b", re.I)
# What kubectl itself remarks, beside what it shows.
_REMARK = re.compile(r"Warning: |Defaulted container ")
_BESIDE = re.compile(r"(\d+[smhdy])+|\d+/\d+|\d+(\.\d+)?%|x\d+|0|[\w-]+-controller")
# What stands in the columns beside a sentence, and is no word of the object.
_COLUMN = re.compile(r"x\d+|none|unset|unknown|kubelet|[\w-]+-(controller|scheduler)")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# Times as describe writes them, and as objects have them.
_TIMES = re.compile(r"\b\w{3}, \d{1,2} \w{3} \d{4} [\d:]{8} [+-]\d{4}|\d{4}-\d\d-\d\dT[\d:]{8}(\.\d+)?(Z|[+-]\d\d:\d\d)?")
# What is another with every start of a container, or with every write: a line that was copied before it is still the same line.
_PASSING = re.compile(
    r"\b(restart ?count|resourceVersion|generation)\W+\d+|\b\d+ \((?:\d+[smhd])+ ago\)|\b(containerd|docker|cri-o)://[0-9a-f]{12,}", re.I
)
# `4s`, `6m57s ago`; not the `411d` within a UID.
_AGES = re.compile(r"\(x\d+ over [^)]*\)|(?<![\w-])(\d+[smhdy])+(?![\w-])( ago)?")
_SEPARATORS = re.compile(r"[\s,;:=\[\]{}()\"'`<>|\\]+")
# The name of a Pod that a ReplicaSet made: the next one differs in its last part only.
_GENERATED = re.compile(r"(-[bcdfghjklmnpqrstvwxz2-9]{8,10})-[bcdfghjklmnpqrstvwxz2-9]{5}\b")
_MARKS = str.maketrans(dict.fromkeys("\\\"'`\u2018\u2019\u201c\u201d"))
# A value of so many words is a sentence: its words show something only in their order.
_SENTENCE = 4


# The same lines are looked through for every line of a quote.
@lru_cache(maxsize=16384)
def plain(text: str) -> str:
    """A line without the spacing, quotes, keys, times, ages and generated names that differ from one look to another."""
    text = _GENERATED.sub(r"\1", text)
    text = re.sub(r"\s+", " ", _TIMES.sub("", text).translate(_MARKS).strip().rstrip(","))
    text = re.sub(r"^(- )?message: |^\[pod/[^\]]+\] *", "", text)
    return re.sub(r"\s+", " ", _AGES.sub("", text)).strip().lower()


def unquoted(line: str) -> str:
    """The line with the one apostrophe that kubectl prints, where YAML doubles it and editors bend it."""
    return re.sub("[\u2018\u2019]|''", "'", line)


def said(line: str) -> list[str]:
    """The words of a line, without punctuation."""
    line = _GENERATED.sub(r"\1", line.translate(_MARKS).lower())
    return [word for part in _SEPARATORS.split(line) if (word := part.strip(".-*/"))]


def foreign(line: str, known: frozenset[str]) -> list[str]:
    """The words of a line that are neither known, nor a heading, an age, a share or a count of kubectl's own. `pod/x` is known where both its words are."""

    def is_known(word: str) -> bool:
        return word in known or word in _HEADINGS or bool(_BESIDE.fullmatch(word))

    return [
        word
        for word in said(_PASSING.sub("", _TIMES.sub("", line)))
        if not is_known(word) and not ("/" in word and all(map(is_known, _parts(word))))
    ]


def _parts(word: str) -> list[str]:
    """`deployment.apps/api` as `deployment` and `api`."""
    kind, *names = word.split("/")
    return [kind.removesuffix(".apps"), *names]


def is_heading(line: str) -> bool:
    """Whether a line is nothing but the head of a table or of a part of a description, or the frame of YAML or JSON around its facts."""
    line = _TIMES.sub("", line).strip()
    if _TABLE_HEAD.fullmatch(line) or _FRAME.fullmatch(line) or _REMARK.match(line):
        return True
    # That nothing is there is a fact: `Endpoints: <none>`.
    if re.search(r":\s*(<(none|unset)>|null)$", line):
        return False
    return not foreign(line, frozenset()) and not _FACT.search(line.replace("100", ""))


def lines_of(quotes: str) -> list[str]:
    """The lines of a quote that can show something: without quotation marks, headings, kubectl's own warnings, and what a form says before it is filled in."""
    rows = [re.sub(r"^\s*>\s?", "", line).strip().rstrip(",") for line in quotes.splitlines()]
    return [line for line in rows if line and "paste" not in line.lower() and not line.startswith("Warning: ") and not is_heading(line)]


@dataclass(frozen=True)
class Told:
    """What one object says: words, which may stand in any order, and sentences, whose words show something only in their own order."""

    words: frozenset[str]
    sentences: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def by(cls, obj: Object) -> Told:
        """The keys and values of an object, taken apart as `said` takes a line apart."""
        loose: set[str] = set()
        sentences: set[tuple[str, ...]] = set()
        for text, is_key in _texts(obj):
            row = _row(text)
            if is_key or len(row) < _SENTENCE:
                # The column ROLES has the last part of a label's key.
                loose.update(part for word in said(text) for part in ((word, *word.split("/")) if is_key else (word,)))
            else:
                sentences.add(row)
        return cls(frozenset(loose), tuple(sorted(sentences)))

    def and_printed(self, *lines: str) -> Told:
        """The same, with lines that were printed of the object: its log."""
        return Told(self.words, (*self.sentences, *map(_row, lines)))

    def says(self, quote: str) -> bool:
        """Whether a line is nothing but this object's words, in columns of kubectl's or of one's own, and its sentences.

        A sentence may be cut where the line is cut: a terminal wraps, and people copy the part that matters. Within the line it is whole.
        """
        if not foreign(quote, self.words):
            return True
        row = _row(_AGES.sub("", quote))
        place, spoke = 0, False
        while place < len(row):
            # What stands before a sentence that is cut is a column, and not a number that would change what it says.
            may_be_cut = not spoke and not (place and row[place - 1].isdigit())
            if length := self._sentence_at(row, place, may_be_cut):
                place, spoke = place + length, True
            elif self._is_in_a_column(row[place]):
                place, spoke = place + 1, False
            else:
                return False
        return True

    @cached_property
    def _places(self) -> dict[str, list[tuple[tuple[str, ...], int]]]:
        """By word: the sentences that it stands in, and where."""
        found: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for sentence in self.sentences:
            for offset, word in enumerate(sentence):
                found.setdefault(word, []).append((sentence, offset))
        return found

    def _sentence_at(self, row: tuple[str, ...], place: int, may_be_cut: bool) -> int:
        """So many words from `place` on are a sentence, or a part of one: up to its end, or up to the end of the line. 0 where they are none."""
        longest = 0
        for sentence, offset in self._places.get(row[place], ()):
            if offset and not may_be_cut:
                continue
            length = 0
            for have, want in zip(row[place:], sentence[offset:], strict=False):
                if have != want:
                    break
                length += 1
            ends = offset + length == len(sentence) or place + length == len(row)
            # One word alone is a part of a sentence only where there is nothing else on the line.
            if ends and (length > 1 or offset == 0 or len(row) == 1):
                longest = max(longest, length)
        return longest

    def _is_in_a_column(self, word: str) -> bool:
        return any(all(part in self.words or _COLUMN.fullmatch(part) for part in parts) for parts in ([word], _parts(word)))


def _row(text: str) -> tuple[str, ...]:
    return tuple(said(_PASSING.sub("", _TIMES.sub("", text))))


def _texts(obj: Object) -> Iterator[tuple[str, bool]]:
    """The keys (True) and values (False) of an object, without the record of who wrote which field."""
    left: list[Any] = [obj]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            for key, value in each.items():
                if key != "managedFields":
                    # describe writes the key ipFamilyPolicy as `IP Family Policy`.
                    yield f"{key} {' '.join(_CAMEL.findall(key))}", True
                    left.append(value)
        elif isinstance(each, list):
            left += each
        else:
            # As JSON and YAML write it: null, true.
            yield "null" if each is None else str(each), False
