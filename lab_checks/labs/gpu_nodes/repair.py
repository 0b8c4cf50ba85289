"""The technician who resets a sick GPU: what only hands can do, and only on a node that takes no new Pods.

    python -m lab_checks.labs.gpu_nodes.repair ai-lab-worker2

takes the fault away and notes on the node which one it was. Refuses, in words, while the node is not cordoned or has nothing to repair.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import clusters
from kubeobjects import Object
from lab_checks.engine import identity
from lab_checks.engine.api import Api, CommandFailed, shell

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
    kubeconfig = Path(os.environ["KUBECONFIG"])
    node = Api(kubeconfig).get("nodes", options.node)
    if node is None:
        raise SystemExit(f"there is no node {options.node}")
    if said := refusal(node):
        raise SystemExit(said)
    fault = node["metadata"]["annotations"][XID]
    patch = {"metadata": {"annotations": {XID: None, REPAIRED: fault}}}
    try:
        # The technician is no learner: the note counts because of who wrote it.
        own = identity.kubeconfig(kubeconfig, clusters.state_folder(), Api(kubeconfig).cluster_id())
        shell(
            f"kubectl patch node {options.node} --type=merge --field-manager=ai-lab --patch-file=/dev/stdin",
            own,
            stdin=json.dumps(patch),
        )
    except CommandFailed as problem:
        raise SystemExit(str(problem)) from None
    print(f"{options.node}: the device was reset and passed its self-test. The node may take Pods again")


if __name__ == "__main__":
    main()
