"""Training on several Pods: they meet by their names, train together, and go on behind a checkpoint."""
