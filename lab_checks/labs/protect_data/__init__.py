"""Lab 09-protect-data: `lab.toml` is the lab as data, `checks.py` judges its exercises, the other modules are what only this lab knows."""
