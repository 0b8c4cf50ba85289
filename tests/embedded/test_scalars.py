"""Times and bytes in JSON."""

from __future__ import annotations

import pytest

from clusters.embedded import scalars
from clusters.embedded.scalars import ScalarError


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00+02:00", "2025-12-31T22:00:00Z"),
        ("2026-01-01T00:00:00.75Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_held_in_whole_seconds_of_utc(given: str, written: str) -> None:
    assert scalars.time(given) == written


def test_a_micro_time_keeps_its_microseconds() -> None:
    assert scalars.time("2026-01-01T00:00:00.000123Z", micro=True) == "2026-01-01T00:00:00.000123Z"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", 'parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"'),
        ("2026-01-01", 'parsing time "2026-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
        ("2026-13-01T00:00:00Z", 'parsing time "2026-13-01T00:00:00Z": month out of range'),
        ("2026-02-30T00:00:00Z", 'parsing time "2026-02-30T00:00:00Z": day out of range'),
    ],
)
def test_what_is_no_time_is_told_as_go_tells_it(text: str, why: str) -> None:
    with pytest.raises(ScalarError) as refused:
        scalars.time(text)
    assert str(refused.value) == why


def test_line_ends_in_base64_are_taken_out() -> None:
    assert scalars.base64_text("YW\nJj") == "YWJj"
    assert scalars.base64_text("") == ""


@pytest.mark.parametrize(
    ("text", "position"), [("!!", 0), ("plain text", 5), ("YWJ", 0), ("YWJjYQ", 4), ("YQ=", 3), ("YQ=a", 2), ("YQ==YQ==", 4), ("Y===", 1)]
)
def test_the_first_wrong_byte_of_base64_is_named(text: str, position: int) -> None:
    with pytest.raises(ScalarError) as refused:
        scalars.base64_text(text)
    assert str(refused.value) == f"illegal base64 data at input byte {position}"
