"""Operators between two vectors: which samples belong together, and what comes out.

https://prometheus.io/docs/prometheus/latest/querying/operators/#vector-matching
"""

from __future__ import annotations

from metrics_scraper.labels import NAME, Labels, get, make, only, without, without_name
from metrics_scraper.promql.nodes import Matching
from metrics_scraper.promql.values import ARITHMETIC, COMPARISONS, QueryError, Vector, Version, shown


def _signature(labels: Labels, matching: Matching) -> Labels:
    """What two samples have to have in common."""
    return only(labels, matching.labels) if matching.on else without(labels, (*matching.labels, NAME))


def combine_sets(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """`and`, `or`, `unless`."""
    if op == "or":
        seen = {_signature(labels, matching) for labels, _ in left}
        return [*left, *(sample for sample in right if _signature(sample[0], matching) not in seen)]
    seen = {_signature(labels, matching) for labels, _ in right}
    return [sample for sample in left if (_signature(sample[0], matching) in seen) == (op == "and")]


def combine(op: str, left: Vector, right: Vector, matching: Matching, as_bool: bool, version: Version) -> Vector:
    """Arithmetic and comparison, sample by sample. Raises QueryError where one sample has several to go with."""
    if not left or not right:
        return []
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    side = "left" if swapped else "right"
    partners: dict[Labels, tuple[Labels, float]] = {}
    for sample in one:
        signature = _signature(sample[0], matching)
        if signature in partners:
            told = sorted((shown(sample[0]), shown(partners[signature][0])))
            raise QueryError(
                f"found duplicate series for the match group {shown(signature)} on the {side} hand-side of the operation: [{', '.join(told)}]"
                ";many-to-many matching not allowed: matching labels must be unique on one side"
            )
        partners[signature] = sample
    found: Vector = []
    taken: dict[Labels, set[Labels]] = {}
    for labels, value in many:
        signature = _signature(labels, matching)
        partner = partners.get(signature)
        if partner is None:
            continue
        operands = (partner[1], value) if swapped else (value, partner[1])
        result, keep = scalar_result(op, *operands)
        # Until 3.9 a sample that a comparison drops was no match, and did not stand in the way of another one.
        if not keep and not as_bool and version < (3, 9):
            continue
        metric = _result_labels(labels, partner[0], op, matching, as_bool)
        there = taken.setdefault(signature, set())
        if not matching.many and there:
            raise QueryError("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
        if metric in there:
            raise QueryError("multiple matches for labels: grouping labels must ensure unique matches")
        there.add(metric)
        if keep or as_bool:
            found.append((metric, float(keep) if as_bool else result))
    return found


def scalar_result(op: str, left: float, right: float) -> tuple[float, bool]:
    """The value of `left op right`, which for a comparison is the left one, and whether the comparison holds."""
    if op in COMPARISONS:
        return left, COMPARISONS[op](left, right)
    return ARITHMETIC[op](left, right), True


def _result_labels(many: Labels, one: Labels, op: str, matching: Matching, as_bool: bool) -> Labels:
    labels = many
    if op in ARITHMETIC or as_bool:
        labels = without_name(labels)
    if not matching.many:
        labels = only(labels, matching.labels) if matching.on else without(labels, matching.labels)
    if matching.include:
        labels = make({**dict(labels), **{name: get(one, name) for name in matching.include}})
    return labels
