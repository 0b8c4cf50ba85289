"""Admission by rules that people write: which requests they are about, what their expressions may look at, and what follows."""

from clusters.embedded.apiserver.admission.policies import mutating, validating

__all__ = ["mutating", "validating"]
