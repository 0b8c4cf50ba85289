"""`python3 -m lab_checks.labs.many_pods.manifest JOB`: a Job of ai-platform as a manifest that can be created again: most of a Job cannot be changed.

What the API server wrote into it, and what it would fill in again, is left out.
"""

from __future__ import annotations

import json
import subprocess
import sys

import yaml

from kubeobjects import Object

_WRITTEN = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")
_FILLED_IN = {
    "spec": ("selector", "manualSelector", "podReplacementPolicy"),
    "pod": ("dnsPolicy", "schedulerName", "securityContext"),
    "container": ("terminationMessagePath", "terminationMessagePolicy"),
}


def of(job: Object) -> Object:
    """The Job without what the API server writes and fills in."""
    metadata = {key: value for key, value in job["metadata"].items() if key in ("name", "namespace", "labels")}
    spec = _without(job["spec"], _FILLED_IN["spec"])
    labels = _without(spec["template"]["metadata"].get("labels") or {}, _WRITTEN)
    pod = _without(spec["template"]["spec"], _FILLED_IN["pod"])
    pod["containers"] = [_without(each, _FILLED_IN["container"]) for each in pod["containers"]]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {**spec, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def _without(part: Object, keys: tuple[str, ...]) -> Object:
    """What is left, without what is empty or false: the API server fills that in too. A 0 stays: it was meant."""
    return {
        key: value for key, value in part.items() if key not in keys and (value or (value == 0 and value is not False) or key == "emptyDir")
    }


def main() -> int:
    if len(sys.argv) != 2:
        print("give the name of one Job, such as train-classifier", file=sys.stderr)
        return 2
    done = subprocess.run(
        ["kubectl", "-n", "ai-platform", "get", "job", sys.argv[1], "-o", "json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
        return 1
    print(yaml.safe_dump(of(json.loads(done.stdout)), sort_keys=False), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
