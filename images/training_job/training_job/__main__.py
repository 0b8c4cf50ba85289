"""`python -m training_job`: trains with its peers until all steps are done. The exit codes are in README.md."""

from __future__ import annotations

import os
import signal
import sys

from training_job import peers, settings
from training_job.settings import Settings, Wrong
from training_job.training import Leader, work

WRONG, TOLD_TO_END = 42, 143


class Told(BaseException):
    """SIGTERM: the Pod is on its way out."""


def say(line: str) -> None:
    print(line, flush=True)


def _told(number: int, frame: object) -> None:
    # Once: a second signal must not disturb the saving.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Told


def lead(chosen: Settings) -> int:
    leader = Leader(chosen, say)
    try:
        leader.resume()
        with peers.listen(chosen.port) as server:
            leader.run(server)
    except Told:
        leader.save()
        say(f"told to end at step {leader.progress.step}: the checkpoint is saved at {chosen.checkpoint}")
        return TOLD_TO_END
    return 0


def main() -> int:
    signal.signal(signal.SIGTERM, _told)
    try:
        chosen = settings.read(os.environ)
        say(f"Pod {chosen.index} of {chosen.size} of {chosen.job}, on GPU {chosen.devices}")
        if chosen.index == 0:
            return lead(chosen)
        work(chosen, say)
    except Wrong as problem:
        say(f"wrong: {problem}")
        return WRONG
    except (OSError, ValueError) as problem:
        say(f"the checkpoint cannot be used: {problem}")
        return 1
    except Told:
        say("told to end")
        return TOLD_TO_END
    return 0


if __name__ == "__main__":
    sys.exit(main())
