"""The model: a line in, its most likely kind and how sure that is out."""

from __future__ import annotations

import math

from model_server.features import features
from model_server.weights import Weights


class Classifier:
    """Multinomial logistic regression over hashed words."""

    def __init__(self, weights: Weights):
        self.weights = weights

    def probabilities(self, line: str) -> dict[str, float]:
        """Each kind's probability; they add up to 1."""
        known = self.weights
        counts = features(line, known.dimension, known.bigrams)
        scores = [
            bias + sum(row[index] * count for index, count in counts.items()) for row, bias in zip(known.weight, known.bias, strict=True)
        ]
        highest = max(scores)
        shares = [math.exp(score - highest) for score in scores]
        total = sum(shares)
        return {kind: share / total for kind, share in zip(known.kinds, shares, strict=True)}

    def classify(self, line: str) -> tuple[str, float]:
        """The likeliest kind and its probability."""
        found = self.probabilities(line)
        kind = max(found, key=lambda each: found[each])
        return kind, found[kind]
