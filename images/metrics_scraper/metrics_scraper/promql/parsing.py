"""A query's text as a tree: `promql-parser` reads it, and what is not evaluated here is refused by name.

The parser checks types and knows PromQL of Prometheus 2.45. Its tree lives in Rust and is copied at every look, so that it is read once, into `nodes`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import promql_parser as parser

from metrics_scraper.labels import NAME, InvalidPattern, Matcher
from metrics_scraper.promql import nodes
from metrics_scraper.promql.aggregations import AGGREGATIONS
from metrics_scraper.promql.functions import FUNCTIONS
from metrics_scraper.promql.nodes import Node
from metrics_scraper.promql.values import ARITHMETIC, COMPARISONS

OPERATORS = frozenset({"and", "or", "unless", *ARITHMETIC, *COMPARISONS})
# The functions that the evaluator itself knows, beside those of `functions`.
EVALUATED = frozenset(
    {"absent", "absent_over_time", "histogram_quantile", "label_replace", "label_join", "pi", "scalar", "time", "timestamp", "vector"}
)

_OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_TYPES = {"Vector": nodes.VECTOR, "Scalar": nodes.SCALAR, "Matrix": nodes.MATRIX, "String": nodes.STRING}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class ParseError(ValueError):
    """A query that cannot be read or is not evaluated here; the message begins as Prometheus' own does."""

    def __init__(self, what: str):
        super().__init__(f"parse error: {what}")


@lru_cache(maxsize=256)
def parse(text: str) -> Node:
    """The tree of a query. Raises ParseError."""
    try:
        return _node(parser.parse(text))
    except ParseError:
        raise
    except InvalidPattern as error:
        raise ParseError(str(error)) from None
    except ValueError as error:
        raise ParseError(_words(str(error))) from None


def _words(said: str) -> str:
    """The parser's own words; of the three that tell nothing, what Prometheus would say or nearly so."""
    if said == "invalid promql query":
        return "unexpected end of input or a word where none may stand"
    return said


def _unserved(what: str) -> ParseError:
    return ParseError(f"{what} is not evaluated by this server; Prometheus itself may know it")


def _node(tree: Any) -> Node:
    kind = type(tree).__name__
    if kind == "ParenExpr":
        return _node(tree.expr)
    if kind == "NumberLiteral":
        return nodes.Number(tree.val)
    if kind == "StringLiteral":
        return nodes.Text(tree.val)
    if kind == "VectorSelector":
        return _selector(tree)
    if kind == "MatrixSelector":
        return nodes.Range(_selector(tree.vector_selector), _milliseconds(tree.range))
    if kind == "SubqueryExpr":
        inside = _node(tree.expr)
        return nodes.Subquery(inside, _milliseconds(tree.range), _milliseconds(tree.step), _milliseconds(tree.offset), _at(tree.at))
    if kind == "UnaryExpr":
        inside = _node(tree.expr)
        return nodes.Number(-inside.value) if isinstance(inside, nodes.Number) else nodes.Negative(inside, inside.type)
    if kind == "Call":
        return _call(tree)
    if kind == "AggregateExpr":
        return _aggregate(tree)
    if kind == "BinaryExpr":
        return _binary(tree)
    raise _unserved(kind)


def _milliseconds(span: timedelta | None) -> int:
    return round(span.total_seconds() * 1000) if span else 0


def _at(modifier: Any) -> nodes.At:
    if modifier is None:
        return None
    kind = str(modifier.type).rpartition(".")[2]
    if kind == "Start":
        return nodes.START
    if kind == "End":
        return nodes.END
    moment: datetime = modifier.at
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _selector(tree: Any) -> nodes.Selector:
    if tree.matchers.or_matchers:
        raise _unserved('"or" between matchers')
    matchers = [Matcher(each.name, _OPS[str(each.op).rpartition(".")[2]], each.value) for each in tree.matchers.matchers]
    if tree.name:
        matchers.insert(0, Matcher(NAME, "=", tree.name))
    return nodes.Selector(tuple(matchers), _milliseconds(tree.offset), _at(tree.at))


def _call(tree: Any) -> Node:
    name = tree.func.name
    if name not in FUNCTIONS and name not in EVALUATED:
        raise _unserved(f"function {name}()")
    arguments = tuple(_node(each) for each in tree.args)
    if name in ("label_replace", "label_join") and isinstance(arguments[1], nodes.Text) and not _LABEL_NAME.fullmatch(arguments[1].value):
        raise ParseError(f"invalid destination label name in {name}(): {arguments[1].value}")
    return nodes.Call(name, arguments, _TYPES[str(tree.func.return_type).rpartition(".")[2]])


def _aggregate(tree: Any) -> Node:
    op = str(tree.op)
    if op not in AGGREGATIONS:
        raise _unserved(f"aggregation {op}")
    modifier = tree.modifier
    labels = tuple(modifier.labels) if modifier else ()
    without = modifier is not None and str(modifier.type).rpartition(".")[2] == "Without"
    parameter = _node(tree.param) if tree.param is not None else None
    return nodes.Aggregate(op, _node(tree.expr), parameter, labels, without)


def _binary(tree: Any) -> Node:
    op, left, right, modifier = str(tree.op), _node(tree.lhs), _node(tree.rhs), tree.modifier
    if op not in OPERATORS:
        raise _unserved(f"operator {op}")
    kind = nodes.SCALAR if left.type == right.type == nodes.SCALAR else nodes.VECTOR
    if modifier is None:
        return nodes.Binary(op, left, right, False, nodes.Matching(), kind)
    if modifier.fill_values and (modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None):
        raise _unserved("fill()")
    many = {"ManyToOne": "left", "OneToMany": "right"}.get(str(modifier.card).rpartition(".")[2], "")
    on, labels = False, ()
    if modifier.matching is not None:
        on, labels = str(modifier.matching.type).rpartition(".")[2] == "Include", tuple(modifier.matching.labels)
    include = tuple(modifier.group_labels or ())
    if both := sorted(set(include) & set(labels)) if on else []:
        raise ParseError(f'label "{both[0]}" must not occur in ON and GROUP clause at once')
    return nodes.Binary(op, left, right, bool(modifier.return_bool), nodes.Matching(labels, on, many, include), kind)
