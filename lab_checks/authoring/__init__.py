"""For writers of labs: building the notebooks, and proving that every exercise is right."""
