"""Pod resources API v1: `podresources.proto` and what protoc makes of it."""
