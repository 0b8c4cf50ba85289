"""The weights: made by the training program, read back, good at what they were trained for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from model_server import summary, weights
from model_server.classifier import Classifier
from model_server.summary import Labelled

from tests.images.conftest import IMAGES

MODELS = IMAGES / "model_server/models"


@pytest.fixture(scope="module")
def train() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train", IMAGES / "model_server/training/train.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_training_again_gives_the_files_that_are_here(train: ModuleType, tmp_path: Path) -> None:
    for version, made in train.versions().items():
        weights.write(tmp_path / version, made)
        assert (tmp_path / version).read_bytes() == (MODELS / f"log-classifier-{version}.safetensors").read_bytes(), version


def test_the_second_version_is_better_and_the_third_is_bad(train: ModuleType) -> None:
    held_out = train.lines("held_out", seed=99)
    right = {each: train.accuracy(weights.read(MODELS / f"log-classifier-{each}.safetensors"), held_out) for each in ("v1", "v2", "v3")}
    assert right["v2"] > right["v1"] > 0.8
    assert right["v3"] < 0.2


def test_no_held_out_template_is_trained_on(train: ModuleType) -> None:
    assert not {line for line, _ in train.lines("held_out", 1)} & {line for line, _ in train.lines("train", 1)}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "header too small"),
        (lambda data: b"not a model at all" * 100, "header too large"),
        (lambda data: data[:4] + bytes(4) + data[8:400], "invalid header length|incomplete"),
        (lambda data: data[:20000], "incomplete metadata"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum mismatch"),
        (lambda data: data[:8] + b"x" + data[9:], "invalid JSON in header"),
    ],
)
def test_a_damaged_file_is_refused_with_its_damage(damage: Callable[[bytes], bytes], words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(damage((MODELS / "log-classifier-v1.safetensors").read_bytes()))
    with pytest.raises(weights.SafetensorError, match=words):
        weights.read(path)


def test_probabilities_add_up() -> None:
    found = Classifier(weights.read(MODELS / "log-classifier-v2.safetensors")).probabilities("CUDA error on GPU 0")
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=lambda kind: found[kind]) == "gpu"


def test_a_summary_counts_quotes_and_advises() -> None:
    lines = [
        Labelled("02:10:01 api OOMKilled", "out-of-memory", 0.7),
        Labelled("02:10:05 Memory cgroup out of memory", "out-of-memory", 0.9),
        Labelled("02:11:00 dial tcp: connection refused", "network", 0.9),
        Labelled("GET /ready 200", "routine", 0.9),
    ]
    said = summary.summarise(lines)
    assert said.startswith("4 log lines between 02:10:01 and 02:11:00.")
    assert "memory running out (2 lines)" in said
    assert '"02:10:05 Memory cgroup out of memory"' in said
    assert "connections that fail (1)" in said
    assert "".join(summary.tokens(said)) == said


def test_a_routine_log_asks_for_nothing() -> None:
    assert "nothing here asks for action" in summary.summarise([Labelled("GET / 200", "routine", 1.0)])
