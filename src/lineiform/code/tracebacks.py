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


class _Made:
    """Marks a frame that was made (as its ``f_trace``): for which scope of which run of the unit.

    ``linked``: the entry of its caller stands above its own.
    """

    __slots__ = ("own", "scope", "linked")

    def __init__(self, own: FrameType, scope: int, linked: bool) -> None:
        self.own = own
        self.scope = scope
        self.linked = linked

    def __call__(self, *arguments: object) -> None:
        """No trace function: nothing is traced in a frame that never runs."""


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
        self._repair(exception, sys._getframe(1), 0)

    def catching(self, scope: int) -> Callable[[BaseException], None]:
        """As ``repair``, for an exception that is caught in ``scope``: its callers are added when it leaves."""

        def repair(exception: BaseException) -> None:
            self._repair(exception, sys._getframe(1), scope)

        return repair

    def _repair(self, exception: BaseException, own: FrameType, base: int) -> None:
        if _make_frame is None:
            return
        entries: list[TracebackType] = []
        parts: list[list[int] | None] = []
        newer: list[int] = []
        entry = exception.__traceback__
        while entry is not None:  # those of this run of the unit come first; others below are left alone
            made = entry.tb_frame.f_trace
            if entry.tb_frame is own:
                chain = self._chain(entry.tb_lasti)
                part = chain[self._first(chain, newer, base) :]
                parts.append(None if part == [0] else part)
            elif type(made) is _Made and made.own is own:
                chain = self._callers(made.scope)
                part = chain[-1:] if made.linked else chain[self._first(chain, newer, base) :]
                parts.append(None if len(part) == 1 else part)
                made.linked = made.linked or bool(newer) or len(part) > 1
            else:
                break
            entries.append(entry)
            newer = chain
            entry = entry.tb_next
        if not any(parts):
            return
        rebuilt = entry
        for entry, names in zip(reversed(entries), reversed(parts)):
            if names is None:
                rebuilt = TracebackType(rebuilt, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
            else:
                rebuilt = self._expand(own, entry, names, rebuilt)
        exception.__traceback__ = rebuilt

    @staticmethod
    def _first(chain: list[int], newer: list[int], base: int) -> int:
        """Where an entry's part of the chain begins: at what it shares with the one above, or at the catcher."""
        if not newer:
            return chain.index(base) if base in chain else 0
        shared = 0
        while shared < min(len(newer), len(chain)) and newer[shared] == chain[shared]:
            shared += 1
        return max(shared - 1, 0)

    def _chain(self, offset: int) -> list[int]:
        """Scopes from the unit's own function down to the one that raised at ``offset``."""
        index = bisect_right(self._offsets, offset) - 1
        return self._callers(self._at[index] if index >= 0 else 0)

    def _callers(self, innermost: int) -> list[int]:
        """Scopes from the unit's own function down to ``innermost``."""
        scope: int | None = innermost
        chain: list[int] = []
        while scope is not None:
            chain.append(scope)
            scope = self._scopes[scope].parent
        chain.reverse()
        return chain

    def _expand(
        self, own: FrameType, entry: TracebackType, chain: list[int], following: TracebackType | None
    ) -> TracebackType | None:
        """An entry and those of the functions above it; what is made says so, for the next repair."""
        assert _make_frame is not None
        key = (entry.tb_lasti if entry.tb_frame is own else -1, tuple(chain))
        steps = self._steps.get(key)
        if steps is None:
            steps = self._steps[key] = self._find_steps(entry, chain)
        for number, (scope, place, line) in enumerate(steps):
            code = self._scopes[scope].code
            if number == 0 and entry.tb_frame is not own:
                frame, place, line = entry.tb_frame, entry.tb_lasti, entry.tb_lineno
            elif scope == 0 or code is None:
                frame = own
            else:
                frame = _make_frame(code, self._namespaces[scope])
                frame.f_trace = _Made(own, scope, number < len(steps) - 1)
            following = TracebackType(following, frame, place, line)
        return following

    def _find_steps(self, entry: TracebackType, chain: list[int]) -> list[Step]:
        """Scope, instruction and line of each traceback entry, innermost first; remembered by the caller."""
        steps: list[Step] = []
        for number in range(len(chain) - 1, -1, -1):
            scope = chain[number]
            if number == len(chain) - 1 and type(entry.tb_frame.f_trace) is not _Made:
                position: Position | None = self._positions[entry.tb_lasti // 2]
                line = entry.tb_lineno
            else:
                below = chain[number + 1 :]
                position = self._scopes[below[0]].call_position if below else None
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
