"""The team's log-summary API: log lines in over HTTP, their kinds and a short summary out."""
