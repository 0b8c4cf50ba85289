"""Lab 01-gpu-nodes: the numbers of each node beside one another: what its label promises, what it has, what it can give, what is held."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.api import Api
from lab_checks.face import pictures

_HEADER = ("node", "label promises", "capacity", "allocatable", "held by Pods", "device plugin")


def show(api: Api) -> None:
    """Prints a line a node, drawn from the cluster now, and shows them as a table."""
    pods = api.list("pods")
    rows = []
    for node in api.list("nodes"):
        each = observe.node_facts(node, pods)
        plugin = "Ready" if observe.plugin_pod(pods, each.name) else "-"
        rows.append((each.name, each.promised, each.capacity, each.allocatable, each.held, plugin))
        print(
            f"{each.name}: promised {each.promised}, capacity {each.capacity}, allocatable {each.allocatable}, held {each.held}, plugin {plugin}"
        )
    pictures.show(pictures.table("GPUs, node by node", _HEADER, rows))
