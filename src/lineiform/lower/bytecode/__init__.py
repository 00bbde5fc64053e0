"""IR to CPython bytecode; the tier that needs no native code."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType

from lineiform.errors import NotCompiled
from lineiform.lower.bytecode.attempts import lower
from lineiform.lower.bytecode.code_object import Lowered

__all__ = ["Lowered", "lower", "roundtrip"]


def roundtrip(
    code: CodeType,
    on_refusal: Callable[[CodeType, str], None] | None = None,
    on_done: Callable[[CodeType], None] | None = None,
) -> CodeType:
    """Lift and lower ``code`` and, recursively, the code objects among its constants.

    Code that cannot be lifted (modules, class bodies, generators) is kept with only its constants replaced;
    each such code object is reported to ``on_refusal`` with the reason code, each other one to ``on_done``.
    """
    from lineiform.lift.python import lift

    try:
        result = lower(lift(code)).code
    except NotCompiled as refusal:
        if on_refusal is not None:
            on_refusal(code, refusal.reason)
        result = code
    else:
        if on_done is not None:
            on_done(code)
    constants = tuple(
        roundtrip(constant, on_refusal, on_done) if isinstance(constant, CodeType) else constant
        for constant in result.co_consts
    )
    return result.replace(co_consts=constants) if constants != result.co_consts else result
