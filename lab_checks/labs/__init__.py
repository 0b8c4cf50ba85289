"""The labs: one module of checks and one table of exercises each."""
