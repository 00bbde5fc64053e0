"""Tracebacks of inlined functions: what leaves a unit looks as if nothing had been inlined.

A unit is one frame; CPython notes one traceback entry for it.  When an exception leaves the unit, the
repairer replaces this entry by one for each of the user's functions that were inlined at the raising
instruction, with frames made by ``PyFrame_New``.  Costs nothing unless an exception passes.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple

from lineiform.ir.function import Position, Scope


def _frame_maker() -> Callable[[CodeType, dict[str, Any]], FrameType] | None:
    try:
        import ctypes

        new = ctypes.pythonapi.PyFrame_New
        current = ctypes.pythonapi.PyThreadState_Get
    except (ImportError, AttributeError):
        return None
    current.restype = ctypes.c_void_p
    current.argtypes = []
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object, ctypes.py_object]

    def make(code: CodeType, namespace: dict[str, Any]) -> FrameType:
        frame: FrameType = new(current(), code, namespace, {})
        return frame

    return make


_make_frame = _frame_maker()


class Step(NamedTuple):
    """One entry of a repaired traceback."""

    scope: int
    place: int
    line: int


class Repairer:
    """Repairs tracebacks of one unit.  ``complete`` is called once the unit's code exists."""

    __slots__ = ("_scopes", "_offsets", "_at", "_positions", "_namespaces", "_steps")

    def __init__(self) -> None:
        self._scopes: Sequence[Scope] = ()
        self._offsets: list[int] = []
        self._at: list[int] = []
        self._positions: list[Position] = []
        self._namespaces: Sequence[dict[str, Any]] = ()
        self._steps: dict[tuple[int, tuple[int, ...]], list[Step]] = {}

    def complete(
        self,
        code: CodeType,
        scopes: Sequence[Scope],
        changes: Sequence[tuple[int, int]],
        namespaces: Sequence[dict[str, Any]],
    ) -> None:
        """``changes``: (byte offset, scope); ``namespaces``: globals of each scope's function."""
        self._scopes = scopes
        self._offsets = [offset for offset, _ in changes]
        self._at = [scope for _, scope in changes]
        self._positions = list(code.co_positions())
        self._namespaces = namespaces

    def repair(self, exception: BaseException) -> None:
        """Called by the unit with an exception that is about to leave it."""
        if _make_frame is None:
            return
        own = sys._getframe(1)
        entries: list[TracebackType] = []
        entry = exception.__traceback__
        while entry is not None:
            entries.append(entry)
            entry = entry.tb_next
        newer: list[int] = []
        chains: list[list[int] | None] = []
        for entry in entries:
            if entry.tb_frame is not own:
                chains.append(None)
                continue
            chain = self._chain(entry.tb_lasti)
            shared = 0
            while shared < min(len(newer), len(chain)) and newer[shared] == chain[shared]:
                shared += 1
            chains.append(chain[max(shared - 1, 0) :])
            newer = chain
        rebuilt: TracebackType | None = None
        for entry, part in zip(reversed(entries), reversed(chains)):
            if part is None or part == [0]:
                rebuilt = TracebackType(rebuilt, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
            else:
                rebuilt = self._expand(entry, part, rebuilt)
        exception.__traceback__ = rebuilt

    def _chain(self, offset: int) -> list[int]:
        """Scopes from the unit's own function down to the one that raised at ``offset``."""
        index = bisect_right(self._offsets, offset) - 1
        scope: int | None = self._at[index] if index >= 0 else 0
        chain: list[int] = []
        while scope is not None:
            chain.append(scope)
            scope = self._scopes[scope].parent
        chain.reverse()
        return chain

    def _expand(
        self, entry: TracebackType, chain: list[int], following: TracebackType | None
    ) -> TracebackType | None:
        assert _make_frame is not None
        key = (entry.tb_lasti, tuple(chain))
        steps = self._steps.get(key)
        if steps is None:
            steps = self._steps[key] = self._find_steps(entry, chain)
        for scope, place, line in steps:
            code = self._scopes[scope].code
            if scope == 0 or code is None:
                frame = entry.tb_frame
            else:
                frame = _make_frame(code, self._namespaces[scope])
            following = TracebackType(following, frame, place, line)
        return following

    def _find_steps(self, entry: TracebackType, chain: list[int]) -> list[Step]:
        """Scope, instruction and line of each traceback entry, innermost first; remembered by the caller."""
        steps: list[Step] = []
        for number in range(len(chain) - 1, -1, -1):
            scope = chain[number]
            if number == len(chain) - 1:
                position: Position | None = self._positions[entry.tb_lasti // 2]
                line = entry.tb_lineno
            else:
                position = self._scopes[chain[number + 1]].call_position
                line = position[0] if position and position[0] is not None else entry.tb_lineno
            code = self._scopes[scope].code
            place = self._own_place(position) if scope == 0 or code is None else _place_of(code, position)
            steps.append(Step(scope, place, line))
        return steps

    def _own_place(self, position: Position | None) -> int:
        """Byte offset of an instruction of the unit's own function at ``position``, or -1."""
        for index, candidate in enumerate(self._positions):
            if candidate == position and self._chain(2 * index) == [0]:
                return 2 * index
        return -1


def _place_of(code: CodeType, position: Position | None) -> int:
    """Byte offset of an instruction of ``code`` at ``position``, or -1: no column is shown then."""
    for index, candidate in enumerate(code.co_positions()):
        if candidate == position:
            return 2 * index
    return -1
