"""Small helpers of the lifter's tests: sources to code objects, functions to names of ops."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from types import CodeType

from lineiform.ir.function import Function, Op
from lineiform.ir.verify import verify
from lineiform.lift.python import lift


def code_of(source: str, name: str = "f") -> CodeType:
    """The code object of function ``name`` somewhere in ``source``."""
    module = compile(textwrap.dedent(source), "<test>", "exec", dont_inherit=True)
    (found,) = [code for code in nested(module) if code.co_name == name]
    return found


def nested(code: CodeType) -> Iterator[CodeType]:
    """All code objects inside ``code``, outer ones first."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from nested(constant)


def lifted(source: str, name: str = "f") -> Function:
    """The verified IR of function ``name`` in ``source``."""
    function = lift(code_of(source, name))
    verify(function)
    return function


def names(function: Function) -> list[str]:
    """Names of all ops in order."""
    return [op.name for op in function.ops()]


def find(function: Function, name: str) -> list[Op]:
    """All ops called ``name``."""
    return [op for op in function.ops() if op.name == name]


def only(function: Function, name: str) -> Op:
    """The only op called ``name``."""
    (op,) = find(function, name)
    return op


def maker(op: Op, index: int) -> Op:
    """The op that made operand ``index``."""
    owner = op.operands[index].owner
    assert isinstance(owner, Op)
    return owner
