"""A device plugin for GPUs that a lab node only says it has: node labels and annotations in, `nvidia.com/gpu` devices and metrics out.

The kubelet, the container and the dashboard see what NVIDIA's plugin, driver and DCGM exporter would show them. Behind all
of them stands one description of the node's devices (`description.py`), kept in a folder of the node and shared with the containers that
hold a device.
"""
