"""What scoring rests on: sentences, word forms, misspellings, patterns."""

from __future__ import annotations

import pytest

from lab_checks.interview import denial, heap, language, matching, questions


def _said(text: str) -> list[str]:
    return [" ".join(each.words) for each in language.sentences(text)]


def test_terms_of_the_api_are_read_as_words() -> None:
    assert _said("FailedScheduling: set maxSurge to 0, e.g. with a ClusterIP.") == [
        "failed scheduling set max surge to 0 eg with a cluster ip"
    ]
    assert _said("`nvidia.com/gpu` under **limits**") == ["nvidiagpu under limits"]
    assert _said("GPUs and OOMKilled, oomkilled") == ["gpus and oomkilled oomkilled"]


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
    ("text", "heaped"),
    [
        ("Read the scheduler's events first, then the node's allocatable.", False),
        ("CPU first. Need: p95 target, rps, model size? Benchmark w/ real inputs; GPU only if CPU misses SLO.", False),
        ("cordon -> drain --ignore-daemonsets (PDB respected, no --force). driver, reboot. check Ready, allocatable. uncordon", False),
        ("GPU, device plugin, taint, toleration, quota, kubelet", True),
        ("gpu device plugin kubelet allocatable scheduler taint toleration quota limits readiness events logs", True),
        ("I know it all: cordon, drain, uncordon, allocatable, budget, plugin, checkpoint, owners", True),
    ],
)
def test_terms_in_a_row_are_a_heap_and_terse_sentences_are_none(text: str, heaped: bool) -> None:
    assert heap.is_heap(text) is heaped


def _says(pattern: str, *texts: str) -> bool:
    said = tuple(language.sentences(" ".join(texts)))
    return matching.says(matching.compile_pattern(pattern), matching.passage(said, questions.lexicon()))


def test_a_pattern_needs_all_its_slots_and_their_order() -> None:
    assert _says("event* & <look>", "I look at the events.")
    assert not _says("event* & <look>", "There was an event.")
    assert _says("limit > below > load", "The limit is below the load.")
    assert not _says("limit > below > load", "The load is below the limit.")


def test_what_is_denied_says_nothing_unless_the_pattern_asks_for_the_denial() -> None:
    assert not _says("plugin & advertise", "The plugin does not advertise anything.")
    assert _says("!overcommit*", "GPUs cannot be overcommitted.")
    assert not _says("!overcommit*", "GPUs can be overcommitted.")
    assert not _says("network policy", "A network policy is not needed here, we need speed.")


@pytest.mark.parametrize(
    "text",
    [
        "I delete the quota.",
        "Then the ResourceQuota gets deleted.",
        "I export the quota, delete it, and put it back in the evening.",
        "The quota can be removed for an hour.",
        "I switch the quota off.",
    ],
)
def test_an_act_is_found_in_each_of_its_forms(text: str) -> None:
    assert _says("<remove> -> quota", text)


def test_a_verb_and_a_thing_that_do_not_belong_together_are_no_act() -> None:
    assert not _says("<remove> -> quota", "Delete idle Pods and set a quota for each namespace.")


def test_a_denial_reaches_through_a_list_and_no_further() -> None:
    said = language.sentences("Never delete, drop or bypass the quota, but read its numbers.")[0]
    loose = dict(zip(said.words, denial.denial(said).loose, strict=True))
    assert loose["drop"]
    assert loose["quota"]
    assert not loose["read"]


def test_a_misspelt_term_is_understood_and_another_word_is_not() -> None:
    assert _says("toleration", "I add a tolleration to the Pod.")
    assert not _says("quota", "I quote the event of the Pod.")


def test_abbreviations_and_symbols_are_written_out() -> None:
    assert _said("k describe rs -> FailedCreate; LB w/o auth")[0].startswith(
        "kubectl describe replica set failed create load balancer without auth"
    )


def test_a_pattern_with_an_unknown_group_is_refused() -> None:
    with pytest.raises(ValueError, match="no group <nobody>"):
        matching.compile_pattern("event & <nobody>")


def test_a_phrase_stays_in_its_sentence() -> None:
    assert _says("old weights", "Drop the old weights.")
    assert not _says("old weights", "Rotate the token, then drop the old.", "Weights are pinned.")


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("I kill whatever runs on the cards.", "kill"),
        ("We evict anything that sits there.", "evict"),
    ],
)
def test_what_a_person_does_to_anything_there_is_no_wish_of_somebody_else(text: str, verb: str) -> None:
    sentence = language.sentences(text)[0]
    said = denial.denial(sentence)
    assert not any(said.loose[sentence.words.index(verb) :])


def test_what_may_have_happened_is_seen_and_not_planned() -> None:
    moved = language.sentences("If the tag was moved, undo pulls it again.")[0]
    assert denial.observed(moved, moved.words.index("moved"))
    planned = language.sentences("If I am in a hurry, the tag gets moved.")[0]
    assert not denial.observed(planned, planned.words.index("moved"))


def test_what_follows_otherwise_is_a_reason_and_no_disapproval() -> None:
    sentence = language.sentences("The Pods run privileged, otherwise the drivers are not seen.")[0]
    at = sentence.words.index("privileged")
    assert not denial.disapproved(sentence, at, at)
