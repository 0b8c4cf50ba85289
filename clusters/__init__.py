"""Where labs run: an embedded cluster, a kind cluster, or an existing context."""
