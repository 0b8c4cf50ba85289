"""Device plugin API v1beta1: `api.proto` and what protoc makes of it (`make` is in the proto file's head)."""
