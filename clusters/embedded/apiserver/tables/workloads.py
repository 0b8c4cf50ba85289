"""Rows of the kinds that make Pods: Deployment, ReplicaSet, DaemonSet, StatefulSet, Job, CronJob and their like."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clusters.embedded.apiserver.tables import durations
from clusters.embedded.apiserver.tables.text import age, label_map, label_selector
from kubeobjects import Object, meta, selectors

Cells = list[Any]


def _containers(template: Object | None) -> tuple[str, str]:
    containers = ((template or {}).get("spec") or {}).get("containers") or []
    return ",".join(each.get("name", "") for each in containers), ",".join(each.get("image", "") for each in containers)


def _parts(obj: Object) -> tuple[str, Object, Object]:
    return obj["metadata"]["name"], obj.get("spec") or {}, obj.get("status") or {}


def deployment(obj: Object, now: datetime) -> Cells:
    name, spec, status = _parts(obj)
    return [
        name,
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(obj, now),
        *_containers(spec.get("template")),
        selectors.text_of(spec.get("selector")),
    ]


def replica_set(obj: Object, now: datetime) -> Cells:
    name, spec, status = _parts(obj)
    selector = spec.get("selector")
    shown = label_selector(selector) if obj["kind"] == "ReplicaSet" else label_map(selector)
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name, *counts, age(obj, now), *_containers(spec.get("template")), shown]


def daemon_set(obj: Object, now: datetime) -> Cells:
    name, spec, status = _parts(obj)
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
    template = spec.get("template") or {}
    return [
        name,
        *(status.get(each, 0) for each in fields),
        label_map((template.get("spec") or {}).get("nodeSelector")),
        age(obj, now),
        *_containers(template),
        label_selector(spec.get("selector")),
    ]


def stateful_set(obj: Object, now: datetime) -> Cells:
    name, spec, status = _parts(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [name, ready, age(obj, now), *_containers(spec.get("template"))]


def _job_status(obj: Object) -> str:
    if meta.is_true(obj, "Complete"):
        return "Complete"
    if meta.is_true(obj, "Failed"):
        return "Failed"
    if meta.is_deleting(obj):
        return "Terminating"
    return next((kind for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if meta.is_true(obj, kind)), "Running")


def job(obj: Object, now: datetime) -> Cells:
    name, spec, status = _parts(obj)
    succeeded = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    else:
        parallelism = spec.get("parallelism") or 0
        completions = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    duration = ""
    if status.get("startTime"):
        ended = status.get("completionTime")
        duration = durations.between(status["startTime"], ended) if ended else durations.since(status["startTime"], now)
    selector = label_selector(spec.get("selector"))
    return [name, _job_status(obj), completions, duration, age(obj, now), *_containers(spec.get("template")), selector]


def cron_job(obj: Object, now: datetime) -> Cells:
    name, spec, status = _parts(obj)
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    last = status.get("lastScheduleTime")
    return [
        name,
        spec.get("schedule", ""),
        spec.get("timeZone") or "<none>",
        {None: "<unset>", True: "True", False: "False"}[spec.get("suspend")],
        len(status.get("active") or []),
        durations.since(last, now) if last else "<none>",
        age(obj, now),
        *_containers(inner.get("template")),
        label_selector(inner.get("selector")),
    ]


def pod_template(obj: Object, now: datetime) -> Cells:
    template = obj.get("template") or {}
    labels = label_map((template.get("metadata") or {}).get("labels"))
    return [obj["metadata"]["name"], *_containers(template), labels]


def controller_revision(obj: Object, now: datetime) -> Cells:
    owner = meta.controller_of(obj)
    shown = "<none>"
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower()
        shown = f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return [obj["metadata"]["name"], shown, obj.get("revision", 0), age(obj, now)]
