"""A transform for the round-trip runner: library functions run in the reference interpreter.

    python -m tests.roundtrip --transform tests.ir.interpreted:transform --modules textwrap,heapq

Slow, and tests that look at frames or at the recursion limit fail: see ``lineiform.ir.interpret``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from lineiform.ir.function import Function
from lineiform.ir.interpret import interpret_tree
from lineiform.ir.verify import verify
from lineiform.lift.python import lift


def _lift(code: CodeType) -> Function:
    function = lift(code)
    verify(function, exception_state=True)
    return function


def transform(
    code: CodeType, *, on_done: Callable[[CodeType], None], on_refusal: Callable[[CodeType, str], None]
) -> CodeType:
    """Code whose functions are interpreted, with those that can't be lifted kept."""

    def refused(kept: CodeType, error: Any) -> None:
        on_refusal(kept, getattr(error, "reason", type(error).__name__))

    return interpret_tree(code, _lift, refused, on_done)
