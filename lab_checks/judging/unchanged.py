"""Whatever an exercise does not allow is as it was when the exercise began: in every namespace and at cluster scope.

The snapshot of the start and one of now come in; differences come out, the most serious first, each with words of its own from `words.toml`. An
exercise's table says what may change:

    allow = { "deployments/ai-log-summary-api" = ["nodeSelector", "affinity"], "services/*" = ["create"] }
    because = { readinessProbe = "the Pod was never placed: its probe was never asked" }

A key is `resource/name` in the course's namespace, or `resource/namespace/name`, or `resource/name` of a cluster-scoped kind; `*` stands for any
name. A value is a list of fields, as they are written from the object's root, from its spec, from its Pod template or from a container; `create`,
`delete` and `*` (any change) are the other words.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from lab_checks.engine import identity, snapshot
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.context import Context
from lab_checks.engine.course import Exercise
from lab_checks.engine.observe import shown
from lab_checks.engine.registry import everywhere
from lab_checks.engine.snapshot import Snapshot
from lab_checks.engine.verdict import Seen, Stop, Verdict, failed
from lab_checks.judging.diff import Change, changed_paths

Allow = Mapping[str, tuple[str, ...]]

# So many differences are shown; the words are about the first.
_SHOWN = 4
_LONGEST = 120
_TEMPLATES = (
    ("spec", "template"),
    ("spec", "jobTemplate", "spec", "template"),
)


@dataclass(frozen=True)
class Difference:
    """One thing that differs from the start: `how` is created, deleted, replaced (another object of the same name) or changed."""

    resource: str
    key: str
    how: str
    change: Change | None = None

    @property
    def namespace(self) -> str:
        return self.key.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def field(self) -> str:
        return self.change.field if self.change else ""


def differences(before: Snapshot, now: Snapshot, allow: Allow, namespace: str) -> list[Difference]:
    """What differs and is not allowed, the most serious first (the order of `words.toml`).

    An object that may be replaced is held, field by field, against the one that it took the place of.
    """
    found: list[Difference] = []
    for each in _all(before, now):
        if not allowed(each, allow, namespace):
            found.append(each)
        elif each.how == "replaced":
            changes = changed_paths(before[each.resource][each.key], now[each.resource][each.key])
            fields = [Difference(each.resource, each.key, "changed", change) for change in changes]
            found += [field for field in fields if not allowed(field, allow, namespace)]
    return sorted(found, key=lambda each: words_for(each).rank)


def _all(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    for resource in [*before, *(each for each in now if each not in before)]:
        was, have = before.get(resource, {}), now.get(resource, {})
        for key in [*was, *(each for each in have if each not in was)]:
            if key not in have:
                yield Difference(resource, key, "deleted")
            elif key not in was:
                yield Difference(resource, key, "created")
            elif was[key]["metadata"]["uid"] != have[key]["metadata"]["uid"]:
                yield Difference(resource, key, "replaced")
            else:
                for change in changed_paths(was[key], have[key]):
                    yield Difference(resource, key, "changed", change)


def allowed(difference: Difference, allow: Allow, namespace: str) -> bool:
    return any(
        _names(pattern, difference, namespace) and any(_covers(word, difference) for word in words) for pattern, words in allow.items()
    )


def _names(pattern: str, difference: Difference, namespace: str) -> bool:
    resource, _, name = pattern.partition("/")
    if not fnmatchcase(difference.resource, resource):
        return False
    if "/" in name or not difference.namespace:
        return fnmatchcase(difference.key, name)
    return difference.namespace == namespace and fnmatchcase(difference.name, name)


def _covers(word: str, difference: Difference) -> bool:
    if word == "*":
        return True
    if difference.how != "changed" or difference.change is None:
        return word == {"created": "create", "deleted": "delete", "replaced": "replace"}.get(difference.how)
    wanted = _parts(word)
    return any(_begins(each, wanted) for each in _ways(difference.change.path))


def _parts(field: str) -> tuple[str, ...]:
    """`containers[api].resources` as ("containers", "[api]", "resources"); a dot inside brackets is part of the name."""
    parts, text, depth = [], "", 0
    for letter in field:
        if letter == "." and depth == 0:
            parts.append(text)
            text = ""
            continue
        if letter == "[" and depth == 0 and text:
            parts.append(text)
            text = ""
        depth += (letter == "[") - (letter == "]")
        text += letter
    return tuple(part for part in [*parts, text] if part)


def _ways(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The path from each place from which people write fields: the object, its spec, its Pod template, the Pod's spec, a container."""
    yield path
    if path[:1] == ("spec",):
        yield path[1:]
    pod: tuple[str, ...] = ()
    for template in _TEMPLATES:
        if path[: len(template)] == template:
            yield path[len(template) :]
            pod = path[len(template) :]
    pod = pod[1:] if pod[:1] == ("spec",) else pod if pod else path[1:] if path[:1] == ("spec",) else ()
    if pod:
        yield pod
        if pod[0] in ("containers", "initContainers") and len(pod) > 1:
            yield pod[2:]


def _begins(path: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return len(path) >= len(wanted) and all(_same_part(have, want) for have, want in zip(path, wanted, strict=False))


def _same_part(have: str, want: str) -> bool:
    """Whether a part of a path is the one that is wanted: `[*]` stands for any name in brackets."""
    return have == want or (want == "[*]" and have.startswith("["))


@dataclass(frozen=True)
class Words:
    """What is said of a difference; `rank` is how serious it is, 0 first."""

    rank: int
    says: str
    expected: str
    next: str


@cache
def _rows() -> list[dict[str, Any]]:
    return list(tomllib.loads(Path(__file__).with_name("words.toml").read_text())["word"])


def words_for(difference: Difference) -> Words:
    """The first row of `words.toml` that fits."""
    for rank, row in enumerate(_rows()):
        if not any(fnmatchcase(difference.resource, each) for each in row.get("of", ["*"])):
            continue
        if difference.how not in row.get("how", [difference.how]):
            continue
        if "fields" in row and not (difference.how == "changed" and any(_covers(each, difference) for each in row["fields"])):
            continue
        if "parts" in row and not _is_one_of(row["parts"], difference.change):
            continue
        return Words(rank, row["says"], row.get("expected", ""), row.get("next", "{back}"))
    raise LookupError(f"words.toml has no row for {difference}")


def _is_one_of(parts: list[str], change: Change | None) -> bool:
    """Whether one of these parts of the object came or went as a whole."""
    if change is None or change.part in ((), change.path):
        return False
    return any(len(way) == len(_parts(each)) and _begins(way, _parts(each)) for each in parts for way in _ways(change.part))


def kind_of(resource: str) -> str:
    """`deployments` as `deployment`: how kubectl names one of them."""
    base, dot, group = resource.partition(".")
    if base.endswith("ies"):
        base = base.removesuffix("ies") + "y"
    elif base.endswith(("sses", "ches")):
        base = base.removesuffix("es")
    elif base != "endpoints":
        base = base.removesuffix("s")
    return base + dot + group


def verdict(exercise: Exercise, found: list[Difference]) -> Verdict:
    """The failed verdict on differences, the first of which is the most serious."""
    first = found[0]
    words, said = words_for(first), _filled(exercise, first)
    because = next((why for field, why in exercise.because.items() if first.how == "changed" and _covers(field, first)), "")
    return failed(
        words.says.format_map(said),
        *_seen(found),
        expected=because or words.expected.format_map(said),
        next=words.next.format_map(said),
    )


def _filled(exercise: Exercise, difference: Difference) -> dict[str, str]:
    change = difference.change
    return {
        "kind": kind_of(difference.resource),
        "name": difference.name,
        "how": difference.how,
        "field": difference.field,
        "last": change.path[-1] if change else "",
        "key": _key(difference.resource, change.path) if change else "",
        "came": ("added" if change.before is None else "removed" if change.now is None else "changed") if change else "",
        "before": _short(change.before) if change else "",
        "now": _short(change.now) if change else "",
        "part": change.part_field if change else "",
        "back": _back(change) if change else "",
        "namespace": difference.namespace,
        "in_namespace": f" -n {difference.namespace}" if difference.namespace else "",
        "where": f"namespace {difference.namespace}" if difference.namespace else "the cluster",
        "reset": f"ai-lab reset {exercise.key}",
    }


def _back(change: Change) -> str:
    """What to do to have it as it was; a part that came or went as a whole is dealt with as a whole."""
    if change.before is None:
        return f"remove {change.part_field}"
    if change.now is None and change.part != change.path:
        return f"put {change.part_field} back as it was"
    return f"set {change.field} back to {_short(change.before)}"


def _short(value: Any) -> str:
    """A value on one line: a file's content is told by its beginning."""
    text = " ".join(shown(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _key(resource: str, path: tuple[str, ...]) -> str:
    """The name in brackets that a path leads through last: of a label its key, of a taint `key:effect`."""
    key = next((part.strip("[]") for part in reversed(path) if part.startswith("[")), path[-1])
    return ":".join(key.rsplit("/", 1)) if resource == "nodes" and "taints" in path else key


def _seen(found: list[Difference]) -> list[Seen]:
    """What differs, a part that came or went as a whole told once."""
    rows: dict[tuple[str, str, str], Seen] = {}
    for each in found:
        named, change = f"{kind_of(each.resource)}/{each.name}", each.change
        if change is None:
            row = Seen(named, "", each.how + (f", in namespace {each.namespace}" if each.namespace else ""))
        elif change.part != change.path:
            row = Seen(named, change.part_field, "removed" if change.now is None else "added")
        else:
            row = Seen(named, change.field, f"{_short(change.now)}, was {_short(change.before)}")
        rows.setdefault((each.resource, each.key, row.field), row)
    return list(rows.values())[:_SHOWN]


# Kinds in which a change that was taken back again still did its harm: a Pod slips in while a quota, a taint or a right is away, and a claim gets its
# volume while a class of its name is there.
_LASTING = frozenset(
    {
        "nodes", "resourcequotas", "limitranges", "storageclasses", "clusterroles", "clusterrolebindings", "roles", "rolebindings", "priorityclasses",
        "networkpolicies", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
    }
)  # fmt: skip
# What only the control plane writes, whatever an exercise allows.
_PLACED = "the scheduler's choice: it alone knows what the node has left"
_BY_HAND = {
    "nodes/status": "what the kubelet says of its node: a number that is written in adds no device and no memory",
    "pods/status": "what the kubelet says of the Pod: a status starts no process",
    "pods/binding": _PLACED,
    "bindings": _PLACED,
    "resourcequotas/status": "what the controller has counted",
    "events": "what components report: one that is written by hand reports nothing",
    "endpointslices": "what the controller makes of a Service and of its Pods: it is made anew as soon as one of them changes",
    "endpoints": "what the controller makes of a Service and of its Pods: it is made anew as soon as one of them changes",
    "resourceslices": "what the driver says of its devices: an attribute that is written in changes no device",
}
_STATUS = "what a controller reports of the object: a status that is written by hand changes nothing that runs"


def written_meanwhile(deeds: Deeds, allow: Allow, namespace: str) -> Deed | None:
    """The first write of the learner that counts whatever the object is like now, and that the exercise does not allow."""
    for deed in deeds.changes():
        if _by_hand(deed) or _edits_a_fault(deed) or _is_the_courses_account(deed):
            return deed
        key = f"{deed.namespace}/{deed.name}" if deed.namespace else deed.name
        if deed.resource in _LASTING and not any(
            _names(pattern, Difference(deed.resource, key, "changed"), namespace) for pattern in allow
        ):
            return deed
    return None


def _by_hand(deed: Deed) -> str:
    """Why nobody but a component writes this; empty where people do."""
    return _BY_HAND.get(deed.resource, _STATUS if deed.resource.endswith("/status") else "")


def _edits_a_fault(deed: Deed) -> bool:
    """Whether the write is to a device's fault, which only the course and its technician edit."""
    annotations = ((deed.body or {}).get("metadata") or {}).get("annotations") or {}
    return deed.resource == "nodes" and deed.verb == "patch" and any(key.startswith(snapshot.FAULTS) for key in annotations)


def _is_the_courses_account(deed: Deed) -> bool:
    return deed.resource.startswith("serviceaccounts") and (deed.namespace, deed.name) == (identity.NAMESPACE, identity.NAME)


def differ(ctx: Context) -> bool:
    """Whether anything on the cluster is not as it was when the exercise began."""
    return any(_all(ctx.start, ctx.everything))


def nothing_done(ctx: Context) -> bool:
    """Whether the cluster is as it was when the exercise began, and the learner has written nothing since."""
    return not ctx.deeds.changes() and not differ(ctx)


def required(ctx: Context) -> None:
    """Ends the check where anything that the exercise does not allow differs from its start.

    Every pass is held against that afterwards; a check calls it itself where it is to be said first, before the goal is reached: where nothing may
    be changed at all, and where what a learner did to the cluster would make the goal's own words wrong.
    """
    found = judge(ctx)
    if found is not None:
        raise Stop(found)


@everywhere
def judge(ctx: Context) -> Verdict | None:
    """The failed verdict on what an exercise does not allow; None where nothing else has changed since its start."""
    if not ctx.start:
        # Started by an earlier version of the course, which kept no snapshot.
        return None
    found = differences(ctx.start, ctx.everything, ctx.exercise.allow, ctx.namespace)
    if found:
        return verdict(ctx.exercise, found)
    deed = written_meanwhile(ctx.deeds, ctx.exercise.allow, ctx.namespace)
    if deed is None:
        return None
    kind, _, part = deed.resource.partition("/")
    named = f"{kind_of(kind)}/{deed.name}" if deed.name else kind_of(kind)
    said = "was written by hand" if _by_hand(deed) or part or _edits_a_fault(deed) else "was changed, and changed back"
    return failed(
        f"{named.replace('/', ' ')}{f' ({part})' if part else ''} {said}",
        Seen(named, part, f"{deed.verb} by {deed.user or 'somebody'} with {deed.agent.split('/')[0] or 'no name'}"),
        expected=_by_hand(deed) or "the object as it was, all the time: what happens while it is away stays",
        next=f"ai-lab reset {ctx.exercise.key}",
    )
