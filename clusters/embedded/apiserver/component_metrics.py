"""/metrics of the API server, and what a kubelet says of itself and its containers (pkg/kubelet/metrics): families as far as they are true here."""

from __future__ import annotations

import time
from collections.abc import Mapping

import psutil

from clusters.embedded.apiserver.prometheus import Family
from kubeobjects import Object, meta

_AGGREGATED = Family(
    "aggregator_discovery_aggregation_count_total",
    "counter",
    "[ALPHA] Counter of number of times discovery was aggregated",
    (({}, 0),),
)
_BUILD = (
    "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, "
    "and compiler from which Kubernetes was built, and platform on which it is running."
)
_OBJECTS = "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1."
_CADVISOR = (
    "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision."
)


def process() -> list[Family]:
    """Of the process that all components share."""
    this = psutil.Process()
    times = this.cpu_times()
    start = "Start time of the process since unix epoch in seconds."
    return [
        Family(
            "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", (({}, times.user + times.system),)
        ),
        Family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", (({}, this.memory_info().rss),)),
        Family("process_start_time_seconds", "gauge", f"[ALPHA] {start}", (({}, this.create_time()),)),
    ]


def _build(version: Mapping[str, str]) -> Family:
    names = {"gitVersion": "git_version", "gitCommit": "git_commit", "gitTreeState": "git_tree_state", "buildDate": "build_date"}
    names |= {"major": "major", "minor": "minor", "goVersion": "go_version", "compiler": "compiler", "platform": "platform"}
    labels = {label: str(version.get(name, "")) for name, label in names.items()}
    return Family("kubernetes_build_info", "gauge", _BUILD, ((labels, 1),))


def api_server(version: Mapping[str, str], counts: Mapping[tuple[str, str], int]) -> list[Family]:
    """`counts`: (group, resource) → how many objects are stored."""
    objects = tuple(({"group": group, "resource": resource}, float(count)) for (group, resource), count in sorted(counts.items()))
    return [_AGGREGATED, _build(version), Family("apiserver_resource_objects", "gauge", _OBJECTS, objects), *process()]


def kubelet(version: Mapping[str, str], usage: Object) -> list[Family]:
    """`usage` is `KubeletServer.usage()`."""
    containers = sum(len(each) for each in usage["pods"].values())
    return [
        _AGGREGATED,
        _build(version),
        Family("kubelet_running_pods", "gauge", "[BETA] Number of pods that have a running pod sandbox", (({}, len(usage["pods"])),)),
        Family(
            "kubelet_running_containers",
            "gauge",
            "[BETA] Number of containers currently running",
            (({"container_state": "running"}, containers),),
        ),
        *process(),
    ]


def _containers(usage: Object) -> list[tuple[dict[str, str], dict[str, int]]]:
    found = []
    for key, containers in usage["pods"].items():
        namespace, name = meta.split_key(key)
        found += [({"container": one, "namespace": namespace or "", "pod": name}, used) for one, used in containers.items()]
    return found


def resource(usage: Object) -> list[Family]:
    """/metrics/resource: what metrics-server reads."""
    now = int(time.time() * 1000)
    containers = _containers(usage)
    pods: dict[tuple[str, str], tuple[float, float]] = {}
    for labels, used in containers:
        key = labels["namespace"], labels["pod"]
        seconds, memory = pods.get(key, (0.0, 0.0))
        pods[key] = seconds + used["cpu_milliseconds"] / 1000, memory + used["memory"]
    of_pods = [({"namespace": namespace, "pod": pod}, amounts) for (namespace, pod), amounts in pods.items()]
    cpu, memory_set = "Cumulative cpu time consumed by the {} in core-seconds", "Current working set of the {} in bytes"

    def family(name: str, kind: str, about: str, samples: list[tuple[dict[str, str], float]]) -> Family:
        return Family(name, kind, f"[STABLE] {about}", tuple(samples), now)

    return [
        family(
            "container_cpu_usage_seconds_total",
            "counter",
            cpu.format("container"),
            [(labels, used["cpu_milliseconds"] / 1000) for labels, used in containers],
        ),
        family(
            "container_memory_working_set_bytes",
            "gauge",
            memory_set.format("container"),
            [(labels, used["memory"]) for labels, used in containers],
        ),
        family("pod_cpu_usage_seconds_total", "counter", cpu.format("pod"), [(labels, amounts[0]) for labels, amounts in of_pods]),
        family("pod_memory_working_set_bytes", "gauge", memory_set.format("pod"), [(labels, amounts[1]) for labels, amounts in of_pods]),
        family("node_cpu_usage_seconds_total", "counter", cpu.format("node"), [({}, sum(amounts[0] for amounts in pods.values()))]),
        family("node_memory_working_set_bytes", "gauge", memory_set.format("node"), [({}, usage["node"]["memory"])]),
        Family(
            "resource_scrape_error",
            "gauge",
            "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
            (({}, 0),),
        ),
    ]


def cadvisor(usage: Object) -> list[Family]:
    """/metrics/cadvisor: the containers as cAdvisor sees them."""
    now = int(time.time() * 1000)
    containers = _containers(usage)
    version = dict.fromkeys(("cadvisorRevision", "cadvisorVersion", "dockerVersion", "kernelVersion", "osVersion"), "")
    return [
        Family("cadvisor_version_info", "gauge", _CADVISOR, ((version, 1),)),
        Family(
            "container_cpu_usage_seconds_total",
            "counter",
            "Cumulative cpu time consumed in seconds.",
            tuple((labels | {"cpu": "total"}, used["cpu_milliseconds"] / 1000) for labels, used in containers),
            now,
        ),
        Family(
            "container_memory_working_set_bytes",
            "gauge",
            "Current working set in bytes.",
            tuple((labels, float(used["memory"])) for labels, used in containers),
            now,
        ),
    ]
