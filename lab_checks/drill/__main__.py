"""`python -m lab_checks.drill show --seed 7`: what a seed gives, and what may change, as TOML for a lab's table. No cluster is asked.

Proving drills is `ai-lab dev drill`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from lab_checks.drill.generator import Drill, generate


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab_checks.drill", description="Show what a seed gives.")
    show = parser.add_subparsers(required=True).add_parser("show")
    show.add_argument("--seed", type=int, required=True)
    show.add_argument("--faults", type=int, choices=(1, 2), default=1)
    show.add_argument("--only", action="append", default=[], metavar="FAULT")
    show.add_argument("--namespaces", default="", metavar="A,B")
    return parser.parse_args(arguments)


def shown(drill: Drill) -> Iterator[str]:
    """What a seed gives, as comments, and what may change, as TOML."""
    for each in drill.services:
        yield f"# service {each.name} in {each.namespace}, on {each.product}"
    for laid in drill.laid:
        yield f"# {laid.fault.id} on {laid.service.name}: {laid.fault.title}"
    yield f"namespaces = {json.dumps([each for each in drill.namespaces if each != 'ai-platform'])}"
    yield "[exercise.allow]"
    for key, fields in drill.allow.items():
        yield f"{json.dumps(key)} = {json.dumps(list(fields))}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(sys.argv[1:] if arguments is None else arguments)
    names = [each for each in options.namespaces.split(",") if each]
    print("\n".join(shown(generate(options.seed, options.faults, only=options.only, namespaces=names))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
