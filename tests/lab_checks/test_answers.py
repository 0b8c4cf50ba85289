"""Numbers as people type them."""

from __future__ import annotations

import pytest

from lab_checks.judging import answers


@pytest.mark.parametrize(
    ("typed", "value", "measures"),
    [
        (3, 3, ""), ("3", 3, ""), ("three", 3, ""), ("One", 1, ""), ("2 GPUs", 2, ""), ("two GPUs", 2, ""), ("~4", 4, ""), ("about 4 s", 4, "time"),
        ("3.0 s", 3, "time"), ("3,5 s", 3.5, "time"), ("250 ms", 0.25, "time"), ("2 min", 120, "time"), ("171 MiB", 171 * 2**20, "size"),
        ("171Mi", 171 * 2**20, "size"), ("1,024", 1024, ""), ("0.5", 0.5, ""), ("1e3", 1000, ""), ("none", 0, ""), ("33 %", 0.33, "share"),
    ],
)  # fmt: skip
def test_a_number_is_read_in_the_form_it_was_typed(typed: object, value: float, measures: str) -> None:
    found = answers.number(typed)
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.measures == measures


@pytest.mark.parametrize("typed", ["nan", "NaN", float("nan"), "inf", float("inf"), "1e999", "", "soon", True, None, [], "3 or 4", "3; 4"])
def test_what_is_no_number_is_none(typed: object) -> None:
    assert answers.number(typed) is None


def test_a_time_is_in_seconds_and_a_size_in_mebibytes() -> None:
    assert answers.seconds("3") == answers.seconds("3 s") == answers.seconds("3000 ms") == 3
    assert answers.seconds("3 MiB") is None
    assert answers.mebibytes("96") == answers.mebibytes("96Mi") == answers.mebibytes("96 MiB") == 96
    assert answers.mebibytes("96 s") is None
