"""Tracebacks, and raising without side effects: what keeps the interpreter's own frames out of sight.

An exception that leaves an op has entries of the interpreter's frames; they are cut out, and one entry for
each scope of the op is put in front, with a frame object whose code has the user's names.
"""

from __future__ import annotations

import os
from opcode import opmap
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any, Final

from lineiform.ir.function import Position
from lineiform.ir.interpret.isolation import BUILTINS

__builtins__ = BUILTINS

MARK: Final = "__lineiform_stack__"
"""Code that is generated for the interpreter has a local variable of this name."""

_HERE: Final = os.path.dirname(__file__) + os.sep

_TRACEBACK: Final[Any] = BaseException.__dict__["__traceback__"]
_CONTEXT: Final[Any] = BaseException.__dict__["__context__"]


def traceback_of(exception: BaseException) -> TracebackType | None:
    result: TracebackType | None = _TRACEBACK.__get__(exception)
    return result


def set_traceback(exception: BaseException, traceback: TracebackType | None) -> None:
    _TRACEBACK.__set__(exception, traceback)


def strip_interpreter(exception: BaseException) -> None:
    """Cut the entries of the interpreter's frames out of the exception's traceback.

    Behind an entry that `add_entry` made nothing is left to cut.
    """
    entry = _next_of_user(traceback_of(exception))
    set_traceback(exception, entry)
    while entry is not None and entry.tb_frame.f_code.co_varnames != _template.__code__.co_varnames:
        following = _next_of_user(entry.tb_next)
        if following is not entry.tb_next:
            entry.tb_next = following
        entry = following


def _next_of_user(entry: TracebackType | None) -> TracebackType | None:
    while entry is not None and _is_internal(entry.tb_frame.f_code):
        entry = entry.tb_next
    return entry


def _is_internal(code: CodeType) -> bool:
    return MARK in code.co_varnames or code.co_filename.startswith(_HERE)


def add_entry(exception: BaseException, frame: FrameType, line: int, offset: int) -> None:
    """Put an entry in front, as CPython does when an exception passes a frame."""
    set_traceback(exception, TracebackType(traceback_of(exception), frame, offset, line))


def offsets(code: CodeType) -> dict[Position | None, int]:
    """The byte offset of the first instruction at each position."""
    result: dict[Position | None, int] = {}
    for n, position in enumerate(code.co_positions()):
        result.setdefault(position, 2 * n)
    return result


def _template(__lineiform_variables__: Any, __lineiform_back__: FrameType | None) -> Any:
    yield


def frame_for(code: CodeType, variables: Any, back: FrameType | None, namespace: dict[str, Any]) -> FrameType:
    """A frame object named like ``code`` that keeps ``variables`` and ``back`` alive, as a real one does.

    It is that of a generator which never starts, because such a frame has no link to its caller.
    """
    template = _template.__code__
    padding = len(code.co_code) - len(template.co_code)
    named = template.replace(
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno,
        co_code=template.co_code + bytes([opmap["NOP"], 0]) * (padding // 2),
        co_linetable=code.co_linetable,  # so that offsets mean the same positions
    )
    frame: FrameType = FunctionType(named, namespace)(variables, back).gi_frame
    return frame


def raise_exactly(box: list[BaseException]) -> None:
    """Raise the exception in ``box`` (which is emptied) and leave its ``__context__`` as it is.

    A plain ``raise`` would make the exception being handled here its context, and would cut a chain of
    contexts that leads to it.
    """
    exception = box.pop()
    context = _CONTEXT.__get__(exception)
    link = _link_to(exception)
    try:
        raise exception
    finally:
        _CONTEXT.__set__(exception, context)
        if link is not None:
            _CONTEXT.__set__(link, exception)
        del exception, context, link


def _link_to(exception: BaseException) -> BaseException | None:
    """The exception in the chain of the one being handled whose context is ``exception``."""
    import sys

    seen = set()
    current = sys.exception()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        context = _CONTEXT.__get__(current)
        if context is exception and current is not exception:
            return current
        current = context
    return None
