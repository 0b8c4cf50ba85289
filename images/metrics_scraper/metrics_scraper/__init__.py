"""A small monitoring server: scrapes Pods as a prometheus.yml says, keeps series in memory, answers PromQL by Prometheus' HTTP API."""
