"""`ai-lab certificate`: what was passed, as signed JSON and as a page.

ai-lab certificate --name "Mira Kern"              what this machine's learner passed
ai-lab certificate --lab 03-pending                of one lab, which has to be passed whole
ai-lab certificate --key instructor.key            signed with an instructor's key
ai-lab certificate verify certificate.json --key instructor.key.pub
ai-lab certificate new-key instructor.key          an instructor's key
"""

from __future__ import annotations

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from lab_checks import whole_file
from lab_checks.engine import course, learner
from lab_checks.face.terminal import FAILED, NOT_YET, USAGE, JsonOption, die, echo, open_session, tilde
from lab_checks.interview import report
from lab_checks.teaching import certificate, certificate_page, signing

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)

_JSON, _PAGE = "certificate.json", "certificate.html"
# A certificate and a public key are there to be shown.
_FOR_ALL = 0o644


@app.callback()
def issue(
    context: typer.Context,
    name: Annotated[str, typer.Option(metavar="NAME", help="whose certificate it is; left out: the learner's name in reports")] = "",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="where the two files are written; left out: here")] = None,
    lab: Annotated[
        list[str] | None, typer.Option(metavar="LAB", help="only this lab, which has to be passed whole; may be repeated")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="sign with this private key; left out: a key of this machine")] = None,
    as_json: JsonOption = False,
) -> None:
    """Certify what was passed: signed JSON, and a page.

    The files are certificate.json, which can be verified, and certificate.html for people.

    Exit status 3 where nothing is passed that could be certified.
    """
    if context.invoked_subcommand is not None:
        return
    session = open_session()
    try:
        labs = tuple(course.load().lab(each) for each in lab or ())
        signing_key = signing.private(key) if key is not None else None
        whose = learner.plain(name) or learner.name(session.state)
        kind = certificate.OWN_KEY if key is None else certificate.GIVEN_KEY
        content = certificate.content(course.load(), session.standings(), whose, version("ai-lab"), kind, time.time(), labs)
        signed = certificate.issued(content, signing_key or signing.own(session.state))
    except course.UnknownName as problem:
        raise die(str(problem), USAGE, "ai-lab progress lists the labs") from None
    except certificate.NothingPassed as problem:
        raise die(problem.what, NOT_YET, f"ai-lab start {problem.first.key}") from None
    except signing.KeyProblem as problem:
        raise die(problem.what, USAGE, problem.next) from None
    folder = out or report.folder()
    folder.mkdir(parents=True, exist_ok=True)
    whole_file.write(folder / _JSON, certificate.text(signed), _FOR_ALL)
    whole_file.write(folder / _PAGE, certificate_page.page(signed, _JSON), _FOR_ALL)
    if as_json:
        typer.echo(certificate.text(signed), nl=False)
        return
    echo(f"[certified] {content['passed']} of {content['of']} exercises, for {whose}")
    echo(f"  signed: {tilde(folder / _JSON)}")
    echo(f"  for people: {tilde(folder / _PAGE)}")
    echo(f"  fingerprint of the key: {signed['signature']['fingerprint']}")
    echo(f"  {certificate.PROVES[kind]}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the certificate's JSON")],
    key: Annotated[str, typer.Option(metavar="PUB", help="the public key that has to have signed it: a file, or its fingerprint")] = "",
    as_json: JsonOption = False,
) -> None:
    """Say whether a certificate is what was signed.

    Exit status 0 where it is, 1 where it was changed or another key signed it, and 2 where the file holds no certificate.
    """
    try:
        wanted = key if key.startswith(signing.FINGERPRINT) else signing.fingerprint(signing.public(Path(key))) if key else ""
        found = certificate.read(file)
    except signing.KeyProblem as problem:
        raise die(problem.what, USAGE, problem.next) from None
    except certificate.NotACertificate as problem:
        raise _refused(file, str(problem), USAGE, as_json) from None
    except certificate.Tampered as problem:
        raise _refused(file, str(problem), FAILED, as_json) from None
    mine = signing.fingerprint(found.key)
    if wanted and mine != wanted:
        raise _refused(file, f"another key signed it, with the fingerprint {mine}", FAILED, as_json)
    if as_json:
        typer.echo(json.dumps({"valid": True, "key": mine, "key_was_given": bool(wanted), "certificate": found.content}, indent=1))
        return
    told = found.content
    whose = learner.plain(told["name"])
    echo(f"[valid] {file}: {told['passed']} of {told['of']} exercises, for {whose}, issued {learner.plain(told['issued_at'])}")
    echo(f"  signed by: {mine}")
    if wanted:
        echo("  That is the key that you gave.")
    else:
        echo("  It was not changed since it was signed. Who signed it is open: compare the fingerprint, or give --key.")


def _refused(file: Path, why: str, code: int, as_json: bool) -> typer.Exit:
    if as_json:
        typer.echo(json.dumps({"valid": False, "why": why}, indent=1))
        return typer.Exit(code)
    next = (
        "ask for the file that ai-lab certificate wrote"
        if code == USAGE
        else "do not accept it; ask the learner to run ai-lab certificate again"
    )
    return die(f"{file}: {why}", code, next)


@app.command("new-key")
def new_key(file: Annotated[Path, typer.Argument(metavar="FILE", help="where the private key goes; the public one is FILE.pub")]) -> None:
    """Make an instructor's key.

    FILE signs, and FILE.pub verifies.
    """
    beside = file.with_name(f"{file.name}.pub")
    if beside.exists():
        raise _taken(beside)
    try:
        made = signing.make(file)
    except FileExistsError:
        raise _taken(file) from None
    except OSError as problem:
        raise die(f"{file} cannot be written: {problem.strerror}", USAGE, "name a file in a folder that is there") from None
    whole_file.write(beside, signing.public_pem(made.public_key()), _FOR_ALL)
    echo(f"[made] {file} signs: keep it to yourself")
    echo(f"  {beside} verifies: hand it out, or publish its fingerprint {signing.fingerprint(made.public_key())}")


def _taken(path: Path) -> typer.Exit:
    return die(f"{path} is there already", USAGE, "take another name: a key that is replaced verifies nothing any more")
