"""Reports how this machine's learner stands to the class that it joined: `python -m lab_checks.classroom.send STATE`, in the background.

A report is the learner's whole standing. So nothing waits in a queue: what did not arrive is made up for by the next one.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from lab_checks.classroom import membership, report, wire
from lab_checks.classroom.membership import Delivery, Membership
from lab_checks.engine import progress
from lab_checks.engine.store import StoreError

_NICENESS = 5  # the learner's own work comes first


def deliver(state: Path, member: Membership) -> Delivery:
    """Reports once, and gives how it went; a class that is away is no error. Raises OSError where that cannot be noted."""
    stamp = progress.stamp(state)
    before = membership.delivery(state)
    try:
        wire.post(member.url, wire.TO_REPORT, member.key, report.of(state, member.name))
    except wire.Refused as problem:
        found = Delivery(before.stamp, before.at, problem.what, problem.next)
    except StoreError as problem:
        found = Delivery(before.stamp, before.at, problem.what, problem.next)
    else:
        found = Delivery(stamp, time.time())
    # Somebody who left meanwhile is not to find the traces of a class.
    if membership.joined(state) is not None:
        membership.keep_delivery(state, found)
    return found


def run(state: Path) -> None:
    """Reports until what was reported is what the progress file holds, or until a report did not arrive. Raises OSError."""
    while True:
        # Before the report is made: what is written after this is seen by the look below.
        stamp = progress.stamp(state)
        with membership.sending(state) as mine:
            member = membership.joined(state)
            if not mine or member is None:
                return
            if membership.delivery(state).stamp != stamp:
                deliver(state, member)
        # Who wrote while this process had the turn left the report to it.
        if progress.stamp(state) == stamp:
            return


def main() -> None:
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        run(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
