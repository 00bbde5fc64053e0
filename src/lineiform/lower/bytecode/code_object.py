"""The code object: frame slots get their final numbers, pieces become bytes.

Decides the order of the frame's variables: arguments and locals, compiler temporaries, cells, free
variables, constant cells.  Everything else comes from the code object that the function was lifted from.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType
from typing import NamedTuple

from lineiform.ir.function import Function
from lineiform.ir.holes import Hole
from lineiform.lower.bytecode.assembler import assemble
from lineiform.lower.bytecode.machine import Frame
from lineiform.lower.bytecode.symbolic import Instruction, Piece


class Lowered(NamedTuple):
    """``cells``: what the last free variables of ``code`` have to be closed over: cells, or holes: then the
    cell that stands there, or a new cell with what stands there.
    ``scopes``: (byte offset, index into the function's scopes), wherever the scope changes.
    """

    code: CodeType
    cells: tuple[object, ...]
    scopes: tuple[tuple[int, int], ...]


def make_code(function: Function, frame: Frame, pieces: Sequence[Piece]) -> Lowered:
    """Assemble the pieces, whose variables are numbered as in the IR; needs ``function.code``."""
    code = function.code
    assert code is not None
    slots, varnames, cellvars, freevars = _slots(function, frame)
    if freevars and not function.free_count:
        position = (code.co_firstlineno, code.co_firstlineno, 0, 0)
        pieces[0].code.insert(0, Instruction("COPY_FREE_VARS", len(freevars), position))
    for piece in pieces:
        for instruction in piece.code:
            if instruction.name in _SLOTTED:
                instruction.arg = slots[instruction.arg]
            elif instruction.name == "COPY_FREE_VARS":
                instruction.arg = len(freevars)
    assembled = assemble(pieces, code.co_firstlineno)
    return Lowered(
        code.replace(
            co_argcount=function.signature.argcount,
            co_posonlyargcount=function.signature.posonlyargcount,
            co_kwonlyargcount=function.signature.kwonlyargcount,
            co_code=assembled.code,
            co_consts=tuple(frame.constants),
            co_names=tuple(frame.names),
            co_varnames=tuple(varnames),
            co_nlocals=len(varnames),
            co_cellvars=tuple(cellvars),
            co_freevars=tuple(freevars),
            co_stacksize=assembled.stack_size,
            co_exceptiontable=assembled.exception_table,
            co_linetable=assembled.line_table,
        ),
        tuple(frame.extra_cells),
        assembled.scopes,
    )


_SLOTTED = frozenset(
    "LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR STORE_FAST DELETE_FAST LOAD_CLOSURE MAKE_CELL LOAD_DEREF "
    "STORE_DEREF DELETE_DEREF LOAD_CAPTURED".split()
)


def _slots(function: Function, frame: Frame) -> tuple[dict[int, int], list[str], list[str], list[str]]:
    """Frame slot of each variable (temporaries count on from the variables, constant cells below zero)."""
    variables = function.variables
    arguments = function.signature.total
    first_free = len(variables) - function.free_count
    taken = {variable.name for variable in variables}
    plain = [n for n in range(first_free) if variables[n].kind != "cell" or n < arguments]
    own_cells = [n for n in range(first_free) if variables[n].kind == "cell"]
    varnames = [_unique(variables[n].name, variables[n].kind == "hidden", taken) for n in plain]
    varnames += [_unique(name, True, taken) for name in frame.temporaries]
    slots = {n: slot for slot, n in enumerate(plain)}
    for number in range(len(frame.temporaries)):
        slots[len(variables) + number] = len(plain) + number
    cellvars = [variables[n].name for n in own_cells]
    rest = len(varnames)
    for n in own_cells:
        if n not in slots:
            slots[n] = rest
            rest += 1
    freevars = [variables[n].name for n in range(first_free, len(variables))]
    for n in range(first_free, len(variables)):
        slots[n] = rest
        rest += 1
    for number in range(len(frame.extra_cells)):
        slots[-1 - number] = rest
        rest += 1
        freevars.append(_unique(_cell_name(frame.extra_cells[number], number), True, taken))
    return slots, varnames, cellvars, freevars


def _cell_name(cell: object, number: int) -> str:
    return f".{cell.name}" if type(cell) is Hole else f".c{number}"


def _unique(name: str, hidden: bool, taken: set[str]) -> str:
    if not hidden:
        return name
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}.{number}"
    taken.add(candidate)
    return candidate
