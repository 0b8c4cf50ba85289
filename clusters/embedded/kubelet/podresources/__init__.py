"""The pod resources API between kubelet and monitoring agents, by version."""
