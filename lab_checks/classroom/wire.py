"""The way from a learner's machine to its class: links, and requests whose failure is told in words."""

from __future__ import annotations

import http.client
import ipaddress
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kubeobjects import Object
from lab_checks.classroom import report

JOIN, VIEW = "join", "view"
# Paths below the class's address, and what a request may hold (bytes).
TO_JOIN, TO_REPORT, TO_LEAVE = "api/join", "api/report", "api/leave"
MOST_BYTES = 512 * 1024
_MOST_ANSWERED = 64 * 1024
_WITHIN = 10.0  # seconds

_JOIN_AGAIN = "ask your instructor for the link, then ai-lab class join LINK"


class Refused(Exception):
    """A request that was not answered as hoped: `what` is the matter, and what to do `next`. The class may do without it later."""

    def __init__(self, what: str, next: str):
        super().__init__(f"{what}; {next}")
        self.what = what
        self.next = next


def link(url: str, kind: str, secret: str) -> str:
    """A link as the instructor hands it out. The secret is the fragment, which browsers do not send and servers do not log."""
    return f"{url}#{kind}={secret}"


def read_link(text: str) -> tuple[str, str]:
    """(the class's address with a slash at its end, the secret) of a link for learners. Raises Refused."""
    try:
        found = urlsplit(text.strip())
        host, _ = found.hostname, found.port
    except ValueError:
        raise Refused("that is no link", _JOIN_AGAIN) from None
    if found.scheme not in ("http", "https") or not host:
        raise Refused("a class's link begins with http:// or https://", _JOIN_AGAIN)
    kind, _, secret = found.fragment.partition("=")
    if kind == VIEW:
        raise Refused("this is the instructor's own link: it opens the page and joins nobody", "ask for the link for learners")
    if kind != JOIN or not secret or not secret.isascii() or not secret.isprintable():
        raise Refused(f"the link ends in #{JOIN}= and a secret, and that part is missing here", "copy the whole link, between quotes")
    path = found.path if found.path.endswith("/") else f"{found.path}/"
    return urlunsplit((found.scheme, found.netloc, path, "", "")), secret


def post(url: str, path: str, secret: str, body: Object) -> Object:
    """What the class at `url` answers. Raises Refused."""
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}, method="POST"
    )
    try:
        with _opener(url).open(request, timeout=_WITHIN) as answer:
            found = _object(answer.read(_MOST_ANSWERED))
            version = answer.headers.get(HEADER)
    except urllib.error.HTTPError as problem:
        raise _told(url, problem) from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        why = problem.reason if isinstance(problem, urllib.error.URLError) else problem
        words = getattr(why, "strerror", None) or str(why) or type(why).__name__
        raise Refused(f"no class answers at {url} ({words})", "ask your instructor whether the class is being served") from None
    if version is None or found is None:
        raise Refused(f"what answers at {url} is no class", _JOIN_AGAIN)
    return found


# Every answer of a class has this header, with the format of reports that it reads.
HEADER = "X-AI-Lab-Class"


def _told(url: str, problem: urllib.error.HTTPError) -> Refused:
    with problem:
        try:
            body = _object(problem.read(_MOST_ANSWERED))
        except (OSError, http.client.HTTPException):
            body = None
    if problem.headers.get(HEADER) is not None and body and isinstance(body.get("problem"), str):
        if problem.headers[HEADER] != str(report.FORMAT):
            return Refused(
                f"the class speaks version {problem.headers[HEADER][:10]} of reports, and this ai-lab version {report.FORMAT}",
                "install the same version of ai-lab as your instructor",
            )
        return Refused(body["problem"], str(body.get("next") or _JOIN_AGAIN))
    if 300 <= problem.code < 400:
        return Refused(f"{url} leads elsewhere, perhaps to a login page", "ask your instructor for a link that is reached without a login")
    if problem.code >= 500:
        return Refused(f"the class's server at {url} has a problem (HTTP {problem.code})", "ask your instructor")
    return Refused(f"what answers at {url} is no class (HTTP {problem.code})", _JOIN_AGAIN)


def _object(raw: bytes) -> Object | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: a report goes to the address that the learner was told, and nowhere else."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


def _opener(url: str) -> urllib.request.OpenerDirector:
    # A proxy of the environment cannot reach this very machine.
    own = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else []
    return urllib.request.build_opener(_Stay, *own)


def is_loopback(host: str) -> bool:
    """Whether that address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
