"""What people see of the cluster and the course while they work: rows made from API objects, kept up to date by watches, and sent to JupyterLab.

`model` and `course_map` are pure: objects and standings in, rows out. `reading` watches the API, `board` holds what it read, `hub` joins both with the
learner's session, `server` gives them to a browser behind Jupyter's own token. The drawing itself is JavaScript in `labextensions/`.
"""
