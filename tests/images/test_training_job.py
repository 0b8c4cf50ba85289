"""The training: its steps, its checkpoints, how its Pods meet, and what it does when it is told to end."""

from __future__ import annotations

import json
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from training_job import checkpoint, model, peers, settings, training
from training_job.checkpoint import Progress
from training_job.settings import Wrong

from tests.images.conftest import Start, port_for_tests

GPU = {"NVIDIA_VISIBLE_DEVICES": "GPU-1"}


def test_two_parts_of_the_data_learn_what_the_whole_learns() -> None:
    whole, halves = model.part(0, 1), [model.part(index, 2) for index in range(2)]
    assert sorted(map(repr, whole)) == sorted(map(repr, [*halves[0], *halves[1]]))
    weights, first = model.start(), 0.0
    for _ in range(40):
        together = model.mean([model.gradient(weights, half)[0] for half in halves])
        alone, loss = model.gradient(weights, whole)
        assert together == pytest.approx(alone)
        first = first or loss
        weights = model.moved(weights, together, 0.5)
    assert loss < first / 1.5


def test_a_checkpoint_comes_back_whole_and_tells_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    assert checkpoint.load(path) is None
    progress = Progress()
    for _ in range(3):
        progress = progress.after([1.0], begun=0)
    for _ in range(2):
        progress = progress.after([2.0], begun=3)
    checkpoint.save(path, progress)
    assert checkpoint.load(path) == progress
    assert progress.told == "1-3, 4-5"
    path.write_text('{"step": 3}')
    with pytest.raises(ValueError, match="no checkpoint"):
        checkpoint.load(path)


def test_the_pods_of_an_indexed_job_have_full_names() -> None:
    chosen = settings.read(
        {**GPU, "HOSTNAME": "train-classifier-1", "JOB_COMPLETION_INDEX": "1", "WORLD_SIZE": "2", "NAMESPACE": "ai-platform"}
    )
    assert chosen.job == "train-classifier"
    assert peers.names(chosen.job, chosen.size, chosen.service, chosen.namespace) == [
        "train-classifier-0.training.ai-platform.svc",
        "train-classifier-1.training.ai-platform.svc",
    ]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "no GPU"),
        ({**GPU, "LEARNING_RATE": "fast"}, "LEARNING_RATE is 'fast'"),
        ({**GPU, "LEARNING_RATE": "0"}, "above 0"),
        ({**GPU, "JOB_COMPLETION_INDEX": "2", "WORLD_SIZE": "2"}, "Pod 2, and WORLD_SIZE is 2"),
        ({**GPU, "STEPS": "0"}, "expected: 1 or more"),
    ],
)
def test_a_setting_that_cannot_be_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(Wrong, match=said):
        settings.read(environment)


def test_a_wrong_setting_ends_with_42(start: Start, tmp_path: Path) -> None:
    process = start("training_job", **GPU, LEARNING_RATE="fast")
    log, _ = process.communicate(timeout=60)
    assert (process.returncode, log) == (42, "wrong: LEARNING_RATE is 'fast'; expected: a number\n")


def test_a_training_that_is_told_to_end_saves_and_goes_on_behind_its_last_step(start: Start, tmp_path: Path) -> None:
    alone = {
        **GPU,
        "HOSTNAME": "train-0",
        "CHECKPOINTS": str(tmp_path),
        "STEPS": "30",
        "CHECKPOINT_EVERY": "1000",
        "PORT": str(port_for_tests()),
    }
    process = start("training_job", **alone, STEP_SECONDS="0.1")
    assert process.stdout
    for line in process.stdout:
        if line.startswith("step 5 "):
            break
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    saved = json.loads((tmp_path / "train.json").read_text())
    assert f"told to end at step {saved['step']}: the checkpoint is saved" in rest
    again = start("training_job", **alone, STEP_SECONDS="0")
    log, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert f"resumed from step {saved['step']}, saved at {tmp_path}/train.json" in log
    assert log.splitlines()[-1] == f"done: 30 steps, runs 1-{saved['step']}, {saved['step'] + 1}-30"


def test_pods_wait_for_each_other_train_together_and_wait_again_for_one_that_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "names", lambda job, size, service, namespace: ["localhost"] * size)
    port = port_for_tests()
    base = settings.read({**GPU, "HOSTNAME": "train-0", "WORLD_SIZE": "2", "STEPS": "12", "CHECKPOINTS": str(tmp_path), "PORT": str(port)})
    leaders, workers = [], []
    paused, go_on = threading.Event(), threading.Event()

    def pause(seconds: float) -> None:
        # In the middle of the training the worker is replaced by another one.
        if leader.progress.step == 5 and not go_on.is_set():
            paused.set()
            go_on.wait(60)

    leader = training.Leader(replace(base, seconds=0), leaders.append, pause)
    with peers.listen(port) as server:
        leading = threading.Thread(target=leader.run, args=(server,), daemon=True)
        leading.start()
        line = peers.join(1, ["localhost", "localhost"], port, workers.append)
        examples = model.part(1, 2)
        while not paused.is_set():
            message = line.receive()
            line.send({"step": message["step"], "gradient": model.gradient(message["weights"], examples)[0]})
            paused.wait(0.05 if message["step"] < 4 else 60)
        line.close()
        go_on.set()
        training.work(replace(base, index=1), workers.append)
        leading.join(60)
    assert leaders[0].startswith("waiting for localhost")
    assert "all 2 Pods are here: training goes on after step 0" in leaders
    assert [each for each in leaders if each.startswith("lost localhost")] == [each for each in leaders if each.endswith("at step 5")]
    assert "all 2 Pods are here: training goes on after step 5" in leaders
    assert leaders[-1] == "done: 12 steps, runs 1-12"
    assert workers[-1] == "done: 12 steps"


def test_a_caller_that_is_no_peer_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    port = port_for_tests()
    with peers.listen(port) as server:
        gathered: list[list[peers.Line]] = []
        waiting = threading.Thread(target=lambda: gathered.append(peers.gather(server, ["localhost"] * 2, said.append)), daemon=True)
        waiting.start()
        stranger = peers.join(7, ["localhost"] * 2, port, said.append)
        good = peers.join(1, ["localhost"] * 2, port, said.append)
        waiting.join(60)
        assert len(gathered[0]) == 1
        gathered[0][0].close()
        for each in (stranger, good):
            each.close()
    assert any("turned away" in each and "Pod 7" in each for each in said)
