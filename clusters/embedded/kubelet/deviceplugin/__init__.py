"""The device plugin API between kubelet and plugins, by version."""
