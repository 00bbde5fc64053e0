"""Linked functions: recursion below the root makes functions of their own, beside the unit's, in one compilation.

A callee that comes to itself again is specialised by itself for what is bound to it, and called directly through a
cell that will hold it.  Which callees were asked for, and in which order they are compiled, is decided here; how,
in ``pipeline``.  A cell whose function could not be made holds the callee as it was, so a link is never worse than
the call that it stands for.  Never runs user code.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from lineiform.assumptions import raw
from lineiform.errors import NotCompiled
from lineiform.specialize.source import source_of

Key = tuple[Any, tuple[int, ...]]


class Link:
    """A function of the compilation.  ``before``: the arguments that are bound to it; ``cell`` will hold it."""

    __slots__ = ("function", "before", "cell")

    def __init__(self, function: Any, before: tuple[Any, ...]) -> None:
        self.function = function
        self.before = before
        self.cell = types.CellType()

    def leave(self) -> None:
        """Call it as it was."""
        before = self.before
        self.cell.cell_contents = functools.partial(self.function, *before) if before else self.function


class Links:
    """All functions of one compilation but the root's, by what they are made from."""

    def __init__(self, budget: Any) -> None:
        self._budget = budget
        self._known: dict[Key, Link] = {}
        self.waiting: list[Link] = []
        self.size = 0  # operations of all functions so far

    def find(self, function: Any, before: tuple[Any, ...]) -> Link | None:
        """The link for a callee, when there is one: then nobody inlines it any more."""
        return self._known.get(_key(function, before))

    def request(self, function: Any, before: tuple[Any, ...]) -> Link | None:
        """The link for a callee, made now if the budget allows it; None when it has to stay a call."""
        known = self.find(function, before)
        if known is not None:
            return known
        budget = self._budget
        if len(self._known) >= budget.linked_functions or self.size >= budget.linked_size:
            return None
        code = raw.function_code(function)
        try:
            source = source_of(code)
        except NotCompiled:
            return None
        if source.obstacle is not None or len(before) > code.co_argcount:
            return None
        self.size += source.size
        link = self._known[_key(function, before)] = Link(function, before)
        self.waiting.append(link)
        return link


def _key(function: Any, before: tuple[Any, ...]) -> Key:
    return function, tuple(map(id, before))
