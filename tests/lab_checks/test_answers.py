"""What people type, read as numbers, times, sizes, shares, names and words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab_checks.judging import answers

NODES = ["ai-lab-control-plane", "ai-lab-worker", "ai-lab-worker2", "ai-lab-worker3"]
DAEMONSETS = ["nvidia-device-plugin-daemonset", "kindnet", "kube-proxy"]


@pytest.mark.parametrize(
    ("typed", "value", "measures"),
    [
        (3, 3, ""), ("3", 3, ""), ("three", 3, ""), ("One", 1, ""), ("2 GPUs", 2, ""), ("two GPUs", 2, ""), ("~4", 4, ""), ("about 4 s", 4, "time"),
        ("3.0 s", 3, "time"), ("3,5 s", 3.5, "time"), ("250 ms", 0.25, "time"), ("2 min", 120, "time"), ("171 MiB", 171 * 2**20, "size"),
        ("171Mi", 171 * 2**20, "size"), ("171M", 171e6, "size"), ("1,024", 1024, ""), ("0.5", 0.5, ""), ("1e3", 1000, ""), ("none", 0, ""),
        ("33 %", 0.33, "share"), ("1m4s", 64, "time"), ("1 min 4 s", 64, "time"), ("twenty-three", 23, ""), ("one hundred and thirty-seven", 137, ""),
        ("a total of 3 GPUs", 3, ""), ("3 in total", 3, ""), ("it is 3", 3, ""), ("no GPUs", 0, ""), ("4.0 seconds (measured)", 4, "time"),
        ("137 (SIGKILL)", 137, ""), ("3 (2 A100 + 1 T4)", 3, ""), ("-3", -3, ""), (["3"], 3, ""), ("2 + 1 = 3", 3, ""), ("3 - 1 = 2 GPUs", 2, ""),
    ],
)  # fmt: skip
def test_a_number_is_read_in_the_form_it_was_typed(typed: object, value: float, measures: str) -> None:
    found = answers.number(typed)
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.measures == measures


@pytest.mark.parametrize(
    "typed",
    [
        "nan", "NaN", float("nan"), "inf", float("inf"), "1e999", "", "soon", True, None, [], "3 or 4", "3; 4", "3 or four", "two of three", "not 3",
        "3 GPUs, 2 free", "two thirds", "less than 3", "twenty eleven", "a few", [3, 4], {"a": 3},
    ],
)  # fmt: skip
def test_what_is_no_number_is_none(typed: object) -> None:
    assert answers.number(typed) is None


@given(st.integers(0, 999), st.sampled_from(["{}", " {} ", "{}.0", '"{}"', "~{}", "{} GPUs", "exactly {}", "{} in total", "all {}", "{}."]))
def test_a_count_is_the_same_in_every_dress(value: int, dress: str) -> None:
    assert answers.count(dress.format(value)) == value


@given(st.integers(0, 199))
def test_a_count_is_read_from_words(value: int) -> None:
    assert answers.count(spelled(value)) == value


def spelled(value: int) -> str:
    """23 as twenty-three: the other direction, written for this test."""
    if value >= 100:
        return "one hundred" + (f" and {spelled(value - 100)}" if value > 100 else "")
    if value < 20:
        return answers._ONES[value]
    tens = answers._TENS[value // 10 - 2]
    return f"{tens}-{spelled(value % 10)}" if value % 10 else tens


@pytest.mark.parametrize("typed", ["0.5", "3 s", "3 MiB", "33 %", "half a GPU", "a third"])
def test_a_part_a_time_a_size_and_a_share_are_no_count(typed: str) -> None:
    assert answers.count(typed) is None


@pytest.mark.parametrize("typed", ["2 of 3", "two of three", "2 out of the 3 GPUs", "2 of them"])
def test_a_count_out_of_more_is_the_count(typed: str) -> None:
    assert answers.count(typed) == 2


@pytest.mark.parametrize(
    ("typed", "things"),
    [
        ("3", []), (3, []), ("3 GPUs", ["gpu"]), ("3 nodes in all", ["node"]), ("2 are taken", ["taken"]), ("2 free GPUs on two nodes", ["free", "gpu"]),
        ("3 (nodes aside)", []), ("one of 3 GPUs", []),
    ],
)  # fmt: skip
def test_a_number_is_read_with_what_it_counts(typed: object, things: list[str]) -> None:
    assert answers.counted(typed) == things


def test_the_whole_is_read_out_of_a_part_of_it() -> None:
    assert [answers.out_of(each) for each in ("2 of 3", "2 out of the three GPUs", "2", 2)] == [3, 3, None, None]


def test_a_time_is_in_seconds_and_a_size_in_mebibytes() -> None:
    assert answers.seconds("3") == answers.seconds("3 s") == answers.seconds("3000 ms") == 3
    assert answers.seconds("3 MiB") is None
    assert answers.mebibytes("96") == answers.mebibytes("96Mi") == answers.mebibytes("96 MiB") == 96
    assert answers.mebibytes("96 s") is None


@pytest.mark.parametrize(
    ("typed", "found"),
    [(each, 100 / 3) for each in ("1/3", "1 of 3", "one of three", "1 in 3", "one third", "a third", "one-third", "2 of 6 GPUs", "1 of the 3 GPUs")]
    + [(0.33, 33), (33, 33), ("33 %", 33), ("33 per cent", 33), ("33% of all", 33), ("0.5 %", 0.5), (1, 1), ("half", 50), (0, 0)],
)  # fmt: skip
def test_a_share_is_read_as_percent_fraction_or_ratio(typed: object, found: float) -> None:
    assert answers.percent(typed) == pytest.approx(found)


@pytest.mark.parametrize("typed", ["1/0", "a few", "", None, "33 s", "33 or 34"])
def test_what_is_no_share_is_none(typed: object) -> None:
    assert answers.percent(typed) is None


@pytest.mark.parametrize(
    ("typed", "known", "found"),
    [
        (["x", "node/b"], (), {"x", "b"}), ("x, b", (), {"x", "b"}), ("b c\n", (), {"b", "c"}), ("daemonset.apps/b", (), {"b"}), (2, (), {"2"}),
        ("node/ai-lab-worker2 and node/ai-lab-worker3", NODES, {"ai-lab-worker2", "ai-lab-worker3"}),
        ("worker2, worker 3", NODES, {"ai-lab-worker2", "ai-lab-worker3"}),
        ("both the nodes worker2 & AI-LAB-WORKER3.", NODES, {"ai-lab-worker2", "ai-lab-worker3"}),
        ("['ai-lab-worker2', 'ai-lab-worker3']", NODES, {"ai-lab-worker2", "ai-lab-worker3"}),
        ("ai-lab-worker2 (A100), ai-lab-worker3 (T4)", NODES, {"ai-lab-worker2", "ai-lab-worker3"}),
        ("worker", NODES, {"ai-lab-worker"}), ("the control plane", NODES, {"ai-lab-control-plane"}), ("ai-lab", NODES, {"ai-lab"}),
        ("worker2 and moon", NODES, {"ai-lab-worker2", "moon"}),
        ("- worker2\n- worker-3", NODES, {"ai-lab-worker2", "ai-lab-worker3"}), ("worker2/worker3", NODES, {"ai-lab-worker2", "ai-lab-worker3"}),
        ("ai-lab-worker2: 2, ai-lab-worker3: 1", NODES, {"ai-lab-worker2", "ai-lab-worker3"}), ("worker2 with 2 GPUs", NODES, {"ai-lab-worker2"}),
        ("ai-lab-worker 2", NODES, {"ai-lab-worker", "2"}),
        ("the nvidia-device-plugin-daemonset in kube-system", DAEMONSETS, {"nvidia-device-plugin-daemonset"}),
        ("nvidia-device-plugin-daemonset in the namespace kube-system", DAEMONSETS, {"nvidia-device-plugin-daemonset"}),
        ("DaemonSet nvidia-device-plugin-daemonset (kube-system)", DAEMONSETS, {"nvidia-device-plugin-daemonset"}),
        ("kube-system/nvidia-device-plugin-daemonset", DAEMONSETS, {"nvidia-device-plugin-daemonset"}),
        ("nvidia-device-plugin", DAEMONSETS, {"nvidia-device-plugin-daemonset"}), ("the plugin", DAEMONSETS, {"plugin"}),
        ('model_queue_depth, model_ttft_bucket{le="0.1"}', (), {"model_queue_depth", "model_ttft_bucket"}),
    ],
)  # fmt: skip
def test_names_are_read_from_lists_and_texts_short_and_long(typed: object, known: list[str], found: set[str]) -> None:
    assert answers.names(typed, known) == found


@pytest.mark.parametrize("typed", ["", None, [], True, "worker2 or worker3", "all but worker", "every node", "neither", {"a": 1}])
def test_names_that_leave_open_which_are_meant_are_none(typed: object) -> None:
    assert answers.names(typed, NODES) is None


@given(
    st.sets(st.sampled_from(NODES), min_size=1),
    st.sampled_from([", ", " and ", " ", ",", ";\n", " & "]),
    st.sampled_from(["", "node/", "node "]),
    st.booleans(),
)
def test_names_are_the_same_in_every_dress(nodes: set[str], between: str, before: str, short: bool) -> None:
    typed = between.join(before + (each.removeprefix("ai-lab-") if short else each) for each in sorted(nodes))
    assert answers.names(typed, NODES) == nodes


@pytest.mark.parametrize(
    ("typed", "found"),
    [("nvidia.com/gpu", "nvidia.com/gpu"), ("the taint nvidia.com/gpu", "nvidia.com/gpu"), ("on the CPU", "CPU"), ("GPU", "GPU"), ("`cuda:0`", "cuda:0")]
    + [(each, None) for each in ("", None, "cpu or gpu", "a.txt b.txt", True)],
)  # fmt: skip
def test_one_word_is_read_without_what_stands_around_it(typed: object, found: str | None) -> None:
    assert answers.word(typed) == found


def test_a_phrase_keeps_its_words_and_no_others() -> None:
    assert answers.phrase("the connection refused.") == "connection refused"
    assert answers.phrase("") is None


def test_a_choice_is_the_same_however_its_words_are_joined() -> None:
    causes = ["held-by-others", "no-plugin"]
    assert [answers.choice(each, causes) for each in ("held-by-others", "Held by others", "no_plugin", "both", "")] == [
        *["held-by-others"] * 2,
        "no-plugin",
        None,
        None,
    ]


@pytest.mark.parametrize("typed", ["Xid=79", "xid 79", "the xid is 79", "79", "XID: 79"])
def test_an_answer_may_be_called_what_it_is(typed: str) -> None:
    assert answers.count(answers.unlabelled(typed, ("xid",))) == 79
