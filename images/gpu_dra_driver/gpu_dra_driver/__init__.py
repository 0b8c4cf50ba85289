"""A DRA driver for GPUs that a lab node only says it has: `gpu.nvidia.com` with ResourceSlices, claims and CDI, as NVIDIA's driver.

The devices and what is wrong with them are those of `gpu_device_plugin`, whose inventory, faults and description this program uses.
"""
