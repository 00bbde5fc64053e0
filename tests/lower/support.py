"""Makes functions for these tests: from source through lift and lower, or from IR text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from types import CellType, CodeType, FunctionType
from typing import Any

from lineiform.ir.function import Function
from lineiform.ir.parser import parse_function
from lineiform.ir.verify import verify
from lineiform.lower.bytecode import Lowered, lower, roundtrip


def pair(source: str, name: str = "f", **names: Any) -> tuple[FunctionType, FunctionType]:
    """The function `name` of `source` as CPython compiles it, and lifted and lowered again."""
    code = compile(textwrap.dedent(source), "<source>", "exec")
    functions = []
    for each in (code, roundtrip(code)):
        space = dict(names)
        exec(each, space)
        functions.append(space[name])
    original, lowered = functions
    return original, lowered


def function_of(text: str, objects: Sequence[Any] = ()) -> Function:
    """The IR function of `text`, checked, with a code object that lends name and file."""
    function = parse_function(textwrap.dedent(text), objects)
    signature = function.signature
    names = [variable.name for variable in function.variables[: signature.total]]
    space: dict[str, Any] = {}
    exec(compile(f"def {function.name}({', '.join(names)}): pass", "<ir>", "exec"), space)
    function.code = space[function.name].__code__
    verify(function)
    return function


def made(
    text: str, objects: Sequence[Any] = (), closure: Sequence[Any] = (), **names: Any
) -> FunctionType:
    """The IR function of `text`, lowered and callable; `closure`: contents of its own cells."""
    return bound(lower(function_of(text, objects)), closure, names)


def bound(lowered: Lowered, closure: Sequence[Any] = (), names: Mapping[str, Any] = {}) -> FunctionType:
    """A function of the code, closed over new cells and over the constant cells that it asks for."""
    cells = tuple(CellType(value) for value in closure) + lowered.cells
    return FunctionType(lowered.code, {"__builtins__": __builtins__, **names}, closure=cells)  # type: ignore


def instructions(code: CodeType) -> list[str]:
    """The names of the instructions, without caches and prefixes."""
    import dis

    return [i.opname for i in dis.get_instructions(code) if i.opname not in ("CACHE", "EXTENDED_ARG")]
