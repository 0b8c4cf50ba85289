"""Grading submitted notebooks: each in an enclosure of its own, on a cluster of its own, judged from outside of the notebook."""
