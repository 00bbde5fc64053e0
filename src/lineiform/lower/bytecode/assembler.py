"""From symbolic instructions to a code object's bytes: sizes, jumps, exception table, line table.

Relies on the running interpreter's opcode numbers and inline cache sizes; which jump instructions exist on
a version stands in ``target.py``.  Knows nothing of the IR.  The formats are those of CPython's
``Objects/locations.md`` and ``Objects/exception_handling_notes.txt``.
"""

from __future__ import annotations

import opcode
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lineiform.errors import NotCompiled
from lineiform.ir.function import Position
from lineiform.lower.bytecode.peephole import simplify
from lineiform.lower.bytecode.stack_size import stack_size
from lineiform.lower.bytecode.symbolic import SILENT, SYNONYMS, Instruction, Piece, Region
from lineiform.lower.bytecode.target import TARGET

OPCODES = opcode.opmap
_caches = opcode._inline_cache_entries  # type: ignore[attr-defined]
CACHES: dict[str, int] = (
    dict(_caches)
    if isinstance(_caches, dict)
    else {opcode.opname[number]: count for number, count in enumerate(_caches) if count}
)
CACHE = 0
EXTENDED_ARG = OPCODES["EXTENDED_ARG"]


class Assembled(NamedTuple):
    """``stack_size``: slots of the value stack that are needed.
    ``scopes``: (byte offset, scope of the inlining tree) wherever the scope changes."""

    code: bytes
    exception_table: bytes
    line_table: bytes
    scopes: tuple[tuple[int, int], ...]
    stack_size: int


def assemble(pieces: Sequence[Piece], first_line: int) -> Assembled:
    """Lay the pieces out in the given order."""
    simplify(pieces)
    _complete_regions(pieces)
    for piece in pieces:
        for instruction in piece.code:
            if instruction.name in SYNONYMS:
                instruction.name = SYNONYMS[instruction.name]
    size = stack_size(pieces)
    _resolve(pieces)
    stream = [instruction for piece in pieces for instruction in piece.code]
    return Assembled(
        _encode(stream), _exception_table(stream), _line_table(stream, first_line), _scopes(stream), size
    )


def _scopes(stream: Iterable[Instruction]) -> tuple[tuple[int, int], ...]:
    changes: list[tuple[int, int]] = []
    last = -1
    for instruction in stream:
        if instruction.scope != last:
            last = instruction.scope
            changes.append((2 * instruction.offset, last))
    return tuple(changes)


_CALLING = frozenset("CALL CALL_KW CALL_FUNCTION_EX BINARY_SUBSCR LOAD_ATTR FOR_ITER".split())
"""Instructions that can run a Python function in the same evaluation loop."""


def _complete_regions(pieces: Sequence[Piece]) -> None:
    """Let silent instructions belong to the region that follows them, so that regions are few and long."""
    region: Region | None = None
    for piece in reversed(pieces):
        for instruction in reversed(piece.code):
            if instruction.region is None and region is not None and instruction.name in SILENT:
                instruction.region = region
            region = instruction.region
    if not TARGET.covers_before:
        return
    region = None
    for piece in pieces:
        code: list[Instruction] = []
        for instruction in piece.code:
            if instruction.name in _CALLING and instruction.region != region:
                code.append(Instruction("NOP", 0, instruction.position, instruction.region))
            code.append(instruction)
            region = instruction.region
        piece.code = code


def _resolve(pieces: Sequence[Piece]) -> None:
    """Choose forward or backward forms, then grow arguments until every jump reaches its target."""
    order = {id(piece): number for number, piece in enumerate(pieces)}
    for number, piece in enumerate(pieces):
        if any(instruction.target is not None for instruction in piece.code):
            _choose_jumps(piece, number, order)
    jumps: list[Instruction] = []
    for piece in pieces:
        for instruction in piece.code:
            arg = instruction.arg
            instruction.size = 1 + CACHES.get(instruction.name, 0) + (_extensions(arg) if arg > 0xFF else 0)
            if instruction.target is not None:
                jumps.append(instruction)
    changed = True
    while changed:
        changed = False
        offset = 0
        for piece in pieces:
            piece.offset = offset
            for instruction in piece.code:
                instruction.offset = offset
                offset += instruction.size
        for jump in jumps:
            assert jump.target is not None
            jump.arg = abs(jump.target.offset - jump.offset - jump.size)
            size = 1 + CACHES.get(jump.name, 0) + _extensions(jump.arg)
            if size > jump.size:
                jump.size = size
                changed = True


def _choose_jumps(piece: Piece, number: int, order: dict[int, int]) -> None:
    code: list[Instruction] = []
    for instruction in piece.code:
        target = instruction.target
        if target is None:
            code.append(instruction)
            continue
        backward = order[id(target)] <= number
        if instruction.name == "JUMP":
            instruction.name = "JUMP_BACKWARD" if backward else "JUMP_FORWARD"
            code.append(instruction)
        elif instruction.name not in TARGET.inverse:  # FOR_ITER: always forward
            if backward:
                raise NotCompiled("operand-order", "the end of a loop stands before the loop")
            code.append(instruction)
        elif not backward:
            instruction.name = TARGET.forward[instruction.name]
            code.append(instruction)
        elif instruction.name in TARGET.backward:
            instruction.name = TARGET.backward[instruction.name]
            code.append(instruction)
        else:
            # No backward conditional jump on this version: jump over an unconditional one.
            skip = Instruction(
                TARGET.forward[TARGET.inverse[instruction.name]], 0, instruction.position, instruction.region
            )
            back = Instruction("JUMP_BACKWARD", 0, instruction.position, instruction.region, target)
            code.extend((skip, back))
            skip.arg = 1 + CACHES.get("JUMP_BACKWARD", 0)  # patched below when the jump is long
            skip.target = _After(back)
    piece.code = code


class _After(Piece):
    """The place right behind an instruction, as a jump's target."""

    __slots__ = ("_instruction",)

    def __init__(self, instruction: Instruction) -> None:
        self._instruction = instruction

    @property
    def offset(self) -> int:  # type: ignore[override]
        return self._instruction.offset + self._instruction.size


def _extensions(arg: int) -> int:
    return 0 if arg < 0x100 else 1 if arg < 0x10000 else 2 if arg < 0x1000000 else 3


def _encode(stream: Iterable[Instruction]) -> bytes:
    out = bytearray()
    for instruction in stream:
        name, arg = instruction.name, instruction.arg
        caches = CACHES.get(name, 0)
        if instruction.size - caches > 1:
            for shift in range(instruction.size - 1 - caches, 0, -1):
                out += bytes((EXTENDED_ARG, (arg >> (8 * shift)) & 0xFF))
        out.append(OPCODES[name])
        out.append(arg & 0xFF)
        if caches:
            out += bytes(2 * caches)
    return bytes(out)


# Exception table: four varints an entry, most significant group first.


def _varint(value: int, first: int = 0) -> bytes:
    if value < 64:
        return bytes((value | first,))
    groups = [value & 63]
    while value := value >> 6:
        groups.append(value & 63)
    groups.reverse()
    out = [group | 0x40 for group in groups[:-1]] + [groups[-1]]
    out[0] |= first
    return bytes(out)


def _exception_table(stream: Iterable[Instruction]) -> bytes:
    out = bytearray()
    start = end = 0
    current: Region | None = None
    for instruction in stream:
        region = instruction.region
        if region is not current and region != current:
            if current is not None:
                out += _exception_entry(start, end, current)
            start, current = instruction.offset, region
        end = instruction.offset + instruction.size
    if current is not None:
        out += _exception_entry(start, end, current)
    return bytes(out)


def _exception_entry(start: int, end: int, region: Region) -> bytes:
    return (
        _varint(start, 0x80)
        + _varint(end - start)
        + _varint(region.handler.offset)
        + _varint(region.depth << 1 | region.lasti)
    )


# Line table: least significant group first; signed numbers carry their sign in the lowest bit.


def _little(value: int) -> bytes:
    out = bytearray()
    while value > 63:
        out.append(value & 63 | 0x40)
        value >>= 6
    out.append(value)
    return bytes(out)


def _signed(value: int) -> bytes:
    return _little((-value << 1) | 1 if value < 0 else value << 1)


def _line_table(stream: Iterable[Instruction], first_line: int) -> bytes:
    out = bytearray()
    line = first_line
    pending: Position | None = None
    units = 0
    started = False
    for instruction in stream:
        if started and instruction.position == pending:
            units += instruction.size
            continue
        if started:
            line = _location(out, pending, units, line)
        pending, units, started = instruction.position, instruction.size, True
    if started:
        _location(out, pending, units, line)
    return bytes(out)


def _location(out: bytearray, position: Position | None, units: int, line: int) -> int:
    while units > 8:
        line = _location_entry(out, position, 8, line)
        units -= 8
    return _location_entry(out, position, units, line)


def _location_entry(out: bytearray, position: Position | None, units: int, line: int) -> int:
    length = units - 1
    start, end, column, end_column = position if position is not None else (None, None, None, None)
    if start is None:
        out.append(0x80 | 15 << 3 | length)
        return line
    delta = start - line
    if column is None or end_column is None or end is None:
        out.append(0x80 | 13 << 3 | length)
        out += _signed(delta)
        return start
    width = end_column - column
    if end == start and 0 <= width < 16 and delta == 0 and column < 80:
        out.append(0x80 | (column >> 3) << 3 | length)
        out.append((column & 7) << 4 | width)
    elif end == start and 0 <= delta < 3 and column < 128 and end_column < 128:
        out.append(0x80 | (10 + delta) << 3 | length)
        out += bytes((column, end_column))
    else:
        out.append(0x80 | 14 << 3 | length)
        out += _signed(delta) + _little(end - start) + _little(column + 1) + _little(end_column + 1)
    return start
