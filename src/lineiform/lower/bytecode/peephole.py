"""Small improvements on symbolic instructions, before they get offsets.

Each rule looks at neighbouring instructions only and leaves what can be observed as it was: values and the
moments of their release, lines, exception regions.  Rules that a version lacks are switched by ``TARGET``.
"""

from __future__ import annotations

from collections.abc import Sequence

from lineiform.lower.bytecode.symbolic import Instruction, Piece
from lineiform.lower.bytecode.target import TARGET


def simplify(pieces: Sequence[Piece]) -> None:
    """Apply all rules."""
    _simplify_jumps(pieces)
    for piece in pieces:
        _join_neighbours(piece)
    if TARGET.jump_or_pop:
        _jump_or_pop(pieces)


def _simplify_jumps(pieces: Sequence[Piece]) -> None:
    """Drop jumps to what follows anyway and turn ``if c jump A; jump B; A:`` into ``if not c jump B; A:``."""
    next_up: set[int] = set()  # labels of the place behind the piece
    for piece in reversed(pieces):
        code = piece.code
        while code and code[-1].name == "JUMP":
            if id(code[-1].target) in next_up:
                code.pop()
            elif len(code) > 1 and code[-2].name in TARGET.inverse and id(code[-2].target) in next_up:
                jump, branch = code.pop(), code[-1]
                branch.name, branch.target = TARGET.inverse[branch.name], jump.target
            else:
                break
        if code:
            next_up = {id(piece)}
        else:
            next_up.add(id(piece))


def _line(instruction: Instruction) -> int | None:
    return instruction.position[0] if instruction.position is not None else None


def _together(first: Instruction, second: Instruction) -> bool:
    """The two may become one instruction: same line, function and exception region."""
    return (
        _line(first) == _line(second) and first.scope == second.scope and first.region == second.region
    )


_SECOND = frozenset({"RETURN_VALUE", *(second for _, second in TARGET.pairs)})
"""What can be the second of two that are joined."""


def _join_neighbours(piece: Piece) -> None:
    out: list[Instruction] = []
    for instruction in piece.code:
        last = out[-1] if out else None
        if last is None or instruction.name not in _SECOND or not _together(last, instruction):
            out.append(instruction)
        elif instruction.name == "RETURN_VALUE" and last.name == "LOAD_CONST" and TARGET.return_const:
            last.name = "RETURN_CONST"
        elif (last.name, instruction.name) in TARGET.pairs and last.arg < 16 and instruction.arg < 16:
            last.name = TARGET.pairs[last.name, instruction.name]
            last.arg = last.arg << 4 | instruction.arg
        else:
            out.append(instruction)
    piece.code = out


_OR_POP = {"POP_JUMP_IF_TRUE": "JUMP_IF_TRUE_OR_POP", "POP_JUMP_IF_FALSE": "JUMP_IF_FALSE_OR_POP"}


def _jump_or_pop(pieces: Sequence[Piece]) -> None:
    """``COPY 1; if top jump A; POP_TOP`` with one way only to POP_TOP is one instruction, when A is ahead."""
    order = {id(piece): number for number, piece in enumerate(pieces)}
    targets: set[int] = set()
    for piece in pieces:
        for instruction in piece.code:
            if instruction.target is not None:
                targets.add(id(instruction.target))
            if instruction.region is not None:
                targets.add(id(instruction.region.handler))
    for number, piece in enumerate(pieces):
        code = piece.code
        if len(code) < 2 or code[-1].name not in _OR_POP or code[-2].name != "COPY" or code[-2].arg != 1:
            continue
        target = code[-1].target
        following = _next_code(pieces, number, targets)
        if target is None or order[id(target)] <= number or following is None:
            continue
        if following.code[0].name == "POP_TOP":
            del following.code[0]
            jump = code.pop()
            code[-1] = jump
            jump.name = _OR_POP[jump.name]


def _next_code(pieces: Sequence[Piece], number: int, targets: set[int]) -> Piece | None:
    """The piece with the next instruction, when control comes there from piece ``number`` only."""
    for piece in pieces[number + 1 :]:
        if id(piece) in targets:
            return None
        if piece.code:
            return piece
    return None
