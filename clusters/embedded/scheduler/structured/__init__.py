"""Which devices a Pod's claims get on a node (k8s.io/dynamic-resource-allocation/structured).

In: claims without devices, ResourceSlices, DeviceClasses and what is taken. Out: one `status.allocation` a claim, or nothing where the
node has no devices for all of them together. Loaded with the first Pod that has claims.
"""

from clusters.embedded.scheduler.structured.allocator import AllocationError, Allocator, PoolError
from clusters.embedded.scheduler.structured.taken import Taken

__all__ = ["AllocationError", "Allocator", "PoolError", "Taken"]
