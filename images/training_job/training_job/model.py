"""A logistic regression: weights and a part of the data in, gradient and loss out. Pure."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

Weights = list[float]
_FEATURES, _EXAMPLES = 8, 240
_TRUE = (1.5, -2.0, 0.5, 1.0, -0.5, 2.0, -1.0, 0.0)


@dataclass(frozen=True)
class Example:
    features: tuple[float, ...]
    label: int


def start() -> Weights:
    return [0.0] * _FEATURES


def part(index: int, size: int) -> list[Example]:
    """The examples of Pod `index` out of `size`: the same ones at every start."""
    draw = random.Random(1)
    found = []
    for _ in range(_EXAMPLES):
        features = tuple(draw.gauss(0, 1) for _ in range(_FEATURES))
        chance = _sigmoid(sum(have * true for have, true in zip(features, _TRUE, strict=True)))
        found.append(Example(features, int(draw.random() < chance)))
    return found[index::size]


def gradient(weights: Weights, examples: list[Example]) -> tuple[Weights, float]:
    """(the mean gradient, the mean loss) over the examples."""
    total, loss = [0.0] * len(weights), 0.0
    for each in examples:
        said = _sigmoid(sum(weight * have for weight, have in zip(weights, each.features, strict=True)))
        for place, have in enumerate(each.features):
            total[place] += (said - each.label) * have
        loss -= math.log(max(1e-12, said if each.label else 1 - said))
    return [value / len(examples) for value in total], loss / len(examples)


def mean(gradients: list[Weights]) -> Weights:
    return [sum(column) / len(gradients) for column in zip(*gradients, strict=True)]


def moved(weights: Weights, by: Weights, rate: float) -> Weights:
    return [weight - rate * value for weight, value in zip(weights, by, strict=True)]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
