"""Symbolic instructions: what the lowering writes and the assembler turns into bytes."""

from __future__ import annotations

from typing import Final, NamedTuple

from lineiform.ir.function import Position


class Region(NamedTuple):
    """Where an exception goes: handler, number of stack slots kept, whether the raising index is pushed."""

    handler: Piece
    depth: int
    lasti: bool


class Instruction:
    """One symbolic instruction; ``target`` is the piece that a jump leads to."""

    __slots__ = ("name", "arg", "target", "position", "region", "scope", "offset", "size")

    def __init__(
        self,
        name: str,
        arg: int = 0,
        position: Position | None = None,
        region: Region | None = None,
        target: Piece | None = None,
        scope: int = 0,
    ) -> None:
        self.name = name
        self.arg = arg
        self.target = target
        self.position = position
        self.region = region
        self.scope = scope
        self.offset = 0
        self.size = 0


class Piece:
    """A labelled run of instructions.  ``JUMP`` is the abstract unconditional jump."""

    __slots__ = ("code", "offset")

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self.offset = 0


SILENT: Final = frozenset(
    "NOP END_FOR LOAD_CONST LOAD_FAST LOAD_FAST_LOAD_FAST STORE_FAST STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST "
    "LOAD_FAST_AND_CLEAR LOAD_CLOSURE PUSH_NULL SWAP COPY POP_TOP KW_NAMES LOAD_CAPTURED".split()
)
"""Instructions that never raise: they may lie in any exception region."""

SYNONYMS: Final = {"LOAD_CAPTURED": "LOAD_DEREF"}
"""Names that say more than CPython's: LOAD_CAPTURED reads a cell that always has a value."""
