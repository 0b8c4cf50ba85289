"""`python -m lab_checks.face.jupyter_server`: the JupyterLab that `ai-lab open` becomes.

The learner's terminal shows one line when JupyterLab answers and one when it has stopped. What JupyterLab logs goes into a file, whose end is shown
where JupyterLab does not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from lab_checks.face import jupyter, terminal_shell

# Settings of JupyterLab for the course: no question about news before the first cell.
_SETTINGS = Path(__file__).with_name("jupyter_settings")

# The start page, the cluster's panel and the buttons: a frontend extension that is written by hand and needs no build.
LABEXTENSIONS = Path(__file__).with_name("labextensions")

_STEP = "JupyterLab"
_LAST_LINES = 12


class _Terminal:
    """Where the command was typed. stdout and stderr themselves go into the log, and so does what kernels print there."""

    def __init__(self, log: Path) -> None:
        self._out, self._err = (os.fdopen(os.dup(each), "w", errors="replace") for each in (1, 2))
        self.interactive = self._err.isatty()
        self._passing = False
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)

    def say(self, line: str, *, error: bool = False) -> None:
        """One line, in place of one that `passing` has shown."""
        with contextlib.suppress(OSError):
            if self._passing:
                self._passing = False
                self._err.write("\r\033[K")
                self._err.flush()
            stream = self._err if error else self._out
            stream.write(line + "\n")
            stream.flush()

    def passing(self, words: str) -> None:
        """Words that the next line takes the place of; only on a terminal."""
        with contextlib.suppress(OSError):
            if self.interactive:
                self._passing = True
                self._err.write(f"\r\033[K{words}")
                self._err.flush()

    def ended(self, well: bool, words: str) -> None:
        """A step's tick or cross, as all steps of the command show it."""
        sign, colour = ("✔", 32) if well else ("✘", 31)
        coloured = self.interactive and not os.environ.get("NO_COLOR")
        self.say(f"\033[{colour}m{sign}\033[0m {words}" if coloured else f"{sign} {words}", error=True)


def _initialize(opening: jupyter.Opening) -> Any:
    """The server, listening and not yet serving. Raises what JupyterLab raises, SystemExit among it."""
    # jsonschema builds a grammar for internationalised addresses where it finds this package, and nothing here checks any: 1.5 s and 16 MiB.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    from jupyterlab.labapp import LabApp

    from lab_checks.face.live import server as live_server

    options = [
        f"--ServerApp.root_dir={opening.folder}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={opening.port}", "--ServerApp.port_retries=50",
        "--ServerApp.open_browser=False", f"--LabApp.app_settings_dir={_SETTINGS}", "--LabApp.extension_manager=readonly",
        f"--LabApp.extra_labextensions_path={LABEXTENSIONS}",
    ]  # fmt: skip
    if os.geteuid() == 0:
        # In a container or a classroom image the learner may be root; the server listens on 127.0.0.1 only.
        options.append("--allow-root")
    found = LabApp.initialize_server(argv=options)
    live_server.attach(found)
    return found


def _give_shells(server: Any, interactive: bool) -> None:
    """Terminals run the learner's own shell, a login shell where the command was not started from a terminal; cells run bash."""
    own = terminal_shell.own_shell(os.environ)
    if os.environ.get("SHELL"):
        os.environ[terminal_shell.OWN_SHELL] = os.environ["SHELL"]
    # `!command` in a cell runs $SHELL, with the start files that a shell reads for a single command, where PATH may be set anew.
    os.environ["SHELL"] = shutil.which("bash") or "/bin/sh"
    manager = server.web_app.settings.get("terminal_manager")
    if manager is not None:
        configured = server.terminado_settings.get("shell_command")
        shell = manager.shell_command if configured else [own] if interactive else [own, "-l"]
        manager.shell_command = [sys.executable, "-P", "-m", "lab_checks.face.terminal_shell", *shell]


class _Course:
    """One run of JupyterLab, from the start to the farewell."""

    def __init__(self, opening: jupyter.Opening) -> None:
        self._opening = opening
        self._terminal = _Terminal(opening.log)
        self._open = self._asked_to_stop = False
        self._server: Any = None

    def run(self) -> int:
        """The exit status: 0 where JupyterLab was open and was stopped."""
        self._terminal.passing(f"… {_STEP}")
        try:
            # A Ctrl-C that came since the command became this process is heard here.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            self._server = _initialize(self._opening)
            _give_shells(self._server, self._terminal.interactive)
            self._listen_to_signals()
            self._server.io_loop.add_callback(self._announce)
            self._server.start()
        except KeyboardInterrupt:
            return self._stopped_early()
        except BaseException:
            traceback.print_exc()
            return self._failed()
        if self._open:
            self._terminal.say(self._opening.farewell)
            return 0
        return self._stopped_early() if self._asked_to_stop else self._failed()

    async def _announce(self) -> None:
        info = self._server.server_info()
        if not await asyncio.get_running_loop().run_in_executor(None, jupyter.answers, info, 60.0):
            self._server.stop()
            return
        self._open = True
        if self._opening.lock >= 0:
            os.close(self._opening.lock)
        self._terminal.ended(True, f"{_STEP} ({time.monotonic() - self._opening.began:.1f} s)")
        self._terminal.say(f"The course is open at {jupyter.address(info)} - Ctrl-C stops JupyterLab")
        if self._opening.browser:
            await asyncio.get_running_loop().run_in_executor(None, jupyter.show_in_browser, info)

    def _listen_to_signals(self) -> None:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup, and a shell's background job, have set those to be ignored that should not end it.
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, self._stop)

    def _stop(self, number: int, frame: Any) -> None:
        """Stops the server and its kernels without a question; the signal said again ends it at once."""
        signal.signal(number, signal.SIG_DFL)
        self._asked_to_stop = True
        self._terminal.passing("Stopping JupyterLab …")
        self._server.stop(from_signal=True)

    def _stopped_early(self) -> int:
        self._terminal.say("JupyterLab was stopped before it was open.", error=True)
        return 130

    def _failed(self) -> int:
        self._terminal.ended(False, _STEP)
        sys.stderr.flush()
        lines = [line for line in self._opening.log.read_text(errors="replace").splitlines() if line.strip()]
        self._terminal.say(f"JupyterLab {'has ended by a fault' if self._open else 'did not start'}. The end of its log:", error=True)
        for line in lines[-_LAST_LINES:]:
            self._terminal.say(f"    {line}", error=True)
        self._terminal.say(f"  next: the whole log is in {self._opening.log}", error=True)
        return 1


def _await_children() -> None:
    """Takes note, in the background, of the end of processes that the command started before it became JupyterLab: a cluster's server may be one."""
    import psutil

    for child in psutil.Process().children():
        threading.Thread(target=os.waitpid, args=(child.pid, 0), daemon=True).start()


def main() -> None:
    opening = jupyter.Opening(**json.loads(sys.argv[1]))
    if opening.lock >= 0:
        # Kernels and terminals must not hold it on.
        os.set_inheritable(opening.lock, False)
    _await_children()
    raise SystemExit(_Course(opening).run())


if __name__ == "__main__":
    main()
