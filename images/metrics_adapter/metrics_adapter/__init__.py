"""Custom and external metrics for HorizontalPodAutoscalers, read from the /metrics of Pods themselves."""
