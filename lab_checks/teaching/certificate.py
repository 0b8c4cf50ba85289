"""A certificate: what a learner passed, as signed JSON.

    {"certificate": {"format": 1, "name": …, "exercises": […], …}, "signature": {"algorithm": "Ed25519", …}}

The signature is over the canonical JSON (`canonical.py`) of the member `certificate`. Nothing stands in the file that is not signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kubeobjects import meta
from lab_checks.engine.course import Course, Exercise, Lab
from lab_checks.engine.progress import Standing
from lab_checks.teaching import signing
from lab_checks.teaching.canonical import NotCanonical, canonical, parsed

# Rises when a certificate says something that an earlier version cannot read.
FORMAT = 1
# A certificate of the whole course takes a tenth of this.
_LARGEST = 1_000_000
# What a certificate proves, by the key that signed it.
OWN_KEY = "own"
GIVEN_KEY = "given"
PROVES = {
    OWN_KEY: (
        "The key was made on the learner's own machine. The signature proves one thing: the certificate was not changed since it was signed. "
        "It does not prove who worked the exercises."
    ),
    GIVEN_KEY: (
        "The key was given, as an instructor's key is. The signature proves that the certificate was not changed since somebody with that key signed it. "
        "Compare the fingerprint with the one that your instructor published."
    ),
}


class NothingPassed(Exception):
    """What was asked for is not passed; `first` is the exercise to go on with."""

    def __init__(self, what: str, first: Exercise):
        super().__init__(what)
        self.what = what
        self.first = first


class NotACertificate(ValueError):
    """A file that holds no certificate; the message says why."""


class Tampered(ValueError):
    """A certificate that is not what was signed, or was signed by another key; the message says which."""


@dataclass(frozen=True)
class Checked:
    """A certificate whose signature holds: what was signed, and the key that signed it."""

    content: dict[str, Any]
    key: Ed25519PublicKey


def earned(standings: Iterable[tuple[Exercise, Standing]]) -> list[tuple[Exercise, Standing]]:
    """The exercises that are passed in the version that the course has now."""
    return [(exercise, standing) for exercise, standing in standings if standing.passed_version == exercise.version]


def content(
    course: Course, standings: list[tuple[Exercise, Standing]], name: str, version: str, key: str, now: float, labs: tuple[Lab, ...] = ()
) -> dict[str, Any]:
    """What is certified: every passed exercise of these labs, or of the course where none is named.

    `version` is the course's, `key` OWN_KEY or GIVEN_KEY, `now` in seconds since the epoch. A lab that is named has to be passed whole.
    Raises NothingPassed.
    """
    wanted = labs or course.labs
    ids = {lab.id for lab in wanted}
    asked = [(exercise, standing) for exercise, standing in standings if exercise.lab in ids]
    passed = earned(asked)
    keys = {exercise.key for exercise, _ in passed}
    left = [exercise for exercise, _ in asked if exercise.key not in keys]
    if labs and left:
        raise NothingPassed(f"{left[0].lab} is not passed: {_counted(left)} left, first {left[0].key}", left[0])
    if not passed:
        raise NothingPassed("no exercise is passed yet, so there is nothing to certify", left[0])
    return {
        "format": FORMAT,
        "course": course.title,
        "course_version": version,
        "name": name,
        "issued_at": meta.format_seconds(now),
        "signed_with": key,
        "passed": len(passed),
        "of": len(asked),
        "labs": [
            {
                "lab": lab.id,
                "title": lab.title,
                "passed": sum(exercise.lab == lab.id for exercise, _ in passed),
                "of": len(lab.exercises),
            }
            for lab in wanted
        ],
        "exercises": [
            {
                "exercise": exercise.key,
                "title": exercise.title,
                "version": exercise.version,
                "passed_at": meta.format_seconds(standing.passed_at),
                "checks": standing.tries,
                "hints": standing.hints,
            }
            for exercise, standing in passed
        ],
    }


def _counted(exercises: list[Exercise]) -> str:
    return f"{len(exercises)} exercise{'' if len(exercises) == 1 else 's'}"


def issued(content: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The certificate with its signature. Raises NotCanonical."""
    return {"certificate": content, "signature": signing.signed(canonical(content), key)}


def text(certificate: dict[str, Any]) -> str:
    """The file's text, for people to read as well; its form says nothing to the signature."""
    return json.dumps(certificate, indent=1, ensure_ascii=False) + "\n"


def read(path: Path) -> Checked:
    """The certificate in a file, whose signature holds. Raises NotACertificate, Tampered."""
    try:
        with path.open("rb") as file:
            found = file.read(_LARGEST + 1)
    except OSError as problem:
        raise NotACertificate(f"it cannot be read: {problem.strerror}") from None
    if len(found) > _LARGEST:
        raise NotACertificate("it is larger than any certificate")
    if found.lstrip()[:1] == b"<":
        raise NotACertificate("it is the page for people; the .json file beside it holds what is signed")
    return checked(found)


def checked(found: bytes) -> Checked:
    """The certificate in these bytes, whose signature holds. Raises NotACertificate, Tampered."""
    try:
        data = parsed(found)
        if not isinstance(data, dict) or not isinstance(data.get("certificate"), dict) or "signature" not in data:
            raise NotACertificate("it is JSON, and no certificate")
        # What stands beside would be read as if it were signed.
        if extra := sorted(data.keys() - {"certificate", "signature"}):
            raise Tampered(f"it holds more than what was signed: {extra[0]!r:.40}")
        certificate = data["certificate"]
        key = signing.signer(canonical(certificate), data["signature"])
    except NotCanonical as problem:
        raise NotACertificate(str(problem)) from None
    except signing.Unsigned as problem:
        raise Tampered(str(problem)) from None
    if certificate.get("format") != FORMAT:
        raise NotACertificate(f"another version of ai-lab made it (format {certificate.get('format')!s:.20}; this one reads {FORMAT})")
    if wrong := _wrong(certificate):
        raise NotACertificate(f"what is signed in it has no {wrong} that can be read")
    return Checked(certificate, key)


def _wrong(certificate: dict[str, Any]) -> str:
    """The first member that is not what this version writes; empty where all are."""
    texts, numbers = ("course", "course_version", "name", "issued_at"), ("passed", "of")
    for name, kind in (*((each, str) for each in texts), *((each, int) for each in numbers), ("labs", list), ("exercises", list)):
        if not isinstance(certificate.get(name), kind):
            return name
    if certificate.get("signed_with") not in PROVES:
        return "signed_with"
    rows = {"labs": {"lab": str, "title": str, "passed": int, "of": int}}
    rows["exercises"] = {"exercise": str, "title": str, "version": int, "passed_at": str, "checks": int, "hints": int}
    for name, members in rows.items():
        for row in certificate[name]:
            if not isinstance(row, dict) or not all(isinstance(row.get(member), kind) for member, kind in members.items()):
                return name
    return ""
