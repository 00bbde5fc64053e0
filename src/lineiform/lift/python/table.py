"""The form of an opcode table: what each row says.

A table gives for each opcode name the function that lifts it, that function's fixed arguments, how
control goes on, and which local variables it touches.  The flow analysis and the lifter read nothing else
about opcodes.  Never depends on the running interpreter, so that the tables of all versions can be
checked on each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple


class Flow(IntEnum):
    """How control leaves an instruction."""

    NEXT = 0
    JUMP = 1  # to the target only
    BRANCH = 2  # to the next instruction or the target
    STOP = 3  # neither: returns or raises


class Touch(IntEnum):
    """What an instruction does to a local variable."""

    READ = 0  # needs a value
    WRITE = 1  # gives it a value
    TAKE = 2  # reads it, then leaves it unbound
    SAVE = 3  # moves its value, if it has one, to the value stack, from where it may come back
    WRAP = 4  # reads it, bound or not, then gives it a value


class Access(NamedTuple):
    """Which variable: ``arg >> shift & mask``."""

    touch: Touch
    shift: int = 0
    mask: int = -1


class Row(NamedTuple):
    """One opcode.

    ``lift``: called as ``lift(lifter, arg, *params)``.  ``direction``: +1 or -1 for relative jumps.
    ``skip``: units that the jump goes beyond its nominal target.  ``accesses``: local variables touched.
    """

    lift: Callable[..., None]
    params: tuple[Any, ...] = ()
    flow: Flow = Flow.NEXT
    direction: int = 0
    skip: int = 0
    accesses: tuple[Access, ...] = ()


class Table(NamedTuple):
    """All that differs between the bytecodes of two CPython versions.

    ``rows``: by opcode name.  ``caches``: inline cache units by opcode name.  ``skipped``: opcodes that a
    jump's ``skip`` may pass over.  ``prefix``: opcodes that prepare cells at the start of a function.
    """

    rows: Mapping[str, Row]
    caches: Mapping[str, int]
    skipped: frozenset[str] = frozenset()
    prefix: frozenset[str] = frozenset({"COPY_FREE_VARS", "MAKE_CELL", "NOP"})
