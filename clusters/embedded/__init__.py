"""A Kubernetes cluster in processes: API server, scheduler, controllers and kubelets that meet only in the API."""
