"""Says in the status of a ValidatingAdmissionPolicy what its expressions name that the kinds which it is about do not have.

Follows pkg/controller/validatingadmissionpolicystatus and the TypeChecker of k8s.io/apiserver/pkg/admission/plugin/policy/validating:
expressions are compiled once for each kind that `matchConstraints` names plainly. It warns and keeps nobody from anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from clusters.embedded import schema
from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.resources import all_resources
from clusters.embedded.schema import Type

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

_POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
# At most so many kinds of a policy are looked at.
_MOST = 10
_PACKAGE = "kinds"
_OPEN = ".google.protobuf.Value"
_TYPED = ("object", "oldObject")
# Whose fields nobody knows before the request.
_UNTYPED = ("request", "namespaceObject", "params", "variables", "authorizer")


class AdmissionPolicyStatusController(Controller):
    name = "validatingadmissionpolicy-status-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._policies = self.watch(_POLICIES)

    async def reconcile(self, key: str) -> None:
        policy = self._policies.by_key(key)
        if policy is None:
            return
        status, generation = policy.get("status") or {}, policy["metadata"].get("generation", 1)
        if generation <= status.get("observedGeneration", 0):
            return
        found = list(warnings(policy["spec"]))
        checked: Object = {"expressionWarnings": found} if found else {}
        await self.update_status(_POLICIES, policy, {**status, "observedGeneration": generation, "typeChecking": checked})


def warnings(spec: Object) -> Iterator[Object]:
    """An ExpressionWarning for each expression of a policy that does not go together with one of its kinds."""
    chosen = kinds(spec)
    for index, validation in enumerate(spec.get("validations") or []):
        for name in ("expression", "messageExpression"):
            if not validation.get(name):
                continue
            told = [f"{shown}: compilation failed: {why}\n" for shown, of in chosen if (why := _complaint(validation[name], of))]
            if told:
                yield {"fieldRef": f"spec.validations[{index}].{name}", "warning": "\n".join(told)}


def kinds(spec: Object) -> list[tuple[str, Type]]:
    """(kind as Go prints it, its type) of the resources that `matchConstraints` names without a wildcard."""
    found: dict[tuple[str, str, str], Type] = {}
    served = {(each.group, each.version, each.plural): each for each in all_resources()}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or []:
        groups, versions = rule.get("apiGroups") or [], rule.get("apiVersions") or []
        if any("*" in each for each in (*groups, *versions)):
            continue
        plain = [each for each in rule.get("resources") or [] if not set("*/") & set(each)]
        for key in product(sorted(groups), sorted(versions), sorted(plain)):
            resource = served.get(key)
            of = schema.get().find(resource.api_version, resource.kind) if resource is not None else None
            if resource is not None and of is not None and of.is_struct and len(found) < _MOST:
                found[resource.group, resource.version, resource.kind] = of
    return [(f"{group}/{version}, Kind={kind}", of) for (group, version, kind), of in sorted(found.items(), key=lambda each: each[0])]


def _complaint(text: str, of: Type) -> str:
    """Why the expression does not go together with the kind; empty where it does."""
    from clusters.embedded import cel

    try:
        cel.check(text, _file(of), f"{_PACKAGE}.Self", _TYPED, _UNTYPED)
    except cel.CompileError as error:
        return str(error)
    return ""


def _file(of: Type) -> bytes:
    """The kind as a protobuf message, which is how the engine knows types."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name="kinds.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.extend(["google/protobuf/struct.proto", "google/protobuf/timestamp.proto"])
    _message(file.message_type.add(name="Self"), of, f".{_PACKAGE}.Self", ())
    return file.SerializeToString()


def _message(message: DescriptorProto, of: Type, path: str, above: tuple[str, ...]) -> None:
    from clusters.embedded import cel

    number = 0
    for name in sorted(of.fields):
        shown, each = cel.escaped(name), of.field(name)
        if shown is None:
            continue
        number += 1
        field = message.field.add(name=shown, number=number)
        items = each.items if each is not None and each.kind == "array" else None
        repeated = items is not None and items.kind != "array"
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        _kind(message, field, items if repeated else each, (path, f"T{number}"), above)


def _kind(message: DescriptorProto, field: FieldDescriptorProto, of: Type | None, place: tuple[str, str], above: tuple[str, ...]) -> None:
    kind = of.kind if of is not None else "any"
    if of is not None and of.is_struct and not of.is_open and of.fields and (not of.definition or of.definition not in above):
        path, name = place
        _message(message.nested_type.add(name=name), of, f"{path}.{name}", (*above, of.definition))
        field.type, field.type_name = field.TYPE_MESSAGE, f"{path}.{name}"
    elif kind in ("time", "micro-time"):
        field.type, field.type_name = field.TYPE_MESSAGE, ".google.protobuf.Timestamp"
    elif kind in ("string", "bytes", "boolean", "integer", "number"):
        types = {"string": field.TYPE_STRING, "bytes": field.TYPE_BYTES, "boolean": field.TYPE_BOOL, "integer": field.TYPE_INT64}
        field.type = types.get(kind, field.TYPE_DOUBLE)
    else:
        field.type, field.type_name = field.TYPE_MESSAGE, _OPEN
