"""Too many events of one kind become one; a component that shouts is not heard."""

from __future__ import annotations

from clusters.embedded.event_correlation import Correlator

KIND = ("uid", "ReplicaSet", "lab", "greedy", "Warning", "FailedCreate")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_tenth_message_of_a_kind_is_combined_with_those_before() -> None:
    correlator = Correlator(Clock())
    written = [correlator.combine(KIND, f"pod {number}") for number in range(10)]
    assert written[8] == ("pod 8", False)
    assert written[9] == ("(combined from similar events): pod 9", True)


def test_the_same_message_over_and_over_is_not_combined() -> None:
    correlator = Correlator(Clock())
    assert {correlator.combine(KIND, "Back-off restarting") for _ in range(30)} == {("Back-off restarting", False)}


def test_messages_are_forgotten_after_ten_minutes() -> None:
    clock = Clock()
    correlator = Correlator(clock)
    for number in range(9):
        correlator.combine(KIND, f"pod {number}")
    clock.now = 601.0
    assert correlator.combine(KIND, "pod 9") == ("pod 9", False)


def test_a_burst_is_let_through_and_then_one_event_in_five_minutes() -> None:
    clock = Clock()
    correlator = Correlator(clock)
    assert [correlator.admits(("uid",)) for _ in range(26)] == [True] * 25 + [False]
    clock.now = 300.0
    assert [correlator.admits(("uid",)) for _ in range(2)] == [True, False]
    assert correlator.admits(("another",))
