"""The server's metrics, by their Prometheus names."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from model_server import memory

disable_created_metrics()

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter("model_requests", "Requests, by kind and HTTP status.", ["kind", "code"])
ERRORS = Counter("model_errors", "Requests that failed on our side, by kind and reason.", ["kind", "reason"])
LATENCY = Histogram("model_request_duration_seconds", "Time from request to answer, waiting included.", ["kind"], buckets=_SECONDS)
FIRST_TOKEN = Histogram(
    "model_time_to_first_token_seconds", "Time from request to the first piece of a streamed summary.", buckets=_SECONDS
)
TOKENS = Counter("model_tokens", "Pieces of summaries that were made.")
LINES = Counter("model_lines", "Log lines that were classified, by the kind that was found.", ["kind"])
QUEUE = Gauge("model_queue_depth", "Requests that wait for the model.")
IN_FLIGHT = Gauge("model_in_flight", "Requests that the model works on.")
LOAD_SECONDS = Gauge("model_load_seconds", "How long loading the model took.")
READY = Gauge("model_ready", "1 when the model can answer, 0 otherwise.")
INFO = Gauge("model_info", "Which model this is.", ["version", "device"])
WEIGHTS = Gauge("model_weights_info", "Which file of weights is loaded, by the SHA-256 of its content.", ["sha256"])
TOKEN_VALID = Gauge("model_api_token_valid", "1 for each API token that is valid now, by its fingerprint.", ["token"])
TOKEN_REQUESTS = Counter("model_api_token_requests", "Requests that were let in, by their token's fingerprint.", ["token"])
GPU_MEMORY = Gauge("model_gpu_memory_mebibytes", "Memory of the GPU that this server holds.")
PEAK = Gauge("process_peak_resident_memory_bytes", "The most memory that was resident at once.")
PEAK.set_function(lambda: memory.resident()[1] * memory.MIB)
