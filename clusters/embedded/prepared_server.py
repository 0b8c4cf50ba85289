"""A server that has read its modules and waits for the word to begin.

Half of a start is Python reading modules, the server's and the command's. A command that will start the server says so first (`prepare`) and reads
its own modules while the server reads the others, on another processor. Only the standard library is imported at the top.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded import owned_processes
from clusters.embedded.file_locks import is_locked

_waiting: dict[Path, Waiting] = {}


@dataclass(frozen=True)
class Waiting:
    """A started server. `ready` is read for what it says when the cluster is ready; `word` is written to by `begin`, and closed."""

    process: subprocess.Popen[bytes]
    ready: int
    word: int

    def begin(self, *, recover: bool) -> None:
        """Lets it begin; with `recover` it goes on with what is whole of damaged state. Raises BrokenPipeError where it has ended."""
        try:
            os.write(self.word, json.dumps({"recover": recover}).encode())
        finally:
            os.close(self.word)


def prepare(folder: Path) -> None:
    """Starts a server that waits, for the cluster in `folder`. Does nothing where it was never up, or is."""
    if not (folder / "port").exists() or is_locked(folder / "store" / "state.lock"):
        return
    try:
        _waiting[folder] = launch(folder)
    except OSError:
        # Whatever is in the way is told by the start that follows.
        return


def log_of(folder: Path) -> Path:
    """Where the server of the cluster in `folder` writes its messages."""
    return folder / "server.log"


def pid(folder: Path) -> int | None:
    """The process that waits here for the word; None where there is none."""
    waiting = _waiting.get(folder)
    return waiting.process.pid if waiting else None


def begin(folder: Path, *, recover: bool) -> Waiting:
    """The prepared server, or else a new one, told to begin. Raises OSError where none can be started."""
    prepared = _waiting.pop(folder, None)
    if prepared is not None:
        try:
            prepared.begin(recover=recover)
            return prepared
        except BrokenPipeError:
            # Another command took it for a server that hangs, and ended it.
            os.close(prepared.ready)
            prepared.process.wait()
    fresh = launch(folder)
    # One that ended at once is told by who waits for its answer, in its last words.
    with contextlib.suppress(BrokenPipeError):
        fresh.begin(recover=recover)
    return fresh


def launch(folder: Path) -> Waiting:
    """Starts a server for the cluster in `folder`, which must exist. It ends by itself where this process ends without the word. Raises OSError."""
    ready, says = os.pipe()
    hears, word = os.pipe()
    log = log_of(folder)
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "clusters.embedded", "--state", str(folder), "--log", str(log)),
                    *("--ready-fd", str(says), "--word-fd", str(hears)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[says, hears],
                start_new_session=True,
                cwd=folder,
                env=_environment() | {owned_processes.CLUSTER: owned_processes.cluster_id(folder)},
            )
    except OSError:
        os.close(ready)
        os.close(word)
        raise
    finally:
        os.close(says)
        os.close(hears)
    return Waiting(process, ready, word)


def _environment() -> dict[str, str]:
    """The server's environment: this one, with this code to be found, and with compiled modules kept (a third of a start is compiling)."""
    found = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found["PYTHONPATH"] = os.pathsep.join(filter(None, [_source(), found.get("PYTHONPATH", "")]))
    return found


def _source() -> str:
    """The folder from which this package was imported: the server runs in another folder and must find the same code."""
    return str(Path(__file__).resolve().parents[2])
