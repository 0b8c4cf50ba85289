"""PromQL: `Engine` answers queries over a storage.

`parsing` makes a tree of `nodes`, `engine` walks it at each moment; `functions`, `aggregations`, `matching` and `histograms` are what it calls.
"""

from metrics_scraper.promql.engine import LATEST, Engine, InvalidType, QueryTimeout, Result
from metrics_scraper.promql.parsing import ParseError, parse
from metrics_scraper.promql.values import QueryError, Version

__all__ = ["LATEST", "Engine", "InvalidType", "ParseError", "QueryError", "QueryTimeout", "Result", "Version", "parse"]
