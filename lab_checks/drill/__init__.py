"""Incident drills: a platform under load, broken by a seed, and a learner scored as on call.

`generate` makes a drill of a seed and needs no cluster. `lay` creates its platform and breaks it. `judge` scores what a learner found and did.
Faults are data: one file each in `faults/`.
"""

from lab_checks.drill.catalogue import Fault, UnknownFault, fault
from lab_checks.drill.generator import Drill, Laid, Service, causes, generate
from lab_checks.drill.judging import diagnose, judge, note
from lab_checks.drill.laying import lay
from lab_checks.drill.record import post_mortem, report, report_text
from lab_checks.drill.score import Line, Score

__all__ = [
    "Drill",
    "Fault",
    "Laid",
    "Line",
    "Score",
    "Service",
    "UnknownFault",
    "causes",
    "diagnose",
    "fault",
    "generate",
    "judge",
    "lay",
    "note",
    "post_mortem",
    "report",
    "report_text",
]
