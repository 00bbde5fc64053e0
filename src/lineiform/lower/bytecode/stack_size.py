"""How many slots of the value stack an instruction stream needs; a check of the lowering on the way.

Follows every way through the pieces with CPython's own table of stack effects.  Ways that meet must agree
about the depth, and no way may take more than there is: bytecode that breaks this would crash the
interpreter, so it is never handed over.
"""

from __future__ import annotations

import opcode
from collections.abc import Sequence

from lineiform.lower.bytecode.symbolic import SILENT, Instruction, Piece, Region
from lineiform.lower.bytecode.target import TARGET

_ENDS = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP"})
_NO_FALL = frozenset(TARGET.end_for)


def _effect(instruction: Instruction, jump: bool, cache: dict[tuple[str, int, bool], int]) -> int:
    name = instruction.name
    if name == "JUMP":
        return 0
    key = (name, instruction.arg, jump)
    known = cache.get(key)
    if known is None:
        real = TARGET.forward.get(name, name)
        number = opcode.opmap[real]
        argument = instruction.arg if number >= opcode.HAVE_ARGUMENT else None
        known = cache[key] = opcode.stack_effect(number, argument, jump=jump)
    return known


def stack_size(pieces: Sequence[Piece]) -> int:
    """The deepest the stack gets.  Raises AssertionError for an inconsistent stream (an error of ours)."""
    following = dict(zip(map(id, pieces), pieces[1:], strict=False))
    start: dict[int, int] = {id(pieces[0]): 0}
    pending = [pieces[0]]
    cache: dict[tuple[str, int, bool], int] = {}
    deepest = 0

    def arrive(piece: Piece, depth: int) -> None:
        known = start.setdefault(id(piece), depth)
        if known != depth:
            raise AssertionError(f"ways that meet disagree about the stack: {known} and {depth}")
        if id(piece) not in visited:
            visited.add(id(piece))
            pending.append(piece)

    visited = {id(pieces[0])}
    seen: set[int] = set()
    while pending:
        piece = pending.pop()
        depth = start[id(piece)]
        region: Region | None = None
        for instruction in piece.code:
            if instruction.region is not region:
                region = instruction.region
            if region is not None and id(region) not in seen:
                seen.add(id(region))
                top = region.depth + region.lasti + 1
                deepest = max(deepest, top)
                arrive(region.handler, top)
            if region is not None and depth < region.depth and instruction.name not in SILENT:
                raise AssertionError("the stack is lower than an exception handler expects")
            if instruction.target is not None:
                arrive(instruction.target, depth + _effect(instruction, True, cache))
            if instruction.name in _ENDS:
                break
            depth += _effect(instruction, False, cache)
            if depth > deepest:
                deepest = depth
            elif depth < 0:
                raise AssertionError("the stack runs empty")
        else:
            if id(piece) in following:
                arrive(following[id(piece)], depth)
    return deepest
