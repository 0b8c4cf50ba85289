"""How much CPU a node has left to request: what starts use to fill a node of unknown size.

    python -m lab_checks.engine.headroom ai-lab-worker3 --leave 400m --parts 3

prints the request, in millicores, of each of three Pods that together leave 400m of the node unrequested.
"""

from __future__ import annotations

import argparse

from kubeobjects.placement import left
from lab_checks.engine.api import ApiUnreachable
from lab_checks.engine.observe import amount
from lab_checks.engine.reach import NoCluster, api_of_shell


def part(cores: float, leave: float, parts: int) -> int:
    """Millicores of each of `parts` equal requests that leave `leave` cores. Raises ValueError where the node is too small for that."""
    each = int((cores - leave) * 1000) // parts
    if each < 10:
        raise ValueError(f"only {cores:g} CPU are left to request: nothing to fill")
    return each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("node")
    parser.add_argument("--leave", required=True, help="a quantity, such as 400m")
    parser.add_argument("--parts", type=int, default=1)
    options = parser.parse_args()
    if options.parts < 1:
        parser.error("--parts must be 1 or more")
    try:
        leave = float(amount(options.leave))
    except ValueError:
        parser.error(f'--leave: "{options.leave}" is no quantity')
    try:
        api = api_of_shell()
        node = api.get("nodes", options.node)
        if node is None:
            raise SystemExit(f"there is no node {options.node}")
        print(f"{part(float(left(node, api.list('pods'), 'cpu')), leave, options.parts)}m")
    except NoCluster as problem:
        raise SystemExit(f"{problem.what} Next: {problem.next}") from None
    except ApiUnreachable as problem:
        raise SystemExit(f"The cluster does not answer: {problem}") from None
    except ValueError as problem:
        raise SystemExit(f"{options.node}: {problem}") from None


if __name__ == "__main__":
    main()
