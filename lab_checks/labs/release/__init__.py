"""Lab 08-release: a new version and the way back, under load, on a cluster with three GPUs."""
