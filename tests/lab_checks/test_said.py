"""What programs say of themselves: metrics by name and label, the load generator's seconds."""

from __future__ import annotations

from lab_checks.judging import said

PAGE = """# HELP model_requests_total Requests.
# TYPE model_requests_total counter
model_requests_total{code="200",kind="summarize"} 31.0
model_requests_total{code="503",kind="summarize"} 2.0
model_requests_total_more 7
process_resident_memory_bytes 1.048576e+08
process_peak_resident_memory_bytes 1.572864e+08
"""


def test_a_metric_is_summed_over_the_samples_that_carry_the_labels() -> None:
    assert said.total(PAGE, "model_requests_total") == 33
    assert said.total(PAGE, "model_requests_total", code="200") == 31
    assert said.total(PAGE, "model_requests", code="200") == 0
    assert said.samples(PAGE, "model_requests_total")[1] == ({"code": "503", "kind": "summarize"}, 2.0)


def test_memory_is_told_in_mib_and_0_where_it_is_not() -> None:
    assert (said.resident_mib(PAGE), said.peak_mib(PAGE)) == (100, 150)
    assert (said.resident_mib(""), said.peak_mib("")) == (0, 0)


def test_the_load_generators_seconds_are_read_with_and_without_timestamps() -> None:
    log = (
        '2026-11-23T16:40:11Z {"at": 1.0, "ok": 5, "errors": 1, "outcomes": {"200": 5, "503": 1}}\n'
        '{"at": 2.0, "ok": 0, "errors": 0, "outcomes": {}}\nhalf a li\n{"summary": {"errors": 9}}\n[1]\n'
    )
    assert [(stamp, outcomes, row["at"]) for stamp, outcomes, row in said.counted(log)] == [
        ("2026-11-23T16:40:11Z", {"200": 5, "503": 1}, 1.0),
        ("", {}, 2.0),
    ]
