"""What the API server asks of other servers itself: webhooks, and API servers that stand behind an APIService.

`service_address` says where a Service is called, `calls` makes a call by hand over asyncio, `go_words` says what Go's client says when it fails.
"""
