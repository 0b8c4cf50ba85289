"""`spec.podFailurePolicy`: what a failed Pod means for its Job (pkg/controller/job/pod_failure_policy.go)."""

from __future__ import annotations

from clusters.embedded.client import Object
from kubeobjects import meta


def judge(policy: Object | None, pod: Object) -> tuple[str, str]:
    """(action, message): the first rule that matches decides; FailJob, FailIndex, Ignore or Count, which is also the default."""
    for number, rule in enumerate((policy or {}).get("rules") or []):
        message = ""
        if rule.get("onExitCodes"):
            message = _by_exit_code(rule["onExitCodes"], pod)
        elif rule.get("onPodConditions"):
            message = _by_condition(rule["onPodConditions"], pod)
        if message:
            return rule["action"], f"{message} matching {rule['action']} rule at index {number}"
    return "Count", ""


def _by_exit_code(rule: Object, pod: Object) -> str:
    status = pod.get("status") or {}
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
        if not code or rule.get("containerName") not in (None, each["name"]):
            continue
        if (code in rule["values"]) == (rule["operator"] == "In"):
            return f"Container {each['name']} for pod {meta.key(pod)} failed with exit code {code}"
    return ""


def _by_condition(patterns: list[Object], pod: Object) -> str:
    for each in (pod.get("status") or {}).get("conditions") or []:
        for pattern in patterns:
            if each["type"] == pattern["type"] and each["status"] == pattern.get("status", "True"):
                return f"Pod {meta.key(pod)} has condition {each['type']}"
    return ""
