"""nvidia-smi for lab GPUs: the node's description of its devices in, the real tool's tables, CSV and reports out.

The device plugin lays it down on the node as one file (`archive`), and Allocate mounts that into containers, so it needs python3 and
nothing else. The plugin's metrics come from the same readings.
"""

from .node import reports, usage

__all__ = ["reports", "usage"]
