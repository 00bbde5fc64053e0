"""A transform for the round trip that keeps values in frame slots that could lie on the value stack.

What the lowering does when the stack does not work out is seldom needed for code that is lowered as it was
lifted, so this asks for it everywhere:

    python -m tests.roundtrip --transform tests.lower.in_slots:transform

Which values are chosen depends on the function alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from types import CodeType

from lineiform.errors import NotCompiled
from lineiform.ir.function import Function, Value
from lineiform.lift.python import lift
from lineiform.lower.bytecode import lower


def chosen(function: Function, share: float, seed: int) -> list[Value]:
    """Some of the values of `function`."""
    choice = random.Random(seed)
    values = [value for block in function.blocks for value in block.params]
    values += [value for op in function.ops() for value in op.results]
    return [value for value in values if choice.random() < share]


def relower(code: CodeType, share: float, seed: int) -> CodeType:
    """`code` lifted and lowered with a share of its values in slots; NotCompiled as by lifting."""
    function = lift(code)
    return lower(function, in_slots=chosen(function, share, seed)).code


def transform(
    code: CodeType, *, on_done: Callable[[CodeType], None], on_refusal: Callable[[CodeType, str], None]
) -> CodeType:
    """The code and, recursively, the code objects among its constants."""
    try:
        result = relower(code, (code.co_firstlineno % 4 + 1) / 4, code.co_firstlineno)
    except NotCompiled as refusal:
        on_refusal(code, refusal.reason)
        result = code
    else:
        on_done(code)

    def nested(constant: object) -> object:
        if isinstance(constant, CodeType):
            return transform(constant, on_done=on_done, on_refusal=on_refusal)
        return constant

    return result.replace(co_consts=tuple(map(nested, result.co_consts)))
