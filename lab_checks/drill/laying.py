"""Creating a drill on a cluster: the healthy platform with its clients, then what breaks it, then its symptom."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

from kubeobjects import Object
from lab_checks.drill.generator import Drill, Laid, Service
from lab_checks.engine import identity, manifests, paths, setup
from lab_checks.engine.api import Api, CommandFailed, shell

Say = Callable[[str], None]

# How the base's objects are called before a service's names are put in.
_SERVICE, _CLIENTS, _NAMESPACE = "ai-log-summary-api", "log-clients", "ai-platform"
# Seconds that a symptom may take on a slow machine: a model that loads, a container that ends twice.
_WAIT = 150.0


@cache
def _base() -> tuple[Object, ...]:
    return tuple(manifests.objects(paths.root() / "manifests/drill/platform"))


def platform(drill: Drill) -> list[Object]:
    """The objects of the healthy platform: for each service the model server, its Service, and its clients. Raises CommandFailed."""
    return [_renamed(each, service) for service in drill.services for each in _base()]


def _renamed(obj: Object, service: Service) -> Object:
    names = {_SERVICE: service.name, _CLIENTS: service.clients, _NAMESPACE: service.namespace}

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: put(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [put(each) for each in value]
        if isinstance(value, str):
            return names.get(value, value.replace(f"//{_SERVICE}:", f"//{service.name}:").replace("GPU-PRODUCT", service.product))
        return value

    found: Object = put(obj)
    return found


def steps(drill: Drill) -> list[setup.Step]:
    """What creates the drill in namespaces that are there, one after the other; each is done by the course's account."""
    # What was said of a drill before, whose services may have had the same names, is no symptom of this one.
    # In one request each: after a day of labs they are thousands, and `kubectl delete events --all` asks for them one by one.
    found = [setup.Step(f"kubectl delete --raw /api/v1/namespaces/{each}/events") for each in drill.namespaces]
    found += [setup.Step(identity.APPLY, stdin=_text(platform(drill)))]
    found += [setup.Step(f"kubectl -n {each.namespace} rollout status deployment/{each.name} --timeout=150s") for each in drill.services]
    found += [setup.Step(_answers(each)) for each in drill.services]
    return found + [step for laid in drill.laid for step in _broken(laid)]


def _answers(service: Service) -> str:
    """Waits until the clients have had answers: the incident begins on a platform that works."""
    look = f"kubectl -n {service.namespace} logs deployment/{service.clients} --tail=5"
    return f"""for _ in $(seq 300); do {look} 2>/dev/null | grep -q '"ok": [1-9]' && exit 0; sleep 0.5; done; {look}; exit 1"""


def _broken(laid: Laid) -> list[setup.Step]:
    found = []
    for each in laid.breaks:
        if each.apply:
            found.append(setup.Step(identity.APPLY, stdin=each.apply))
        elif each.patch:
            body = json.dumps(yaml.safe_load(each.body))
            where = f"-n {each.namespace} " if each.namespace else ""
            command = f"kubectl {where}patch {each.patch} --field-manager=ai-lab --type={each.type} --patch-file=/dev/stdin"
            found.append(setup.Step(command, stdin=body))
        else:
            found.append(setup.Step(each.run))
    return found


def awaits(drill: Drill) -> list[setup.Await]:
    """What the platform shows once it is broken in the way that was meant."""
    return [
        setup.Await(each.run, each.matches, f"what is wrong with {laid.service.name} to show", _WAIT)
        for laid in drill.laid
        for each in laid.symptom
    ]


def start_of(drill: Drill) -> setup.Start:
    """The drill as a start of an exercise, for `setup.create`."""
    return setup.Start(paths.root() / "manifests/drill", tuple(drill.namespaces), tuple(steps(drill)), tuple(awaits(drill)))


def lay(api: Api, drill: Drill, say: Say = lambda line: None) -> None:
    """Creates the drill on a cluster whose namespaces are there and empty, and waits for its symptom. Cleans nothing. Raises LessonError."""
    say("creating the platform")
    try:
        for step in steps(drill):
            shell(step.run, api.kubeconfig, stdin=step.stdin, timeout=200)
    except CommandFailed as problem:
        raise setup.LessonError(f"drill {drill.seed} could not be created: {problem}") from None
    for condition in awaits(drill):
        setup.until(api, condition, say)


def _text(objects: list[Object]) -> str:
    return yaml.safe_dump_all(objects, sort_keys=False)
