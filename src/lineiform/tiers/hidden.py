"""Python functions whose frames nobody sees.

CPython hides a frame until it has executed its RESUME instruction: `sys._getframe`, `f_back`, tracebacks,
tracers and profilers all skip such a frame.  `hidden` moves RESUME behind the last instruction of a function
of ours, so that the function works as before and its frame stays hidden for as long as it lives.

Decides nothing.  Relies on jumps being relative (true from 3.11 on), on RESUME coming before the first
handler, and on the format of the exception table.  Never touches a function of the user's.
"""

from __future__ import annotations

import sys
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

#: CPython version -> number of the RESUME instruction.
RESUME = {(3, 11): 151, (3, 12): 151, (3, 13): 149}


def hidden(function: F) -> F:
    """The same function with a frame that nobody sees; the function itself where that is not possible."""
    resume = RESUME.get(sys.version_info[:2]) if sys.implementation.name == "cpython" else None
    if resume is None or not isinstance(function, FunctionType):
        return function
    code = function.__code__
    units = code.co_code
    start = 0
    while units[start] != resume:
        start += 2
    moved = code.replace(
        co_code=units[:start] + units[start + 2:] + units[start:start + 2],
        co_exceptiontable=_one_unit_earlier(code.co_exceptiontable))
    result = FunctionType(moved, function.__globals__, function.__name__, function.__defaults__,
                          function.__closure__)
    result.__kwdefaults__ = function.__kwdefaults__
    result.__qualname__ = function.__qualname__
    result.__doc__ = function.__doc__
    return result  # type: ignore[return-value]


def _one_unit_earlier(table: bytes) -> bytes:
    """The exception table after one code unit was taken away in front of everything that it covers."""
    numbers = list(_numbers(table))
    parts = []
    for first in range(0, len(numbers), 4):
        begin, length, target, depth_and_lasti = numbers[first:first + 4]
        parts += [_encoded(begin - 1, 0x80), _encoded(length), _encoded(target - 1),
                  _encoded(depth_and_lasti)]
    return b"".join(parts)


def _numbers(table: bytes) -> Iterator[int]:
    value = 0
    for byte in table:
        value = value << 6 | byte & 0x3F
        if not byte & 0x40:
            yield value
            value = 0


def _encoded(value: int, mark: int = 0) -> bytes:
    """One number of the table: six bits a byte, most significant first, `mark` on the first byte."""
    groups = [value & 0x3F]
    while value := value >> 6:
        groups.append(value & 0x3F | 0x40)
    groups.reverse()
    groups[0] |= mark
    return bytes(groups)
