"""Which names a definition may have, and its conditions NamesAccepted and Established (pkg/controller/status, pkg/controller/establish)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.embedded.apiserver.customresources import definitions
from kubeobjects import Object, meta

_INSTALLED = "the initial names have been accepted"


def judged(definition: Object, others: Iterable[Object]) -> Object:
    """The status that the definition should have beside `others`; the one that it has where nothing changes."""
    status: Object = definition["status"]
    asked: Object = definition["spec"]["names"]
    if asked == status["acceptedNames"]:
        return _established(status)
    accepted, verdict = _accept(asked, status["acceptedNames"], definition["spec"]["group"], list(others))
    new = with_condition({**status, "acceptedNames": accepted}, verdict)
    if verdict["status"] != "True" and definitions.condition(definition, "Established") is None:
        new = with_condition(new, _condition("Established", False, "NotAccepted", "not all names are accepted"))
    return _established(new)


def _established(status: Object) -> Object:
    """Names that are accepted once are served from then on, also while a change of them is refused."""
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or []}
    if conditions.get("NamesAccepted") == "True" and conditions.get("Established") != "True":
        return with_condition(status, _condition("Established", True, "InitialNamesAccepted", _INSTALLED))
    return status


def _condition(kind: str, is_true: bool, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True" if is_true else "False", "reason": reason, "message": message}


def terminating(reason: str, message: str, *, is_true: bool = True) -> Object:
    return _condition("Terminating", is_true, reason, message)


def with_condition(status: Object, new: Object) -> Object:
    """The status with this condition; the time of its last transition stays where its status does."""
    conditions: list[Object] = status.get("conditions") or []
    old = next((each for each in conditions if each["type"] == new["type"]), None)
    if old is not None and all(old.get(name) == value for name, value in new.items()):
        return status
    time = old["lastTransitionTime"] if old is not None and old["status"] == new["status"] else meta.now()
    written = {
        "type": new["type"],
        "status": new["status"],
        "lastTransitionTime": time,
        "reason": new["reason"],
        "message": new["message"],
    }
    if old is None:
        return {**status, "conditions": [*conditions, written]}
    return {**status, "conditions": [written if each["type"] == new["type"] else each for each in conditions]}


def _accept(asked: Object, own: Object, group: str, others: list[Object]) -> tuple[Object, Object]:
    """(the names that are this definition's, the condition NamesAccepted)."""
    taken = [each["status"]["acceptedNames"] for each in others if each["spec"]["group"] == group]
    resources = {name for each in taken for name in (each.get("plural"), each.get("singular"), *(each.get("shortNames") or []))}
    kinds = {name for each in taken for name in (each.get("kind"), each.get("listKind"))}
    accepted, trouble = dict(own), None

    def consider(name: str, used: set[Any], reason: str) -> None:
        nonlocal trouble
        wanted = asked.get(name, "")
        if wanted != own.get(name, "") and wanted in used:
            trouble = (reason, f'"{wanted}" is already in use')
        elif name in asked:
            accepted[name] = wanted
        else:
            accepted.pop(name, None)

    consider("plural", resources, "PluralConflict")
    consider("singular", resources, "SingularConflict")
    clashes = [each for each in asked.get("shortNames") or [] if each not in (own.get("shortNames") or []) and each in resources]
    if clashes:
        told = [f'"{each}" is already in use' for each in clashes]
        trouble = ("ShortNamesConflict", told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    else:
        _take(accepted, asked, "shortNames")
    consider("kind", kinds, "KindConflict")
    consider("listKind", kinds, "ListKindConflict")
    _take(accepted, asked, "categories")
    if trouble is None:
        return accepted, _condition("NamesAccepted", True, "NoConflicts", "no conflicts found")
    return accepted, _condition("NamesAccepted", False, *trouble)


def _take(accepted: Object, asked: Object, name: str) -> None:
    if asked.get(name):
        accepted[name] = asked[name]
    else:
        accepted.pop(name, None)
