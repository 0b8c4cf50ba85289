"""Lab 11-scale-and-cost: when a GPU pays, how far replicas help, and what an autoscaler does at the last GPU and above it."""
