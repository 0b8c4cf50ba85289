"""Kubernetes' own functions for expressions (k8s.io/apiserver/pkg/cel/library): importing this package declares them."""

from clusters.embedded.cel.library import addresses, authorization, lists, patches, quantities, texts, urls, versions

__all__ = ["addresses", "authorization", "lists", "patches", "quantities", "texts", "urls", "versions"]
