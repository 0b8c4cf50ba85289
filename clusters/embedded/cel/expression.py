"""One expression: compiled with the variables that it may use, evaluated over plain objects, refused in the words of a kube-apiserver."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cel_expr_python import cel

    from clusters.embedded.cel.functions import Declaration

_STATUS = re.compile(r"^([A-Z_]+): |( \[[A-Z_]+\])+$")
# What the engine says after the parser has said it all.
_NO_TREE = re.compile(r"\nERROR: <input>:-1:-1: <<nil>> parsetree$")
_NO_KEY = re.compile(r'Key not found in map : "?(.*?)"?')
# What the engine says, and what cel-go says, which the API server links.
_WORDS = (
    (re.compile(r"divide by zero"), "division by zero"),
    (re.compile(r"modulus by zero"), "modulus by zero"),
    (re.compile(r"No matching overloads found.*"), "no such overload"),
    (re.compile(r"Applying SELECT to non-message type"), "no such overload"),
    (re.compile(r"Index error: (index=\S+)?.*"), "index out of bounds"),
)
# Functions that the engine has for other types: only an extension may add to those.
_OVERLOADED = frozenset({"indexOf", "lastIndexOf"})
# The engine writes its own types in capitals.
_BUILT_IN = re.compile(r"(?<![.\w])[A-Z]+\b")
# A variable that is not there: the engine names the whole path behind it, and marks its end.
_UNDECLARED = re.compile(
    r"ERROR: <input>:(?P<line>\d+):\d+: undeclared reference to '(?P<name>\w+)\.[\w.]+' \(in container ''\)\n \| (?P<source>.*)\n \| (?P<mark>\.*)\^"
)
_STRUCT = re.compile(r" not found in struct '[^']*'")


class CompileError(ValueError):
    """An expression that is none. The text is what follows `compilation failed: `, line breaks and the mark under the place included."""


class EvaluationError(ValueError):
    """An expression that gave no value over these variables."""


class Expression:
    """`text` compiled; `returns` is the type that it gives, as CEL writes it: `bool`, `string`, `list(dyn)`, `dyn` where nobody can tell."""

    def __init__(self, text: str, program: cel.Expression):
        self.text = text
        self._program = program
        self.returns = _type_name(program.return_type())

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        """The plain value over these variables. Raises EvaluationError."""
        try:
            found = self._program.eval(data=dict(variables))
            if found.type().name() == "*error*" or str(found.type()) == "ERROR":
                raise EvaluationError(_reworded(str(found.value())))
            return found.plain_value()
        except (RuntimeError, TypeError) as error:
            raise EvaluationError(_reworded(str(error))) from None


@lru_cache(maxsize=1024)
def compiled(text: str, variables: tuple[tuple[str, str], ...]) -> Expression:
    """The expression, which may use `variables`: pairs of a name and a type as in `types.TYPES`. Raises CompileError."""
    try:
        return Expression(text, _environment(variables).compile(text))
    except RuntimeError as error:
        raise CompileError(_reworded(str(error))) from None


def check(text: str, file: bytes, message: str, names: tuple[str, ...], untyped: tuple[str, ...] = ()) -> None:
    """Compiles `text` with variables that are all of one message type, and others that may be anything.

    `file` is the serialised FileDescriptorProto that has the message.

    Raises CompileError.
    """
    from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2

    from clusters.embedded.cel import types

    pool = types.pool()
    for known in (duration_pb2, struct_pb2, timestamp_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file)
    try:
        typed = {name: types.cel.Type(message) for name in names}
        _made(pool, typed | dict.fromkeys(untyped, types.TYPES["dyn"])).compile(text)
    except RuntimeError as error:
        raise CompileError(_reworded(str(error))) from None


@lru_cache(maxsize=64)
def _environment(variables: tuple[tuple[str, str], ...]) -> cel.Env:
    from clusters.embedded.cel.types import POOL, TYPES

    return _made(POOL, {name: TYPES[kind] for name, kind in variables})


def _made(pool: Any, variables: Mapping[str, Any]) -> cel.Env:
    # Loaded with the first expression: engine and protobuf take some 20 MiB.
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

    from clusters.embedded.cel import library  # noqa: F401 (declares the functions)
    from clusters.embedded.cel.functions import DECLARED
    from clusters.embedded.cel.types import TYPES

    functions, more, implementations = [], [], {}
    for name, declared in DECLARED.items():
        if name in _OVERLOADED:
            overloads = [
                cel.Overload(f"{name}_{each.parameters[0]}", TYPES[each.returns], [TYPES[one] for one in each.parameters], True, each.call)
                for each in declared
            ]
            more.append(cel.FunctionDecl(name, overloads))
            continue
        overloads = []
        for ident, same in _alike(name, declared):
            for each in same:
                own = "_".join((ident, *each.parameters))
                overloads.append(cel.Overload(own, TYPES[each.returns], [TYPES[one] for one in each.parameters], each.on_first))
                # Messages are told apart when an expression is compiled, and not when a function is called: one is called for them all.
                if each is same[0]:
                    implementations[own] = each.call if len(same) == 1 else _by_type(same)
        functions.append(cel.FunctionDecl(name, overloads))
    return cel.NewEnv(
        pool,
        variables=dict(variables),
        extensions=[
            ext_strings.ExtStrings(),
            ext_math.ExtMath(),
            ext_bindings.ExtBindings(),
            ext_optional.ExtOptional(),
            ext_encoders.ExtEncoders(),
            cel.CelExtension("kubernetes", more),
        ],
        functions=functions,
        function_impls=implementations,
    )


def _alike(name: str, declared: list[Declaration]) -> list[tuple[str, list[Declaration]]]:
    """The overloads of a function, those together that the engine cannot tell apart at a call; with a name for each group."""
    from clusters.embedded.cel.types import is_message

    together: dict[tuple[object, ...], list[Declaration]] = {}
    for each in declared:
        kinds = tuple("message" if is_message(parameter) else parameter for parameter in each.parameters)
        together.setdefault((each.on_first, *kinds), []).append(each)
    return [("_".join(("method" if on_first else "function", name)), same) for (on_first, *_), same in together.items()]


def _by_type(declared: list[Declaration]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        for each in declared:
            if all(is_of(argument, parameter) for argument, parameter in zip(arguments, each.parameters, strict=True)):
                return each.call(*arguments)
        raise ValueError("no such overload")

    from clusters.embedded.cel.types import is_of

    return call


def _type_name(kind: cel.Type) -> str:
    return _BUILT_IN.sub(lambda found: found[0].lower(), str(kind)).replace("<", "(").replace(">", ")")


def _reworded(message: str) -> str:
    """The engine's message as cel-go writes it."""
    text = _NO_TREE.sub("", _STATUS.sub("", message.strip()).strip()).replace("'\\u003F'", "'?'")
    if found := _NO_KEY.fullmatch(text):
        return f"no such key: {found[1]}"
    for pattern, words in _WORDS:
        if pattern.fullmatch(text):
            return words
    return _UNDECLARED.sub(_at_the_variable, _STRUCT.sub("", text))


def _at_the_variable(found: re.Match[str]) -> str:
    name, source = found["name"], found["source"]
    column = max(source.rfind(name, 0, len(found["mark"]) + 1), 0)
    place = f"<input>:{found['line']}:{column + 1}"
    return f"ERROR: {place}: undeclared reference to '{name}' (in container '')\n | {source}\n | {'.' * column}^"
