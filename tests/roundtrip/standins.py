"""Transforms that try the runner itself: one that changes nothing and two that are wrong on purpose.

They follow the protocol of tests/roundtrip/transforming.py and are chosen with `--transform`.  They never
import anything of Lineiform, so that the runner can be judged on its own.
"""

from __future__ import annotations

import dis
import os
from collections.abc import Callable
from types import CodeType

from .transforming import is_function, with_constants

Done = Callable[[CodeType], None]
Refusal = Callable[[CodeType, str], None]


def identity(code: CodeType, *, on_done: Done, on_refusal: Refusal) -> CodeType:
    """A new, equal code object for each function."""
    result = with_constants(code, lambda part: identity(part, on_done=on_done, on_refusal=on_refusal))
    if is_function(code):
        on_done(code)
    return result.replace()


def swap_plus_and_minus(code: CodeType, *, on_done: Done, on_refusal: Refusal) -> CodeType:
    """Wrong on purpose: `+` and `-` change places in the function named by ROUNDTRIP_VICTIM."""
    reports = {"on_done": on_done, "on_refusal": on_refusal}
    result = with_constants(code, lambda part: swap_plus_and_minus(part, **reports))
    on_done(code)
    if code.co_qualname != os.environ.get("ROUNDTRIP_VICTIM"):
        return result.replace()
    symbols = {symbol: number for number, (_, symbol) in enumerate(dis._nb_ops)}  # type: ignore[attr-defined]
    exchange = {symbols["+"]: symbols["-"], symbols["-"]: symbols["+"]}
    text = bytearray(result.co_code)
    for instruction in dis.get_instructions(result):
        if instruction.opname == "BINARY_OP":
            text[instruction.offset + 1] = exchange.get(instruction.arg or 0, instruction.arg or 0)
    return result.replace(co_code=bytes(text))


def crash(code: CodeType, *, on_done: Done, on_refusal: Refusal) -> CodeType:
    """Wrong on purpose: the function named by ROUNDTRIP_VICTIM reads far behind its constants."""
    result = with_constants(code, lambda part: crash(part, on_done=on_done, on_refusal=on_refusal))
    on_done(code)
    if code.co_qualname != os.environ.get("ROUNDTRIP_VICTIM"):
        return result.replace()
    text = bytearray(result.co_code)
    for instruction in dis.get_instructions(result):
        if instruction.opname == "RESUME":
            end = instruction.offset + 2
            text[end : end + 4] = bytes([dis.opmap["EXTENDED_ARG"], 200, dis.opmap["LOAD_CONST"], 200])
    return result.replace(co_code=bytes(text))
