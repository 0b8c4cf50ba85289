"""What learners answer, read in whatever form it was typed: numbers, times, sizes, shares, names, one word out of several.

Readers take text, numbers or lists and return plain values; None where the answer does not hold what was asked for, and where it holds more than
one thing ("3 or 4", "all but worker3"). How a whole sheet of answers is judged is in `sheet.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

_words = re.compile(r"\S+").findall
_ONES = _words(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"""
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_SPELLED = {word: value for value, word in enumerate(_ONES)} | {word: 10 * (value + 2) for value, word in enumerate(_TENS)}
_AT_ONCE = {"none": 0.0, "no": 0.0, "nil": 0.0, "a": 1.0, "an": 1.0, "single": 1.0, "both": 2.0, "half": 0.5}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8}
_NUMBER = r"[+-]?(?:\d{1,3}(?:[ ,']\d{3})+(?![\d])(?:\.\d+)?|\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_BEFORE = r"(?:(?:~|≈|=|about|around|roughly|approx\.?|approximately|circa|ca\.?|exactly|only|just|all|the|a total of|a single|it is|it's|is)\s*)*"
_READ = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>[a-zA-Zµ%°/ ()-]*)[.!]?")
# `1m4s`, `1 min 4 s`, `1h2m3s`: what kubectl prints as an age.
_AGE = re.compile(r"(?:(\d+)\s*h[a-z]*\s*)?(?:(\d+)\s*m(?:in(?:ute)?s?)?\s*)?(?:and\s*)?(\d+(?:\.\d+)?)\s*s(?:ec(?:ond)?s?)?")
# Behind a number these make it another number, or none.
_NOT_ONE = re.compile(
    rf"\b(?:or|to|and|not|minus|plus|than|least|most|few|couple|lot|many|{'|'.join([*_ONES, *_TENS])}|(?:{'|'.join(_PARTS)})s?|halves)\b",
    re.I,
)
# Unit -> (what it measures, in how many of its base units: seconds, bytes, devices or shares).
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("time", 1.0)),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), ("time", 1e-3)),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), ("time", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("time", 3600.0)),
    **dict.fromkeys(("b", "byte", "bytes"), ("size", 1.0)),
    **dict.fromkeys(("ki", "kib"), ("size", 1024.0)),
    **dict.fromkeys(("mi", "mib", "mebibyte", "mebibytes"), ("size", 1024.0**2)),
    **dict.fromkeys(("gi", "gib", "gibibyte", "gibibytes"), ("size", 1024.0**3)),
    **dict.fromkeys(("k", "kb"), ("size", 1e3)),
    **dict.fromkeys(("M", "mb", "megabyte", "megabytes"), ("size", 1e6)),
    **dict.fromkeys(("g", "gb", "gigabyte", "gigabytes"), ("size", 1e9)),
    **dict.fromkeys(("%", "percent"), ("share", 0.01)),
}


def text(answer: object) -> str:
    """An answer as one line without quotes around it; a list of one is what is in it. Empty for none and for what is no answer."""
    if isinstance(answer, list | tuple) and len(answer) == 1:
        return text(answer[0])
    if answer is None or isinstance(answer, bool | dict | list | tuple | set):
        return ""
    return " ".join(str(answer).split()).strip("\"'`“”‘’ ")


def lines(answer: object) -> str | None:
    """What was quoted, its lines as they are; a list is its lines. None for none."""
    said = "\n".join(map(str, answer)) if isinstance(answer, list | tuple) else str(answer or "")
    return said.strip() or None


# Numbers


@dataclass(frozen=True)
class Number:
    """A number and what it measures: time, size, share, or the empty text for a count. `value` is in seconds, bytes or shares of one."""

    value: float
    measures: str


def number(answer: object) -> Number | None:
    """The number in 3, "3.0 s", "1m4s", "twenty-three", "2 GPUs", "1,024 MiB", "33 %" or "~ 4"; None for what is none, NaN and infinity among them."""
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        return Number(float(answer), "") if math.isfinite(answer) else None
    # What stands in brackets explains the number: "3 (2 A100 and a T4)"; what is added up stands before it: "2 + 1 = 3".
    said = re.sub(r"^[\d\s+*/×.-]+=", "", re.sub(r"\s+\([^)]*\)", "", text(answer)))
    said = re.sub(rf"^{_BEFORE}", "", said.strip(), flags=re.I)
    age = _AGE.fullmatch(said)
    if age and (age[1] or age[2]):
        return Number(3600.0 * int(age[1] or 0) + 60.0 * int(age[2] or 0) + float(age[3]), "time")
    found = _READ.fullmatch(said)
    if found:
        digits = found["number"].replace("'", "").replace(" ", "")
        if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?:[eE][+-]?\d+)?", digits):
            digits = digits.replace(",", "")
        return _with_unit(float(digits.replace(",", ".")), found["unit"].strip())
    words = said.split()
    for length in range(len(words), 0, -1):
        value = _spelled(" ".join(words[:length]).lower().rstrip(".,!"))
        if value is not None:
            return _with_unit(value, " ".join(words[length:]))
    return None


def _spelled(words: str) -> float | None:
    """`twenty-three`, `one hundred and four`, `none`, `both`."""
    if words in _AT_ONCE:
        return _AT_ONCE[words]
    parts = [each for each in re.split(r"[ -]+", words) if each != "and"]
    total, last = 0, 1000
    for each in parts:
        if each == "hundred" and 0 < total < 10:
            total, last = 100 * total, 100
        elif each in _SPELLED and _SPELLED[each] < last and not (last < 20 or (last < 100 and _SPELLED[each] > 9)):
            total, last = total + _SPELLED[each], _SPELLED[each] or 1
        else:
            return None
    return float(total) if parts else None


def _with_unit(value: float, unit: str) -> Number | None:
    if not math.isfinite(value) or _NOT_ONE.search(unit) or not re.fullmatch(r"[^\d]*", unit):
        return None
    first = unit.replace("per cent", "percent").partition(" ")[0].rstrip(".,")
    known = _UNITS.get(first) or _UNITS.get(first.lower())
    # Any other noun counts things: GPUs, Pods, requests, lines.
    return Number(value * known[1], known[0]) if known else Number(value, "")


_OUT_OF = re.compile(r"(.+?) (?:out )?of (?:the |all )?(\S+)(?: [a-z]+)*", re.I)


def count(answer: object) -> int | None:
    """A whole number of things: 2, "2.0", "two GPUs", "2 of 3", "none"; None for parts, times, sizes and shares."""
    of = _OUT_OF.fullmatch(text(answer))
    found = number(of[1] if of and number(of[2]) else answer)
    return int(found.value) if found and not found.measures and found.value == int(found.value) else None


# What a number may count, or tell of what it counts.
_THINGS = re.compile(
    r"\b(gpu|card|device|node|worker|pod|replica|server|request|error|line|container|core|cpu|taken|held|used|busy|allocated|free|left|available)s?\b",
    re.I,
)
_PREPOSITION = re.compile(r"\b(?:on|in|of|over|across|for|by|at|from|per|with)\b", re.I)


def counted(answer: object) -> list[str]:
    """The things that a number counts by the words behind it, as far as they are known here: ["node"] for "3 nodes in all"."""
    if not isinstance(answer, str):
        return []
    behind = re.sub(r"\([^)]*\)", " ", text(answer))
    return [found.lower() for found in _THINGS.findall(_PREPOSITION.split(behind)[0])]


def out_of(answer: object) -> int | None:
    """The second number of "2 of 3"; None where there is none."""
    of = _OUT_OF.fullmatch(text(answer))
    found = number(of[2]) if of else None
    return int(found.value) if found else None


def seconds(answer: object) -> float | None:
    """A time in seconds; a number without a unit is taken as seconds."""
    return _measured(answer, "time", 1.0)


def mebibytes(answer: object) -> float | None:
    """A size in MiB; a number without a unit is taken as MiB."""
    found = _measured(answer, "size", 1024.0**2)
    return None if found is None else found / 1024.0**2


def _measured(answer: object, what: str, base: float) -> float | None:
    found = number(answer)
    if found is None or found.measures not in ("", what):
        return None
    return found.value if found.measures else found.value * base


def percent(answer: object) -> float | None:
    """A share in percent: 33, "33 %", 0.33, "1/3", "1 of 3", "one in three", "a third"."""
    said = re.sub(rf"^{_BEFORE}", "", text(answer).lower()).rstrip(".!").replace("one-", "one ")
    ratio = re.fullmatch(r"([\w-]+)(?: ?/ ?| (?:out )?of | in )(?:the |all )?([\w-]+)(?: [a-z]+)*", said)
    if ratio:
        part, whole = count(ratio[1]), count(ratio[2])
        return 100.0 * part / whole if part is not None and whole else None
    words = said.split(" of ")[0].split(" ")
    if words[-1].rstrip("s") in _PARTS and len(words) <= 2:
        times = 1 if len(words) == 1 else count(words[0])
        return None if times is None else 100.0 * times / _PARTS[words[-1].rstrip("s")]
    found = number(answer)
    if found is None or found.measures not in ("", "share"):
        return None
    return 100 * found.value if found.measures or 0 < found.value < 1 else found.value


# Words and names

# Between two names, and beside them: what people write around what they mean.
_BETWEEN = re.compile(r"[,;\n&+]|\band\b|\bplus\b|\bas well as\b", re.I)
_BESIDE = frozenset(
    _words(
        """the a an both also only just is are it its they these those there called named name names key label taint node nodes worker-node daemonset
    daemonsets daemonset.apps ds deployment deployments deployment.apps pod pods service services resource metric metrics signal signals file path device
    product gpu gpus namespace respectively on by with of in at from"""
    )
)
_UNDECIDED = frozenset(_words("or not no nor neither either except but without maybe perhaps all every each any none nothing everything"))
_INSIDE = re.compile(
    r"(?:\(?(?:\bin|\bfrom|\binside|\bnamespace|-n|--namespace)[ =]+)(?:the )?(?:namespace )?([a-z0-9][a-z0-9-]*)(?: namespace)?\)?", re.I
)


def names(answer: object, known: Collection[str] = ()) -> frozenset[str] | None:
    """Names out of a list or a text: "a, b", "a and b", "node/a b", "the a in kube-system", with or without kind and namespace.

    Where `known` names are given, a name may be written short as long as it means one of them: `worker2` for `ai-lab-worker2`, "control plane". Names
    that are none of them are returned as they stand. None for no name at all, and for an answer that leaves open which ones are meant.
    """
    said = answer if isinstance(answer, list | tuple | set | frozenset) else [answer]
    found: set[str] = set()
    for each in said:
        if each is None or isinstance(each, bool | dict):
            return None
        # `{le="0.1"}` behind a metric's name says which of its samples, not which metric.
        said_here = re.sub(r"\{[^}]*=[^}]*\}|[\"'`“”\[\]{}]|^\s*[-*•]\s", " ", str(each), flags=re.M)
        for part in _BETWEEN.split(said_here):
            here = _of_part(part, known)
            if here is None:
                return None
            found |= here
    return frozenset(found) or None


def _of_part(part: str, known: Collection[str]) -> set[str] | None:
    inside = _INSIDE.search(part)
    if inside and not meant(inside[1], known):
        part = part.replace(inside[0], " ")
    if known:
        # What stands in brackets or behind a colon explains the name: "worker2 (A100)", "worker2: 2".
        part = re.sub(r"\([^)]*\)|(?<=\w)\s*(?:[:=]|\bwith\b)\s*\d+(?: gpus?)?\b", " ", part, flags=re.I)
        # "worker2/worker3" are two; "node/worker2" is one.
        part = re.sub(
            r"\S+/\S+", lambda both: both[0].replace("/", " ") if all(meant(each, known) for each in both[0].split("/")) else both[0], part
        )
    words = [re.sub(r"^.*/|^\(|[.:)]+$", "", word) for word in part.split()]
    words = [word for word in words if word]
    if any(word.lower() in _UNDECIDED for word in words):
        return None
    found: set[str] = set()
    while words:
        single = next((name for name in known if name.lower() == words[0].lower()), "")
        for length in () if single else (3, 2):
            joined = {meant(sign.join(words[:length]), known) for sign in ("-", "")} - {""}
            if len(words) >= length and joined:
                single, words = joined.pop(), words[length - 1 :]
                break
        single = single or ("" if words[0].lower() in _BESIDE else meant(words[0], known) or words[0])
        found |= {single} - {""}
        words = words[1:]
    return found


def meant(short: str, known: Collection[str]) -> str:
    """The one of `known` that a name stands for: itself, or the only one that ends in it behind a hyphen, or begins with two parts of it. Empty for none."""
    said = re.sub(r"[-_ ](\d+)$", r"\1", short.lower()) if short not in known else short.lower()
    exact = [name for name in known if name.lower() == said]
    ends = [name for name in known if name.lower().endswith(f"-{said}")]
    begins = [name for name in known if "-" in said and name.lower().startswith(f"{said}-")]
    return next((found[0] for found in (exact, ends, begins) if len(found) == 1), "")


def content(answer: object) -> list[str]:
    """The words of an answer without those that people write around what they mean; all of them where nothing else is left."""
    # What stands in brackets behind it explains it: "T4 (16 GiB)".
    outside = re.sub(r"(?<=\S)\s+\([^)]*\)", "", text(answer))
    said = [each for each in (word.strip("\"'`.,:()") for word in outside.split()) if each]
    return [each for each in said if each.lower() not in _BESIDE] or said


def word(answer: object) -> str | None:
    """The one word that is meant, as it is written: "the taint nvidia.com/gpu" is nvidia.com/gpu. None for several, or none."""
    said = content(answer)
    return said[0] if len(said) == 1 and said[0].lower() not in _UNDECIDED else None


def phrase(answer: object) -> str | None:
    """What is meant where it may be more words than one: "the connection refused" is connection refused. None for none."""
    return " ".join(content(answer)) or None


def flat(said: object) -> str:
    """Letters and digits alone, small: by which `Tesla T4`, `tesla-t4` and `Tesla_T4` are the same."""
    return re.sub(r"[^a-z0-9]+", "", str(said).lower())


def choice(answer: object, options: Collection[str]) -> str | None:
    """The one of `options` that is meant, however its words are joined; None for another word, or two of them."""
    found = [each for each in options if flat(each) == flat(text(answer))]
    return found[0] if len(found) == 1 else None


def unlabelled(answer: object, labels: Collection[str]) -> object:
    """An answer without what it is called in front of it: "Xid=79" and "the exit code is 137" hold 79 and 137."""
    if not isinstance(answer, str):
        return answer
    names_ = "|".join(re.escape(each).replace("_", "[ _]").replace(r"\ ", " ") for each in sorted(labels, key=len, reverse=True))
    return re.sub(rf"^\s*(?:the |its )?(?:{names_})\b\s*(?:is|was|=|:)*\s*", "", answer, flags=re.I) or answer if names_ else answer
