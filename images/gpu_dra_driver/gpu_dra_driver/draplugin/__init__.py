"""The kubelet's APIs of DRA drivers: registration, claims and health of devices; definitions and generated code."""
