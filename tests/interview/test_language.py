"""What scoring rests on: sentences, word forms, misspellings, patterns."""

from __future__ import annotations

import pytest

from lab_checks.interview import language, matching, questions


def _said(text: str) -> list[str]:
    return [" ".join(each.words) for each in language.sentences(text)]


def test_terms_of_the_api_are_read_as_words() -> None:
    assert _said("FailedScheduling: set maxSurge to 0, e.g. with a ClusterIP.") == [
        "failed scheduling set max surge to 0 eg with a cluster ip"
    ]
    assert _said("`nvidia.com/gpu` under **limits**") == ["nvidiagpu under limits"]
    assert _said("GPUs and OOMKilled, oomkilled") == ["gpus and oom killed oom killed"]


def test_bullets_are_sentences_of_their_own_and_wrapped_lines_are_joined() -> None:
    assert len(language.sentences("- Read the events\n- Describe the node\n1. Look at the log")) == 3
    wrapped = "I read the events of the Pod because the scheduler has counted\nthe nodes there, reason by reason."
    assert len(language.sentences(wrapped)) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("schedule", "scheduling"), ("policies", "policy"), ("running", "runs"), ("load", "loaded"), ("probe", "probes")]
)
def test_forms_of_a_word_are_one(one: str, other: str) -> None:
    assert language.stem(one) == language.stem(other)


@pytest.mark.parametrize(
    ("one", "other", "apart"), [("taint", "taitn", 1), ("readiness", "readines", 1), ("quota", "quota", 0), ("kubelet", "plugin", 3)]
)
def test_letters_that_differ_are_counted(one: str, other: str, apart: int) -> None:
    assert language.distance(one, other, 2) == apart


@pytest.mark.parametrize(
    ("text", "explains"),
    [
        ("Read the scheduler's events first.", True),
        ("check logs", False),
        ("the readiness probe waits for the model", True),
        ("GPU, device plugin, taint, toleration, quota", False),
        ("gpu device plugin kubelet allocatable scheduler", False),
        ("What about the readiness probe and its traffic?", False),
    ],
)
def test_a_sentence_has_a_verb_and_words_that_tie(text: str, explains: bool) -> None:
    assert language.sentences(text)[0].explains is explains


def _says(pattern: str, text: str) -> bool:
    said = language.sentences(text)
    return matching.says(matching.compile_pattern(pattern), said[-1], said[-2] if len(said) > 1 else None, questions.terms())


def test_a_pattern_needs_all_its_groups() -> None:
    assert _says("event* & <look>", "I look at the events.")
    assert not _says("event* & <look>", "There are events.")


def test_a_denied_verb_says_nothing_unless_the_pattern_asks_for_the_denial() -> None:
    assert not _says("plugin & advertise", "The plugin does not advertise anything.")
    assert _says("<not> & overcommit*", "GPUs cannot be overcommitted.")


def test_what_is_called_needless_is_not_named() -> None:
    assert not _says("network policy & need|allow", "A network policy is not needed here, we need speed.")


def test_a_sentence_that_goes_on_is_read_with_the_one_before() -> None:
    assert _says("plugin & kubelet", "There is a plugin on each node. It talks with the kubelet.")
    assert not _says("plugin & kubelet", "There is a plugin on each node. Kubelets are old.")


def test_a_misspelt_term_is_understood_and_another_word_is_not() -> None:
    assert _says("toleration", "I add a tolleration to the Pod.")
    assert not _says("quota", "I quote the event of the Pod.")


def test_a_pattern_with_an_unknown_group_is_refused() -> None:
    with pytest.raises(ValueError, match="no group <nobody>"):
        matching.compile_pattern("event & <nobody>")
