"""`ai-lab`, or `python -m lab_checks`: starts the command.

Ctrl-C while the command is still being read ends it at once, without Python's traceback; from then on `cli.main` answers it.
"""

from __future__ import annotations

# What `signal` is made of: that module takes a moment to read itself, in which Ctrl-C would still show a traceback.
import _signal
import sys


def main() -> None:
    """Raises SystemExit with the command's exit status."""
    ignored = _signal.getsignal(_signal.SIGINT) == _signal.SIG_IGN
    if not ignored:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    # Compiling its modules takes the command as long as all that it does before the cluster starts. So they are kept, as the server keeps its own,
    # also where PYTHONDONTWRITEBYTECODE asks for none; programs that the command starts hear of it as ever.
    sys.dont_write_bytecode = False
    if sys.argv[1:] in (["up"], ["up", "--cluster", "embedded"]):
        import clusters

        clusters.prepare()
    from lab_checks.face import cli

    cli.main(hear_interrupts=not ignored)


if __name__ == "__main__":
    main()
