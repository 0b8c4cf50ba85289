"""Lab 10-storage: where weights are kept, how long a start takes, and which file is served."""
