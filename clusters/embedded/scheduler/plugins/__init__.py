"""The scheduler's plugins: one a file, each with the reasons it gives. `registry.py` says which run, and in which order."""
