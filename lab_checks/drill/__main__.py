"""`python -m lab_checks.drill`: creating and showing drills without the face of the course.

    python -m lab_checks.drill lay --seed 7        # on the cluster of KUBECONFIG, whose namespaces are there: a step of a start.toml
    python -m lab_checks.drill show --seed 7       # what the seed gives, and what may change, as TOML for a lab's table

Proving them is `ai-lab dev drill`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from lab_checks.drill.generator import Drill, generate
from lab_checks.drill.laying import lay


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab_checks.drill", description="Create and show incident drills.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("lay", "show"):
        one = commands.add_parser(name)
        one.add_argument("--seed", type=int, required=True)
        one.add_argument("--faults", type=int, choices=(1, 2), default=1)
        one.add_argument("--only", action="append", default=[], metavar="FAULT")
        one.add_argument("--namespaces", default="", metavar="A,B")
    return parser.parse_args(arguments)


def _drill(options: argparse.Namespace) -> Drill:
    names = [each for each in options.namespaces.split(",") if each]
    return generate(options.seed, options.faults, only=options.only, namespaces=names)


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
    drill = _drill(options)
    if options.command == "show":
        print("\n".join(shown(drill)))
        return 0
    from lab_checks.engine.reach import api_of_shell

    lay(api_of_shell(), drill, lambda line: print(line, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
