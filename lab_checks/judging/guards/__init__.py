"""Guards against fixes that make the symptom go away and leave the cluster worse: each ends the check with words of its own.

A check calls the guards that its goal needs; a guard that finds nothing says nothing. Labs say `guards.tolerates_narrowly(…)`, whichever file it is in.
"""

from __future__ import annotations

from lab_checks.judging.guards.diagnosis_first import diagnosed
from lab_checks.judging.guards.plugin import plugin_is_a_daemonset, plugin_is_hardened, plugin_serves
from lab_checks.judging.guards.pod_security import isolated_from_node, like_any_other, not_privileged
from lab_checks.judging.guards.pods import STOPPED, no_other_holds_a_gpu, plugin_not_restarted, pod_started, timed_before_a_stop
from lab_checks.judging.guards.probes import (
    load_seconds,
    probe_budget,
    probe_question,
    probes_are_true,
    ready_with_its_model,
    seconds_to_ready,
    server_container,
    variables,
)
from lab_checks.judging.guards.programs import commands, no_lying_variable, nothing_over_the_program, runs
from lab_checks.judging.guards.scheduling import (
    admits_exactly,
    next_of_its_kind,
    template_has_no_node_name,
    tied_to_no_node,
    tolerates_narrowly,
    tolerates_only,
    tolerates_only_gpus,
    would_be_placed_again,
)
from lab_checks.judging.guards.sizes import asks_no_more, memory_limited, requests_kept
from lab_checks.judging.guards.stray_pods import made_from_template
from lab_checks.judging.guards.traffic import listed_behind_service, selects_every_pod
from lab_checks.judging.guards.workloads import (
    holds_gpus,
    pods_kept_running,
    running_and_ready,
)

__all__ = [
    "STOPPED",
    "admits_exactly",
    "asks_no_more",
    "commands",
    "diagnosed",
    "holds_gpus",
    "isolated_from_node",
    "like_any_other",
    "listed_behind_service",
    "load_seconds",
    "made_from_template",
    "memory_limited",
    "next_of_its_kind",
    "no_lying_variable",
    "no_other_holds_a_gpu",
    "not_privileged",
    "nothing_over_the_program",
    "plugin_is_a_daemonset",
    "plugin_is_hardened",
    "plugin_not_restarted",
    "plugin_serves",
    "pod_started",
    "pods_kept_running",
    "probe_budget",
    "probe_question",
    "probes_are_true",
    "ready_with_its_model",
    "requests_kept",
    "running_and_ready",
    "runs",
    "seconds_to_ready",
    "selects_every_pod",
    "server_container",
    "template_has_no_node_name",
    "tied_to_no_node",
    "timed_before_a_stop",
    "tolerates_narrowly",
    "tolerates_only",
    "tolerates_only_gpus",
    "variables",
    "would_be_placed_again",
]
