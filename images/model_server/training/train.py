#!/usr/bin/env python3
"""Makes the weights that the images carry: the corpus in, one safetensors file a version out. The same corpus gives the same bytes.

    python images/model_server/training/train.py [--out FOLDER]

v1  single words in 1,024 places, trained on half of the templates: it gets the plain cases right.
v2  words, pairs and word beginnings in 8,192 places, all templates: it knows lines that it has not seen.
v3  v1 with the labels of the training set mixed up, as after a join that went wrong: the file is fine, what it says is not.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tomllib
from array import array
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from model_server.classifier import Classifier  # noqa: E402
from model_server.features import features  # noqa: E402
from model_server.weights import Weights, write  # noqa: E402

Sample = tuple[str, str]

_EPOCHS, _RATE, _DECAY = 14, 0.35, 0.0002
_LINES_PER_TEMPLATE = 6
# Rounding makes the file the same on every machine: the last bits of exp() are not.
_DIGITS = 4


def lines(part: str, seed: int, share: float = 1.0) -> list[Sample]:
    """(line, kind) pairs: each template of `part` ("train" or "held_out") filled a few times."""
    corpus = tomllib.loads((FOLDER / "corpus.toml").read_text())
    chance = random.Random(seed)
    found = []
    for kind, templates in corpus["kinds"].items():
        for template in templates[part][: max(1, round(len(templates[part]) * share))]:
            for _ in range(_LINES_PER_TEMPLATE):
                line = template
                for slot, values in corpus["slots"].items():
                    while f"{{{slot}}}" in line:
                        line = line.replace(f"{{{slot}}}", chance.choice(values), 1)
                found.append((line, kind))
    return found


def train(samples: list[Sample], kinds: tuple[str, ...], version: str, dimension: int, bigrams: bool) -> Weights:
    """Stochastic gradient descent on the cross-entropy, with weight decay."""
    chance = random.Random(7)
    prepared = [(features(line, dimension, bigrams), kinds.index(kind)) for line, kind in samples]
    weight = [[0.0] * dimension for _ in kinds]
    bias = [0.0] * len(kinds)
    for epoch in range(_EPOCHS):
        chance.shuffle(prepared)
        rate = _RATE / (1 + epoch)
        for counts, wanted in prepared:
            scores = [bias[k] + sum(weight[k][index] * count for index, count in counts.items()) for k in range(len(kinds))]
            highest = max(scores)
            shares = [math.exp(score - highest) for score in scores]
            total = sum(shares)
            for k in range(len(kinds)):
                step = rate * ((1.0 if k == wanted else 0.0) - shares[k] / total)
                bias[k] += step
                row = weight[k]
                for index, count in counts.items():
                    row[index] += step * count - rate * _DECAY * row[index]
    return Weights(
        kinds=kinds,
        version=version,
        dimension=dimension,
        bigrams=bigrams,
        weight=tuple(array("f", (round(each, _DIGITS) for each in row)) for row in weight),
        bias=array("f", (round(each, _DIGITS) for each in bias)),
    )


def mixed_up(samples: list[Sample]) -> list[Sample]:
    """The same lines, each with the label of the next kind."""
    kinds = list(dict.fromkeys(kind for _, kind in samples))
    return [(line, kinds[(kinds.index(kind) + 1) % len(kinds)]) for line, kind in samples]


def versions() -> dict[str, Weights]:
    half, whole = lines("train", seed=1, share=0.5), lines("train", seed=1)
    kinds = tuple(dict.fromkeys(kind for _, kind in whole))
    return {
        "v1": train(half, kinds, "v1", 1024, bigrams=False),
        "v2": train(whole, kinds, "v2", 8192, bigrams=True),
        "v3": train(mixed_up(half), kinds, "v3", 1024, bigrams=False),
    }


def accuracy(weights: Weights, samples: list[Sample]) -> float:
    model = Classifier(weights)
    return sum(model.classify(line)[0] == kind for line, kind in samples) / len(samples)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the log classifier's three versions.")
    parser.add_argument("--out", type=Path, default=FOLDER.parent / "models", help="where the files go")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    held_out = lines("held_out", seed=2)
    for version, weights in versions().items():
        path = out / f"log-classifier-{version}.safetensors"
        write(path, weights)
        print(f"{path.name}: {path.stat().st_size} bytes, {accuracy(weights, held_out):.0%} of {len(held_out)} held-out lines right")


if __name__ == "__main__":
    main()
