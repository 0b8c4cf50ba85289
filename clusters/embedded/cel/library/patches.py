"""Parts of JSON patches: `"/metadata/labels/" + jsonpatch.escapeKey("example.com/team")`."""

from __future__ import annotations

from clusters.embedded.cel.functions import function


@function("jsonpatch.escapeKey", "string", returns="string")
def escape_key(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
