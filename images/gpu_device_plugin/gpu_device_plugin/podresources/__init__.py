"""The kubelet's pod-resources API v1: definition and generated code."""
