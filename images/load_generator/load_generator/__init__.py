"""Sends requests to a model endpoint for a while, and says what came back: answers, errors, waits, and from which version."""
