"""Who may ask the model: bearer tokens, out of a file that is read again when it changes, or out of a variable that is read once.

Several tokens are valid at a time, so that one can be replaced without a request that is refused in between. Logs and metrics name a token by its
fingerprint, the first eight digits of its SHA-256: enough to see who still uses the old one, and of no use to anyone who reads it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from pathlib import Path

from model_server import measures

log = logging.getLogger("model_server.access")

_SCHEME = "bearer "


class Denied(Exception):
    """A request without a token that is valid now; the text says what is missing, and never the token."""


def fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:8]


def parse(text: str) -> tuple[str, ...]:
    """One token a line; empty lines and lines that begin with # are none."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


class Tokens:
    """The tokens that are valid now. Nobody is asked for one where neither `file` nor `fixed` (comma-separated) is given.

    A file that is gone or empty lets nobody in: who takes the tokens away does not open the endpoint.
    """

    def __init__(self, file: Path | None = None, fixed: str = ""):
        self._file = file
        self._fixed = parse(fixed.replace(",", "\n"))
        self._state: tuple[int, int, int] | None = None
        self._valid: dict[str, str] = {}
        self.wanted = file is not None or bool(self._fixed)
        if self._fixed:
            self._take(self._fixed, "API_TOKENS")
        self.refresh()

    def refresh(self) -> None:
        """Reads the file again where it is another one than at the last look. A Secret's file is replaced as a whole, by a link."""
        if self._file is None:
            return
        try:
            found = self._file.stat()
            state = (found.st_ino, found.st_mtime_ns, found.st_size)
            if state == self._state:
                return
            text = self._file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            if self._state is not None or not self._valid:
                log.error("api tokens cannot be read file=%s error=%s: nobody is let in", self._file, error)
            self._state, text = None, ""
            if not self._valid:
                return
        else:
            self._state = state
        self._take((*self._fixed, *parse(text)), str(self._file))

    def _take(self, tokens: tuple[str, ...], source: str) -> None:
        before, self._valid = self._valid, {fingerprint(each): each for each in tokens}
        for gone in before.keys() - self._valid.keys():
            measures.TOKEN_VALID.remove(gone)
        for each in self._valid:
            measures.TOKEN_VALID.labels(each).set(1)
        if before != self._valid:
            log.info("api tokens read count=%d tokens=%s source=%s", len(self._valid), ",".join(self._valid) or "none", source)

    def admit(self, header: str) -> str:
        """The fingerprint of the token in an Authorization header; empty where none is asked for. Raises Denied."""
        if not self.wanted:
            return ""
        self.refresh()
        if not header.lower().startswith(_SCHEME):
            raise Denied("a token is asked for: send Authorization: Bearer TOKEN")
        given = header[len(_SCHEME) :].strip().encode()
        # Every token is compared, and each in the same time whatever it has in common with the one that was sent.
        found = [name for name, token in self._valid.items() if hmac.compare_digest(token.encode(), given)]
        if not found:
            raise Denied("this token is not valid, or not any more")
        measures.TOKEN_REQUESTS.labels(found[0]).inc()
        return found[0]
