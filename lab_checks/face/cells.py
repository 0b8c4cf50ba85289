"""What a notebook's cell says instead of a traceback: the cluster is down, the disk is full, a command failed.

`in_words` turns an exception into sentences; `watch` puts them where IPython would show a traceback, for cells that use kubectl, pictures or
clients of their own as much as for the calls of `lab`.
"""

from __future__ import annotations

import errno
import logging
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.error import URLError

from urllib3.exceptions import HTTPError

from clusters import ClusterError
from lab_checks.engine.api import ApiUnreachable, CommandFailed
from lab_checks.engine.metrics import MetricsError
from lab_checks.engine.session import NotStarted, Session
from lab_checks.engine.setup import LessonError
from lab_checks.engine.store import StoreError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)
# A client of a cell's own that got no answer.
_CLIENTS = (HTTPError, URLError, ConnectionError)


def in_words(problem: BaseException, session: Session) -> str | None:
    """What to tell a learner of an exception: what happened and the command that changes it. None for a fault of the course or of the cell."""
    if isinstance(problem, ApiUnreachable):
        problem = session.away(problem)
    if isinstance(problem, ClusterError):
        return f"{problem.what}\nIn a terminal: {problem.next}. Then run this cell again." if problem.next else problem.what
    if isinstance(problem, StoreError):
        return f"{problem.what}.\nNext: {problem.next}. Then run this cell again."
    if isinstance(problem, LessonError):
        return str(problem)
    if isinstance(problem, MetricsError):
        return f"{problem}\nNext: {problem.next}" if problem.next else str(problem)
    if isinstance(problem, NotStarted):
        return f"This exercise is {problem}. Start it with lab.start first."
    if isinstance(problem, subprocess.CalledProcessError):
        failed = f"[exit status {problem.returncode}] the last command of this cell failed; its own words stand above"
        return "\n".join(filter(None, [failed, _missing(session)]))
    if isinstance(problem, CommandFailed):
        return _missing(session) or str(problem)
    if isinstance(problem, _CLIENTS):
        return _missing(session) or None
    if isinstance(problem, OSError) and problem.errno in _DISK:
        return f"{problem.filename or 'A file'}: {problem.strerror}. Free some space or make it writable, then run this cell again."
    return None


def _missing(session: Session) -> str:
    """Why the cluster does not answer; the empty text where it does."""
    try:
        _ = session.api
    except ClusterError as problem:
        return in_words(problem, session) or ""
    return ""


_told_by: Callable[[Any], None] | None = None


def watch(session: Session, words: Callable[[str], str]) -> None:
    """From now on, cells of this notebook end in sentences. Does nothing outside IPython."""
    from IPython.core.getipython import get_ipython

    # A client that a cell makes asks three times; its warnings would stand above the sentence.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    shell: Any = get_ipython()  # type: ignore[no-untyped-call]
    if shell is None:
        return

    def show(shell: Any, kind: type, problem: Any, trace: Any, tb_offset: Any = None) -> list[str]:
        said = in_words(problem, session)
        if said is not None:
            # IPython asks the exception itself how it wants to be shown.
            problem._render_traceback_ = lambda: [words(said)]
        shell.showtraceback((kind, problem, trace), running_compiled_code=True)
        return []

    def after(result: Any) -> None:
        # kubectl's failure can be hidden by what comes after it in the cell, such as a pipe.
        if result.error_in_exec is None and "kubectl" in (result.info.raw_cell or "") and (missing := _missing(session)):
            print(f"[note] {words(missing)}")

    global _told_by
    if _told_by is not None:
        shell.events.unregister("post_run_cell", _told_by)
    _told_by = after
    shell.events.register("post_run_cell", after)
    kinds = (ApiUnreachable, ClusterError, StoreError, LessonError, NotStarted, CommandFailed, subprocess.CalledProcessError)
    shell.set_custom_exc((*kinds, *_CLIENTS, OSError), show)
