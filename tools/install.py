"""`python tools/install.py VENV [--dev]`: makes the virtual environment and installs the course into it, in place; for `make`.

Only the standard library is used: this runs before anything is installed. Two at once wait for each other, and the second finds the work done.
"""

from __future__ import annotations

import argparse
import fcntl
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "hatch_build.py")


class Failed(Exception):
    """A program that failed: the message is what it said; `next` is what to do about it where it did not say so itself."""

    def __init__(self, said: str, next: str):
        super().__init__(said)
        self.next = next


def run(*command: str, next: str = "") -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise Failed(done.stdout, next)


def current(stamp: Path) -> bool:
    """Whether what was installed is as new as what says what to install."""
    return stamp.exists() and all(stamp.stat().st_mtime >= (ROOT / each).stat().st_mtime for each in SOURCES)


def install(venv: Path, stamp: Path, what: str) -> None:
    programs = venv / "bin"
    if not ((programs / "python").exists() and (programs / "pip").exists()):
        run(sys.executable, "-m", "venv", str(venv))
    run(
        str(programs / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--editable", what,
        next="pip needs https://pypi.org, or a mirror that PIP_INDEX_URL names; then say make again",
    )  # fmt: skip
    stamp.touch()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path)
    parser.add_argument("--dev", action="store_true", help="what the tests need, too")
    options = parser.parse_args()
    venv = options.venv.absolute()
    stamp = venv / (".installed-dev" if options.dev else ".installed")
    title = f"Installing {'what the tests need' if options.dev else 'the course'} into {options.venv}"
    interactive = sys.stderr.isatty()
    venv.mkdir(parents=True, exist_ok=True)
    with (venv / ".lock").open("w") as lock:
        if interactive:
            sys.stderr.write(f"… {title} (about a minute, once)")
            sys.stderr.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        began, clear = time.monotonic(), "\r\033[K" if interactive else ""
        try:
            if not current(stamp):
                install(venv, stamp, ".[dev]" if options.dev else ".")
        except Failed as problem:
            said = "\n".join(f"    {line}" for line in str(problem).splitlines()[-12:])
            sys.stderr.write(f"{clear}✘ {title}\n{said}\n" + (f"  next: {problem.next}\n" if problem.next else ""))
            return 1
        except KeyboardInterrupt:
            sys.stderr.write(clear)
            return 130
        sys.stderr.write(f"{clear}✔ {title} ({time.monotonic() - began:.1f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
