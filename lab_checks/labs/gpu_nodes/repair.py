"""The technician who resets a sick GPU: what only hands can do, and only on a node that takes no new Pods.

    python -m lab_checks.labs.gpu_nodes.repair ai-lab-worker2

takes the fault away and notes on the node which one it was. Refuses, in words, while the node is not cordoned or has nothing to repair.
"""

from __future__ import annotations

import argparse
import json

import clusters
from kubeobjects import Object
from lab_checks.engine import identity
from lab_checks.engine.api import ApiUnreachable, CommandFailed, shell
from lab_checks.engine.reach import NoCluster, api_of_shell

XID = "gpu.ai-lab.dev/xid"
# Under the prefix of the faults, so that the next start takes it away with them.
REPAIRED = "gpu.ai-lab.dev/repaired"


def refusal(node: Object) -> str:
    """Why the technician does not touch this node; empty where nothing speaks against it."""
    name = node["metadata"]["name"]
    if XID not in (node["metadata"].get("annotations") or {}):
        return f"{name}: every device answers, there is nothing to repair"
    if not node["spec"].get("unschedulable"):
        return f"{name} still takes new Pods: one could be given the device while it is reset. Cordon the node first"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("node")
    options = parser.parse_args()
    try:
        _repair(options.node)
    except NoCluster as problem:
        raise SystemExit(f"{problem.what} Next: {problem.next}") from None
    except (ApiUnreachable, CommandFailed) as problem:
        raise SystemExit(str(problem)) from None


def _repair(name: str) -> None:
    """Raises SystemExit with the reason where there is nothing to repair, NoCluster, ApiUnreachable, CommandFailed."""
    api = api_of_shell()
    node = api.get("nodes", name)
    if node is None:
        raise SystemExit(f"there is no node {name}")
    if said := refusal(node):
        raise SystemExit(said)
    fault = node["metadata"]["annotations"][XID]
    patch = {"metadata": {"annotations": {XID: None, REPAIRED: fault}}}
    # The technician is no learner: the note counts because of who wrote it.
    own = identity.kubeconfig(api.kubeconfig, clusters.state_folder(), api.cluster_id())
    shell(f"kubectl patch node {name} --type=merge --field-manager=ai-lab --patch-file=/dev/stdin", own, stdin=json.dumps(patch))
    print(f"{name}: the device was reset and passed its self-test. The node may take Pods again")


if __name__ == "__main__":
    main()
