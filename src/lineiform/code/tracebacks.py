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
    """One entry of a repaired traceback.  ``frame``: the one that was made for it, None for the unit's own."""

    frame: FrameType | None
    place: int
    line: int


class Part(NamedTuple):
    """What becomes of one entry.

    ``chain``: scopes from the unit's own function to the one that the entry stands for.  ``steps``: the entries
    that replace it, innermost first; None when it stays.  ``top``: scope of the uppermost.
    """

    chain: tuple[int, ...]
    steps: tuple[Step, ...] | None
    top: int


class _Made:
    """Marks a frame that was made (as its ``f_trace``): by whom.

    A scope has one such frame, made when it is needed first: it has no variables, and never runs.
    """

    __slots__ = ("unit",)

    def __init__(self, unit: Repairer) -> None:
        self.unit = unit

    def __call__(self, *arguments: object) -> None:
        """No trace function: nothing is traced in a frame that never runs."""


class _Run:
    """What is known about one run of the unit (as ``f_trace`` of its frame).

    ``tops``: entries (by identity) whose callers in this run do not yet stand above them, with their scopes;
    below such an entry everything is done.
    """

    __slots__ = ("tops",)

    def __init__(self) -> None:
        self.tops: dict[int, int] = {}

    def __call__(self, *arguments: object) -> None:
        """No trace function: a unit is not traced."""


class Repairer:
    """Repairs tracebacks of one unit.  ``complete`` is called once the unit's code exists."""

    __slots__ = ("_scopes", "_offsets", "_at", "_positions", "_namespaces", "_frames", "_parts")

    def __init__(self) -> None:
        self._scopes: Sequence[Scope] = ()
        self._offsets: list[int] = []
        self._at: list[int] = []
        self._positions: list[Position] = []
        self._namespaces: Sequence[dict[str, Any]] = ()
        self._frames: dict[int, FrameType] = {}
        self._parts: dict[tuple[int, tuple[int, ...], int], Part] = {}

    def complete(
        self,
        code: CodeType,
        scopes: Sequence[Scope],
        changes: Sequence[tuple[int, int]],
    ) -> None:
        """``changes``: (byte offset, scope)."""
        self._scopes = scopes
        self._offsets = [offset for offset, _ in changes]
        self._at = [scope for _, scope in changes]
        self._positions = list(code.co_positions())

    def within(self, namespaces: Sequence[dict[str, Any]]) -> Repairer:
        """The repairer of one instance of the code.  ``namespaces``: globals of each scope's function."""
        repairer = Repairer()
        repairer._scopes, repairer._offsets, repairer._at = self._scopes, self._offsets, self._at
        repairer._positions, repairer._parts, repairer._namespaces = self._positions, self._parts, namespaces
        return repairer

    def catching(self, scope: int) -> Callable[[BaseException], None]:
        """What the unit calls with an exception that is caught in ``scope`` (0: is about to leave it).

        The callers of ``scope`` are added when it leaves.
        """

        def repair(exception: BaseException) -> None:
            self._repair(exception, sys._getframe(1), scope)

        return repair

    def _repair(self, exception: BaseException, own: FrameType, base: int) -> None:
        if _make_frame is None:
            return
        run = own.f_trace
        tops = run.tops if type(run) is _Run else {}
        found: list[tuple[TracebackType, Part]] = []
        newer: tuple[int, ...] = ()
        changed = False
        entry = exception.__traceback__
        while entry is not None:  # those of this run of the unit come first; others below are left alone
            if entry.tb_frame is own:
                which = entry.tb_lasti
            elif id(entry) in tops and self._is_made(entry.tb_frame):
                which = -2 - tops[id(entry)]
            else:
                break
            part = self._parts.get((which, newer, base)) or self._find_part(entry, which, newer, base)
            changed = changed or part.steps is not None
            found.append((entry, part))
            newer = part.chain
            entry = entry.tb_next
        if not changed:
            return
        rebuilt = entry
        for entry, part in reversed(found):
            if part.steps is not None:
                rebuilt = self._expand(own, entry, part.steps, rebuilt, tops)
            elif entry.tb_next is rebuilt:
                rebuilt = entry
                tops.pop(id(entry), None)
            else:
                rebuilt = TracebackType(rebuilt, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
        exception.__traceback__ = rebuilt
        top = found[0][1].top
        if top:
            tops[id(rebuilt)] = top
            if type(run) is not _Run:
                run = _Run()
                run.tops = tops
                own.f_trace = run

    def _is_made(self, frame: FrameType) -> bool:
        made = frame.f_trace
        return type(made) is _Made and made.unit is self

    def _find_part(self, entry: TracebackType, which: int, newer: tuple[int, ...], base: int) -> Part:
        """``which``: instruction of the unit, or -2 - scope for an entry that was made; remembered."""
        chain = self._chain(which) if which >= -1 else self._callers(-2 - which)
        scopes = chain[self._first(chain, newer, base) :]
        if which >= -1 and scopes == (0,) or which < -1 and len(scopes) == 1:
            part = Part(chain, None, scopes[0])
        else:
            part = Part(chain, tuple(self._find_steps(entry, scopes, which < -1)), scopes[0])
        self._parts[which, newer, base] = part
        return part

    @staticmethod
    def _first(chain: tuple[int, ...], newer: tuple[int, ...], base: int) -> int:
        """Where an entry's part of the chain begins: at what it shares with the one above, or at the catcher."""
        if not newer:
            return chain.index(base) if base in chain else 0
        shared = 0
        while shared < min(len(newer), len(chain)) and newer[shared] == chain[shared]:
            shared += 1
        return max(shared - 1, 0)

    def _chain(self, offset: int) -> tuple[int, ...]:
        """Scopes from the unit's own function down to the one that raised at ``offset``."""
        index = bisect_right(self._offsets, offset) - 1
        return self._callers(self._at[index] if index >= 0 else 0)

    def _callers(self, innermost: int) -> tuple[int, ...]:
        """Scopes from the unit's own function down to ``innermost``."""
        scope: int | None = innermost
        chain: list[int] = []
        while scope is not None:
            chain.append(scope)
            scope = self._scopes[scope].parent
        return tuple(reversed(chain))

    @staticmethod
    def _expand(
        own: FrameType,
        entry: TracebackType,
        steps: Sequence[Step],
        following: TracebackType | None,
        tops: dict[int, int],
    ) -> TracebackType | None:
        """An entry and those of the functions above it."""
        for frame, place, line in steps:
            if place < -1:
                frame, place, line = entry.tb_frame, entry.tb_lasti, entry.tb_lineno
            following = TracebackType(following, frame or own, place, line)
            tops.pop(id(following), None)
        return following

    def _find_steps(self, entry: TracebackType, chain: tuple[int, ...], made: bool) -> list[Step]:
        """The traceback entries, innermost first.  The first is the entry itself when that was ``made``."""
        steps: list[Step] = []
        for number in range(len(chain) - 1, -1, -1):
            scope = chain[number]
            if number == len(chain) - 1 and made:
                steps.append(Step(None, -2, 0))
                continue
            if number == len(chain) - 1:
                position: Position | None = self._positions[entry.tb_lasti // 2]
                line = entry.tb_lineno
            else:
                position = self._scopes[chain[number + 1]].call_position
                line = position[0] if position and position[0] is not None else entry.tb_lineno
            code = self._scopes[scope].code
            if scope == 0 or code is None:
                steps.append(Step(None, self._own_place(position), line))
            else:
                steps.append(Step(self._frame(scope, code), _place_of(code, position), line))
        return steps

    def _frame(self, scope: int, code: CodeType) -> FrameType:
        frame = self._frames.get(scope)
        if frame is None:
            assert _make_frame is not None
            frame = self._frames[scope] = _make_frame(code, self._namespaces[scope])
            frame.f_trace = _Made(self)
        return frame

    def _own_place(self, position: Position | None) -> int:
        """Byte offset of an instruction of the unit's own function at ``position``, or -1."""
        for index, candidate in enumerate(self._positions):
            if candidate == position and self._chain(2 * index) == (0,):
                return 2 * index
        return -1


def _place_of(code: CodeType, position: Position | None) -> int:
    """Byte offset of an instruction of ``code`` at ``position``, or -1: no column is shown then."""
    for index, candidate in enumerate(code.co_positions()):
        if candidate == position:
            return 2 * index
    return -1
