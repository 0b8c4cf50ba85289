"""Lab 14-sharing-a-gpu: partitions, shares, and devices that are claimed."""
