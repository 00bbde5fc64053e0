"""Reads the raw parts of a code object: instructions, exception table, positions.

Decides where each instruction starts, what its argument is and which handler covers it.  Relies on
``co_code`` (never the adaptive copy that the interpreter specialises in place) and on the number of
inline cache entries of each opcode.  Never interprets what an instruction does.

All offsets are in code units of two bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType
from typing import NamedTuple

from lineiform.ir.function import Position

EXTENDED_ARG = "EXTENDED_ARG"
_LARGEST_ARGUMENT = 0x7FFFFFFF


class Malformed(Exception):
    """The code object breaks a rule that every compiler keeps; the message says which."""


class Instruction(NamedTuple):
    """``start``: its first unit, prefixes included.  ``unit``: that of the opcode proper.
    ``following``: the first unit after its inline caches; jumps are relative to it."""

    start: int
    unit: int
    opcode: int
    arg: int
    following: int


class Catch(NamedTuple):
    """One row of the exception table without its range.

    ``target``: unit of the handler.  ``depth``: how many slots of the value stack it keeps.
    ``lasti``: whether it also gets the index of the instruction that raised."""

    target: int
    depth: int
    lasti: bool


def decode_instructions(
    code: bytes, extended_arg: int, caches: Mapping[int, int]
) -> tuple[list[Instruction], list[int]]:
    """The instructions in order, and for each code unit the index of the instruction that starts there
    (-1 where none does; one extra entry for the end).

    Raises Malformed when the code ends in the middle of an instruction.
    """
    if len(code) % 2:
        raise Malformed("bytecode of odd length")
    count = len(code) // 2
    instructions: list[Instruction] = []
    index_at = [-1] * (count + 1)
    unit = start = prefix = 0
    while unit < count:
        opcode = code[2 * unit]
        arg = prefix | code[2 * unit + 1]
        if opcode == extended_arg:
            prefix = arg << 8
            if prefix > _LARGEST_ARGUMENT:
                raise Malformed("argument of an instruction exceeds 31 bits")
            unit += 1
            continue
        following = unit + 1 + caches.get(opcode, 0)
        index_at[start] = len(instructions)
        instructions.append(Instruction(start, unit, opcode, arg, following))
        unit = start = following
        prefix = 0
    if start < count:
        raise Malformed("bytecode ends in EXTENDED_ARG")
    return instructions, index_at


def _varint(table: bytes, at: int) -> tuple[int, int]:
    """The number that starts at ``at``, six bits a byte, most significant first; and the place after it."""
    byte = table[at]
    value = byte & 63
    while byte & 64:
        at += 1
        byte = table[at]
        value = value << 6 | byte & 63
    return value, at + 1


def decode_exception_table(table: bytes, count: int) -> list[Catch | None] | None:
    """For each of ``count`` code units, the handler that covers it; None when there are no handlers.

    Source of the format: ``Objects/exception_handling_notes.txt`` in CPython.  The first row that covers
    a unit wins, as in the interpreter's search.  Raises Malformed for truncated or impossible rows.
    """
    if not table:
        return None
    rows: list[tuple[int, int, Catch]] = []
    known: dict[tuple[int, int], Catch] = {}
    at = 0
    try:
        while at < len(table):
            start, at = _varint(table, at)
            size, at = _varint(table, at)
            target, at = _varint(table, at)
            depth_lasti, at = _varint(table, at)
            if start + size > count or target >= count:
                raise Malformed("exception table points outside the bytecode")
            catch = Catch(target, depth_lasti >> 1, bool(depth_lasti & 1))
            catch = known.setdefault((target, depth_lasti), catch)
            rows.append((start, start + size, catch))
    except IndexError:
        raise Malformed("exception table is truncated") from None
    covered: list[Catch | None] = [None] * count
    for start, end, catch in reversed(rows):
        covered[start:end] = [catch] * (end - start)
    return covered


def decode_positions(code: CodeType, count: int) -> list[Position | None]:
    """The source position of each code unit; None where the compiler gave none.

    Raises Malformed for a location table that cannot be read.
    """
    try:
        positions: list[Position | None] = [p if p[0] is not None else None for p in code.co_positions()]
    except Exception as error:  # the C parser reports broken tables in several ways
        raise Malformed(f"location table cannot be read: {error}") from None
    if len(positions) < count:
        positions += [None] * (count - len(positions))
    return positions
