"""What one walk finds out too late: it is abandoned, and the next one begins with the decision noted.

One mechanism for all that shows only further on: that an object has to be built, that somebody looks for a frame, that
a called function writes a global.  The rules that raise ``Restart`` say when; ``pipeline`` walks again.
"""

from __future__ import annotations

from types import CodeType
from typing import NamedTuple

RESTARTS = 16
"""Walks of one function after which nothing is kept virtual any more."""


class Restart(Exception):
    """The walk has to begin again: ``decisions`` (see ``Decisions``) were taken the wrong way."""

    def __init__(self, *decisions: object) -> None:
        super().__init__(*decisions)
        self.decisions = decisions

    @property
    def concerns_callers(self) -> bool:
        """Whether those that lead to the function which is walked have to be walked again, too."""
        return any(isinstance(decision, CodeType) for decision in self.decisions)


class WrittenGlobals(NamedTuple):
    """A function that is called writes these.  ``namespace``: its identity."""

    namespace: int
    names: frozenset[str]


class Decisions:
    """What earlier walks of the same function have found out.

    ``taken``: ops whose objects are built at once, and items of loops whose type changes.  ``nothing``: no object is
    kept virtual any more.
    ``frames``: code of functions that are not inlined, since somebody looks for their frames.
    ``written``: globals that functions write which are called, as identity of the namespace and name.
    """

    def __init__(self) -> None:
        self.taken: set[object] = set()
        self.frames: set[CodeType] = set()
        self.written: set[tuple[int, str]] = set()
        self.nothing = False

    def note(self, restart: Restart) -> None:
        """Take what an abandoned walk has found out into the next one."""
        for decision in restart.decisions:
            self.add(decision)

    def add(self, decision: object) -> None:
        """Note one of them."""
        if isinstance(decision, CodeType):
            self.frames.add(decision)
            return
        if isinstance(decision, WrittenGlobals):
            self.written.update((decision.namespace, name) for name in decision.names)
            return
        self.taken.add(decision)
        self.nothing = len(self.taken) >= RESTARTS
