"""The message to the users: whether it says who is affected, what they see, how it stands, and when they hear more. A text comes in, findings come out."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Fewer words say nothing; so many are not read by anybody who is waiting.
SHORTEST, LONGEST = 12, 160
_STATE = (
    r"restor|mitigat|recover|resolved|fixed|working again|works again|back (to normal|up|online)|investigat|workaround|answers? again|identified"
    r"|serv(es|ing) again"
)
_WHEN = r"\b\d{1,2}[:.]\d{2}\b|\bnext update\b|\b(in|within|for|at) (about )?\d+ ?(min|hour|h\b)|\bminutes?\b|\bhours?\b|\btomorrow\b|\bno further update"


def missing(text: str, services: Sequence[str], impact: Sequence[str]) -> list[str]:
    """What the message lacks, in words; four things are asked for. A message that is no message lacks all four."""
    lower = " ".join(text.lower().split())
    words = len(lower.split())
    # The same word again and again is no message.
    if len(set(lower.split())) < SHORTEST * 3 // 4 or words < SHORTEST:
        return [f"a message of {SHORTEST} words at least, with the service", "what users see", "how it stands", "when they hear more"]
    found = []
    if gone := [each for each in services if each.lower() not in lower and each.lower().replace("-", " ") not in lower]:
        found.append(f"which service is meant: {', '.join(gone)}")
    if not any(each.lower() in lower for each in impact):
        found.append("what users see of it")
    if not re.search(_STATE, lower):
        found.append("how it stands now")
    if not re.search(_WHEN, lower):
        found.append("since when, or when they hear more: a time")
    if words > LONGEST and len(found) < 4:
        found.append(f"a message that is read: at most {LONGEST} words, not {words}")
    return found
