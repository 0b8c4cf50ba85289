"""A class: learners' machines that joined one report to its server, and an instructor's page shows who is where.

The learner's side: `membership` (which class, if any), `report` (what is told), `wire` (the way there), `send` (the process in the background).
The instructor's side: `roll` (who joined, and their newest reports), `summary` and `view` (what is read off them), `sheets` (CSV and JSON),
`server` and `page`.
"""
