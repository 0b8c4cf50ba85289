"""`nvidia-smi topo -m`: how the devices are connected."""

from __future__ import annotations

from .node import Device, Failure, Node

_LEGEND = """
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node
  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)
  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe Host Bridge)
  PIX  = Connection traversing at most a single PCIe bridge
  NV#  = Connection traversing a bonded set of # NVLinks
"""
# NVLinks between two cards of a board, by what stands in the product's name.
_LINKS = (("H100 80GB HBM3", "NV18"), ("H200", "NV18"), ("A100-SXM", "NV12"), ("V100-SXM", "NV2"))


def _between(one: Device, other: Device) -> str:
    if one is other:
        return " X "
    return next((links for product, links in _LINKS if product in one["product"]), "PHB")


def matrix(node: Node, arguments: list[str]) -> str:
    """Raises Failure."""
    if arguments not in (["-m"], ["--matrix"]):
        raise Failure("Invalid combination of input arguments. Please run 'nvidia-smi topo -h' for help.\n", 1)
    devices = node.devices
    if not devices:
        raise Failure("No devices were found", 6)
    lines = ["\t".join(["", *(f"GPU{each['number']}" for each in devices), "CPU Affinity", "NUMA Affinity", "GPU NUMA ID"])]
    for one in devices:
        lines.append("\t".join([f"GPU{one['number']}", *(_between(one, other) for other in devices), "0-31", "0", "", "N/A"]))
    return "\n".join(lines) + "\n" + _LEGEND
