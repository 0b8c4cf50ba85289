"""Kubernetes' own types in expressions, each a protobuf message with the text that it was made from: the engine passes messages through."""

from __future__ import annotations

from typing import Any

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# (package, message): k8s.io/apiserver/pkg/cel names them so in error messages.
_NAMES = (
    ("kubernetes", "Quantity"),
    ("kubernetes", "URL"),
    ("kubernetes", "Semver"),
    ("net", "IP"),
    ("net", "CIDR"),
    ("kubernetes.authorization", "Authorizer"),
    ("kubernetes.authorization", "PathCheck"),
    ("kubernetes.authorization", "GroupCheck"),
    ("kubernetes.authorization", "ResourceCheck"),
    ("kubernetes.authorization", "Decision"),
)
_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_OPTIONAL = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL


def pool() -> descriptor_pool.DescriptorPool:
    """A new pool with Kubernetes' own types."""
    found = descriptor_pool.DescriptorPool()
    for package in dict.fromkeys(package for package, _ in _NAMES):
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        for name in (name for of, name in _NAMES if of == package):
            file.message_type.add(name=name).field.add(name="text", number=1, type=_STRING, label=_OPTIONAL)
        found.Add(file)  # type: ignore[attr-defined]
    return found


POOL = pool()
_MESSAGES = {name: message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{package}.{name}")) for package, name in _NAMES}
TYPES = {name: cel.Type(f"{package}.{name}") for package, name in _NAMES} | {
    "string": cel.Type.STRING,
    "int": cel.Type.INT,
    "bool": cel.Type.BOOL,
    "double": cel.Type.DOUBLE,
    "dyn": cel.Type.DYN,
    "list(dyn)": cel.Type.List(cel.Type.DYN),
    "list(string)": cel.Type.List(cel.Type.STRING),
    "map(string, list(string))": cel.Type.Map(cel.Type.STRING, cel.Type.List(cel.Type.STRING)),
}


def value(name: str, text: str) -> Any:
    """A value of one of Kubernetes' types, for expressions to pass on."""
    return _MESSAGES[name](text=text)


def is_message(name: str) -> bool:
    """Whether the type is one of Kubernetes' own."""
    return name in _MESSAGES


def is_of(argument: Any, name: str) -> bool:
    """Whether a value is of the type; what is no message was told apart by the engine."""
    return name not in _MESSAGES or isinstance(argument, _MESSAGES[name])
