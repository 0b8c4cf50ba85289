"""Certificates: what is certified, what a signature holds against, and what is said where it does not hold."""

from __future__ import annotations

import base64
import json
import os
import string
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from lab_checks.engine import course
from lab_checks.engine.progress import Progress
from lab_checks.teaching import certificate, certificate_page, signing
from lab_checks.teaching.canonical import NotCanonical, canonical, parsed
from tests.cli.test_command import run

COURSE = course.load()


def passed(home: Path, count: int) -> None:
    """The first exercises of the course are passed, with one hint each."""
    progress = Progress(home)
    for each in COURSE.exercises[:count]:
        progress.start(each.key, each.version, "somewhere", {})
        progress.hint(each.key)
        progress.record(each.key, each.version, "passed", "as it should be", 1.0)


def issued(folder: Path, count: int = 2, name: str = "Mira") -> tuple[dict[str, Any], Ed25519PrivateKey]:
    passed(folder, count)
    progress = Progress(folder)
    standings = [(each, progress.standing(each.key)) for each in COURSE.exercises]
    key = signing.own(folder)
    return certificate.issued(certificate.content(COURSE, standings, name, "1.2.3", certificate.OWN_KEY, 1e9), key), key


# The canonical form


def test_members_are_sorted_as_rfc_8785_sorts_them() -> None:
    # The RFC's own example, section 3.2.3.
    told = rb"""{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}"""
    order = list(json.loads(canonical(parsed(told))).values())
    assert [each.split()[0] for each in order] == ["Carriage", "One", "Control", "Latin", "Euro", "Emoji:", "Hebrew"]


def test_texts_are_escaped_as_rfc_8785_escapes_them() -> None:
    # The string of section 3.2.2's example.
    assert canonical(parsed(rb'{"string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/"}')) == (
        b'{"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


@pytest.mark.parametrize(
    "text", [b"1.5", b"1e3", b"NaN", b'{"a": 1, "a": 2}', b"9007199254740992", b'"\\ud800"', b"[" * 100_000, b"\xff", b"1" * 5000]
)
def test_what_two_readers_could_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(NotCanonical):
        canonical(parsed(text))


# What is certified


def test_only_what_is_passed_in_the_courses_version_is_certified(tmp_path: Path) -> None:
    first, second = COURSE.exercises[:2]
    progress = Progress(tmp_path)
    progress.record(first.key, first.version + 1, "passed", "another version", 1.0)
    progress.record(second.key, second.version, "failed", "not so", 0.0)
    passed_one = COURSE.exercises[2]
    progress.record(passed_one.key, passed_one.version, "passed", "so", 1.0)
    standings = [(each, progress.standing(each.key)) for each in COURSE.exercises]
    told = certificate.content(COURSE, standings, "Mira", "1", certificate.OWN_KEY, 1e9)
    assert [row["exercise"] for row in told["exercises"]] == [passed_one.key]
    assert (told["passed"], told["of"]) == (1, len(COURSE.exercises))
    assert told["issued_at"] == "2001-09-09T01:46:40Z"


def test_a_lab_is_certified_whole_or_not_at_all(tmp_path: Path) -> None:
    lab = COURSE.labs[0]
    passed(tmp_path, len(lab.exercises) - 1)
    done = run(tmp_path, "certificate", "--lab", lab.id, "--out", str(tmp_path / "out"))
    assert done.returncode == 3
    assert f"1 exercise left, first {lab.exercises[-1].key}" in done.stderr
    assert f"ai-lab start {lab.exercises[-1].key}" in done.stderr
    assert not (tmp_path / "out").exists()
    passed(tmp_path, len(lab.exercises))
    assert run(tmp_path, "certificate", "--lab", lab.id, "--out", str(tmp_path / "out")).returncode == 0
    told = json.loads((tmp_path / "out" / "certificate.json").read_text())["certificate"]
    assert [row["lab"] for row in told["labs"]] == [lab.id]
    assert told["passed"] == told["of"] == len(lab.exercises)


def test_nothing_passed_is_nothing_certified(tmp_path: Path) -> None:
    done = run(tmp_path, "certificate", "--out", str(tmp_path / "out"))
    assert done.returncode == 3
    assert f"ai-lab start {COURSE.exercises[0].key}" in done.stderr
    assert not (tmp_path / "out").exists()


# Signatures


def test_any_changed_byte_is_refused_unless_it_says_the_same(tmp_path: Path) -> None:
    signed, _ = issued(tmp_path)
    text = certificate.text(signed).encode()
    assert certificate.checked(text).content == signed["certificate"]
    refused = 0
    for place in range(len(text)):
        changed = bytearray(text)
        changed[place] = ord("7") if text[place] != ord("7") else ord("8")
        try:
            assert certificate.checked(bytes(changed)).content == signed["certificate"]
        except (certificate.Tampered, certificate.NotACertificate):
            refused += 1
    # White space between the members is no part of what is signed, but a digit there is no white space.
    assert refused == len(text)
    assert certificate.checked(json.dumps(json.loads(text)).encode()).content == signed["certificate"]


@pytest.mark.parametrize(("name", "padding"), [("value", "=="), ("public_key", "=")])
def test_a_signature_has_one_form(name: str, padding: str, tmp_path: Path) -> None:
    signed, _ = issued(tmp_path)
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    given = signed["signature"][name]
    # The last letter's lowest bit is beyond the last byte: both forms decode to the same bytes.
    other = given.removesuffix(padding)[:-1] + letters[letters.index(given.removesuffix(padding)[-1]) + 1] + padding
    assert base64.b64decode(other) == base64.b64decode(given)
    with pytest.raises(certificate.Tampered, match="its signature cannot be read"):
        certificate.checked(certificate.text({**signed, "signature": {**signed["signature"], name: other}}).encode())


def test_an_added_exercise_is_refused_in_words(tmp_path: Path) -> None:
    signed, _ = issued(tmp_path)
    signed["certificate"]["exercises"].append({**signed["certificate"]["exercises"][0], "exercise": COURSE.exercises[9].key})
    path = tmp_path / "mine.json"
    path.write_text(certificate.text(signed))
    done = run(tmp_path, "certificate", "verify", str(path))
    assert done.returncode == 1
    assert "it was changed after it was signed" in done.stderr
    assert json.loads(run(tmp_path, "certificate", "verify", str(path), "--json").stdout)["valid"] is False


def test_what_stands_beside_the_signed_part_is_refused(tmp_path: Path) -> None:
    signed, _ = issued(tmp_path)
    with pytest.raises(certificate.Tampered, match="more than what was signed: 'note'"):
        certificate.checked(certificate.text({**signed, "note": "with honours"}).encode())


def test_a_certificate_signed_anew_is_told_by_its_key(tmp_path: Path) -> None:
    signed, key = issued(tmp_path)
    forged = certificate.issued({**signed["certificate"], "name": "Teo"}, Ed25519PrivateKey.generate())
    path = tmp_path / "forged.json"
    path.write_text(certificate.text(forged))
    assert run(tmp_path, "certificate", "verify", str(path)).returncode == 0
    mine = tmp_path / "mine.pub"
    mine.write_bytes(signing.public_pem(key.public_key()))
    for wanted in (str(mine), signing.fingerprint(key.public_key())):
        done = run(tmp_path, "certificate", "verify", str(path), "--key", wanted)
        assert done.returncode == 1
        assert forged["signature"]["fingerprint"] in done.stderr


NO_CERTIFICATES = {
    "empty": (b"", "not JSON"),
    "a report": (b'{"exercises": []}', "no certificate"),
    "a page": (b"<!doctype html>", "the .json file beside it"),
    "large": (b" " * 1_000_001, "larger than any certificate"),
    "deep": (b'{"certificate": ' + b"[" * 50_000, "not JSON"),
}


@pytest.mark.parametrize("name", NO_CERTIFICATES)
def test_what_is_no_certificate_is_told_so(name: str, tmp_path: Path) -> None:
    found, words = NO_CERTIFICATES[name]
    (tmp_path / "it.json").write_bytes(found)
    with pytest.raises(certificate.NotACertificate, match=words):
        certificate.read(tmp_path / "it.json")


def test_a_rightly_signed_certificate_of_another_form_is_told_so(tmp_path: Path) -> None:
    signed, key = issued(tmp_path)
    for change, words in (({"format": 99}, "another version"), ({"name": 7}, "no name"), ({"exercises": [7]}, "no exercises")):
        with pytest.raises(certificate.NotACertificate, match=words):
            certificate.checked(certificate.text(certificate.issued({**signed["certificate"], **change}, key)).encode())


# Keys


def test_the_own_key_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    first = signing.own(tmp_path / "state")
    assert (tmp_path / "state" / signing.OWN).stat().st_mode & 0o777 == 0o600
    assert signing.fingerprint(signing.own(tmp_path / "state").public_key()) == signing.fingerprint(first.public_key())
    assert os.listdir(tmp_path / "state") == [signing.OWN]


def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    signing.make(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(signing.KeyProblem, match="chmod 600"):
        signing.private(tmp_path / "key")


def test_other_keys_are_refused_in_words(tmp_path: Path) -> None:
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    pems = {
        "another kind": generate_private_key(65537, 2048).private_bytes(*formats, serialization.NoEncryption()),
        "passphrase": Ed25519PrivateKey.generate().private_bytes(*formats, serialization.BestAvailableEncryption(b"secret")),
        "no private key": b"hello",
    }
    for words, pem in pems.items():
        path = tmp_path / words
        path.write_bytes(pem)
        path.chmod(0o600)
        with pytest.raises(signing.KeyProblem, match=words):
            signing.private(path)
    with pytest.raises(signing.KeyProblem, match="holds a private key"):
        signing.public(tmp_path / "another kind")
    with pytest.raises(signing.KeyProblem, match="cannot be read"):
        signing.public(tmp_path / "none")


def test_an_instructors_key_signs_and_verifies(tmp_path: Path) -> None:
    passed(tmp_path, 3)
    key, out = str(tmp_path / "teacher"), tmp_path / "out"
    assert run(tmp_path, "certificate", "new-key", key).returncode == 0
    assert run(tmp_path, "certificate", "new-key", key).returncode == 2
    assert run(tmp_path, "certificate", "--key", key, "--name", "Mira Kern", "--out", str(out)).returncode == 0
    assert not (tmp_path / signing.OWN).exists()
    done = run(tmp_path, "certificate", "verify", str(out / "certificate.json"), "--key", f"{key}.pub")
    assert (done.returncode, done.stderr) == (0, "")
    assert "for Mira Kern" in done.stdout
    assert certificate.PROVES[certificate.GIVEN_KEY] in _text((out / "certificate.html").read_text())


# The page


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.told: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.told.append(data)


def _read(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    return page


def _text(html: str) -> str:
    return " ".join("".join(_read(html).told).split())


def test_the_page_says_what_is_signed_and_loads_nothing(tmp_path: Path) -> None:
    signed, key = issued(tmp_path, count=5, name='<img src=x onerror="alert(1)"> & Söhne')
    page = certificate_page.page(signed, "certificate.json")
    read = _read(page)
    assert "img" not in read.tags
    assert "script" not in read.tags
    assert read.loads == []
    told = _text(page)
    assert '<img src=x onerror="alert(1)"> & Söhne' in told
    assert signing.fingerprint(key.public_key()) in told
    assert certificate.PROVES[certificate.OWN_KEY] in told
    for row in signed["certificate"]["exercises"]:
        assert row["exercise"] in told
        assert row["title"] in told
