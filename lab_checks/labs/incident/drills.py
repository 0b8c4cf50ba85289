"""Lab 12-incident: which drill an exercise has. The seed decides; AI_LAB_SEED takes another one than the notebook's.

python -m lab_checks.labs.incident.drills lay first-call      # what a start.toml runs: under KUBECONFIG, the course's account
python -m lab_checks.labs.incident.drills show first-call     # what is wrong, and one way to restore it
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import cache

from lab_checks import drill
from lab_checks.drill import Drill
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.verdict import idle

VARIABLE = "AI_LAB_SEED"
ROUNDS = 3
# The seed of the notebook, by exercise.
SEEDS = {"first-call": 3, "same-line": 4, "two-at-once": 6, "at-your-side": 12, "game-day": 20}
_PLACES = (NAMESPACE, "team-search")
# The faults that an exercise draws from: one of them, or one pair.
_POOLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "first-call": (
        ("readiness-elsewhere",), ("weights-missing",), ("quota-spent",), ("service-selects-nothing",), ("image-missing",), ("liveness-kills",),
        ("runtime-class",), ("taint-not-tolerated",),
    ),
    "same-line": (("too-many-gpus",), ("gpus-held",), ("no-devices",), ("plugin-gone",), ("plugin-kept-off",), ("rollout-deadlock",), ("device-sick",)),
    "two-at-once": (
        ("service-selects-nothing", "setting-missing"), ("readiness-elsewhere", "weights-missing"), ("image-missing", "quota-spent"),
        ("no-such-label", "service-selects-nothing"), ("taint-not-tolerated", "runtime-class"),
    ),
    "at-your-side": (("gpu-memory",), ("driver-too-old",), ("weights-missing",), ("liveness-kills",)),
    "game-day": (
        ("image-missing",), ("setting-missing",), ("taint-not-tolerated",), ("service-selects-nothing",), ("readiness-elsewhere",), ("too-many-gpus",),
        ("weights-missing",), ("runtime-class",), ("quota-spent",), ("no-such-label",),
    ),
}  # fmt: skip


def seed_of(exercise: str) -> int:
    """The seed that is set: the learner's own, else the notebook's. Raises SystemExit for one that is no number."""
    given = os.environ.get(VARIABLE, "").strip()
    if given and not given.isdecimal():
        sys.exit(f"{VARIABLE} is {given!r}, and a seed is a whole number")
    return int(given or SEEDS[exercise])


@cache
def of(exercise: str, seed: int, number: int = 1) -> Drill:
    """The drill of an exercise by its seed; `number` counts the calls of a game day, from 1."""
    pool = _POOLS[exercise]
    only = pool[(seed + number - 1) % len(pool)]
    return drill.generate(seed + 100 * (number - 1), only=only, namespaces=(NAMESPACE,) if exercise == "at-your-side" else _PLACES)


def noted(ctx: Context) -> Drill:
    """The drill that this exercise was started with. What may be changed follows from it, beside what the exercise itself allows. Ends a check without one."""
    row = ctx.baseline.get("call")
    if not row:
        raise idle("this start has no call", next=f"ai-lab start {ctx.exercise.key}")
    found = replace(of(ctx.exercise.id, row["seed"], row["number"]), more=ctx.exercise.allow)
    ctx.exercise = replace(ctx.exercise, allow=found.allow)
    return found


def main(arguments: list[str]) -> None:
    """`lay EXERCISE` or `show EXERCISE`."""
    from lab_checks.engine.reach import api_of_shell
    from lab_checks.labs.incident import day

    if len(arguments) != 2 or arguments[0] not in ("lay", "show") or arguments[1] not in SEEDS:
        sys.exit(f"lay or show, and one of {', '.join(SEEDS)}")
    verb, exercise = arguments
    seed = seed_of(exercise)
    if verb == "show":
        for number in range(1, 1 + (ROUNDS if exercise == "game-day" else 1)):
            for each in of(exercise, seed, number).laid:
                print(f"seed {seed}: {each.service.name} in {each.service.namespace}: {each.fault.title}")
                print("\n".join(f"    {line}" for line in each.commands(each.fault.solution)))
        return
    api = api_of_shell()
    number = day.next_call(api.cluster_id(), seed) if exercise == "game-day" else 1
    drill.lay(api, of(exercise, seed, number), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main(sys.argv[1:])
