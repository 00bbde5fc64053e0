"""Operations on constants that can be done at compile time: data tables of pure functions on exact builtins.

A row is used only when every operand is a constant of an exact type named in ``PURE``: then no user code
can run.  Results are kept small so that folding never makes a unit larger than the computation was worth.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

PURE: frozenset[type] = frozenset((int, float, bool, complex, str, bytes, type(None), type(...)))
"""Scalars; tuples of them count too (see ``is_pure``)."""

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "and": operator.and_,
    "floordiv": operator.floordiv,
    "lshift": operator.lshift,
    "mul": operator.mul,
    "mod": operator.mod,
    "or": operator.or_,
    "pow": operator.pow,
    "rshift": operator.rshift,
    "sub": operator.sub,
    "truediv": operator.truediv,
    "xor": operator.xor,
}
UNARY: dict[str, Callable[[Any], Any]] = {"neg": operator.neg, "invert": operator.invert, "pos": operator.pos}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
}

BUILTINS: dict[Any, Callable[..., Any]] = {
    builtin: builtin
    for builtin in (abs, len, min, max, ord, chr, repr, hash, int, float, bool, str, range, round)
}
"""Builtins that are pure on constants; ``str``/``int``/... as types called with exact builtins."""

_MAX_BITS = 4096
_MAX_LENGTH = 4096


def may_be_pure(kind: type) -> bool:
    """Whether objects of an exact type can be pure."""
    return any(kind is pure for pure in PURE) or kind is tuple


def is_pure(value: object) -> bool:
    """Exact builtin scalar, or a tuple of such."""
    kind = type(value)
    if kind in PURE:
        return True
    return kind is tuple and all(is_pure(item) for item in value)  # type: ignore[attr-defined]


def fold(function: Callable[..., Any], *operands: Any) -> tuple[Any] | None:
    """The result of a pure function in a one-tuple; None when it must be left to run time."""
    if not all(is_pure(operand) for operand in operands):
        return None
    if not _small(function, operands):
        return None
    try:
        result = function(*operands)
    except Exception:  # the exception has to be raised where and when the program runs
        return None
    if isinstance(result, int) and result.bit_length() > _MAX_BITS:
        return None
    if isinstance(result, (str, bytes, tuple)) and len(result) > _MAX_LENGTH:
        return None
    return (result,)


def _small(function: Callable[..., Any], operands: tuple[Any, ...]) -> bool:
    """Rule out operations whose result may be huge before they are tried."""
    if function in (operator.pow, operator.lshift):
        left, right = operands
        if isinstance(left, int) and isinstance(right, int):
            return abs(right) * max(left.bit_length(), 1) <= _MAX_BITS or (left in (0, 1, -1))
    if function is operator.mul:
        for sequence, count in (operands, operands[::-1]):
            if isinstance(sequence, (str, bytes, tuple)) and isinstance(count, int):
                return len(sequence) * max(count, 0) <= _MAX_LENGTH
    if function in (range, hash):
        return function is range
    return True
