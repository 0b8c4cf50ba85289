"""Where a Service's traffic goes: EndpointSlices, and Endpoints as they were before them."""

from __future__ import annotations

from clusters.embedded.controllers.endpoints.legacy import EndpointsController
from clusters.embedded.controllers.endpoints.slices import EndpointSliceController

__all__ = ["EndpointSliceController", "EndpointsController"]
