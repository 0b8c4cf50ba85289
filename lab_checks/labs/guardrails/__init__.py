"""Lab 07-guardrails: `lab.toml` and `requests.yaml` are the lab as data, `checks.py` judges its exercises, the other modules are what only this lab knows."""
