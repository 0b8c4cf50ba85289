"""Guards against fixes that make the symptom go away and leave the cluster worse: each ends the check with words of its own.

A check calls the guards that its goal needs; a guard that finds nothing says nothing. Labs say `guards.nodes_untouched(ctx)`, whichever file it is in.
"""

from __future__ import annotations

from lab_checks.judging.guards.copies import made_from_template, nothing_beside
from lab_checks.judging.guards.nodes import node_status_untouched, nodes_untouched
from lab_checks.judging.guards.order import diagnosed
from lab_checks.judging.guards.plugin import plugin_is_a_daemonset, plugin_serves
from lab_checks.judging.guards.probes import budget, load_seconds, probes_are_true, question, seconds_to_ready, server, settings
from lab_checks.judging.guards.scheduling import (
    admits_exactly,
    bound_by_scheduler,
    next_of_its_kind,
    pushes_nobody_off,
    template_has_no_node_name,
    tied_to_no_node,
    tolerates_narrowly,
    tolerates_only_gpus,
    would_be_placed_again,
)
from lab_checks.judging.guards.sizes import asks_no_more, memory_limited, requests_kept
from lab_checks.judging.guards.traffic import listed, service_kept
from lab_checks.judging.guards.walls import not_privileged, walled
from lab_checks.judging.guards.workloads import goes_on, holds_gpus, kept, others_untouched, replicas_kept, running_and_ready, same_object

__all__ = [
    "admits_exactly",
    "asks_no_more",
    "bound_by_scheduler",
    "budget",
    "diagnosed",
    "goes_on",
    "holds_gpus",
    "kept",
    "listed",
    "load_seconds",
    "made_from_template",
    "memory_limited",
    "next_of_its_kind",
    "node_status_untouched",
    "nodes_untouched",
    "not_privileged",
    "nothing_beside",
    "others_untouched",
    "plugin_is_a_daemonset",
    "plugin_serves",
    "probes_are_true",
    "pushes_nobody_off",
    "question",
    "replicas_kept",
    "requests_kept",
    "running_and_ready",
    "same_object",
    "seconds_to_ready",
    "server",
    "service_kept",
    "settings",
    "template_has_no_node_name",
    "tied_to_no_node",
    "tolerates_narrowly",
    "tolerates_only_gpus",
    "walled",
    "would_be_placed_again",
]
