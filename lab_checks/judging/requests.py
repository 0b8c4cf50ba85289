"""Requests that are tried for real and leave no trace: who asks, for what, and what has to come back.

A lab keeps them as data, in a file `requests.yaml` beside its checks:

    people:
      rosa: {user: rosa, group: research}
      assistant: {user: "system:serviceaccount:ai-platform:assistant"}
    refusals:                                   # what the API server says, by who refuses
      quota: exceeded quota
    requests:
      three-gpus:                               # one list for each exercise
        - {who: rosa, asks: a Pod with one more GPU, does: create pods in research, object: {…}, comes: quota, expected: …, next: …}

`does` is `VERB RESOURCE[/SUBRESOURCE][.GROUP] [NAME] [in NAMESPACE]`. create, patch and delete are sent as server-side dry runs under the name of the
one who asks: every stage of admission answers, and nothing is stored. get and list are sent as they are. Any other verb, and a subresource, is asked
for with a SubjectAccessReview. `comes` is `allowed` or one of `refusals`; `gets` names fields that an allowed object must come back with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kubeobjects import Object
from lab_checks.engine.api import Answer, Api
from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen, fail, wait

# Where each API group that requests name is served.
_SERVED = {
    "": "/api/v1", "apps": "/apis/apps/v1", "batch": "/apis/batch/v1", "rbac.authorization.k8s.io": "/apis/rbac.authorization.k8s.io/v1",
    "networking.k8s.io": "/apis/networking.k8s.io/v1", "scheduling.k8s.io": "/apis/scheduling.k8s.io/v1", "policy": "/apis/policy/v1",
    "autoscaling": "/apis/autoscaling/v2", "authentication.k8s.io": "/apis/authentication.k8s.io/v1",
    "admissionregistration.k8s.io": "/apis/admissionregistration.k8s.io/v1", "events.k8s.io": "/apis/events.k8s.io/v1",
}  # fmt: skip
_SENT = {"create": "POST", "patch": "PATCH", "delete": "DELETE", "get": "GET", "list": "GET"}
_DOES = re.compile(
    r"(?P<verb>\S+) (?P<resource>[\w*-]+)(?:/(?P<sub>\w+))?(?:\.(?P<group>[\w.-]+))?(?: (?!in )(?P<name>\S+))?(?: in (?P<namespace>\S+))?"
)
# Seconds after a learner's last change in which a wrong answer may be the cluster's, which has not heard of it yet.
_HEARD = 2.0
ALLOWED = "allowed"


@dataclass(frozen=True)
class Person:
    """Whom a request is made as: a user and one group of theirs, or a ServiceAccount by its full name, which brings its own groups."""

    name: str
    user: str
    group: str = ""

    @property
    def groups(self) -> list[str]:
        """All groups that the API server sees."""
        account = self.user.split(":")
        own = ["system:serviceaccounts", f"system:serviceaccounts:{account[2]}"] if account[:2] == ["system", "serviceaccount"] else []
        return [*([self.group] if self.group else own), "system:authenticated"]


@dataclass(frozen=True)
class Request:
    """One row of the table. `expected` and `next` are told where something else comes back than `comes`; `rule` is the lab's own word."""

    who: Person
    asks: str
    does: str
    comes: str
    object: Object | None = None
    gets: Mapping[str, Any] = field(default_factory=dict)
    rule: str = ""
    expected: str = ""
    next: str = ""

    @property
    def parts(self) -> dict[str, str]:
        """`verb`, `resource`, `sub`, `group`, `name` and `namespace` of what it does. Raises ValueError."""
        found = _DOES.fullmatch(self.does)
        if found is None:
            raise ValueError(f"{self.does!r} is no request")
        return {key: value or "" for key, value in found.groupdict().items()}


@dataclass(frozen=True)
class Table:
    people: Mapping[str, Person]
    refusals: Mapping[str, str]
    requests: Mapping[str, Sequence[Request]]

    def came(self, answer: Answer) -> str:
        """`allowed`, the name of the refusal, or the empty text for one that the table does not know."""
        if answer.allowed:
            return ALLOWED
        return next((name for name, says in self.refusals.items() if re.search(says, answer.message)), "")


@cache
def table(path: Path) -> Table:
    """The table in a file. Raises ValueError for a row that names nobody, or an answer that there is not."""
    data = yaml.safe_load(path.read_text())
    people = {name: Person(name, row["user"], row.get("group", "")) for name, row in data["people"].items()}
    requests: dict[str, list[Request]] = {}
    for exercise, rows in data["requests"].items():
        requests[exercise] = []
        for row in rows:
            if row["who"] not in people or row["comes"] not in (ALLOWED, *data["refusals"]):
                raise ValueError(f"{path.name}, {exercise}: {row['who']} or {row['comes']} is nothing that the file knows")
            made = Request(**{**row, "who": people[row["who"]]})
            _ = made.parts
            requests[exercise].append(made)
    return Table(people, data["refusals"], requests)


def send(api: Api, request: Request) -> Answer:
    """What comes back now. Raises ApiUnreachable."""
    parts, who = request.parts, request.who
    method = _SENT.get(parts["verb"])
    if method is None or (parts["sub"] and parts["sub"] != "scale"):
        return review(api, who, **parts)
    # A custom resource is served by its group's first version.
    served = _SERVED.get(parts["group"], f"/apis/{parts['group']}/v1")
    path = served + (f"/namespaces/{parts['namespace']}" if parts["namespace"] else "") + f"/{parts['resource']}"
    if parts["name"]:
        path += f"/{parts['name']}" + (f"/{parts['sub']}" if parts["sub"] else "")
    query = [] if method == "GET" else [("dryRun", "All"), *([] if method == "DELETE" else [("fieldValidation", "Strict")])]
    answer = api.attempt(method, path, request.object, user=who.user, group=who.group, query=query)
    # Who may do it and finds nothing there was allowed to.
    return Answer(200, {}) if answer.code == 404 and method != "POST" else answer


def review(
    api: Api, who: Person, *, verb: str, resource: str, sub: str = "", group: str = "", name: str = "", namespace: str = ""
) -> Answer:
    """The authorizer's word on a request that is not made (SubjectAccessReview), in the words of a refusal."""
    attributes = {"verb": verb, "resource": resource, "subresource": sub, "group": group, "name": name, "namespace": namespace}
    spec = {"user": who.user, "groups": who.groups, "resourceAttributes": {key: value for key, value in attributes.items() if value}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    found = api.attempt("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    if found.body.get("status", {}).get("allowed"):
        return Answer(200, {})
    what = resource + (f"/{sub}" if sub else "")
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    return Answer(403, {"message": f'User "{who.user}" cannot {verb} resource "{what}" in API group "{group}" {where}'})


def judge(ctx: Context, rows: Sequence[Request], known: Table, *, credit: float = 0.0) -> None:
    """Ends the check at the first request that is not answered as the table says: right ones first, then wrong ones.

    Not yet while the learner's last change is so new that the API server may not have heard of it.
    """
    for request in sorted(rows, key=lambda each: each.comes != ALLOWED):
        answer = send(ctx.api, request)
        came = known.came(answer)
        lacks = [] if came != request.comes else [key for key, value in request.gets.items() if _field(answer.body, key) != value]
        if came == request.comes and not lacks:
            continue
        end = wait if is_new(ctx) else fail
        seen = Seen(f"as {request.who.name}: {request.does}", "", answer.message or "allowed")
        if lacks:
            key = lacks[0]
            seen = Seen(f"as {request.who.name}: {request.does}", key, str(_field(answer.body, key)))
            raise end(
                f"{request.asks} comes out otherwise", seen, expected=request.expected or f"{key} {request.gets[key]}",
                next=request.next, credit=credit,
            )  # fmt: skip
        if request.comes == ALLOWED:
            says = f"a right request is refused: {request.asks}"
        elif answer.allowed:
            says = f"a wrong request is let through: {request.asks}"
        else:
            says = f"a wrong request is refused, for another reason than its own: {request.asks}"
        raise end(says, seen, expected=request.expected, next=request.next, credit=credit)


def is_new(ctx: Context) -> bool:
    """Whether the learner changed something so lately that the API server may not have heard of it."""
    return any(ctx.now - deed.at < _HEARD for deed in ctx.deeds.changes())


def _field(body: Object, path: str) -> Any:
    """`spec.containers.0.resources.limits.memory`; a key with dots in it stands in brackets, `[nvidia.com/gpu]`. None where there is nothing."""
    found: Any = body
    for part in re.findall(r"\[([^\]]+)\]|([^.\[\]]+)", path):
        key = part[0] or part[1]
        if isinstance(found, list):
            found = found[int(key)] if key.isdigit() and int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found
