"""The lab cluster on kind: real Kubernetes in containers of Docker, Podman or nerdctl."""
